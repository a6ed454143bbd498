from __future__ import annotations

import random

from runtime.backoff import MAX_DELAY_SECONDS, Backoff


class Highest(random.Random):
    """Always the end of the window."""

    def uniform(self, a: float, b: float) -> float:
        return b


def test_failures_double_the_window_up_to_a_minute() -> None:
    backoff = Backoff(Highest())
    assert [backoff.next_delay() for _ in range(9)] == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_the_first_attempt_after_a_loss_falls_into_the_hubs_window() -> None:
    backoff = Backoff(Highest())
    backoff.welcomed(20)
    backoff.lost(61)
    assert [backoff.next_delay() for _ in range(3)] == [20, 1, 2]


def test_only_a_stable_connection_ends_the_row_of_failures() -> None:
    backoff = Backoff(Highest())
    for _ in range(5):
        backoff.next_delay()
    backoff.welcomed(1)
    backoff.lost(59)
    assert backoff.next_delay() == 32
    backoff.welcomed(1)
    backoff.lost(60)
    assert [backoff.next_delay() for _ in range(2)] == [1, 1]


def test_a_loop_of_short_connections_backs_off() -> None:
    backoff = Backoff(Highest())
    delays: list[float] = []
    for _ in range(8):
        backoff.welcomed(1)
        backoff.lost(0.1)
        delays.append(backoff.next_delay())
    assert delays == sorted(delays)
    assert delays[-1] == MAX_DELAY_SECONDS


def test_what_the_hub_asks_for_comes_on_top_once() -> None:
    backoff = Backoff(Highest())
    backoff.hold_off(30)
    backoff.hold_off(10)
    assert [backoff.next_delay() for _ in range(2)] == [31, 2]


def test_a_thousand_agents_spread_evenly_over_the_window() -> None:
    seconds = [0] * 20
    for seed in range(1000):
        backoff = Backoff(random.Random(seed))
        backoff.welcomed(20)
        backoff.lost(100)
        seconds[int(backoff.next_delay())] += 1
    assert max(seconds) < 3 * 1000 / 20
