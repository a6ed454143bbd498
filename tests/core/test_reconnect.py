"""Connections of an agent: epochs and fencing, the plan at hello, and what silence does to tasks."""

from __future__ import annotations

from typing import Any, cast

import pytest

from hub.core.model import Desired, RetryOn, TaskState
from runtime.wire import AttemptId, HeldAttempt, Plan, Resend, Welcome
from tests.core.support import Desk, closes, finished, kinds, make_hello, offered, run, running, sent

MINUTES = 60.0


def plan_of(desk: Desk, *attempts: HeldAttempt, agent: str = "a") -> Plan:
    (welcome,) = sent(desk.connect(agent, attempts), "welcome")
    return cast(Welcome, welcome.payload).plan


def lost_desk(**fields: Any) -> Desk:
    """A task runs, and the agent's connection has just broken."""
    desk = Desk()
    desk.connect()
    run(desk, **fields)
    desk.close()
    return desk


# --- epochs


def test_epoch_counts_connections_and_a_newer_one_supersedes() -> None:
    """`epoch` counts connections of an agent; a new one supersedes."""
    desk = Desk()
    desk.connect()
    effects = desk.connect(instance="two")
    assert desk.epoch["a"] == 2
    assert closes(effects) == [("a", 1, 4001)]
    assert [send.epoch for send in sent(effects, "welcome")] == [2]
    assert desk.fleet.agent("a").epoch == 2


def test_a_closed_connection_need_not_be_superseded() -> None:
    desk = Desk()
    desk.connect()
    desk.close()
    assert closes(desk.connect()) == []


def test_frames_of_a_superseded_connection_change_nothing() -> None:
    """Frames of a superseded connection change nothing."""
    desk = Desk()
    desk.connect()
    desk.submit()
    desk.connect("a", [running("t")], instance="two")
    desk.submit("next")
    before = desk.tasks.copy()
    assert desk.accept("t", epoch=1) == []
    assert desk.respond("t", epoch=1) == []
    assert desk.health(epoch=1) == []
    assert desk.close(epoch=1) == []
    assert desk.tasks == before
    assert offered(desk.respond("t")) == ["next:1"]


def test_frames_of_an_ended_connection_change_nothing() -> None:
    """A report that arrives after its connection is no sign of life."""
    desk = lost_desk()
    assert desk.accept("t") == []
    assert desk.health() == []
    desk.tick(61 * MINUTES)
    assert desk.state() is TaskState.LOST


def test_epochs_go_on_after_a_restart_of_the_hub() -> None:
    desk = Desk()
    desk.connect()
    desk.restart()
    desk.connect()
    assert desk.epoch["a"] == 2


# --- the plan


def test_attempts_that_are_wanted_are_kept_and_their_output_is_asked_for() -> None:
    """`plan` {keep, kill, resend, forget}; the agent sends output from `resend`."""
    desk = lost_desk()
    hello = make_hello([running("t")])
    _, effects = desk.fleet.connect(
        desk.fleet.agent("a").id, hello, desk.clock.now, welcome=Welcome(), offsets={AttemptId("t:1"): 42}
    )
    (welcome,) = sent(effects, "welcome")
    wanted = Plan(keep=[AttemptId("t:1")], resend=[Resend(AttemptId("t:1"), 42)])
    assert cast(Welcome, welcome.payload).plan == wanted
    assert offered(effects) == []


def test_a_result_that_waits_is_kept_until_it_was_given() -> None:
    desk = lost_desk()
    assert plan_of(desk, finished("t")).keep == ["t:1"]
    assert desk.state() is TaskState.RUNNING
    desk.respond()
    assert desk.state() is TaskState.SUCCEEDED


def test_a_lost_tasks_attempt_is_kept_because_its_result_is_welcome() -> None:
    desk = lost_desk()
    desk.tick(61 * MINUTES)
    assert desk.state() is TaskState.LOST
    assert plan_of(desk, running("t")).keep == ["t:1"]
    assert plan_of(desk, finished("t")).keep == ["t:1"]


@pytest.mark.parametrize("attempt", [running("unknown"), running("done"), running("t", 2), running("other")])
def test_attempts_that_nobody_wants_are_ended(attempt: HeldAttempt) -> None:
    desk = Desk("ab")
    desk.connect("b")
    run(desk, "other", "b")
    desk.connect()
    run(desk, "done")
    desk.respond("done")
    desk.submit("t")
    desk.close()
    plan = plan_of(desk, attempt)
    assert (plan.kill, plan.keep, plan.forget) == ([attempt.attempt_id], [], [])


