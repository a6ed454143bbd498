"""Folded rows against a plain list of (row, line) pairs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from clawtui.tui.widgets.log_rows import Folding

STEPS = st.lists(st.lists(st.integers(1, 5), max_size=6) | st.integers(0, 4), max_size=12)


@given(STEPS)
def test_every_line_is_where_a_list_says(steps: list[list[int] | int]) -> None:
    folding, heights = Folding(), list[int]()
    for step in steps:
        if isinstance(step, int):
            assert folding.drop(step) == sum(heights[:step])
            heights = heights[step:]
        else:
            folding.extend(step)
            heights += step
        lines = [(row, line) for row, height in enumerate(heights) for line in range(height)]
        assert folding.lines == len(lines)
        assert [folding.locate(line) for line in range(len(lines))] == lines
        assert [folding.top(row) for row in range(len(heights))] == [
            lines.index((row, 0)) for row in range(len(heights))
        ]
