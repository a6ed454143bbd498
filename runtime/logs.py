"""The agent's own log: one line of JSON per event, to stderr and to the hub."""

from __future__ import annotations

import contextlib
import datetime
import sys
from collections import deque
from collections.abc import Callable
from typing import Final, TextIO

import msgspec

MAX_WAITING_LINES: Final = 200
"""Lines kept for a hub that is not there; the oldest go first, and their number is told."""
MAX_LINE_CHARACTERS: Final = 4_000

Level = str


class AgentLog:
    """Writes events. Fields never hold secrets: tokens stay in `credentials`.

    Args:
        stream: where lines go, one JSON object each.
        now: the wall clock.
    """

    def __init__(self, stream: TextIO | None = None, now: Callable[[], datetime.datetime] | None = None) -> None:
        self._stream = stream if stream is not None else sys.stderr
        self._now = now if now is not None else _utc_now
        self._waiting: deque[tuple[Level, str]] = deque(maxlen=MAX_WAITING_LINES)
        self._dropped = 0
        self.on_line: Callable[[], None] | None = None

    def info(self, event: str, /, **fields: object) -> None:
        self._write("info", event, fields)

    def warning(self, event: str, /, **fields: object) -> None:
        self._write("warning", event, fields)

    def error(self, event: str, /, **fields: object) -> None:
        self._write("error", event, fields)

    def take(self) -> list[tuple[Level, str]]:
        """Return the lines that the hub has not seen, oldest first, and forget them."""
        lines = list(self._waiting)
        self._waiting.clear()
        if self._dropped:
            lines.insert(0, ("warning", f"log_dropped lines={self._dropped}"))
            self._dropped = 0
        return lines

    def _write(self, level: Level, event: str, fields: dict[str, object]) -> None:
        time = self._now().isoformat(timespec="milliseconds")
        whole = {"time": time, "level": level, "event": event} | fields
        # A full disk or a closed stderr must not end the agent; the hub still gets the line.
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(msgspec.json.encode(whole, enc_hook=str).decode() + "\n")
            self._stream.flush()
        if len(self._waiting) == MAX_WAITING_LINES:
            self._dropped += 1
        text = event + "".join(f" {name}={value}" for name, value in fields.items())
        self._waiting.append((level, text[:MAX_LINE_CHARACTERS]))
        if self.on_line is not None:
            self.on_line()


def _utc_now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