@pytest.mark.parametrize("name", ["unknown", "done"])
def test_results_that_nobody_wants_are_forgotten(name: str) -> None:
    desk = Desk()
    desk.connect()
    run(desk, "done")
    desk.respond("done")
    plan = plan_of(desk, finished(name))
    assert (plan.kill, plan.keep, plan.forget) == ([], [], [f"{name}:1"])


def test_the_loser_of_two_attempts_is_told_to_end() -> None:
    """Attempt 2 after a loss while attempt 1 still runs: exactly one effective result."""
    desk = lost_desk(max_attempts=2, retry_on=frozenset({RetryOn.LOST}))
    desk.tick(61 * MINUTES)
    (welcome,) = sent(effects := desk.connect("a", [running("t")]), "welcome")
    assert cast(Welcome, welcome.payload).plan.kill == ["t:1"]
    assert offered(effects) == ["t:2"]
    desk.accept("t", attempt=2)
    desk.respond("t", "succeeded", attempt=1)
    assert desk.state() is TaskState.RUNNING
    desk.respond("t", "succeeded", attempt=2)
    assert desk.state() is TaskState.SUCCEEDED


def test_an_offer_that_the_agent_never_got_is_made_again_under_the_same_attempt() -> None:
    """Back to queued: agent says it never got it; same attempt."""
    desk = Desk()
    desk.connect()
    desk.submit()
    desk.close()
    effects = desk.connect()
    assert offered(effects) == ["t:1"]
    assert (desk.state(), desk.tasks["t"].attempt) == (TaskState.OFFERED, 1)


def test_an_offer_that_arrived_is_not_made_again() -> None:
    """A hub killed after the send, before `accepted` was stored."""
    desk = Desk()
    desk.connect()
    desk.submit()
    desk.restart()
    assert offered(desk.connect("a", [running("t")])) == []
    assert desk.state() is TaskState.RUNNING
    assert desk.tasks["t"].started_at == desk.clock.wall_ms


def test_an_attempt_that_arrived_after_its_hello_is_taken_back_as_it_is() -> None:
    """A frame of the connection before may reach the agent late: it must neither be killed nor run twice."""
    desk = Desk()
    desk.connect()
    desk.submit("t")
    desk.submit("first", priority=1)
    desk.connect()
    assert desk.state("t") is TaskState.QUEUED
    assert desk.respond("t") == []
    assert desk.state("t") is TaskState.QUEUED
    plan = plan_of(desk, running("first"), finished("t"))
    assert (plan.keep, plan.kill, plan.forget) == (["first:1", "t:1"], [], [])
    assert desk.state("t") is TaskState.OFFERED
    assert kinds(desk.respond("t")) == ["ack"]
    assert desk.state("t") is TaskState.SUCCEEDED


def test_a_running_attempt_that_the_agent_does_not_know_is_lost() -> None:
    """Running but absent from hello.attempts -> lost."""
    desk = lost_desk()
    effects = desk.connect()
    assert desk.state() is TaskState.LOST
    assert desk.tasks["t"].error is not None
    assert desk.tasks["t"].error.code == "lost"
    assert offered(effects) == []


def test_the_welcome_comes_before_tasks() -> None:
    desk = Desk("ab")
    desk.connect("a", concurrency=2)
    desk.connect("b")
    desk.dispatch("aaa", concurrency=1)
    desk.accept("d0")
    desk.close()
    assert kinds(desk.connect("a", concurrency=2))[:2] == ["welcome", "task"]
    assert desk.state("d0") is TaskState.LOST


def test_priority_decides_between_what_came_back_and_what_waited() -> None:
    desk = Desk()
    desk.connect()
    desk.submit("came-back")
    desk.close()
    desk.submit("urgent", priority=1)
    assert offered(desk.connect()) == ["urgent:1"]


@pytest.mark.parametrize("desired", [Desired.PAUSED, Desired.STOPPED, Desired.ABSENT])
@pytest.mark.parametrize("basic", [True, False])
def test_an_agent_that_is_not_wanted_running_is_offered_nothing(desired: Desired, basic: bool) -> None:
    desk = Desk()
    desk.submit()
    agent = desk.fleet.agent("a").id
    desk.take(desk.fleet.desire(agent, desired, desk.clock.now))
    assert offered(desk.connect_basic() if basic else desk.connect()) == []
    assert offered(desk.take(desk.fleet.desire(agent, Desired.RUNNING, desk.clock.now))) == ["t:1"]


# --- silence


