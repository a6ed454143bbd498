"""Taking a snapshot: a row, then everything into a folder of another name, checked, and then both become complete."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import structlog
from msgspec.structs import replace

from hub.archives.index import Entry, read_index, write_entries, write_index
from hub.archives.unpack import check
from hub.archives.work import Meter
from hub.core.effects import Effect, Kind, Publish, Save
from hub.core.model import Agent, Consistency, Desired, Job, Observed, Snapshot, SnapshotState
from hub.core.view import rfc3339
from hub.drivers.base import AgentHandle
from hub.drivers.snapshots import Captured, CaptureOrder, Estimate, Snapshotter
from hub.errors import Conflict, DriverFailed, HubError, NotFound, StorageFull
from hub.jobs import JobHandle
from hub.snapshots.room import Room, check_name, profile_hash, shown_plan
from hub.snapshots.shelf import SYSTEM_INDEX, WORKSPACE_INDEX, Manifest, SavedVolume

KIND: Final = "snapshot"
CAPTURED: Final = 0.7
"""Of the progress; the rest is reading it all again."""
SPARE_BYTES: Final = 32 * 2**20
"""Room that a snapshot leaves on the hub's disk: the registry must be able to go on."""
MIB: Final = 2**20
ESTIMATES_AT_ONCE: Final = 4
"""Each walks through a whole workspace, with Docker in a container of its own."""

log = structlog.get_logger("hub.snapshots")


class Request(msgspec.Struct, frozen=True):
    """What a job's row keeps, to be finished or undone later."""

    snapshot: str


