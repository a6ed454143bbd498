"""Restoring an agent in place, and back again: a new generation beside the present one, which takes its place.

The registry's `SnapshotLine` says which generation counts. It changes after the new one came online; until then every
failure, and every start after a killed hub, leads back to the one it names.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, Final

import msgspec
import structlog
from msgspec.structs import replace

from hub.core.model import Agent, Desired, Job, Observed, Snapshot, SnapshotLine
from hub.drivers.base import AgentHandle
from hub.drivers.snapshots import Snapshotter
from hub.errors import Conflict, DriverFailed, HubError, NotFound
from hub.jobs import JobHandle
from hub.snapshots.room import Room

RESTORE: Final = "restore"
UNDO: Final = "restore-undo"
UNDO_MS: Final = 24 * 3_600_000
"""How long what a restore replaced is kept."""

log = structlog.get_logger("hub.snapshots")


class Request(msgspec.Struct, frozen=True):
    """`generation`: to become the active one. `snapshot`: what it is made from; "" for an undo."""

    generation: int
    snapshot: str = ""


class Restoring:
    """Restores in place."""

    def __init__(self, room: Room) -> None:
        self._room = room

    async def start(self, agent: Agent, snapshot: Snapshot, by: str) -> Job:
        """Commit a restore of a living agent and start it."""
        room, kernel = self._room, self._room.kernel
        _check_possible(agent)
        if snapshot.driver != agent.driver:
            raise Conflict(f"the snapshot is of driver {snapshot.driver}, {agent.id} of {agent.driver}")
        room.part_of(agent)
        line = await room.change_line(agent, lambda line: replace(line, newest=line.newest + 1))
        request = Request(line.newest, snapshot.id)
        audit = kernel.audited(by, "agent.restore", agent.id, detail=f"{snapshot.name} ({snapshot.id})")
        return await room.jobs.start(
            RESTORE, agent.id, by, lambda job: self._restore(agent, snapshot, request, job), effects=[audit],
            request=msgspec.json.encode(request).decode(),
        )  # fmt: skip

    async def undo(self, agent: Agent, by: str) -> Job:
        """Commit going back to what the last restore replaced and start it. Raises Conflict when that is gone."""
        room, kernel = self._room, self._room.kernel
        _check_possible(agent)
        line = await room.line(agent)
        if line.undo_generation is None or (line.undo_until or 0) <= kernel.now().wall_ms:
            raise Conflict(
                f"there is no restore of {agent.id} to be undone",
                code="nothing_to_undo",
                hint="What a restore replaced is kept for 24 hours. clawtui snapshots list shows what else there is.",
            )
        request = Request(line.undo_generation)
        return await room.jobs.start(
            UNDO, agent.id, by, lambda job: self._undo(agent, request, job),
            effects=[kernel.audited(by, "agent.restore_undo", agent.id)],
            request=msgspec.json.encode(request).decode(),
        )  # fmt: skip

    # --- the work

    async def _restore(self, agent: Agent, snapshot: Snapshot, request: Request, job: JobHandle) -> dict[str, Any]:
        room = self._room
        async with room.acts.hold(agent.uid):
            present = room.acts.present(agent.id, agent.uid)
            line = await room.line(present)
            snapshotter, handle = room.part_of(present)
            seed = await room.seed(snapshot)
            job.progress(0.02, f"making {agent.id} anew from {snapshot.name}")
            await snapshotter.prepare(
                handle, room.plan(present), seed, request.generation,
                lambda done, line: job.progress(0.05 + done * 0.55, line),
            )  # fmt: skip

            def restored(line: SnapshotLine) -> SnapshotLine:
                until_ms = room.kernel.now().wall_ms + UNDO_MS
                return _restored(line, snapshot, request.generation, until_ms)

            said = "keeping what it replaced for 24 hours"
            line = await self._change_places(present, line, request.generation, job, restored, said)
            await self.drop_stale(present, line)
        return {"agentId": agent.id, "uid": agent.uid, "snapshotId": snapshot.id}

    async def _undo(self, agent: Agent, request: Request, job: JobHandle) -> dict[str, Any]:
        room = self._room
        async with room.acts.hold(agent.uid):
            present = room.acts.present(agent.id, agent.uid)
            line = await room.line(present)
            if line.undo_generation != request.generation:
                raise Conflict("another restore came in between", code="nothing_to_undo")
            said = "removing what it replaces"
            line = await self._change_places(present, line, request.generation, job, _undone, said)
            await self.drop_stale(present, line)
        return {"agentId": agent.id, "uid": agent.uid}

    async def _change_places(
        self,
        agent: Agent,
        line: SnapshotLine,
        generation: int,
        job: JobHandle,
        change: Callable[[SnapshotLine], SnapshotLine],
        said: str,
    ) -> SnapshotLine:
        """Let a generation take the active one's place, then commit `change`, which makes it the one that counts.

        One that does not come online, or is cancelled before it counts, goes back again.
        """
        room = self._room
        snapshotter, handle = room.part_of(agent)
        run = agent.desired is Desired.RUNNING
        grace = room.kernel.config.timing.stop_grace_seconds
        epoch = room.acts.present(agent.id, agent.uid).epoch
        job.progress(0.65, f"stopping {agent.id} and starting the other one")
        try:
            await snapshotter.activate(handle, room.plan(agent), generation, grace, run=run)
            await room.acts.look(room.drivers.get(agent.driver), agent)
            if run:
                await room.acts.wait_online(agent, job, epoch)
            job.progress(0.97, said)
            return await room.change_line(agent, change)
        except BaseException as exc:
            if (decided := await self._decided(agent)).generation == generation:
                # The cancellation came too late: the rest is finished.
                return decided
            await self._go_back(agent, line, generation, exc)
            raise

    async def _decided(self, agent: Agent) -> SnapshotLine:
        """Return where the agent stands, when no commit is under way: one goes on without whoever waits for it."""
        with contextlib.suppress(HubError):
            # Of a commit that failed nothing was kept, so what is read is right then, too.
            await self._room.kernel.settle()
        return await self._room.line(agent)

    async def _go_back(self, agent: Agent, line: SnapshotLine, generation: int, why: BaseException) -> None:
        """Put the generation that counts back into its place and drop the other one, unless it can be undone to."""
        room = self._room
        snapshotter, handle = room.part_of(agent)
        try:
            await self._put_back(agent, line, snapshotter, handle)
            if generation != line.undo_generation:
                await snapshotter.drop(handle, generation)
        except HubError as exc:
            raise DriverFailed(
                f"{why}; going back failed too: {exc.message}",
                hint="It is tried again at the hub's next start.",
                agent=agent.id,
                driver=agent.driver,
            ) from why
        if isinstance(why, HubError):
            raise DriverFailed(
                f"{agent.id} did not come online from the snapshot ({why.message}); it is again as it was before",
                code="restore_undone",
                hint=why.hint,
                agent=agent.id,
                driver=agent.driver,
            ) from why

    async def _put_back(self, agent: Agent, line: SnapshotLine, snapshotter: Snapshotter, handle: AgentHandle) -> None:
        room = self._room
        grace = room.kernel.config.timing.stop_grace_seconds
        run = agent.desired is Desired.RUNNING
        await snapshotter.activate(handle, room.plan(agent), line.generation, grace, run=run)
        await room.acts.look(room.drivers.get(agent.driver), agent)

    async def drop_stale(self, agent: Agent, line: SnapshotLine) -> SnapshotLine:
        """Drop what nobody can go back to any more; what cannot be dropped now is tried again later."""
        if not line.stale:
            return line
        snapshotter, handle = self._room.part_of(agent)
        gone: list[int] = []
        for generation in line.stale:
            try:
                await snapshotter.drop(handle, generation)
                gone.append(generation)
            except HubError as exc:
                log.warning("generation_left", agent=agent.id, generation=generation, error=exc.message)

        def without(line: SnapshotLine) -> SnapshotLine:
            return replace(line, stale=tuple(one for one in line.stale if one not in gone))

        return await self._room.change_line(agent, without)

    # --- after a killed hub

    async def resume(self, job: JobHandle) -> dict[str, Any]:
        """A restore whose generation counts already is done; any other is undone."""
        room = self._room
        request = _request_of(job.job)
        agent = room.kernel.fleet.agents.get(job.job.agent_id) if job.job.agent_id else None
        if agent is None:
            raise NotFound("the agent is gone", code="agent_gone")
        async with room.acts.hold(agent.uid):
            line = await room.line(agent)
            if line.generation == request.generation:
                await self.drop_stale(agent, line)
                return {"agentId": agent.id, "uid": agent.uid, "snapshotId": request.snapshot}
            snapshotter, handle = room.part_of(agent)
            await self._put_back(agent, line, snapshotter, handle)
            if request.generation != line.undo_generation:
                await snapshotter.drop(handle, request.generation)
        raise DriverFailed(f"the restore was not finished; {agent.id} is as it was before", code="interrupted")


def _restored(line: SnapshotLine, snapshot: Snapshot, generation: int, until_ms: int) -> SnapshotLine:
    """Where an agent stands after a restore: what it replaced can come back for a while, what that replaced cannot."""
    return replace(
        line,
        parent=snapshot.id,
        generation=generation,
        undo_generation=line.generation,
        undo_parent=line.parent,
        undo_until=until_ms,
        stale=line.stale if line.undo_generation is None else (*line.stale, line.undo_generation),
    )


def _undone(line: SnapshotLine) -> SnapshotLine:
    return replace(
        line,
        parent=line.undo_parent,
        generation=line.generation if line.undo_generation is None else line.undo_generation,
        undo_generation=None,
        undo_parent=None,
        undo_until=None,
        stale=(*line.stale, line.generation),
    )


def _request_of(job: Job) -> Request:
    try:
        return msgspec.json.decode(job.request, type=Request)
    except msgspec.MsgspecError as exc:
        raise NotFound("this job's request cannot be read") from exc


def _check_possible(agent: Agent) -> None:
    if agent.desired not in (Desired.RUNNING, Desired.STOPPED):
        word = "being destroyed" if agent.desired is Desired.ABSENT else agent.desired.value
        raise Conflict(f"agent {agent.id} is {word}", hint="Resume or stop it first.", agent=agent.id)
    if agent.observed is Observed.CREATING:
        raise Conflict(f"agent {agent.id} is still being made", agent=agent.id)