def test_a_silent_agents_task_is_lost_after_the_rest_of_its_timeout() -> None:
    """Its tasks lost after max(15 min, rest of the timeout)."""
    desk = Desk()
    desk.connect()
    run(desk, timeout_ms=3_600_000)
    for _ in range(80):
        desk.tick(30)
        desk.health()
    desk.close()
    desk.tick(19.9 * MINUTES)
    assert desk.state() is TaskState.RUNNING
    desk.tick(0.2 * MINUTES)
    assert desk.state() is TaskState.LOST
    assert desk.tasks["t"].finished_at == desk.clock.wall_ms


def test_a_silent_agents_task_is_lost_after_fifteen_minutes_at_the_earliest() -> None:
    desk = lost_desk(timeout_ms=60_000)
    desk.tick(14.9 * MINUTES)
    assert desk.state() is TaskState.RUNNING
    desk.tick(0.2 * MINUTES)
    assert desk.state() is TaskState.LOST


def test_an_offer_to_an_agent_that_never_returns_is_lost_too() -> None:
    desk = Desk()
    desk.connect()
    desk.submit(timeout_ms=60_000)
    desk.close()
    desk.tick(15.1 * MINUTES)
    assert desk.state() is TaskState.LOST


def test_silence_on_an_open_connection_counts() -> None:
    """Silence = no health."""
    desk = Desk()
    desk.connect()
    run(desk, timeout_ms=60_000)
    desk.tick(46)
    desk.tick(14.9 * MINUTES)
    assert desk.state() is TaskState.RUNNING
    desk.tick(0.2 * MINUTES)
    assert desk.state() is TaskState.LOST


def test_a_report_ends_the_silence() -> None:
    desk = Desk()
    desk.connect()
    run(desk, timeout_ms=60_000)
    desk.tick(46)
    desk.tick(10 * MINUTES)
    desk.health()
    desk.tick(46)
    desk.tick(10 * MINUTES)
    assert desk.state() is TaskState.RUNNING


def test_a_silent_agent_is_offered_nothing_until_it_speaks() -> None:
    """Its tasks would only be lost one by one."""
    desk = Desk()
    desk.connect()
    desk.tick(46)
    assert offered(desk.submit()) == []
    assert offered(desk.health()) == ["t:1"]


def test_a_return_in_time_ends_the_silence() -> None:
    desk = lost_desk(timeout_ms=60_000)
    desk.tick(14 * MINUTES)
    desk.connect("a", [running("t")])
    desk.close()
    desk.tick(14 * MINUTES)
    assert desk.state() is TaskState.RUNNING


def test_a_silence_that_ended_does_not_shorten_one_that_begins_in_the_same_moment() -> None:
    desk = Desk()
    desk.connect()
    desk.submit(timeout_ms=3_600_000)
    for _ in range(119):
        desk.tick(30)
        desk.health()
    desk.close()
    desk.connect()
    desk.close()
    desk.tick(16 * MINUTES)
    assert desk.state() is TaskState.OFFERED
    desk.tick(44 * MINUTES)
    assert desk.state() is TaskState.LOST


def test_silence_is_counted_only_while_this_hub_runs() -> None:
    desk = lost_desk(timeout_ms=60_000)
    desk.tick(14 * MINUTES)
    desk.clock.move(3_600)
    desk.restart()
    desk.tick(14.9 * MINUTES)
    assert desk.state() is TaskState.RUNNING
    desk.tick(0.2 * MINUTES)
    assert desk.state() is TaskState.LOST


def test_the_rest_of_the_timeout_outlasts_a_restart_of_the_hub() -> None:
    desk = lost_desk(timeout_ms=3_600_000)
    desk.tick(30 * MINUTES)
    desk.restart()
    desk.tick(29.9 * MINUTES)
    assert desk.state() is TaskState.RUNNING
    desk.tick(0.2 * MINUTES)
    assert desk.state() is TaskState.LOST


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_jump_of_the_wall_clock_changes_no_patience(hours: int) -> None:
    """Clock +/- 1 h: no false lost."""
    desk = Desk()
    desk.connect()
    run(desk, timeout_ms=3_600_000)
    desk.clock.wall_ms += hours * 3_600_000
    desk.close()
    desk.tick(59.9 * MINUTES)
    assert desk.state() is TaskState.RUNNING
    desk.tick(0.2 * MINUTES)
    assert desk.state() is TaskState.LOST


