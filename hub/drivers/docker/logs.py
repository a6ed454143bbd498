"""An agent's own log as the engine gives it: frames of two streams, each line with its time."""

from __future__ import annotations

import datetime
import struct
from collections.abc import Iterator
from typing import Final

from hub.drivers.base import LogLine, LogRequest
from hub.drivers.docker.engine import Call, EngineRefused

HEADER: Final = struct.Struct(">BxxxL")
"""Before each frame: the stream's number, three zero bytes, the frame's length."""
STREAMS: Final = {1: "stdout", 2: "stderr"}
PART_BYTES: Final = 16 * 1024
"""A part of a longer line has exactly this size and no line end; the last part is shorter, and some log drivers leave
its line end out."""
MAX_FRAME_BYTES: Final = 1024 * 1024
"""Much more than a part means that we misread the stream."""
MAX_LINE_BYTES: Final = 64 * 1024
"""A longer line is given in pieces."""


def log_call(container_id: str, request: LogRequest) -> Call:
    params = {
        "stdout": "1",
        "stderr": "1",
        "timestamps": "1",
        "follow": "1" if request.follow else "0",
        "tail": "all" if request.lines is None else str(max(0, request.lines)),
    }
    if request.since_ms is not None:
        params["since"] = f"{request.since_ms // 1000}.{request.since_ms % 1000:03d}000000"
    return Call("GET", f"/containers/{container_id}/logs", params)


class LogDecoder:
    """Turns the engine's bytes, however they are cut, into lines."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._begun: dict[str, tuple[int | None, bytearray]] = {}
        """The lines of which the engine has sent only the first parts, by stream."""

    def feed(self, data: bytes) -> list[LogLine]:
        """Return the lines that are complete now; raises EngineRefused on bytes that are no log."""
        self._data += data
        return [line for stream, frame in self._frames() for line in self._lines(stream, frame)]

    def finish(self) -> list[LogLine]:
        """Return what has no end."""
        begun, self._begun = self._begun, {}
        return [_line(stream, at, bytes(text)) for stream, (at, text) in begun.items() if text]

    def _frames(self) -> Iterator[tuple[str, bytes]]:
        while len(self._data) >= HEADER.size:
            number, length = HEADER.unpack_from(self._data)
            if number not in STREAMS or length > MAX_FRAME_BYTES:
                raise EngineRefused("the engine's log cannot be read", engine_status=200)
            end = HEADER.size + length
            if len(self._data) < end:
                return
            yield STREAMS[number], bytes(self._data[HEADER.size : end])
            del self._data[:end]

    def _lines(self, stream: str, frame: bytes) -> Iterator[LogLine]:
        stamp, _, text = frame.partition(b" ")
        at = time_ms(stamp.decode(errors="replace"))
        if at is None:
            text = frame
        begun_at, begun = self._begun.pop(stream, (at, bytearray()))
        begun += text.removesuffix(b"\n")
        ended = text.endswith(b"\n") or len(text) != PART_BYTES
        while len(begun) > MAX_LINE_BYTES:
            yield _line(stream, begun_at, bytes(begun[:MAX_LINE_BYTES]))
            del begun[:MAX_LINE_BYTES]
        if ended:
            yield _line(stream, begun_at, bytes(begun))
        else:
            self._begun[stream] = (begun_at, begun)


def _line(stream: str, at: int | None, text: bytes) -> LogLine:
    return LogLine(text=text.decode(errors="replace").rstrip("\r"), at=at, stream=stream)


def time_ms(text: str) -> int | None:
    """Return an engine's time (RFC 3339, nanoseconds) as ms since the epoch; None for none."""
    try:
        at = datetime.datetime.fromisoformat(text)
    except ValueError:
        return None
    if at.tzinfo is None or at.year == 1:  # the engine's "never"
        return None
    return int(at.timestamp() * 1000)
