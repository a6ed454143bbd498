"""Saving agents and making them again, on every driver that can."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hub.core.model import AgentId, AgentUid, Consistency, Observed
from hub.drivers.base import AgentHandle, AgentPlan, Driver
from hub.drivers.fake import FakePlatform
from hub.drivers.snapshots import CaptureOrder
from tests.drivers.contract import no_progress, wait_until
from tests.drivers.docker_bench import DockerBench
from tests.drivers.snapshots_contract import SnapshotBench, SnapshotContract, order_for
from tests.drivers.test_fake import FakeBench
from tests.drivers.test_process import ProcessBench


class FakeSnapshotBench(FakeBench, SnapshotBench):
    async def write(self, handle: AgentHandle, name: str, content: str) -> None:
        agent_id, uid = json.loads(handle.ref)
        self.platform.agents[AgentId(agent_id), AgentUid(uid)].files[name] = content.encode()

    async def workspace(self, handle: AgentHandle) -> dict[str, str]:
        agent_id, uid = json.loads(handle.ref)
        files = self.platform.agents[AgentId(agent_id), AgentUid(uid)].files
        return {name: content.decode() for name, content in files.items()}

    async def state_file(self, handle: AgentHandle, name: str) -> str | None:
        agent_id, uid = json.loads(handle.ref)
        return states(self.platform).get((agent_id, uid, name))

    async def write_state(self, handle: AgentHandle, name: str, content: str) -> None:
        agent_id, uid = json.loads(handle.ref)
        states(self.platform)[agent_id, uid, name] = content

    async def saved_leftovers(self, snapshot_id: str) -> list[str]:
        return [f"image {one}" for one in self.platform.images if one == snapshot_id]


_STATES: dict[int, dict[tuple[str, str, str], str]] = {}


def states(platform: FakePlatform) -> dict[tuple[str, str, str], str]:
    """Fake agents have no state folder; what a test writes there is kept here."""
    return _STATES.setdefault(id(platform), {})


class ProcessSnapshotBench(ProcessBench, SnapshotBench):
    async def write(self, handle: AgentHandle, name: str, content: str) -> None:
        (self.folder(handle).workspace / name).write_text(content)

    async def workspace(self, handle: AgentHandle) -> dict[str, str]:
        return {path.name: path.read_text() for path in self.folder(handle).workspace.iterdir() if path.is_file()}

    async def state_file(self, handle: AgentHandle, name: str) -> str | None:
        path = self.folder(handle).state / name
        return path.read_text() if path.exists() else None

    async def write_state(self, handle: AgentHandle, name: str, content: str) -> None:
        (self.folder(handle).state / name).write_text(content)

    async def saved_leftovers(self, snapshot_id: str) -> list[str]:
        return []


class DockerSnapshotBench(DockerBench, SnapshotBench):
    async def write(self, handle: AgentHandle, name: str, content: str) -> None:
        script = f"head -c {len(content)} /dev/zero | tr '\\0' x > /workspace/{name}"
        if len(content) < 1_000:
            script = f"printf %s '{content}' > /workspace/{name}"
        code, output = self.outside.run_in(self.name_of(handle), "sh", "-c", script)
        assert code == 0, output

    async def workspace(self, handle: AgentHandle) -> dict[str, str]:
        script = 'cd /workspace && for name in *; do [ -f "$name" ] && echo "$name $(head -c 100 "$name")"; done; :'
        code, output = self.outside.run_in(self.name_of(handle), "sh", "-c", script)
        assert code == 0, output
        return {line.partition(" ")[0]: line.partition(" ")[2] for line in output.splitlines()}

    async def state_file(self, handle: AgentHandle, name: str) -> str | None:
        code, output = self.outside.run_in(self.name_of(handle), "cat", f"/var/lib/clawtui/{name}")
        return output if code == 0 else None

    async def write_state(self, handle: AgentHandle, name: str, content: str) -> None:
        script = f"printf %s '{content}' > /var/lib/clawtui/{name}"
        code, output = self.outside.run_in(self.name_of(handle), "sh", "-c", script)
        assert code == 0, output

    async def saved_leftovers(self, snapshot_id: str) -> list[str]:
        images = self.outside.get("/images/json", all="1")
        tags = [tag for image in images for tag in image["RepoTags"] or []]
        return [f"image {tag}" for tag in tags if tag.endswith(f":{snapshot_id}")] + self.helpers()

    def helpers(self) -> list[str]:
        condition = json.dumps({"label": ["clawtui.helper", f"clawtui.hub-id={self.hub_id}"]})
        return [one["Names"][0] for one in self.outside.get("/containers/json", all="1", filters=condition)]

    async def leftovers(self, plan: AgentPlan) -> list[str]:
        name = f"openclaw-agent-{plan.agent_id}"
        return await super().leftovers(plan) + self.outside.named(f"{name}.r1") + self.outside.named(f"{name}.g0")


class TestFakeSnapshots(SnapshotContract):
    @pytest.fixture
    async def bench(self) -> AsyncIterator[SnapshotBench]:
        bench = FakeSnapshotBench()
        yield bench
        await bench.close()


class TestProcessSnapshots(SnapshotContract):
    @pytest.fixture
    async def bench(self, tmp_path: Path) -> AsyncIterator[SnapshotBench]:
        bench = ProcessSnapshotBench(tmp_path / "state")
        yield bench
        await bench.close()

    async def test_a_clean_capture_that_is_cancelled_while_the_agent_ends_starts_it_again(self, tmp_path: Path) -> None:
        bench = ProcessSnapshotBench(tmp_path / "state")
        driver = bench.make_driver(command=(sys.executable, "-c", SLOW_TO_END, str(tmp_path)))
        handle = await driver.create(bench.plan(), no_progress)
        first = bench.pid(handle)

        async def exists(name: str) -> bool:
            return (tmp_path / name).exists()

        await wait_until(lambda: exists("ready"), "the agent listens")
        order = order_for(tmp_path, "sn-slow", Consistency.CLEAN)
        async with asyncio.TaskGroup() as group:
            running = group.create_task(capture(driver, handle, order))
            await wait_until(lambda: exists("told"), "the agent is told to end")
            running.cancel()
            (tmp_path / "go").touch()
        assert (await driver.inspect(handle)).state is Observed.RUNNING
        assert bench.pid(handle) != first
        await bench.close()


SLOW_TO_END = """
import os, signal, sys, time
os.chdir(sys.argv[1])
def end(*_):
    open("told", "w").close()
    while not os.path.exists("go"):
        time.sleep(0.01)
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
open("ready", "w").close()
while True:
    signal.pause()
"""
"""An agent that ends after TERM as soon as the file `go` is there."""


async def capture(driver: Driver, handle: AgentHandle, order: CaptureOrder) -> None:
    assert driver.snapshots is not None
    await driver.snapshots.capture(handle, order, no_progress)


@pytest.mark.docker
class TestDockerSnapshots(SnapshotContract):
    @pytest.fixture
    async def bench(self, tmp_path: Path) -> AsyncIterator[SnapshotBench]:
        bench = DockerSnapshotBench(tmp_path)
        yield bench
        await bench.close()