@pytest.mark.parametrize(("hours", "minutes"), [(-1, 60), (2, 15)])
def test_a_jump_of_the_wall_clock_over_a_restart_stays_within_bounds(hours: int, minutes: float) -> None:
    desk = lost_desk(timeout_ms=3_600_000)
    desk.clock.wall_ms += hours * 3_600_000
    desk.restart()
    desk.tick((minutes - 0.1) * MINUTES)
    assert desk.state() is TaskState.RUNNING
    desk.tick(0.2 * MINUTES)
    assert desk.state() is TaskState.LOST


def test_a_lost_task_runs_again_only_when_it_says_so() -> None:
    """A lost agent's task is not run again unless the task says so."""
    desk = lost_desk(max_attempts=2, retry_on=frozenset({RetryOn.LOST}))
    desk.tick(61 * MINUTES)
    assert (desk.state(), desk.tasks["t"].attempt) == (TaskState.QUEUED, 2)
    assert offered(desk.connect()) == ["t:2"]
    desk.accept("t", attempt=2)
    desk.close()
    desk.tick(61 * MINUTES)
    assert (desk.state(), desk.tasks["t"].attempt) == (TaskState.LOST, 2)


def test_the_real_result_of_a_lost_task_is_taken_with_a_note() -> None:
    """Lost -> the real late result when no newer attempt exists, with a note."""
    desk = lost_desk()
    desk.tick(61 * MINUTES)
    desk.connect("a", [finished("t")])
    effects = desk.respond(exit_code=0)
    task = desk.tasks["t"]
    assert (task.state, task.error, task.exit_code) == (TaskState.SUCCEEDED, None, 0)
    assert "late" in task.note
    assert kinds(effects) == ["ack"]
    desk.respond("t", "failed")
    assert desk.state() is TaskState.SUCCEEDED


def test_a_late_result_is_taken_after_a_restart_of_the_hub() -> None:
    desk = lost_desk()
    desk.tick(61 * MINUTES)
    desk.restart()
    desk.connect("a", [finished("t")])
    desk.respond("t", "failed", exit_code=4)
    assert desk.state() is TaskState.FAILED


def test_a_late_failure_is_not_tried_again() -> None:
    desk = lost_desk(max_attempts=2, retry_on=frozenset({RetryOn.EXIT_CODE}))
    desk.tick(61 * MINUTES)
    desk.connect("a", [finished("t")])
    desk.respond("t", "failed", exit_code=4)
    assert desk.state() is TaskState.FAILED


def test_a_lost_task_takes_no_place() -> None:
    desk = Desk(queue_tasks=1)
    desk.connect()
    run(desk, timeout_ms=60_000)
    desk.close()
    desk.tick(16 * MINUTES)
    desk.submit("next")
    assert offered(desk.connect("a", [running("t")])) == ["next:1"]
    desk.respond("t")
    assert desk.fleet.dispatcher.book.slots[desk.fleet.agent("a").id].bytes == len(desk.tasks["next"].spec)


# --- pauses


def paused(desk: Desk, desired: Desired = Desired.PAUSED) -> list[str]:
    return offered(desk.take(desk.fleet.desire(desk.fleet.agent("a").id, desired, desk.clock.now)))


def test_silence_is_not_counted_while_we_pause_the_agent() -> None:
    """Not while we pause the agent (a thawed agent gets one fresh lease)."""
    desk = Desk()
    desk.connect()
    run(desk, timeout_ms=60_000)
    paused(desk)
    desk.tick(50)
    desk.close()
    desk.tick(60 * MINUTES)
    assert desk.state() is TaskState.RUNNING
    paused(desk, Desired.RUNNING)
    desk.tick(14.9 * MINUTES)
    assert desk.state() is TaskState.RUNNING
    desk.tick(0.2 * MINUTES)
    assert desk.state() is TaskState.LOST


def test_a_pause_forgives_the_silence_before_it() -> None:
    desk = lost_desk(timeout_ms=60_000)
    desk.tick(10 * MINUTES)
    paused(desk)
    desk.tick(10 * MINUTES)
    assert desk.state() is TaskState.RUNNING


def test_a_pause_outlasts_a_restart_of_the_hub() -> None:
    desk = Desk()
    desk.connect()
    run(desk, timeout_ms=60_000)
    paused(desk)
    desk.restart()
    desk.tick(60 * MINUTES)
    assert desk.state() is TaskState.RUNNING


def test_a_thawed_agent_that_stayed_connected_is_heard_again() -> None:
    desk = Desk()
    desk.connect()
    paused(desk)
    desk.submit()
    desk.tick(60 * MINUTES)
    assert paused(desk, Desired.RUNNING) == ["t:1"]
    desk.tick(44)
    desk.submit("next")
    assert offered(desk.respond("t")) == ["next:1"]
