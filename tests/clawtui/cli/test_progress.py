"""What a job says while somebody waits for it, and afterwards."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from msgspec.structs import replace

from clawtui.cli.progress import Narration
from hub.contract import JobStepView, JobView
from hub.core.model import JobState
from runtime.wire import TaskError
from tests.clawtui.conftest import CommandLine
from tests.hub.api.scripted import JOB, WHEN

CODES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
"""How a terminal is told to move its cursor or to clear a line."""
Answers = Callable[..., None]


def job(*said: str) -> JobView:
    steps = [JobStepView(at=f"{WHEN[:-1]}.{number:03}Z", message=line) for number, line in enumerate(said)]
    return replace(JOB, message=said[-1] if said else "", steps=steps)


def ended(*said: str, state: JobState = JobState.SUCCEEDED) -> JobView:
    return replace(job(*said), state=state, finished_at=WHEN, by="user:me")


@pytest.mark.parametrize("terminal", [False, True])
def test_every_step_is_told_once_also_what_was_said_between_two_looks_and_at_the_end(
    cli: CommandLine, answers: Answers, terminal: bool
) -> None:
    told = ["building", "4 CPUs: limited to 2", "starting", "it runs"]
    answers(job=[job(*told[:1]), job(*told[:3]), ended(*told)])
    called = cli("create", "a-1", terminal=terminal)
    assert called.code == 0, called.stderr
    # On a terminal the bar is drawn between them, with what is being done behind it.
    assert [line for line in CODES.sub("", called.stderr).replace("\r", "\n").splitlines() if line in told] == told


def test_what_a_failed_job_said_last_is_told_before_the_error(cli: CommandLine, answers: Answers) -> None:
    failed = replace(ended("building", "step 2", state=JobState.FAILED), error=TaskError("c", "no such package"))
    answers(job=[job("building"), failed])
    assert cli("create", "a-1").stderr.splitlines()[-4:-1] == ["building", "step 2", "error: no such package"]


def test_numbers_that_move_on_are_one_line_for_each_look_and_one_line_beside_a_bar() -> None:
    looks = [job("measuring", "1 MiB done", "2 MiB done"), job("2 MiB done", "3 MiB done", "removing web-1"),
             job("removing web-2")]  # fmt: skip
    looks[1] = replace(looks[1], steps=[looks[0].steps[-1], *job("", "", "", "3 MiB done", "removing web-1").steps[3:]])
    lines, bar = Narration(moves=True), Narration(moves=False)
    assert [lines.news(look) for look in looks] == [
        ["measuring", "2 MiB done"], ["3 MiB done", "removing web-1"], ["removing web-2"],
    ]  # fmt: skip
    assert [bar.news(look) for look in looks] == [["measuring", "1 MiB done"], ["removing web-1"], ["removing web-2"]]


def test_a_job_without_steps_tells_its_message() -> None:
    told = Narration(moves=True)
    looks = ("", "pulling", "pulling", "done")
    assert [told.news(replace(JOB, message=message)) for message in looks] == [[], ["pulling"], [], ["done"]]


def test_a_job_is_shown_with_everything_that_it_said(cli: CommandLine, answers: Answers) -> None:
    answers(job=ended("building", "4 CPUs: limited to 2"))
    lines = cli("jobs", "show", "j-1", "--plain").out.splitlines()
    assert [line.split("\t")[1].split(" ", 1)[1] for line in lines if line.startswith("STEP\t")] == [
        "building", "4 CPUs: limited to 2",
    ]  # fmt: skip
    assert "BY\tuser:me" in lines
