"""The two sources of nondeterminism, in one place: time and new identifiers."""

from __future__ import annotations

import secrets
import time
from typing import Protocol

from hub.core.identity import PREFIX
from hub.core.model import Now, TokenKind

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's base 32 in lower case: sorts like the number, has no look-alikes."""


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
