"""Wakes the sync when a file changes that it depends on: of a source, of a workspace, or the config.

What the sync itself has written is known by its time, size and inode, and wakes nobody. Agents write into their
workspaces all the time, so of those only files that are ours to keep in step count.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final, Self

import msgspec
import structlog
from watchfiles import awatch

from hub.core.model import Now
from hub.notices import Notices

MOST_FOLDERS: Final = 20_000
"""Each takes one of the watches that the kernel has for a user; what is beyond is seen at the next tick."""
AGAIN_SECONDS: Final = 30.0
"""After files could not be watched."""

log = structlog.get_logger("hub.sync")

Stamp = tuple[int, int, int]
"""Time of the last change (ns), size, inode."""
Wake = Callable[[], None]


def stamp(path: Path) -> Stamp | None:
    """Return how a file is now, links not followed; None when there is none, or nobody can tell."""
    try:
        found = path.lstat()
    except (OSError, ValueError):
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def stamps(paths: Iterable[Path]) -> dict[Path, Stamp | None]:
    return {path: stamp(path) for path in paths}


class Aim(msgspec.Struct, frozen=True, kw_only=True):
    """What is looked at; made by `at`. `open`: folders in which every file counts. `known`: files with how they were
    when the sync saw or wrote them last. `folders`: all that files are in. `watched`: those that are there, else the
    nearest one above. `inodes`: of these: a folder that was made anew needs a new watch."""

    open: frozenset[Path] = frozenset()
    known: dict[Path, Stamp | None] = {}
    folders: frozenset[Path] = frozenset()
    watched: frozenset[Path] = frozenset()
    inodes: frozenset[tuple[Path, int]] = frozenset()

    @classmethod
    def at(cls, open: Iterable[Path], known: dict[Path, Stamp | None]) -> Self:
        """Look around for the folders. Blocks: there may be thousands."""
        opened = frozenset(open)
        folders = opened | {path.parent for path in known}
        watched = frozenset(map(there, folders))
        inodes = frozenset((path, how[2]) for path in watched if (how := stamp(path)) is not None)
        return cls(open=opened, known=known, folders=folders, watched=watched, inodes=inodes)

    def counts(self, path: Path) -> bool:
        """Tell whether a change of this path is news. Looks at the file."""
        if path in self.known:
            return stamp(path) != self.known[path]
        if path.parent in self.open:
            # Gone already: made and removed in between, as an editor does it.
            return path.exists()
        # A folder that files of ours are in, or one that comes.
        return path in self.folders and (path in self.open or not path.exists())


class Changes:
    """One watcher for all: each takes a thread and one of the few watches of that kind that the kernel has for a user.

    `aim` may be called at any time.
    """

    def __init__(self, notices: Notices, now: Callable[[], Now]) -> None:
        self._notices = notices
        self._now = now
        self._aims: dict[str, tuple[Aim, Wake]] = {}
        self._watched: frozenset[tuple[Path, int]] = frozenset()
        self._again = asyncio.Event()

    def aim(self, name: str, aim: Aim, wake: Wake) -> None:
        """Call `wake` when something changes that `aim` says counts; takes the place of what had this name."""
        self._aims[name] = (aim, wake)
        self._look_again()

    def drop(self, name: str) -> None:
        self._aims.pop(name, None)
        self._look_again()

    def _look_again(self) -> None:
        if self._wanted() != self._watched:
            self._again.set()

    def _wanted(self) -> frozenset[tuple[Path, int]]:
        return frozenset[tuple[Path, int]]().union(*(aim.inodes for aim, _ in self._aims.values()))

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            self._again.clear()
            self._watched = self._wanted()
            try:
                await self._watch()
            except (OSError, RuntimeError) as exc:
                log.warning("files_not_watched", error=str(exc))
                text = f"files of the profile sync cannot be watched, changes are seen at its next tick: {exc}"
                self._notices.say("sync_watch", text, self._now())
                await self._pause()

    async def _watch(self) -> None:
        if not self._watched:
            await self._again.wait()
            return
        folders = sorted({path for path, _ in self._watched})[:MOST_FOLDERS]
        # Own options: no file is left out by its name, and nothing is read again and again.
        async for changes in awatch(
            *folders, watch_filter=None, debounce=400, step=50, stop_event=self._again, recursive=False,
            ignore_permission_denied=True,
        ):  # fmt: skip
            self.tell([Path(path) for _, path in changes])

    def tell(self, paths: Sequence[Path]) -> None:
        """Wake those for whom one of these changes counts."""
        for aim, wake in list(self._aims.values()):
            if any(aim.counts(path) for path in paths):
                wake()

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(AGAIN_SECONDS):
                await self._again.wait()
        except TimeoutError:
            return


def there(folder: Path) -> Path:
    """Return the folder, or the nearest one above it that exists."""
    while not folder.is_dir() and folder.parent != folder:
        folder = folder.parent
    return folder
