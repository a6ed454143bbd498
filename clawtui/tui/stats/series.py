"""An agent's use of its machine over a window of time: what is kept of it and what it comes to. Pure.

Times are ms since the epoch, by the hub's clock.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from math import inf, isnan, nan
from statistics import median
from typing import Final, NamedTuple

from clawtui.cli.output import size_text
from clawtui.errors import UsageError
from clawtui.tui.stats.graphs import Stretch, nice
from hub.contract import AgentView, StatsPoint

FINE_SECONDS: Final = 30.0
COARSE_SECONDS: Final = 600.0
"""Points of so many seconds are means of whole periods, as the hub keeps them; other points are single reports."""
SILENCE: Final = 1.5
"""So many times the usual distance between two reports is no gap yet; the hub calls an agent stale after as much."""
LIVE_MS: Final = 3_000
"""The same while the agent is watched."""
MOMENT_MS: Final = 1_000
"""What a report after a gap speaks for."""
RESOLUTION: Final = 360
"""A window is kept in about so many spans: more than a terminal has columns."""
OVERLAP_MS: Final = 90_000
"""How much of what is known is read again: its last period had not ended."""


class Window(NamedTuple):
    """`live`: the agent is watched, with a sample per second."""

    name: str
    seconds: int
    words: str
    live: bool = False

    @property
    def ms(self) -> int:
        return self.seconds * 1000


WINDOWS: Final = (
    Window("2m", 120, "2 minutes", live=True),
    Window("15m", 900, "15 minutes"),
    Window("1h", 3_600, "hour"),
    Window("6h", 21_600, "6 hours"),
    Window("24h", 86_400, "24 hours"),
    Window("7d", 604_800, "7 days"),
    Window("30d", 2_592_000, "30 days"),
)
BY_NAME: Final = {window.name: window for window in WINDOWS}


def find_window(name: str) -> Window:
    """Raises UsageError."""
    found = BY_NAME.get(name.strip().lower())
    if found is None:
        raise UsageError(f"there is no window {name!r}", field="window", hint=f"windows: {', '.join(BY_NAME)}")
    return found


def next_window(window: Window) -> Window:
    return WINDOWS[(WINDOWS.index(window) + 1) % len(WINDOWS)]


# --- what is measured


def percent(value: float) -> str:
    return f"{value:.1f}%" if 0 < value < 9.95 else f"{value:.0f}%"


def size(value: float) -> str:
    return size_text(value) or ""


def rate(value: float) -> str:
    return f"{size(value)}/s"


class Metric(NamedTuple):
    """One graph. `base`: powers in which its scale goes; `least`: the smallest scale, so that rest looks like rest."""

    key: str
    title: str
    value: Callable[[StatsPoint], float | None]
    limit: Callable[[StatsPoint], float | None]
    text: Callable[[float], str]
    base: float = 1024.0
    least: float = 1024.0


def _none(_: StatsPoint) -> float | None:
    return None


def _percents(value: float | None) -> float | None:
    return None if value is None else value * 100


METRICS: Final = (
    Metric("cpu", "CPU", lambda p: _percents(p.cpu), lambda p: _percents(p.cpu_limit), percent, 10.0, 10.0),
    Metric("memory", "Memory", lambda p: p.memory_bytes, lambda p: p.memory_limit_bytes, size),
    Metric("in", "Net in", lambda p: p.received_per_second, _none, rate),
    Metric("out", "Net out", lambda p: p.sent_per_second, _none, rate),
    Metric("disk", "Disk", lambda p: p.disk_bytes, lambda p: p.disk_total_bytes, size),
    Metric("gpu", "GPU", lambda p: _percents(p.gpu), lambda p: None if p.gpu is None else 100.0, percent, 10.0, 10.0),
    Metric("gpu_memory", "GPU mem", lambda p: p.gpu_memory_bytes, _none, size),
)
"""In the order of the screen. CPU: 100 % is one core; network: bytes per second, as the hub derives them."""
PLACES: Final = {metric.key: place for place, metric in enumerate(METRICS)}
Values = tuple[float, ...]
"""In the order of `METRICS`; NaN is what was not reported."""


class Span(NamedTuple):
    """What was measured after `begin_ms` up to `end_ms`."""

    begin_ms: int
    end_ms: int
    means: Values
    lows: Values
    highs: Values


class Summary(NamedTuple):
    """A metric over a window: the newest value, when it was, and what the whole comes to."""

    last: float
    last_ms: int
    low: float
    mean: float
    high: float
    limit: float | None

    @property
    def share(self) -> float | None:
        return self.last / self.limit if self.limit else None


def at_ms(at: str) -> int:
    """Raises ValueError: no time."""
    return round(datetime.fromisoformat(at).timestamp() * 1000)


def rfc3339(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def health_point(agent: AgentView) -> StatsPoint | None:
    """The agent's newest report as a point, without the network: a rate needs two."""
    health = agent.health
    if health is None or not agent.health_at:
        return None
    gpus = health.gpu or []
    return StatsPoint(
        at=agent.health_at, seconds=0.0,
        cpu=health.cpu.cores if health.cpu else None,
        cpu_limit=health.cpu.limit if health.cpu else None,
        memory_bytes=health.memory.used if health.memory else None,
        memory_limit_bytes=health.memory.limit if health.memory else None,
        disk_bytes=health.disk.used if health.disk else None,
        disk_total_bytes=health.disk.total if health.disk else None,
        gpu=max((gpu.utilisation for gpu in gpus), default=None),
        gpu_memory_bytes=sum(gpu.memory_used for gpu in gpus) if gpus else None,
    )  # fmt: skip


