"""The allowance: a burst at once, then no more than its rate, and nothing from a clock that goes back."""

from __future__ import annotations

from hub.allowance import Allowance


def taken(allowance: Allowance, now: float, asked: int) -> int:
    return sum(allowance.take(now) for _ in range(asked))


def test_a_burst_passes_and_a_flood_does_not() -> None:
    allowance = Allowance(2.0, 5.0, 100.0)
    assert taken(allowance, 100.0, 50) == 5
    assert taken(allowance, 101.0, 50) == 2


def test_what_is_not_used_does_not_pile_up() -> None:
    allowance = Allowance(2.0, 5.0, 0.0)
    assert taken(allowance, 1_000_000.0, 50) == 5


def test_parts_add_up() -> None:
    allowance = Allowance(1.0, 1.0, 0.0)
    assert [allowance.take(at) for at in (0.0, 0.5, 0.9, 1.0, 1.5)] == [True, False, False, True, False]


def test_a_time_that_goes_back_gives_nothing() -> None:
    allowance = Allowance(1.0, 1.0, 10.0)
    assert allowance.take(10.0)
    assert not allowance.take(5.0)
    assert allowance.take(6.0)
