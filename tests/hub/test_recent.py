"""Measurements of now: bounded, and quantiles by their definition."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.recent import Recent


def test_nothing_measured_is_zero() -> None:
    empty = Recent(3)
    assert (len(empty), empty.quantile(0.99), empty.mean(), empty.most()) == (0, 0.0, 0.0, 0.0)


def test_the_oldest_goes_first() -> None:
    recent = Recent(3)
    for value in (100.0, 1.0, 2.0, 3.0):
        recent.add(value)
    assert (len(recent), recent.most(), recent.mean(), recent.quantile(0.5)) == (3, 3.0, 2.0, 2.0)


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=50), st.floats(0.01, 1.0))
def test_a_quantile_is_a_value_that_enough_do_not_exceed(values: list[float], share: float) -> None:
    recent = Recent(50)
    for value in values:
        recent.add(value)
    found = recent.quantile(share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values) - 1e-9
    assert sum(value < found for value in values) < share * len(values) + 1e-9
    assert recent.mean() == pytest.approx(sum(values) / len(values))
