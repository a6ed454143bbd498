"""Cancel in every state, and against everything it can race with."""

from __future__ import annotations

import pytest

from hub.core.effects import Save
from hub.core.model import AgentId, RetryOn, Task, TaskState
from hub.errors import NotFound
from runtime.wire import Cancel
from tests.core.support import Desk, finished, kinds, offered, run, running, saved, sent


def test_a_queued_task_is_cancelled_at_once() -> None:
    """queued -> cancelled."""
    desk = Desk()
    desk.submit()
    desk.cancel()
    assert desk.state() is TaskState.CANCELLED
    assert desk.tasks["t"].finished_at == desk.clock.wall_ms
    assert offered(desk.connect()) == []


@pytest.mark.parametrize("accepted", [True, False])
def test_a_held_attempt_is_cancelled_when_the_agent_says_so(accepted: bool) -> None:
    """`cancelled` is reported when what it owns is dead."""
    desk = Desk(cancel_grace_ms=123)
    desk.connect()
    desk.submit()
    if accepted:
        desk.accept()
    before = desk.state()
    effects = desk.cancel()
    assert (desk.state(), desk.tasks["t"].cancelling) == (before, True)
    assert [send.payload for send in sent(effects, "cancel")] == [Cancel("t:1", 123)]  # pyright: ignore[reportArgumentType]
    assert saved(effects, Task)[0].cancelling
    desk.respond("t", "cancelled")
    assert (desk.state(), desk.tasks["t"].cancelling) == (TaskState.CANCELLED, False)


def test_cancelling_twice_sends_one_order() -> None:
    desk = Desk()
    desk.connect()
    run(desk)
    desk.cancel()
    assert desk.cancel() == []


def test_an_ended_or_unknown_task_cannot_be_cancelled() -> None:
    desk = Desk()
    desk.connect()
    run(desk)
    desk.respond()
    for name in ("t", "unknown"):
        with pytest.raises(NotFound):
            desk.cancel(name)


def lost_in_silence() -> Desk:
    desk = Desk()
    desk.connect()
    run(desk)
    desk.close()
    desk.tick(4_000)
    assert desk.state() is TaskState.LOST
    return desk


@pytest.mark.parametrize("returned", [True, False])
def test_a_lost_task_that_may_still_run_is_cancelled_at_its_agent(returned: bool) -> None:
    """Before the agent returns, or after; its real end is recorded late."""
    desk = lost_in_silence()
    if returned:
        desk.connect(attempts=[running("t")])
    effects = desk.cancel()
    assert len(sent(effects, "cancel")) == returned
    assert (desk.state(), desk.tasks["t"].cancelling) == (TaskState.LOST, True)
    assert [effect.overlay for effect in effects if isinstance(effect, Save)] == [True]
    assert desk.cancel() == []
    if not returned:
        welcomed = desk.connect(attempts=[running("t")])
        assert kinds(welcomed) == ["welcome", "cancel"]
    desk.respond("t", "cancelled")
    task = desk.tasks["t"]
    assert (task.state, task.cancelling) == (TaskState.CANCELLED, False)
    assert "late" in task.note


def test_the_order_to_cancel_a_lost_task_outlives_the_hub() -> None:
    desk = lost_in_silence()
    desk.cancel()
    desk.restart()
    assert kinds(desk.connect(attempts=[running("t")])) == ["welcome", "cancel"]
    desk.respond("t", "succeeded")
    assert desk.state() is TaskState.SUCCEEDED


def test_a_cancel_is_not_over_when_the_task_is_lost_in_silence() -> None:
    """Cancelled while its agent was away, lost later, and still ended when the agent is back."""
    desk = Desk()
    desk.connect()
    run(desk)
    desk.close()
    desk.cancel()
    desk.tick(4_000)
    assert (desk.state(), desk.tasks["t"].cancelling) == (TaskState.LOST, True)
    assert kinds(desk.connect(attempts=[running("t")])) == ["welcome", "cancel"]


@pytest.mark.parametrize("asked", [True, False])
def test_a_lost_task_that_its_agent_does_not_have_is_over(asked: bool) -> None:
    desk = lost_in_silence()
    if asked:
        desk.cancel()
    effects = desk.connect()
    assert len(saved(effects, Task)) == asked
    assert (desk.state(), desk.tasks["t"].cancelling) == (TaskState.LOST, False)
    with pytest.raises(NotFound):
        desk.cancel()


def test_what_is_lost_at_a_hello_cannot_be_cancelled() -> None:
    desk = Desk()
    desk.connect()
    run(desk)
    desk.cancel()
    desk.connect()
    assert (desk.state(), desk.tasks["t"].cancelling) == (TaskState.LOST, False)
    with pytest.raises(NotFound):
        desk.cancel()


