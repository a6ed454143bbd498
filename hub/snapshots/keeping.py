"""What happens to snapshots by themselves: schedules, retention, the end of an undo, and what is left to remove.

After a time without the hub an agent gets one snapshot, however many it has missed, and the next one an interval
later; those of several agents are taken one after the other.
"""

from __future__ import annotations

import asyncio
from typing import Final

import structlog
from msgspec.structs import replace

from hub.core.effects import Delete
from hub.core.model import Agent, JobId, Observed, Schedule, Snapshot, SnapshotLine, SnapshotState
from hub.errors import BadRequest, HubError
from hub.snapshots import deleting
from hub.snapshots.deleting import Deleting
from hub.snapshots.restoring import Restoring
from hub.snapshots.room import Room
from hub.snapshots.taking import Taking
from hub.surviving import surviving

SHORTEST_SECONDS: Final = 60
DAY_MS: Final = 86_400_000
BY: Final = "hub"

log = structlog.get_logger("hub.snapshots")


class Keeping:
    """Looks now and then at every agent that has anything to do with snapshots."""

    def __init__(self, room: Room, taking: Taking, restoring: Restoring, deletes: Deleting) -> None:
        self._room = room
        self._taking = taking
        self._restoring = restoring
        self._deleting = deletes
        self._taken: JobId | None = None

    async def schedule(self, agent: Agent, schedule: Schedule | None, by: str) -> SnapshotLine:
        """Take snapshots of the agent from now on, or no more. Raises BadRequest."""
        if schedule is not None:
            if schedule.interval_seconds < SHORTEST_SECONDS:
                raise BadRequest(f"the shortest interval is {SHORTEST_SECONDS} seconds", field="intervalSeconds")
            self._room.part_of(agent)
        now_ms = self._room.kernel.now().wall_ms
        due = None if schedule is None else now_ms + schedule.interval_seconds * 1000
        detail = "off" if schedule is None else f"every {schedule.interval_seconds} s"
        audit = self._room.kernel.audited(by, "snapshot.schedule", agent.id, detail=detail)
        return await self._room.change_line(agent, lambda line: replace(line, schedule=schedule, next_at=due), audit)

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            harm = "schedules and clean-up of snapshots do not work"
            with surviving(self._room.kernel.notices, self._room.kernel.now, "snapshots_broken", harm):
                await self._tick_kept()
            await asyncio.sleep(self._room.kernel.config.timing.snapshots_seconds)

    async def _tick_kept(self) -> None:
        try:
            await self.tick()
        except HubError as exc:
            # The disk may be full; what is due stays due.
            log.warning("snapshots_not_kept", error=exc.message)

    async def tick(self) -> None:
        """Do what is due now."""
        room = self._room
        if not room.kernel.writable:
            return
        for line in await room.kernel.registry.snapshot_lines():
            agent = room.kernel.fleet.agents.get(line.agent_id)
            if agent is None or agent.uid != line.uid:
                # The agent was destroyed; its snapshots stay.
                await room.kernel.commit([Delete(line)])
                continue
            await self._look(agent, line)
        await self._remove_broken()

    async def _look(self, agent: Agent, line: SnapshotLine) -> None:
        room, now_ms = self._room, self._room.kernel.now().wall_ms
        try:
            expired = line.undo_until is not None and line.undo_until <= now_ms
            if (expired or line.stale) and not room.acts.is_busy(agent.uid):
                async with room.acts.hold(agent.uid):
                    if expired:
                        line = await room.change_line(agent, lambda line: _expired(line, now_ms))
                    line = await self._restoring.drop_stale(agent, line)
            if line.schedule is not None:
                await self._scheduled(agent, line, line.schedule, now_ms)
                await self._retain(agent, line.schedule, now_ms)
        except HubError as exc:
            log.warning("snapshots_not_kept", agent=agent.id, error=exc.message)

    async def _scheduled(self, agent: Agent, line: SnapshotLine, schedule: Schedule, now_ms: int) -> None:
        interval_ms = schedule.interval_seconds * 1000
        due = line.next_at or now_ms + interval_ms
        if due > now_ms + interval_ms:
            # The clock was set back: never later than an interval from now.
            await self._room.change_line(agent, lambda line: replace(line, next_at=now_ms + interval_ms))
            return
        # One that does not run has changed nothing; it gets its snapshot when it runs again.
        if due > now_ms or agent.observed is not Observed.RUNNING or self._is_taking():
            return
        await self._room.change_line(agent, lambda line: replace(line, next_at=now_ms + interval_ms))
        job, _ = await self._taking.start(agent, "", schedule.consistency, BY, scheduled=True)
        self._taken = job.id

    def _is_taking(self) -> bool:
        return self._taken is not None and self._room.jobs.running(self._taken) is not None

    async def _retain(self, agent: Agent, schedule: Schedule, now_ms: int) -> None:
        """Delete scheduled snapshots that are too many or too old; the newest stays, others are never touched."""
        kept = [one for one in await self._room.of_agent(agent.id) if one.scheduled and one.state is READY]
        for snapshot in outlived(kept, schedule, now_ms):
            if await self._deleting.in_use(snapshot) or self._room.jobs.running_of(agent.id, deleting.KIND):
                continue
            await self._deleting.start(snapshot, BY)

    async def _remove_broken(self) -> None:
        """What could not be removed when it failed."""
        busy = self._deleting.under_way
        for snapshot in await self._room.kernel.registry.all_snapshots():
            if snapshot.state is SnapshotState.BROKEN and snapshot.id not in busy:
                left = await self._taking.remove(snapshot)
                log.info("snapshot_removed", snapshot=snapshot.id, left=left)


READY: Final = SnapshotState.READY


def outlived(newest_first: list[Snapshot], schedule: Schedule, now_ms: int) -> list[Snapshot]:
    """Return which of an agent's scheduled snapshots go. Pure."""
    oldest = now_ms - int(schedule.keep_days * DAY_MS)
    return [
        snapshot
        for place, snapshot in enumerate(newest_first)
        if place > 0
        and (
            (schedule.keep_last and place >= schedule.keep_last)
            or (schedule.keep_days and snapshot.created_at < oldest)
        )
    ]


def _expired(line: SnapshotLine, now_ms: int) -> SnapshotLine:
    if line.undo_generation is None or (line.undo_until or 0) > now_ms:
        return line
    return replace(
        line, undo_generation=None, undo_parent=None, undo_until=None, stale=(*line.stale, line.undo_generation)
    )
