"""The whole output of image builds: a file per tag, the newest few kept per image."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import structlog

from hub.errors import NotFound

KEPT_LOGS: Final = 5
"""Per image."""
LOOK_SECONDS: Final = 0.25
"""How often a reader that follows looks for more."""
MAX_LOG_BYTES: Final = 16 << 20
CUT: Final = "... the rest of the output is not kept"

_log = structlog.get_logger(__name__)


class BuildLog:
    """The log of one build. A disk that is full costs the log, never the build."""

    def __init__(self, path: Path, open_logs: set[Path]) -> None:
        self._path = path
        self._left = MAX_LOG_BYTES
        self._open_logs = open_logs
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = path.open("w", encoding="utf-8", errors="replace")
            open_logs.add(path)
        except OSError as exc:
            self._file = None
            self._lost(exc)

    def line(self, text: str) -> None:
        if self._file is None or self._left <= 0:
            return
        self._left -= len(text) + 1
        try:
            self._file.write(f"{text if self._left > 0 else CUT}\n")
            # Readers follow the build while it runs.
            self._file.flush()
        except OSError as exc:
            self._lost(exc)
            self.close()

    def close(self) -> None:
        self._open_logs.discard(self._path)
        file, self._file = self._file, None
        if file is not None:
            try:
                file.close()
            except OSError as exc:
                self._lost(exc)

    def _lost(self, why: OSError) -> None:
        _log.warning("build_log_not_kept", path=str(self._path), error=str(why))


class BuildLogs:
    """Logs below one folder. `name` is REPOSITORY:TAG."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: set[Path] = set()

    def start(self, name: str) -> BuildLog:
        repository, _, tag = name.rpartition(":")
        log = BuildLog(self._folder / f"{repository}@{tag}.log", self._open)
        for old in self._of(repository)[KEPT_LOGS:]:
            old.unlink(missing_ok=True)
        return log

    def remove(self, repository: str) -> None:
        """Remove the logs of all builds that do not go on."""
        for path in self._of(repository):
            if path not in self._open:
                path.unlink(missing_ok=True)

    def read(self, repository: str, tag: str | None, lines: int, *, follow: bool) -> AsyncIterator[str]:
        """Yield the last `lines` (0 = all) of one build, the newest one where no tag is given.

        Raises:
            NotFound: at once, not at the first line.
        """
        found = [path for path in self._of(repository) if tag is None or path.stem == f"{repository}@{tag}"]
        if not found:
            what = repository if tag is None else f"{repository}:{tag}"
            raise NotFound(f"no build of {what[:100]} has left a log", hint="An image that was there is not built.")
        return self._lines(found[0], lines, follow)

    async def _lines(self, path: Path, count: int, follow: bool) -> AsyncIterator[str]:
        with path.open(encoding="utf-8", errors="replace") as file:
            running = follow
            first, rest = True, ""
            while True:
                # Looked at before reading: what was written before the end is read in this round.
                running = running and path in self._open
                *complete, rest = (rest + await asyncio.to_thread(file.read)).split("\n")
                for line in complete[-count:] if first and count else complete:
                    yield line
                if not running:
                    return
                first = False
                await asyncio.sleep(LOOK_SECONDS)

    def _of(self, repository: str) -> list[Path]:
        """The image's logs, newest first."""
        if "/" in repository or repository.startswith("."):
            return []
        found: list[tuple[float, Path]] = []
        for path in self._folder.glob("*.log"):
            if path.stem.rpartition("@")[0] == repository:
                try:
                    found.append((path.stat().st_mtime, path))
                except FileNotFoundError:
                    continue
        return [path for _, path in sorted(found, reverse=True)]
