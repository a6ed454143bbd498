"""What the hub counts, for Prometheus. Labels come from closed sets: never an agent's or a task's id. The names of
gateways are one too: only an admin gives them, and their number is bounded.

`METRICS` is the whole list, with the help texts that `/metrics` shows and the documentation repeats.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from typing import Final

import msgspec
import psutil
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)

from hub.contract import GatewayFigures, Severity, SyncState
from hub.core.model import TERMINAL, AgentStatus, TaskState
from hub.recent import Recent

RECENT_COMMITS: Final = 512
RECENT_LAGS: Final = 600
"""A minute of the loop's lateness, which is measured ten times a second."""
OTHER: Final = "other"
"""Stands in a label for every value that is not in its closed set."""


class MetricKind(enum.StrEnum):
    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class MetricSpec(msgspec.Struct, frozen=True):
    """One metric as documented. `buckets` (upper bounds, in the name's unit) for histograms only."""

    name: str
    kind: MetricKind
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


class Refusal(enum.StrEnum):
    """Why an agent's handshake was refused."""

    TOKEN = "token"
    UNKNOWN_AGENT = "unknown_agent"
    QUARANTINED = "quarantined"
    OVERLOADED = "overloaded"
    PROTOCOL = "protocol"
    TIMEOUT = "timeout"
    DRAINING = "draining"
    OTHER = "other"


class MessageEnd(enum.StrEnum):
    """How a message to a persona ended; `ABANDONED`: whoever asked left before the answer's end."""

    COMPLETED = "completed"
    FAILED = "failed"
    ABANDONED = "abandoned"


_SECONDS: Final = (0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024, 4.096)
"""Powers of two around the budgets: 2 ms and 8 ms for a task, 16 ms for the loop."""
_RECORDS: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0)

