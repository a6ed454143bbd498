"""A full disk, end to end: submissions get 507, running tasks survive, nothing acknowledged is lost, and the hub
recovers without a restart."""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus

from hub.contract import CreateAgent
from hub.drivers.fake import Script, Step
from hub.errors import NotFound, StorageFull
from tests.end_to_end.conftest import end_processes_below
from tests.end_to_end.harness import HubProcess, eventually
from tests.faults.checker import History
from tests.hub.running import running_hub
from tests.hub.test_jobs import Gate

DISK_MIB = 24

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A file system of its own with little room; the agents' folders are elsewhere."""
    folder = Path(tempfile.mkdtemp(prefix="ctd"))
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "tmpfs", str(folder)], capture_output=True, text=True
    )
    if mounted.returncode:
        folder.rmdir()
        pytest.skip(f"cannot mount a small file system here: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        end_processes_below(folder)
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
        folder.rmdir()


@contextlib.asynccontextmanager
async def serving(disk: Path) -> AsyncIterator[HubProcess]:
    hub = HubProcess(disk / "s")
    await hub.start()
    try:
        yield hub
    finally:
        hub.stop()


def fill(disk: Path) -> Path:
    """Leave not a byte."""
    ballast = disk / "ballast"
    descriptor = os.open(ballast, os.O_WRONLY | os.O_CREAT)
    for size in (64 * 1024, 1):
        with contextlib.suppress(OSError):
            while True:
                os.write(descriptor, bytes(size))
    os.close(descriptor)
    return ballast


async def submit_until_full(hub: HubProcess, history: History) -> None:
    """Submit until the answer is 507; whatever was acknowledged counts."""
    async with hub.client() as client:
        for _ in range(2_000):
            answer = await client.post("/agents/a/task", json={"type": "exec", "command": f"true {'x' * 20_000}"})
            if answer.status_code == 507:
                body = answer.json()["error"]
                assert (body["code"], body["retryable"]) == ("storage_full", True)
                return
            assert answer.status_code == 202, answer.text
            history.submitted(answer.json()["taskId"])
    raise AssertionError("the disk was never full")


@needs_root
@pytest.mark.timeout(180)
async def test_a_hub_on_a_full_disk_refuses_keeps_and_recovers(small_disk: Path) -> None:
    async with serving(small_disk) as hub:
        await hub.create("a")
        history = History()
        running = history.submitted(
            await hub.submit("a", type="exec", command="while ! test -e go; do sleep 0.05; done; echo survived")
        )

        async def is_running() -> bool:
            return (await hub.call("GET", f"/tasks/{running}"))["status"] == "running"

        await eventually(is_running)
        ballast = fill(small_disk)
        await submit_until_full(hub, history)

        health = await hub.call("GET", "/health")
        assert health["status"] == "degraded"
        assert any("disk" in problem or "written" in problem for problem in health["problems"]), health
        assert (await hub.call("GET", f"/tasks/{running}"))["status"] == "running"
        (workspace,) = (hub.home / "agents").glob("*/workspace")
        ballast.unlink()
        (workspace / "go").touch()
        task = await hub.ended_task(running, seconds=90)
        assert (task["status"], task["stdout"], task["attempt"]) == ("succeeded", "survived\n", 1)

        async def healthy() -> bool:
            return (await hub.call("GET", "/health"))["status"] == "ok"

        await eventually(healthy, what="the hub is well again")
        assert (await hub.run("a", type="exec", command="echo again"))["stdout"] == "again\n"
        for task_id in history.runs:
            history.shown(await hub.ended_task(task_id, seconds=90))
        history.check_ended()
        assert {run.seen[-1] for run in history.runs.values()} == {"succeeded"}
        await hub.destroy("a")
        assert "Traceback" not in hub.log


async def test_everything_that_changes_is_refused_before_it_is_decided() -> None:
    """With a disk that takes no byte: every change gets 507, every reading goes on, and it heals by itself."""
    async with running_hub() as hub, hub.playing() as agent:
        before = await hub.task(await hub.ping())
        with stuffed(hub.folder):
            with pytest.raises(StorageFull):
                await hub.ping()
            await hub.until(lambda: not hub.kernel.writable)
            for change in (
                hub.control.create_agent(CreateAgent(name="b", driver="fake")),
                hub.control.destroy("a"),
                hub.control.cancel_task(before.id),
                hub.control.allow("a", "a"),
            ):
                with pytest.raises(StorageFull):
                    await change
            assert (await hub.control.health()).registry_writable is False
            assert (await hub.control.get_task(before.id)).id == before.id
            with pytest.raises(InvalidStatus) as refused:
                await agent.connect()
            assert refused.value.response.status_code == 507
        await hub.until(lambda: hub.kernel.writable, "the hub has recovered")
        await agent.connect([])
        assert await agent.receive_task() == f"{before.id}:1"
        await hub.control.destroy("a")


@contextlib.contextmanager
def stuffed(folder: Path) -> Iterator[None]:
    """Nothing of this process can grow a file: as a quota does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    sizes = [path.stat().st_size for path in folder.glob("registry.db*")]
    resource.setrlimit(resource.RLIMIT_FSIZE, (min(sizes), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_a_create_that_a_full_disk_interrupted_is_undone_after_the_recovery() -> None:
    """Without a restart: no half-made agent, no job that runs for ever."""
    gate = Gate(Step.CREATE_START)
    async with running_hub(script=Script(before=gate)) as hub:
        job = await hub.create()
        await gate.reached.wait()
        with stuffed(hub.folder):
            gate.opened.set()
            await hub.until(lambda: not hub.kernel.writable, "the commit of the made agent fails")

        async def ended() -> bool:
            return (await hub.control.job(job.id)).state == "failed"

        await eventually(ended, what="the job has ended")
        assert hub.platform.agents == {}
        with pytest.raises(NotFound):
            await hub.control.agent("a")
        assert (await hub.control.health()).registry_writable
