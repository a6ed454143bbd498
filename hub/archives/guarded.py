"""An archive that somebody may have tampered with: looked through before it is used, and written anew from what was
understood, so that whoever unpacks it sees nothing that was not looked at. Everything here blocks.

Refused are ways out of the folder (absolute names, .., names below a link, hard links that leave it), more than the
bounds, headers that would take memory without end, and what is not a tar archive. Left out, with a line for each, are
devices and symbolic links that lead out of the folder.
"""

from __future__ import annotations

import contextlib
import posixpath
import tarfile
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import IO, Any, BinaryIO, Final

import msgspec

from hub.archives.unpack import COPY_BYTES, MODES, members_of, parts_of
from hub.archives.work import Meter
from hub.errors import BadRequest, DriverFailed, TooLarge

MOST_HEADER_BYTES: Final = 4 * 2**20
"""Of one entry: names, extended attributes and the map of a sparse file."""
MOST_LEFT_OUT: Final = 100
MOST_NAME: Final = 4_096


class Contents(msgspec.Struct, frozen=True):
    """What is in an archive: how many entries, bytes of all files as they are unpacked, and what is left out."""

    entries: int
    content_bytes: int
    left_out: tuple[str, ...] = ()


class _Bounded:
    """The archive's file as the library reads it, which reads headers as large as they claim to be."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._left = MOST_HEADER_BYTES
        self.content = False
        """What is read now is a file's content: it does not stay in memory."""

    def new_entry(self) -> None:
        self._left = MOST_HEADER_BYTES

    def read(self, size: int = -1) -> bytes:
        if not self.content:
            if size < 0 or size > self._left:
                raise tarfile.HeaderError("an entry's header is too large")
            self._left -= size
        return self._file.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()


def look_through(meter: Meter, path: Path, most_bytes: int, most_entries: int) -> Contents:
    """Return what is in the archive.

    Raises:
        BadRequest: it is damaged or hostile (code archive_damaged), with what is wrong.
        TooLarge: more than the bounds.
    """
    with _translated(), path.open("rb") as file:
        walk = _Walk(meter, file, most_bytes, most_entries)
        for _member, _content in walk.members():
            pass
    return walk.contents()


def rewrite(meter: Meter, path: Path, most_bytes: int, most_entries: int, write: Callable[[bytes], None]) -> Contents:
    """Give `write` an archive with the same files, folders and links; raises as `look_through`, perhaps half way."""
    sink: Any = _Sink(write)
    with (
        _translated(),
        path.open("rb") as file,
        tarfile.open(
            fileobj=sink, mode="w|", bufsize=COPY_BYTES, format=tarfile.PAX_FORMAT, errors="surrogateescape"
        ) as target,
    ):
        walk = _Walk(meter, file, most_bytes, most_entries)
        for member, content in walk.members():
            target.addfile(_clean(member), content)
            archive: Any = target
            archive.members = []
    return walk.contents()


class _Sink:
    def __init__(self, write: Callable[[bytes], None]) -> None:
        self._write = write

    def write(self, data: bytes) -> int:
        self._write(data)
        return len(data)


