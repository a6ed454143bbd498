"""The whole output of image builds: a file per tag, the newest few kept per image."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import structlog

from hub.errors import NotFound

KEPT_LOGS: Final = 5
"""Per image."""
MAX_LOG_BYTES: Final = 16 << 20
CUT: Final = "... the rest of the output is not kept"

_log = structlog.get_logger(__name__)


class BuildLog:
    """The log of one build. A disk that is full costs the log, never the build."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._left = MAX_LOG_BYTES
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = path.open("w", encoding="utf-8", errors="replace")
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

    def start(self, name: str) -> BuildLog:
        repository, _, tag = name.rpartition(":")
        log = BuildLog(self._folder / f"{repository}@{tag}.log")
        for old in self._of(repository)[KEPT_LOGS:]:
            old.unlink(missing_ok=True)
        return log

    def read(self, repository: str, tag: str | None = None) -> Iterator[str]:
        """Yield the lines of one build, the newest one where no tag is given.

        Raises:
            NotFound: at once, not at the first line.
        """
        found = [path for path in self._of(repository) if tag is None or path.stem == f"{repository}@{tag}"]
        if not found:
            what = repository if tag is None else f"{repository}:{tag}"
            raise NotFound(f"no build of {what[:100]} has left a log", hint="An image that was there is not built.")
        return _lines(found[0])

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


def _lines(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield line.rstrip("\n")
