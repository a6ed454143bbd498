"""Dispatch, one test per sentence of the delivery contract: submission, order, capacity, reports and retries."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from hub.core.effects import Kind, Publish, Save
from hub.core.model import AuditEntry, Desired, RetryOn, Task, TaskId, TaskState
from hub.errors import NotFound, QueueFull
from runtime.wire import OnDisconnect, ResponseStatus, TaskError
from tests.core.support import Desk, closes, kinds, offered, response, run, saved, sent, task_fields


def test_a_submission_is_saved_and_published_before_anything_is_sent() -> None:
    """Decide, commit the batch, then release that batch's sends, answers and publications."""
    desk = Desk()
    desk.connect()
    effects = desk.submit()
    names = [type(effect).__name__ for effect in effects]
    assert names == ["Save", "Publish", "Save", "Publish", "Send"]
    assert [task.state for task in saved(effects, Task)] == [TaskState.QUEUED, TaskState.OFFERED]
    assert effects[1] == Publish(Kind.TASK, "t", agent="a")


def test_a_task_frame_has_the_tasks_own_fields_and_the_delivery_part() -> None:
    """`task`: taskId, attemptId, the task's fields, timeoutMs, onDisconnect."""
    desk = Desk()
    desk.connect()
    spec = msgspec.Raw(b'{"type":"exec","command":"echo \\"}\\""}')
    (send,) = sent(desk.submit(spec=spec, timeout_ms=5_000, on_disconnect=OnDisconnect.STOP), "task")
    assert (send.agent_id, send.epoch) == ("a", desk.epoch["a"])
    assert task_fields(send) == {
        "type": "exec",
        "command": 'echo "}"',
        "taskId": "t",
        "attemptId": "t:1",
        "timeoutMs": 5_000,
        "onDisconnect": "stop",
    }


def test_a_task_for_an_unknown_agent_is_refused() -> None:
    with pytest.raises(NotFound):
        Desk().submit(agent="nobody")


def test_tasks_for_an_absent_agent_wait_and_go_out_when_it_connects() -> None:
    """A task sent while the agent is offline arrives when it returns."""
    desk = Desk()
    assert kinds(desk.submit()) == []
    assert desk.state() is TaskState.QUEUED
    assert offered(desk.connect()) == ["t:1"]


def test_higher_priority_first_then_order_of_submission() -> None:
    desk = Desk()
    for name, priority in (("low", -1), ("first", 0), ("second", 0), ("high", 5)):
        desk.submit(name, priority=priority)
    assert offered(desk.connect(concurrency=4)) == ["high:1", "first:1", "second:1", "low:1"]


def test_order_outlasts_a_restart_of_the_hub() -> None:
    desk = Desk()
    desk.submit("z")
    desk.submit("y")
    desk.restart()
    desk.submit("x")
    assert offered(desk.connect(concurrency=3)) == ["z:1", "y:1", "x:1"]


@pytest.mark.parametrize("places", [1, 2])
def test_at_most_concurrency_attempts_are_offered(places: int) -> None:
    """The hub offers at most `concurrency` attempts."""
    desk = Desk()
    for name in "xyz":
        desk.submit(name)
    assert len(offered(desk.connect(concurrency=places))) == places
    desk.accept("x")
    assert offered(desk.respond("x")) == [f"{'xyz'[places]}:1"]


def test_an_agent_that_states_no_concurrency_still_gets_one_task() -> None:
    desk = Desk()
    desk.submit()
    assert offered(desk.connect(concurrency=0)) == ["t:1"]


def test_a_queue_is_bounded_by_count() -> None:
    """Bounded queue per agent: 429."""
    desk = Desk(queue_tasks=2)
    desk.connect()
    desk.submit("x")
    desk.submit("y")
    with pytest.raises(QueueFull) as refused:
        desk.submit("z")
    assert refused.value.retryable
    assert refused.value.retry_after_seconds
    desk.respond("x")
    desk.submit("z")


