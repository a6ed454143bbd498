"""What every driver that saves agents must do, as one test class, on the benches of `tests.drivers.contract`.

A bench for it is a `SnapshotBench`: it can put files into an agent's workspace and see what is there.
"""

from __future__ import annotations

import abc
import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from hub.archives.index import read_index, write_index
from hub.archives.work import Meter
from hub.core.model import AgentUid, Consistency, Observed
from hub.drivers.base import AgentGone, AgentHandle, AgentPlan, Driver
from hub.drivers.snapshots import Captured, CaptureOrder, Seed, Snapshotter
from hub.errors import Conflict, HubError
from tests.drivers.contract import GRACE_SECONDS, Bench, no_progress, wait_until


class SnapshotBench(Bench):
    """A platform on which agents have workspaces that tests write and read."""

    @abc.abstractmethod
    async def write(self, handle: AgentHandle, name: str, content: str) -> None:
        """Make a file in the running agent's workspace."""

    @abc.abstractmethod
    async def workspace(self, handle: AgentHandle) -> dict[str, str]:
        """Name and content of every file in the workspace of an agent, running or not."""

    @abc.abstractmethod
    async def state_file(self, handle: AgentHandle, name: str) -> str | None:
        """A file of the agent's state folder, None when it has none of that name."""

    @abc.abstractmethod
    async def write_state(self, handle: AgentHandle, name: str, content: str) -> None:
        """Make a file in the agent's state folder."""

    @abc.abstractmethod
    async def saved_leftovers(self, snapshot_id: str) -> list[str]:
        """Name everything on the platform that is there because of a snapshot: images, helpers."""

    async def other_plan(self, plan: AgentPlan) -> AgentPlan:
        """The same agent under another name."""
        return msgspec.structs.replace(self.plan(), environment=plan.environment)


def parts(driver: Driver) -> Snapshotter:
    assert driver.snapshots is not None
    return driver.snapshots


def order_for(folder: Path, snapshot_id: str, consistency: Consistency = Consistency.CRASH) -> CaptureOrder:
    target = folder / snapshot_id
    target.mkdir(parents=True)
    return CaptureOrder(snapshot_id, target, consistency, GRACE_SECONDS, 1_000)


def seed_of(folder: Path, snapshot_id: str, captured: Captured) -> Seed:
    (archive,) = captured.volumes
    return Seed(
        snapshot_id=snapshot_id,
        archive=folder / snapshot_id / archive.file,
        sha256=archive.sha256,
        size_bytes=archive.size_bytes,
        image=captured.image,
    )


def files_in(folder: Path, seed: Seed) -> set[str]:
    index = folder / f"{seed.snapshot_id}.index"
    write_index(Meter(), seed.archive, index, "/workspace")
    return {entry.path for entry in read_index(index) if entry.kind == "file"}


