"""Who breaks decisions waits longer each time, and only he does."""

from __future__ import annotations

from hub.core.model import AgentId
from hub.holdoff import FIRST_SECONDS, FORGOTTEN_AFTER_SECONDS, MOST_SECONDS, HoldOff

ONE, OTHER = AgentId("one"), AgentId("other")


def test_each_time_doubles_the_wait() -> None:
    held = HoldOff()
    assert held.rest_seconds(ONE, 0.0) == 0.0
    held.blame(ONE, 0.0)
    assert held.rest_seconds(ONE, 1.0) == FIRST_SECONDS - 1
    assert held.rest_seconds(ONE, FIRST_SECONDS) == 0.0
    held.blame(ONE, 20.0)
    assert held.rest_seconds(ONE, 20.0) == 2 * FIRST_SECONDS
    assert held.rest_seconds(OTHER, 20.0) == 0.0


def test_the_wait_has_an_end_however_often_it_happens() -> None:
    held = HoldOff()
    for second in range(5_000):
        held.blame(ONE, float(second))
    assert held.rest_seconds(ONE, 4_999.0) == MOST_SECONDS


def test_an_hour_without_trouble_makes_up_for_it() -> None:
    held = HoldOff()
    held.blame(ONE, 0.0)
    held.blame(ONE, 1.0)
    held.blame(ONE, 1.0 + FORGOTTEN_AFTER_SECONDS)
    assert held.rest_seconds(ONE, 1.0 + FORGOTTEN_AFTER_SECONDS) == FIRST_SECONDS
