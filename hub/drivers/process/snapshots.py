"""Saving process agents and making them again: an archive of the workspace folder.

The state folder is never touched. A generation that is not active lies beside the workspace, so to change places is
two renames; the record says before the first one where they lead, and whoever looks next finishes them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Protocol

import msgspec

from hub.archives.pack import pack, used_bytes
from hub.archives.unpack import check, unpack
from hub.archives.work import Meter, Workers
from hub.core.model import AgentUid, Consistency
from hub.drivers.base import AgentHandle, AgentPlan, Progress
from hub.drivers.process import processes
from hub.drivers.process.folder import AgentFolder, Record, remove_tree
from hub.drivers.process.keeper import NAME, Keeper, running
from hub.drivers.process.launch import marker_of
from hub.drivers.process.pool import Pool
from hub.drivers.snapshots import (
    WORKSPACE_ARCHIVE,
    Captured,
    CaptureOrder,
    Estimate,
    Seed,
    VolumeArchive,
    archive_progress,
)
from hub.errors import Conflict, DriverFailed


class Life(Protocol):
    """What the driver does for snapshots; the `_held` ones are for whoever holds the agent's lock."""

    def lock(self, uid: AgentUid) -> AbstractAsyncContextManager[object]: ...

    def folder_of(self, handle: AgentHandle) -> AgentFolder: ...

    async def stop_held(self, folder: AgentFolder, grace_seconds: float) -> Record: ...

    async def start_held(self, folder: AgentFolder, record: Record) -> None: ...


class ProcessSnapshots:
    """See `hub.drivers.snapshots.Snapshotter`."""

    def __init__(self, life: Life, keeper: Keeper, pool: Pool) -> None:
        self._life = life
        self._keeper = keeper
        self._pool = pool
        self._workers = Workers("process-archives")

    def close(self) -> None:
        self._workers.close()

    async def estimate(self, handle: AgentHandle) -> Estimate:
        folder = self._life.folder_of(handle)
        await self._pool.run(self._keeper.present, folder)
        return Estimate(await self._workers.run(used_bytes, folder.workspace))

    async def capture(self, handle: AgentHandle, order: CaptureOrder, progress: Progress) -> Captured:
        folder = self._life.folder_of(handle)
        target = order.folder / WORKSPACE_ARCHIVE
        async with self._life.lock(folder.uid), self._still(folder, order) as consistency:
            watch = archive_progress(progress, order.expected_bytes)
            packed = await self._workers.watched(watch, pack, folder.workspace, target)
        archive = VolumeArchive("workspace", str(folder.workspace), WORKSPACE_ARCHIVE, packed.sha256, packed.size_bytes)
        return Captured(volumes=(archive,), consistency=consistency, notes=packed.notes)

    @asynccontextmanager
    async def _still(self, folder: AgentFolder, order: CaptureOrder) -> AsyncIterator[Consistency]:
        """Hold the agent still as the order says; afterwards it is as it was before."""
        record = await self._pool.run(self._keeper.present, folder)
        leader = running(record)
        info = processes.find(leader) if leader is not None else None
        if leader is None or info is None:
            yield Consistency.CLEAN
        elif info.frozen:
            yield Consistency.CRASH
        elif order.consistency is Consistency.CLEAN:
            try:
                await self._life.stop_held(folder, order.grace_seconds)
                yield Consistency.CLEAN
            finally:
                # A stop that was cut short has told it to end: only when it has, it can be started.
                await self._life.stop_held(folder, order.grace_seconds)
                await self._life.start_held(folder, await self._pool.run(self._keeper.present, folder))
        else:
            marker = marker_of(folder)
            try:
                if not await self._pool.run(processes.freeze_all, marker, leader):
                    raise DriverFailed(
                        f"some processes of {folder.agent_id} went on running",
                        hint="They belong to another user, or start children too fast. Take it clean, which stops it.",
                        agent=folder.agent_id,
                        driver=NAME,
                    )
                yield Consistency.CRASH
            finally:
                await self._pool.run(processes.thaw_all, marker, leader)

    async def discard(self, snapshot_id: str) -> None:
        """Nothing of a snapshot is outside the hub's own folder."""

    async def sweep(self) -> None:
        """There are no helpers."""

    # --- generations

    async def plant(self, folder: AgentFolder, seed: Seed, progress: Progress) -> None:
        """Fill the workspace of an agent that is being made."""
        await self._pool.run(folder.workspace.rmdir)
        await self._unpack(seed, folder.workspace, progress)

    async def prepare(
        self, handle: AgentHandle, plan: AgentPlan, seed: Seed, generation: int, progress: Progress
    ) -> None:
        folder = self._life.folder_of(handle)
        await self.drop(handle, generation)
        half = folder.path / f".workspace.g{generation}.new"
        if await self._pool.run(half.exists):
            await self._pool.run(remove_tree, half)
        try:
            await self._unpack(seed, half, progress)
        except BaseException:
            if await self._pool.run(half.exists):
                await self._pool.run(remove_tree, half)
            raise
        await self._pool.run(half.rename, folder.aside(generation))

    async def _unpack(self, seed: Seed, target: Path, progress: Progress) -> None:
        watch = archive_progress(progress, seed.size_bytes * 2)
        await self._workers.watched(watch, _checked_unpack, seed, target)

    async def active(self, handle: AgentHandle) -> int:
        record = await self._pool.run(self._keeper.present, self._life.folder_of(handle))
        return record.generation if record.switching is None else record.switching

    async def activate(
        self, handle: AgentHandle, plan: AgentPlan, generation: int, grace_seconds: float, *, run: bool
    ) -> None:
        folder = self._life.folder_of(handle)
        async with self._life.lock(folder.uid):
            record = await self._pool.run(self._keeper.present, folder)
            if record.switching is not None or record.generation != generation:
                await self._pool.run(_check_there, folder, record, generation)
                await self._life.stop_held(folder, grace_seconds)
                record = await self._pool.run(switch, folder, generation)
            if run:
                await self._life.start_held(folder, record)

    async def drop(self, handle: AgentHandle, generation: int) -> None:
        folder = self._life.folder_of(handle)
        async with self._life.lock(folder.uid):
            record = await self._pool.run(self._keeper.present, folder)
            if generation in (record.generation, record.switching):
                raise Conflict(f"generation {generation} of {folder.agent_id} is the active one", driver=NAME)
            await self._pool.run(_remove, folder.aside(generation))


