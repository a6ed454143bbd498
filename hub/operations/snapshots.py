"""Operations on snapshots."""

from __future__ import annotations

from hub.contract import (
    DiffEntry,
    DiffQuery,
    ForkRequest,
    JobView,
    SnapshotDiff,
    SnapshotEstimate,
    SnapshotList,
    SnapshotPlace,
    SnapshotQuery,
    SnapshotSchedule,
    SnapshotView,
    TakeSnapshot,
)
from hub.core.model import Agent, Schedule, Snapshot, SnapshotLine
from hub.core.view import job_view, rfc3339
from hub.errors import BadRequest, Conflict
from hub.operations.base import Operations, check_limit


class SnapshotOperations(Operations):
    """See `hub.control.Control`."""

    async def snapshots(self, query: SnapshotQuery) -> SnapshotList:
        page, following = await self._kernel.registry.snapshots(query.agent, check_limit(query.limit), query.cursor)
        places = await self._places()
        return SnapshotList(snapshots=[snapshot_view(one, places) for one in page], next=following)

    async def snapshot(self, reference: str) -> SnapshotView:
        return snapshot_view(await self._inside.snapshots.room.find(reference), await self._places())

    async def _places(self) -> set[tuple[str, str]]:
        """Living agents' names, each with the snapshot at which it stands; a fork stands at its parent's."""
        lines = await self._kernel.registry.snapshot_lines()
        living = {agent.uid for agent in self._kernel.fleet.agents.values()}
        return {(line.agent_id, line.parent) for line in lines if line.parent is not None and line.uid in living}

    async def estimate_snapshot(self, agent_id: str) -> SnapshotEstimate:
        room = self._inside.snapshots.room
        agent = self._kernel.fleet.agent(agent_id)
        found = await self._inside.snapshots.taking.estimate(agent)
        free = await room.workers.run(room.shelf.free_bytes)
        return SnapshotEstimate(
            agent_id=agent.id, volume_bytes=found.volume_bytes, image_bytes=found.image_bytes, free_bytes=free
        )

    async def take_snapshot(self, agent_id: str, request: TakeSnapshot) -> JobView:
        agent = self._kernel.fleet.agent(agent_id)
        job, _ = await self._inside.snapshots.taking.start(agent, request.name, request.consistency, self._who)
        return job_view(job)

    async def delete_snapshot(self, reference: str) -> JobView:
        self._kernel.check_writable()
        snapshots = self._inside.snapshots
        return job_view(await snapshots.deleting.start(await snapshots.room.find(reference), self._who))

    async def diff_snapshots(self, reference: str, query: DiffQuery) -> SnapshotDiff:
        if not query.other:
            raise BadRequest("`other` names the snapshot to compare with", field="other")
        snapshots = self._inside.snapshots
        before, after = await snapshots.room.ready(reference), await snapshots.room.ready(query.other)
        found = await snapshots.diff(before, after, query.limit)
        return SnapshotDiff(
            before=before.id,
            after=after.id,
            entries=[
                DiffEntry(
                    path=one.path,
                    change=one.change.value,
                    kind=one.kind,
                    what=one.what,
                    before_bytes=one.before_bytes,
                    after_bytes=one.after_bytes,
                )
                for one in found.entries
            ],
            counts={change.value: count for change, count in found.counts.items()},
            bytes_added=found.bytes_added,
            bytes_removed=found.bytes_removed,
            truncated=found.truncated,
            base_image_changed=before.base_image != after.base_image,
        )

    async def restore(self, reference: str) -> JobView:
        self._kernel.check_writable()
        snapshots = self._inside.snapshots
        snapshot = await snapshots.room.ready(reference)
        agent = self._kernel.fleet.agents.get(snapshot.agent_id)
        if agent is None:
            return job_view(await snapshots.forking.make_again(snapshot, self._who))
        return job_view(await snapshots.restoring.start(agent, snapshot, self._who))

    async def undo_restore(self, agent_id: str) -> JobView:
        self._kernel.check_writable()
        agent = self._kernel.fleet.agent(agent_id)
        return job_view(await self._inside.snapshots.restoring.undo(agent, self._who))

    async def fork(self, reference: str, request: ForkRequest) -> JobView:
        self._kernel.check_writable()
        if request.names and request.count not in (0, len(request.names)):
            raise BadRequest("`count` and the number of `names` differ", field="count")
        snapshots = self._inside.snapshots
        snapshot = await snapshots.room.ready(reference)
        count = request.count or len(request.names) or 1
        return job_view(await snapshots.forking.fork(snapshot, count, request.names, self._who))

    async def snapshot_place(self, agent_id: str) -> SnapshotPlace:
        agent = self._kernel.fleet.agent(agent_id)
        return self._place(agent, await self._inside.snapshots.room.line(agent))

    async def schedule_snapshots(self, agent_id: str, schedule: SnapshotSchedule) -> SnapshotPlace:
        self._kernel.check_writable()
        agent = self._kernel.fleet.agent(agent_id)
        if not agent.driver:
            raise Conflict(f"agent {agent.id} was registered by hand: nobody can save it", code="no_driver")
        wanted = None
        if schedule.interval_seconds:
            wanted = Schedule(
                interval_seconds=schedule.interval_seconds,
                keep_last=schedule.keep_last,
                keep_days=schedule.keep_days,
                consistency=schedule.consistency,
            )
        return self._place(agent, await self._inside.snapshots.keeping.schedule(agent, wanted, self._who))

    def _place(self, agent: Agent, line: SnapshotLine) -> SnapshotPlace:
        known = line.schedule
        schedule = SnapshotSchedule()
        if known is not None:
            schedule = SnapshotSchedule(
                interval_seconds=known.interval_seconds,
                keep_last=known.keep_last,
                keep_days=known.keep_days,
                consistency=known.consistency,
            )
        return SnapshotPlace(
            agent_id=agent.id,
            parent=line.parent,
            undo_until=rfc3339(line.undo_until),
            schedule=schedule,
            next_at=rfc3339(line.next_at),
        )


def snapshot_view(snapshot: Snapshot, places: set[tuple[str, str]]) -> SnapshotView:
    """Return the snapshot as front ends show it."""
    return SnapshotView(
        id=snapshot.id,
        agent_id=snapshot.agent_id,
        name=snapshot.name,
        consistency=snapshot.consistency,
        created_at=rfc3339(snapshot.created_at) or "",
        size_bytes=snapshot.size_bytes,
        parent=snapshot.parent,
        state=snapshot.state,
        agent_uid=snapshot.agent_uid,
        driver=snapshot.driver,
        profile=snapshot.template.profile,
        profile_hash=snapshot.profile_hash,
        image=snapshot.image,
        image_parent=snapshot.image_parent,
        image_bytes=snapshot.image_bytes,
        volume_bytes=snapshot.volume_bytes,
        files=snapshot.files,
        scheduled=snapshot.scheduled,
        current=(snapshot.agent_id, snapshot.id) in places,
        by=snapshot.by,
        notes=list(snapshot.notes),
        reason=snapshot.reason or None,
    )
