"""The part of a long line that a window shows, against counting cells one by one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from clawtui.tui.widgets.log_paint import window
from clawtui.tui.widgets.text import width


@given(st.text("ab漢\u0301é", max_size=30), st.integers(0, 40), st.integers(1, 20))
def test_a_window_shows_the_cells_it_should(text: str, first: int, cells: int) -> None:
    start, end, padding = window(text, first, cells)
    shown = " " * padding + text[start:end]
    # Every cell of the line by itself; the half of a wide character that an edge cuts is a space.
    drawn = [half for character in text for half in (character, "")[: width(character)]]
    expected = drawn[first : first + cells]
    if expected and expected[0] == "" and first:
        expected[0] = " "
    if first + cells < len(drawn) and drawn[first + cells] == "":
        expected.pop()
    bare = [character for character in shown if width(character)]
    assert bare == [cell for cell in expected if cell]
    assert width(shown) <= cells
