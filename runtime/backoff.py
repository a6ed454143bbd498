"""When to dial again. Pure: the clock and the source of chance are given."""

from __future__ import annotations

import random
from typing import Final

STABLE_SECONDS: Final = 60.0
"""A connection that lived this long ends the row of failures (protocol, rule 7)."""
MAX_DELAY_SECONDS: Final = 60.0
BASE_DELAY_SECONDS: Final = 1.0
SUPERSEDED_SECONDS: Final = 5.0
"""Least delay after another connection of this agent took over: two instances must not flap fast."""


class Backoff:
    """Delays between attempts to connect.

    The first attempt after a loss falls into the window that the hub spread its agents over; then
    full jitter uniform(0, min(60 s, 1 s * 2^n)). `n` starts over only after a stable connection.
    """

    def __init__(self, chance: random.Random, spread_seconds: float = 1.0) -> None:
        self._chance = chance
        self._spread_seconds = spread_seconds
        self._failures = 0
        self._after_loss = False
        self._was_stable = False
        self._not_before = 0.0

    def welcomed(self, spread_seconds: float) -> None:
        """Take the window for the first attempt after the connection that begins now."""
        self._spread_seconds = max(spread_seconds, 0.0)

    def lost(self, lived_seconds: float) -> None:
        """Take the end of a connection that had been welcomed."""
        self._after_loss = True
        self._was_stable = lived_seconds >= STABLE_SECONDS
        if self._was_stable:
            self._failures = 0

    def hold_off(self, seconds: float) -> None:
        """Make the next delay at least this long: Retry-After, goaway, superseded."""
        self._not_before = max(self._not_before, seconds)

    def next_delay(self) -> float:
        """Return the seconds to wait now; each call counts as one more attempt."""
        window = min(MAX_DELAY_SECONDS, BASE_DELAY_SECONDS * 2 ** min(self._failures, 10))
        if self._after_loss:
            window = self._spread_seconds if self._failures == 0 else max(window, self._spread_seconds)
        if not (self._after_loss and self._was_stable):
            # A connection that did not last is one more failure: a loop of them must slow down.
            self._failures += 1
        self._after_loss = False
        floor, self._not_before = self._not_before, 0.0
        # On top of the floor, not instead: everybody was told the same number of seconds.
        return floor + self._chance.uniform(0.0, window)
