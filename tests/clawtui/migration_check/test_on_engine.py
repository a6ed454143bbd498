"""The checklist on a real engine, through a real hub: everything is proved, and nothing is left."""

from __future__ import annotations

import asyncio
import os
import shutil
import uuid
from collections.abc import AsyncIterator, Iterator
from typing import Any

import msgspec
import pytest

from clawtui.migration_check import Checker, Outcome, Step
from clawtui.migration_check.sidecars import find_compose
from hub.drivers.base import Driver
from hub.drivers.docker import DockerDriver
from hub.drivers.docker.docker_py import Connector
from hub.drivers.docker.engine import Call
from profiles.migrate import Migration, Probe, ProbeKind, Sidecar
from tests.clawtui.migration_check.checked_hub import Heard
from tests.hub.running import RunningHub, running_hub, short_folder

pytestmark = pytest.mark.docker

DOCKERFILE = """\
FROM openclaw-agent-base
USER root
RUN echo hello > /srv/index.html
COPY site.conf /etc/site.conf
USER agent
CMD ["python3", "-u", "-m", "http.server", "80", "--directory", "/srv"]
"""
SERVER = "import socket; s = socket.create_server(('', 7000))\nwhile True: s.accept()[0].close()"
COMPOSE = """\
services:
  agent: {{image: somebody/else, volumes: ["work:/workspace"]}}
  store:
    image: "{image}"
    container_name: store
    ports: ["7000:7000"]
    entrypoint: ["python3", "-c", "{server}"]
    volumes: ["store-data:/data", "./web.store/conf:/etc/conf:ro"]
  away: {{image: "localhost:1/away:7"}}
volumes: {{store-data: {{name: fixed}}}}
"""


def docker(reach: Any) -> list[Driver]:
    return [DockerDriver(reach)]


@pytest.fixture
async def running() -> AsyncIterator[RunningHub]:
    with short_folder() as folder:
        async with running_hub(folder / "s", drivers=docker) as running:
            yield running


class Outside:
    """The engine as somebody else sees it."""

    def __init__(self) -> None:
        self.engine = Connector(None, os.environ)()

    def get(self, path: str, **params: str) -> Any:
        return msgspec.json.decode(self.engine.call(Call("GET", path, params)))


@pytest.fixture
def outside() -> Iterator[Outside]:
    outside = Outside()
    yield outside
    outside.engine.close()


@pytest.fixture
async def image(running: RunningHub, outside: Outside) -> AsyncIterator[str]:
    """A side service's image that is on the engine only: the base under a name of its own."""
    from hub.contract import BuildImage

    built = (await running.control.job((await running.control.build_image(BuildImage())).id, 300)).result["image"]
    name = f"test-store-{uuid.uuid4().hex[:8]}"
    outside.engine.call(Call("POST", f"/images/{built}/tag", {"repo": name, "tag": "7"}))
    yield f"{name}:7"
    outside.engine.call(Call("DELETE", f"/images/{name}:7"))


def everything(outside: Outside, word: str) -> list[str]:
    """Whatever on the engine has the word in its name."""
    found = [name for one in outside.get("/containers/json", all="1") for name in one["Names"]]
    found += [one["Name"] for one in outside.get("/volumes")["Volumes"] or []]
    found += [one["Name"] for one in outside.get("/networks")]
    found += [tag for one in outside.get("/images/json") for tag in one["RepoTags"] or []]
    return [name for name in found if word in name]


def whole(image: str, name: str) -> Migration:
    return Migration(
        name=name,
        text="{}",
        profile={"name": name, "resources": {"cpus": 1, "memory": "256m"}, "environment": {"A": "x y"}},
        dockerfile=DOCKERFILE,
        context={"site.conf": b"of the profile"},
        compose=COMPOSE.format(image=image, server=SERVER.replace("\n", "\\n")),
        sidecars=(
            Sidecar(name="store", image=image, port=7000),
            Sidecar(name="away", image="localhost:1/away:7", port=1),
        ),
        sidecar_files={"web.store/conf": b"x"},
        probes=(
            Probe(kind=ProbeKind.PACKAGE, subject="git", command="git --version"),
            Probe(kind=ProbeKind.FILE, subject="site.conf", command='[ "$(cat /etc/site.conf)" = "of the profile" ]'),
            Probe(kind=ProbeKind.ENVIRONMENT, subject="A", command='[ "$A" = "x y" ]'),
            Probe(kind=ProbeKind.SERVICE, subject="port 80", command="bash -c 'for _ in $(seq 60); do "
                  "(exec 3<>/dev/tcp/127.0.0.1/80) && exit 0; sleep 0.5; done; exit 1'"),
            Probe(kind=ProbeKind.TASK, subject="seed", command="python3 -c 'import socket as s; "
                  "s.create_connection((\"store\", 7000))'", sidecar="store"),
            Probe(kind=ProbeKind.TASK, subject="away", command="true", sidecar="away"),
        ),
    )  # fmt: skip


