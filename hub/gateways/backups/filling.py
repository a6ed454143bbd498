"""Filling the volumes of an instance that is being provisioned: from a backup, or from a state folder on the hub's
machine. Done again from the start after a kill; no container of the instance is there meanwhile."""

from __future__ import annotations

import os
import shutil
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from hub.archives.guarded import look_through
from hub.archives.pack import HashingFile, pack
from hub.archives.unpack import check, members_of, unpack
from hub.archives.work import Meter, Workers
from hub.drivers.cells import Bounds, Progress
from hub.errors import BadRequest, DriverFailed, NotFound
from hub.gateways.backups.shelf import BackupShelf, Manifest, SavedPart
from hub.gateways.instances.folder import config_bytes, write
from hub.gateways.instances.model import Order, cell_of
from hub.gateways.instances.plan import base_config, merged
from hub.gateways.instances.room import InstanceRoom
from profiles.sync.errors import SyncError
from profiles.sync.openclaw_json5 import parse, plain

MOST_CONFIG_BYTES: Final = 4 * 2**20


class Seed(msgspec.Struct, frozen=True, kw_only=True):
    """What an instance is filled from: the backup `backup`, or the folder `state_folder` with the file `config`."""

    backup: str = ""
    state_folder: str = ""
    config: str = ""


class Filling:
    """Is `Provisioning.fill`."""

    def __init__(self, room: InstanceRoom, shelf: BackupShelf, workers: Workers, bounds: Bounds) -> None:
        self._room = room
        self._shelf = shelf
        self._workers = workers
        self._bounds = bounds

    async def fill(self, order: Order, raw: dict[str, Any], progress: Progress) -> None:
        """Raises NotFound (the backup or folder is gone), BadRequest (archive_damaged), TooLarge, StorageFull."""
        seed = msgspec.convert(raw, Seed)
        await self._clear(order)
        if seed.backup:
            await self._from_backup(order, seed.backup, progress)
        else:
            await self._from_folder(order, seed, progress)

    async def _clear(self, order: Order) -> None:
        """What a killed fill has left is made anew."""
        instance, cells = order.instance, self._room.cells(order.instance)
        for seen in await cells.cells(cell_of(instance)):
            if seen.handle is not None:
                await cells.remove(seen.handle)
        for volume in instance.volumes:
            await cells.remove_volume(cell_of(instance), volume)
            await cells.ensure_volume(cell_of(instance), volume)

    # --- from a backup

    async def _from_backup(self, order: Order, backup_id: str, progress: Progress) -> None:
        manifest = await self._workers.run(self._shelf.read, backup_id)
        if manifest is None:
            raise NotFound(f"the backup {backup_id} is gone or cannot be read", code="unknown_backup")
        folder = self._shelf.path(backup_id)
        check_bounds(manifest, self._bounds)
        for volume, part in zip(order.instance.volumes, manifest.volumes, strict=True):
            await self._unpack_volume(order, volume, folder / part.file, part.sha256, progress)
        if manifest.shared is not None and order.shared:
            await self._workers.run(self._unpack_shared, order, folder / manifest.shared.file, manifest.shared)

    async def _unpack_volume(self, order: Order, volume: str, archive: Path, sha256: str, progress: Progress) -> None:
        cells = self._room.cells(order.instance)
        left_out = await cells.unarchive(cell_of(order.instance), volume, archive, sha256, self._bounds, progress)
        for line in left_out:
            progress(1.0, line)

    def _unpack_shared(self, meter: Meter, order: Order, archive: Path, part: SavedPart) -> None:
        try:
            check(meter, archive, part.sha256)
        except (DriverFailed, FileNotFoundError) as exc:
            raise BadRequest(
                f"{archive} has changed since it was written", code="archive_damaged", hint="Restore another backup."
            ) from exc
        look_through(meter, archive, self._bounds.most_bytes, self._bounds.most_entries)
        paths = self._room.folders.paths(order.instance.name)
        shutil.rmtree(paths.shared, ignore_errors=True)
        unpack(meter, archive, paths.shared)
        paths.shared.chmod(0o755)
        if paths.config.is_file():
            old = read_config(paths.config)
            write(paths.config, config_bytes(adapted(old, self._base(order))), 0o644)
        _give_to(paths.shared, order.kind.uid)

    def _base(self, order: Order) -> dict[str, Any]:
        return base_config(order, self._room.kernel.config.ingress.https_port)

    # --- from a folder

    async def _from_folder(self, order: Order, seed: Seed, progress: Progress) -> None:
        folder = self._room.folders.paths(order.instance.name).folder
        raw, owned = folder / ".import.tar", folder / ".import-owned.tar"
        try:
            progress(0.1, f"reading {seed.state_folder}")
            sha256 = await self._workers.run(self._pack_folder, Path(seed.state_folder), raw, owned, order.kind.uid)
            volume = order.instance.volumes[0]
            await self._unpack_volume(order, volume, owned, sha256, progress)
        finally:
            await self._workers.run(_unlink, raw, owned)
        if order.shared and seed.config:
            await self._workers.run(self._take_config, order, seed)

    def _pack_folder(self, meter: Meter, source: Path, raw: Path, owned: Path, uid: int) -> str:
        _unlink(meter, raw, owned)
        pack(meter, source, raw)
        look_through(meter, raw, self._bounds.most_bytes, self._bounds.most_entries)
        return give_owner(meter, raw, owned, uid)

    def _take_config(self, meter: Meter, order: Order, seed: Seed) -> None:
        paths = self._room.folders.paths(order.instance.name)
        paths.shared.mkdir(exist_ok=True)
        old = moved(read_config(Path(seed.config)), seed.state_folder, order.kind.state_path)
        write(paths.config, config_bytes(adapted(old, self._base(order))), 0o644)


