"""An archive back into a folder: nothing is written outside it, whatever the archive says. Everything here blocks.

Every entry is made relative to its folder's descriptor; a folder on the way that is a symbolic link is an error,
because no archive of ours has one.
"""

from __future__ import annotations

import hashlib
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final

from hub.archives.work import Meter
from hub.errors import DriverFailed

COPY_BYTES: Final = 1024 * 1024
MODES: Final = 0o1777
"""Permissions that are taken over; set-uid and set-gid would speak for another user."""
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def check(meter: Meter, archive: Path, sha256: str) -> None:
    """Raises DriverFailed when the file is not what it was when it was written."""
    digest = hashlib.sha256()
    with archive.open("rb") as file:
        while data := file.read(COPY_BYTES):
            digest.update(data)
            meter.advance(len(data))
    if digest.hexdigest() != sha256:
        raise DriverFailed(
            f"{archive} has changed since it was written",
            code="snapshot_damaged",
            hint="Restore another snapshot; delete this one.",
            retryable=False,
        )


def unpack(meter: Meter, archive: Path, folder: Path) -> None:
    """Put the archive's content into the new, empty `folder`. Raises OSError, DriverFailed, Abandoned."""
    folder.mkdir(mode=0o700)
    with tarfile.open(archive, mode="r:", errorlevel=2, errors="surrogateescape") as tar:
        _Unpacker(tar, meter, folder).run()


class _Unpacker:
    def __init__(self, tar: tarfile.TarFile, meter: Meter, folder: Path) -> None:
        self._tar = tar
        self._meter = meter
        self._root = os.open(folder, _FOLDER)
        self._near: tuple[tuple[str, ...], int] = ((), os.dup(self._root))
        self._folders: list[tuple[tuple[str, ...], tarfile.TarInfo]] = []

    def run(self) -> None:
        try:
            for member in members_of(self._tar):
                self._meter.advance(0)
                self._entry(member)
            for parts, member in reversed(self._folders):
                self._finish_folder(parts, member)
        except tarfile.TarError as exc:
            raise _damaged(str(exc)) from exc
        finally:
            os.close(self._near[1])
            os.close(self._root)

    def _entry(self, member: tarfile.TarInfo) -> None:
        parts = parts_of(member.name)
        if member.isdir():
            self._folders.append((parts, member))
            if parts:
                os.mkdir(parts[-1], 0o700, dir_fd=self._parent(parts))
            return
        if not parts:
            raise _damaged("its root is not a folder")
        parent = self._parent(parts)
        if member.issym():
            os.symlink(member.linkname, parts[-1], dir_fd=parent)
        elif member.islnk():
            self._link(parts_of(member.linkname), parts[-1], parent)
        elif member.isreg() or member.issparse():
            self._file(member, parts[-1], parent)
        # Devices and pipes are not in archives of ours, and nothing makes them here.

    def _link(self, source: tuple[str, ...], name: str, parent: int) -> None:
        held = os.dup(parent)
        try:
            os.link(source[-1], name, src_dir_fd=self._parent(source), dst_dir_fd=held, follow_symlinks=False)
        finally:
            os.close(held)

    def _file(self, member: tarfile.TarInfo, name: str, parent: int) -> None:
        content = self._tar.extractfile(member)
        if content is None:
            raise _damaged(f"{member.name} has no content")
        descriptor = os.open(name, _NEW, 0o600, dir_fd=parent)
        with os.fdopen(descriptor, "wb", buffering=0) as target:
            for offset, size in pieces_of(member):
                content.seek(offset)
                target.seek(offset)
                self._copy(content, target, size)
            os.ftruncate(descriptor, member.size)
            os.fchmod(descriptor, member.mode & MODES)
            os.utime(descriptor, (member.mtime, member.mtime))

    def _copy(self, content: IO[bytes], target: IO[bytes], size: int) -> None:
        left = size
        while left:
            data = content.read(min(left, COPY_BYTES))
            if not data:
                raise _damaged("it ends too early")
            target.write(data)
            left -= len(data)
            self._meter.advance(len(data))

    def _finish_folder(self, parts: tuple[str, ...], member: tarfile.TarInfo) -> None:
        """Permissions last: a folder that is read-only could not be filled."""
        descriptor = open_below(self._root, parts)
        try:
            if parts:
                os.fchmod(descriptor, member.mode & MODES)
            os.utime(descriptor, (member.mtime, member.mtime))
        finally:
            os.close(descriptor)

    def _parent(self, parts: tuple[str, ...]) -> int:
        """Return the descriptor of the folder around an entry; the last one is kept, because entries come in order."""
        wanted = parts[:-1]
        if self._near[0] != wanted:
            found = open_below(self._root, wanted)
            os.close(self._near[1])
            self._near = (wanted, found)
        return self._near[1]


def open_below(root: int, parts: tuple[str, ...]) -> int:
    """Return a descriptor of a folder below the folder `root`; a link on the way is an error. Raises OSError."""
    descriptor = os.dup(root)
    for part in parts:
        try:
            below = os.open(part, _FOLDER, dir_fd=descriptor)
        finally:
            os.close(descriptor)
        descriptor = below
    return descriptor


def members_of(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """Yield the entries one after the other; the library would keep every one in memory."""
    archive: Any = tar
    while (member := tar.next()) is not None:
        archive.members = []
        yield member


def parts_of(name: str) -> tuple[str, ...]:
    """Return the names on the way to an entry, () for the root. Raises DriverFailed for a way out of the folder."""
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    if name.startswith("/") or ".." in parts or "\0" in name:
        raise _damaged(f"{name[:200]!r} leads out of it")
    return parts


def pieces_of(member: tarfile.TarInfo) -> list[tuple[int, int]]:
    """Return offset and size of a file's data; what lies between is zeros."""
    found: Any = member.sparse if member.issparse() else None
    if found is None:
        return [(0, member.size)]
    return [(offset, size) for offset, size in found if size]


def _damaged(why: str) -> DriverFailed:
    return DriverFailed(
        f"the archive cannot be used: {why}",
        code="snapshot_damaged",
        hint="Restore another snapshot; delete this one.",
        retryable=False,
    )
