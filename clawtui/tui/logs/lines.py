"""Pure: what a hub says as lines of a log view: entries of agents' logs, bytes of tasks' outputs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import msgspec

from clawtui.tui.widgets.log_store import LogLineView
from hub.contract import LogEntry

NOTICE_KEY: Final = -1
"""Of lines that are ours and in no log."""
PIECE_BYTES: Final = 1_048_576
"""A line without an end is shown in pieces of this size."""
LEVEL_WITHIN: Final = 120
"""A line's level stands among its first so many characters."""
_WORD: Final = re.compile(r"\b(FATAL|CRITICAL|ERROR|ERR|PANIC|WARNING|WARN|INFO|DEBUG|TRACE)\b")
_NAMED: Final = re.compile(r"\b(?:level|lvl|severity)\W{1,4}([a-z]+)", re.IGNORECASE)
_CAPITALS: Final = re.compile("[A-Z]{3}")
"""Found much faster than a word; most lines have none."""
_SAME: Final = {"panic": "error"}


class Page(NamedTuple):
    """Lines in order; `end`: nothing lies beyond them on the side that was asked for."""

    lines: list[LogLineView]
    end: bool


def notice(text: str, source: str = "", key: int = NOTICE_KEY) -> LogLineView:
    """A line of our own between those of a log."""
    return LogLineView(f"— {text} —", "", source, "warn", key)


def first_key(held: Sequence[LogLineView]) -> int | None:
    """The key of the first line that is a log's."""
    return next((line.key for line in held if line.key != NOTICE_KEY), None)


def last_key(held: Sequence[LogLineView]) -> int | None:
    return first_key(held[::-1])


def level_of(text: str) -> str:
    """The level that a plain line names; empty when it names none."""
    head = text[:LEVEL_WITHIN]
    found = _WORD.search(head) if _CAPITALS.search(head) else None
    if found is None and ("=" in head or ":" in head):
        found = _NAMED.search(head)
    word = found[1].lower() if found is not None else ""
    return _SAME.get(word, word)


# --- agents' logs


def time_ms(at: str | None) -> int:
    """RFC 3339 as ms since the epoch; 0 for none."""
    if not at:
        return 0
    try:
        return int(datetime.fromisoformat(at).timestamp() * 1000)
    except ValueError:
        return 0


def time_text(ms: int) -> str:
    """Ms since the epoch as RFC 3339 in UTC."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def entry_line(entry: LogEntry, source: str = "") -> LogLineView:
    """One line of a log, its key the time in ms; our own JSON lines are shown as words."""
    at, level, text = (entry.at or "")[11:23], entry.level or "", entry.text
    if text.startswith("{"):
        at, level, text = _structured(text, at, level)
    level = level or level_of(text) or ("error" if entry.stream == "stderr" and not at else "")
    return LogLineView(text, at, source, level, time_ms(entry.at))


def _structured(text: str, at: str, level: str) -> tuple[str, str, str]:
    """`{"time": …, "level": …, "event": …, more}` as time, level and `event more=…`; other JSON as it is."""
    try:
        fields = msgspec.json.decode(text.encode("utf-8", "replace"), type=dict[str, Any])
    except (msgspec.DecodeError, ValueError, RecursionError):
        return at, level, text
    event = fields.pop("event", None)
    if event is None:
        return at, level, text
    when, word = str(fields.pop("time", "")), str(fields.pop("level", level))
    more = " ".join(f"{name}={value}" for name, value in fields.items())
    return at or when[11:23], word, f"{event} {more}".rstrip()


# --- tasks' outputs


class LineCutter:
    """Bytes of several streams to whole lines, in the order in which they end; a line's key is the offset after it.

    `offset`: of the first byte that comes. Unless it is `whole`, a line may have begun before it; that shows.
    """

    def __init__(self, offset: int, *, whole: bool) -> None:
        self.offset = offset
        self._rests: dict[str, bytearray] = {}
        self._first = b"" if whole else MISSING

    def take(self, stream: str, data: bytes, skipped: int = 0) -> list[LogLineView]:
        """The lines that end in `data`; `skipped` bytes are missing before it, which is said."""
        lines: list[LogLineView] = []
        if skipped:
            self.offset += skipped
            lines.append(notice(f"{skipped} bytes were cut here", key=self.offset))
        if stream not in self._rests:
            # Another stream than that of the first byte begins a line where it comes in.
            self._rests[stream], self._first = bytearray(self._first), b""
        rest = self._rests[stream]
        *ended, last = data.split(b"\n")
        for part in ended:
            rest += part
            self.offset += len(part) + 1
            lines.append(_output_line(stream, bytes(rest), self.offset))
            rest.clear()
        rest += last
        self.offset += len(last)
        while len(rest) > PIECE_BYTES:
            size = _whole_characters(rest, PIECE_BYTES)
            lines.append(_output_line(stream, bytes(rest[:size]), self.offset - len(rest) + size))
            del rest[:size]
        return lines

    def end(self) -> list[LogLineView]:
        """What has no line end."""
        rests, self._rests = self._rests, {}
        return [_output_line(stream, bytes(rest), self.offset) for stream, rest in rests.items() if rest]


MISSING: Final = "…".encode()
"""Stands for the part of a line that was not read."""


def _output_line(stream: str, data: bytes, key: int) -> LogLineView:
    text = data.decode("utf-8", "replace")
    return LogLineView(text, level="error" if stream == "stderr" else level_of(text), key=key)


def _whole_characters(data: bytearray, size: int) -> int:
    """At most `size`, so that no character of UTF-8 is cut in two."""
    while size > 1 and data[size] & 0xC0 == 0x80:
        size -= 1
    return size
