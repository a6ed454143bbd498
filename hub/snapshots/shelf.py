"""The snapshots' files in the state folder. Everything here blocks, other than names of paths.

snapshots/<id>/             complete, never changed
    manifest.json           Manifest
    workspace.tar           one archive per volume
    workspace.index         what is in it, line by line
    system.index            what differs outside the volumes from the plain image
snapshots/.<id>.new/        being written
snapshots/.<id>.gone/       being removed
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any, Final

import msgspec

from hub.archives.work import Meter

SCHEMA: Final = 1
MANIFEST: Final = "manifest.json"
WORKSPACE_INDEX: Final = "workspace.index"
SYSTEM_INDEX: Final = "system.index"


class SavedVolume(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One volume: `content_bytes` in `files` files are in the archive `file` of `size_bytes`. `devices` are not
    unpacked."""

    volume: str
    target: str
    file: str
    sha256: str
    size_bytes: int
    content_bytes: int
    files: int
    devices: tuple[str, ...] = ()


class Manifest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a snapshot is, beside the archives, so that they mean something without the registry too.

    `plan` is what the agent was made by, without its token and without the values of its environment.
    """

    schema: int = SCHEMA
    id: str
    name: str
    agent_id: str
    agent_uid: str
    hub_id: str
    hub_version: str
    driver: str
    created_at: str
    consistency: str
    parent: str | None
    image_parent: str | None
    image: str
    image_id: str
    image_bytes: int
    base_image: str
    profile: str
    profile_hash: str
    plan: dict[str, Any]
    volumes: tuple[SavedVolume, ...]
    notes: tuple[str, ...] = ()

    @property
    def volume_bytes(self) -> int:
        return sum(volume.size_bytes for volume in self.volumes)

    @property
    def files(self) -> int:
        return sum(volume.files for volume in self.volumes)


class Shelf:
    """Paths, and what is done with them. `meter` is of whoever runs it in a thread."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, snapshot_id: str) -> Path:
        return self.folder / snapshot_id

    def growing(self, snapshot_id: str) -> Path:
        return self.folder / f".{snapshot_id}.new"

    def _leaving(self, snapshot_id: str) -> Path:
        return self.folder / f".{snapshot_id}.gone"

    def begin(self, meter: Meter, snapshot_id: str) -> Path:
        """Make the folder of a snapshot that is about to be written."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = self.growing(snapshot_id)
        folder.mkdir(mode=0o700)
        return folder

    def free_bytes(self, meter: Meter) -> int:
        """Return how much room the disk has for this user."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return shutil.disk_usage(self.folder).free

    def finish(self, meter: Meter, manifest: Manifest) -> None:
        """Bring the folder to the disk under its name; from then on it is complete."""
        folder = self.growing(manifest.id)
        text = msgspec.json.format(msgspec.json.encode(manifest))
        descriptor = os.open(folder / MANIFEST, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        _sync(folder)
        folder.rename(self.path(manifest.id))
        _sync(self.folder)

    def read(self, meter: Meter, snapshot_id: str) -> Manifest | None:
        """Return the manifest of a complete snapshot; None when there is none or it cannot be read."""
        try:
            text = (self.path(snapshot_id) / MANIFEST).read_bytes()
            manifest = msgspec.json.decode(text, type=Manifest)
        except (FileNotFoundError, msgspec.MsgspecError):
            return None
        return manifest if manifest.schema == SCHEMA else None

    def remove(self, meter: Meter, snapshot_id: str) -> None:
        """Remove everything of a snapshot, complete or not; fine when there is nothing."""
        leaving = self._leaving(snapshot_id)
        if leaving.exists():
            shutil.rmtree(leaving)
        for folder in (self.path(snapshot_id), self.growing(snapshot_id)):
            if folder.exists():
                folder.rename(leaving)
                shutil.rmtree(leaving)

    def unfinished(self, meter: Meter) -> list[str]:
        """Return the ids of folders that are being written or removed."""
        if not self.folder.is_dir():
            return []
        names = [entry.name for entry in os.scandir(self.folder) if entry.is_dir(follow_symlinks=False)]
        return sorted({name[1:].rpartition(".")[0] for name in names if name.startswith(".")})


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
