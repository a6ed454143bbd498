"""What checks come to: which of them count, and the figures over those that do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.contract import GatewayState
from hub.core.gateway_checks import Check, Deed
from hub.gateways.figures import DRAIN_MS, START_GRACE_MS, Standing, counts, figures, percentile, shown
from hub.gateways.looks import Seen

NOW = 1_000_000_000


def check(at_ms: int = 0, response_ms: float | None = 10.0, **fields: object) -> Check:
    return Check("g", at_ms, "ready", True, True, response_ms)._replace(**fields)  # pyright: ignore[reportArgumentType]


def bad(at_ms: int = 0, **fields: object) -> Check:
    return check(at_ms)._replace(state="down", healthy=False, **fields)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("state", "draining", "standing", "unready_ms", "expected"),
    [
        (GatewayState.READY, False, Standing(), None, True),
        (GatewayState.READY, False, Standing(started_ms=NOW - 1), None, True),
        (GatewayState.DOWN, False, Standing(), None, True),
        (GatewayState.REFUSED, False, Standing(), None, True),
        (GatewayState.WEDGED, False, Standing(), None, True),
        (GatewayState.READY, False, Standing(at_rest=True), None, False),
        (GatewayState.DOWN, False, Standing(at_rest=True), None, False),
        (GatewayState.DOWN, False, Standing(started_ms=NOW - START_GRACE_MS + 1), None, False),
        (GatewayState.DOWN, False, Standing(started_ms=NOW - START_GRACE_MS), None, True),
        (GatewayState.DOWN, False, Standing(started_ms=NOW + 5), None, True),
        (GatewayState.STARTING, False, Standing(), NOW - 1_000, False),
        (GatewayState.STARTING, False, Standing(), NOW - START_GRACE_MS, True),
        (GatewayState.STARTING, False, Standing(started_ms=NOW - START_GRACE_MS), NOW - 1_000, True),
        (GatewayState.NOT_READY, False, Standing(), NOW - 1_000, True),
        (GatewayState.NOT_READY, True, Standing(), NOW - DRAIN_MS + 1, False),
        (GatewayState.NOT_READY, True, Standing(), NOW - DRAIN_MS, True),
    ],
)
def test_what_counts(
    state: GatewayState, draining: bool, standing: Standing, unready_ms: int | None, expected: bool
) -> None:
    assert counts(Seen(state=state, draining=draining), standing, unready_ms, NOW) is expected


def test_the_grace_of_a_start_ends_when_it_is_ready() -> None:
    hangs, started = Seen(state=GatewayState.WEDGED), Standing(started_ms=NOW - 60_000)
    assert not counts(hangs, started, None, NOW)
    assert not counts(hangs, started, None, NOW, ready_ms=NOW - 60_001)
    assert counts(hangs, started, None, NOW, ready_ms=NOW - 59_000)


def test_nothing_is_no_figure() -> None:
    found = figures([])
    assert (found.checks, found.since, found.pass_rate, found.response_ms, found.restart_success_rate) == (
        0, None, None, None, None,
    )  # fmt: skip


def test_figures_are_of_what_counts_and_times_of_what_passed() -> None:
    checks = [check(1_000, 10.0), check(2_000, 20.0), bad(3_000, response_ms=900.0), check(4_000, 60.0)]
    excused = [bad(5_000, counts=False), check(6_000, 5_000.0, counts=False)]
    through = [bad(7_000, via="ingress")]
    deeds = [Deed("g", 1, "monitor", True, 12.0), Deed("g", 2, "engine", False)]

    found = figures([*checks, *excused, *through], deeds, [60.0, 90.0])

    assert (found.checks, found.pass_rate) == (4, 0.75)
    assert (found.response_ms, found.response_p50_ms, found.response_p95_ms) == (30.0, 20.0, 60.0)
    assert (found.restarts, found.restart_success_rate, found.deploy_seconds) == (2, 0.5, 75.0)
    assert found.since == "1970-01-01T00:00:01.000Z"


def test_percentiles_are_measured_values() -> None:
    hundred = [float(n) for n in range(1, 101)]
    assert [percentile(hundred, share) for share in (0.0, 0.5, 0.95, 1.0)] == [1.0, 50.0, 95.0, 100.0]
    assert percentile([7.0], 0.95) == 7.0
    assert percentile([], 0.5) is None


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.floats(0, 1e6)), max_size=50))
def test_rates_are_shares_and_percentiles_lie_among_the_times(rows: list[tuple[bool, bool, float]]) -> None:
    found = figures([check(0, time, healthy=healthy, counts=counted) for healthy, counted, time in rows])
    counted = [(healthy, time) for healthy, counted, time in rows if counted]
    assert found.checks == len(counted)
    if counted:
        assert found.pass_rate == pytest.approx(sum(healthy for healthy, _ in counted) / len(counted), abs=1e-6)
    times = [time for healthy, time in counted if healthy]
    if times:
        assert found.response_p50_ms in times
        assert found.response_p95_ms in times
        assert (found.response_p50_ms or 0) <= (found.response_p95_ms or 0) <= max(times)


def test_a_check_is_shown_as_it_was() -> None:
    one = shown(bad(1_500, response_ms=None, reason="nobody there"))
    assert (one.at, one.state, one.healthy, one.response_ms) == (
        "1970-01-01T00:00:01.500Z", GatewayState.DOWN, False, None,
    )  # fmt: skip
    assert (one.reason, one.via) == ("nobody there", "direct")