def test_a_queue_is_bounded_by_bytes() -> None:
    desk = Desk(queue_bytes=100)
    large = msgspec.Raw(b'{"type":"ping","x":"' + b"y" * 48 + b'"}')
    assert len(large) == 70
    desk.submit("x", spec=large)
    with pytest.raises(QueueFull):
        desk.submit("y", spec=large)
    desk.submit("z", spec=msgspec.Raw(b'{"type":"ping","x":"yyyyyy"  }'))
    desk.cancel("x")
    desk.submit("y", spec=large)


def test_accepted_means_running() -> None:
    desk = Desk()
    desk.connect()
    desk.submit()
    desk.clock.move(1)
    desk.accept()
    assert (desk.state(), desk.tasks["t"].started_at) == (TaskState.RUNNING, desk.clock.wall_ms)
    assert desk.accept() == []


@pytest.mark.parametrize("status", list(ResponseStatus))
@pytest.mark.parametrize("accepted", [True, False])
def test_a_response_ends_the_task_and_is_acknowledged_after_its_save(status: ResponseStatus, accepted: bool) -> None:
    """Results stay at the agent until the hub acknowledges them, which it does after commit.

    Offered goes to any terminal state too: the `accepted` was lost with a hub."""
    desk = Desk()
    desk.connect()
    desk.submit()
    if accepted:
        desk.accept()
    effects = desk.respond("t", status, exit_code=3, stdout="out", stderr="err", result=msgspec.Raw(b'{"a":1}'))
    task = desk.tasks["t"]
    assert (task.state, task.exit_code, task.stdout, task.stderr) == (TaskState(status), 3, "out", "err")
    assert task.result == msgspec.Raw(b'{"a":1}')
    assert kinds(effects) == ["ack"]
    assert sent(effects, "ack")[0].payload.responses == ["t:1"]  # pyright: ignore[reportAttributeAccessIssue]
    assert isinstance(effects[0], Save)


def test_a_repeated_response_is_acknowledged_and_changes_nothing() -> None:
    desk = Desk()
    desk.connect()
    run(desk)
    desk.respond()
    effects = desk.respond("t", "failed")
    assert [type(effect).__name__ for effect in effects] == ["Send"]
    assert desk.state() is TaskState.SUCCEEDED


def test_an_agents_times_count_only_inside_what_the_hub_has_seen() -> None:
    desk = Desk()
    desk.connect()
    run(desk)
    began = desk.clock.wall_ms
    desk.clock.move(10)
    desk.respond(started_at=began + 1_000, finished_at=began + 9_000)
    assert (desk.tasks["t"].started_at, desk.tasks["t"].finished_at) == (began + 1_000, began + 9_000)
    run(desk, "u")
    desk.clock.move(10)
    desk.respond("u", started_at=began - 1, finished_at=desk.clock.wall_ms + 1)
    assert desk.tasks["u"].started_at == desk.clock.wall_ms - 10_000
    assert desk.tasks["u"].finished_at == desk.clock.wall_ms


@pytest.mark.parametrize(
    ("reason", "report"),
    [
        (RetryOn.EXIT_CODE, {"exit_code": 1}),
        (RetryOn.INTERRUPTED, {"code": "interrupted"}),
    ],
)
def test_a_failed_attempt_is_followed_by_another_only_when_asked_for(reason: RetryOn, report: dict[str, Any]) -> None:
    """Attempt n+1 only by maxAttempts and retryOn: back to queued, before the task itself is terminal."""
    desk = Desk()
    desk.connect()
    run(desk, "plain", max_attempts=2)
    desk.respond("plain", "failed", **report)
    assert desk.state("plain") is TaskState.FAILED
    run(desk, "t", max_attempts=2, retry_on=frozenset({reason}))
    effects = desk.respond("t", "failed", stdout="first", truncated=True, **report)
    assert kinds(effects) == ["ack", "task"]
    assert offered(effects) == ["t:2"]
    task = desk.tasks["t"]
    assert (task.stdout, task.exit_code, task.error, task.started_at, task.truncated) == (None, None, None, None, False)
    assert reason in task.note
    desk.accept("t", attempt=2)
    desk.respond("t", "failed", attempt=2, **report)
    assert desk.state() is TaskState.FAILED


