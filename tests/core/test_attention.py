"""What needs a person: every kind by a row, then the order, the snoozes and the groups of failed tasks."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from hub.contract import AttentionQuery, AttentionView, GatewayState, Severity
from hub.core.attention import (
    DISK_ENOUGH_BYTES,
    RULES,
    SILENCE_MS,
    TASKS_NAMED,
    resolve,
    shown,
)
from hub.core.attention_facts import (
    FAILURES_MS,
    AgentFacts,
    Facts,
    Failure,
    GatewayFacts,
    GivenUpFacts,
    HubFacts,
    IngressFacts,
    JobFailure,
    SyncFacts,
)
from hub.core.attention_words import WORDS
from hub.core.model import (
    Agent,
    AgentId,
    AgentStatus,
    AgentUid,
    CheckState,
    Connection,
    Desired,
    DispatchId,
    JobId,
    Observed,
    Snooze,
    TaskId,
    TaskState,
)
from hub.core.view import derive_status, rfc3339
from hub.core.wellness import Report
from runtime.wire import Disk

NOW = 1_700_000_000_000
LONG_AGO = NOW - 10 * SILENCE_MS
GIB = 1024**3
RUNS = {"driver": "process", "observed": Observed.RUNNING}
EXITED = {"driver": "process", "observed": Observed.EXITED, "exit_code": 1, "reason": "exit code 1"}


def agent(
    connection: Connection = Connection.ONLINE, *, name: str = "a", told: dict[str, Any] | None = None, **changes: Any
) -> AgentFacts:
    """Facts of an agent; `told` are those beside its record."""
    record = replace(Agent(id=AgentId(name), uid=AgentUid(f"u-{name}"), created_at=LONG_AGO), **changes)
    status = derive_status(record.quarantined, record.desired, record.observed, connection)
    facts = AgentFacts(agent=record, status=status, connection=connection, last_seen_ms=LONG_AGO)
    return replace(facts, **(told or {}))


def disk(share: float, total: int = 100 * GIB) -> Disk:
    return Disk(used=int(total * share), total=total)


def failure(number: int, **changes: Any) -> Failure:
    made = Failure(
        task_id=TaskId(f"t_{number}"),
        agent_id=AgentId("a"),
        agent_uid="u-a",
        type="exec",
        state=TaskState.FAILED,
        ended_at=NOW - 1_000 + number,
    )
    return replace(made, **changes)


def job(number: int, **changes: Any) -> JobFailure:
    made = JobFailure(
        job_id=JobId(f"j_{number}"), kind="restart", agent_id=AgentId("a"), ended_at=NOW - 1_000 + number,
        message="no such container",
    )  # fmt: skip
    return replace(made, **changes)


def facts(
    *agents: AgentFacts, failures: tuple[Failure, ...] = (), jobs: tuple[JobFailure, ...] = (), **hub: Any
) -> Facts:
    about = HubFacts(started_ms=LONG_AGO, **hub)
    return Facts(now_ms=NOW, hub=about, agents=agents, failures=failures, jobs=jobs)


def late(seconds: int) -> tuple[str, str, int]:
    """A persona of a sync, in its state for so long."""
    return f"p{seconds}", "it is so", NOW - seconds * 1000


def sync(**told: Any) -> Facts:
    return Facts(now_ms=NOW, syncs=[SyncFacts(gateway="g", **told)])


def given_up(reason: str) -> Facts:
    """One that is down, of which only that it was given up is said."""
    return msgspec.structs.replace(gateway(GatewayState.DOWN, 3600), given_up=[GivenUpFacts("g", reason, NOW)])


def ingress(**fields: Any) -> Facts:
    return Facts(now_ms=NOW, ingress=IngressFacts(since_ms=NOW, **fields))


def gateway(state: GatewayState, seconds: int, reason: str = "it is so") -> Facts:
    """One that has been seen so for that long."""
    one = GatewayFacts(name="g", state=state, reason=reason, since_ms=NOW - seconds * 1000)
    return Facts(now_ms=NOW, gateways=[one])


def found(given: Facts, *snoozes: Snooze) -> list[AttentionView]:
    return resolve(given, snoozes).attention


BAD = Report(check=CheckState.UNHEALTHY, why="no answer", since_ms=LONG_AGO)
BAD_BUSY = replace(BAD, waiting=True)
BAD_FOR_GOOD = replace(BAD, restarts=3, given_up=True)
HUNGRY = Report(out_of_memory=2, out_of_memory_ms=NOW - 1)

FINE: list[tuple[str, Facts]] = [
    ("healthy", facts(agent(told={"wellness": Report(check=CheckState.HEALTHY)}, **RUNS))),
    ("was unhealthy and is stopped", facts(agent(Connection.OFFLINE, told={"wellness": BAD}, desired=Desired.STOPPED))),
    ("frozen", facts(agent(desired=Desired.PAUSED, driver="x", observed=Observed.PAUSED, told={"wellness": BAD}))),
    ("out of memory a day ago", facts(agent(told={"wellness": replace(HUNGRY, out_of_memory_ms=NOW - FAILURES_MS)}))),
    ("nothing there", facts()),
    ("online", facts(agent(**RUNS))),
    ("registered by hand and gone with goodbye", facts(agent(Connection.OFFLINE))),
    ("registered by hand and never there", facts(agent(Connection.OFFLINE, told={"last_seen_ms": None}))),
    ("stopped on purpose", facts(agent(Connection.OFFLINE, desired=Desired.STOPPED, **EXITED))),
    ("stopped on purpose, unmanaged", facts(agent(Connection.UNREACHABLE, desired=Desired.STOPPED))),
    ("paused", facts(agent(Connection.STALE, desired=Desired.PAUSED, driver="x", observed=Observed.PAUSED))),
    ("being made", facts(agent(Connection.OFFLINE, driver="x", observed=Observed.CREATING))),
    ("being destroyed", facts(agent(Connection.UNREACHABLE, desired=Desired.ABSENT, fault="x", **RUNS))),
    ("ended well and is not to be restarted", facts(agent(restart="no", **{**EXITED, "exit_code": 0}))),
    ("away for a moment", facts(agent(Connection.UNREACHABLE, told={"last_seen_ms": NOW - SILENCE_MS + 1}))),
    ("made a moment ago", facts(agent(Connection.OFFLINE, created_at=NOW - 1, **RUNS))),
    ("most of the disk is used and much is free", facts(agent(told={"disk": disk(0.99, 100 * DISK_ENOUGH_BYTES)}))),
    ("disk below the bound", facts(disk=disk(0.899))),
    ("a disk of no size", facts(disk=Disk())),
    ("the disk of an agent that is gone", facts(agent(Connection.OFFLINE, told={"disk": disk(0.99)}))),
    ("a job that failed a day ago", facts(jobs=(job(1, ended_at=NOW - FAILURES_MS),))),
    ("a start that failed, of an agent that is online", facts(agent(**RUNS), jobs=(job(1, kind="start"),))),
    ("failed a day ago", facts(failures=(failure(1, ended_at=NOW - FAILURES_MS),))),
    ("gateway just gone", gateway(GatewayState.DOWN, 29)),
    ("gateway drains", gateway(GatewayState.NOT_READY, 359)),
    ("gateway starts", gateway(GatewayState.STARTING, 3600)),
    ("gateway ready", gateway(GatewayState.READY, 3600)),
    ("just not reached by name", ingress(routes=[("g", "HTTP 502", NOW - 29_000)])),
    ("personas in step", sync()),
    ("personas on their way", sync(pending=[late(299)])),
    ("gateway without address", gateway(GatewayState.UNKNOWN, 3600)),
]

WRONG: list[tuple[str, Facts, str, Severity, str]] = [
    ("registry", facts(trouble="no room"), "registry_read_only:hub", Severity.CRITICAL, "no room"),
    ("log", facts(problems=("the log grows",)), "hub_problem:hub", Severity.WARNING, "the log grows"),
    ("driver", facts(drivers={"docker": "no answer"}), "driver_gone:docker", Severity.CRITICAL, "no answer"),
    ("hub disk", facts(disk=disk(0.9)), "hub_disk:hub", Severity.WARNING, "90% of the disk is used, 10.0 GiB are free"),
    ("hub disk full", facts(disk=disk(0.97)), "hub_disk:hub", Severity.CRITICAL, "97%"),
    ("disk", facts(agent(told={"disk": disk(0.95)})), "agent_disk:a", Severity.WARNING, "95%"),
    ("quarantined", facts(agent(quarantined=True, fault="twins")), "quarantined:a", Severity.CRITICAL, "twins"),
    ("loop", facts(agent(told={"looping": True}, **EXITED)), "crash_loop:a", Severity.CRITICAL, "exit code 1"),
    ("given up", facts(agent(told={"wellness": BAD_FOR_GOOD}, **RUNS)), "given_up:a", Severity.CRITICAL, "3 restarts"),
    ("unhealthy", facts(agent(told={"wellness": BAD}, **RUNS)), "unhealthy:a", Severity.WARNING, "fails: no answer"),
    ("waits", facts(agent(told={"wellness": BAD_BUSY}, **RUNS)), "unhealthy:a", Severity.WARNING, "tasks have ended"),
    ("gateway given up", given_up("5 restarts"), "gateway_given_up:g", Severity.CRITICAL, "5 rest"),
    ("refused", gateway(GatewayState.REFUSED, 0), "gateway_refused:g", Severity.WARNING, "it is so"),
    ("down", gateway(GatewayState.DOWN, 30), "gateway_down:g", Severity.WARNING, "it is so"),
    ("wedged", gateway(GatewayState.WEDGED, 30), "gateway_wedged:g", Severity.WARNING, "it is so"),
    ("not ready", gateway(GatewayState.NOT_READY, 360, ""), "gateway_not_ready:g", Severity.WARNING, "nothing says"),
    ("proxy away", ingress(problem="gone", away=True), "ingress_away:hub", Severity.CRITICAL, "gone"),
    ("proxy refuses", ingress(problem="bad port"), "ingress_refused:hub", Severity.WARNING, "bad port"),
    ("name", ingress(routes=[("g", "HTTP 502", NOW - 30_000)]), "ingress_route:g", Severity.WARNING, "HTTP 502"),
    ("sync", sync(problem="Convex is down", problem_ms=NOW), "sync_failed:g", Severity.WARNING, "Convex is down"),
    ("persona", sync(failed=[late(0)]), "sync_failed:g", Severity.WARNING, "p0: it is so"),
    ("changed", sync(waiting=[late(0) for _ in range(7)]), "sync_waits:g", Severity.WARNING, "and 2 more: it is so"),
    ("not taken", sync(pending=[late(300), late(0)]), "sync_pending:g", Severity.WARNING, "p300: it is so"),
    ("memory", facts(agent(told={"wellness": HUNGRY}, **RUNS)), "out_of_memory:a", Severity.WARNING, "memory, 2 times"),
    ("crashed", facts(agent(**EXITED)), "agent_crashed:a", Severity.WARNING, "crashed: exit code 1"),
    ("falls", facts(agent(told={"restarting": True}, **EXITED)), "agent_crashed:a", Severity.NOTICE, "being restarted"),
    ("removed", facts(agent(driver="x", observed=Observed.ABSENT)), "agent_crashed:a", Severity.WARNING, "not run"),
    ("failed once", facts(agent(restart="no", **EXITED)), "agent_crashed:a", Severity.WARNING, "exit code 1"),
    ("protocol", facts(agent(fault="speaks 9", **RUNS)), "unsupported_protocol:a", Severity.WARNING, "speaks 9"),
    ("stale", facts(agent(Connection.STALE, **RUNS)), "agent_silent:a", Severity.WARNING, "has not reported"),
    ("unreachable", facts(agent(Connection.UNREACHABLE)), "agent_silent:a", Severity.WARNING, "without a word"),
    ("offline", facts(agent(Connection.OFFLINE, **RUNS)), "agent_silent:a", Severity.WARNING, "does not connect"),
    ("lost", facts(failures=(failure(1, state=TaskState.LOST),)), "tasks_lost:a", Severity.WARNING, "was lost: exec"),
    ("job", facts(jobs=(job(1),)), "job_failed:a", Severity.WARNING, "restart failed: no such container"),
    ("job of the hub", facts(jobs=(job(1, agent_id=None),)), "job_failed:hub", Severity.WARNING, "restart failed"),
    ("failed", facts(failures=(failure(1, exit_code=3),)), "tasks_failed:a", Severity.WARNING, "exec (exit code 3)"),
    (
        "interrupted",
        facts(failures=(failure(1, exit_code=143, message="the agent is shutting down"),)),
        "tasks_failed:a",
        Severity.WARNING,
        "exec (the agent is shutting down)",
    ),
]


@pytest.mark.parametrize(("given", "name", "severity", "text"), [row[1:] for row in WRONG], ids=[r[0] for r in WRONG])
def test_what_is_wrong_is_found_once(given: Facts, name: str, severity: Severity, text: str) -> None:
    (view,) = found(given)
    assert (view.id, view.severity) == (name, severity)
    assert text in view.text
    assert view.id == f"{view.kind}:{view.target}"
    assert view.target_kind == {"hub": "hub", "docker": "driver", "a": "agent", "g": "gateway"}[view.target]
    assert view.acts
    assert all(act.command.startswith("clawtui ") for act in view.acts)


@pytest.mark.parametrize("given", [row[1] for row in FINE], ids=[row[0] for row in FINE])
def test_what_is_as_it_should_be_calls_nobody(given: Facts) -> None:
    assert found(given) == []


def test_every_rule_has_a_row() -> None:
    assert {row[2].partition(":")[0] for row in WRONG} == {rule.kind for rule in RULES}
    assert len({rule.kind for rule in RULES}) == len(RULES)


def test_every_kind_has_words_that_say_what_to_do() -> None:
    assert set(WORDS) == {rule.kind for rule in RULES}
    assert len({words.title for words in WORDS.values()}) == len(WORDS)
    for view in (found(row[1])[0] for row in WRONG):
        assert (view.title, view.todo) == WORDS[view.kind]
        assert "_" not in view.title
        assert view.todo.endswith(".")


def test_a_hub_that_has_just_started_waits_for_its_agents() -> None:
    away = agent(Connection.UNREACHABLE)
    young = Facts(now_ms=NOW, hub=HubFacts(started_ms=NOW - SILENCE_MS + 1), agents=[away])
    assert found(young) == []
    assert found(replace(young, now_ms=NOW + 1))


def test_an_agent_on_the_hubs_own_disk_adds_nothing() -> None:
    everywhere = disk(0.95)
    given = facts(
        agent(told={"disk": everywhere}), agent(name="b", told={"disk": disk(0.95, 7 * GIB)}), disk=everywhere
    )
    assert [view.id for view in found(given)] == ["hub_disk:hub", "agent_disk:b"]


def test_the_urgent_comes_first_then_the_kinds_in_their_order_then_the_oldest() -> None:
    old, new = {"last_seen_ms": LONG_AGO}, {"last_seen_ms": LONG_AGO + 1}
    given = facts(
        agent(Connection.STALE, name="b", told=new, **RUNS),
        agent(Connection.STALE, name="z", told=old, **RUNS),
        agent(name="c", told={"restarting": True}, **EXITED),
        agent(name="d", quarantined=True),
        agent(name="e", **EXITED),
        failures=(failure(1),),
        trouble="no room",
    )
    assert [view.id for view in found(given)] == [
        "registry_read_only:hub",
        "quarantined:d",
        "agent_crashed:e",
        "agent_silent:z",
        "agent_silent:b",
        "tasks_failed:a",
        "agent_crashed:c",
    ]


def test_since_is_what_is_known_of_it() -> None:
    low = facts(disk=disk(0.95))
    assert found(low)[0].since == rfc3339(NOW)
    assert resolve(low, known={"hub_disk:hub": NOW - 5}).attention[0].since == rfc3339(NOW - 5)
    assert found(facts(agent(Connection.STALE, **RUNS)))[0].since == rfc3339(LONG_AGO)


# --- failed tasks --------------------------------------------------------------------------------


def test_failures_are_one_per_agent_and_one_per_dispatch() -> None:
    dispatch = DispatchId("d_1")
    failures = (
        failure(1),
        failure(2, state=TaskState.TIMED_OUT),
        failure(3, agent_id=AgentId("b"), dispatch_id=dispatch, exit_code=7),
        failure(4, agent_id=AgentId("a"), dispatch_id=dispatch),
        failure(5, agent_id=AgentId("b")),
    )
    views = {view.id: view for view in found(facts(failures=failures))}
    assert set(views) == {"tasks_failed:a", "tasks_failed:b", "tasks_failed:d_1"}
    both, together = views["tasks_failed:a"], views["tasks_failed:d_1"]
    assert (both.count, both.tasks, both.since) == (2, ["t_2", "t_1"], rfc3339(failures[0].ended_at))
    assert both.text == "2 tasks failed or timed out, last exec"
    assert together.target_kind == "dispatch"
    assert together.acts[0].command == "clawtui tasks retry --dispatch d_1"
    assert together.text == "2 tasks failed, last exec on a"


def test_of_many_failures_the_newest_are_named() -> None:
    (view,) = found(facts(failures=tuple(failure(number) for number in range(TASKS_NAMED + 5))))
    assert view.count == TASKS_NAMED + 5
    assert view.tasks == [f"t_{number}" for number in range(TASKS_NAMED + 4, 4, -1)]


# --- failed jobs ---------------------------------------------------------------------------------


def test_failed_jobs_are_one_per_agent_with_the_newest_first() -> None:
    (view,) = found(facts(jobs=(job(1), job(2, kind="stop", message=""))))
    assert (view.id, view.count, view.jobs, view.tasks) == ("job_failed:a", 2, ["j_2", "j_1"], [])
    assert (view.text, view.acts[0].command) == ("2 jobs failed, last stop failed", "clawtui jobs show j_2")
    assert view.since == rfc3339(NOW - 999)


def test_a_restart_that_failed_is_not_made_up_for_by_an_agent_that_never_stopped() -> None:
    assert [view.id for view in found(facts(agent(**RUNS), jobs=(job(1), job(2, kind="create"))))] == ["job_failed:a"]
    (view,) = found(facts(agent(**RUNS), jobs=(job(1), job(2, kind="create"))))
    assert view.jobs == ["j_1"]


def test_a_snooze_of_failed_jobs_does_not_cover_those_that_come() -> None:
    covered = snooze("job_failed:a", at=NOW - 999)
    assert found(facts(jobs=(job(1),)), covered)[0].snoozed_until is not None
    assert found(facts(jobs=(job(1), job(2))), covered)[0].snoozed_until is None


# --- snoozes --------------------------------------------------------------------------------------


def snooze(name: str, at: int = NOW - 10, until: int = NOW + 10) -> Snooze:
    return Snooze(id=name, at=at, until=until)


def test_what_is_snoozed_is_counted_and_comes_last() -> None:
    given = facts(agent(quarantined=True), agent(name="b", **EXITED))
    everything = resolve(given, [snooze("quarantined:a"), snooze("agent_crashed:z")])
    assert [(view.id, view.snoozed_until) for view in everything.attention] == [
        ("agent_crashed:b", None),
        ("quarantined:a", rfc3339(NOW + 10)),
    ]
    assert everything.snoozed == 1
    assert shown(everything, AttentionQuery(snoozed=True)) == everything
    asked = shown(everything, AttentionQuery())
    assert ([view.id for view in asked.attention], asked.total, asked.snoozed) == (["agent_crashed:b"], 1, 1)


def test_an_answer_has_a_bound_and_says_how_much_there_is() -> None:
    everything = resolve(facts(*(agent(name=f"a{number}", quarantined=True) for number in range(7))))
    asked = shown(everything, AttentionQuery(limit=3))
    assert ([view.target for view in asked.attention], asked.total) == (["a0", "a1", "a2"], 7)


def test_a_snooze_ends() -> None:
    given = facts(agent(quarantined=True))
    assert found(given, snooze("quarantined:a", until=NOW + 1))[0].snoozed_until is not None
    assert found(given, snooze("quarantined:a", until=NOW))[0].snoozed_until is None


def test_a_snooze_of_failures_does_not_cover_those_that_come() -> None:
    known = failure(1, ended_at=NOW - 10)
    covered = snooze("tasks_failed:a", at=NOW - 10)
    assert found(facts(failures=(known,)), covered)[0].snoozed_until is not None
    (view,) = found(facts(failures=(known, failure(2, ended_at=NOW - 9))), covered)
    assert (view.snoozed_until, view.count) == (None, 2)


# --- whatever the facts ----------------------------------------------------------------------------

agents = st.builds(
    lambda connection, told, changes: agent(connection, told=told, **changes),
    st.sampled_from(Connection),
    st.fixed_dictionaries(
        {
            "looping": st.booleans(),
            "restarting": st.booleans(),
            "last_seen_ms": st.none() | st.integers(0, NOW),
            "disk": st.none() | st.builds(Disk, st.integers(0, 2**60), st.integers(0, 2**60)),
        }
    ),
    st.fixed_dictionaries(
        {
            "desired": st.sampled_from(Desired),
            "observed": st.sampled_from(Observed),
            "quarantined": st.booleans(),
            "fault": st.sampled_from(["", "a fault"]),
            "exit_code": st.none() | st.integers(0, 255),
            "restart": st.sampled_from(["no", "on-failure", "unless-stopped"]),
        }
    ),
)


@given(agents)
def test_an_agent_calls_at_most_once_for_its_state(one: AgentFacts) -> None:
    kinds = {view.kind for view in found(facts(one))} - {"agent_disk"}
    assert len(kinds) <= 1 or kinds == {"unsupported_protocol", "agent_crashed"} or "crash_loop" in kinds
    if one.agent.desired is Desired.ABSENT:
        assert kinds == set()
    elif one.agent.quarantined:
        assert kinds == {"quarantined"}
    elif one.status is AgentStatus.ONLINE and not one.agent.fault:
        assert kinds == set()
