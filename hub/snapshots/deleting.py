"""Deleting a snapshot: refused while something is built on its image; what stood at it then stands at its parent."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec.structs import replace

from hub.core.effects import Effect, Kind, Publish, Save
from hub.core.model import Job, Snapshot, SnapshotState
from hub.errors import Conflict
from hub.jobs import JobHandle
from hub.snapshots.room import Room
from hub.snapshots.taking import Request, request_of

KIND: Final = "snapshot-delete"
DELETING: Final = "it is being deleted"


class Deleting:
    """Deletes snapshots."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._under_way: set[str] = set()

    async def in_use(self, snapshot: Snapshot) -> list[Snapshot]:
        """Return the snapshots whose images are built on this one's."""
        return [one for one in await self._room.kernel.registry.all_snapshots() if one.image_parent == snapshot.id]

    @property
    def under_way(self) -> frozenset[str]:
        """The ids of snapshots whose delete runs."""
        return frozenset(self._under_way)

    async def start(self, snapshot: Snapshot, by: str) -> Job:
        """Commit the delete and start it. Raises Conflict."""
        room = self._room
        if snapshot.state is SnapshotState.CREATING or snapshot.id in self._under_way:
            why = DELETING if snapshot.id in self._under_way else "it is still being made; cancel its job instead"
            raise Conflict(f"snapshot {snapshot.agent_id}:{snapshot.name}: {why}", code="snapshot_not_ready")
        if users := await self.in_use(snapshot):
            names = ", ".join(f"{one.agent_id}:{one.name}" for one in users[:10])
            raise Conflict(
                f"snapshot {snapshot.agent_id}:{snapshot.name} is the parent image of {names}",
                code="snapshot_in_use",
                hint="Delete those first.",
            )
        audit = room.kernel.audited(by, "snapshot.delete", f"{snapshot.agent_id}:{snapshot.name}", detail=snapshot.id)
        request = msgspec.json.encode(Request(snapshot.id)).decode()
        self._under_way.add(snapshot.id)
        try:
            return await room.jobs.start(
                KIND, snapshot.agent_id, by, lambda job: self._delete(snapshot, job), effects=[audit], request=request
            )
        except BaseException:
            self._under_way.discard(snapshot.id)
            raise

    async def _delete(self, snapshot: Snapshot, job: JobHandle) -> dict[str, Any]:
        self._under_way.add(snapshot.id)
        try:
            return await self._delete_now(snapshot, job)
        finally:
            self._under_way.discard(snapshot.id)

    async def _delete_now(self, snapshot: Snapshot, job: JobHandle) -> dict[str, Any]:
        room = self._room
        job.progress(0.1, f"removing {snapshot.agent_id}:{snapshot.name}")
        # The image first: only it can be refused, and then nothing has changed.
        await room.part(snapshot.driver)[1].discard(snapshot.id)
        broken = replace(snapshot, state=SnapshotState.BROKEN, reason=DELETING)
        await room.keep(broken)
        job.progress(0.5, "removing its files")
        await room.workers.run(room.shelf.remove, snapshot.id)
        await room.forget(broken, *await self._relinked(snapshot))
        return {"snapshotId": snapshot.id, "name": snapshot.name, "agentId": snapshot.agent_id}

    async def _relinked(self, snapshot: Snapshot) -> list[Effect]:
        """What stood at the snapshot stands at the one before it."""
        registry = self._room.kernel.registry
        effects: list[Effect] = []
        for child in await registry.all_snapshots():
            if child.parent == snapshot.id:
                effects += [Save(replace(child, parent=snapshot.parent)), Publish(Kind.SNAPSHOT, child.id)]
        for line in await registry.snapshot_lines():
            parent = snapshot.parent if line.parent == snapshot.id else line.parent
            undo = snapshot.parent if line.undo_parent == snapshot.id else line.undo_parent
            if (parent, undo) != (line.parent, line.undo_parent):
                effects.append(Save(replace(line, parent=parent, undo_parent=undo)))
        return effects

    async def resume(self, job: JobHandle) -> dict[str, Any]:
        """Finish a delete that a killed hub left."""
        snapshot = await self._room.kernel.registry.snapshot(request_of(job.job).snapshot)
        if snapshot is None:
            return {"snapshotId": request_of(job.job).snapshot}
        return await self._delete(snapshot, job)
