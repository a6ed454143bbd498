"""exec: the command's words, its output, its exit code, and Ctrl-C."""

from __future__ import annotations

import base64
import os
import signal
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from clawtui.cli.execute import exit_code
from hub.contract import OutputChunk, OutputQuery, Submitted, TaskView
from hub.core.model import AgentStatus, Connection, TaskState
from runtime.wire import TaskError
from tests.clawtui.conftest import CommandLine
from tests.hub.api.scripted import AGENT, TASK, Stream

Answers = Callable[..., None]


def ended(status: TaskState, code: int | None = None, error: str = "") -> TaskView:
    told = TaskError(error, f"because {error}") if error else None
    return replace(TASK, status=status, terminal=True, exit_code=code, error=told)


@pytest.fixture(autouse=True)
def task_succeeds(answers: Answers) -> None:
    answers(
        get_task=ended(TaskState.SUCCEEDED, 0),
        task_output=lambda _task_id, _query: Stream([OutputChunk(offset=0, end=True)], ends=True),
    )


def spec(cli: CommandLine) -> dict[str, Any]:
    return cli.last("submit")[1]


def test_one_word_is_shell_text_and_several_are_quoted(cli: CommandLine) -> None:
    cli("exec", "a-1", "echo $HOME | wc")
    assert cli.last("submit")[:2] == ("a-1", {"type": "exec", "command": "echo $HOME | wc"})
    cli("exec", "a-1", "echo", "$HOME", "a b", "--json", "--", "-x")
    assert spec(cli)["command"] == "echo '$HOME' 'a b' --json -- -x"


def test_options_are_passed_on_and_defaults_are_the_hubs(cli: CommandLine) -> None:
    cli.line("exec --sudo --timeout 5 a-1 --cwd sub -e A=1 --env B=x=y -- printenv")
    assert spec(cli) == {
        "type": "exec",
        "command": "printenv",
        "sudo": True,
        "timeoutMs": 5,
        "cwd": "sub",
        "env": {"A": "1", "B": "x=y"},
    }


def test_output_goes_to_its_stream_byte_by_byte(cli: CommandLine, answers: Answers) -> None:
    data = bytes(range(256))
    chunks = [
        OutputChunk(offset=0, data=base64.b64encode(data).decode(), encoding="base64"),
        OutputChunk(offset=256, data="oops\n", stream="stderr"),
        OutputChunk(offset=300, data="tail", skipped=39),
        OutputChunk(offset=304, end=True),
    ]
    answers(task_output=Stream(chunks, ends=True))
    called = cli("exec", "a-1", "x")
    assert called.stdout == data + b"tail"
    assert called.stderr == "oops\n[39 bytes of output were cut here]\n"
    assert cli.last("task_output") == ("t-1", OutputQuery(offset=0, follow=True))


@pytest.mark.parametrize(
    ("task", "code"),
    [
        (ended(TaskState.SUCCEEDED, 0), 0),
        (ended(TaskState.FAILED, 7, "exit_code"), 7),
        (ended(TaskState.FAILED, 255, "exit_code"), 255),
        (ended(TaskState.FAILED, -9, "exit_code"), 137),
        (ended(TaskState.FAILED, None, "not_found"), 125),
        (ended(TaskState.TIMED_OUT, 143, "timed_out"), 124),
        (ended(TaskState.CANCELLED, 143), 125),
        (ended(TaskState.REJECTED, None, "sudo_unavailable"), 125),
        (ended(TaskState.LOST, None), 125),
        (ended(TaskState.EXPIRED, None), 125),
        (TASK, 125),
    ],
)
def test_the_exit_code_is_the_commands_own_where_it_has_one(task: TaskView, code: int) -> None:
    assert exit_code(task) == code


def test_how_a_task_ended_is_said_where_its_exit_code_does_not(cli: CommandLine, answers: Answers) -> None:
    answers(get_task=ended(TaskState.REJECTED, None, "sudo_unavailable"))
    called = cli("exec", "a-1", "x")
    assert called.code == 125
    assert "task t-1 rejected: because sudo_unavailable" in called.stderr
    answers(get_task=ended(TaskState.FAILED, 3, "exit_code"))
    called = cli("exec", "a-1", "x")
    assert (called.code, called.stderr) == (3, "")


def test_a_command_is_needed(cli: CommandLine) -> None:
    assert cli("exec", "a-1").code == 2
    assert cli("exec").code == 2


class Interrupting(Stream):
    """Presses Ctrl-C when somebody begins to read."""

    def __aiter__(self) -> Any:
        os.kill(os.getpid(), signal.SIGINT)
        return super().__aiter__()


def test_ctrl_c_cancels_the_task_and_says_so(cli: CommandLine, answers: Answers) -> None:
    output = Interrupting([OutputChunk(offset=0, data="working\n")])

    def cancel(_task_id: str) -> TaskView:
        output.give(OutputChunk(offset=8, end=True))
        return TASK

    answers(task_output=output, cancel_task=cancel, get_task=ended(TaskState.CANCELLED))
    called = cli("exec", "a-1", "sleep 60")
    assert called.code == 125
    assert cli.given("cancel_task") == [("t-1",)]
    assert "cancelling task t-1" in called.stderr
    assert "task t-1 is cancelled" in called.stderr


def test_a_second_ctrl_c_leaves_the_task_and_names_it(cli: CommandLine, answers: Answers) -> None:
    def cancel(_task_id: str) -> TaskView:
        os.kill(os.getpid(), signal.SIGINT)
        return TASK

    answers(task_output=Interrupting([OutputChunk(offset=0, data="stubborn\n")]), cancel_task=cancel)
    called = cli("exec", "a-1", "sleep 60")
    assert called.code == 125
    assert "left task t-1" in called.stderr
    assert "clawtui tasks show t-1" in called.stderr


def test_a_task_that_waits_for_its_agent_says_so(cli: CommandLine, answers: Answers) -> None:
    answers(agent=replace(AGENT, connection=Connection.OFFLINE, status=AgentStatus.STOPPED))
    assert "agent a-1 is stopped; the task waits for it" in cli("exec", "a-1", "x").stderr
    answers(submit=Submitted(task_id="t-1", status="sent"))
    assert cli("exec", "a-1", "x").stderr == ""
