"""The verbs of snapshots: what the hub is asked for, and what is printed."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from hub.contract import DiffQuery, ForkRequest, JobView, SnapshotQuery, SnapshotSchedule, TakeSnapshot
from hub.core.model import Consistency
from tests.clawtui.conftest import CommandLine
from tests.hub.api.scripted import JOB
from tests.hub.api.scripted_snapshots import DIFF

Answers = Callable[..., None]


def ended(**result: object) -> JobView:
    return JobView(id="j-1", kind="snapshot", state="succeeded", started_at="", result=result)


def test_a_snapshot_is_taken_and_shown(cli: CommandLine, answers: Answers) -> None:
    answers(job=ended(snapshotId="sn_1"))
    called = cli("snapshot", "a-1", "before", "--clean")
    assert called.code == 0, called.stderr
    assert cli.last("take_snapshot") == ("a-1", TakeSnapshot(name="before", consistency=Consistency.CLEAN))
    assert cli.last("snapshot") == ("sn_1",)
    assert "a-1:before" in called.out
    assert "3.0M" in called.out


def test_snapshots_are_listed(cli: CommandLine) -> None:
    called = cli("snapshots", "list", "a-1", "--plain")
    assert cli.last("snapshots") == (SnapshotQuery(agent="a-1", limit=100),)
    assert "a-1:before" in called.out
    assert str(3 * 1024 * 1024) in called.out
    assert cli("snapshots", "list", "--json").json["snapshots"][0]["name"] == "before"
    assert "current" in cli("snapshots", "show", "a-1:before").out
    assert "WORKSPACE" in cli("snapshots", "estimate", "a-1").out


def test_a_difference_names_the_files_and_says_when_it_is_cut(cli: CommandLine, answers: Answers) -> None:

    answers(diff_snapshots=msgspec.structs.replace(DIFF, truncated=True, base_image_changed=True))
    called = cli("snapshots", "diff", "a-1:before", "sn_2", "-n", "1")
    assert cli.last("diff_snapshots") == ("a-1:before", DiffQuery(other="sn_2", limit=1))
    assert "changed content" in called.out
    assert "/workspace/a" in called.out
    assert "only the first 1 are shown" in called.stderr
    assert "different images" in called.stderr


@pytest.mark.parametrize(("words", "asked"), [(("a-1", "before"), "a-1:before"), (("a-1", "sn_1"), "sn_1")])
def test_a_restore_names_the_snapshot_beside_the_agent(
    cli: CommandLine, answers: Answers, words: tuple[str, str], asked: str
) -> None:
    answers(job=ended())
    called = cli("restore", *words)
    assert called.code == 0, called.stderr
    assert cli.last("snapshot") == (asked,)
    assert cli.last("restore") == ("sn_1",)


def test_a_restore_of_another_agents_snapshot_is_refused(cli: CommandLine) -> None:
    called = cli("restore", "b-2", "sn_1")
    assert called.code == 2
    assert "clawtui fork" in called.stderr
    assert cli.given("restore") == []


def test_a_restore_is_undone(cli: CommandLine, answers: Answers) -> None:
    answers(job=ended())
    assert cli("restore", "a-1", "--undo").code == 0
    assert cli.last("undo_restore") == ("a-1",)
    assert cli("restore", "a-1").code == 2
    assert cli("restore", "a-1", "before", "--undo").code == 2


def test_forks_show_what_became_of_each(cli: CommandLine, answers: Answers) -> None:
    forks = [{"agentId": "x", "state": "online"}, {"agentId": "y", "state": "failed", "error": "no room"}]
    answers(job=ended(forks=forks, failed=1))
    called = cli("fork", "a-1:before", "--count", "2")
    assert cli.last("fork") == ("a-1:before", ForkRequest(count=2))
    assert called.code == 1
    assert "no room" in called.out
    answers(job=ended(forks=forks[:1], failed=0))
    assert cli("fork", "sn_1", "--names", "x").code == 0
    assert cli.last("fork") == ("sn_1", ForkRequest(names=["x"]))


def test_a_snapshot_is_deleted_only_when_asked_for(cli: CommandLine, answers: Answers) -> None:
    answers(job=ended())
    assert cli("snapshots", "delete", "a-1:before").code != 0
    assert cli.given("delete_snapshot") == []
    assert cli("snapshots", "delete", "a-1:before", "--force").code == 0
    assert cli.last("delete_snapshot") == ("sn_1",)
    assert cli("snapshots", "delete", "a-1:before", terminal=True, stdin="y\n").code == 0


def test_a_schedule_is_set_shown_and_ended(cli: CommandLine) -> None:
    called = cli("snapshots", "schedule", "a-1", "--every", "6h", "--keep-last", "5", "--keep-days", "30")
    wanted = SnapshotSchedule(interval_seconds=6 * 3600, keep_last=5, keep_days=30.0)
    assert cli.last("schedule_snapshots") == ("a-1", wanted)
    assert "3600 s" in called.out
    cli("snapshots", "schedule", "a-1", "--off")
    assert cli.last("schedule_snapshots") == ("a-1", SnapshotSchedule())
    cli("snapshots", "schedule", "a-1")
    assert cli.last("snapshot_place") == ("a-1",)
    assert cli("snapshots", "schedule", "a-1", "--off", "--every", "6h").code == 2


def test_nobody_has_to_wait(cli: CommandLine) -> None:
    called = cli("snapshot", "a-1", "--no-wait")
    assert called.code == 0
    assert JOB.id in called.out
