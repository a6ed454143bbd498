"""Waiting for a hub that went away in the middle of something that is followed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

from hub.errors import HubError

FIRST_DELAY_SECONDS: Final = 0.2
MOST_DELAY_SECONDS: Final = 2.0
STOOD_SECONDS: Final = 60.0
"""An attempt that lasts longer than this was a connection: no timeout of a dial is as long."""

Say = Callable[[str], None]
Pause = Callable[[float], Awaitable[None]]


class Outage:
    """One hub's absences, one after another. `meanwhile` ends the sentence that says so."""

    def __init__(
        self,
        patience_seconds: float,
        meanwhile: str,
        *,
        say: Say,
        pause: Pause = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._patience_seconds = patience_seconds
        self._meanwhile = meanwhile
        self._say = say
        self._pause = pause
        self._clock = clock
        self._delay = FIRST_DELAY_SECONDS
        self._deadline: float | None = None
        self._begun = self._clock()

    @property
    def lasts(self) -> bool:
        """The hub is away, and that has been said."""
        return self._deadline is not None

    def trying(self) -> None:
        """The hub is asked now."""
        self._begun = self._clock()

    def over(self) -> None:
        """The hub said something."""
        if self._deadline is not None:
            self._say("the hub is back")
        self._deadline, self._delay = None, FIRST_DELAY_SECONDS

    async def wait(self, error: HubError) -> None:
        """The hub is away: wait a little. Raises `error` when that went on for too long."""
        now = self._clock()
        if self._deadline is not None and now - self._begun > STOOD_SECONDS:
            # It was a quiet connection, and this is another absence.
            self.over()
        if self._deadline is None:
            self._say(f"the hub is away; waiting for it{self._meanwhile}")
            self._deadline = now + self._patience_seconds
        elif now >= self._deadline:
            raise error
        await self._pause(self._delay)
        self._delay = min(self._delay * 2, MOST_DELAY_SECONDS)
