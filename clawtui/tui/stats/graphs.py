"""Pure: values over time as columns of cells. Times are ms since the epoch; a column is one cell wide."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

BLOCKS: Final = " ▁▂▃▄▅▆▇█"
LEVELS: Final = 8
"""Heights that one cell can show."""
NO_SAMPLE: Final = "·"
PEAK: Final = "│"
LABEL_GAP: Final = 2


class Stretch(NamedTuple):
    """A mean and the highest value of the time after `begin_ms` up to `end_ms`."""

    begin_ms: int
    end_ms: int
    mean: float
    high: float


class Bar(NamedTuple):
    """What one column shows."""

    mean: float
    high: float


def columns(stretches: Iterable[Stretch], begin_ms: int, step_ms: int, count: int) -> list[Bar | None]:
    """Means and peaks of `count` periods of `step_ms` from `begin_ms` on; None is a period that nothing is known of.

    A stretch over several periods counts in each of them; nothing is made up between stretches.
    """
    weights = [0] * count
    totals = [0.0] * count
    highs = [-math.inf] * count
    for begin, end, mean, high in stretches:
        first = (begin - begin_ms) // step_ms
        last = (end - 1 - begin_ms) // step_ms
        if first == last and 0 <= first < count:
            # Most stretches of a long window are within one column, and a repaint must not take long.
            weights[first] += end - begin
            totals[first] += mean * (end - begin)
            if high > highs[first]:
                highs[first] = high
            continue
        for place in range(max(first, 0), min(last, count - 1) + 1):
            left = begin_ms + place * step_ms
            weight = min(end, left + step_ms) - max(begin, left)
            weights[place] += weight
            totals[place] += mean * weight
            highs[place] = max(highs[place], high)
    return [
        Bar(total / weight, high) if weight else None
        for weight, total, high in zip(weights, totals, highs, strict=True)
    ]


def plot(bars: Sequence[Bar | None], rows: int, top: float) -> list[str]:
    """The bars in `rows` lines, the upper first; `top` is the value of a full column.

    A known value has at least the lowest block, so that nothing is not zero. A thin line goes on to the peak.
    """
    drawn = [
        _gap(rows) if bar is None else _column(max(_levels(bar.mean, rows, top), 1), _levels(bar.high, rows, top), rows)
        for bar in bars
    ]
    return ["".join(cells) for cells in zip(*drawn, strict=True)] if drawn else [""] * rows


def _gap(rows: int) -> str:
    return NO_SAMPLE.rjust(rows)


@lru_cache(4_096)
def _column(filled: int, high: int, rows: int) -> str:
    """The cells of one column, the upper first; `filled` and `high` in levels."""
    peak = -(-high // LEVELS)
    cells: list[str] = []
    for row in range(rows, 0, -1):
        level = filled - (row - 1) * LEVELS
        if level > 0:
            cells.append(BLOCKS[min(level, LEVELS)])
        else:
            cells.append(PEAK if row <= peak else " ")
    return "".join(cells)


def _levels(value: float, rows: int, top: float) -> int:
    if top <= 0:
        return 0
    return round(min(max(value / top, 0.0), 1.0) * rows * LEVELS)


def nice(value: float, base: float = 10.0) -> float:
    """The first of 1, 2 and 5 times a power of `base` that is not below `value`; with base 1024 also 10 … 500."""
    if value <= 0 or not math.isfinite(value):
        return 1.0
    power = base ** math.floor(math.log(value, base))
    factors = (1, 2, 5) if base <= 10 else (1, 2, 5, 10, 20, 50, 100, 200, 500)
    return next((power * factor for factor in factors if power * factor >= value), power * base)


TICKS: Final = (
    (15, "s"), (30, "s"), (60, "m"), (300, "m"), (900, "m"), (3_600, "h"), (7_200, "h"), (21_600, "h"),
    (86_400, "d"), (432_000, "d"), (864_000, "d"),
)  # fmt: skip
"""Seconds between two labels of the axis, and the unit in which they are said."""
UNITS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
TICK_CELLS: Final = 10


def axis(count: int, seconds: float, end: str = "now") -> str:
    """The line below `count` columns: how long before `end` the columns were; each label begins at its column."""
    if count <= 0:
        return ""
    fitting = (tick for tick in TICKS if tick[0] * count / seconds >= TICK_CELLS)
    step, unit = next(fitting, TICKS[-1])
    line = end.rjust(count)[:count] if len(end) <= count else " " * count
    free = len(line.rstrip()) and count - len(end) - LABEL_GAP
    for back in range(step, int(seconds) + 1, step):
        label = f"-{back // UNITS[unit]}{unit}"
        place = round(count - count * back / seconds)
        if place + len(label) <= free:
            line = line[:place] + label + line[place + len(label) :]
            free = place - LABEL_GAP
    return line
