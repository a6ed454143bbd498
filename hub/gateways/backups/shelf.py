"""Backups on the hub's disk. Everything here blocks, other than names of paths.

STATE/gateway-backups/<id>/    complete, never changed
    manifest.json              Manifest
    volume-0.tar …             one archive per volume, with numeric owners
    shared.tar                 configuration and workspaces, where the hub shares them
    keys.env                   the providers' keys; the gateway's token is not among them
    order.json                 the tier and the user's part of the configuration, as in the instance's folder
STATE/gateway-backups/.<id>.new/   being written
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final

import msgspec

from hub.archives.work import Meter

FOLDER: Final = "gateway-backups"
SCHEMA: Final = 1
MANIFEST: Final = "manifest.json"
SHARED: Final = "shared.tar"
KEYS: Final = "keys.env"
ORDER: Final = "order.json"
SPARE_BYTES: Final = 64 * 2**20
"""What a backup leaves free in any case: the registry must be able to go on."""


class SavedPart(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One archive: `content_bytes` in `entries` entries are in `file`, of `size_bytes`."""

    file: str
    sha256: str
    size_bytes: int
    entries: int
    content_bytes: int


class Manifest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a backup is, so that it means something without the registry too. Has no secret."""

    schema: int = SCHEMA
    id: str
    gateway: str
    created_at: int
    hub_version: str
    consistency: str
    tier: str
    image_kind: str
    image: str
    image_id: str
    version: str
    platform: str
    host: str
    customer: str
    subdomain: str
    volumes: tuple[SavedPart, ...]
    shared: SavedPart | None = None
    notes: tuple[str, ...] = ()

    @property
    def parts(self) -> tuple[SavedPart, ...]:
        return (*self.volumes, *((self.shared,) if self.shared is not None else ()))

    @property
    def size_bytes(self) -> int:
        return sum(part.size_bytes for part in self.parts)

    @property
    def files(self) -> int:
        return sum(part.entries for part in self.parts)


class BackupShelf:
    """Paths, and what is done with them. `meter` is of whoever runs it in a thread."""

    def __init__(self, state_folder: Path) -> None:
        self.folder = state_folder / FOLDER

    def path(self, backup_id: str) -> Path:
        return self.folder / backup_id

    def growing(self, backup_id: str) -> Path:
        return self.folder / f".{backup_id}.new"

    def begin(self, meter: Meter, backup_id: str) -> Path:
        """Make the folder of a backup that is about to be written, empty."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = self.growing(backup_id)
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir(mode=0o700)
        return folder

    def free_bytes(self, meter: Meter) -> int:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return shutil.disk_usage(self.folder).free

    def finish(self, meter: Meter, manifest: Manifest) -> None:
        """Bring the folder to the disk under its name; from then on it is complete."""
        folder = self.growing(manifest.id)
        write_new(folder / MANIFEST, msgspec.json.format(msgspec.json.encode(manifest)))
        _sync(folder)
        folder.rename(self.path(manifest.id))
        _sync(self.folder)

    def read(self, meter: Meter, backup_id: str) -> Manifest | None:
        """Return the manifest of a complete backup; None when there is none or it cannot be read."""
        try:
            manifest = msgspec.json.decode((self.path(backup_id) / MANIFEST).read_bytes(), type=Manifest)
        except (FileNotFoundError, msgspec.MsgspecError):
            return None
        return manifest if manifest.schema == SCHEMA else None

    def remove(self, meter: Meter, backup_id: str) -> None:
        """Remove everything of a backup, complete or not; fine when there is nothing."""
        folder, growing = self.path(backup_id), self.growing(backup_id)
        if folder.exists():
            # First under the other name: half of a backup must not look like one.
            if growing.exists():
                shutil.rmtree(growing)
            folder.rename(growing)
        if growing.exists():
            shutil.rmtree(growing)


def write_new(path: Path, content: bytes) -> None:
    """Write a new private file to the disk. Raises OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
