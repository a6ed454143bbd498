"""Builds through the buildx plugin. A program of the test stands for `docker buildx`: it records how it was called
and prints what BuildKit prints with --progress=plain."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import sys
import tarfile
from pathlib import Path

import pytest

from hub.drivers.docker.build import BuildHow
from hub.drivers.docker.buildlog import BuildLogs
from hub.drivers.docker.buildx import Buildx
from hub.drivers.docker.image import BuildOptions, ImageBuild, prepare
from hub.errors import DriverFailed
from profiles.image import Recipe
from profiles.model import parse_profile
from tests.end_to_end.harness import eventually
from tests.hub.images.image_bench import Steps

STAND_IN = """\
#!{python}
import json, os, pathlib, sys, time
folder = pathlib.Path(__file__).parent
if sys.argv[1:] == ["buildx", "version"]:
    sys.exit(int((folder / "version-code").read_text()))
(folder / "context.tar").write_bytes(sys.stdin.buffer.read())
(folder / "called.json").write_text(json.dumps({{"words": sys.argv[1:], "environment": dict(os.environ)}}))
print((folder / "says.txt").read_text(), file=sys.stderr, flush=True)
if (folder / "hangs").exists():
    (folder / "pid").write_text(str(os.getpid()))
    time.sleep(600)
sys.exit(int((folder / "code").read_text()))
"""

FINE = """\
#0 building with "default" instance using docker driver
#1 [internal] load build definition from Dockerfile
#1 DONE 0.0s
#5 [1/4] FROM docker.io/library/openclaw-agent-base:0123
#5 CACHED
#6 [2/4] RUN apt-get update && apt-get install -y git
#6 0.314 Get:1 http://mirror.example
#6 DONE 2.1s
#7 [3/4] RUN ["/bin/bash", "-c", "..."]
#7 0.101 added 2 packages
#7 DONE 0.4s
#8 exporting to image
"""
FAILS = (
    FINE.split("#7 DONE")[0]
    + """\
#7 0.201 npm ERR! it is broken
#7 ERROR: process "/bin/bash -c ..." did not complete successfully: exit code: 3
------
 > [3/4] RUN ["/bin/bash", "-c", "..."]:
------
ERROR: failed to solve: process "/bin/bash -c ..." did not complete successfully: exit code: 3
"""
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The stand-in's folder, to be the only one on the PATH."""
    program = tmp_path / "docker"
    program.write_text(STAND_IN.format(python=sys.executable))
    program.chmod(0o755)
    for name, text in (("version-code", "0"), ("code", "0"), ("says.txt", FINE)):
        (tmp_path / name).write_text(text)
    return tmp_path


def wanted(pip_config: Path | None = None) -> ImageBuild:
    raw = {"packages": ["git"], "setup_tasks": [{"command": "npm install", "description": "Install it"}]}
    recipe = Recipe(profile="x", contents=parse_profile(raw, "x").contents)
    options = BuildOptions(pip_config=pip_config)
    return prepare(options, recipe=recipe, pip_secret=pip_config is not None)[-1]


async def builder(folder: Path, **more: str) -> Buildx:
    found = await Buildx.find("unix:///run/docker.sock", {"PATH": str(folder), "HOME": "/home/me", **more})
    assert found is not None
    return found


async def test_it_is_found_where_the_plugin_answers(folder: Path) -> None:
    environment = {"PATH": str(folder)}
    assert await Buildx.find("unix:///x", environment) is not None
    (folder / "version-code").write_text("1")
    assert await Buildx.find("unix:///x", environment) is None
    assert await Buildx.find("unix:///x", {"PATH": "/no/such/folder"}) is None


async def test_what_the_plugin_is_told(folder: Path) -> None:
    build, steps = wanted(), Steps()
    how = BuildHow(arguments={"https_proxy": "http://me:secret@p:1"}, platform="linux/arm64", without_cache=True)
    log = BuildLogs(folder / "logs").start(build.name)
    await (await builder(folder, SECRET="x")).build(build, how, steps, log)
    log.close()
    called = json.loads((folder / "called.json").read_text())
    words, environment = called["words"], called["environment"]
    assert words[:5] == ["buildx", "build", "--progress=plain", "--load", "-t"]
    assert {build.name, "--platform=linux/arm64", "--no-cache", "--label=clawtui.owner=clawtui"} < set(words)
    assert "--build-arg=https_proxy" in words
    assert "secret" not in " ".join(words), "everybody can list processes"
    assert environment["https_proxy"] == "http://me:secret@p:1"
    assert environment["DOCKER_HOST"] == "unix:///run/docker.sock"
    assert "SECRET" not in environment
    with tarfile.open(folder / "context.tar") as context:
        assert context.getnames() == ["Dockerfile"]
    texts = [line.rpartition("of 4: ")[2] for _, line in steps.said]
    assert texts == ["the base image", "packages: git", 'setup task 1 "Install it"']
    lines = [line async for line in BuildLogs(folder / "logs").read("openclaw-agent-x", None, 0, follow=False)]
    assert "added 2 packages" in lines


async def test_pip_configuration_is_lent_and_never_in_the_context(folder: Path) -> None:
    pip = folder / "pip.conf"
    pip.write_text("[global]\nindex-url = https://me:secret@mirror/simple\n")
    build = wanted(pip)
    assert build.name == wanted().name, "it is no part of the image, so no part of the tag"
    log = BuildLogs(folder / "logs").start(build.name)
    await (await builder(folder)).build(build, BuildHow(), Steps(), log)
    log.close()
    called = json.loads((folder / "called.json").read_text())
    (secret,) = [word for word in called["words"] if word.startswith("--secret=")]
    assert called["environment"][secret.rpartition("env=")[2]] == pip.read_text()
    data = (folder / "context.tar").read_bytes()
    assert b"secret@" not in data
    with tarfile.open(fileobj=io.BytesIO(data)) as context:
        dockerfile = context.extractfile("Dockerfile")
        assert dockerfile is not None
        assert b"RUN --mount=type=secret,id=pip-conf" in dockerfile.read()


async def test_a_failure_is_told_as_the_classic_builders(folder: Path) -> None:
    (folder / "says.txt").write_text(FAILS)
    (folder / "code").write_text("1")
    log = BuildLogs(folder / "logs").start("openclaw-agent-x:1")
    with pytest.raises(DriverFailed) as caught:
        await (await builder(folder)).build(wanted(), BuildHow(), Steps(), log)
    log.close()
    assert caught.value.code == "setup_task_failed"
    assert 'setup task 1 "Install it" failed (exit code 3)' in caught.value.message
    assert caught.value.message.splitlines()[1:] == ["added 2 packages", "npm ERR! it is broken"]


async def test_a_cancelled_build_ends_the_plugin(folder: Path) -> None:
    (folder / "hangs").touch()
    log = BuildLogs(folder / "logs").start("openclaw-agent-x:1")
    found = await builder(folder)

    async def hangs() -> bool:
        return (folder / "pid").exists() and bool((folder / "pid").read_text())

    async with asyncio.TaskGroup() as group:
        build = group.create_task(found.build(wanted(), BuildHow(), Steps(), log))
        await eventually(hangs, seconds=30, what="the plugin runs")
        build.cancel()
    assert build.cancelled()
    log.close()
    with pytest.raises(ProcessLookupError):
        os.kill(int((folder / "pid").read_text()), signal.SIGCONT)
