"""Pure: what a table shows, and how many cells each column gets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from clawtui.tui.widgets.text import Align

HEADER_LINES = 1
GUTTER_CELLS = 2
"""Before the first column: the cursor's arrow and the mark."""

LEAST_CELLS = 8
"""Below this a growing column's words say nothing any more."""


class Column(NamedTuple):
    """`width` in cells is what it needs; columns that `grow` share what is left over or missing."""

    key: str
    title: str
    width: int
    align: Align = "left"
    grow: bool = False


class Cell(NamedTuple):
    """`style` names what the text means: "ok", "warn", "bad", "dim", "accent" or nothing."""

    text: str
    style: str = ""


class Row(NamedTuple):
    """`cells` in the order of the columns; `stale` rows are greyed as a whole."""

    key: str
    cells: tuple[Cell, ...]
    stale: bool = False


def column_widths(columns: Sequence[Column], cells: int) -> list[int]:
    """Cells of each column in a table `cells` wide.

    Columns that grow take what is left over, and give what is missing down to `LEAST_CELLS`; after that the table is
    wider than its place and scrolls sideways.
    """
    widths = [column.width for column in columns]
    growing = [index for index, column in enumerate(columns) if column.grow]
    spare = cells - total_width(widths)
    if spare > 0 and growing:
        share, rest = divmod(spare, len(growing))
        for position, index in enumerate(growing):
            widths[index] += share + (position < rest)
    while spare < 0 and growing:
        widest = max(growing, key=lambda index: widths[index])
        if widths[widest] <= LEAST_CELLS:
            break
        widths[widest] -= 1
        spare += 1
    return widths


def total_width(widths: Sequence[int]) -> int:
    """Cells of a line: the gutter and every column with the space after it, except the last."""
    return GUTTER_CELLS + sum(widths) + max(0, len(widths) - 1)


def column_at(columns: Sequence[Column], widths: Sequence[int], x: int) -> str | None:
    """Key of the column under cell `x` of an unscrolled line; the space after a column belongs to it."""
    start = GUTTER_CELLS
    for column, cells in zip(columns, widths, strict=True):
        if start <= x <= start + cells:
            return column.key
        start += cells + 1
    return None


def runs(lines: Sequence[int]) -> list[tuple[int, int]]:
    """Ascending `lines` as (first, count) of neighbours: fewer, larger regions are cheaper to paint."""
    found: list[tuple[int, int]] = []
    for line in lines:
        if found and sum(found[-1]) == line:
            found[-1] = (found[-1][0], found[-1][1] + 1)
        else:
            found.append((line, 1))
    return found