def _checked_unpack(meter: Meter, seed: Seed, target: Path) -> None:
    check(meter, seed.archive, seed.sha256)
    unpack(meter, seed.archive, target)


def _remove(path: Path) -> None:
    if path.exists():
        remove_tree(path)


def _check_there(folder: AgentFolder, record: Record, generation: int) -> None:
    """Raises DriverFailed when there is no such generation; the agent runs on then."""
    if generation not in (record.generation, record.switching) and not folder.aside(generation).is_dir():
        raise DriverFailed(
            f"generation {generation} of {folder.agent_id}'s workspace is not there", retryable=False, driver=NAME
        )


def switch(folder: AgentFolder, generation: int) -> Record:
    """Let a generation take the workspace's place; the agent does not run. Blocks. Returns the record."""
    record = folder.read()
    if record is None:
        raise folder.foreign()
    record = finish_switch(folder, record)
    if record.generation == generation:
        return record
    record = msgspec.structs.replace(record, switching=generation)
    folder.write(record)
    return finish_switch(folder, record)


def finish_switch(folder: AgentFolder, record: Record) -> Record:
    """Finish a change of places that was begun, by this hub or one that was killed. Blocks."""
    if record.switching is None:
        return record
    here, there = folder.aside(record.generation), folder.aside(record.switching)
    if there.exists():
        if not here.exists():
            folder.workspace.rename(here)
        there.rename(folder.workspace)
    done = msgspec.structs.replace(record, generation=record.switching, switching=None)
    folder.write(done)
    return done
