"""disk, prune, repair: what the hub is asked for, what is asked of the person, and what is printed."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from hub.contract import CheckView, DiskQuery, JobView, PruneExecute, PruneRequest, RepairRequest
from hub.core.model import CheckState
from tests.clawtui.conftest import CommandLine
from tests.hub.api.scripted import AGENT
from tests.hub.api.scripted_disk import DISK, OBJECT, PLAN

Answers = Callable[..., None]
HARMLESS = msgspec.structs.replace(
    PLAN, data=False, objects=[msgspec.structs.replace(OBJECT, kind="images", name="openclaw-agent-web:1", data=False)]
)


def ended(kind: str, **result: object) -> JobView:
    return JobView(id="j-1", kind=kind, state="succeeded", started_at="", result=result)


@pytest.fixture
def pruned(answers: Answers) -> None:
    answers(job=ended("prune", removed=["volumes openclaw-agent-old"], freedBytes=4096, skipped={}))


def test_what_takes_room_is_shown_by_kind_by_agent_and_by_object(cli: CommandLine) -> None:
    called = cli("disk")
    assert (called.code, cli.last("disk")) == (0, (DiskQuery(),))
    assert "volumes" in called.out
    assert "8.0K" in called.out
    assert "10% of" in called.stderr
    assert "clawtui prune --dry-run" in called.stderr
    assert "volumes 4.0K" in cli("disk", "--agents").out
    called = cli("disk", "--objects")
    assert cli.last("disk") == (DiskQuery(objects=True),)
    assert "unused: agent old is not there any more" in " ".join(called.out.split())
    assert cli("disk", "--agents", "--objects").code == 2
    assert cli("disk", "--json").json["rows"][0]["unusedBytes"] == 4096


def test_a_size_that_is_not_known_is_said(cli: CommandLine, answers: Answers) -> None:
    row = msgspec.structs.replace(DISK.rows[0], size_bytes=None, note="the engine is still measuring")
    answers(disk=msgspec.structs.replace(DISK, rows=[row]))
    called = cli("disk")
    assert "not known" in called.out
    assert "still measuring" in " ".join(called.out.split())


def test_a_dry_run_shows_the_plan_and_asks_nobody(cli: CommandLine) -> None:
    called = cli("prune", "volumes", "--dry-run", "--all")
    assert (called.code, cli.last("plan_prune")) == (0, (PruneRequest(kinds=["volumes"], all=True),))
    assert "openclaw-agent-old" in called.out
    assert "at least 4.0K would be free again" in called.stderr
    assert "a note" in called.stderr
    assert cli.given("prune") == []


def test_a_plan_of_nothing_ends_well(cli: CommandLine, answers: Answers) -> None:
    answers(plan_prune=msgspec.structs.replace(PLAN, objects=[], frees_bytes=0, data=False))
    called = cli("prune", "--yes")
    assert (called.code, cli.given("prune")) == (0, [])
    assert "nothing is unused" in called.out + called.stderr


@pytest.mark.parametrize(("typed", "code"), [("remove data\n", 0), ("y\n", 1), ("yes\n", 1), ("", 1)])
@pytest.mark.usefixtures("pruned")
def test_data_takes_typed_words(cli: CommandLine, typed: str, code: int) -> None:
    called = cli("prune", stdin=typed, terminal=True)
    assert called.code == code
    assert cli.given("prune") == ([] if code else [("prune_1", PruneExecute(data=True))])
    assert "Type 'remove data'" in called.stderr


@pytest.mark.parametrize(("typed", "code"), [("y\n", 0), ("n\n", 1), ("", 1)])
@pytest.mark.usefixtures("pruned")
def test_what_can_be_made_again_takes_a_yes(cli: CommandLine, answers: Answers, typed: str, code: int) -> None:
    answers(plan_prune=HARMLESS)
    assert cli("prune", stdin=typed, terminal=True).code == code
    assert cli.given("prune") == ([] if code else [("prune_1", PruneExecute(data=False))])


@pytest.mark.usefixtures("pruned")
def test_without_anybody_to_ask_options_say_it(cli: CommandLine, answers: Answers) -> None:
    for words in (("prune",), ("prune", "--yes")):
        assert cli(*words, stdin="remove data\n").code == 2
    assert cli.given("prune") == []
    called = cli("prune", "--yes", "--data")
    assert called.code == 0
    assert "removed 1, 4.0K are free again" in called.stderr
    answers(plan_prune=HARMLESS)
    assert cli("prune", "-y").code == 0
    assert cli("prune", stdin="y\n").code == 2


def test_what_was_left_is_named_and_is_no_success(cli: CommandLine, answers: Answers) -> None:
    left = {"images openclaw-agent-web:1": "it is in use: container x"}
    answers(plan_prune=HARMLESS, job=ended("prune", removed=[], freedBytes=0, skipped=left))
    called = cli("prune", "--yes")
    assert called.code == 1
    assert "left images openclaw-agent-web:1: it is in use: container x" in called.stderr


def test_a_repair_says_how_many_files_it_was(cli: CommandLine, answers: Answers) -> None:
    answers(job=ended("repair", files=10, changed=3))
    called = cli("repair", "a-1", "--everything")
    assert (called.code, cli.last("repair")) == (0, ("a-1", RepairRequest(everything=True)))
    assert "3 of 10 files were given back" in called.stderr


def test_a_failing_health_check_is_in_the_list_and_in_the_status(cli: CommandLine, answers: Answers) -> None:
    check = CheckView(status=CheckState.UNHEALTHY, since="", why="no answer", restarts=2, given_up=True)
    answers(agent=msgspec.structs.replace(AGENT, check=check, health_source="docker"))
    called = cli("status", "a-1")
    told = " ".join(called.out.split())
    assert "unhealthy: no answer; restarted 2 times, given up" in told
    assert "(unhealthy)" in told
