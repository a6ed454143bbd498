"""Rollouts: canary, concurrency, stopping on failures, and taking all that back after a restart."""

from __future__ import annotations

import pytest

from hub.core.effects import Kind, Publish
from hub.core.model import Dispatch, DispatchId, DispatchState, RetryOn, Rollout, Task, TaskId, TaskState
from hub.core.rollout import Decision, Rollouts
from hub.errors import NotFound, QueueFull
from runtime.wire import TaskError
from tests.core.support import SPEC, WALL_MS, Desk, make_task, offered, saved


def connected(agents: str) -> Desk:
    desk = Desk(agents)
    for agent in agents:
        desk.connect(agent)
    return desk


def finish(desk: Desk, n: int, status: str = "succeeded") -> list[str]:
    name = f"d{n}"
    agent = desk.tasks[name].agent_id
    desk.accept(name, agent)
    return offered(desk.respond(name, status, agent))


def released(desk: Desk) -> str:
    """Numbers of the tasks that were let go."""
    return "".join(task.id[1:] for task in sorted(desk.tasks.values(), key=lambda t: t.seq) if not task.held)


def test_without_limits_everything_goes_out_at_once() -> None:
    desk = connected("abc")
    assert offered(desk.dispatch("abc")) == ["d0:1", "d1:1", "d2:1"]
    for n in range(3):
        assert desk.rollout() is DispatchState.ROLLING
        finish(desk, n)
    assert desk.rollout() is DispatchState.DONE


def test_every_task_and_the_dispatch_are_saved_before_anything_is_sent() -> None:
    desk = connected("ab")
    effects = desk.dispatch("ab", concurrency=1)
    names = [type(effect).__name__ for effect in effects]
    first_send = names.index("Send")
    assert {task.id for task in saved(effects[:first_send], Task)} == {"d0", "d1"}
    assert [dispatch.id for dispatch in saved(effects[:first_send], Dispatch)] == ["d"]
    assert Publish(Kind.DISPATCH, "d") in effects


def test_canaries_go_first_and_alone() -> None:
    """Canary tasks first, alone; all must succeed."""
    desk = connected("abcd")
    assert offered(desk.dispatch("abcd", canary=2)) == ["d0:1", "d1:1"]
    assert desk.rollout() is DispatchState.CANARY
    assert finish(desk, 0) == []
    assert finish(desk, 1) == ["d2:1", "d3:1"]
    assert desk.rollout() is DispatchState.ROLLING


@pytest.mark.parametrize("status", ["failed", "timed_out", "cancelled", "rejected"])
def test_a_canary_that_does_not_succeed_stops_everything(status: str) -> None:
    desk = connected("abc")
    desk.dispatch("abc", canary=1)
    assert finish(desk, 0, status) == []
    assert desk.rollout() is DispatchState.STOPPED
    for n in (1, 2):
        task = desk.tasks[f"d{n}"]
        assert (task.state, task.held) == (TaskState.CANCELLED, False)
        assert task.error == TaskError("rollout_stopped", "the rollout was stopped before this task")


def test_a_canary_that_ran_is_let_run_when_another_stops_the_rollout() -> None:
    desk = connected("abc")
    desk.dispatch("abc", canary=2)
    finish(desk, 0, "failed")
    assert desk.state("d1") is TaskState.OFFERED
    assert finish(desk, 1) == []
    assert desk.rollout() is DispatchState.STOPPED


def test_at_most_concurrency_tasks_are_on_their_way() -> None:
    desk = connected("abcd")
    assert offered(desk.dispatch("abcd", concurrency=2)) == ["d0:1", "d1:1"]
    assert finish(desk, 1) == ["d2:1"]
    assert finish(desk, 0, "failed") == ["d3:1"]


def test_canaries_keep_to_the_concurrency() -> None:
    desk = connected("abcd")
    assert offered(desk.dispatch("abcd", canary=2, concurrency=1)) == ["d0:1"]
    assert finish(desk, 0) == ["d1:1"]
    assert desk.rollout() is DispatchState.CANARY
    assert finish(desk, 1) == ["d2:1"]
    assert desk.rollout() is DispatchState.ROLLING


def test_enough_failures_stop_the_rest() -> None:
    """`stop_on_failures` failed tasks stop the rest; what already runs goes on."""
    desk = connected("abcd")
    desk.dispatch("abcd", concurrency=2, stop_on_failures=2)
    finish(desk, 0, "failed")
    assert desk.rollout() is DispatchState.ROLLING
    assert finish(desk, 1, "failed") == []
    assert desk.rollout() is DispatchState.STOPPED
    assert desk.state("d2") is TaskState.OFFERED
    assert desk.state("d3") is TaskState.CANCELLED
    assert finish(desk, 2) == []
    assert desk.rollout() is DispatchState.STOPPED


def test_every_end_but_success_counts_as_a_failure() -> None:
    desk = connected("ab")
    desk.dispatch("ab", concurrency=1, stop_on_failures=1)
    desk.cancel("d1")
    assert desk.rollout() is DispatchState.STOPPED


