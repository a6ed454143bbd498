"""The clocks: ids sort by time, and a jump of one clock against the other is seen once."""

from __future__ import annotations

import pytest

from hub.clock import JUMP_SECONDS, JumpWatch, SystemClock
from hub.core.model import Now


def test_ids_sort_by_their_time() -> None:
    clock = SystemClock()
    made = [clock.new_id("t") for _ in range(3)]
    assert len(set(made)) == 3
    assert all(one.startswith("t_") and len(one) == 22 for one in made)


@pytest.mark.parametrize("jump_ms", [3_600_000, -3_600_000])
def test_a_jump_is_seen_once(jump_ms: int) -> None:
    watch = JumpWatch(Now(1_000_000, 5.0))
    assert watch.look(Now(1_001_000, 6.0)) is None
    jump = watch.look(Now(1_002_000 + jump_ms, 7.0))
    assert jump is not None
    assert jump.seconds == pytest.approx(jump_ms / 1000)
    assert ("ahead" if jump_ms > 0 else "back") in str(jump)
    assert watch.look(Now(1_003_000 + jump_ms, 8.0)) is None


def test_drift_and_small_steps_are_no_jump() -> None:
    """A whole day at twice what a time service may slew, looked at every second."""
    watch = JumpWatch(Now(0, 0.0))
    for second in range(1, 86_401):
        assert watch.look(Now(second * 1_001, float(second))) is None
    assert watch.look(Now(86_400 * 1_001 + int(JUMP_SECONDS * 900), 86_400.0)) is None


def test_time_that_both_clocks_counted_is_no_jump() -> None:
    """A stalled hub: an hour passed on both."""
    watch = JumpWatch(Now(0, 0.0))
    assert watch.look(Now(3_600_000, 3_600.0)) is None
