"""A folder as an archive, without ever following a symbolic link. Everything here blocks.

The folder belongs to an agent, which may be hostile and may still write: every name is opened relative to
its folder's descriptor and never through a link, and a file that changes under the reader gets the size it
had when it was opened.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final

import msgspec

from hub.archives.work import Meter
from hub.errors import DriverFailed

COPY_BYTES: Final = 1024 * 1024
MOST_LEVELS: Final = 500
"""Folders inside folders: one descriptor each while they are walked."""
MOST_NOTES: Final = 20
BLOCK: Final = tarfile.BLOCKSIZE
SPARSE_MAP: Final = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0"}
_OPEN: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Packed(msgspec.Struct, frozen=True):
    """An archive that is on the disk. `notes`: what is not in it, one line each."""

    sha256: str
    size_bytes: int
    notes: tuple[str, ...] = ()


class HashingFile:
    """A new file that hashes what is written to it; `close` brings it to the disk."""

    def __init__(self, path: Path) -> None:
        """Raises OSError, also when the file exists."""
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._file: BinaryIO = os.fdopen(descriptor, "wb", buffering=COPY_BYTES)
        self._hash = hashlib.sha256()
        self._size = 0

    def write(self, data: bytes) -> int:
        self._hash.update(data)
        self._file.write(data)
        self._size += len(data)
        return len(data)

    def tell(self) -> int:
        return self._size

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    def sync(self) -> None:
        """Bring everything to the disk and close. Raises OSError."""
        with self._file:
            self._file.flush()
            os.fsync(self._file.fileno())

    def abandon(self) -> None:
        """Close whatever was written; its owner removes the file."""
        try:
            self._file.close()
        except OSError:
            # The flush of a full disk fails again; the descriptor is closed all the same.
            return


def used_bytes(meter: Meter, folder: Path) -> int:
    """Return what a folder's files take on the disk, for an estimate: what vanishes meanwhile does not count."""
    total = 0
    for entry in _scan(folder):
        total += entry.st_blocks * 512
        meter.advance(0)
    return total


def _scan(folder: Path) -> Iterator[os.stat_result]:
    # One after the other and not one in the other: folders may be deeper than Python's stack.
    waiting = [str(folder)]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    try:
                        found = entry.stat(follow_symlinks=False)
                    except FileNotFoundError:
                        continue
                    yield found
                    if stat.S_ISDIR(found.st_mode):
                        waiting.append(entry.path)
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            continue


def pack(meter: Meter, folder: Path, target: Path) -> Packed:
    """Write the archive of `folder` to the new file `target`. Raises OSError, Abandoned."""
    sink = HashingFile(target)
    try:
        file: Any = sink
        with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
            packer = _Packer(tar, sink, meter)
            packer.pack(folder)
        sink.sync()
    except BaseException:
        sink.abandon()
        raise
    return Packed(sink.sha256, sink.tell(), packer.all_notes())


