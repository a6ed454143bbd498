"""Pure: numbers as bars and sparklines of single-cell glyphs; they say the same without colour."""

from __future__ import annotations

from collections.abc import Sequence

_LEVELS = "▁▂▃▄▅▆▇█"
_EIGHTHS = " ▏▎▍▌▋▊▉"
_NO_SAMPLE = "·"


def sparkline(samples: Sequence[float | None], cells: int, maximum: float | None = None) -> str:
    """The newest `cells` samples, oldest left; `None` is a gap, shown as a dot.

    `maximum` is the value of a full cell (100 for percents); without it the largest sample is.
    Missing history is dots on the left, so that the newest sample is always the last cell.
    """
    if cells <= 0:
        return ""
    newest = list(samples)[-cells:]
    known = [sample for sample in newest if sample is not None]
    top = maximum if maximum is not None else max(known, default=0.0)
    drawn = "".join(_NO_SAMPLE if sample is None else _level(sample, top) for sample in newest)
    return drawn.rjust(cells, _NO_SAMPLE)


def _level(sample: float, top: float) -> str:
    if top <= 0 or sample <= 0:
        return _LEVELS[0]
    return _LEVELS[-1] if sample >= top else _LEVELS[int(sample / top * len(_LEVELS))]


def bar(fraction: float | None, cells: int) -> str:
    """A horizontal bar of exactly `cells`; `fraction` 0 to 1, `None` when unknown. More than 1 is a full bar."""
    if cells <= 0:
        return ""
    if fraction is None:
        return _NO_SAMPLE * cells
    eighths = round(min(1.0, max(0.0, fraction)) * cells * 8)
    full, rest = divmod(eighths, 8)
    return ("█" * full + (_EIGHTHS[rest] if rest else "")).ljust(cells, "░")


def progress(fraction: float, cells: int) -> str:
    """A progress bar in whole cells, `▓▓▓░░`; full only when `fraction` is 1 or more."""
    filled = cells if fraction >= 1 else min(cells - 1, max(0, int(fraction * cells)))
    return "▓" * max(0, filled) + "░" * max(0, cells - max(0, filled))
