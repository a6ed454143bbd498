"""What the demo does: real tasks of every kind, each with what it must come to."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from typing import Any, Final

from hub.contract import TaskView
from hub.core.model import TaskState

PYTHON: Final = shlex.quote(sys.executable)
"""The demo's own interpreter is the one program that is surely there."""

PRIMES: Final = """\
found = [n for n in range(2, 10_000) if all(n % d for d in range(2, int(n**0.5) + 1))]
print(len(found), "primes below 10000, the last is", found[-1])
"""

TESTS: Final = """\
import unittest

class Arithmetic(unittest.TestCase):
    def test_sum(self): self.assertEqual(2 + 2, 4)
    def test_product(self): self.assertEqual(6 * 7, 42)
    @unittest.skip("shows how skipped tests are counted")
    def test_later(self): pass
"""

BUILD: Final = 'for part in parse compile link pack check; do echo "$part ..."; sleep 0.4; done; echo built >&2'

MAKE_REPOSITORY: Final = (
    "git init -q origin && cd origin && echo hello > README && git add README"
    " && git -c user.name=demo -c user.email=demo@localhost commit -q -m first"
)


@dataclass(frozen=True)
class Step:
    """One task and its expected end. `text`: must be in the output; `result`: must be in the result.

    `cancel`: the task is cancelled as soon as it has said something.
    """

    title: str
    spec: dict[str, Any]
    state: TaskState = TaskState.SUCCEEDED
    exit_code: int | None = None
    text: str = ""
    result: tuple[tuple[str, Any], ...] = ()
    cancel: bool = False

    def misses(self, task: TaskView, output: str) -> str:
        """What is not as expected, empty when everything is."""
        if task.status is not self.state:
            why = f" ({task.error.code}: {task.error.message})" if task.error else ""
            return f"{task.status.value} instead of {self.state.value}{why}"
        if self.exit_code is not None and task.exit_code != self.exit_code:
            return f"exit code {task.exit_code} instead of {self.exit_code}"
        if self.text not in output:
            return f"its output lacks {self.text!r}"
        found = task.result if isinstance(task.result, dict) else {}
        wrong = [f"{name} is {found.get(name)!r}" for name, value in self.result if found.get(name) != value]
        return ", ".join(wrong)


def _exec(command: str) -> dict[str, Any]:
    return {"type": "exec", "command": command}


def lanes(*, git: bool) -> tuple[list[Step], list[Step]]:
    """The tasks of the first and of the second agent, each in order. `git`: the program is installed."""
    first = [
        Step("exec", _exec('echo "I am process $$ of $(uname -s)"'), exit_code=0, text="I am process"),
        Step("file:write", {"type": "file:write", "filePath": "notes/plan.txt", "content": "ship it\n"}),
        Step("file:read", {"type": "file:read", "filePath": "notes/plan.txt"}),
        Step("build", {"type": "build", "command": BUILD}, exit_code=0, text="pack ..."),
        Step(
            "exec, cancelled",
            _exec("echo this would take a minute; sleep 60"),
            state=TaskState.CANCELLED,
            cancel=True,
        ),
    ]
    second = [
        Step("script", {"type": "script", "interpreter": "python", "script": PRIMES}, exit_code=0, text="1229 primes"),
        Step("file:write", {"type": "file:write", "filePath": "test_demo.py", "content": TESTS}),
        Step(
            "test",
            {"type": "test", "command": f"{PYTHON} -m unittest -v"},
            exit_code=0,
            result=(("passed", 2), ("skipped", 1), ("total", 3)),
        ),
        Step("exec, fails", _exec("echo no such thing >&2; exit 3"), state=TaskState.FAILED, exit_code=3),
    ]
    if git:
        second += [
            Step("git: make a repo", _exec(MAKE_REPOSITORY), exit_code=0),
            Step("git:clone", {"type": "git:clone", "repo": "origin", "destination": "copy"}),
            Step("git:pull", {"type": "git:pull", "repoPath": "copy"}),
        ]
    return first, second
