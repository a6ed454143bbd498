"""From reports to samples to means, and one line out of samples of several lengths."""

from __future__ import annotations

from itertools import groupby
from math import isnan, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.stats import (
    COARSE_SECONDS,
    FIELDS,
    FINE_SECONDS,
    MOST_PENDING,
    Sample,
    Track,
    Values,
    merged,
    point,
)
from runtime.wire import Cpu, Disk, Gpu, Health, Memory, Network

BEGIN = 1_699_999_800_000
"""The first moment of a period of ten minutes, in ms since the epoch."""


def cpu(cores: float) -> Health:
    return Health(cpu=Cpu(cores=cores))


def value(sample: Sample, name: str) -> float:
    return sample.values[FIELDS.index(name)]


def values(**known: float) -> Values:
    return tuple(known.get(name, nan) for name in FIELDS)


def test_a_report_becomes_a_sample() -> None:
    track = Track()
    health = Health(
        cpu=Cpu(cores=1.5, limit=2.0),
        memory=Memory(used=1000, limit=4000),
        disk=Disk(used=7, total=9),
        network=Network(rx=100, tx=50),
        load=0.25,
        processes=3,
        gpu=[Gpu(utilisation=0.5, memory_used=10), Gpu(utilisation=0.25, memory_used=5)],
    )
    first = point(track.report(health, BEGIN))
    assert (first.cpu, first.cpu_limit, first.memory_bytes, first.memory_limit_bytes) == (1.5, 2.0, 1000, 4000)
    assert (first.disk_bytes, first.disk_total_bytes, first.load, first.processes) == (7, 9, 0.25, 3)
    assert (first.gpu, first.gpu_memory_bytes, first.received_per_second) == (0.5, 15, None)
    later = Health(network=Network(rx=300, tx=50))
    second = point(track.report(later, BEGIN + 2_000))
    assert (second.received_per_second, second.sent_per_second, second.cpu, second.seconds) == (100.0, 0.0, None, 2.0)


def test_a_counter_that_began_anew_has_no_rate() -> None:
    track = Track()
    track.report(Health(network=Network(rx=300, tx=5)), BEGIN)
    sample = track.report(Health(network=Network(rx=100, tx=10)), BEGIN + 1_000)
    assert isnan(value(sample, "received_per_second"))
    assert value(sample, "sent_per_second") == 5.0


@pytest.mark.parametrize("cores", [1e300, float("inf"), float("nan"), -1e300])
def test_what_nobody_can_have_measured_is_not_known(cores: float) -> None:
    assert isnan(value(Track().report(cpu(cores), BEGIN), "cpu"))


def test_periods_are_means_of_their_reports() -> None:
    track = Track()
    for second, cores in ((0, 1.0), (29, 3.0), (30, 10.0), (600, 4.0)):
        track.report(cpu(cores), BEGIN + second * 1000)
    assert [(sample.at_ms - BEGIN, value(sample, "cpu")) for sample in track.fine] == [(30_000, 2.0), (60_000, 10.0)]
    assert [(sample.at_ms - BEGIN, value(sample, "cpu")) for sample in track.coarse] == [(600_000, 6.0)]
    assert {sample.seconds for sample in track.coarse} == {COARSE_SECONDS}
    present = track.now(BEGIN + 601_000)
    assert present is not None
    assert value(present, "cpu") == 4.0


def test_a_period_ends_without_another_report_and_an_empty_one_is_none() -> None:
    track = Track()
    track.report(cpu(1.0), BEGIN)
    track.close(BEGIN + 30_000)
    track.close(BEGIN + 90_000)
    assert [sample.at_ms - BEGIN for sample in track.fine] == [30_000]
    assert track.now(BEGIN + 90_000) is None


def test_what_waits_for_a_disk_is_bounded() -> None:
    track = Track()
    for number in range(MOST_PENDING + 11):
        track.report(cpu(number), BEGIN + number * FINE_SECONDS * 1000)
    assert len(track.fine) == MOST_PENDING
    assert track.lost == 10
    assert value(track.fine[-1], "cpu") == MOST_PENDING + 9


@given(st.lists(st.tuples(st.integers(-100_000, 2_000_000), st.floats(0, 64)), max_size=60))
def test_no_report_is_counted_twice_or_lost(reports: list[tuple[int, float]]) -> None:
    """Whatever the clock does: the means lie within what was reported, and there is a period for every report."""
    track = Track()
    for offset_ms, cores in reports:
        track.report(cpu(cores), BEGIN + offset_ms)
    present = track.now(BEGIN)
    kept = [value(sample, "cpu") for sample in (*track.fine, *([present] if present else []))]
    assert bool(kept) is bool(reports)
    reported = [cores for _, cores in reports]
    assert all(min(reported) - 1e-9 <= mean <= max(reported) + 1e-9 for mean in kept)
    slots = [offset // 30_000 for offset, _ in reports]
    assert len(kept) == len(list(groupby(slots)))


def line(seconds: float, *ends: int) -> list[Sample]:
    return [Sample(end * 1000, seconds, values(cpu=seconds)) for end in ends]


def test_a_moment_is_told_once_and_in_the_finest_there_is() -> None:
    coarse, fine, live = line(600, 600, 1200, 1800), line(30, 1230, 1260, 1290), line(1, 1261, 1262)
    assert [(sample.at_ms // 1000, sample.seconds) for sample in merged(coarse, fine, live, 0)] == [
        (600, 600), (1200, 600), (1230, 30), (1260, 30), (1261, 1), (1262, 1),
    ]  # fmt: skip
    assert [sample.at_ms // 1000 for sample in merged(coarse, [], live, 1_200_000)] == [1200, 1261, 1262]
    assert merged([], line(30, 30, 30), [], 0) == line(30, 30)


def test_a_report_without_anything_is_no_point_of_a_graph() -> None:
    track = Track()
    track.report(Health(), BEGIN)
    track.report(Health(), BEGIN + 700_000)
    assert (track.fine, track.coarse) == ([], [])