@pytest.mark.parametrize(
    ("status", "report"),
    [
        ("succeeded", {"exit_code": 0}),
        ("timed_out", {"exit_code": 1}),
        ("cancelled", {"exit_code": 1}),
        ("rejected", {}),
        ("failed", {"exit_code": 0}),
        ("failed", {"code": "spawn"}),
        ("failed", {"code": "interrupted", "exit_code": 1}),
    ],
)
def test_other_ends_are_not_retried(status: str, report: dict[str, Any]) -> None:
    desk = Desk()
    desk.connect()
    run(desk, max_attempts=2, retry_on=frozenset({RetryOn.EXIT_CODE}))
    desk.respond("t", status, **report)
    assert desk.state() is TaskState(status)


def test_a_result_of_a_stale_attempt_is_recorded_and_changes_nothing() -> None:
    """Stale attempts are recorded and change nothing: state untouched, audit entry."""
    desk = Desk()
    desk.connect()
    run(desk, max_attempts=2, retry_on=frozenset({RetryOn.EXIT_CODE}))
    desk.respond("t", "failed", exit_code=1)
    before = desk.tasks["t"]
    effects = desk.respond("t", "succeeded", attempt=1)
    assert desk.tasks["t"] == before
    (entry,) = saved(effects, AuditEntry)
    assert (entry.who, entry.target, entry.outcome) == ("agent:a", "t", "superseded")
    assert kinds(effects) == ["ack"]
    assert desk.accept("t", attempt=1) == []
    assert desk.state() is TaskState.OFFERED


def test_a_report_of_another_agent_changes_nothing() -> None:
    desk = Desk("ab")
    desk.connect("a")
    desk.connect("b")
    run(desk)
    assert desk.accept("t", "b") == []
    desk.respond("t", "failed", "b")
    assert desk.state() is TaskState.RUNNING


def test_a_response_without_an_attempt_is_nothing_a_full_agent_may_send() -> None:
    desk = Desk()
    desk.connect()
    run(desk)
    nameless = msgspec.structs.replace(response("t"), attempt_id=None, task_id="t")
    assert desk.frame(nameless) == []
    assert desk.state() is TaskState.RUNNING


def test_an_expired_task_is_never_started() -> None:
    """queued -> expired."""
    desk = Desk()
    desk.submit(expires_in_ms=5_000)
    desk.tick(4.9)
    assert desk.state() is TaskState.QUEUED
    desk.tick(0.2)
    assert desk.state() is TaskState.EXPIRED
    assert offered(desk.connect()) == []


def test_an_expired_task_is_not_offered_even_before_the_clock_has_looked_at_it() -> None:
    desk = Desk()
    desk.submit(expires_in_ms=5_000)
    desk.clock.move(6)
    assert offered(desk.connect()) == []
    desk.tick()
    assert desk.state() is TaskState.EXPIRED


def test_a_task_that_began_in_time_does_not_expire() -> None:
    desk = Desk()
    desk.connect()
    desk.submit(expires_in_ms=5_000)
    desk.accept()
    desk.tick(10)
    assert desk.state() is TaskState.RUNNING


def test_a_lost_offer_that_comes_back_after_its_time_expires() -> None:
    desk = Desk()
    desk.connect()
    desk.submit(expires_in_ms=5_000)
    desk.close()
    desk.tick(10)
    assert offered(desk.connect()) == []
    desk.tick()
    assert desk.state() is TaskState.EXPIRED


def test_a_failed_attempt_keeps_its_result_when_another_would_come_too_late() -> None:
    desk = Desk()
    desk.connect()
    run(desk, expires_in_ms=5_000, max_attempts=2, retry_on=frozenset({RetryOn.EXIT_CODE}))
    desk.clock.move(10)
    desk.respond("t", "failed", exit_code=7)
    assert (desk.state(), desk.tasks["t"].exit_code) == (TaskState.FAILED, 7)