_C, _G, _H = MetricKind.COUNTER, MetricKind.GAUGE, MetricKind.HISTOGRAM
METRICS: Final[tuple[MetricSpec, ...]] = (
    MetricSpec("vm_hub_messages_total", _C, "Messages exchanged with agents, in both directions."),
    MetricSpec("vm_hub_agents", _G, "Agents by status.", ("status",)),
    MetricSpec("vm_hub_active_tasks", _G, "Tasks that are offered to an agent or running."),
    MetricSpec("clawtui_build_info", _G, "Always 1; the label names the hub's version.", ("version",)),
    MetricSpec("clawtui_queued_tasks", _G, "Tasks that wait for an agent."),
    MetricSpec("clawtui_tasks_ended_total", _C, "Tasks that ended, by final state.", ("state",)),
    MetricSpec("clawtui_commits_total", _C, "Registry commits by outcome (ok, failed).", ("outcome",)),
    MetricSpec("clawtui_commit_batch_records", _H, "Records in one registry commit.", (), _RECORDS),
    MetricSpec("clawtui_commit_seconds", _H, "Duration of a registry commit, fsync included.", (), _SECONDS),
    MetricSpec("clawtui_decisions_failed_total", _C, "Decisions that broke by a bug; each rebuilds the hub's state."),
    MetricSpec("clawtui_clock_jumps_total", _C, "Times the wall clock jumped against the monotonic one."),
    MetricSpec("clawtui_loop_lag_seconds", _H, "How late the hub's event loop ran a timer.", (), _SECONDS),
    MetricSpec("clawtui_agent_connections", _G, "Open connections of agents."),
    MetricSpec("clawtui_handshakes_refused_total", _C, "Agents' handshakes refused, by reason.", ("reason",)),
    MetricSpec("clawtui_outbox_drops_total", _C, "Frames dropped because an agent read too slowly."),
    MetricSpec("clawtui_output_bytes_total", _C, "Raw bytes of task output written to disk."),
    MetricSpec("clawtui_attention", _G, "What needs a person now and is not snoozed, by severity.", ("severity",)),
    MetricSpec("clawtui_watched_agents", _G, "Agents that report every second because somebody watches."),
    MetricSpec("clawtui_history_lost_total", _C, "Points of agents' history that could not be kept."),
    MetricSpec("clawtui_snapshots", _G, "Snapshots of agents that are kept."),
    MetricSpec("clawtui_snapshot_bytes", _G, "What snapshots take: archives on the hub's disk and images' own layers."),
    MetricSpec("clawtui_gateway_up", _G, "1 while an OpenClaw gateway is ready, else 0.", ("gateway",)),
    MetricSpec("clawtui_gateway_response_seconds", _G, "Time of a gateway's last answer to a look.", ("gateway",)),
    MetricSpec("clawtui_gateway_checks_total", _C, "Looks at gateways: pass, fail, excused.", ("gateway", "result")),
    MetricSpec("clawtui_gateway_pass_rate", _G, "Share of a gateway's checks of a day that passed.", ("gateway",)),
    MetricSpec(
        "clawtui_gateway_answer_seconds",
        _G,
        "Time of a gateway's answers over a day: mean, p50, p95.",
        ("gateway", "figure"),
    ),
    MetricSpec("clawtui_gateway_deploy_seconds", _G, "From the order to ready, of a gateway of ours.", ("gateway",)),
    MetricSpec(
        "clawtui_gateway_restarts_total",
        _C,
        "Restarts of a gateway by monitor or engine, and whether it came back.",
        ("gateway", "by", "outcome"),
    ),
    MetricSpec("clawtui_gateway_restart_success_rate", _G, "Share of a day's restarts that worked.", ("gateway",)),
    MetricSpec("clawtui_gateway_given_up", _G, "1 while the monitor has given a gateway up.", ("gateway",)),
    MetricSpec("clawtui_ingress_up", _G, "1 while the proxy has the configuration that is wanted, else 0."),
    MetricSpec("clawtui_ingress_applies_total", _C, "Configurations given to the proxy: ok, refused.", ("outcome",)),
    MetricSpec("clawtui_ingress_gateway_up", _G, "1 while a gateway is reached through the proxy.", ("gateway",)),
    MetricSpec("clawtui_persona_messages_total", _C, "Messages to personas of gateways, by their end.", ("outcome",)),
    MetricSpec("clawtui_sync_personas", _G, "Personas of a gateway's sync, by state.", ("gateway", "state")),
    MetricSpec(
        "clawtui_sync_runs_total", _C, "Runs of a gateway's sync by outcome (ok, failed).", ("gateway", "outcome")
    ),
    MetricSpec("clawtui_sync_run_seconds", _G, "How long the last run of a gateway's sync took.", ("gateway",)),
    MetricSpec("clawtui_feed_subscribers", _G, "Observers of the feed of changes."),
    MetricSpec("clawtui_feed_gaps_total", _C, "Times an observer lost events and was told so."),
    MetricSpec("clawtui_http_requests_total", _C, "HTTP requests by route and status.", ("method", "route", "status")),
    MetricSpec("clawtui_http_request_seconds", _H, "Time to answer an HTTP request, streams apart.", (), _SECONDS),
    MetricSpec("clawtui_process_resident_bytes", _G, "Memory of the hub's process."),
    MetricSpec("clawtui_process_open_fds", _G, "Open file descriptors of the hub's process."),
)

