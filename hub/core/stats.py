"""An agent's use of its machine over time: reports become samples, samples become means of longer periods.

Values are floats in the order of `FIELDS`; NaN is what was not reported. Times are ms since the epoch.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from math import isfinite, isnan, nan
from typing import Any, Final, NamedTuple

from hub.contract import StatsPoint
from hub.core.view import rfc3339
from runtime.wire import Health, Network

FIELDS: Final = (
    "cpu", "cpu_limit", "load", "processes", "memory_bytes", "memory_limit_bytes", "disk_bytes", "disk_total_bytes",
    "received_per_second", "sent_per_second", "gpu", "gpu_memory_bytes",
)  # fmt: skip
WHOLE: Final = frozenset({"memory_bytes", "memory_limit_bytes", "disk_bytes", "disk_total_bytes", "gpu_memory_bytes"})
MOST: Final = 1e18
"""What is greater was not measured: an agent's word is not trusted that far."""

FINE_SECONDS: Final = 30
COARSE_SECONDS: Final = 600
FINE_MS: Final = 24 * 3_600_000
"""How far back there is a sample every `FINE_SECONDS`."""
COARSE_MS: Final = 30 * 24 * 3_600_000
"""How far back there is a sample every `COARSE_SECONDS`, which is all that is kept."""
LIVE_SAMPLES: Final = 900
"""Samples of a second that are kept of an agent while somebody watches."""
MOST_PENDING: Final = 240
"""Samples per agent that wait for the disk; with a disk that takes none the oldest go."""

Values = tuple[float, ...]


class Sample(NamedTuple):
    """The means over the `seconds` before `at_ms`."""

    at_ms: int
    seconds: float
    values: Values


def point(sample: Sample) -> StatsPoint:
    """Return a sample as front ends show it."""
    told: dict[str, Any] = {
        name: (round(value) if name in WHOLE else round(value, 4))
        for name, value in zip(FIELDS, sample.values, strict=True)
        if not isnan(value)
    }
    return StatsPoint(at=rfc3339(sample.at_ms) or "", seconds=sample.seconds, **told)


class Means:
    """Means of what is added, field by field, over one period."""

    def __init__(self) -> None:
        self.slot: int | None = None
        self._sums = [0.0] * len(FIELDS)
        self._counts = [0] * len(FIELDS)

    def add(self, values: Values) -> None:
        for place, value in enumerate(values):
            if not isnan(value):
                self._sums[place] += value
                self._counts[place] += 1

    def values(self) -> Values:
        return tuple(total / count if count else nan for total, count in zip(self._sums, self._counts, strict=True))


class Track:
    """One agent's samples that are not on the disk yet."""

    def __init__(self) -> None:
        self.fine: list[Sample] = []
        self.coarse: list[Sample] = []
        self.live: deque[Sample] | None = None
        """Set while somebody watches."""
        self.lost = 0
        self._fine = Means()
        self._coarse = Means()
        self._before: tuple[int, Network | None] | None = None

    def report(self, health: Health, at_ms: int) -> Sample:
        """Take a report and return it as a sample of the time since the one before."""
        before_ms, network = self._before or (at_ms, None)
        seconds = max(0, at_ms - before_ms) / 1000
        values = _values(health, network, seconds)
        self._before = (at_ms, health.network)
        self.close(at_ms)
        self._fine.add(values)
        sample = Sample(at_ms, seconds, values)
        if self.live is not None:
            self.live.append(sample)
        return sample

    def close(self, at_ms: int) -> None:
        """End the periods that `at_ms` does not belong to."""
        fine, coarse = (at_ms // (seconds * 1000) for seconds in (FINE_SECONDS, COARSE_SECONDS))
        if self._fine.slot is not None and self._fine.slot != fine:
            values = self._fine.values()
            self._keep(self.fine, _ended(self._fine.slot, FINE_SECONDS, values))
            self._coarse.add(values)
            self._fine = Means()
        if self._coarse.slot is not None and self._coarse.slot != coarse:
            self._keep(self.coarse, _ended(self._coarse.slot, COARSE_SECONDS, self._coarse.values()))
            self._coarse = Means()
        self._fine.slot, self._coarse.slot = fine, coarse

    def now(self, at_ms: int) -> Sample | None:
        """The mean of the period that has not ended, for who asks now."""
        values = self._fine.values()
        return None if all(isnan(value) for value in values) else Sample(at_ms, FINE_SECONDS, values)

    def _keep(self, kept: list[Sample], sample: Sample) -> None:
        if all(isnan(value) for value in sample.values):
            return
        kept.append(sample)
        if len(kept) > MOST_PENDING:
            del kept[0]
            self.lost += 1


def _ended(slot: int, seconds: int, values: Values) -> Sample:
    return Sample((slot + 1) * seconds * 1000, seconds, values)


def _values(health: Health, before: Network | None, seconds: float) -> Values:
    cpu, memory, disk, network = health.cpu, health.memory, health.disk, health.network
    gpus = health.gpu or ()
    found: Sequence[float | None] = (
        cpu.cores if cpu else None,
        cpu.limit if cpu else None,
        health.load,
        health.processes,
        memory.used if memory else None,
        memory.limit if memory else None,
        disk.used if disk else None,
        disk.total if disk else None,
        _rate(before.rx, network.rx, seconds) if before and network else None,
        _rate(before.tx, network.tx, seconds) if before and network else None,
        max((gpu.utilisation for gpu in gpus), default=None),
        sum(gpu.memory_used for gpu in gpus) if gpus else None,
    )
    return tuple(_plausible(value) for value in found)


def _rate(before: int, after: int, seconds: float) -> float | None:
    """None where the counter began anew with the agent."""
    return (after - before) / seconds if seconds > 0 and after >= before else None


def _plausible(value: float | None) -> float:
    if value is None:
        return nan
    known = float(value)
    return known if isfinite(known) and abs(known) <= MOST else nan


def merged(coarse: Sequence[Sample], fine: Sequence[Sample], live: Sequence[Sample], since_ms: int) -> list[Sample]:
    """Return one line of samples since `since_ms`, in order of time, each moment in the finest there is."""
    line: list[Sample] = []
    for samples in (live, fine, coarse):
        begin = min((sample.at_ms - sample.seconds * 1000 for sample in line), default=None)
        once = {sample.at_ms: sample for sample in samples if sample.at_ms >= since_ms}
        line += [sample for sample in once.values() if begin is None or sample.at_ms <= begin]
    return sorted(line, key=lambda sample: sample.at_ms)