def check_bounds(manifest: Manifest, bounds: Bounds) -> None:
    """What the manifest itself says is looked at before any file is; the files are looked at again."""
    names = [part.file for part in manifest.parts]
    if any("/" in name or name.startswith(".") for name in names):
        raise BadRequest("the backup's manifest names files outside of it", code="archive_damaged")
    if sum(part.content_bytes for part in manifest.parts) > bounds.most_bytes:
        raise BadRequest(
            f"the backup has more than {bounds.most_bytes} bytes", code="archive_damaged", hint="It was tampered with."
        )


def read_config(path: Path) -> dict[str, Any]:
    """Read an openclaw.json. Raises BadRequest (field config)."""
    try:
        with path.open("rb") as file:
            raw = file.read(MOST_CONFIG_BYTES + 1)
        found = plain(parse(raw.decode()).root) if len(raw) <= MOST_CONFIG_BYTES else None
    except (OSError, UnicodeDecodeError, RecursionError, SyncError) as exc:
        raise BadRequest(f"{path} cannot be read: {exc}", field="config", code="config_unreadable") from exc
    if not isinstance(found, dict):
        raise BadRequest(f"{path} is no OpenClaw configuration", field="config", code="config_unreadable")
    return dict(found)


def adapted(old: Mapping[str, Any], base: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration of another place for this one. Pure.

    The section `gateway` is ours: mode, bind, port, and no token, because one in the file would win over the one that
    comes by the environment; other parts of that section stay.
    """
    section = {name: value for name, value in dict(old.get("gateway") or {}).items() if name != "auth"}
    return {**old, "gateway": merged(section, dict(base["gateway"]))}


def moved(value: Any, from_folder: str, to_folder: str) -> Any:
    """Return a value of JSON in which paths below one folder are below another one. Pure."""
    if isinstance(value, str):
        below = value == from_folder or value.startswith(f"{from_folder.rstrip('/')}/")
        return to_folder + value[len(from_folder.rstrip("/")) :] if below else value
    if isinstance(value, Mapping):
        return {name: moved(one, from_folder, to_folder) for name, one in value.items()}
    if isinstance(value, list):
        return [moved(one, from_folder, to_folder) for one in value]
    return value


def give_owner(meter: Meter, source: Path, target: Path, uid: int) -> str:
    """Write an archive anew in which everything is `uid`'s; returns its SHA-256."""
    sink = HashingFile(target)
    stream: Any = sink
    try:
        with tarfile.open(source) as old, tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT) as new:
            for member in members_of(old):
                member.uid = member.gid = uid
                member.uname = member.gname = ""
                kept: Any = new
                new.addfile(member, old.extractfile(member) if member.isreg() else None)
                kept.members = []
                meter.advance(member.size)
        sink.sync()
    except BaseException:
        sink.abandon()
        raise
    return sink.sha256


def _give_to(folder: Path, uid: int) -> None:
    """What the container's user must be able to change is theirs; only root can give it away."""
    if os.geteuid() != 0:
        return
    for place, folders, files in os.walk(folder):
        for name in (".", *folders, *files):
            os.chown(os.path.join(place, name), uid, uid, follow_symlinks=False)


def _unlink(meter: Meter, *paths: Path) -> None:
    for path in paths:
        path.unlink(missing_ok=True)
