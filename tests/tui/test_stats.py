"""Points of an agent's use as spans, columns and sums, without a screen."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawtui.errors import UsageError
from clawtui.tui.stats.graphs import NO_SAMPLE, Bar, Stretch, axis, columns, nice, plot
from clawtui.tui.stats.series import (
    BY_NAME,
    METRICS,
    WINDOWS,
    History,
    Window,
    find_window,
    health_point,
    next_window,
    percent,
    rfc3339,
    scale,
)
from hub.contract import StatsPoint
from runtime.wire import Cpu, Disk, Gpu, Health, Memory
from tests.hub.api.scripted import WHEN
from tests.tui.scripted import an_agent

BASE = 1_767_323_040_000
"""ms since the epoch; a multiple of 30 s and of 10 min."""
CPU, MEMORY = METRICS[0], METRICS[1]


def point(second: float, cpu: float | None = 1.0, seconds: float = 30.0, **more: float) -> StatsPoint:
    return StatsPoint(at=rfc3339(BASE + round(second * 1000)), seconds=seconds, cpu=cpu, **more)  # pyright: ignore[reportArgumentType]


def history(window: str, *points: StatsPoint) -> History:
    found = History(BY_NAME[window])
    found.expect(points)
    for one in points:
        found.add(one)
    return found


def times(found: History) -> list[tuple[float, float]]:
    return [((span.begin_ms - BASE) / 1000, (span.end_ms - BASE) / 1000) for span in found.spans]


# --- columns


def test_a_column_is_the_mean_of_its_time_and_nothing_is_made_up_between() -> None:
    known = [Stretch(0, 1_000, 4.0, 5.0), Stretch(1_000, 1_500, 10.0, 10.0), Stretch(3_000, 5_000, 2.0, 3.0)]
    assert columns(known, 0, 1_000, 6) == [
        Bar(4.0, 5.0), Bar(10.0, 10.0), None, Bar(2.0, 3.0), Bar(2.0, 3.0), None,
    ]  # fmt: skip
    assert columns(known, 0, 3_000, 2) == [Bar((4_000 + 5_000) / 1_500, 10.0), Bar(2.0, 3.0)]


stretches = st.lists(
    st.tuples(st.integers(-50, 500), st.integers(1, 90), st.floats(0, 1e6)).map(
        lambda found: Stretch(found[0], found[0] + found[1], found[2], found[2])
    )
)


@given(stretches, st.integers(1, 40), st.integers(0, 30))
def test_columns_are_known_where_a_stretch_is_and_only_there(known: list[Stretch], step: int, count: int) -> None:
    found = columns(known, 0, step, count)
    for place, bar in enumerate(found):
        left, right = place * step, (place + 1) * step
        inside = [one for one in known if one.begin_ms < right and one.end_ms > left]
        assert (bar is not None) == bool(inside)
        if bar is not None:
            assert min(one.mean for one in inside) - 1e-6 <= bar.mean <= max(one.mean for one in inside) + 1e-6
            assert bar.high == max(one.high for one in inside)
    assert len(found) == count


bars = st.lists(st.none() | st.tuples(st.floats(0, 1e9), st.floats(0, 1e9)).map(lambda two: Bar(min(two), max(two))))


@given(bars, st.integers(1, 12), st.floats(0, 1e9))
def test_a_plot_has_the_size_asked_for_and_a_gap_is_no_bar(known: list[Bar | None], rows: int, top: float) -> None:
    lines = plot(known, rows, top)
    assert [len(line) for line in lines] == [len(known)] * rows
    for place, bar in enumerate(known):
        column = [line[place] for line in lines]
        assert (column[-1] == NO_SAMPLE) == (bar is None)
        if bar is None:
            assert set(column[:-1]) <= {" "}


def test_a_plot_grows_with_the_value_and_a_line_goes_on_to_the_peak() -> None:
    known = [None, Bar(0, 0), Bar(1, 1), Bar(50, 100), Bar(100, 100), Bar(900, 900)]
    assert plot(known, 2, 100) == ["   │██", "·▁▁███"]
    assert plot(known, 1, 100) == ["·▁▁▄██"]
    assert plot([], 2, 1) == ["", ""]


@given(st.floats(1e-3, 1e18), st.sampled_from([10.0, 1024.0]))
def test_a_scale_is_round_and_not_much_more_than_the_value(value: float, base: float) -> None:
    top = nice(value, base)
    assert value <= top * (1 + 1e-9)
    assert top <= value * 2.6


@pytest.mark.parametrize("value", [0.0, -1.0, math.inf, math.nan])
def test_a_scale_of_nothing_is_still_a_scale(value: float) -> None:
    assert nice(value) == 1.0


@pytest.mark.parametrize("window", WINDOWS, ids=lambda window: window.name)
@given(count=st.integers(0, 300))
def test_the_axis_is_as_wide_as_the_graph_and_its_labels_stand_apart(window: Window, count: int) -> None:
    line = axis(count, window.seconds)
    assert len(line) == count
    labels = line.split()
    if count >= 3:
        assert labels[-1] == "now"
    if count >= 20:
        assert len(labels) > 1
    for label in labels[:-1]:
        number, unit = int(label[1:-1]), label[-1]
        seconds = number * {"s": 1, "m": 60, "h": 3_600, "d": 86_400}[unit]
        assert line.index(label) == round(count - count * seconds / window.seconds)


def test_an_axis() -> None:
    assert axis(45, 900) == "-15m           -10m           -5m         now"
    assert axis(20, 900, "hub lost") == "-15m        hub lost"


# --- what a point speaks for


def test_points_of_whole_periods_stand_for_them_and_silence_is_a_gap() -> None:
    found = history("1h", point(30), point(60), point(150), point(180))
    assert times(found) == [(0, 30), (30, 60), (120, 150), (150, 180)]


def test_a_single_report_after_a_silence_stands_for_a_moment() -> None:
    found = history("2m", point(1, seconds=1.0), point(2.1, seconds=1.1), point(900, seconds=897.9))
    assert times(found) == [(0, 1), (1, 2.1), (899, 900)]


def test_an_agent_that_reports_rarely_has_no_gaps_between_its_reports() -> None:
    found = history("1h", *(point(60 * minute) for minute in range(1, 6)))
    assert times(found) == [(30, 60), (60, 120), (120, 180), (180, 240), (240, 300)]


def test_ten_minutes_of_the_older_history_are_one_span_each() -> None:
    found = history("30d", point(600, seconds=600.0), point(1_200, seconds=600.0), point(4_200, seconds=600.0))
    assert times(found) == [(0, 1_200), (3_600, 4_200)]


def test_points_that_are_not_newer_are_left_out() -> None:
    found = history("1h", point(60), point(60, 9.0), point(30, 9.0))
    assert [span.means[0] for span in found.spans] == [100.0]


def test_a_reading_replaces_what_it_overlaps() -> None:
    found = history("1h", *(point(30 * place) for place in range(1, 9)))
    from_ms = found.reread_ms()
    assert from_ms == BASE + 150_000
    found.replace([point(180, 5.0), point(210, 6.0), point(240, 7.0), point(270, 8.0)], from_ms)
    assert [span.means[0] for span in found.spans] == [100.0] * 5 + [500.0, 600.0, 700.0, 800.0]
    assert History(BY_NAME["1h"]).reread_ms() is None


def test_the_edge_is_the_newest_point_until_the_silence_is_too_long() -> None:
    found = history("1h", point(30), point(60))
    assert found.edge_ms(BASE + 100_000) == BASE + 60_000
    assert found.edge_ms(BASE + 106_000) == BASE + 106_000
    live = history("2m", point(30), point(60))
    assert live.edge_ms(BASE + 64_000) == BASE + 64_000


# --- windows and sums


samples = st.lists(
    st.tuples(st.sampled_from([1, 2, 30, 30, 30, 600, 7_000]), st.none() | st.floats(0, 64), st.floats(0, 2**40)),
    max_size=120,
)


@given(samples, st.sampled_from(WINDOWS))
def test_thinning_keeps_order_extremes_and_newest(found: list[tuple[int, float | None, float]], window: Window) -> None:
    known = History(window)
    second = 0
    for step, cpu, memory in found:
        second += step
        known.add(StatsPoint(at=rfc3339(BASE + second * 1000), seconds=30.0, cpu=cpu, memory_bytes=int(memory)))
    ends = [time for span in known.spans for time in (span.begin_ms, span.end_ms)]
    assert ends == sorted(ends)
    reported = [cpu * 100 for _, cpu, _ in found if cpu is not None]
    summary = known.summary("cpu", 0)
    assert (summary is not None) == bool(reported)
    if summary is not None:
        assert (summary.low, summary.high, summary.last) == (min(reported), max(reported), reported[-1])
        assert summary.low <= summary.mean <= summary.high
        assert scale(CPU, summary) >= summary.high * (1 - 1e-9)


def test_a_month_of_points_is_kept_in_about_as_many_spans_as_a_screen_can_show() -> None:
    found = history("30d", *(point(600 * place, seconds=600.0) for place in range(1, 4_321)))
    assert 350 <= len(found.spans) <= 370


def test_a_sum_looks_at_the_window_only() -> None:
    found = history("1h", point(30, 9.0), point(60, 1.0), point(90, 3.0, cpu_limit=4.0))
    summary = found.summary("cpu", BASE + 30_000)
    assert summary is not None
    assert (summary.low, summary.mean, summary.high, summary.last) == (100.0, 200.0, 300.0, 300.0)
    assert (summary.limit, summary.share) == (400.0, 0.75)
    assert found.summary("gpu", BASE) is None
    assert found.summary("cpu", BASE + 90_000) is None


def test_what_is_older_than_the_window_goes() -> None:
    found = history("15m", *(point(30 * place) for place in range(1, 101)))
    found.trim(BASE + 3_000_000)
    assert times(found)[0] == (3_000 - 990, 3_000 - 960)
    assert times(found)[-1] == (2_970, 3_000)


def test_the_scale_is_the_limit_when_much_of_it_is_used() -> None:
    def top(used: int, limit: int) -> float:
        found = history("1h", point(30, None, memory_bytes=used, memory_limit_bytes=limit)).summary("memory", 0)
        assert found is not None
        return scale(MEMORY, found)

    assert top(2**30, 2**31) == 2**31
    assert top(3 * 2**20, 2**31) == 5 * 2**20
    assert top(2**32, 2**31) == 5 * 2**30
    assert top(0, 2**31) == 1024


def test_windows_by_name_and_by_turns() -> None:
    assert find_window(" 6H ").seconds == 21_600
    assert [next_window(window).name for window in WINDOWS] == ["15m", "1h", "6h", "24h", "7d", "30d", "2m"]
    assert [window.name for window in WINDOWS if window.live] == ["2m"]
    with pytest.raises(UsageError, match="no window '5y'"):
        find_window("5y")


def test_a_report_as_a_point() -> None:
    gpus = [Gpu(utilisation=0.2, memory_used=3), Gpu(utilisation=0.9, memory_used=4)]
    health = Health(cpu=Cpu(cores=1.5, limit=2.0), memory=Memory(used=5), disk=Disk(used=6, total=7), gpu=gpus)
    found = health_point(an_agent("a", health=health, health_at=WHEN))
    assert found == StatsPoint(
        at=WHEN, seconds=0.0, cpu=1.5, cpu_limit=2.0, memory_bytes=5, disk_bytes=6, disk_total_bytes=7, gpu=0.9,
        gpu_memory_bytes=7,
    )  # fmt: skip
    assert health_point(an_agent("a")) is None
    assert health_point(an_agent("a", health=Health(), health_at=WHEN)) == StatsPoint(at=WHEN, seconds=0.0)


@pytest.mark.parametrize(("value", "text"), [(0, "0%"), (0.04, "0.0%"), (9.94, "9.9%"), (9.96, "10%"), (250, "250%")])
def test_percents(value: float, text: str) -> None:
    assert percent(value) == text