class _Walk:
    """One way through an archive. `members` yields what is used of it, with the content of files."""

    def __init__(self, meter: Meter, file: BinaryIO, most_bytes: int, most_entries: int) -> None:
        self._meter = meter
        self._file = _Bounded(file)
        self._most_bytes = most_bytes
        self._most_entries = most_entries
        self._links: set[tuple[str, ...]] = set()
        self._files: set[tuple[str, ...]] = set()
        self._entries = 0
        self._bytes = 0
        self._left_out: list[str] = []

    def contents(self) -> Contents:
        return Contents(self._entries, self._bytes, tuple(self._left_out))

    def members(self) -> Iterator[tuple[tarfile.TarInfo, IO[bytes] | None]]:
        file: Any = self._file
        with tarfile.open(fileobj=file, mode="r:", errorlevel=2, errors="surrogateescape") as tar:
            for member in members_of(tar):
                self._meter.advance(0)
                if self._use(member):
                    yield member, self._content(tar, member)
                self._file.content = False
                self._file.new_entry()

    def _content(self, tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes] | None:
        if not _is_file(member):
            return None
        self._file.content = True
        found: Any = tar.extractfile(member)
        counted: Any = _Counted(found, self._meter)
        return counted

    def _use(self, member: tarfile.TarInfo) -> bool:
        """Count and judge an entry; return whether it is used."""
        self._entries += 1
        self._bytes += member.size if _is_file(member) else 0
        if self._entries > self._most_entries:
            raise TooLarge(f"the archive has more than {self._most_entries} entries")
        if member.size < 0 or self._bytes > self._most_bytes:
            raise TooLarge(f"the archive unpacks to more than {self._most_bytes} bytes")
        if len(member.name) > MOST_NAME or len(member.linkname) > MOST_NAME:
            raise damaged("it has a name of more than 4096 characters")
        parts = parts_of(member.name)
        if any(parts[:length] in self._links for length in range(1, len(parts))):
            raise damaged(f"{member.name[:200]!r} is below a link")
        if not parts and not member.isdir():
            raise damaged("its root is not a folder")
        return self._use_kind(member, parts)

    def _use_kind(self, member: tarfile.TarInfo, parts: tuple[str, ...]) -> bool:
        # The last entry of a name counts when an archive is unpacked.
        self._links.discard(parts)
        if member.isdir():
            return True
        if _is_file(member):
            self._files.add(parts)
            return True
        if member.issym():
            if _leads_out(parts, member.linkname):
                return self._leave_out(member, f"a link to {member.linkname[:100]}")
            self._links.add(parts)
            return True
        if member.islnk():
            if parts_of(member.linkname) not in self._files:
                raise damaged(f"{member.name[:200]!r} is a hard link to something that is not before it in the archive")
            return True
        return self._leave_out(member, "a device or pipe")

    def _leave_out(self, member: tarfile.TarInfo, what: str) -> bool:
        if len(self._left_out) >= MOST_LEFT_OUT:
            raise damaged(f"it has more than {MOST_LEFT_OUT} devices and links that lead out of it")
        self._left_out.append(f"{member.name[:200]}: left out, {what}")
        return False


class _Counted:
    """A file's content, counted for whoever watches."""

    def __init__(self, content: IO[bytes], meter: Meter) -> None:
        self._content = content
        self._meter = meter

    def read(self, size: int = COPY_BYTES) -> bytes:
        data = self._content.read(size)
        self._meter.advance(len(data))
        return data


def _is_file(member: tarfile.TarInfo) -> bool:
    return member.isreg() or member.issparse()


def _leads_out(parts: tuple[str, ...], target: str) -> bool:
    if target.startswith("/") or not target:
        return True
    ended = posixpath.normpath(posixpath.join("/".join(parts[:-1]), target))
    return ended == ".." or ended.startswith(("../", "/"))


def _clean(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Return the entry with what counts only: no set-uid, no attributes of its own, a file without holes."""
    made = tarfile.TarInfo("./" + "/".join(parts_of(member.name)))
    made.mode, made.uid, made.gid, made.mtime = member.mode & MODES, member.uid, member.gid, member.mtime
    if member.isdir():
        made.type = tarfile.DIRTYPE
    elif member.issym():
        made.type, made.linkname = tarfile.SYMTYPE, member.linkname
    elif member.islnk():
        made.type, made.linkname = tarfile.LNKTYPE, "./" + "/".join(parts_of(member.linkname))
    else:
        made.size = member.size
    return made


@contextlib.contextmanager
def _translated() -> Generator[None]:
    """Turn what the library says of an archive that it cannot read into BadRequest."""
    try:
        yield
    except DriverFailed as exc:
        if exc.code != "snapshot_damaged":
            raise
        raise damaged(exc.message) from exc
    except (tarfile.TarError, ValueError, OverflowError, EOFError) as exc:
        raise damaged(str(exc) or type(exc).__name__) from exc


def damaged(why: str) -> BadRequest:
    return BadRequest(
        f"the archive cannot be used: {why.removeprefix('the archive cannot be used: ')}",
        code="archive_damaged",
        hint="Take another backup; nothing was written.",
    )
