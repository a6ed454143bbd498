"""What waits to be written to one agent: bounded, with acknowledgements merged.

Policy when full: the connection is closed. Everything in here is either sent again by the plan of
the next hello (tasks, cancels, acknowledgements) or worthless later (watch, pings).

Full is judged with patience: an agent that has just connected may be owed much at once, and one that
reads takes it in no time. Only what still waits after `PATIENCE_SECONDS`, or passes the bound
`BURST_FACTOR` times, shows that nobody reads.
"""

from __future__ import annotations

import asyncio
from collections import deque
from itertools import islice
from typing import Final, Literal, TypeVar

import msgspec

from runtime.wire import Ack, AttemptId

T = TypeVar("T")

PATIENCE_SECONDS: Final = 10.0
BURST_FACTOR: Final = 32
"""With the default bounds 128 MiB: more than an agent's whole queue of tasks and messages."""
ACK_ENTRIES: Final = 500
"""Acknowledgements in one frame: ids of 128 characters, each escaped to six bytes, still fit."""
MAX_ACK_ENTRIES: Final = 20_000
"""Acknowledgements that may wait. Who sends so much and reads nothing is no use."""


class Control(msgspec.Struct, frozen=True):
    """A WebSocket control frame among the text frames."""

    opcode: Literal["ping", "pong"]
    data: bytes = b""


class OutboxFull(Exception):
    """The agent reads too slowly."""


class Outbox:
    """Frames in order; acknowledgements are merged into one frame as late as possible."""

    def __init__(self, max_frames: int, max_bytes: int) -> None:
        self._max_frames = max_frames
        self._max_bytes = max_bytes
        self._frames: deque[str | Control] = deque()
        self._bytes = 0
        self._full_since: float | None = None
        self._output: dict[AttemptId, int] = {}
        self._responses: list[AttemptId] = []
        self._messages: list[str] = []
        self._ready = asyncio.Event()
        self._closed = False

    @property
    def frames(self) -> int:
        """Frames that wait."""
        return len(self._frames)

    @property
    def bytes(self) -> int:
        return self._bytes

    @property
    def acks(self) -> int:
        """Acknowledgements that wait: what of the agent's window is not given back yet."""
        return len(self._output) + len(self._responses) + len(self._messages)

    def put(self, frame: str | Control, now: float) -> None:
        """Take a frame. `now`: monotonic seconds. Raises OutboxFull."""
        size = _size(frame)
        if self._is_beyond(1, size):
            self._full_since = now if self._full_since is None else self._full_since
            if self._is_beyond(BURST_FACTOR, size) or now - self._full_since > PATIENCE_SECONDS:
                raise OutboxFull
        self._frames.append(frame)
        self._bytes += size
        self._ready.set()

    def _is_beyond(self, factor: int, more_bytes: int) -> bool:
        return len(self._frames) >= factor * self._max_frames or self._bytes + more_bytes > factor * self._max_bytes

    def acknowledge(self, ack: Ack) -> None:
        """Raises OutboxFull."""
        if self.acks >= MAX_ACK_ENTRIES:
            raise OutboxFull
        self._output.update(ack.output)
        self._responses += ack.responses
        self._messages += ack.messages
        self._ready.set()

    def close(self) -> None:
        """Nothing more will come; `take` gives what is left and then ends."""
        self._closed = True
        self._ready.set()

    async def wait_ready(self) -> bool:
        """Wait until there is something to take; False at the end."""
        while not (self._frames or self._has_ack()):
            if self._closed:
                return False
            self._ready.clear()
            await self._ready.wait()
        return True

    def take_ack(self) -> Ack | None:
        """As many acknowledgements as fit into one frame, or None."""
        if not self._has_ack():
            return None
        output = dict(islice(self._output.items(), ACK_ENTRIES))
        for attempt_id in output:
            del self._output[attempt_id]
        responses, self._responses = _split(self._responses, ACK_ENTRIES - len(output))
        messages, self._messages = _split(self._messages, ACK_ENTRIES - len(output) - len(responses))
        return Ack(output=output, responses=responses, messages=messages)

    def take(self) -> str | Control | None:
        """The next frame, or None."""
        if not self._frames:
            return None
        frame = self._frames.popleft()
        self._bytes -= _size(frame)
        if not self._is_beyond(1, 0):
            self._full_since = None
        return frame

    def _has_ack(self) -> bool:
        return bool(self._output or self._responses or self._messages)


def _split(items: list[T], count: int) -> tuple[list[T], list[T]]:
    return items[:count], items[count:]


def _size(frame: str | Control) -> int:
    # Characters stand for bytes: nearly everything is ASCII, and the bound is a bound on memory.
    return len(frame.data) if isinstance(frame, Control) else len(frame)
