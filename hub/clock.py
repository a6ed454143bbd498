"""The two sources of nondeterminism, in one place: time and new identifiers."""

from __future__ import annotations

import secrets
import time
from typing import Final, NamedTuple, Protocol

from hub.core.identity import PREFIX
from hub.core.model import Now, TokenKind

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's base 32 in lower case: sorts like the number, has no look-alikes."""

JUMP_SECONDS: Final = 10.0
"""A time service slews by half a millisecond per second; what moves so far between two looks was set, or
passed while the machine slept, when a monotonic clock stands still."""


class Clock(Protocol):
    """Reads both clocks and makes ids; tests bring one that they turn themselves."""

    def now(self) -> Now: ...

    def new_id(self, prefix: str) -> str:
        """Return a new id, sortable by its time of making."""
        ...

    def new_secret(self, kind: TokenKind) -> str:
        """Return a new token of 256 random bits with the kind's prefix."""
        ...


class SystemClock:
    """The machine's clocks and randomness."""

    def now(self) -> Now:
        return Now(wall_ms=time.time_ns() // 1_000_000, mono=time.monotonic())

    def new_id(self, prefix: str) -> str:
        # 48 bits of ms and 50 random bits: unique enough for one hub, short enough to read out.
        number = (time.time_ns() // 1_000_000) << 50 | secrets.randbits(50)
        digits = [_ALPHABET[number >> shift & 31] for shift in range(95, -1, -5)]
        return f"{prefix}_{''.join(digits)}"

    def new_secret(self, kind: TokenKind) -> str:
        return PREFIX[kind] + secrets.token_urlsafe(32)


class Jump(NamedTuple):
    """How far the wall clock moved against the monotonic one; negative = it was put back."""

    seconds: float

    def __str__(self) -> str:
        way = "ahead" if self.seconds > 0 else "back"
        return (
            f"the wall clock jumped {abs(self.seconds):.0f} s {way}: it was set, or this machine slept; "
            "times shown from before and after do not fit together, and nothing counts as lost by it"
        )


class JumpWatch:
    """Compares the two clocks at every look; slow drift between them is no jump."""

    def __init__(self, now: Now) -> None:
        self._apart = _apart(now)

    def look(self, now: Now) -> Jump | None:
        """Return the jump since the last look, if there was one of more than `JUMP_SECONDS`."""
        apart = _apart(now)
        moved, self._apart = apart - self._apart, apart
        return Jump(moved) if abs(moved) > JUMP_SECONDS else None


def _apart(now: Now) -> float:
    return now.wall_ms / 1000 - now.mono
