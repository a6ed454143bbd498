"""Basic agents: no subprotocol, no lease, no resume; the hub enforces timeout and cancel."""

from __future__ import annotations

import msgspec

from hub.core.model import Connection, RetryOn, TaskState
from runtime.wire import HeldAttempt, Response, ResponseStatus
from tests.core.support import Desk, kinds, offered, response, run, running


def answer(desk: Desk, name: str = "t", status: str = "succeeded") -> list[str]:
    """A response of a basic agent needs only taskId and status."""
    effects = desk.frame(Response(status=ResponseStatus(status), task_id=name))
    return kinds(effects)


def basic() -> Desk:
    desk = Desk()
    desk.connect_basic()
    return desk


def test_a_basic_agent_gets_one_task_at_a_time_and_no_welcome() -> None:
    """Concurrency 1; knows only task, response, health, log."""
    desk = Desk()
    desk.submit("x")
    desk.submit("y")
    effects = desk.connect_basic()
    assert kinds(effects) == ["task"]
    assert offered(effects) == ["x:1"]
    assert desk.state("x") is TaskState.RUNNING
    assert desk.tasks["x"].started_at == desk.clock.wall_ms


def test_its_response_with_the_task_id_ends_the_task_and_is_not_acknowledged() -> None:
    desk = basic()
    desk.submit("x")
    desk.submit("y")
    assert answer(desk, "x") == ["task"]
    assert desk.state("x") is TaskState.SUCCEEDED
    assert desk.state("y") is TaskState.RUNNING


def test_it_may_name_the_attempt_instead() -> None:
    desk = basic()
    desk.submit()
    desk.respond()
    assert desk.state() is TaskState.SUCCEEDED


def test_a_response_that_names_another_attempt_changes_nothing() -> None:
    desk = basic()
    desk.submit(max_attempts=2, retry_on=frozenset({RetryOn.EXIT_CODE}))
    desk.respond("t", "failed", exit_code=1)
    assert desk.tasks["t"].attempt == 2
    assert desk.respond("t", "succeeded", attempt=1) == []
    late = msgspec.structs.replace(response("t", attempt=1), task_id="t")
    assert desk.frame(late) == []
    desk.respond("t", "succeeded", attempt=2)
    assert desk.state() is TaskState.SUCCEEDED


def test_it_gets_each_task_once() -> None:
    """Gets each `task` once; a reconnection brings nothing again."""
    desk = basic()
    desk.submit()
    desk.close()
    assert kinds(desk.connect_basic()) == []
    answer(desk)
    assert desk.state() is TaskState.SUCCEEDED


def test_a_late_response_after_a_reconnection_counts() -> None:
    desk = basic()
    desk.submit()
    desk.close()
    desk.restart()
    desk.connect_basic()
    answer(desk, "t", "failed")
    assert desk.state() is TaskState.FAILED


def test_the_hub_enforces_its_timeout() -> None:
    desk = basic()
    desk.submit(timeout_ms=60_000)
    desk.submit("next")
    for _ in range(5):
        desk.tick(10)
        desk.take(desk.fleet.heard(desk.fleet.agent("a").id, 1, desk.clock.now))
    assert desk.state() is TaskState.RUNNING
    effects = desk.tick(10)
    assert desk.state() is TaskState.TIMED_OUT
    assert offered(effects) == ["next:1"]
    assert answer(desk) == []
    assert desk.state() is TaskState.TIMED_OUT


def test_its_timeout_starts_afresh_after_a_restart_of_the_hub() -> None:
    desk = basic()
    desk.submit(timeout_ms=60_000)
    desk.clock.move(50)
    desk.restart()
    desk.tick(59)
    assert desk.state() is TaskState.RUNNING
    desk.tick(2)
    assert desk.state() is TaskState.TIMED_OUT


def test_a_timeout_of_the_attempt_before_does_not_end_the_next() -> None:
    desk = basic()
    desk.submit(timeout_ms=60_000, max_attempts=2, retry_on=frozenset({RetryOn.EXIT_CODE}))
    desk.tick(40)
    desk.respond("t", "failed", exit_code=1)
    desk.tick(25)
    assert (desk.tasks["t"].attempt, desk.state()) == (2, TaskState.RUNNING)


def test_the_hub_cancels_its_task_at_once() -> None:
    desk = basic()
    desk.submit()
    desk.submit("next")
    assert offered(desk.cancel()) == ["next:1"]
    assert desk.state() is TaskState.CANCELLED
    assert answer(desk) == []


def test_any_frame_or_pong_is_a_sign_of_life() -> None:
    desk = basic()
    agent = desk.fleet.agent("a").id
    desk.tick(40)
    desk.take(desk.fleet.heard(agent, 1, desk.clock.now))
    desk.tick(40)
    assert desk.fleet.presence(agent).connection is Connection.ONLINE
    desk.tick(10)
    assert desk.fleet.presence(agent).connection is Connection.STALE
    desk.submit()
    assert desk.state() is TaskState.QUEUED
    assert offered(desk.take(desk.fleet.heard(agent, 1, desk.clock.now))) == ["t:1"]


def test_a_response_for_a_task_that_it_was_never_sent_changes_nothing() -> None:
    desk = Desk("ab")
    desk.connect_basic("a")
    desk.submit("other", "b")
    desk.submit("x")
    desk.submit("y")
    for name in ("other", "y", "unknown"):
        assert answer(desk, name) == []
    assert (desk.state("other"), desk.state("y")) == (TaskState.QUEUED, TaskState.QUEUED)


def test_an_attempt_that_a_full_agent_left_behind_gets_the_hubs_timeout() -> None:
    desk = Desk()
    desk.connect()
    run(desk, timeout_ms=60_000)
    desk.connect_basic()
    desk.tick(61)
    assert desk.state() is TaskState.TIMED_OUT


def test_a_full_agent_keeps_its_timeouts_itself() -> None:
    desk = basic()
    desk.submit(timeout_ms=60_000)
    desk.connect("a", [running("t")])
    desk.tick(61)
    assert desk.state() is TaskState.RUNNING


def test_a_full_agent_that_comes_back_without_the_task_has_lost_it() -> None:
    desk = basic()
    desk.submit()
    held: list[HeldAttempt] = []
    desk.connect("a", held)
    assert desk.state() is TaskState.LOST
