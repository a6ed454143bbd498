"""Files beneath one folder, by descriptors: no link is followed, whatever stands in the way, and nothing outside is
reached.

Whoever works in a workspace (an agent, after all) may plant a link there between two looks at it. So every folder on
the way is opened by itself, without following links, and files are named relative to it.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final

from profiles.sync.errors import SyncError, WorkspaceProblem
from profiles.sync.files import Stamp

TEMPORARY: Final = ".clawtui-new"
"""Ending of a file that is not there yet. Who finds one that nobody is writing may remove it."""
MAX_READ_BYTES: Final = 16 << 20
"""Nothing that we write is larger; something that is has been put there by somebody else."""
CHUNK_BYTES: Final = 64 << 10

FOLDER_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
READ_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
NEW_FLAGS: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

Hook = Callable[[str], None]
"""Called with words before every single thing that changes a disk: tests end the process there."""


def no_hook(step: str) -> None:
    """What is called where nobody looks."""


def open_folder(path: Path) -> int:
    """Return a descriptor of a folder that is none through a link. Raises SyncError that names it."""
    try:
        return os.open(path, FOLDER_FLAGS)
    except FileNotFoundError as exc:
        raise SyncError(f"the folder {path} does not exist", "Make it, or mount what belongs there.") from exc
    except OSError as exc:
        if path.is_symlink():
            raise SyncError(f"{path} is a symbolic link", f"Name the folder itself: {os.path.realpath(path)}") from exc
        if exc.errno == errno.ENOTDIR:
            raise SyncError(f"{path} is not a folder", "Name a folder, or move away what stands there.") from exc
        raise SyncError(f"{path} cannot be opened: {exc.strerror}", hint_for(exc)) from exc


def hint_for(error: OSError) -> str:
    """Return what to do about a failed call."""
    return {
        errno.EACCES: "Give the user that the hub runs as access, or run it as the owner.",
        errno.EPERM: "Run the hub as root, or leave the owner of written files as it is.",
        errno.EROFS: "Mount it writable.",
        errno.ENOSPC: "Make room on that disk; the next sync goes on.",
        errno.EDQUOT: "Make room in that quota; the next sync goes on.",
        errno.EFBIG: "The size of files is limited here (ulimit -f).",
        errno.EMFILE: "Raise the limit of open files (ulimit -n).",
        errno.EBUSY: "It is a mount of its own: mount the folder around it instead.",
        errno.EXDEV: "It must be on the same disk as the folder around it.",
    }.get(error.errno or 0, "")


class Tree:
    """The folder `name` beneath the open folder `root`, and everything in it that is asked for. `place`: its path, for
    errors. Folders that were opened stay open until the end of the `with`."""

    def __init__(self, root: int, place: Path, name: str) -> None:
        self._root = root
        self.place = place / name
        self._name = inside(name) if name != "." else inside("")
        self._open: dict[str, int] = {}
        self.touched: set[str] = set()
        """Folders whose list of names has changed, `.` for the tree's own and `..` for the one around it."""

    def __enter__(self) -> Tree:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for descriptor in self._open.values():
            os.close(descriptor)
        self._open.clear()

    def folder(self, path: str = ".") -> int | None:
        """Return a descriptor of a folder, None where it is not there. Raises WorkspaceProblem where it is none."""
        if path in self._open:
            return self._open[path]
        around, name = self._above(inside(path))
        if around is None:
            return None
        try:
            opened = os.open(name, FOLDER_FLAGS, dir_fd=around)
        except FileNotFoundError:
            return None
        except OSError as exc:
            raise self._not_a_folder(path, around, name, exc) from exc
        self._open[path] = opened
        return opened

    def make(self, path: str, stamp: Stamp, hook: Hook) -> int:
        """Return a descriptor of a folder, which is made where it is not there, with all those above it."""
        if (there := self.folder(path)) is not None:
            return there
        if path != ".":
            self.make(parent_of(path), stamp, hook)
        around, name = self._above(path)
        assert around is not None
        hook(f"make {self.place / path}")
        os.mkdir(name, 0o700, dir_fd=around)
        self.touched.add(".." if path == "." else parent_of(path))
        made = self.folder(path)
        assert made is not None
        restamp(made, stamp.folder_mode, stamp)
        return made

    def names(self, path: str) -> list[str]:
        """Return what is in a folder that is there."""
        descriptor = self.folder(path)
        return [] if descriptor is None else os.listdir(descriptor)

    def look(self, path: str) -> os.stat_result | None:
        """Return what is known of a regular file that has only this name, None where there is nothing.

        Raises WorkspaceProblem for all else: OpenClaw reads no such file, and we write to none.
        """
        folder = self.folder(parent_of(inside(path)))
        if folder is None:
            return None
        try:
            found = os.stat(name_of(path), dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return None
        self._check_kind(path, found)
        return found

    def content(self, path: str) -> bytes | None:
        """Return what is in a file, None where there is none. Raises WorkspaceProblem as `look` does."""
        if self.look(path) is None:
            return None
        folder = self.folder(parent_of(path))
        assert folder is not None
        opened = os.open(name_of(path), READ_FLAGS, dir_fd=folder)
        with open(opened, "rb") as file:
            self._check_kind(path, os.fstat(opened))
            content = file.read(MAX_READ_BYTES + 1)
        if len(content) > MAX_READ_BYTES:
            raise WorkspaceProblem(f"{self.place / path} is larger than {MAX_READ_BYTES >> 20} MiB", MOVE_AWAY)
        return content

    def digest(self, path: str) -> str | None:
        """Return the SHA-256 of a file's content, None where there is no file."""
        content = self.content(path)
        return None if content is None else hashlib.sha256(content).hexdigest()

    def put(self, path: str, content: bytes, stamp: Stamp, hook: Hook) -> None:
        """Write a temporary file beside a file that shall be; `settle` makes it that file."""
        folder = self.make(parent_of(inside(path)), stamp, hook)
        write_new(folder, temporary(name_of(path)), content, stamp.file_mode, stamp, hook, str(self.place / path))

    def settle(self, path: str, hook: Hook) -> None:
        """Put the temporary file in the place of the file: readers see the old one or the new one."""
        folder = self.folder(parent_of(path))
        assert folder is not None
        hook(f"rename {self.place / path}")
        os.replace(temporary(name_of(path)), name_of(path), src_dir_fd=folder, dst_dir_fd=folder)
        self.touched.add(parent_of(path))

    def remove(self, path: str, hook: Hook) -> None:
        """Remove a file or a link; nothing there is as good."""
        folder = self.folder(parent_of(inside(path)))
        if folder is None:
            return
        hook(f"remove {self.place / path}")
        try:
            os.unlink(name_of(path), dir_fd=folder)
        except FileNotFoundError:
            return
        self.touched.add(parent_of(path))

    def remove_empty(self, path: str, hook: Hook) -> None:
        """Remove a folder if there is nothing in it."""
        around = self.folder(parent_of(path))
        if around is None or self.folder(path) is None or self.names(path):
            return
        hook(f"remove {self.place / path}")
        os.close(self._open.pop(path))
        self.touched.discard(path)
        os.rmdir(name_of(path), dir_fd=around)
        self.touched.add(parent_of(path))

    def restamp(self, path: str, mode: int, stamp: Stamp, *, folder: bool = False) -> None:
        """Give what is there the permissions and the owner that it shall have."""
        if folder:
            if (opened := self.folder(path)) is not None:
                restamp(opened, mode, stamp)
            return
        around = self.folder(parent_of(path))
        if around is None or self.look(path) is None:
            return
        opened = os.open(name_of(path), READ_FLAGS, dir_fd=around)
        try:
            self._check_kind(path, os.fstat(opened))
            restamp(opened, mode, stamp)
        finally:
            os.close(opened)

    def flush(self, hook: Hook) -> None:
        """Make the names last, once for every folder in the tree that has changed."""
        for path in sorted(self.touched - {".."}):
            if (descriptor := self.folder(path)) is not None:
                hook(f"flush {self.place / path}")
                os.fsync(descriptor)
        self.touched &= {".."}

    def _above(self, path: str) -> tuple[int | None, str]:
        """The open folder around a folder, and its name in there."""
        return (self._root, self._name) if path == "." else (self.folder(parent_of(path)), name_of(path))

    def _not_a_folder(self, path: str, around: int, name: str, error: OSError) -> Exception:
        if error.errno not in (errno.ELOOP, errno.ENOTDIR):
            return error
        kind = _kind(os.stat(name, dir_fd=around, follow_symlinks=False))
        return WorkspaceProblem(f"{self.place / path} is {kind} where a folder belongs", MOVE_AWAY)

    def _check_kind(self, path: str, found: os.stat_result) -> None:
        where = self.place / path
        if not stat.S_ISREG(found.st_mode):
            raise WorkspaceProblem(f"{where} is {_kind(found)} where a file belongs", MOVE_AWAY)
        if found.st_nlink > 1:
            message = f"{where} has {found.st_nlink} names (hard links): what is written there shows elsewhere"
            raise WorkspaceProblem(message, MOVE_AWAY)


MOVE_AWAY: Final = "Look where it comes from, and remove it; the next sync writes a file of its own."


def inside(path: str) -> str:
    """Return a relative path that leads nowhere else. Raises WorkspaceProblem for all others."""
    if (path != "." and any(part in ("", ".", "..") for part in path.split("/"))) or "\0" in path:
        raise WorkspaceProblem(f"{path!r} leads out of its folder", "It is a mistake of whoever made that path.")
    return path


def parent_of(path: str) -> str:
    """Return the folder around a relative path, `.` for the topmost."""
    return path.rpartition("/")[0] or "."


def name_of(path: str) -> str:
    return path.rpartition("/")[2]


def temporary(name: str) -> str:
    """Return the name under which a file is written: a run that was killed leaves no other."""
    return f".{name}{TEMPORARY}"


def is_temporary(name: str) -> bool:
    return name.startswith(".") and name.endswith(TEMPORARY)


def restamp(descriptor: int, mode: int, stamp: Stamp) -> None:
    """Set permissions and owner where they differ; that changes no content and no time of change."""
    found = os.fstat(descriptor)
    uid = found.st_uid if stamp.uid is None else stamp.uid
    gid = found.st_gid if stamp.gid is None else stamp.gid
    if (uid, gid) != (found.st_uid, found.st_gid):
        os.fchown(descriptor, uid, gid)
    if stat.S_IMODE(found.st_mode) != mode:
        os.fchmod(descriptor, mode)


def write_new(folder: int, name: str, content: bytes, mode: int, stamp: Stamp, hook: Hook, what: str) -> None:
    """Write a file that is complete and on the disk when this returns; one of the name is replaced, a link too.

    Raises OSError; then there is no file of the name.
    """
    hook(f"begin {what}")
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=folder)
    opened = os.open(name, NEW_FLAGS, 0o600, dir_fd=folder)
    try:
        _write_all(opened, content, hook, what)
        restamp(opened, mode, stamp)
        hook(f"fsync {what}")
        os.fsync(opened)
    except OSError:
        os.unlink(name, dir_fd=folder)
        raise
    finally:
        os.close(opened)


def _write_all(opened: int, content: bytes, hook: Hook, what: str) -> None:
    left = memoryview(content)
    while left:
        hook(f"write {what}")
        left = left[os.write(opened, left[:CHUNK_BYTES]) :]


def _kind(found: os.stat_result) -> str:
    kinds = (
        (stat.S_ISLNK, "a symbolic link"), (stat.S_ISDIR, "a folder"), (stat.S_ISREG, "a file"),
        (stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"),
    )  # fmt: skip
    return next((words for test, words in kinds if test(found.st_mode)), "a device")
