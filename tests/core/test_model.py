"""The vocabulary: the table of transitions and the names of attempts."""

from __future__ import annotations

import pytest

from hub.core.book import DispatchLimits, TaskBook
from hub.core.model import OPEN, TERMINAL, TRANSITIONS, TaskId, TaskState, attempt_id, parse_attempt_id
from tests.core.support import make_task

DOCUMENTED = """
queued: offered cancelled expired
offered: running queued succeeded failed cancelled timed_out rejected lost
running: succeeded failed cancelled timed_out rejected lost queued
lost: succeeded failed cancelled timed_out rejected
"""


def documented() -> dict[TaskState, set[TaskState]]:
    lines = [line.split(":") for line in DOCUMENTED.split("\n") if line]
    return {TaskState(name): {TaskState(state) for state in states.split()} for name, states in lines}


def test_the_table_has_the_documented_transitions_and_no_other() -> None:
    """A pair that is not in there cannot happen."""
    assert set(TRANSITIONS) == set(TaskState)
    for state in TaskState:
        assert TRANSITIONS[state] == documented().get(state, set()), state


def test_every_state_is_open_or_terminal() -> None:
    assert {TaskState.QUEUED, TaskState.OFFERED, TaskState.RUNNING} == OPEN
    assert set(TaskState) == OPEN | TERMINAL
    assert not OPEN & TERMINAL


@pytest.mark.parametrize("before", list(TaskState))
@pytest.mark.parametrize("after", list(TaskState))
def test_a_move_outside_the_table_is_a_bug(before: TaskState, after: TaskState) -> None:
    book = TaskBook(DispatchLimits())
    if after in TRANSITIONS[before]:
        assert book.moved(make_task(state=before), after).state is after
    else:
        with pytest.raises(AssertionError, match="not allowed"):
            book.moved(make_task(state=before), after)


def test_an_attempt_is_named_after_its_task() -> None:
    """attemptId is "<taskId>:<n>" in every message."""
    assert attempt_id(TaskId("t"), 3) == "t:3"
    assert make_task(attempt=2).attempt_id == "t:2"
    assert parse_attempt_id("t:3") == ("t", 3)
    assert parse_attempt_id("x:y:12") == ("x:y", 12)


@pytest.mark.parametrize(
    "text", ["", "t", ":1", "t:", "t:x", "t:-1", "t:0", "t:01", "t:1.0", "t:٣", "t: 1", "t:1" + "0" * 9]
)
def test_other_texts_name_no_attempt(text: str) -> None:
    assert parse_attempt_id(text) is None
