"""task, tasks list|show|output|cancel|retry, and rollouts."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from hub.contract import (
    DispatchMember,
    DispatchRequest,
    DispatchView,
    OutputChunk,
    OutputQuery,
    RolloutRequest,
    TaskList,
    TaskQuery,
)
from hub.core.model import DispatchState, TaskState
from runtime.wire import TaskError
from tests.clawtui.conftest import CommandLine
from tests.hub.api.scripted import DISPATCH, TASK, Stream

Answers = Callable[..., None]
PING = '{"type": "ping"}'
DONE = replace(TASK, status=TaskState.SUCCEEDED, terminal=True, exit_code=0, result={"passed": 2})


def dispatch(*states: TaskState, state: DispatchState = DispatchState.ROLLING) -> DispatchView:
    members = [DispatchMember(agent_id=f"a-{n}", task_id=f"t-{n}", status=status) for n, status in enumerate(states)]
    return replace(DISPATCH, tasks=members, state=state.value, counts={status.value: 1 for status in states})


def test_a_task_is_passed_on_as_it_is(cli: CommandLine) -> None:
    called = cli("task", "a-1", '{"type": "ping", "labels": {"k": "v"}}', "--idempotency-key", "k-1", "--json")
    assert called.json == {"taskId": "t-1", "status": "queued"}
    assert cli.last("submit") == ("a-1", {"type": "ping", "labels": {"k": "v"}}, "k-1")


def test_a_task_may_come_from_stdin(cli: CommandLine) -> None:
    assert cli("task", "a-1", "-", stdin=PING).code == 0
    assert cli.last("submit")[1] == {"type": "ping"}


@pytest.mark.parametrize("text", ["", "{", "[]", '"x"', "\ud800", "[" * 5000, '{"a": 1' + "0" * 5000 + "}"])
def test_what_is_no_object_is_refused_before_the_hub_hears_of_it(cli: CommandLine, text: str) -> None:
    called = cli("task", "a-1", text)
    assert called.code == 2
    assert "no JSON object" in called.stderr
    assert cli.control.calls == []


def test_waiting_shows_the_end_and_its_exit_code(cli: CommandLine, answers: Answers) -> None:
    answers(get_task=[TASK, DONE])
    called = cli("task", "a-1", PING, "--wait", "--plain")
    assert called.code == 0
    assert 'RESULT\t{"passed":2}' in called.out.splitlines()
    for state, code in ((TaskState.FAILED, 1), (TaskState.TIMED_OUT, 124), (TaskState.LOST, 1)):
        answers(get_task=replace(DONE, status=state, error=TaskError("e", "m")))
        assert cli("task", "a-1", PING, "--wait").code == code


@pytest.mark.parametrize("words", [("a-1",), ("--select", "x", "a-1", PING), ("a-1", PING, "--canary", "1"), ()])
def test_a_call_without_task_or_with_too_much_is_a_usage_error(cli: CommandLine, words: tuple[str, ...]) -> None:
    assert cli("task", *words).code == 2
    assert cli.control.calls == []


def test_a_rollout_is_passed_on(cli: CommandLine, answers: Answers) -> None:
    answers(dispatch=dispatch(TaskState.QUEUED))
    options = ["--canary", "1", "--concurrency", "2", "--stop-on-failures", "3"]
    called = cli("task", "--select", "type=b", PING, *options, "--plain")
    assert called.out == "a-0\tt-0\tqueued\n"
    rollout = RolloutRequest(canary=1, concurrency=2, stop_on_failures=3)
    assert cli.last("dispatch")[0] == DispatchRequest(task={"type": "ping"}, selector="type=b", rollout=rollout)
    cli("task", "--agents", "a, b", PING)
    assert cli.last("dispatch")[0] == DispatchRequest(task={"type": "ping"}, agents=["a", "b"])


def test_waiting_for_a_rollout_ends_with_its_last_task(cli: CommandLine, answers: Answers) -> None:
    good, bad, runs = TaskState.SUCCEEDED, TaskState.FAILED, TaskState.RUNNING
    for last, code in ((dispatch(good, good, state=DispatchState.DONE), 0), (dispatch(good, bad), 1)):
        answers(dispatch=dispatch(runs, TaskState.QUEUED), dispatch_status=[dispatch(good, runs), last])
        called = cli("task", "--select", "*", PING, "--wait")
        assert called.code == code
        assert [given[0] for given in cli.given("get_task")][-2:] == ["t-0", "t-1"]
    assert "is rolling" in called.stderr


def test_a_rollout_over_nobody_is_over(cli: CommandLine, answers: Answers) -> None:
    answers(dispatch=dispatch(state=DispatchState.DONE))
    assert cli("task", "--select", "type=none", PING, "--wait").code == 0


def test_list_passes_filters_on_and_tells_of_more(cli: CommandLine, answers: Answers) -> None:
    held = replace(TASK, id="t-2", held=True, status=TaskState.QUEUED)
    answers(tasks=TaskList(tasks=[replace(TASK, cancelling=True), held], next="c-2"))
    called = cli.line("tasks list --agent a --status open --type exec --label l --dispatch d -n 2 --cursor c")
    assert cli.last("tasks") == (
        TaskQuery(agent="a", status="open", type="exec", label="l", dispatch="d", limit=2, cursor="c"),
    )
    assert "running (cancelling)" in called.out
    assert "queued (held)" in called.out
    assert "--cursor c-2" in called.stderr
    assert cli("tasks", "list", "--json").json["next"] == "c-2"


def test_show_a_task_or_a_dispatch(cli: CommandLine, answers: Answers) -> None:
    answers(dispatch_status=dispatch(TaskState.RUNNING))
    assert cli("tasks", "show", "t-1", "--json").json["id"] == "t-1"
    assert "a-0" in cli("tasks", "show", "--dispatch", "d-1").out
    assert cli("tasks", "show").code == 2


def test_output_as_it_was_from_an_offset(cli: CommandLine, answers: Answers) -> None:
    chunks = [OutputChunk(offset=2, data="cd"), OutputChunk(offset=4, data="err", stream="agent")]
    for words, follow in (((), False), (("--follow",), True)):
        answers(task_output=Stream([*chunks, OutputChunk(offset=7, end=True)], ends=True))
        called = cli("tasks", "output", "t-1", "--offset", "3", *words)
        assert (called.stdout, called.stderr) == (b"d", "err")
        assert cli.last("task_output") == ("t-1", OutputQuery(offset=3, follow=follow))


def test_cancel_tasks_or_the_open_ones_of_a_dispatch(cli: CommandLine, answers: Answers) -> None:
    assert cli("tasks", "cancel", "t-1", "--json").json["id"] == "t-1"
    assert len(cli("tasks", "cancel", "t-1", "t-2", "--json").json["tasks"]) == 2
    answers(dispatch_status=dispatch(TaskState.SUCCEEDED, TaskState.RUNNING, TaskState.QUEUED))
    cli("tasks", "cancel", "--dispatch", "d-1")
    assert cli.given("cancel_task")[-2:] == [("t-1",), ("t-2",)]
    assert cli("tasks", "cancel").code == 2


def test_retry_a_task_or_a_dispatch(cli: CommandLine) -> None:
    assert cli("tasks", "retry", "t-1", "--json").json["taskId"] == "t-2"
    cli("tasks", "retry", "--dispatch", "d-1")
    assert cli.last("retry_dispatch") == ("d-1",)
    assert cli("tasks", "retry").code == 2