class History:
    """The points of one agent in one window, the oldest first, thinned to what a screen can show."""

    def __init__(self, window: Window) -> None:
        self.window = window
        self.spans: list[Span] = []
        self.revision = 0
        """Moves with every point."""
        self._period_ms = max(window.ms // RESOLUTION, 1)
        self._usual_ms = FINE_SECONDS * 1000
        self._last: list[tuple[float, int]] = [(nan, 0)] * len(METRICS)
        self._limits: list[float | None] = [None] * len(METRICS)

    @property
    def end_ms(self) -> int:
        """Of the newest point; 0 without any."""
        return self.spans[-1].end_ms if self.spans else 0

    def edge_ms(self, now_ms: int) -> int:
        """Where the window ends: at the newest point, or now once the agent is silent for too long."""
        usual = LIVE_MS if self.window.live else self._usual_ms * SILENCE
        return self.end_ms if now_ms - self.end_ms <= usual else now_ms

    def reread_ms(self) -> int | None:
        """From when on a further reading replaces what is known; None: all of it."""
        if not self.spans:
            return None
        return (self.end_ms - OVERLAP_MS) // self._period_ms * self._period_ms

    def replace(self, points: Sequence[StatsPoint], from_ms: int) -> None:
        """Forget what came after `from_ms` and take `points` instead."""
        while self.spans and self.spans[-1].end_ms > from_ms:
            self.spans.pop()
        for point in points:
            self.add(point)
        self.revision += 1

    def expect(self, points: Sequence[StatsPoint]) -> None:
        """Learn from points how often the agent reports: rarely is not gone."""
        times = [at_ms(point.at) for point in points if point.seconds == FINE_SECONDS]
        if len(times) > 2:
            between = median(after - before for before, after in pairwise(times))
            self._usual_ms = max(between, FINE_SECONDS * 1000)

    def follows(self, point: StatsPoint) -> bool:
        """Whether there is no silence between what is known and the point."""
        return at_ms(point.at) - self.end_ms <= self._usual_ms * SILENCE

    def add(self, point: StatsPoint) -> None:
        """Take a point; one that is not newer than what is known is left out."""
        end = at_ms(point.at)
        if end <= self.end_ms:
            return
        self._note(point, end)
        values = tuple(nan if (value := metric.value(point)) is None else float(value) for metric in METRICS)
        span = Span(self._begin(point, end), end, values, values, values)
        if self.spans and (end - 1) // self._period_ms == (self.end_ms - 1) // self._period_ms:
            span = _joined(self.spans.pop(), span)
        self.spans.append(span)
        self.revision += 1

    def _begin(self, point: StatsPoint, end: int) -> int:
        """Since when the point speaks: not over a silence, and not for what an earlier point told."""
        before, most = self.end_ms, round(self._usual_ms * SILENCE)
        if before and end - before <= most:
            return before
        if point.seconds in (FINE_SECONDS, COARSE_SECONDS):
            return max(end - round(point.seconds * 1000), before)
        told = round(point.seconds * 1000)
        return max(end - (told if 0 < told <= most else MOMENT_MS), before)

    def _note(self, point: StatsPoint, end: int) -> None:
        for place, metric in enumerate(METRICS):
            value = metric.value(point)
            if value is not None:
                self._last[place] = (float(value), end)
                limit = metric.limit(point)
                self._limits[place] = float(limit) if limit else None

    def trim(self, now_ms: int) -> None:
        """Forget what is older than the window and one column more."""
        oldest = now_ms - self.window.ms * 11 // 10
        gone = 0
        while gone < len(self.spans) and self.spans[gone].end_ms <= oldest:
            gone += 1
        del self.spans[:gone]

    # --- looking

    def stretches(self, key: str) -> list[Stretch]:
        place = PLACES[key]
        return [
            Stretch(begin, end, means[place], highs[place])
            for begin, end, means, _, highs in self.spans
            if not isnan(means[place])
        ]

    def summary(self, key: str, begin_ms: int) -> Summary | None:
        """What the window from `begin_ms` on comes to; None: nothing is known in it."""
        place = PLACES[key]
        value, last_ms = self._last[place]
        total, weights, low, high = 0.0, 0, inf, -inf
        for begin, end, means, lows, highs in self.spans:
            if end > begin_ms and not isnan(means[place]):
                weight = end - max(begin, begin_ms)
                weights += weight
                total += means[place] * weight
                low, high = min(low, lows[place]), max(high, highs[place])
        if not weights:
            return None
        return Summary(value, last_ms, low, min(max(total / weights, low), high), high, self._limits[place])


def scale(metric: Metric, summary: Summary) -> float:
    """The value of a full column: the limit when a good part of it is used, else a round number above the peak."""
    if summary.limit and summary.limit >= summary.high >= summary.limit / 4:
        return summary.limit
    return max(nice(summary.high, metric.base), metric.least)


def _joined(one: Span, other: Span) -> Span:
    first, second = one.end_ms - one.begin_ms, other.end_ms - other.begin_ms
    return Span(
        one.begin_ms,
        other.end_ms,
        tuple(_mean(a, first, b, second) for a, b in zip(one.means, other.means, strict=True)),
        tuple(_known(min, a, b) for a, b in zip(one.lows, other.lows, strict=True)),
        tuple(_known(max, a, b) for a, b in zip(one.highs, other.highs, strict=True)),
    )


def _mean(one: float, first: int, other: float, second: int) -> float:
    if isnan(one) or isnan(other):
        return other if isnan(one) else one
    return (one * first + other * second) / (first + second)


def _known(pick: Callable[[float, float], float], one: float, other: float) -> float:
    if isnan(one) or isnan(other):
        return other if isnan(one) else one
    return pick(one, other)
