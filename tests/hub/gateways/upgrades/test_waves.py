"""Which gateways are upgraded next."""

from __future__ import annotations

from hub.contract import RolloutRequest
from hub.gateways.upgrades.waves import next_wave

ORDER = ("a", "b", "c", "d")


def test_canaries_go_first_and_alone() -> None:
    rollout = RolloutRequest(canary=1, concurrency=3)
    assert next_wave(ORDER, (), {}, rollout).names == ("a",)
    assert next_wave(ORDER, ("a",), {}, rollout).names == ()
    assert next_wave(ORDER, (), {"a": True}, rollout).names == ("b", "c", "d")


def test_a_canary_that_fails_stops_everything() -> None:
    wave = next_wave(ORDER, (), {"a": False}, RolloutRequest(canary=1))
    assert wave.names == ()
    assert "canary a" in wave.stopped


def test_one_after_the_other_where_nothing_is_said() -> None:
    assert next_wave(ORDER, (), {}, RolloutRequest()).names == ("a",)
    assert next_wave(ORDER, ("a",), {}, RolloutRequest()).names == ()


def test_enough_failures_stop_it_and_fewer_do_not() -> None:
    rollout = RolloutRequest(concurrency=2, stop_on_failures=2)
    assert next_wave(ORDER, ("b",), {"a": False}, rollout).names == ("c",)
    assert next_wave(ORDER, (), {"a": False, "b": False}, rollout).stopped == "2 failed"
