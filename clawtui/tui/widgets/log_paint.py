"""Turns a log line into strips: gutter, time, source, text with its level and hits, folded or not."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from functools import lru_cache
from itertools import accumulate
from typing import NamedTuple

from rich.cells import get_character_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from clawtui.tui.widgets.log_store import LogLineView
from clawtui.tui.widgets.table_paint import StyleSource, foreground
from clawtui.tui.widgets.text import clean, fit, fold, width

GUTTER_CELLS = 3
"""Before the text: the cursor, range or gap, and the first letter of a level that stands out, a space."""
SOURCE_CELLS = 16
CACHED_LINES = 256
"""Folded or searched once for a screen: a few MB at worst, when every line is as long as lines may be."""
PREFIX = "log-view--"
LEVELS = {
    "error": "error", "err": "error", "fatal": "error", "critical": "error", "stderr": "error",
    "warn": "warn", "warning": "warn", "debug": "debug", "trace": "debug", "system": "system",
}  # fmt: skip
LETTERS = {"error": "E", "warn": "W"}
"""A level is never told by colour alone."""


class Dress(NamedTuple):
    """What a line's look depends on besides the line."""

    cursor: bool = False
    chosen: bool = False
    context: bool = False
    gap: bool = False


def prefix(line: LogLineView, timestamps: bool) -> str:
    """What stands before the text: the time when wanted, and the source in columns of its own."""
    at = f"{clean(line.at)} " if timestamps and line.at else ""
    return at + (f"{fit(line.source, SOURCE_CELLS)} " if line.source else "")


def pieces(line: LogLineView, timestamps: bool, cells: int) -> list[str]:
    """The line folded to `cells` columns of text, as `fold` does it."""
    return fold(prefix(line, timestamps) + clean(line.text), cells)


def height(line: LogLineView, timestamps: bool, cells: int) -> int:
    """How many lines `pieces` has; without folding where every character is one cell."""
    text = line.text
    if text.isascii() and text.isprintable():
        length = len(text) + (width(prefix(line, timestamps)) if line.source or line.at else 0)
        return max(1, -(-length // cells))
    return len(pieces(line, timestamps, cells))


class Shown(NamedTuple):
    """A line, and what of it is shown."""

    line: LogLineView
    timestamps: bool
    hit: re.Pattern[str] | None


class LogPainter:
    """Strips of log lines; styles come from the widget's component classes."""

    def __init__(self, source: StyleSource) -> None:
        self._source = source
        self._styles: dict[tuple[Dress, str], Style] = {}

    def forget_styles(self) -> None:
        self._styles.clear()

    def style(self, dress: Dress, meaning: str = "") -> Style:
        key = (dress, meaning)
        if key not in self._styles:
            self._styles[key] = self._mixed(dress, meaning)
        return self._styles[key]

    def unfolded(self, shown: Shown, dress: Dress, first_cell: int, cells: int) -> Strip:
        """The gutter and the `cells` of the line from `first_cell`."""
        start, end, padding = window(_spans(shown)[0], first_cell, cells)
        return self._strip(shown, dress, (start, end), padding, first=True)

    def folded(self, shown: Shown, dress: Dress, cells: int, piece: int) -> Strip:
        """The gutter and piece number `piece` of the line folded to `cells`."""
        return self._strip(shown, dress, _piece(shown, cells, piece), 0, first=piece == 0)

    def _strip(self, shown: Shown, dress: Dress, part: tuple[int, int], padding: int, *, first: bool) -> Strip:
        whole, spans = _spans(shown)
        start, end = part
        level = LEVELS.get(shown.line.level.lower(), "")
        letter = LETTERS.get(level, " ") if first else " "
        segments = [Segment(self._sign(dress, first=first), self.style(dress, "gutter"))]
        segments.append(Segment(f"{letter} {' ' * padding}", self.style(dress, level)))
        for span_start, span_end, meaning in spans:
            if span_start >= end:
                break
            text = whole[max(span_start, start) : min(span_end, end)]
            if span_end > start and text:
                segments.append(Segment(text, self.style(dress, meaning)))
        return Strip(segments)

    @staticmethod
    def _sign(dress: Dress, *, first: bool) -> str:
        if dress.cursor:
            return "▸" if first else "│"
        if dress.chosen:
            return "*"
        return "┄" if dress.gap and first else " "

    def _mixed(self, dress: Dress, meaning: str) -> Style:
        named = "cursor" if dress.cursor else "chosen" if dress.chosen else "line"
        style = self._source.get_component_rich_style(f"{PREFIX}{named}")
        if dress.context and meaning != "hit":
            meaning = "context"
        if not meaning:
            return style
        return style + foreground(self._source, f"{PREFIX}{meaning}")


def window(text: str, first_cell: int, cells: int) -> tuple[int, int, int]:
    """(start, end, padding) of what cleaned `text` shows in `cells` from `first_cell`.

    The padding stands for the right half of a wide character that the window's edge cuts.
    """
    if text.isascii():
        return first_cell, first_cell + cells, 0
    ends = _ends(text)
    start, padding = 0, 0
    if first_cell:
        cut = bisect_left(ends, first_cell)
        edge = ends[cut] if cut < len(ends) else first_cell
        start, padding = bisect_right(ends, edge), edge - first_cell
    return start, bisect_right(ends, first_cell + cells), padding


@lru_cache(CACHED_LINES)
def _ends(text: str) -> list[int]:
    """The cell after each character."""
    return list(accumulate(map(get_character_cell_size, text)))


@lru_cache(CACHED_LINES)
def _starts(shown: Shown, cells: int) -> list[int]:
    """Where the pieces of the folded line start, and its end: a long line is folded once, not for each of its lines."""
    return [0, *accumulate(map(len, pieces(shown.line, shown.timestamps, cells)))]


def _piece(shown: Shown, cells: int, piece: int) -> tuple[int, int]:
    starts = _starts(shown, cells)
    return (starts[piece], starts[piece + 1]) if piece + 1 < len(starts) else (starts[-1], starts[-1])


@lru_cache(CACHED_LINES)
def _spans(shown: Shown) -> tuple[str, list[tuple[int, int, str]]]:
    """The whole line, and (first, last, meaning) over it, in order and without holes."""
    line, hit = shown.line, shown.hit
    before, text = prefix(line, shown.timestamps), clean(line.text)
    level = LEVELS.get(line.level.lower(), "")
    offset = len(before)
    spans = [(0, offset, "prefix")]
    at = 0
    for found in hit.finditer(text) if hit is not None else ():
        if found.end() == found.start():
            continue
        spans.append((offset + at, offset + found.start(), level))
        spans.append((offset + found.start(), offset + found.end(), "hit"))
        at = found.end()
    spans.append((offset + at, offset + len(text), level))
    return before + text, spans