class SnapshotContract:
    """The tests. A subclass supplies the fixture `bench`."""

    @pytest.fixture
    def bench(self) -> AsyncIterator[SnapshotBench]:
        raise NotImplementedError("a subclass supplies the bench")

    @pytest.fixture
    def driver(self, bench: SnapshotBench) -> Driver:
        return bench.driver

    async def saved(
        self, bench: SnapshotBench, driver: Driver, folder: Path, snapshot_id: str
    ) -> tuple[AgentPlan, AgentHandle, Seed]:
        """An agent with a file, and a snapshot of it."""
        plan = bench.plan()
        handle = await driver.create(plan, no_progress)
        await bench.write(handle, "kept", "as it was")
        captured = await parts(driver).capture(handle, order_for(folder, snapshot_id), no_progress)
        return plan, handle, seed_of(folder, snapshot_id, captured)

    async def discard(self, driver: Driver, *snapshot_ids: str) -> None:
        for snapshot_id in snapshot_ids:
            await parts(driver).discard(snapshot_id)

    async def test_a_driver_that_saves_says_so(self, driver: Driver) -> None:
        assert driver.features.snapshot
        assert driver.snapshots is not None

    @pytest.mark.parametrize("consistency", list(Consistency))
    async def test_an_agent_is_saved_and_goes_on(
        self, bench: SnapshotBench, driver: Driver, tmp_path: Path, consistency: Consistency
    ) -> None:
        handle = await driver.create(bench.plan(), no_progress)
        await bench.write(handle, "kept", "as it was")
        told: list[float] = []
        order = order_for(tmp_path, "sn-goes-on", consistency)
        captured = await parts(driver).capture(handle, order, lambda fraction, _line: told.append(fraction))
        assert captured.consistency is consistency
        assert (await driver.inspect(handle)).state is Observed.RUNNING
        assert "/workspace/kept" in files_in(tmp_path, seed_of(tmp_path, "sn-goes-on", captured))
        assert all(0 <= fraction <= 1 for fraction in told)
        await self.discard(driver, "sn-goes-on")
        assert await bench.saved_leftovers("sn-goes-on") == []

    async def test_a_stopped_agent_is_saved_clean_and_stays_stopped(
        self, bench: SnapshotBench, driver: Driver, tmp_path: Path
    ) -> None:
        handle = await driver.create(bench.plan(), no_progress)
        await bench.write(handle, "kept", "as it was")
        await driver.stop(handle, GRACE_SECONDS)
        captured = await parts(driver).capture(handle, order_for(tmp_path, "sn-stopped"), no_progress)
        assert captured.consistency is Consistency.CLEAN
        assert (await driver.inspect(handle)).state is Observed.EXITED
        await self.discard(driver, "sn-stopped")

    async def test_a_paused_agent_stays_paused(self, bench: SnapshotBench, driver: Driver, tmp_path: Path) -> None:
        handle = await driver.create(bench.plan(), no_progress)
        await driver.pause(handle)
        captured = await parts(driver).capture(handle, order_for(tmp_path, "sn-paused"), no_progress)
        assert captured.consistency is Consistency.CRASH
        assert (await driver.inspect(handle)).state is Observed.PAUSED
        await self.discard(driver, "sn-paused")

    async def test_the_estimate_is_near(self, bench: SnapshotBench, driver: Driver) -> None:
        handle = await driver.create(bench.plan(), no_progress)
        await bench.write(handle, "big", "x" * 3_000_000)
        estimate = await parts(driver).estimate(handle)
        assert 3_000_000 <= estimate.volume_bytes < 4_000_000

    async def test_an_agent_is_made_from_a_snapshot(self, bench: SnapshotBench, driver: Driver, tmp_path: Path) -> None:
        plan, handle, seed = await self.saved(bench, driver, tmp_path, "sn-made-from")
        await bench.write_state(handle, "secret", "of the first")
        await driver.destroy(handle)
        again = msgspec.structs.replace(plan, uid=AgentUid(f"{plan.uid}x"))
        restored = await driver.create(again, no_progress, seed)
        fork = await driver.create(await bench.other_plan(plan), no_progress, seed)
        for made in (restored, fork):
            assert (await bench.workspace(made))["kept"] == "as it was"
            assert await bench.state_file(made, "secret") is None
            assert (await driver.inspect(made)).state is Observed.RUNNING
        await bench.write(fork, "mine", "only")
        assert "mine" not in await bench.workspace(restored)
        for made in (restored, fork):
            await driver.destroy(made)
        await self.discard(driver, "sn-made-from")
        assert await bench.saved_leftovers("sn-made-from") == []
        assert await bench.leftovers(plan) + await bench.leftovers(again) == []

    async def test_a_restore_in_place_and_back(self, bench: SnapshotBench, driver: Driver, tmp_path: Path) -> None:
        plan, handle, seed = await self.saved(bench, driver, tmp_path, "sn-in-place")
        await bench.write(handle, "later", "after the snapshot")
        await bench.write_state(handle, "secret", "stays")
        snapshots = parts(driver)
        await snapshots.prepare(handle, plan, seed, 1, no_progress)
        assert (await driver.inspect(handle)).state is Observed.RUNNING
        assert await snapshots.active(handle) == 0
        await snapshots.activate(handle, plan, 1, GRACE_SECONDS, run=True)
        assert (await driver.inspect(handle)).state is Observed.RUNNING
        assert [seen.state for seen in await driver.list_agents() if seen.uid == plan.uid] == [Observed.RUNNING]
        found = await bench.workspace(handle)
        assert (found["kept"], "later" in found) == ("as it was", False)
        assert await bench.state_file(handle, "secret") == "stays"
        with pytest.raises(Conflict):
            await snapshots.drop(handle, 1)
        await snapshots.activate(handle, plan, 0, GRACE_SECONDS, run=True)
        assert (await bench.workspace(handle))["later"] == "after the snapshot"
        await snapshots.drop(handle, 1)
        await snapshots.drop(handle, 1)
        with pytest.raises(HubError):
            await snapshots.activate(handle, plan, 1, GRACE_SECONDS, run=True)
        assert await snapshots.active(handle) == 0
        assert (await driver.inspect(handle)).state is Observed.RUNNING
        await driver.destroy(handle)
        await self.discard(driver, "sn-in-place")
        assert await bench.leftovers(plan) == []

    async def test_a_destroy_takes_all_generations(self, bench: SnapshotBench, driver: Driver, tmp_path: Path) -> None:
        plan, handle, seed = await self.saved(bench, driver, tmp_path, "sn-all")
        await parts(driver).prepare(handle, plan, seed, 1, no_progress)
        await parts(driver).activate(handle, plan, 1, GRACE_SECONDS, run=True)
        await parts(driver).prepare(handle, plan, seed, 2, no_progress)
        await driver.destroy(handle)
        assert await bench.leftovers(plan) == []
        with pytest.raises(AgentGone):
            await parts(driver).active(handle)
        await self.discard(driver, "sn-all")

    async def test_a_damaged_archive_changes_nothing(
        self, bench: SnapshotBench, driver: Driver, tmp_path: Path
    ) -> None:
        plan, handle, seed = await self.saved(bench, driver, tmp_path, "sn-damaged")
        with seed.archive.open("r+b") as file:
            file.seek(1_100)
            file.write(b"?")
        with pytest.raises(HubError) as refused:
            await parts(driver).prepare(handle, plan, seed, 1, no_progress)
        assert refused.value.code == "snapshot_damaged"
        other = await bench.other_plan(plan)
        with pytest.raises(HubError):
            await driver.create(other, no_progress, seed)
        assert await bench.leftovers(other) == []
        assert (await driver.inspect(handle)).state is Observed.RUNNING
        with pytest.raises(HubError):
            await parts(driver).activate(handle, plan, 1, GRACE_SECONDS, run=True)
        await self.discard(driver, "sn-damaged")

    async def test_what_is_not_there_is_said(self, driver: Driver, bench: SnapshotBench, tmp_path: Path) -> None:
        plan = bench.plan()
        handle = await driver.create(plan, no_progress)
        await driver.destroy(handle)
        with pytest.raises(AgentGone):
            await parts(driver).estimate(handle)
        with pytest.raises(AgentGone):
            await parts(driver).capture(handle, order_for(tmp_path, "sn-gone"), no_progress)
        await parts(driver).discard("sn-gone")
        await parts(driver).sweep()
        assert await bench.saved_leftovers("sn-gone") == []

    async def test_a_capture_that_is_cancelled_lets_the_agent_go_on(
        self, bench: SnapshotBench, driver: Driver, tmp_path: Path
    ) -> None:
        handle = await driver.create(bench.plan(), no_progress)
        await bench.write(handle, "big", "x" * 1_000_000)
        order = order_for(tmp_path, "sn-cancelled")

        async def capture() -> None:
            await parts(driver).capture(handle, order, no_progress)

        async with asyncio.TaskGroup() as group:
            running = group.create_task(capture())

            async def begun() -> bool:
                return any(order.folder.iterdir()) or running.done()

            await wait_until(begun, "the archive is begun")
            running.cancel()
        assert (await driver.inspect(handle)).state is Observed.RUNNING
        await self.discard(driver, "sn-cancelled")
        assert await bench.saved_leftovers("sn-cancelled") == []
