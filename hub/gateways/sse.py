"""Server-sent events out of pieces of bytes. Pure; only what OpenAI-like streams use: `event` and `data`."""

from __future__ import annotations

from typing import Final, NamedTuple

MOST_EVENT_BYTES: Final = 8 * 1024 * 1024
"""The last event of a stream repeats the whole answer."""


class SseEvent(NamedTuple):
    """`name` is empty where the stream gives none."""

    name: str
    data: bytes


class EventTooLong(Exception):
    """A stream that sends so much without the end of an event is none."""


class SseReader:
    """Give it pieces as they come; lines may end with LF, CR LF or CR, and may be cut anywhere."""

    def __init__(self, most_bytes: int = MOST_EVENT_BYTES) -> None:
        self._most = most_bytes
        self._rest = b""
        self._name = b""
        self._data: list[bytes] = []
        self._size = 0

    def feed(self, piece: bytes) -> list[SseEvent]:
        """Return the events that the piece completes. Raises EventTooLong."""
        # A CR at the end may be the first half of CR LF, so it waits for what comes next.
        text = self._rest + piece
        held = text[-1:] if text.endswith(b"\r") else b""
        *lines, self._rest = text[: len(text) - len(held)].replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        self._rest += held
        if len(self._rest) + self._size > self._most:
            raise EventTooLong
        return [event for line in lines if (event := self._take(line)) is not None]

    def _take(self, line: bytes) -> SseEvent | None:
        if not line:
            event = SseEvent(self._name.decode("utf-8", "replace"), b"\n".join(self._data)) if self._data else None
            self._name, self._data, self._size = b"", [], 0
            return event
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            self._data.append(value)
            self._size += len(value)
            if self._size > self._most:
                raise EventTooLong
        elif field == b"event":
            self._name = value
        return None
