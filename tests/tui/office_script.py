"""The hub's own affairs for the scripted fleet: history, jobs, needs, tokens, connections. All data.

The journal is made by the hub's own rules from what stands in the audit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from hub.contract import (
    AttentionView,
    AuditView,
    ConnectionList,
    ConnectionView,
    HubLoad,
    JobStepView,
    JobView,
    JournalEntry,
    Severity,
    SuggestedAct,
    TokenView,
)
from hub.core.attention_words import WORDS
from hub.core.model import AuditEntry, Role
from hub.core.view import rfc3339
from hub.undo import entry_view, outcomes
from runtime.wire import TaskError

NOW: Final = datetime(2026, 3, 14, 15, 9, 26, tzinfo=UTC)
ROLLOUT: Final = "d-0042"


def ago(seconds: float) -> str:
    """A time so long before `NOW`, as the hub writes it."""
    return (NOW - timedelta(seconds=seconds)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


# --- history

# Who, what, target, outcome, detail, seconds ago.
_HISTORY: Final[tuple[tuple[str, str, str, str, str, float], ...]] = (
    ("user:grace", "agent.destroy", "scratch", "ok", "", 15),
    ("user:grace", "agent.create", "gpu-trainer-2", "ok", '{"driver":"docker","resources":{"cpus":8}}', 40),
    ("user:ci", "task.exec", "builder-1", "ok", '{"type":"exec","command":"make -j2 release"}', 94),
    ("user:guest", "POST /agents/{agent_id}/task", "crawler-asia", "refused", "the role viewer may not do this", 130),
    ("user:ada", "job.restart", "tester-arm", "failed", "the driver vm does not answer", 185),
    ("user:ada", "agent.restart", "tester-arm", "ok", "", 200),
    ("user:ada", "task.dispatch", "8 agents", "ok", '{"type":"exec","command":"pytest -q tests/web"}', 210),
    ("hub", "agent.quarantine", "reviewer-3", "ok", "two machines used its token", 610),
    ("user:ada", "attention.snooze", "agent_silent:laptop-ada", "ok", "3600 s", 900),
    ("user:ada", "job.pause", "deploy", "succeeded", "", 3_699),
    ("user:ada", "agent.pause", "deploy", "ok", "running -> paused", 3_700),
    ("user:local", "job.stop", "nightly-lint", "succeeded", "", 30_098),
    ("user:local", "agent.stop", "nightly-lint", "ok", "running -> stopped", 30_100),
    ("user:ada", "token.create", "k-1", "ok", "user: operator", 86_000),
)  # fmt: skip


def _entries() -> Iterator[tuple[int, AuditEntry]]:
    for place, (who, what, target, outcome, detail, age) in enumerate(_HISTORY):
        at_ms = round((NOW.timestamp() - age) * 1000)
        yield 900 - place, AuditEntry(at=at_ms, who=who, what=what, target=target, outcome=outcome, detail=detail)


def audit() -> list[AuditView]:
    return [
        AuditView(
            seq=seq, at=rfc3339(one.at) or "", who=one.who, what=one.what, target=one.target, outcome=one.outcome,
            detail=one.detail,
        )
        for seq, one in _entries()
    ]  # fmt: skip


def journal() -> list[JournalEntry]:
    entries = list(_entries())
    ended = outcomes(entries)
    return [entry_view(seq, entry, job=ended.get(seq)) for seq, entry in entries]


# --- jobs


def jobs() -> list[JobView]:
    """Newest first, as the hub gives them."""
    pulling = [
        JobStepView(at=ago(39.8), message="asking the engine what it has"),
        JobStepView(at=ago(39), message="building ghcr.example/trainer: step 1 of 6"),
        JobStepView(at=ago(12), message="pulling the image"),
    ]
    return [
        JobView(id="j-10", kind="destroy", state="running", started_at=ago(15), progress=0.3, agent_id="scratch",
                message="removing scratch", by="user:grace"),
        JobView(id="j-9", kind="create", state="running", started_at=ago(40), progress=0.43, steps=pulling,
                message="pulling the image", agent_id="gpu-trainer-2", by="user:grace"),
        JobView(id="j-8", kind="restart", state="failed", started_at=ago(200), finished_at=ago(185), progress=0.2,
                message="restart tester-arm", agent_id="tester-arm", by="user:ada",
                error=TaskError("driver_failed", "the driver vm does not answer: connection to hypervisor-2 timed out "
                                                 "after 15 s (clawtui doctor names the cause)")),
        JobView(id="j-7", kind="pause", state="succeeded", started_at=ago(3_700), finished_at=ago(3_699), progress=1.0,
                message="pause deploy", agent_id="deploy", by="user:ada",
                result={"agentId": "deploy", "observed": "paused"}),
        JobView(id="j-6", kind="stop", state="succeeded", started_at=ago(30_100), finished_at=ago(30_098), progress=1.0,
                message="stop nightly-lint", agent_id="nightly-lint", by="user:local",
                result={"agentId": "nightly-lint", "observed": "exited"}),
    ]  # fmt: skip


# --- what needs a person


def attention() -> list[AttentionView]:
    found: Iterable[tuple[str, Severity, str, float, str, int, str, str]] = (
        ("agent_crashed", Severity.CRITICAL, "builder-4", 190, "crashed with 3 tasks waiting: out of memory", 1,
         "agent.restart", "clawtui restart builder-4"),
        ("quarantined", Severity.CRITICAL, "reviewer-3", 610, "two machines used its token", 1,
         "agent.release", "clawtui release reviewer-3"),
        ("job_failed", Severity.WARNING, "tester-arm", 185, "restart failed: the driver vm does not answer", 1,
         "job.show", "clawtui jobs show j-8"),
        ("tasks_failed", Severity.WARNING, "tester-linux-2", 150, "3 tasks failed, last exec (exit code 1)", 3,
         "task.retry", "clawtui tasks retry t-60"),
        ("agent_silent", Severity.WARNING, "tester-arm", 340, "no sign of life for 5 minutes; 6 tasks wait", 1,
         "agent.restart", "clawtui restart tester-arm"),
    )  # fmt: skip
    return [
        AttentionView(
            id=f"{kind}:{target}", kind=kind, severity=severity, target_kind="agent", target=target, since=ago(age),
            text=text, count=count, title=WORDS[kind].title, todo=WORDS[kind].todo,
            tasks=["t-60"] if kind == "tasks_failed" else [], jobs=["j-8"] if kind == "job_failed" else [],
            acts=[SuggestedAct(act=act, command=command)],
        )
        for kind, severity, target, age, text, count, act, command in found
    ]  # fmt: skip


# --- tokens and connections


def tokens() -> list[TokenView]:
    people = (("ada", Role.ADMIN), ("ci", Role.OPERATOR), ("dashboard", Role.VIEWER))
    found = [
        TokenView(id=f"k-{place}", kind="user", created_at=ago(86_000), role=role, name=name)
        for place, (name, role) in enumerate(people)
    ]
    found.append(TokenView(id="k-3", kind="user", created_at=ago(900_000), role=Role.OPERATOR, name="old laptop",
                           revoked_at=ago(500_000)))  # fmt: skip
    found.append(TokenView(id="k-4", kind="join", created_at=ago(300), agent_id="gpu-trainer-2",
                           expires_at=ago(-86_100)))  # fmt: skip
    return [*found, TokenView(id="k-5", kind="agent", created_at=ago(200_000), agent_id="builder-1")]


# Agent, seconds connected (0 = away), queued, running, unsent bytes, ping in seconds.
_CONNECTIONS: Final[tuple[tuple[str, float, int, int, int, float | None], ...]] = (
    ("tester-mac", 80_000, 0, 0, 212_000, 0.184),
    ("crawler-asia", 9_000, 31, 1, 0, 0.231),
    ("crawler-eu", 43_000, 12, 1, 0, None),
    ("crawler-us", 43_000, 9, 1, 0, None),
    ("tester-linux-1", 180_000, 6, 2, 0, None),
    ("tester-arm", 0, 5, 1, 0, None),
    ("builder-1", 180_000, 4, 2, 0, None),
    ("gpu-trainer-1", 12_000, 2, 1, 0, 0.004),
    ("docs", 180_000, 0, 0, 0, 0.003),
)


def connections() -> ConnectionList:
    views = [
        ConnectionView(
            agent_id=name, connected=bool(since), since=ago(since) if since else None, version="0.2.0",
            heard_seconds=3.0 if since else None, remote=f"10.1.2.{place + 10}:5{place}210" if since else "",
            via="10.1.2.1:9090" if since else "", protocol=1 if since else None, latency_seconds=ping,
            queued=queued, running=running, outbox_bytes=unsent, outbox_frames=unsent // 2_000, acks=bool(unsent) * 14,
        )
        for place, (name, since, queued, running, unsent, ping) in enumerate(_CONNECTIONS)
    ]  # fmt: skip
    load = HubLoad(
        loop_lag_seconds=0.0021, loop_lag_p99_seconds=0.0084, commits=512, commit_seconds=0.0016,
        commit_p99_seconds=0.0072, batch_records=3.4, batch_most=61, registry_bytes=48_300_000,
        registry_log_bytes=2_100_000, output_bytes=1_940_000_000, output_files=17, output_readers=2, observers=3,
        waits=4, streams=5, gaps=1, connections=17, outbox_frames=106, outbox_bytes=212_000, queued=82,
    )  # fmt: skip
    return ConnectionList(load=load, connections=views, total=19)
