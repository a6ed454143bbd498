"""How a step of the demo is judged."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from clawtui.demo_steps import Step, lanes
from hub.core.model import TaskState
from runtime.wire import TaskError, decode_task_spec
from tests.hub.api.scripted import TASK

DONE = replace(TASK, status=TaskState.SUCCEEDED, exit_code=0, result={"passed": 2})
STEP = Step("t", {}, exit_code=0, text="hello", result=(("passed", 2),))


def test_an_expected_end_misses_nothing() -> None:
    assert STEP.misses(DONE, "oh hello there") == ""


@pytest.mark.parametrize(
    ("changes", "output", "says"),
    [
        ({"status": TaskState.FAILED, "error": TaskError("c", "m")}, "hello", "failed instead of succeeded (c: m)"),
        ({"exit_code": 1}, "hello", "exit code 1 instead of 0"),
        ({}, "bye", "lacks 'hello'"),
        ({"result": {"passed": 1}}, "hello", "passed is 1"),
        ({"result": None}, "hello", "passed is None"),
    ],
)
def test_what_is_not_as_expected_is_named(changes: dict[str, object], output: str, says: str) -> None:
    assert says in STEP.misses(replace(DONE, **changes), output)


def test_every_step_is_a_task_that_agents_know() -> None:
    import msgspec

    steps = [step for lane in lanes(git=True) for step in lane]
    kinds = {decode_task_spec(msgspec.json.encode(step.spec)).__class__.__name__ for step in steps}
    assert kinds == {"Exec", "Script", "FileRead", "FileWrite", "Build", "Test", "GitClone", "GitPull"}
    assert len([step for lane in lanes(git=False) for step in lane]) == len(steps) - 3