def test_nobody_can_end_a_lost_task_of_a_basic_agent() -> None:
    """After a restart of the hub it is lost before its timeout, which begins anew."""
    desk = Desk()
    desk.connect_basic()
    desk.submit(timeout_ms=7_200_000)
    desk.clock.move(3_600)
    desk.restart()
    desk.tick(3_600)
    assert desk.state() is TaskState.LOST
    for _ in range(2):
        with pytest.raises(NotFound):
            desk.cancel()
        desk.restart()


def test_a_lost_task_can_be_cancelled_after_a_restart_before_its_agent_is_back() -> None:
    desk = lost_in_silence()
    desk.restart()
    desk.cancel()
    assert kinds(desk.connect(attempts=[running("t")])) == ["welcome", "cancel"]


def test_a_cancel_of_a_lost_task_is_over_when_the_agent_comes_to_a_new_hub_without_it() -> None:
    desk = lost_in_silence()
    desk.cancel()
    desk.restart()
    desk.connect()
    assert not desk.tasks["t"].cancelling


def test_a_lost_task_of_an_agent_that_became_basic_is_over() -> None:
    desk = lost_in_silence()
    desk.cancel()
    desk.connect_basic()
    assert not desk.tasks["t"].cancelling
    with pytest.raises(NotFound):
        desk.cancel()


def test_a_lost_task_that_retention_dropped_is_unknown() -> None:
    desk = lost_in_silence()
    desk.fleet.dispatcher.forget([desk.tasks["t"].id])
    with pytest.raises(NotFound):
        desk.cancel()
    assert kinds(desk.connect(attempts=[running("t")])) == ["welcome"]


def test_a_result_that_crosses_the_cancel_wins() -> None:
    desk = Desk()
    desk.connect()
    run(desk)
    desk.cancel()
    desk.respond()
    assert (desk.state(), desk.tasks["t"].cancelling) == (TaskState.SUCCEEDED, False)


def test_accepted_that_crosses_the_cancel_keeps_the_cancel() -> None:
    desk = Desk()
    desk.connect()
    desk.submit()
    desk.cancel()
    desk.accept()
    assert (desk.state(), desk.tasks["t"].cancelling) == (TaskState.RUNNING, True)


def test_a_cancel_for_an_absent_agent_is_given_at_its_return() -> None:
    """cancelling (persistent)."""
    desk = Desk()
    desk.connect()
    run(desk)
    desk.close()
    assert kinds(desk.cancel()) == []
    assert kinds(desk.connect("a", [running("t")])) == ["welcome", "cancel"]
    desk.respond("t", "cancelled")
    assert desk.state() is TaskState.CANCELLED


def test_a_cancel_outlasts_a_restart_of_the_hub() -> None:
    desk = Desk()
    desk.connect()
    run(desk)
    desk.cancel()
    desk.restart()
    assert kinds(desk.connect("a", [running("t")])) == ["welcome", "cancel"]


def test_a_cancelled_offer_that_never_arrived_ends_at_the_hello() -> None:
    desk = Desk()
    desk.connect()
    desk.submit()
    desk.cancel()
    desk.close()
    assert kinds(desk.connect()) == ["welcome"]
    assert desk.state() is TaskState.CANCELLED


def test_a_cancelled_task_that_had_finished_is_what_it_became() -> None:
    desk = Desk()
    desk.connect()
    run(desk)
    desk.close()
    desk.cancel()
    desk.connect("a", [finished("t")])
    desk.respond("t", "failed", exit_code=1)
    assert desk.state() is TaskState.FAILED


def test_a_cancelled_task_is_not_tried_again() -> None:
    desk = Desk()
    desk.connect()
    run(desk, max_attempts=2, retry_on=frozenset(RetryOn))
    desk.cancel()
    desk.respond("t", "failed", exit_code=143)
    assert desk.state() is TaskState.FAILED
    run(desk, "u", max_attempts=2, retry_on=frozenset(RetryOn))
    desk.cancel("u")
    desk.close()
    desk.tick(4_000)
    assert desk.state("u") is TaskState.LOST


def test_cancelling_frees_the_place_for_the_next_task() -> None:
    desk = Desk()
    desk.connect()
    run(desk)
    desk.submit("next")
    desk.cancel()
    assert offered(desk.respond("t", "cancelled")) == ["next:1"]


def test_a_task_held_back_by_a_rollout_is_cancelled_at_once() -> None:
    desk = Desk("ab")
    desk.dispatch("ab", concurrency=1)
    desk.cancel("d1")
    assert desk.state("d1") is TaskState.CANCELLED
    assert not desk.tasks["d1"].held


def test_a_cancel_of_a_lost_task_is_over_when_its_agent_is_destroyed() -> None:
    desk = lost_in_silence()
    desk.cancel()
    desk.take(desk.fleet.remove_agent(AgentId("a"), desk.clock.now))
    assert (desk.state(), desk.tasks["t"].cancelling) == (TaskState.LOST, False)
