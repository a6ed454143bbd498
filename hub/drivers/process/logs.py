"""An agent's log file: bounded without the agent's help, and read by offset.

The agent writes to an inherited descriptor and outlives the hub, so nobody can rename the file
under it. It is copied to `agent.log.1` and cut instead; the agent appends, so it goes on at the
start. What is written in the instant between the last copied byte and the cut is lost. Cutting
and reading exclude each other by `lock`, so readers in this process see every kept byte once.
"""

from __future__ import annotations

import datetime
import os
import re
import sys
import threading
from pathlib import Path
from typing import Final

from hub.drivers.base import LogLine, LogRequest

LOG_BYTES: Final = 2 * 1024 * 1024
"""Size at which a log is cut, as long as a hub looks."""
KEPT_BYTES: Final = 4 * LOG_BYTES
"""Most that is kept of the part before; more comes together only while no hub looks."""
READ_BYTES: Final = 256 * 1024
MAX_LINE_BYTES: Final = 64 * 1024
"""A longer line is given in pieces."""

_TIME = re.compile(r"^(?:\W*time)?\W*(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?)")


def previous(log: Path) -> Path:
    return log.with_name(f"{log.name}.1")


def rotate(log: Path, lock: threading.Lock, limit_bytes: int = LOG_BYTES) -> bool:
    """Cut the log when it has more than `limit_bytes`; return whether it was cut."""
    try:
        if log.stat().st_size <= limit_bytes:
            return False
    except FileNotFoundError:
        return False
    temporary = log.with_name(f".{log.name}.new")
    with lock, log.open("r+b") as source, temporary.open("wb") as target:
        size = source.seek(0, os.SEEK_END)
        source.seek(max(0, size - KEPT_BYTES))
        while chunk := source.read(READ_BYTES):
            target.write(chunk)
        target.flush()
        temporary.replace(previous(log))
        source.truncate(0)
    return True


def time_of(text: str) -> int | None:
    """Return the time a line starts with, ms since the epoch; without a zone it is UTC.

    The runtime's lines are JSON objects whose first field is `time`.
    """
    match = _TIME.match(text)
    if match is None:
        return None
    try:
        at = datetime.datetime.fromisoformat(match[1].replace(",", "."))
    except ValueError:
        return None
    return int((at if at.tzinfo else at.replace(tzinfo=datetime.UTC)).timestamp() * 1000)


class LogReader:
    """Reads the lines of one log, from the request's start on. All methods block.

    Without `follow` it ends where the log ended when the reader was made, so that what is written
    meanwhile makes no more lines than were asked for, and a talkative agent no endless answer.
    """

    def __init__(self, log: Path, lock: threading.Lock, request: LogRequest) -> None:
        self._log = log
        self._lock = lock
        self._since = request.since_ms
        self._at: int | None = None
        self._rest = b""
        with lock:
            self._generation = _generation(log)
            sizes = _sizes(log)
            self._parts = _tail(sizes, request.lines)
        self._left = sys.maxsize if request.follow else sum(sizes[path] - offset for path, offset in self._parts)

    def read(self) -> tuple[list[LogLine], bool]:
        """Return the next lines, and whether bytes were there: nothing more for now when not."""
        with self._lock:
            data = self._next_bytes()
        *lines, self._rest = (self._rest + data).split(b"\n")
        pieces = [piece for line in lines for piece in _pieces(line)]
        *full, self._rest = _pieces(self._rest)
        return self._wanted(pieces + full), bool(data)

    def finish(self) -> list[LogLine]:
        """Return the last line, when it has no end."""
        rest, self._rest = self._rest, b""
        return self._wanted([rest] if rest else [])

    def _next_bytes(self) -> bytes:
        if (now := _generation(self._log)) != self._generation:
            # The log was cut: what is left of it to read is now the previous part.
            self._generation = now
            offset = self._parts[-1][1]
            kept = previous(self._log)
            self._parts = [(kept, min(offset, kept.stat().st_size)), (self._log, 0)]
        while True:
            path, offset = self._parts[0]
            data = _read(path, offset, min(READ_BYTES, self._left))
            if data or len(self._parts) == 1:
                self._parts[0] = (path, offset + len(data))
                self._left -= len(data)
                return data
            self._parts.pop(0)

    def _wanted(self, lines: list[bytes]) -> list[LogLine]:
        found: list[LogLine] = []
        for line in lines:
            text = line.decode(errors="replace").rstrip("\r")
            at = time_of(text)
            # A line without a time (a traceback) belongs to the one before it.
            self._at = at if at is not None else self._at
            if self._since is None or self._at is None or self._at >= self._since:
                found.append(LogLine(text=text, at=self._at))
                # The order of lines is that of writing: what follows counts, also after a clock was put back.
                self._since = None if self._at is not None else self._since
        return found


def _pieces(line: bytes) -> list[bytes]:
    """Return the line in pieces of at most `MAX_LINE_BYTES`; an empty one is a piece too."""
    return [line[at : at + MAX_LINE_BYTES] for at in range(0, len(line) or 1, MAX_LINE_BYTES)]


def _generation(log: Path) -> int:
    """Changes whenever the log is cut."""
    try:
        return previous(log).stat().st_ino
    except FileNotFoundError:
        return 0


def _read(path: Path, offset: int, size: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(offset)
            return file.read(size)
    except FileNotFoundError:
        return b""


def _sizes(log: Path) -> dict[Path, int]:
    """Return the files of the log, the older one first, with their bytes."""
    sizes = {path: path.stat().st_size for path in (previous(log), log) if path.exists()}
    return sizes or {log: 0}


def _tail(sizes: dict[Path, int], lines: int | None) -> list[tuple[Path, int]]:
    """Return the files to read and where to start in each, for the last `lines` lines."""
    files = list(sizes)
    if lines is None:
        return [(path, 0) for path in files]
    if lines <= 0:
        return [(files[-1], sizes[files[-1]])]
    filled = [path for path in files if sizes[path]]
    # The line end that closes the newest line does not start another one.
    closed = bool(filled) and _read(filled[-1], sizes[filled[-1]] - 1, 1) == b"\n"
    to_find = lines + 1 if closed else lines
    for path in reversed(files):
        offset, to_find = _after_line_end(path, sizes[path], to_find)
        if to_find == 0:
            return [(path, offset), *((later, 0) for later in files[files.index(path) + 1 :])]
    return [(path, 0) for path in files]


def _after_line_end(path: Path, end: int, to_find: int) -> tuple[int, int]:
    """Return the offset after the `to_find`-th line end before `end`, and how many are missing."""
    while end > 0:
        start = max(0, end - READ_BYTES)
        block = _read(path, start, end - start)
        while (at := block.rfind(b"\n")) >= 0:
            to_find -= 1
            if to_find == 0:
                return start + at + 1, 0
            block = block[:at]
        end = start
    return 0, to_find