class Taking:
    """Makes snapshots, and finishes or undoes those of a killed hub."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._estimates = asyncio.Semaphore(ESTIMATES_AT_ONCE)

    async def estimate(self, agent: Agent) -> Estimate:
        """Return what a snapshot would take now; anybody who may look may ask, so only some are made at a time."""
        snapshotter, handle = self._room.part_of(agent)
        async with self._estimates:
            return await snapshotter.estimate(handle)

    async def start(
        self, agent: Agent, name: str, consistency: Consistency, by: str, *, scheduled: bool = False
    ) -> tuple[Job, Snapshot]:
        """Commit a snapshot that is about to be made and start making it."""
        room, kernel = self._room, self._room.kernel
        kernel.check_writable()
        room.part_of(agent)
        _check_possible(agent)
        async with room.names.hold(("snapshot", agent.id)):
            taken = {one.name for one in await room.of_agent(agent.id)}
            chosen = check_name(name) if name else _free_name(taken, kernel.now().wall_ms)
            if chosen in taken:
                raise Conflict(
                    f"agent {agent.id} has a snapshot {chosen} already",
                    code="snapshot_exists",
                    hint="Choose another name, or delete that one.",
                )
            snapshot = await self._new(agent, chosen, consistency, by, scheduled)
            effects: list[Effect] = [
                Save(snapshot),
                Publish(Kind.SNAPSHOT, snapshot.id),
                kernel.audited(by, "snapshot.create", agent.id, detail=f"{agent.id}:{chosen} ({snapshot.id})"),
            ]
            request = msgspec.json.encode(Request(snapshot.id)).decode()
            job = await room.jobs.start(
                KIND, agent.id, by, lambda job: self._take(agent, snapshot, job), effects=effects, request=request
            )
        return job, snapshot

    async def _new(self, agent: Agent, name: str, consistency: Consistency, by: str, scheduled: bool) -> Snapshot:
        room = self._room
        line = await room.line(agent)
        return Snapshot(
            id=room.kernel.clock.new_id("sn"),
            agent_id=agent.id,
            agent_uid=agent.uid,
            name=name,
            driver=agent.driver,
            created_at=room.kernel.now().wall_ms,
            consistency=consistency,
            parent=line.parent,
            template=template_of(agent),
            profile_hash=profile_hash(room.plan(agent)),
            scheduled=scheduled,
            by=by,
        )

    # --- the work

    async def _take(self, agent: Agent, snapshot: Snapshot, job: JobHandle) -> dict[str, Any]:
        try:
            manifest = await self._save(agent, snapshot, job)
            ready = await self._complete(agent, snapshot, manifest)
        except BaseException as exc:
            await self._undo(snapshot, exc)
            raise
        return {
            "snapshotId": ready.id, "name": ready.name, "agentId": agent.id, "sizeBytes": ready.size_bytes,
            "notes": list(ready.notes),
        }  # fmt: skip

    async def _save(self, agent: Agent, snapshot: Snapshot, job: JobHandle) -> Manifest:
        room = self._room
        snapshotter, handle = room.part_of(room.acts.present(agent.id, agent.uid))
        job.progress(0.01, f"measuring {agent.id}")
        estimate = await snapshotter.estimate(handle)
        await self._check_room(estimate)
        about = f"{estimate.volume_bytes / MIB:.1f} MiB of workspace"
        if estimate.image_bytes:
            about += f" and {estimate.image_bytes / MIB:.1f} MiB of image"
        job.progress(0.03, f"about {about}")
        captured = await self._capture(agent, snapshot, estimate, snapshotter, handle, job)
        return await self._check_and_finish(agent, snapshot, captured, job)

    async def _check_room(self, estimate: Estimate) -> None:
        free = await self._room.workers.run(self._room.shelf.free_bytes)
        if estimate.volume_bytes + SPARE_BYTES > free:
            raise StorageFull(
                f"about {estimate.volume_bytes / MIB:.1f} MiB are needed in {self._room.shelf.folder}, "
                f"{free / MIB:.1f} MiB are free",
                hint="Delete snapshots (`clawtui snapshots list`) or make room on the hub's disk.",
            )

    async def _capture(
        self, agent: Agent, snapshot: Snapshot, estimate: Estimate, snapshotter: Snapshotter, handle: AgentHandle,
        job: JobHandle,
    ) -> Captured:  # fmt: skip
        room = self._room
        order = CaptureOrder(
            snapshot_id=snapshot.id,
            folder=await room.workers.run(room.shelf.begin, snapshot.id),
            consistency=snapshot.consistency,
            grace_seconds=room.kernel.config.timing.stop_grace_seconds,
            expected_bytes=estimate.volume_bytes,
        )
        async with room.held_still(agent):
            return await snapshotter.capture(
                handle, order, lambda done, line: job.progress(0.05 + done * (CAPTURED - 0.05), line)
            )

    async def _check_and_finish(self, agent: Agent, snapshot: Snapshot, captured: Captured, job: JobHandle) -> Manifest:
        """Read back what was written, list it, and give the folder its name."""
        room = self._room
        folder = room.shelf.growing(snapshot.id)
        volumes: list[SavedVolume] = []
        for volume in captured.volumes:
            total = max(volume.size_bytes if volume.read_back else 2 * volume.size_bytes, 1)

            def watch(done: int, total: int = total) -> None:
                job.progress(CAPTURED + min(done / total, 1.0) * (0.98 - CAPTURED), "reading it all again")

            if not volume.read_back:
                await room.workers.watched(watch, check, folder / volume.file, volume.sha256)
            listed = await room.workers.watched(
                watch, write_index, folder / volume.file, folder / WORKSPACE_INDEX, "/workspace"
            )
            volumes.append(
                SavedVolume(
                    volume=volume.volume, target=volume.target, file=volume.file, sha256=volume.sha256,
                    size_bytes=volume.size_bytes, content_bytes=listed.bytes, files=listed.files,
                    devices=listed.devices,
                )
            )  # fmt: skip
        await room.workers.run(self._write_system_index, captured, folder / SYSTEM_INDEX)
        manifest = self._manifest(agent, snapshot, captured, tuple(volumes))
        await room.workers.run(room.shelf.finish, manifest)
        return manifest

    def _write_system_index(self, meter: Meter, captured: Captured, target: Any) -> None:
        """What differs from the plain image: what the snapshot below differs in, and what was changed since."""
        below = self._room.shelf.path(captured.made_from) / SYSTEM_INDEX if captured.made_from else None
        entries = {entry.path: entry for entry in (read_index(below) if below is not None else ())}
        for change in captured.system:
            base = entries[change.path].base if change.path in entries else change.base
            entries[change.path] = Entry(change.path, change.kind, change.size, change.mode, change.digest, base)
        write_entries(meter, entries.values(), target)

    def _manifest(
        self, agent: Agent, snapshot: Snapshot, captured: Captured, volumes: tuple[SavedVolume, ...]
    ) -> Manifest:
        kernel, plan = self._room.kernel, self._room.plan(agent)
        return Manifest(
            id=snapshot.id,
            name=snapshot.name,
            agent_id=agent.id,
            agent_uid=agent.uid,
            hub_id=kernel.feed.hub_id,
            hub_version=kernel.config.version,
            driver=agent.driver,
            created_at=rfc3339(snapshot.created_at) or "",
            consistency=captured.consistency.value,
            parent=snapshot.parent,
            image_parent=captured.made_from or None,
            image=captured.image,
            image_id=captured.image_id,
            image_bytes=captured.image_bytes,
            base_image=captured.base_image,
            profile=agent.profile,
            profile_hash=snapshot.profile_hash,
            plan=shown_plan(plan),
            volumes=volumes,
            notes=captured.notes,
        )

    async def _complete(self, agent: Agent, snapshot: Snapshot, manifest: Manifest) -> Snapshot:
        """Commit the complete snapshot; the agent stands at it from now on."""
        room = self._room
        ready = replace(
            snapshot,
            state=SnapshotState.READY,
            consistency=Consistency(manifest.consistency),
            image=manifest.image,
            image_id=manifest.image_id,
            image_bytes=manifest.image_bytes,
            base_image=manifest.base_image,
            image_parent=manifest.image_parent,
            volume_bytes=manifest.volume_bytes,
            files=manifest.files,
            notes=manifest.notes,
        )
        present = room.kernel.fleet.agents.get(agent.id)
        if present is None or present.uid != agent.uid:
            await room.keep(ready)
        else:
            room.sizes[ready.id] = ready.size_bytes
            changed = (Save(ready), Publish(Kind.SNAPSHOT, ready.id))
            await room.change_line(agent, lambda line: replace(line, parent=ready.id), *changed)
        return ready

    # --- what did not work out

    async def _undo(self, snapshot: Snapshot, why: BaseException) -> None:
        """Remove everything of it; what cannot be removed now is named and removed later."""
        left = await self.remove(snapshot)
        if not left:
            return
        log.warning("snapshot_left", snapshot=snapshot.id, left=left)
        raise DriverFailed(
            f"{why}; this could not be removed yet: {left}",
            code=why.code if isinstance(why, HubError) else None,
            hint="It is removed as soon as that is possible.",
        ) from why

    async def remove(self, snapshot: Snapshot) -> str:
        """Remove all of a snapshot that is not to be; returns what is left, "" for nothing. Never raises HubError."""
        room = self._room
        left: list[str] = []
        try:
            _, snapshotter = room.part(snapshot.driver)
            await snapshotter.discard(snapshot.id)
        except HubError as exc:
            left.append(f"its image and helpers on the platform ({exc.message})")
        try:
            await room.workers.run(room.shelf.remove, snapshot.id)
        except HubError as exc:
            left.append(f"its folder {room.shelf.path(snapshot.id)} ({exc.message})")
        try:
            if left:
                await room.keep(replace(snapshot, state=SnapshotState.BROKEN, reason="; ".join(left)))
            else:
                await room.forget(snapshot)
        except HubError as exc:
            # The next start finds the row as it was.
            left.append(f"its row ({exc.message})")
        return "; ".join(left)

    async def resume(self, job: JobHandle) -> dict[str, Any]:
        """Finish a snapshot whose folder is complete; undo any other."""
        room = self._room
        snapshot = await room.kernel.registry.snapshot(request_of(job.job).snapshot)
        if snapshot is None:
            raise DriverFailed("the snapshot was not finished; everything of it was removed", code="interrupted")
        if snapshot.state is SnapshotState.CREATING:
            manifest = await room.workers.run(room.shelf.read, snapshot.id)
            if manifest is None:
                left = await self.remove(snapshot)
                rest = f"this is left: {left}" if left else "everything of it was removed"
                raise DriverFailed(f"the snapshot was not finished; {rest}", code="interrupted")
            snapshot = await self._complete(snapshot.template, snapshot, manifest)
        return {"snapshotId": snapshot.id, "name": snapshot.name, "agentId": snapshot.agent_id}


def request_of(job: Job) -> Request:
    try:
        return msgspec.json.decode(job.request, type=Request)
    except msgspec.MsgspecError as exc:
        raise NotFound("this job's request cannot be read") from exc


def template_of(agent: Agent) -> Agent:
    """Return the agent's record without what belongs to this incarnation only."""
    return Agent(
        id=agent.id,
        uid=agent.uid,
        created_at=agent.created_at,
        display_name=agent.display_name,
        type=agent.type,
        driver=agent.driver,
        profile=agent.profile,
        capabilities=agent.capabilities,
        labels=agent.labels,
        concurrency=agent.concurrency,
        spec=agent.spec,
        restart=agent.restart,
    )


def _free_name(taken: set[str], now_ms: int) -> str:
    base = datetime.fromtimestamp(now_ms / 1000, UTC).strftime("%Y%m%d-%H%M%S")
    return next(name for name in (base, *(f"{base}-{number}" for number in range(2, 10_000))) if name not in taken)


def _check_possible(agent: Agent) -> None:
    if agent.desired is Desired.ABSENT:
        raise Conflict(f"agent {agent.id} is being destroyed", agent=agent.id)
    if agent.observed not in (Observed.RUNNING, Observed.EXITED, Observed.PAUSED):
        raise Conflict(f"agent {agent.id} is {agent.observed.value}: there is nothing to save yet", agent=agent.id)
