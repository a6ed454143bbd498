"""attention, journal."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from hub.contract import AttentionList, AttentionQuery, ConnectionQuery, PageQuery, UndoAnswer
from hub.core.model import JobState
from runtime.wire import TaskError
from tests.clawtui.conftest import CommandLine
from tests.hub.api.scripted import ATTENTION, CONNECTIONS, JOB, WHEN

Answers = Callable[..., None]


def test_attention_is_listed_with_what_to_do(cli: CommandLine) -> None:
    called = cli("attention")
    assert called.code == 0
    told = ("tasks_failed:a-1", "warning", "1m00s", "Tasks failed: 2 tasks failed", "clawtui tasks retry t-2")
    for shown in (*told, "Submit them again."):
        assert shown in called.out
    assert "1 snoozed: clawtui attention --snoozed" in called.stderr
    assert cli.last("attention") == (AttentionQuery(),)


def test_attention_for_scripts(cli: CommandLine, answers: Answers) -> None:
    expected = f"tasks_failed:a-1\twarning\t{WHEN}\t2 tasks failed\tclawtui tasks retry t-2\tSubmit them again.\n"
    assert cli("attention", "--plain").out == expected
    assert cli("attention", "--json").json["attention"][0]["id"] == "tasks_failed:a-1"
    answers(attention=AttentionList(attention=[replace(ATTENTION, snoozed_until=WHEN)], snoozed=1))
    assert cli("attention", "--snoozed", "--plain").out.endswith(f"\t{WHEN}\n")
    assert cli.last("attention") == (AttentionQuery(snoozed=True),)
    answers(attention=AttentionList(attention=[]))
    assert "nothing needs you" in cli("attention").stderr


@pytest.mark.parametrize(
    ("text", "wanted"), [("", 3600), ("--for 90s", 90), ("--for 30m", 1800), ("--for 2d", 172_800), ("--for 0", 0)]
)
def test_a_snooze_has_a_length(cli: CommandLine, text: str, wanted: int) -> None:
    called = cli.line(f"attention snooze tasks_failed:a-1 {text}")
    assert called.code == 0
    assert cli.last("snooze") == ("tasks_failed:a-1", wanted)


@pytest.mark.parametrize("text", ["soon", "-1h", "1", "1y", "1.5h", "9" * 30 + "d"])
def test_what_is_no_length_is_refused(cli: CommandLine, text: str) -> None:
    called = cli("attention", "snooze", "tasks_failed:a-1", f"--for={text}")
    assert called.code == 2
    assert cli.given("snooze") == []


def test_connections_show_what_waits_and_how_busy_the_hub_is(cli: CommandLine, answers: Answers) -> None:
    called = cli("connections")
    for shown in ("a-1", "127.0.0.1:5", "127.0.0.1:9090"):
        assert shown in called.out
    assert "loop lag 1.0 ms (p99 2.0)" in called.stderr
    answers(connections=replace(CONNECTIONS, total=300))
    assert "1 of 300: clawtui connections -n 300" in cli("connections", "-n", "1").stderr
    assert cli.last("connections") == (ConnectionQuery(limit=1),)
    assert cli("connections", "--json").json["connections"][0]["queued"] == 2
    answers(connections=replace(CONNECTIONS, connections=[], total=0))
    assert "no agent is connected" in cli("connections").stderr


def test_the_journal_shows_acts_as_commands(cli: CommandLine) -> None:
    expected = f"7\t{WHEN}\tuser:ada\tagent.stop\ta-1\tok\tclawtui stop a-1\tclawtui start a-1\n"
    assert cli("journal", "--plain").out == expected
    cli("journal", "-n", "3", "--cursor", "c")
    assert cli.last("journal") == (PageQuery(limit=3, cursor="c"),)


def test_an_act_is_taken_back_and_waited_for(cli: CommandLine, answers: Answers) -> None:
    answers(job=replace(JOB, state=JobState.SUCCEEDED, finished_at=WHEN))
    called = cli("journal", "undo", "7")
    assert (called.code, cli.last("undo")) == (0, (7,))
    assert "clawtui start a-1" in called.stderr
    answers(job=replace(JOB, state=JobState.FAILED, finished_at=WHEN, error=TaskError("c", "the reason")))
    assert cli("journal", "undo", "7").code == 1
    answers(undo=UndoAnswer(undone="clawtui policy allow a b"))
    assert cli("journal", "undo", "7").code == 0
    assert cli("journal", "undo", "seven").code == 2
