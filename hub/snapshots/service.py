"""All of snapshots, put together for the hub: made once, started with it, stopped with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import structlog

from hub.archives.diff import Difference, Differences, compare
from hub.archives.index import read_index
from hub.archives.work import Meter
from hub.core.model import Job, Snapshot, SnapshotState
from hub.errors import HubError
from hub.jobs import JobHandle, Work
from hub.metrics import Metrics
from hub.snapshots import deleting, forking, restoring, taking
from hub.snapshots.deleting import Deleting
from hub.snapshots.forking import Forking
from hub.snapshots.keeping import Keeping
from hub.snapshots.restoring import Restoring
from hub.snapshots.room import Room
from hub.snapshots.shelf import SYSTEM_INDEX, WORKSPACE_INDEX
from hub.snapshots.taking import Taking

log = structlog.get_logger("hub.snapshots")


class Snapshots:
    """The parts by what they do."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self.taking = Taking(room)
        self.restoring = Restoring(room)
        self.forking = Forking(room)
        self.deleting = Deleting(room)
        self.keeping = Keeping(room, self.taking, self.restoring, self.deleting)
        for kind, resume in (
            (taking.KIND, self.taking.resume),
            (restoring.RESTORE, self.restoring.resume),
            (restoring.UNDO, self.restoring.resume),
            (forking.KIND, self.forking.resume),
            (deleting.KIND, self.deleting.resume),
        ):
            room.acts.resumers[kind] = _resuming(resume)

    async def open(self, unfinished: list[Job]) -> None:
        """Remove what a killed hub left and no job knows of; before anything else of snapshots runs."""
        room = self.room
        known = {snapshot.id: snapshot for snapshot in await room.kernel.registry.all_snapshots()}
        self.room.sizes.update({snapshot.id: snapshot.size_bytes for snapshot in known.values()})
        jobs = {taking.request_of(job).snapshot for job in unfinished if job.kind in (taking.KIND, deleting.KIND)}
        for snapshot_id in await room.workers.run(room.shelf.unfinished):
            if snapshot_id not in jobs and snapshot_id not in known:
                await room.workers.run(room.shelf.remove, snapshot_id)
        for snapshot in known.values():
            if snapshot.state is SnapshotState.CREATING and snapshot.id not in jobs:
                await self.taking.remove(snapshot)
        self.room.kernel.metrics.add_source(self._measure)

    async def run(self) -> None:
        """Sweep the platforms once, then look after everything until cancelled."""
        for driver in self.room.drivers:
            try:
                if driver.snapshots is not None:
                    await driver.snapshots.sweep()
            except HubError as exc:
                log.info("not_swept", driver=driver.name, error=exc.message)
            except Exception:
                # A fault in one driver is no reason to end the hub, and with it all others.
                log.exception("sweep_crashed", driver=driver.name)
        await self.keeping.run()

    def close(self) -> None:
        self.room.workers.close()

    async def diff(self, before: Snapshot, after: Snapshot, limit: int) -> Differences:
        """Return what differs between two snapshots, in the workspace and outside it."""
        return await self.room.workers.run(self._compare, before, after, limit)

    def _compare(self, meter: Meter, before: Snapshot, after: Snapshot, limit: int) -> Differences:
        shelf = self.room.shelf
        found: list[Differences] = []
        for name in (WORKSPACE_INDEX, SYSTEM_INDEX):
            old, new = (read_index(shelf.path(one.id) / name) for one in (before, after))
            found.append(compare(meter, old, new, limit - sum(len(one.entries) for one in found)))
        entries: list[Difference] = [entry for one in found for entry in one.entries]
        counts = {change: sum(one.counts[change] for one in found) for change in found[0].counts}
        return Differences(
            entries,
            counts,
            sum(one.bytes_added for one in found),
            sum(one.bytes_removed for one in found),
            truncated=any(one.truncated for one in found),
        )

    def _measure(self, metrics: Metrics) -> None:
        metrics.set_snapshots(len(self.room.sizes), sum(self.room.sizes.values()))


def _resuming(resume: Callable[[JobHandle], Any]) -> Callable[[Job], Work]:
    return lambda _job: lambda handle: resume(handle)
