"""Numbers as glyphs: exact width, no cell that lies."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawtui.tui.widgets.spark import bar, progress, sparkline
from clawtui.tui.widgets.text import width

FINITE = st.floats(-1e9, 1e9)


@given(st.lists(st.none() | FINITE), st.integers(0, 30), st.none() | st.floats(0, 1e9))
def test_a_sparkline_is_as_wide_as_asked(samples: list[float | None], cells: int, maximum: float | None) -> None:
    assert width(sparkline(samples, cells, maximum)) == cells


@given(st.none() | FINITE, st.integers(0, 30))
def test_a_bar_is_as_wide_as_asked(fraction: float | None, cells: int) -> None:
    assert width(bar(fraction, cells)) == cells


@given(FINITE, st.integers(1, 30))
def test_progress_is_full_only_when_done(fraction: float, cells: int) -> None:
    shown = progress(fraction, cells)
    assert width(shown) == cells
    assert (shown == "▓" * cells) == (fraction >= 1)


def test_the_newest_sample_is_last_and_gaps_are_dots() -> None:
    assert sparkline([0, 50, None, 100], 6, 100) == "··▁▅·█"
    assert sparkline([1, 2, 3, 4], 2) == "▇█"
    assert sparkline([], 3) == "···"
    assert sparkline([0, 0], 2) == "▁▁"


@pytest.mark.parametrize(
    ("fraction", "shown"), [(0, "░░░░"), (0.5, "██░░"), (1, "████"), (7, "████"), (None, "····"), (0.03, "▏░░░")]
)
def test_bar(fraction: float | None, shown: str) -> None:
    assert bar(fraction, 4) == shown
