"""The verbs of the profile sync: what the hub is asked, and what a person is shown."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from clawtui.cli.sync import unified
from hub.contract import (
    FileDifference,
    PersonaDifference,
    ResolveSync,
    SyncQuery,
    SyncReport,
    SyncReports,
    SyncRun,
    SyncState,
    SyncStatus,
)
from hub.errors import Conflict, NotFound
from tests.clawtui.conftest import CommandLine
from tests.hub.api.scripted_sync import AT, DRIFTED, SOUL, STATUS, TARGET

Answers = Callable[..., None]
MORE = FileDifference(path="USER.md", action="conflict", on_disk="a\n", wanted="b\n", why_not="Convex takes no texts")


def test_status_shows_personas_and_what_to_do(cli: CommandLine) -> None:
    called = cli.line("sync status prod")
    assert (called.code, cli.last("sync_status")) == (0, (SyncQuery(gateway="prod"),))
    assert "prod/ann" in called.out
    assert "drifted" in called.out
    assert AT not in called.out, "people read ages"
    assert "SOUL.md was changed" in called.out
    assert "clawtui sync diff prod/ann" in called.stderr
    assert "1 in-step, 1 drifted; the gateway shows the roster" in called.stderr


def test_status_for_programs(cli: CommandLine) -> None:
    assert cli.line("sync status --json").json["personas"][0]["slug"] == "ann"
    lines = cli.line("sync status --plain").out.splitlines()
    assert lines[0].split("\t")[:4] == ["prod/ann", "Ann", "drifted", AT]
    assert cli.line("sync status --gateways --plain").out.split("\t")[0] == "prod"


def test_status_says_when_there_is_nothing_and_when_it_is_off(cli: CommandLine, answers: Answers) -> None:
    answers(sync_status=SyncStatus(enabled=False, targets=[], personas=[]))
    called = cli.line("sync status")
    assert "no gateway is kept in step" in called.stderr
    assert "OPENCLAW_PROFILE_SYNC=false" in called.stderr
    answers(sync_status=SyncStatus(enabled=True, targets=[TARGET], personas=[]))
    assert "no personas yet" in cli.line("sync status").stderr


def test_a_problem_is_told_with_its_hint(cli: CommandLine, answers: Answers) -> None:
    broken = replace(TARGET, problem="Convex is down", hint="Wait.")
    answers(sync_status=replace(STATUS, targets=[broken]))
    called = cli.line("sync status")
    assert "prod: Convex is down" in called.stderr
    assert "    Wait." in called.stderr


def test_run(cli: CommandLine) -> None:
    called = cli.line("sync run prod --dry-run")
    assert (called.code, cli.last("sync_run")) == (0, (SyncRun(gateway="prod", dry_run=True),))
    assert "ann/SOUL.md" in called.out
    assert "archived: zoe; the config changed; the gateway was restarted; 0.2 s" in called.stderr
    cli.line("sync run prod --accept-empty")
    assert cli.last("sync_run") == (SyncRun(gateway="prod", accept_empty=True),)


def test_a_run_that_could_not_do_all_ends_with_1(cli: CommandLine, answers: Answers) -> None:
    broken = SyncReport(gateway="prod", dry_run=False, steps=[], problem="Convex is down")
    answers(sync_run=SyncReports(reports=[broken]))
    called = cli.line("sync run")
    assert called.code == 1
    assert "prod: Convex is down" in called.stderr
    assert "as it shall be" not in called.stderr
    answers(sync_run=NotFound("there is no gateway 'x'"))
    assert cli.line("sync run x").code == 1


def test_diff_shows_what_apply_would_bring(cli: CommandLine) -> None:
    called = cli.line("sync diff prod/ann")
    assert (called.code, cli.last("sync_diff")) == (0, ("prod", "ann"))
    assert called.out.splitlines() == [
        "--- disk/SOUL.md", "+++ source/SOUL.md", "@@ -1,2 +1,2 @@", " I am", "-mine", "+Ann",
    ]  # fmt: skip
    assert "clawtui sync resolve prod/ann" in called.stderr
    assert cli.line("sync diff prod/ann --json").json["files"][0]["onDisk"] == "I am\nmine\n"
    plain = cli.line("sync diff prod/ann --plain")
    assert (plain.out, plain.stderr) == (called.out, "")


def test_diff_in_colour_is_the_same_text(cli: CommandLine) -> None:
    coloured = cli("sync", "diff", "prod/ann", terminal=True, environ={"TERM": "xterm-256color"})
    assert "\x1b[32m+Ann" in coloured.out
    assert "\x1b[31m-mine" in coloured.out


def test_diff_of_one_file(cli: CommandLine, answers: Answers) -> None:
    answers(sync_diff=PersonaDifference(persona=DRIFTED, files=[SOUL, MORE]))
    called = cli.line("sync diff prod/ann --path USER.md")
    assert "SOUL.md" not in called.out
    assert "cannot be adopted: Convex takes no texts" in called.stderr
    called = cli.line("sync diff prod/ann --path TOOLS.md")
    assert (called.code, "is as the source says" in called.stderr) == (2, True)
    answers(sync_diff=PersonaDifference(persona=DRIFTED, files=[]))
    assert "every file is as the source says" in cli.line("sync diff prod/ann").stderr


def test_texts_of_others_steer_no_terminal(cli: CommandLine, answers: Answers) -> None:
    evil = FileDifference(path="SOUL.md", action="drift", on_disk="\x1b]0;owned\x07\n", wanted="")
    answers(sync_diff=PersonaDifference(persona=DRIFTED, files=[evil]))
    assert "\x1b" not in cli.line("sync diff prod/ann").out


@pytest.mark.parametrize(
    ("file", "lines"),
    [
        (
            FileDifference(path="A", action="drift", wanted="x\n"),
            ["--- /dev/null", "+++ source/A", "@@ -0,0 +1 @@", "+x"],
        ),
        (
            FileDifference(path="A", action="delete", on_disk="x\n"),
            ["--- disk/A", "+++ /dev/null", "@@ -1 +0,0 @@", "-x"],
        ),
        (FileDifference(path="A", action="drift", binary=True), ["Binary files disk/A and source/A differ"]),
    ],
)
def test_a_difference_as_text(file: FileDifference, lines: list[str]) -> None:
    assert list(unified(file)) == lines


@pytest.mark.parametrize("decision", ["keep", "apply", "adopt"])
def test_resolve(cli: CommandLine, decision: str) -> None:
    called = cli.line(f"sync resolve prod/ann {decision} --path SOUL.md")
    assert called.code == 0
    assert cli.last("sync_resolve") == ("prod", "ann", ResolveSync(decision=decision, path="SOUL.md"))  # pyright: ignore[reportArgumentType]
    assert "in-step" in called.out
    assert cli.given("sync_diff") == []


def test_several_files_are_replaced_after_a_yes_only(cli: CommandLine, answers: Answers) -> None:
    answers(sync_diff=PersonaDifference(persona=DRIFTED, files=[SOUL, MORE]))
    refused = cli.line("sync resolve prod/ann apply")
    assert (refused.code, "Replace SOUL.md, USER.md?" in refused.stderr) == (2, True)
    said_no = cli("sync", "resolve", "prod/ann", "apply", stdin="n\n", terminal=True)
    assert (said_no.code, cli.given("sync_resolve")) == (1, [])
    assert cli("sync", "resolve", "prod/ann", "apply", stdin="y\n", terminal=True).code == 0
    assert cli.line("sync resolve prod/ann apply --yes").code == 0
    assert len(cli.given("sync_resolve")) == 2
    answers(sync_diff=PersonaDifference(persona=DRIFTED, files=[SOUL]))
    assert cli.line("sync resolve prod/ann apply").code == 0


def test_what_cannot_be_decided_says_why(cli: CommandLine, answers: Answers) -> None:
    answers(sync_resolve=Conflict("no file of prod/ann waits", hint="clawtui sync status shows what waits"))
    called = cli.line("sync resolve prod/ann keep")
    assert (called.code, "hint: clawtui sync status" in called.stderr) == (1, True)


@pytest.mark.parametrize(
    "words", ["diff ann", "diff /ann", "diff a/b/c", "resolve prod/ keep", "resolve prod/ann maybe"]
)
def test_what_is_no_persona_or_no_decision_is_a_usage_error(cli: CommandLine, words: str) -> None:
    assert cli.line(f"sync {words}").code == 2
    assert cli.control.calls == []


@pytest.mark.parametrize(
    ("on_disk", "wanted", "shown"),
    [
        ("a\r\n", "a\n", ["-a␍", "+a"]),
        ("a", "a\n", ["\\ No newline at end of disk/SOUL.md"]),
        ("a\n", "b", ["-a", "+b", "\\ No newline at end of source/SOUL.md"]),
        ("a\u2028b\n", "a\nb\n", ["-a\u2028b", "+a", "+b"]),
    ],
)
def test_a_difference_in_line_ends_alone_is_seen(on_disk: str, wanted: str, shown: list[str]) -> None:
    lines = list(unified(replace(SOUL, on_disk=on_disk, wanted=wanted)))
    assert lines[:2] == ["--- disk/SOUL.md", "+++ source/SOUL.md"]
    assert [line for line in lines[2:] if not line.startswith("@@")] == shown


def test_a_decision_that_leaves_something_undone_ends_with_1(cli: CommandLine, answers: Answers) -> None:
    answers(sync_resolve=DRIFTED)
    assert cli.line("sync resolve prod/ann keep --path SOUL.md").code == 1
    assert cli.line("sync resolve prod/ann keep --path USER.md").code == 0
    answers(sync_resolve=replace(DRIFTED, state=SyncState.FAILED, files=[]))
    assert cli.line("sync resolve prod/ann keep --path USER.md").code == 1