def test_expiry_goes_on_after_a_restart_of_the_hub_by_the_wall_clock() -> None:
    desk = Desk()
    desk.submit(expires_in_ms=5_000)
    desk.clock.wall_ms += 4_000
    desk.restart()
    desk.tick(0.9)
    assert desk.state() is TaskState.QUEUED
    desk.tick(0.2)
    assert desk.state() is TaskState.EXPIRED


def test_deadlines_of_ended_tasks_do_not_pile_up() -> None:
    """Nothing is unbounded."""
    desk = Desk()
    desk.connect()
    desk.submit("kept", expires_in_ms=86_400_000)
    desk.submit("late", expires_in_ms=86_400_000)
    for n in range(5_000):
        desk.submit(f"t{n}", expires_in_ms=86_400_000)
        desk.cancel(f"t{n}")
    assert len(desk.fleet.dispatcher.book._deadlines) < 3_000
    assert desk.state("kept") is TaskState.OFFERED
    desk.fleet.desire(desk.fleet.agent("a").id, Desired.STOPPED, desk.clock.now)
    desk.connect()
    desk.tick(86_401)
    assert (desk.state("kept"), desk.state("late")) == (TaskState.EXPIRED, TaskState.EXPIRED)


def test_a_destroyed_agents_open_tasks_are_cancelled() -> None:
    """Agent destroyed: its open tasks are cancelled."""
    desk = Desk("ab")
    desk.connect()
    run(desk, "running")
    desk.submit("queued")
    desk.submit("other", "b")
    effects = desk.take(desk.fleet.remove_agent(desk.fleet.agent("a").id, desk.clock.now))
    for name in ("running", "queued"):
        assert desk.state(name) is TaskState.CANCELLED
        assert desk.tasks[name].error == TaskError("agent_destroyed", "agent a was destroyed")
    assert desk.state("other") is TaskState.QUEUED
    assert offered(effects) == []
    assert closes(effects) == [("a", 1, 4004)]
    with pytest.raises(NotFound):
        desk.submit("more")
    assert desk.respond("running") == []


def test_tasks_of_an_earlier_incarnation_are_not_taken_back() -> None:
    """`uid` = one incarnation; tasks carry it."""
    desk = Desk()
    desk.submit("old", agent_uid="before")
    desk.submit("new")
    desk.restart()
    assert offered(desk.connect(concurrency=2)) == ["new:1"]


def test_lost_tasks_that_retention_removed_are_forgotten() -> None:
    desk = Desk()
    desk.connect()
    run(desk)
    run_on = desk.fleet.dispatcher
    desk.close()
    desk.tick(4_000)
    assert desk.state() is TaskState.LOST
    run_on.forget([TaskId("t"), TaskId("unknown")])
    assert run_on.book.tasks == {}


def test_forgetting_spares_open_tasks() -> None:
    desk = Desk()
    desk.submit()
    desk.fleet.dispatcher.forget([TaskId("t")])
    assert offered(desk.connect()) == ["t:1"]


def test_places_in_the_queue_of_an_absent_agent_do_not_pile_up() -> None:
    """Nothing is unbounded: somebody may submit and cancel for months before the agent comes."""
    desk = Desk()
    desk.submit("kept")
    for n in range(5_000):
        desk.submit(f"t{n}")
        desk.cancel(f"t{n}")
    assert len(desk.fleet.dispatcher.book.slots[desk.fleet.agent("a").id].queue) < 1_100
    assert offered(desk.connect()) == ["kept:1"]


def test_a_clock_that_was_put_back_gives_a_task_no_more_time_than_it_had() -> None:
    desk = Desk()
    desk.submit(expires_in_ms=5_000)
    desk.clock.wall_ms -= 86_400_000
    desk.restart()
    desk.tick(5.1)
    assert desk.state() is TaskState.EXPIRED
