"""Columns share the room; lines to paint are joined."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from clawtui.tui.widgets.table_layout import LEAST_CELLS, Column, column_at, column_widths, runs, total_width

COLUMNS = [
    Column("agent", "AGENT", 10, grow=True),
    Column("cpu", "CPU", 5, "right"),
    Column("task", "TASK", 10, grow=True),
]


@given(st.integers(0, 300))
def test_growing_columns_fill_the_line_and_shrink_before_it_scrolls(cells: int) -> None:
    widths = column_widths(COLUMNS, cells)
    assert total_width(widths) == max(cells, total_width([LEAST_CELLS, 5, LEAST_CELLS]))
    assert widths[1] == 5
    assert abs(widths[0] - widths[2]) <= 1


def test_the_column_under_the_mouse() -> None:
    widths = column_widths(COLUMNS, total_width([10, 5, 10]))
    assert [column_at(COLUMNS, widths, x) for x in (0, 2, 12, 13, 18, 19, 29, 30)] == [
        None, "agent", "agent", "cpu", "cpu", "task", "task", None,
    ]  # fmt: skip


@given(st.sets(st.integers(0, 50)))
def test_runs_cover_exactly_the_lines(lines: set[int]) -> None:
    found = runs(sorted(lines))
    assert {line for first, count in found for line in range(first, first + count)} == lines
    assert all(first + count < after for (first, count), (after, _) in pairwise(found))