class _Packer:
    def __init__(self, tar: tarfile.TarFile, sink: HashingFile, meter: Meter) -> None:
        self._tar = tar
        self._sink = sink
        self._meter = meter
        self._linked: dict[tuple[int, int], str] = {}
        self._notes: list[str] = []
        self._left_out = 0

    def all_notes(self) -> tuple[str, ...]:
        more = self._left_out - len(self._notes)
        return (*self._notes, *([f"and {more} more"] if more > 0 else []))

    def pack(self, folder: Path) -> None:
        root = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            self._folder(".", root, 0)
        finally:
            os.close(root)

    def _note(self, name: str, why: str) -> None:
        self._left_out += 1
        if len(self._notes) < MOST_NOTES:
            self._notes.append(f"{name}: {why}")

    def _folder(self, name: str, descriptor: int, level: int) -> None:
        if level > MOST_LEVELS:
            raise DriverFailed(f"{name[:200]}… is more than {MOST_LEVELS} folders deep", retryable=False)
        self._add(self._info(name, os.fstat(descriptor)))
        for child in sorted(os.listdir(descriptor), key=os.fsencode):
            self._child(f"{name}/{child}", child, descriptor, level)

    def _child(self, name: str, child: str, parent: int, level: int) -> None:
        try:
            found = os.stat(child, dir_fd=parent, follow_symlinks=False)
            if stat.S_ISLNK(found.st_mode):
                info = self._info(name, found)
                info.linkname = os.readlink(child, dir_fd=parent)
                self._add(info)
                return
            if not (stat.S_ISDIR(found.st_mode) or stat.S_ISREG(found.st_mode)):
                self._note(name, "left out: a device, socket or pipe")
                return
            descriptor = os.open(child, _OPEN, dir_fd=parent)
        except OSError as exc:
            if exc.errno not in (errno.ENOENT, errno.EACCES, errno.EPERM, errno.ELOOP):
                raise
            # Gone, or made into a link, since the folder was listed; or nothing that this user may read.
            self._note(name, f"left out: {exc.strerror}")
            return
        try:
            opened = os.fstat(descriptor)
            if stat.S_ISDIR(opened.st_mode):
                self._folder(name, descriptor, level + 1)
            elif stat.S_ISREG(opened.st_mode):
                self._file(name, descriptor, opened)
        finally:
            os.close(descriptor)

    def _info(self, name: str, found: os.stat_result) -> tarfile.TarInfo:
        info = tarfile.TarInfo(name)
        info.mode = stat.S_IMODE(found.st_mode)
        info.uid, info.gid, info.mtime = found.st_uid, found.st_gid, found.st_mtime
        if stat.S_ISDIR(found.st_mode):
            info.type = tarfile.DIRTYPE
        elif stat.S_ISLNK(found.st_mode):
            info.type = tarfile.SYMTYPE
        return info

    def _add(self, info: tarfile.TarInfo) -> None:
        self._sink.write(info.tobuf(self._tar.format, self._tar.encoding or "utf-8", "surrogateescape"))
        self._tar.offset = self._sink.tell()
        self._meter.advance(0)

    def _file(self, name: str, descriptor: int, found: os.stat_result) -> None:
        info = self._info(name, found)
        if found.st_nlink > 1:
            first = self._linked.setdefault((found.st_dev, found.st_ino), name)
            if first != name:
                info.type, info.linkname = tarfile.LNKTYPE, first
                self._add(info)
                return
        pieces = _data_pieces(descriptor, found)
        header = b""
        if pieces != [(0, found.st_size)]:
            header = _sparse_map(pieces)
            info.pax_headers = {**SPARSE_MAP, "GNU.sparse.name": name, "GNU.sparse.realsize": str(found.st_size)}
        info.size = len(header) + sum(size for _, size in pieces)
        self._add(info)
        self._sink.write(header)
        for offset, size in pieces:
            self._copy(name, descriptor, offset, size)
        self._sink.write(bytes(-info.size % BLOCK))
        self._tar.offset = self._sink.tell()

    def _copy(self, name: str, descriptor: int, offset: int, size: int) -> None:
        left = size
        while left:
            data = os.pread(descriptor, min(left, COPY_BYTES), offset)
            if not data:
                self._note(name, f"became {left} bytes shorter while it was read; zeros stand for them")
                data = bytes(min(left, COPY_BYTES))
            self._sink.write(data)
            offset, left = offset + len(data), left - len(data)
            self._meter.advance(len(data))


def _data_pieces(descriptor: int, found: os.stat_result) -> list[tuple[int, int]]:
    """Return offset and size of what is not a hole; one piece for a file without holes."""
    size = found.st_size
    if found.st_blocks * 512 >= size or not hasattr(os, "SEEK_DATA"):
        return [(0, size)]
    pieces: list[tuple[int, int]] = []
    position = 0
    try:
        while position < size:
            begin = os.lseek(descriptor, position, os.SEEK_DATA)
            position = min(os.lseek(descriptor, begin, os.SEEK_HOLE), size)
            if begin < position:
                pieces.append((begin, position - begin))
    except OSError as exc:
        # ENXIO: nothing but a hole up to the end. EINVAL: a file system without the call.
        if exc.errno == errno.EINVAL:
            return [(0, size)]
        if exc.errno != errno.ENXIO:
            raise
    return pieces


def _sparse_map(pieces: list[tuple[int, int]]) -> bytes:
    """The map of GNU's sparse format 1.0: decimal numbers, one per line, in whole blocks."""
    numbers = [len(pieces), *(number for piece in pieces for number in piece)]
    text = "".join(f"{number}\n" for number in numbers).encode()
    return text + bytes(-len(text) % BLOCK)