_FIGURES: Final = {
    "pass_rate": "pass_rate",
    "restart_success_rate": "restart_success_rate",
    "deploy_seconds": "deploy_seconds",
}
"""Gauges of gateways by the field of the figures that they show."""
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """The hub's own registry of metrics: one method per fact, so that no caller can invent a label."""

    def __init__(self, version: str = "") -> None:
        # A second series per counter with its birth time is noise here; the switch is the library's only one.
        disable_created_metrics()
        self.registry = CollectorRegistry(auto_describe=True)
        self._made: dict[str, Counter | Gauge | Histogram] = {spec.name: self._make(spec) for spec in METRICS}
        self._sources: list[Callable[[Metrics], None]] = []
        self._process = psutil.Process()
        self._messages = self._counter("vm_hub_messages_total")
        self._output = self._counter("clawtui_output_bytes_total")
        self._batch = self._histogram("clawtui_commit_batch_records")
        self._commit = self._histogram("clawtui_commit_seconds")
        self._committed = self._counter("clawtui_commits_total").labels("ok")
        self._failed = self._counter("clawtui_commits_total").labels("failed")
        ended = self._counter("clawtui_tasks_ended_total")
        self._ended = {state: ended.labels(state.value) for state in TERMINAL}
        self._requests: dict[tuple[str, str, int], Counter] = {}
        self.recent_commits, self.recent_batches = Recent(RECENT_COMMITS), Recent(RECENT_COMMITS)
        """Seconds and records of the last commits."""
        self.recent_lag = Recent(RECENT_LAGS)
        self.dropped_frames = self.gaps = 0
        """Since the start, as the counters of the same things."""
        self._gauge("clawtui_build_info").labels(version).set(1)

    # --- counted where it happens -----------------------------------------------------------------

    def message(self, count: int = 1) -> None:
        """A frame to or from an agent."""
        self._messages.inc(count)

    def commit(self, records: int, seconds: float) -> None:
        self._committed.inc()
        self._batch.observe(records)
        self._commit.observe(seconds)
        self.recent_batches.add(records)
        self.recent_commits.add(seconds)

    def commit_failed(self) -> None:
        self._failed.inc()

    def decision_failed(self) -> None:
        self._counter("clawtui_decisions_failed_total").inc()

    def clock_jumped(self) -> None:
        self._counter("clawtui_clock_jumps_total").inc()

    def loop_lag(self, seconds: float) -> None:
        self._histogram("clawtui_loop_lag_seconds").observe(max(seconds, 0.0))
        self.recent_lag.add(max(seconds, 0.0))

    def task_ended(self, state: TaskState) -> None:
        self._ended[state].inc()

    def handshake_refused(self, reason: Refusal | str) -> None:
        known = reason if reason in Refusal._value2member_map_ else OTHER
        self._counter("clawtui_handshakes_refused_total").labels(str(known)).inc()

    def outbox_drop(self, frames: int = 1) -> None:
        self._counter("clawtui_outbox_drops_total").inc(frames)
        self.dropped_frames += frames

    def message_ended(self, end: MessageEnd) -> None:
        """A message to a persona."""
        self._counter("clawtui_persona_messages_total").labels(end.value).inc()

    def output(self, size_bytes: int) -> None:
        self._output.inc(size_bytes)

    def feed_gap(self) -> None:
        self._counter("clawtui_feed_gaps_total").inc()
        self.gaps += 1

    def http_request(self, method: str, route: str, status: int, seconds: float | None = None) -> None:
        """`route` is the route's template, never the path; `seconds` is None for streams."""
        counter = self._requests.get((method, route, status))
        if counter is None:
            counter = self._counter("clawtui_http_requests_total").labels(method, route, str(status))
            self._requests[method, route, status] = counter
        counter.inc()
        if seconds is not None:
            self._histogram("clawtui_http_request_seconds").observe(seconds)

    # --- set by whoever knows, at the latest when somebody reads ------------------------------------

    def set_agents(self, by_status: Mapping[str, int]) -> None:
        """Agents by status; a status that is not named is 0."""
        gauge = self._gauge("vm_hub_agents")
        for status in AgentStatus:
            gauge.labels(status.value).set(by_status.get(status.value, 0))

    def set_tasks(self, queued: int, active: int) -> None:
        self._gauge("clawtui_queued_tasks").set(queued)
        self._gauge("vm_hub_active_tasks").set(active)

    def set_connections(self, count: int) -> None:
        self._gauge("clawtui_agent_connections").set(count)

    def set_attention(self, by_severity: Mapping[str, int]) -> None:
        gauge = self._gauge("clawtui_attention")
        for severity in Severity:
            gauge.labels(severity.value).set(by_severity.get(severity.value, 0))

    def set_snapshots(self, count: int, size_bytes: int) -> None:
        self._gauge("clawtui_snapshots").set(count)
        self._gauge("clawtui_snapshot_bytes").set(size_bytes)

    def set_gateways(self, by_name: Mapping[str, tuple[bool, float | None]]) -> None:
        """By name whether it is ready, and the ms that its last answer took, None where there was none."""
        up, response = self._gauge("clawtui_gateway_up"), self._gauge("clawtui_gateway_response_seconds")
        up.clear()
        response.clear()
        for name, (ready, response_ms) in by_name.items():
            up.labels(name).set(ready)
            if response_ms is not None:
                response.labels(name).set(response_ms / 1000)

    def gateway_checked(self, gateway: str, healthy: bool, counts: bool) -> None:
        """A look; `counts`: it is part of the pass rate."""
        result = ("pass" if healthy else "fail") if counts else "excused"
        self._counter("clawtui_gateway_checks_total").labels(gateway, result).inc()

    def gateway_restarted(self, gateway: str, by: str, worked: bool) -> None:
        """`by`: monitor or engine. `worked`: it became ready."""
        self._counter("clawtui_gateway_restarts_total").labels(gateway, by, "ok" if worked else "failed").inc()

    def gateway_gone(self, gateway: str) -> None:
        """Nothing is counted of it any more: one that comes under its name is another."""
        for name in ("clawtui_gateway_checks_total", "clawtui_gateway_restarts_total"):
            self._counter(name).remove_by_labels({"gateway": gateway})

    def set_gateway_figures(self, by_name: Mapping[str, GatewayFigures]) -> None:
        """Figures of the last day; what is None is not shown."""
        gauges = {name: self._gauge(f"clawtui_gateway_{name}") for name in _FIGURES}
        answers = self._gauge("clawtui_gateway_answer_seconds")
        for gauge in (*gauges.values(), answers):
            gauge.clear()
        for gateway, found in by_name.items():
            for name, gauge in gauges.items():
                if (value := getattr(found, _FIGURES[name])) is not None:
                    gauge.labels(gateway).set(value)
            times = {"mean": found.response_ms, "p50": found.response_p50_ms, "p95": found.response_p95_ms}
            for figure, value in times.items():
                if value is not None:
                    answers.labels(gateway, figure).set(value / 1000)

    def set_gateways_given_up(self, by_name: Mapping[str, bool]) -> None:
        """Of the gateways that the hub runs, whether the monitor has given one up."""
        gauge = self._gauge("clawtui_gateway_given_up")
        gauge.clear()
        for gateway, given_up in by_name.items():
            gauge.labels(gateway).set(given_up)

    def set_ingress(self, up: bool, by_gateway: Mapping[str, bool]) -> None:
        """`up`: the proxy has what is wanted. By gateway, whether it is reached through it."""
        self._gauge("clawtui_ingress_up").set(up)
        gauge = self._gauge("clawtui_ingress_gateway_up")
        gauge.clear()
        for gateway, reached in by_gateway.items():
            gauge.labels(gateway).set(reached)

    def ingress_applied(self, ok: bool) -> None:
        """The proxy was given a configuration; `ok`: it took it."""
        self._counter("clawtui_ingress_applies_total").labels("ok" if ok else "refused").inc()

    def sync_ran(self, ok: bool, gateway: str, seconds: float) -> None:
        """A run of a gateway's sync ended; `ok`: nothing was wrong."""
        self._counter("clawtui_sync_runs_total").labels(gateway, "ok" if ok else "failed").inc()
        self._gauge("clawtui_sync_run_seconds").labels(gateway).set(seconds)

    def set_sync(self, by_gateway: Mapping[str, Mapping[str, int]]) -> None:
        """Personas by gateway and state; a state that is not named is 0."""
        gauge = self._gauge("clawtui_sync_personas")
        gauge.clear()
        for gateway, counts in by_gateway.items():
            for state in SyncState:
                gauge.labels(gateway, state.value).set(counts.get(state.value, 0))

    def set_watched_agents(self, count: int) -> None:
        self._gauge("clawtui_watched_agents").set(count)

    def history_lost(self, points: int) -> None:
        self._counter("clawtui_history_lost_total").inc(points)

    def set_feed_subscribers(self, count: int) -> None:
        self._gauge("clawtui_feed_subscribers").set(count)

    def add_source(self, source: Callable[[Metrics], None]) -> None:
        """`source` is called before every reading and sets gauges; it must not block."""
        self._sources.append(source)

    def exposition(self) -> bytes:
        """All metrics in the text format of `CONTENT_TYPE`."""
        for source in self._sources:
            source(self)
        with self._process.oneshot():
            self._gauge("clawtui_process_resident_bytes").set(self._process.memory_info().rss)
            self._gauge("clawtui_process_open_fds").set(self._process.num_fds())
        return generate_latest(self.registry)

    # --- inside -------------------------------------------------------------------------------------

    def _make(self, spec: MetricSpec) -> Counter | Gauge | Histogram:
        match spec.kind:
            case MetricKind.COUNTER:
                return Counter(spec.name, spec.help, spec.labels, registry=self.registry)
            case MetricKind.GAUGE:
                return Gauge(spec.name, spec.help, spec.labels, registry=self.registry)
            case MetricKind.HISTOGRAM:
                return Histogram(spec.name, spec.help, spec.labels, registry=self.registry, buckets=spec.buckets)

    def _counter(self, name: str) -> Counter:
        made = self._made[name]
        assert isinstance(made, Counter)
        return made

    def _gauge(self, name: str) -> Gauge:
        made = self._made[name]
        assert isinstance(made, Gauge)
        return made

    def _histogram(self, name: str) -> Histogram:
        made = self._made[name]
        assert isinstance(made, Histogram)
        return made
