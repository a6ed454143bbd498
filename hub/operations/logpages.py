"""The last lines of a log before a time: what drivers, which count lines from the end, cannot answer at once."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Final

from hub.drivers.base import LogLine

SPANS_MS: Final = (600_000, 6 * 3_600_000)
"""So far before the time is looked first, then all that is kept: most pages are near the one before."""
DISORDER_MS: Final = 1_000
"""Lines of one log are out of order by less than this: a later one ends the search."""

Read = Callable[[int | None], AsyncIterator[LogLine]]
"""Gives a driver's lines since a time, ms since the epoch (None: all), oldest first."""


async def lines_until(read: Read, until_ms: int, since_ms: int | None, lines: int | None) -> AsyncIterator[LogLine]:
    """Yield the last `lines` lines (None: all) of `since_ms` to `until_ms`, both included, oldest first.

    Holds `lines` lines at most. A line without a time belongs to the one before it.
    """
    if lines is None:
        async for line in _until(read(since_ms), until_ms):
            yield line
        return
    found: deque[LogLine] = deque(maxlen=lines)
    for span in (*SPANS_MS, None):
        start = since_ms if span is None else max(since_ms or 0, until_ms - span)
        found.clear()
        async for line in _until(read(start), until_ms):
            found.append(line)
        if len(found) == lines or start == since_ms:
            break
    for line in found:
        yield line


async def _until(source: AsyncIterator[LogLine], until_ms: int) -> AsyncIterator[LogLine]:
    at: int | None = None
    async with aclosing(source) as following:  # pyright: ignore[reportArgumentType] - every driver's is a generator
        async for line in following:
            at = line.at if line.at is not None else at
            if at is None or at <= until_ms:
                yield line
            elif at > until_ms + DISORDER_MS:
                return
