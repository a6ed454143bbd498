"""Who may speak now: one message at a time in a conversation, in the order in which they came, others beside it.

A gateway that gets several first messages on one session key at once answers some of them with an internal error.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from hub.errors import QueueFull
from hub.keylock import KeyLocks

MOST_IN_SESSION: Final = 16
"""Messages of one conversation: one that is answered, the others wait."""
MOST_AT_GATEWAY: Final = 128
"""Messages to one gateway, waiting or not: one that hangs must not take what others need."""
RETRY_SECONDS: Final = 5.0


class Turns:
    def __init__(self) -> None:
        self._locks = KeyLocks()
        self._in_session: Counter[tuple[str, str]] = Counter()
        self._at_gateway: Counter[str] = Counter()

    @property
    def open(self) -> int:
        """Messages that are answered or wait."""
        return self._at_gateway.total()

    @asynccontextmanager
    async def turn(self, gateway: str, session_key: str) -> AsyncIterator[None]:
        """Wait for this conversation to be free, first come, first served. Raises QueueFull at once."""
        where = gateway, session_key
        if self._in_session[where] >= MOST_IN_SESSION:
            raise QueueFull(
                f"{MOST_IN_SESSION} messages wait in this conversation already",
                code="session_busy",
                hint="wait for their answers, or use another session",
                retry_after_seconds=RETRY_SECONDS,
            )
        if self._at_gateway[gateway] >= MOST_AT_GATEWAY:
            raise QueueFull(
                f"{MOST_AT_GATEWAY} messages to gateway {gateway} are open already",
                code="gateway_busy",
                hint="wait until some are answered",
                retry_after_seconds=RETRY_SECONDS,
            )
        self._in_session[where] += 1
        self._at_gateway[gateway] += 1
        try:
            async with self._locks.hold(where):
                yield
        finally:
            self._leave(gateway, where)

    def _leave(self, gateway: str, where: tuple[str, str]) -> None:
        self._at_gateway[gateway] -= 1
        self._in_session[where] -= 1
        if not self._at_gateway[gateway]:
            del self._at_gateway[gateway]
        if not self._in_session[where]:
            del self._in_session[where]
