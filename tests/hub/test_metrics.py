"""What `/metrics` shows is what the table says, under the documented names, with bounded labels."""

from __future__ import annotations

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from hub.core.model import AgentStatus, TaskState
from hub.metrics import METRICS, OTHER, MetricKind, Metrics, Refusal


def read(metrics: Metrics) -> dict[str, Metric]:
    return {family.name: family for family in text_string_to_metric_families(metrics.exposition().decode())}


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def test_every_metric_of_the_table_is_exposed_with_its_help() -> None:
    shown = read(Metrics("1.2.3"))
    for spec in METRICS:
        family = shown.pop(spec.name.removesuffix("_total") if spec.kind is MetricKind.COUNTER else spec.name)
        assert (family.documentation, family.type) == (spec.help, spec.kind.value)
    assert shown == {}


def test_the_documented_names_are_there() -> None:
    metrics = Metrics()
    metrics.message()
    metrics.message(2)
    metrics.set_agents({"online": 3})
    metrics.set_tasks(queued=5, active=2)
    assert value(metrics, "vm_hub_messages_total") == 3
    assert value(metrics, "vm_hub_agents", status="online") == 3
    assert value(metrics, "vm_hub_agents", status="crashed") == 0
    assert value(metrics, "vm_hub_active_tasks") == 2
    assert value(metrics, "clawtui_queued_tasks") == 5


def test_counts_and_durations() -> None:
    metrics = Metrics()
    metrics.commit(records=3, seconds=0.003)
    metrics.commit_failed()
    metrics.task_ended(TaskState.SUCCEEDED)
    metrics.output(4096)
    metrics.outbox_drop(2)
    metrics.feed_gap()
    metrics.loop_lag(0.02)
    metrics.set_connections(7)
    metrics.set_feed_subscribers(1)
    assert value(metrics, "clawtui_commits_total", outcome="ok") == 1
    assert value(metrics, "clawtui_commits_total", outcome="failed") == 1
    assert value(metrics, "clawtui_commit_batch_records_sum") == 3
    assert value(metrics, "clawtui_commit_seconds_bucket", le="0.004") == 1
    assert value(metrics, "clawtui_commit_seconds_bucket", le="0.002") == 0
    assert value(metrics, "clawtui_tasks_ended_total", state="succeeded") == 1
    assert value(metrics, "clawtui_output_bytes_total") == 4096
    assert value(metrics, "clawtui_outbox_drops_total") == 2
    assert value(metrics, "clawtui_feed_gaps_total") == 1
    assert value(metrics, "clawtui_loop_lag_seconds_sum") == 0.02
    assert value(metrics, "clawtui_agent_connections") == 7
    assert value(metrics, "clawtui_feed_subscribers") == 1


def test_a_reason_that_is_not_on_the_list_becomes_other() -> None:
    metrics = Metrics()
    metrics.handshake_refused(Refusal.TOKEN)
    metrics.handshake_refused("something a client made up")
    metrics.handshake_refused("something else")
    assert value(metrics, "clawtui_handshakes_refused_total", reason="token") == 1
    assert value(metrics, "clawtui_handshakes_refused_total", reason=OTHER) == 2
    assert len(read(metrics)["clawtui_handshakes_refused"].samples) == 2


def test_requests_are_counted_by_route_and_only_answers_have_a_duration() -> None:
    metrics = Metrics()
    metrics.http_request("GET", "/tasks/{task_id}", 200, 0.001)
    metrics.http_request("GET", "/tasks/{task_id}", 200)
    labels = {"method": "GET", "route": "/tasks/{task_id}", "status": "200"}
    assert value(metrics, "clawtui_http_requests_total", **labels) == 2
    assert value(metrics, "clawtui_http_request_seconds_count") == 1


def test_no_label_can_carry_an_id() -> None:
    allowed = {"status", "version", "state", "outcome", "reason", "method", "route", "severity"}
    allowed |= {"result", "by", "figure"}
    # Their names are given by an admin, and their number is bounded.
    allowed |= {"gateway"}
    assert {label for spec in METRICS for label in spec.labels} <= allowed


def test_an_agent_status_is_always_one_series() -> None:
    metrics = Metrics()
    metrics.set_agents({"online": 1})
    metrics.set_agents({"stale": 1})
    series = {sample.labels["status"]: sample.value for sample in read(metrics)["vm_hub_agents"].samples}
    assert series == {status.value: float(status is AgentStatus.STALE) for status in AgentStatus}


def test_sources_are_asked_before_every_reading() -> None:
    metrics = Metrics()
    readings = iter((1, 2))
    metrics.add_source(lambda target: target.set_connections(next(readings)))
    assert [read(metrics)["clawtui_agent_connections"].samples[0].value for _ in range(2)] == [1, 2]


def test_the_process_reports_its_memory_and_files() -> None:
    metrics = Metrics()
    metrics.exposition()
    memory, files = (value(metrics, f"clawtui_process_{name}") for name in ("resident_bytes", "open_fds"))
    assert memory is not None
    assert memory > 1_000_000
    assert files is not None
    assert files >= 3


def test_two_hubs_in_one_process_count_apart() -> None:
    one, two = Metrics(), Metrics()
    one.message()
    assert (value(one, "vm_hub_messages_total"), value(two, "vm_hub_messages_total")) == (1, 0)
