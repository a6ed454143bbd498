"""The benchmark's own arithmetic: a wrong verdict would be worse than none."""

from __future__ import annotations

import math

import pytest

from tests.bench.fleet import quantile
from tests.bench.report import Row, Verdict, times_better, with_ratios
from tests.bench.timing import Samples


def row(measured: float | None, budget: float | None = None, *, higher: bool = False) -> Row:
    return Row(section="s", name="n", unit="ms", measured=measured, budget=budget, higher_is_better=higher)


@pytest.mark.parametrize(
    ("measured", "budget", "higher", "verdict"),
    [
        (2.0, 2.0, False, Verdict.OK),
        (2.1, 2.0, False, Verdict.OVER),
        (800.0, 800.0, True, Verdict.OK),
        (799.0, 800.0, True, Verdict.OVER),
        (1.0, None, False, Verdict.NONE),
        (None, 2.0, False, Verdict.SKIPPED),
    ],
)
def test_verdict(measured: float | None, budget: float | None, higher: bool, verdict: Verdict) -> None:
    assert row(measured, budget, higher=higher).verdict is verdict


def test_what_could_not_be_measured_is_a_failure() -> None:
    assert Row(section="s", name="n", unit="", failed=True).verdict is Verdict.FAILED


def test_a_ratio_says_how_many_times_better_we_are() -> None:
    assert times_better(row(2.0), row(50.0)) == 25.0
    assert times_better(row(3000.0, higher=True), row(600.0, higher=True)) == pytest.approx(5.0)
    assert times_better(row(2.0), row(1.0)) == 0.5


def test_peers_that_were_left_out_have_no_ratio() -> None:
    assert with_ratios(row(2.0), {"there": row(8.0), "absent": row(None)}).ratios == {"there": 4.0}


def test_percentiles_are_by_nearest_rank() -> None:
    samples = Samples([number / 1000 for number in range(100, 0, -1)])
    assert (samples.p50_ms, samples.p99_ms) == (50.0, 99.0)
    assert Samples([0.004]).p99_ms == 4.0


def test_a_quantile_of_a_histogram_is_interpolated_in_its_bucket() -> None:
    cumulative = {0.001: 50.0, 0.002: 90.0, 0.004: 100.0, math.inf: 100.0}
    assert quantile(cumulative, 0.5) == pytest.approx(0.001)
    assert quantile(cumulative, 0.7) == pytest.approx(0.0015)
    assert quantile(cumulative, 0.95) == pytest.approx(0.003)


def test_beyond_the_last_bound_a_quantile_is_that_bound() -> None:
    assert quantile({0.004: 10.0, math.inf: 100.0}, 0.99) == 0.004