def test_an_attempt_that_is_followed_by_another_is_no_failure_yet() -> None:
    desk = connected("ab")
    retried = {"max_attempts": 2, "retry_on": frozenset({RetryOn.EXIT_CODE})}
    desk.dispatch("ab", concurrency=1, stop_on_failures=1, task=retried)
    desk.accept("d0")
    assert offered(desk.respond("d0", "failed", exit_code=1)) == ["d0:2"]
    assert desk.rollout() is DispatchState.ROLLING
    desk.respond("d0", "failed", exit_code=1, attempt=2)
    assert desk.rollout() is DispatchState.STOPPED


def test_all_canaries_may_be_all_there_is() -> None:
    desk = connected("ab")
    desk.dispatch("ab", canary=5)
    finish(desk, 0)
    finish(desk, 1)
    assert desk.rollout() is DispatchState.DONE


def test_a_dispatch_to_nobody_is_done() -> None:
    desk = Desk()
    desk.dispatch("")
    assert desk.rollout() is DispatchState.DONE
    assert len(desk.fleet.dispatcher.book.rollouts) == 0


def test_a_waiting_task_that_is_cancelled_gives_way() -> None:
    desk = connected("abc")
    desk.dispatch("abc", concurrency=1)
    desk.cancel("d1")
    assert finish(desk, 0) == ["d2:1"]
    finish(desk, 2)
    assert desk.rollout() is DispatchState.DONE


def test_a_dispatch_is_taken_whole_or_not_at_all() -> None:
    desk = Desk("ab", queue_tasks=1)
    desk.submit("t", "b")
    with pytest.raises(QueueFull):
        desk.dispatch("ab")
    with pytest.raises(QueueFull):
        desk.dispatch("aa")
    with pytest.raises(NotFound):
        desk.dispatch("ax")
    assert set(desk.fleet.dispatcher.book.tasks) == {"t"}
    desk.submit("u", "a")


def test_a_dispatch_keeps_to_the_bound_in_bytes() -> None:
    desk = Desk(queue_bytes=2 * len(SPEC))
    with pytest.raises(QueueFull):
        desk.dispatch("aaa")
    desk.dispatch("aa")


def test_tasks_of_a_destroyed_agent_count_as_failures() -> None:
    desk = connected("abc")
    desk.dispatch("abc", concurrency=1, stop_on_failures=1)
    desk.take(desk.fleet.remove_agent(desk.fleet.agent("a").id, desk.clock.now))
    assert desk.rollout() is DispatchState.STOPPED
    assert desk.state("d2") is TaskState.CANCELLED


def test_a_destroyed_agent_does_not_hold_up_the_others() -> None:
    desk = connected("abc")
    desk.dispatch("aabc", concurrency=1)
    effects = desk.take(desk.fleet.remove_agent(desk.fleet.agent("a").id, desk.clock.now))
    assert offered(effects) == ["d2:1"]
    assert [desk.state(f"d{n}") for n in (0, 1)] == [TaskState.CANCELLED] * 2


@pytest.mark.parametrize("canary", [0, 2])
def test_a_rollout_goes_on_after_a_restart_of_the_hub(canary: int) -> None:
    desk = connected("abcd")
    desk.dispatch("abcd", canary=canary, concurrency=2, stop_on_failures=2)
    finish(desk, 0)
    before = (released(desk), desk.rollout())
    desk.restart()
    assert (released(desk), desk.rollout()) == before
    for agent in "abcd":
        desk.connect(agent)
    finish(desk, 1)
    assert released(desk) == "0123"
    finish(desk, 2, "failed")
    assert desk.rollout() is DispatchState.ROLLING
    finish(desk, 3, "failed")
    assert desk.rollout() is DispatchState.STOPPED


def test_failures_outlast_a_restart_of_the_hub() -> None:
    desk = connected("abcd")
    desk.dispatch("abcd", concurrency=1, stop_on_failures=2)
    finish(desk, 0, "failed")
    desk.restart()
    desk.connect("b")
    finish(desk, 1, "failed")
    assert desk.rollout() is DispatchState.STOPPED


def test_a_dispatch_that_had_ended_is_not_taken_back() -> None:
    """A stopped rollout stays stopped."""
    stopped = Dispatch(
        id=DispatchId("d"),
        created_at=WALL_MS,
        spec=SPEC,
        rollout=Rollout(),
        tasks=(TaskId("d0"),),
        state=DispatchState.STOPPED,
    )
    rollouts = Rollouts()
    tasks = {TaskId("d0"): make_task("d0", state=TaskState.FAILED)}
    assert rollouts.restore(stopped, tasks) == Decision()
    assert len(rollouts) == 0


def test_tasks_that_retention_removed_count_as_gone() -> None:
    dispatch = Dispatch(
        id=DispatchId("d"),
        created_at=WALL_MS,
        spec=SPEC,
        rollout=Rollout(concurrency=1),
        tasks=(TaskId("d0"), TaskId("d1")),
    )
    decision = Rollouts().restore(dispatch, {TaskId("d1"): make_task("d1", held=True)})
    assert decision.release == ("d1",)


def test_a_task_of_no_dispatch_changes_no_rollout() -> None:
    rollouts = Rollouts()
    assert rollouts.ended(make_task(state=TaskState.FAILED)) == Decision()
    assert rollouts.ended(make_task(state=TaskState.FAILED, dispatch_id=DispatchId("gone"))) == Decision()
