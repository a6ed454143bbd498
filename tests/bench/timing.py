"""Timing: samples and their percentiles."""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable, Iterable


class Samples:
    """Durations in seconds."""

    def __init__(self, seconds: Iterable[float]) -> None:
        self._sorted = sorted(seconds)

    def quantile_ms(self, fraction: float) -> float:
        """Return the duration in ms that `fraction` of all do not exceed (nearest rank)."""
        rank = max(math.ceil(fraction * len(self._sorted)), 1)
        return self._sorted[rank - 1] * 1000

    @property
    def p50_ms(self) -> float:
        return self.quantile_ms(0.5)

    @property
    def p99_ms(self) -> float:
        return self.quantile_ms(0.99)


def time_calls(count: int, call: Callable[[], object], warm_up: int = 5) -> Samples:
    """Call one after the other and time each."""
    for _ in range(warm_up):
        call()
    found: list[float] = []
    for _ in range(count):
        started = time.perf_counter()
        call()
        found.append(time.perf_counter() - started)
    return Samples(found)


async def time_awaits(count: int, call: Callable[[], Awaitable[object]], warm_up: int = 20) -> Samples:
    """Await one after the other and time each."""
    for _ in range(warm_up):
        await call()
    found: list[float] = []
    for _ in range(count):
        started = time.perf_counter()
        await call()
        found.append(time.perf_counter() - started)
    return Samples(found)