@pytest.mark.skipif(not find_compose() or shutil.which("docker") is None, reason="Docker Compose is not here")
async def test_a_profile_with_everything_is_proved(running: RunningHub, outside: Outside, image: str) -> None:
    name = f"web-{uuid.uuid4().hex[:6]}"
    report = await Checker(running.control, Heard()).check(whole(image, name))
    by_outcome = {
        outcome: {(row.step, row.subject) for row in report.rows if row.outcome is outcome} for outcome in Outcome
    }
    assert by_outcome[Outcome.FAILED] == set(), report.rows
    assert {step for step, _ in by_outcome[Outcome.PASSED]} == set(Step) - {Step.COMPARISON}
    assert {(Step.SIDECAR, "store:7000"), (Step.TASK, "seed"), (Step.RESOURCES, "CPUs"),
            (Step.RESOURCES, "memory")} <= by_outcome[Outcome.PASSED]  # fmt: skip
    assert {(Step.SIDECAR, "away"), (Step.TASK, "away")} <= by_outcome[Outcome.NOT_RUN]
    (away,) = [row for row in report.rows if (row.step, row.subject) == (Step.SIDECAR, "away")]
    assert "refused" in away.detail, "the engine's own words"
    assert everything(outside, name) == []
    assert everything(outside, "fixed") == [], "no name of the real Compose file is taken"


async def test_what_is_wrong_is_found(running: RunningHub, outside: Outside) -> None:
    name = f"bad-{uuid.uuid4().hex[:6]}"
    given = Migration(
        name=name,
        text="{}",
        profile={"name": name},
        dockerfile='FROM openclaw-agent-base\nCMD ["sh", "-c", "exit 3"]\n',
        probes=(
            Probe(kind=ProbeKind.PACKAGE, subject="nothing", command="no-such-program --version"),
            Probe(kind=ProbeKind.ENVIRONMENT, subject="A", command='[ "$A" = 1 ]'),
        ),
    )
    report = await Checker(running.control, Heard()).check(given)
    failed = {(row.step, row.subject): row.detail for row in report.rows if row.outcome is Outcome.FAILED}
    assert set(failed) == {
        (Step.PACKAGE, "nothing"),
        (Step.ENVIRONMENT, "A"),
        (Step.SERVICE, 'CMD ["sh", "-c", "exit 3"]'),
    }
    assert "not found" in failed[Step.PACKAGE, "nothing"]
    assert everything(outside, name) == []


async def test_an_image_that_cannot_be_built_is_told_with_the_builders_words(
    running: RunningHub, outside: Outside
) -> None:
    name = f"bad-{uuid.uuid4().hex[:6]}"
    given = Migration(name=name, text="{}", profile={"name": name, "setup_tasks": [{"command": "echo no; exit 9"}]})
    report = await Checker(running.control, Heard()).check(given)
    (failed,) = [row for row in report.rows if row.outcome is Outcome.FAILED]
    assert (failed.step, "exit code 9" in failed.detail) == (Step.IMAGE, True)
    assert everything(outside, name) == []


@pytest.mark.parametrize("step", [Step.PROFILE, Step.IMAGE, Step.AGENT, Step.HUB])
async def test_interrupted_anywhere_nothing_is_left(running: RunningHub, outside: Outside, step: Step) -> None:
    name = f"cut-{uuid.uuid4().hex[:6]}"
    heard = Heard()
    given = Migration(name=name, text="{}", profile={"name": name, "files": [{"path": "x", "content": name}]})
    async with asyncio.timeout(120), asyncio.TaskGroup() as group:
        going = group.create_task(Checker(running.control, heard).check(given))
        while not any(row.step is step for row in heard.rows):
            await asyncio.sleep(0.005)
        going.cancel()
    assert going.cancelled()
    assert heard.rows[-1].step is Step.CLEANUP
    assert everything(outside, name) == []
