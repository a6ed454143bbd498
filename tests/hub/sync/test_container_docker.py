"""A gateway in a container of a real engine: mounts, the check of a config in there, and the restart.

The image has no OpenClaw: a script of that name takes its place, which objects to agents called `bad` and notes every
call beside itself.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from hub.contract import MountMapping
from hub.drivers.docker import DockerDriver
from tests.drivers.docker_bench import Outside, Reach
from tests.hub.sync.syncing import Syncing, syncing

pytestmark = pytest.mark.docker

INSIDE = "/home/node/.openclaw"
OPENCLAW = f"""#!/bin/sh
echo "$* $OPENCLAW_CONFIG_PATH $OPENCLAW_CONFIG_READONLY" >>{INSIDE}/calls
echo "[plugins] loading"
if grep -q '"bad"' "$OPENCLAW_CONFIG_PATH"; then
  echo '{{"valid":false,"issues":[{{"path":"agents.entries.bad","message":"Invalid input"}}],"warnings":[]}}'
  exit 1
fi
echo '{{"valid":true,"issues":[],"warnings":[]}}'
"""
GATEWAY = f"""
echo start >>{INSIDE}/starts
trap 'sleep 1; echo drained >>{INSIDE}/starts; exit 0' TERM
while :; do sleep 0.1; done
"""


class Box:
    """One folder of this machine and a container that may mount it."""

    def __init__(self, folder: Path) -> None:
        self.name = f"clawtui-test-gw-{uuid.uuid4().hex[:12]}"
        self.folder = folder / "oc"
        self.programs = folder / "bin"
        self.outside = Outside()
        self.driver = DockerDriver(Reach("test", folder))
        for place in (self.folder, self.programs):
            place.mkdir()
        (self.programs / "openclaw").write_text(OPENCLAW)
        (self.programs / "openclaw").chmod(0o755)
        self._made = False

    def start(self, *binds: str, **variables: str) -> None:
        """Make the container anew; without `binds` the folder is mounted where OpenClaw has it."""
        self.remove()
        self.outside.make_container(
            self.name,
            Cmd=["/bin/sh", "-c", GATEWAY],
            WorkingDir=f"{INSIDE}-bin",
            Env=[f"PATH={INSIDE}-bin:/usr/bin:/bin", *(f"{key}={value}" for key, value in variables.items())],
            HostConfig={
                "NetworkMode": "none",
                "Binds": [f"{self.programs}:{INSIDE}-bin:ro", *(binds or (f"{self.folder}:{INSIDE}",))],
            },
        )
        self._made = True
        self.outside.post(f"/containers/{self.name}/start")

    def remove(self) -> None:
        if self._made:
            self.outside.remove_container(self.name)
            self._made = False

    def syncing(self, *personas: str, **settings: Any) -> Any:
        fields = {"containers": self.driver.containers, "container": self.name, "restart_command": [], **settings}
        return syncing(self.folder, *personas, **fields)

    def lines(self, name: str) -> list[str]:
        path = self.folder / name
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
async def box(tmp_path: Path) -> AsyncIterator[Box]:
    made = Box(tmp_path)
    yield made
    await made.driver.stop_driver()
    made.remove()
    made.outside.close()


def workspaces(one: Syncing) -> dict[str, str]:
    entries = json.loads(one.config.read_text())["agents"]["entries"]
    return {slug: entry["workspace"] for slug, entry in entries.items()}


async def test_paths_are_the_containers_and_its_program_checks_the_config(box: Box) -> None:
    box.start(OPENCLAW_CONFIG_PATH=f"{INSIDE}/openclaw.json")
    async with box.syncing("ann") as one:
        await one.until_states(ann="in-step")
        assert workspaces(one) == {"ann": f"{INSIDE}/agents/ann"}
        assert (one.loop.state.problem, one.loop.state.notes) == ("", ())
        assert box.lines("calls") == [f"config validate --json {INSIDE}/.openclaw.clawtui-new.json 1"]
        assert box.outside.run_in(box.name, "cat", f"{INSIDE}/agents/ann/SOUL.md")[1] == one.soul("ann").read_text()
        one.write("bad")
        assert "agents.entries.bad: Invalid input" in (await one.run()).problem
        assert workspaces(one) == {"ann": f"{INSIDE}/agents/ann"}
        assert not list(box.folder.glob(".openclaw.clawtui-new*"))


async def test_wrong_mounts_of_all_kinds_are_named(box: Box) -> None:
    volume = f"{box.name}-volume"
    box.start(f"{volume}:{INSIDE}")
    async with box.syncing("ann") as one:
        try:
            state = one.loop.state
            assert f"the named volume {volume} at {INSIDE}" in state.problem
            assert "workspaceRoot: " in state.problem
            assert "configPath: " in state.problem
            assert state.hint
            assert not one.config.exists()
            (box.folder / "agents").mkdir(exist_ok=True)
            one.config.write_text('{"gateway": {"mode": "local"}}')
            box.start(
                f"{box.folder}/agents:/agents:ro", f"{one.config}:{INSIDE}/openclaw.json",
                OPENCLAW_CONFIG_PATH="/etc/openclaw.json",
            )  # fmt: skip
            problem = (await one.run()).problem
            for words in ("/agents read-only", "mounts the file", "(a rename)", "its gateway reads /etc/openclaw.json"):
                assert words in problem
            assert workspaces(one) == {"ann": "/agents/ann"}
        finally:
            box.remove()
            box.outside.remove_volume(volume)


async def test_a_mount_that_was_named_wrong_is_told(box: Box) -> None:
    box.start()
    wrong = MountMapping(host=str(box.folder), container="/data")
    async with box.syncing("ann", mounts=[wrong]) as one:
        await one.until_states(ann="in-step")
        assert "mounts[0]: " in one.loop.state.problem
        assert f"it has that at {INSIDE}" in one.loop.state.problem
        assert workspaces(one) == {"ann": f"{INSIDE}/agents/ann"}


async def test_a_container_without_the_program_leaves_a_note(box: Box) -> None:
    (box.programs / "openclaw").unlink()
    box.start()
    async with box.syncing("ann") as one:
        await one.until_states(ann="in-step")
        (note,) = one.loop.state.notes
        assert note.endswith("it has neither openclaw nor dist/index.js")


async def test_the_program_of_the_official_image_is_a_file_for_node(box: Box) -> None:
    (box.programs / "dist").mkdir()
    (box.programs / "openclaw").rename(box.programs / "dist" / "index.js")
    (box.programs / "node").write_text('#!/bin/sh\nexec "./$@"\n')
    (box.programs / "node").chmod(0o755)
    box.start()
    async with box.syncing("bad") as one:
        assert "agents.entries.bad: Invalid input" in one.loop.state.problem
        assert box.lines("calls") == [f"config validate --json {INSIDE}/.openclaw.clawtui-new.json 1"]


async def test_it_is_restarted_with_time_to_end(box: Box) -> None:
    box.start()

    def cold(one: Syncing) -> None:
        one.gateway.hot = False

    async with box.syncing("ann", prepare=cold) as one:
        await one.until(lambda: "start" in box.lines("starts")[1:], "it was started again")
        assert box.lines("starts")[:3] == ["start", "drained", "start"]


async def test_one_that_is_stopped_or_gone_is_told_and_files_are_written(box: Box) -> None:
    box.start()
    box.outside.post(f"/containers/{box.name}/stop", t="5")
    async with box.syncing("ann") as one:
        assert one.loop.state.problem == f"container: {box.name} does not run, it is exited"
        assert workspaces(one) == {"ann": f"{INSIDE}/agents/ann"}
        box.remove()
        one.write("bob")
        assert (await one.run()).problem == f"container: there is no container {box.name}"
        assert workspaces(one)["bob"] == f"{INSIDE}/agents/bob"
