"""What is in an archive, one line per entry, in the archive's order; and the difference of two such lists.

A file's digest is of its content without blocks of zeros, each with its place: the same file has the same digest
whether its zeros are holes or not.
"""

from __future__ import annotations

import hashlib
import os
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any, Final

import msgspec

from hub.archives.unpack import members_of, parts_of, pieces_of
from hub.archives.work import Meter
from hub.errors import DriverFailed

BLOCK_BYTES: Final = 64 * 1024
_ZEROS: Final = bytes(BLOCK_BYTES)
_END: Final = bytes(2 * tarfile.BLOCKSIZE)


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """`path` is absolute, as the agent sees it. `kind`: file, folder, link, other, gone. `digest`: of a file's content,
    a link's target, or "" when the content is not known. `base`: the plain image has something of this path, too."""

    path: str
    kind: str
    size: int
    mode: int
    digest: str = ""
    base: bool = False

    @property
    def order(self) -> tuple[bytes, ...]:
        """Sorts as a walk does that sorts each folder."""
        return tuple(os.fsencode(part) for part in self.path.split("/"))


class Listed(msgspec.Struct, frozen=True):
    """Numbers of a list. `bytes`: of all files' contents. `devices`: paths of what cannot be unpacked."""

    files: int
    bytes: int
    devices: tuple[str, ...] = ()


_encode = msgspec.json.Encoder().encode
_decoder = msgspec.json.Decoder(Entry)


def write_index(meter: Meter, archive: Path, target: Path, prefix: str) -> Listed:
    """List the archive's entries into the new file `target`; also a check that it can be read to its end.

    Raises:
        DriverFailed: it cannot be read.
    """
    files = total = 0
    devices: list[str] = []
    try:
        with target.open("xb") as out, tarfile.open(archive, mode="r:", errorlevel=2, errors="surrogateescape") as tar:
            for member in members_of(tar):
                entry = _entry(meter, tar, member, prefix)
                if entry.kind == "file":
                    files, total = files + 1, total + entry.size
                if member.isdev():
                    devices.append(member.name)
                out.write(_line(entry))
            _check_end(tar)
            out.flush()
            os.fsync(out.fileno())
    except tarfile.TarError as exc:
        raise DriverFailed(f"{archive} cannot be read: {exc}", code="snapshot_damaged", retryable=False) from exc
    return Listed(files, total, tuple(devices))


def _check_end(tar: tarfile.TarFile) -> None:
    """Raises ReadError where entries end without tar's mark of the end: the library takes damage for the end, too."""
    file: Any = tar.fileobj
    file.seek(tar.offset)
    if file.read(len(_END)) != _END:
        raise tarfile.ReadError(f"no entry and no end at byte {tar.offset}")


def write_entries(meter: Meter, entries: Iterable[Entry], target: Path) -> None:
    """Write a list that is in memory, sorted."""
    with target.open("xb") as out:
        for entry in sorted(entries, key=lambda entry: entry.order):
            out.write(_line(entry))
            meter.advance(0)
        out.flush()
        os.fsync(out.fileno())


def _line(entry: Entry) -> bytes:
    # Names that are no text are kept as escapes: JSON has no lone surrogates.
    path, digest = (text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
                    for text in (entry.path, entry.digest))  # fmt: skip
    return _encode(Entry(path, entry.kind, entry.size, entry.mode, digest, entry.base)) + b"\n"


def read_index(path: Path) -> Iterator[Entry]:
    """Yield the entries; nothing for a list that does not exist. Raises DriverFailed for one that is damaged."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        for line in file:
            try:
                yield _decoder.decode(line)
            except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
                raise DriverFailed(
                    f"{path} cannot be read: {exc}",
                    code="snapshot_damaged",
                    hint="Delete this snapshot, or take another one.",
                    retryable=False,
                ) from exc


def _entry(meter: Meter, tar: tarfile.TarFile, member: tarfile.TarInfo, prefix: str) -> Entry:
    path = "/".join((prefix, *parts_of(member.name)))
    mode = member.mode
    if member.isdir():
        return Entry(path, "folder", 0, mode)
    if member.issym():
        return Entry(path, "link", 0, 0, member.linkname)
    if member.islnk():
        return Entry(path, "file", 0, mode, f"same as {'/'.join((prefix, *parts_of(member.linkname)))}")
    if not (member.isreg() or member.issparse()):
        return Entry(path, "other", 0, mode)
    content = tar.extractfile(member)
    assert content is not None
    return Entry(path, "file", member.size, mode, content_digest(meter, content, pieces_of(member), member.size))


def content_digest(meter: Meter, content: IO[bytes], pieces: list[tuple[int, int]], size: int) -> str:
    """Return the digest of a file whose data is in `pieces`; see the module's docstring. A stream will do when there is
    one piece from the beginning on."""
    digest = hashlib.sha256()
    done = 0
    for offset, length in pieces:
        # Whole blocks around the piece; what lies before it in its first block was read with the one before.
        position = max(done, offset - offset % BLOCK_BYTES)
        if position != done:
            content.seek(position)
        while position < offset + length:
            block = content.read(min(BLOCK_BYTES, size - position))
            if not block:
                raise tarfile.ReadError("unexpected end of data")
            if block != (_ZEROS if len(block) == BLOCK_BYTES else bytes(len(block))):
                digest.update(position.to_bytes(8, "big"))
                digest.update(block)
            position += len(block)
            meter.advance(len(block))
        done = position
    digest.update(size.to_bytes(8, "big"))
    return digest.hexdigest()
