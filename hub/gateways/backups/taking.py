"""Taking a backup: the gateway stands still, everything of it is written under another name, checked, and renamed."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog
from msgspec.structs import replace

from hub.archives.guarded import look_through
from hub.archives.pack import pack, used_bytes
from hub.archives.work import Meter, Workers
from hub.contract import InstancePhase
from hub.core.effects import Delete, Effect, Kind, Publish, Save
from hub.core.instances import StoredBackup, StoredInstance
from hub.core.model import Job
from hub.drivers.cells import STOP_GRACE_SECONDS, Bounds, CellState
from hub.errors import DriverFailed, HubError, NotFound, StorageFull
from hub.gateways.backups.shelf import KEYS, ORDER, SHARED, SPARE_BYTES, BackupShelf, Manifest, SavedPart, write_new
from hub.gateways.instances.model import Order, cell_of
from hub.gateways.instances.plan import environment_text
from hub.gateways.instances.room import InstanceRoom
from hub.jobs import JobHandle, Work

KIND: Final = "gateway.backup"
STOPPED, PAUSED = "stopped", "paused"
MIB: Final = 2**20

log = structlog.get_logger("hub.backups")


class AskedBackup(msgspec.Struct, frozen=True, kw_only=True):
    """What the row of a job keeps. `phase`: what the instance was in before; `runs`: it ran then."""

    name: str
    uid: str
    backup: str
    pause: bool
    phase: InstancePhase
    runs: bool = True


class Taking:
    """Makes backups, and finishes or undoes those of a killed hub."""

    def __init__(self, room: InstanceRoom, shelf: BackupShelf, workers: Workers, bounds: Bounds) -> None:
        self._room = room
        self._shelf = shelf
        self._workers = workers
        self._bounds = bounds

    async def start(self, name: str, *, pause: bool, by: str) -> Job:
        """Commit a backup and start making it.

        Raises:
            NotFound, Conflict (busy, no container), NotAvailable (no engine), StorageFull, Unavailable.
        """
        room, kernel = self._room, self._room.kernel
        kernel.check_writable()
        async with room.hold(name):
            instance = room.idle(name)
            room.handle(instance)
            seen = await room.look(instance)
            backup = self._new(instance, PAUSED if pause else STOPPED)
            asked = AskedBackup(
                name=name, uid=instance.uid, backup=backup.id, pause=pause, phase=instance.phase,
                runs=seen is not None and seen.runs,
            )  # fmt: skip
            changed = replace(instance, phase=InstancePhase.BACKING_UP)
            effects: list[Effect] = [
                Save(changed),
                Save(backup),
                Publish(Kind.GATEWAY, name),
                kernel.audited(by, KIND, name, detail=f"{backup.id}, {backup.consistency}"),
            ]
            room.book.expect(changed)
            try:
                return await room.jobs.start(
                    KIND, None, by, self._work(asked, backup), effects=effects,
                    request=msgspec.json.encode(asked).decode(), about=name,
                )  # fmt: skip
            except HubError:
                room.book.expect(instance)
                raise

    def again(self, job: Job) -> Work:
        """Finish a backup whose folder is complete; undo any other. Either way the gateway runs again."""
        asked = msgspec.json.decode(job.request, type=AskedBackup)

        async def work(job: JobHandle) -> dict[str, Any]:
            async with self._room.hold(asked.name):
                backup = await self._find(asked.backup)
                await self._let_go(asked)
                manifest = await self._workers.run(self._shelf.read, asked.backup)
                if manifest is None or backup is None:
                    await self._undo(asked.backup, backup)
                    raise DriverFailed(
                        f"the backup of {asked.name} was not finished; everything of it was removed",
                        code="interrupted",
                        hint=f"clawtui gateway backup {asked.name}",
                    )
                return await self._complete(backup, manifest, ())

        return work

    async def within(self, instance: StoredInstance, job: JobHandle) -> str:
        """Save an instance that stands still already, as a part of another job; returns the backup's id.

        Raises:
            HubError: it could not be saved; nothing of it is left.
        """
        backup = self._new(instance, STOPPED)
        asked = AskedBackup(
            name=instance.name, uid=instance.uid, backup=backup.id, pause=False, phase=instance.phase, runs=False
        )
        await self._room.kernel.commit([Save(backup)])
        try:
            manifest = await self._save(instance, asked, backup, job)
            await self._complete(backup, manifest, ())
        except BaseException:
            await self._undo(backup.id, backup)
            raise
        return backup.id

    def _new(self, instance: StoredInstance, consistency: str) -> StoredBackup:
        kernel = self._room.kernel
        backup_id = kernel.clock.new_id("gb")
        return StoredBackup(
            id=backup_id,
            gateway=instance.name,
            uid=instance.uid,
            created_at=kernel.now().wall_ms,
            image_kind=instance.image_kind,
            image=instance.image,
            tier=instance.tier,
            consistency=consistency,
            path=str(self._shelf.path(backup_id)),
        )

    async def _find(self, backup_id: str) -> StoredBackup | None:
        return next((one for one in await self._room.kernel.registry.backups() if one.id == backup_id), None)

    # --- the work

    def _work(self, asked: AskedBackup, backup: StoredBackup) -> Work:
        async def work(job: JobHandle) -> dict[str, Any]:
            async with self._room.hold(asked.name):
                instance = self._room.book.present(asked.name, asked.uid)
                try:
                    try:
                        manifest = await self._save(instance, asked, backup, job)
                    finally:
                        notes = await self._let_go(asked)
                    return await self._complete(backup, manifest, notes)
                except BaseException:
                    await self._undo(backup.id, backup)
                    raise

        return work

    async def _save(
        self, instance: StoredInstance, asked: AskedBackup, backup: StoredBackup, job: JobHandle
    ) -> Manifest:
        await self._check_room(instance, job)
        order = await asyncio.to_thread(self._room.load, instance)
        folder = await self._workers.run(self._shelf.begin, backup.id)
        await self._hold_still(instance, asked, job)
        volumes, notes = await self._volumes(instance, folder, job)
        shared = await self._shared(order, folder, notes)
        await self._workers.run(self._write_order, order, folder)
        manifest = Manifest(
            id=backup.id,
            gateway=instance.name,
            created_at=backup.created_at,
            hub_version=self._room.kernel.config.version,
            consistency=backup.consistency,
            tier=instance.tier,
            image_kind=instance.image_kind,
            image=instance.image,
            image_id=instance.image_id,
            version=instance.version,
            platform=instance.platform,
            host=instance.host,
            customer=instance.customer,
            subdomain=instance.subdomain,
            volumes=volumes,
            shared=shared,
            notes=tuple(notes),
        )
        await self._workers.run(self._shelf.finish, manifest)
        return manifest

    async def _check_room(self, instance: StoredInstance, job: JobHandle) -> None:
        """What is shared, and as much as the last backup took: nobody knows better without reading it all."""
        shared = self._room.folders.paths(instance.name).shared
        needed = await self._workers.run(used_bytes, shared) + SPARE_BYTES
        before = [one for one in await self._room.kernel.registry.backups() if one.uid == instance.uid and one.complete]
        needed += before[-1].size_bytes if before else 0
        free = await self._workers.run(self._shelf.free_bytes)
        job.progress(0.02, f"about {needed / MIB:.0f} MiB or more are needed, {free / MIB:.0f} MiB are free")
        if needed > free:
            raise StorageFull(
                f"about {needed / MIB:.0f} MiB are needed in {self._shelf.folder}, {free / MIB:.0f} MiB are free",
                hint="Delete backups (`clawtui gateway backups`) or make room on the hub's disk.",
            )

    async def _hold_still(self, instance: StoredInstance, asked: AskedBackup, job: JobHandle) -> None:
        if not asked.runs:
            return
        cells, handle = self._room.cells(instance), self._room.handle(instance)
        if asked.pause:
            job.progress(0.05, f"pausing {instance.name}")
            await cells.pause(handle)
        else:
            job.progress(0.05, f"stopping {instance.name}; running turns get {STOP_GRACE_SECONDS} s")
            await cells.stop(handle, STOP_GRACE_SECONDS)

    async def _volumes(
        self, instance: StoredInstance, folder: Path, job: JobHandle
    ) -> tuple[tuple[SavedPart, ...], list[str]]:
        parts: list[SavedPart] = []
        notes: list[str] = []
        share = 0.7 / max(len(instance.volumes), 1)
        for number, volume in enumerate(instance.volumes):
            begin = 0.1 + number * share
            saved = await self._room.cells(instance).archive(
                cell_of(instance), volume, folder / f"volume-{number}.tar", self._bounds,
                lambda done, line, begin=begin: job.progress(begin + done * share, line),
            )  # fmt: skip
            await self._workers.run(_make_private, saved.path)
            parts.append(
                SavedPart(
                    file=saved.path.name, sha256=saved.sha256, size_bytes=saved.size_bytes, entries=saved.entries,
                    content_bytes=saved.content_bytes,
                )
            )  # fmt: skip
            notes += saved.notes
        return tuple(parts), notes

    async def _shared(self, order: Order, folder: Path, notes: list[str]) -> SavedPart | None:
        shared = self._room.folders.paths(order.instance.name).shared
        if not order.shared or not shared.is_dir():
            return None
        packed = await self._workers.run(pack, shared, folder / SHARED)
        notes += packed.notes
        found = await self._workers.run(
            look_through, folder / SHARED, self._bounds.most_bytes, self._bounds.most_entries
        )
        return SavedPart(
            file=SHARED, sha256=packed.sha256, size_bytes=packed.size_bytes, entries=found.entries,
            content_bytes=found.content_bytes,
        )  # fmt: skip

    def _write_order(self, meter: Meter, order: Order, folder: Path) -> None:
        kind = order.kind
        tokens = {kind.token_variable, kind.password_variable}
        keys = {name: value for name, value in order.secrets.values.items() if name not in tokens}
        write_new(folder / KEYS, environment_text(keys).encode())
        write_new(folder / ORDER, self._room.folders.paths(order.instance.name).order.read_bytes())

    # --- the end

    async def _let_go(self, asked: AskedBackup) -> tuple[str, ...]:
        """Let the gateway run again as before; returns what is wrong with that. Never raises HubError."""
        room = self._room
        instance = room.book.find(asked.name)
        if instance is None or instance.uid != asked.uid or instance.phase is not InstancePhase.BACKING_UP:
            return ()
        try:
            if asked.runs:
                cells, handle = room.cells(instance), room.handle(instance)
                if (await cells.inspect(handle)).state is CellState.PAUSED:
                    await cells.unpause(handle)
                else:
                    await cells.start(handle)
            await room.book.save(replace(instance, phase=asked.phase))
            return ()
        except HubError as exc:
            log.warning("not_running_again", gateway=asked.name, error=exc.message)
            reason = f"after a backup it could not be started again: {exc.message}"
            try:
                await room.book.save(replace(instance, phase=InstancePhase.FAILED, reason=reason))
            except HubError as worse:
                log.warning("phase_not_kept", gateway=asked.name, error=worse.message)
            return (reason,)

    async def _complete(self, backup: StoredBackup, manifest: Manifest, notes: tuple[str, ...]) -> dict[str, Any]:
        done = replace(backup, complete=True, size_bytes=manifest.size_bytes, files=manifest.files)
        await self._room.kernel.commit([Save(done), Publish(Kind.GATEWAY, backup.gateway)])
        return {
            "gateway": backup.gateway, "backup": backup.id, "path": backup.path, "sizeBytes": done.size_bytes,
            "files": done.files, "notes": [*manifest.notes, *notes],
        }  # fmt: skip

    async def _undo(self, backup_id: str, backup: StoredBackup | None) -> None:
        """Remove everything of a backup that is not to be."""
        try:
            await self._workers.run(self._shelf.remove, backup_id)
            if backup is not None:
                await self._room.kernel.commit([Delete(backup)])
        except HubError as exc:
            log.warning("backup_left", backup=backup_id, error=exc.message)

    # --- what there is

    async def listed(self, name: str = "") -> list[StoredBackup]:
        """Return complete backups, of one gateway or of all, newest first; also of gateways that are gone."""
        found = [one for one in await self._room.kernel.registry.backups() if one.complete]
        return [one for one in reversed(found) if not name or one.gateway == name]

    async def get(self, backup_id: str) -> StoredBackup:
        """Raises NotFound."""
        for one in await self.listed():
            if one.id == backup_id:
                return one
        raise NotFound(f"there is no backup {backup_id[:64]!r}", code="unknown_backup", hint="clawtui gateway backups")

    async def delete(self, backup_id: str, by: str) -> None:
        """Remove a backup for good. Raises NotFound."""
        kernel = self._room.kernel
        kernel.check_writable()
        backup = await self.get(backup_id)
        await kernel.commit([kernel.audited(by, "gateway.backup.delete", backup.gateway, detail=backup_id)])
        await self._workers.run(self._shelf.remove, backup_id)
        await kernel.commit([Delete(backup), Publish(Kind.GATEWAY, backup.gateway)])


def _make_private(meter: Meter, path: Path) -> None:
    path.chmod(0o600)
