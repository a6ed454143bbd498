"""Acts with snapshots: what they say before, what they ask, what they do, and what came of it."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace
from textual.widgets import Input, Select

from clawtui.tui.actions import Where
from clawtui.tui.widgets.dialogs import ConfirmDialog, Picker
from clawtui.tui.widgets.losing import LossDialog
from clawtui.tui.widgets.snapshot_forms import ForkDialog, ScheduleDialog, SnapshotDialog
from hub.contract import (
    DriverHealth,
    ForkRequest,
    JobView,
    Lifecycle,
    SnapshotEstimate,
    SnapshotPlace,
    SnapshotSchedule,
    TakeSnapshot,
)
from hub.core.model import AgentStatus, Consistency, Desired, Observed
from hub.errors import Conflict, NotAvailable
from runtime.wire import TaskError
from tests.hub.api.scripted import HEALTH, WHEN
from tests.tui import fleet_script, snapshot_script
from tests.tui.scripted import DONE, ScriptedHub, an_agent, sees, shown, text_of, typed, until

SIZES = ((80, 24), (120, 40), (200, 60))
SAVED = replace(DONE, result={"snapshotId": "sn_b6"})
FAILED = replace(DONE, state="failed", error=TaskError("no_room", "the disk is full"))


def a_hub(*more: Any) -> ScriptedHub:
    """`builder-1` with its line of snapshots; `old-wiki` was destroyed."""
    hub = snapshot_script.answer(ScriptedHub(an_agent("builder-1", driver="docker", running=["t-1"]), *more))
    hub.now = fleet_script.NOW
    return hub


async def at(app: Any, pilot: Any, snapshot: str) -> None:
    """The cursor on that snapshot in the place."""
    await app.do_words(f"go snapshots/{snapshot}")
    await until(pilot, lambda: [one.id for one in app.main.pane.snapshots()] == [snapshot])


async def asked(app: Any, pilot: Any, kind: type[Any]) -> None:
    await until(pilot, lambda: isinstance(app.screen, kind))


# --- taking


@pytest.mark.parametrize("size", SIZES)
async def test_before_a_snapshot_its_size_and_the_room_are_shown(size: tuple[int, int]) -> None:
    hub = a_hub()
    hub.answers["job"] = SAVED
    async with shown(hub, size) as (app, pilot):
        await until(pilot, sees(app, "builder-1"))
        await pilot.press("B")
        await asked(app, pilot, SnapshotDialog)
        await until(
            pilot, sees(app, "Snapshot of builder-1", "about 2.0G of workspace and 280M of image; 61G are free")
        )
        await until(pilot, sees(app, "crash: frozen meanwhile", "Files are as after a power cut"))
        await typed(pilot, "before-it")
        await until(pilot, sees(app, "clawtui snapshot builder-1 before-it"))
        await pilot.press("ctrl+s")
        await until(pilot, sees(app, "√ builder-1:2026-03-14-0300 is saved, 2.2G"))
    assert hub.called("take_snapshot") == [("builder-1", TakeSnapshot(name="before-it"))]


async def test_clean_says_what_it_interrupts() -> None:
    hub = a_hub()
    hub.answers["job"] = SAVED
    async with shown(hub, (80, 24)) as (app, pilot):
        await until(pilot, sees(app, "builder-1"))
        await app.do_words("snapshot builder-1")
        await until(pilot, sees(app, "crash: frozen meanwhile"))
        app.screen.query_one("#s-how", Select).value = Consistency.CLEAN.value
        await until(pilot, sees(app, "clean: stopped meanwhile", "Running there now: 1", "--clean"))
        await pilot.press("ctrl+s")
        await until(pilot, sees(app, "is saved"))
    assert hub.called("take_snapshot") == [("builder-1", TakeSnapshot(consistency=Consistency.CLEAN))]


async def test_too_little_room_is_said_and_so_is_an_unknown_size() -> None:
    hub = a_hub()
    none = SnapshotEstimate(agent_id="builder-1", volume_bytes=9 << 30, image_bytes=0, free_bytes=1 << 30)
    hub.answers["estimate_snapshot"] = none
    async with shown(hub) as (app, pilot):
        await until(pilot, sees(app, "builder-1"))
        await pilot.press("B")
        await until(pilot, sees(app, "! about 9.0G of workspace: too much, only 1.0G are free"))
        await pilot.press("escape")
        hub.answers["estimate_snapshot"] = NotAvailable("the engine is away")
        await pilot.press("B")
        await until(pilot, sees(app, "not known: the engine is away"))


async def test_a_snapshot_that_fails_says_why() -> None:
    hub = a_hub()
    hub.answers["job"] = FAILED
    async with shown(hub) as (app, pilot):
        await until(pilot, sees(app, "builder-1"))
        await pilot.press("B")
        await asked(app, pilot, SnapshotDialog)
        await pilot.press("ctrl+s")
        await until(pilot, sees(app, "× snapshot builder-1 failed: the disk is full"))


async def test_where_nobody_is_meant_it_asks_for_one() -> None:
    hub = snapshot_script.answer(ScriptedHub(an_agent("a-1"), an_agent("a-2")), [])
    async with shown(hub, (80, 24)) as (app, pilot):
        await pilot.press("f7")
        await until(pilot, sees(app, "No snapshots yet"))
        await pilot.press("B")
        await asked(app, pilot, Picker)
        await typed(pilot, "a-2")
        await pilot.press("enter")
        await until(pilot, sees(app, "Snapshot of a-2"))


@pytest.mark.parametrize(
    ("agent", "why"),
    [
        (an_agent("legacy", driver="vm"), "legacy is run by the vm driver, which has no snapshots"),
        (an_agent("by-hand", driver=""), "by-hand has no driver: only agents that the hub runs can be saved"),
    ],
)
async def test_what_cannot_be_saved_says_why_and_is_not_asked_for(agent: Any, why: str) -> None:
    hub = snapshot_script.answer(ScriptedHub(agent), [])
    hub.answers["health"] = replace(HEALTH, drivers=[DriverHealth(name="vm", usable=True, features=["pause"])])
    async with shown(hub) as (app, pilot):
        await until(pilot, sees(app, agent.id))
        for key in ("B", "E"):
            await pilot.press(key)
            await until(pilot, sees(app, why))
            assert app.screen is app.main
        await pilot.press("D")
        await asked(app, pilot, LossDialog)
        await until(pilot, sees(app, "No snapshot first:"))
        assert "Take a snapshot first" not in text_of(app)
    assert not hub.called("take_snapshot")
    assert not hub.called("schedule_snapshots")


# --- restoring


@pytest.mark.parametrize("size", SIZES)
async def test_a_restore_lists_what_goes_and_wants_the_agents_name(size: tuple[int, int]) -> None:
    hub = a_hub()
    async with shown(hub, size) as (app, pilot):
        await at(app, pilot, "sn_b2")
        await pilot.press("R")
        await asked(app, pilot, LossDialog)
        await until(
            pilot, sees(app, "Restore builder-1 to before-upgrade?", "Running there now: 1", "2.0G of workspace")
        )
        await until(pilot, sees(app, "kept for 24 hours", "Take a snapshot first", "Type builder-1 to go on"))
        await typed(pilot, "before-upgrade")
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is app.main)
        assert not hub.called("restore")
        await pilot.press("R")
        await asked(app, pilot, LossDialog)
        await typed(pilot, "builder-1")
        await pilot.press("enter")
        await until(pilot, sees(app, "√ builder-1 is at before-upgrade"))
    assert hub.called("restore") == [("sn_b2",)]
    assert not hub.called("take_snapshot")


async def first_saved(app: Any, pilot: Any) -> None:
    """Type the name and choose the snapshot before."""
    await asked(app, pilot, LossDialog)
    await typed(pilot, "builder-1")
    await pilot.press("tab", "space")
    await until(pilot, lambda: app.screen.save_first)
    await pilot.press("tab", "tab", "enter")


async def test_a_snapshot_first_comes_first_and_without_it_nothing_is_lost() -> None:
    hub = a_hub()
    hub.answers["job"] = SAVED
    async with shown(hub) as (app, pilot):
        await at(app, pilot, "sn_b2")
        await pilot.press("R")
        await first_saved(app, pilot)
        await until(pilot, sees(app, "√ builder-1 is at before-upgrade"))
        order = [method for method, _ in hub.calls if method in ("take_snapshot", "restore")]
        assert order == ["take_snapshot", "restore"]
        hub.answers["take_snapshot"] = Conflict("it is being saved")
        await app.do_words("go agents/builder-1")
        await until(pilot, lambda: app.main.pane.place is Where.FLEET)
        await pilot.press("D")
        await first_saved(app, pilot)
        await until(pilot, sees(app, "× it is being saved"))
    assert not hub.called("destroy")


async def test_an_agent_that_was_destroyed_is_made_again_after_a_plain_question() -> None:
    hub = a_hub()
    async with shown(hub) as (app, pilot):
        await at(app, pilot, "sn_o1")
        await pilot.press("R")
        await asked(app, pilot, ConfirmDialog)
        await until(pilot, sees(app, "Make old-wiki again?", "Its identity is a new one"))
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is app.main)
        assert not hub.called("restore")
        await pilot.press("R")
        await asked(app, pilot, ConfirmDialog)
        await pilot.press("right", "enter")
        await until(pilot, sees(app, "√ old-wiki is at last again"))
    assert hub.called("restore") == [("sn_o1",)]


async def test_a_broken_one_and_one_of_a_paused_agent_cannot_be_restored() -> None:
    paused = Lifecycle(desired=Desired.PAUSED, observed=Observed.PAUSED)
    hub = a_hub(an_agent("migrator", AgentStatus.PAUSED, lifecycle=paused))
    async with shown(hub) as (app, pilot):
        await at(app, pilot, "sn_m2")
        await pilot.press("R")
        await until(pilot, sees(app, "migrator:0042 is broken: the engine went away"))
        await at(app, pilot, "sn_m1")
        await pilot.press("R")
        await until(pilot, sees(app, "migrator is paused: resume or stop it first"))
        assert app.screen is app.main


async def test_the_undo_of_a_restore_asks_too_and_needs_a_restore() -> None:
    hub = a_hub(an_agent("migrator"))
    async with shown(hub) as (app, pilot):
        await at(app, pilot, "sn_b2")
        await pilot.press("U")
        await asked(app, pilot, LossDialog)
        await until(pilot, sees(app, "Undo the restore of builder-1?", "since that restore goes", "1h56m yet"))
        await typed(pilot, "builder-1")
        await pilot.press("enter")
        await until(pilot, sees(app, "√ builder-1 is as before its restore — clawtui restore builder-1 --undo"))
        await app.do_words("undo-restore migrator")
        await until(pilot, sees(app, "there is no restore of migrator to be undone"))
    assert hub.called("undo_restore") == [("builder-1",)]


# --- forking


def forks(*states: str) -> JobView:
    made = [
        {
            "agentId": f"builder-1-fork-{number}",
            "state": state,
            "error": None if state == "online" else "no port is free",
        }
        for number, state in enumerate(states, 1)
    ]
    return replace(DONE, id="j-99", kind="fork", result={"forks": made, "failed": states.count("failed")})


async def test_a_fork_makes_so_many_and_says_of_each_what_became_of_it() -> None:
    hub = a_hub()
    hub.answers["job"] = forks("online", "online")
    async with shown(hub, (80, 24)) as (app, pilot):
        await at(app, pilot, "sn_b2")
        await pilot.press("f")
        await asked(app, pilot, ForkDialog)
        await until(pilot, sees(app, "Fork builder-1:before-upgrade", "workspace of", "builder-1 is not touched"))
        await pilot.press("backspace", "2")
        await until(pilot, sees(app, "clawtui fork builder-1:before-upgrade --count 2"))
        await pilot.press("ctrl+s")
        await until(pilot, sees(app, "√ builder-1-fork-1, builder-1-fork-2 made of"))
        hub.answers["job"] = forks("online", "failed", "failed")
        await pilot.press("f")
        await asked(app, pilot, ForkDialog)
        await pilot.press("tab")
        await typed(pilot, "x, y z")
        await pilot.press("ctrl+s")
        await until(pilot, sees(app, "× 1 of 3 forks are online, not builder-1-fork-2: no port is free"))
    assert hub.called("fork") == [("sn_b2", ForkRequest(count=2)), ("sn_b2", ForkRequest(names=["x", "y", "z"]))]


@pytest.mark.parametrize("count", ["0", "65"])
async def test_a_number_of_forks_that_cannot_be_is_said_in_the_form(count: str) -> None:
    hub = a_hub()
    async with shown(hub) as (app, pilot):
        await at(app, pilot, "sn_b2")
        await pilot.press("f")
        await asked(app, pilot, ForkDialog)
        await pilot.press("backspace")
        await typed(pilot, count)
        await pilot.press("ctrl+s")
        await until(pilot, sees(app, "how many"))
        assert isinstance(app.screen, ForkDialog)
    assert not hub.called("fork")


async def test_a_refused_fork_stays_in_its_form() -> None:
    hub = a_hub()
    hub.answers["fork"] = Conflict("there is an agent x already", hint="Choose another name.")
    async with shown(hub, (80, 24)) as (app, pilot):
        await at(app, pilot, "sn_b2")
        await pilot.press("f")
        await asked(app, pilot, ForkDialog)
        await pilot.press("tab")
        await typed(pilot, "X1")
        await until(pilot, sees(app, "'X1' is not a name for an agent"))
        await pilot.press("ctrl+s", "backspace", "backspace", "x", "ctrl+s")
        await until(pilot, sees(app, "× there is an agent x already (Choose another name.)"))
        assert app.screen.query_one("#s-names", Input).value == "x"
    assert hub.called("fork") == [("sn_b2", ForkRequest(names=["x"]))]


async def test_a_refused_snapshot_stays_in_its_form() -> None:
    hub = a_hub()
    hub.answers["take_snapshot"] = Conflict("builder-1 has a snapshot nightly already")
    async with shown(hub, (80, 24)) as (app, pilot):
        await until(pilot, sees(app, "builder-1"))
        await pilot.press("B")
        await asked(app, pilot, SnapshotDialog)
        await typed(pilot, "nightly")
        await pilot.press("ctrl+s")
        await until(pilot, sees(app, "× builder-1 has a snapshot nightly already"))
        assert app.screen.query_one("#s-name", Input).value == "nightly"


async def test_the_job_of_a_fork_lists_its_agents() -> None:
    hub = fleet_script.hub()
    hub.answers["job"] = forks("online", "failed")
    async with shown(hub) as (app, pilot):
        await app.do_words("jobs j-99")
        await until(pilot, sees(app, "builder-1-fork-1: online", "builder-1-fork-2: no port is free"))


# --- deleting


async def test_deleting_wants_the_name_and_says_what_stays() -> None:
    hub = a_hub()
    async with shown(hub, (80, 24)) as (app, pilot):
        await at(app, pilot, "sn_b3")
        await pilot.press("D")
        await asked(app, pilot, LossDialog)
        await until(pilot, sees(app, "Delete the snapshot builder-1:try-clang?", "3.0G", "What came of it stays"))
        assert "Take a snapshot first" not in text_of(app)
        await typed(pilot, "try-clang")
        await pilot.press("enter")
        await until(pilot, sees(app, "√ builder-1:try-clang is deleted — clawtui snapshots delete"))
    assert hub.called("delete_snapshot") == [("sn_b3",)]


async def test_several_are_deleted_children_first_and_a_refusal_is_said() -> None:
    hub = a_hub()
    async with shown(hub) as (app, pilot):
        await at(app, pilot, "sn_b3")
        await pilot.press("space", "space", "D")
        await asked(app, pilot, LossDialog)
        await typed(pilot, "delete 2")
        await pilot.press("enter")
        await until(pilot, sees(app, "√ 2 snapshots are deleted"))
        assert hub.called("delete_snapshot") == [("sn_b4",), ("sn_b3",)]
        hub.answers["delete_snapshot"] = Conflict("builder-1:clean-install is in use by builder-2")
        await app.do_words("delete-snapshot sn_b1")
        await asked(app, pilot, LossDialog)
        await typed(pilot, "clean-install")
        await pilot.press("enter")
        await until(pilot, sees(app, "× builder-1:clean-install is in use by builder-2"))


# --- by itself


async def test_a_schedule_begins_with_what_is_and_is_applied() -> None:
    hub = a_hub()
    async with shown(hub, (80, 24)) as (app, pilot):
        await until(pilot, sees(app, "builder-1"))
        await pilot.press("E")
        await asked(app, pilot, ScheduleDialog)
        await until(
            pilot, sees(app, "Snapshots of builder-1 by themselves", "--every 1d --keep-last 7", "--keep-days 30")
        )
        await pilot.press("backspace", "backspace")
        await until(pilot, sees(app, "clawtui snapshots schedule builder-1 --off"))
        await typed(pilot, "6h")
        await pilot.press("ctrl+s")
        await until(pilot, sees(app, "√ snapshots of builder-1: every 6h"))
        wanted = SnapshotSchedule(interval_seconds=21_600, keep_last=7, keep_days=30)
        assert hub.called("schedule_snapshots") == [("builder-1", wanted)]


async def test_a_schedule_that_cannot_be_meant_stays_in_the_form_and_none_is_off() -> None:
    hub = a_hub()
    hub.answers["snapshot_place"] = SnapshotPlace(agent_id="builder-1")
    async with shown(hub) as (app, pilot):
        await until(pilot, sees(app, "builder-1"))
        await app.do_words("schedule builder-1")
        await asked(app, pilot, ScheduleDialog)
        for text, said in (("soon", "is no length of time"), ("5s", "the shortest time is 60 seconds")):
            await typed(pilot, text)
            await pilot.press("ctrl+s")
            await until(pilot, sees(app, said))
            assert isinstance(app.screen, ScheduleDialog)
            await pilot.press(*["backspace"] * len(text))
        await pilot.press("ctrl+s")
        await until(pilot, sees(app, "√ builder-1 is saved by hand only — clawtui snapshots schedule builder-1 --off"))
    assert hub.called("schedule_snapshots") == [("builder-1", SnapshotSchedule())]


# --- what is refused, and what runs


async def test_read_only_looks_and_refuses_every_act() -> None:
    hub = a_hub()
    async with shown(hub, read_only=True) as (app, pilot):
        await at(app, pilot, "sn_b2")
        for key, title in (("B", "snapshot"), ("R", "restore"), ("U", "undo restore"), ("f", "fork"), ("D", "delete"),
                           ("E", "schedule")):  # fmt: skip
            await pilot.press(key)
            await until(pilot, sees(app, f"read-only: {title} is not possible here"))
            assert app.screen is app.main
        for word in ("snapshot builder-1", "restore sn_b1", "fork sn_b1", "delete-snapshot sn_b1"):
            await app.do_words(word)
            assert app.screen is app.main
        await app.do_words("diff sn_b1 sn_b2")
        await until(pilot, sees(app, "Difference builder-1:clean-install"))
    done = {method for method, _ in hub.calls}
    assert not done & {"take_snapshot", "restore", "undo_restore", "fork", "delete_snapshot", "schedule_snapshots"}


async def test_a_snapshot_that_takes_long_is_in_the_line_and_is_waited_for() -> None:
    hub = a_hub()
    runs = JobView(
        id="j-7", kind="snapshot", state="running", started_at=WHEN, progress=0.4, agent_id="builder-1",
        message="reading it all again",
    )  # fmt: skip
    hub.answers |= {"take_snapshot": runs, "job": runs}
    async with shown(hub) as (app, pilot):
        await until(pilot, sees(app, "builder-1"))
        await pilot.press("B")
        await asked(app, pilot, SnapshotDialog)
        await pilot.press("ctrl+s")
        await until(pilot, lambda: len(hub.called("job")) > 2)
        assert "is saved" not in text_of(app)
        hub.answers["job"] = replace(runs, state="succeeded", finished_at=WHEN, result={"snapshotId": "sn_b6"})
        await until(pilot, sees(app, "√ builder-1:2026-03-14-0300 is saved"))


async def test_without_a_snapshot_under_the_cursor_the_keys_say_so() -> None:
    async with shown(snapshot_script.answer(ScriptedHub(an_agent("a-1")), []), (80, 24)) as (app, pilot):
        await pilot.press("f7")
        await until(pilot, sees(app, "No snapshots yet"))
        for key in ("R", "f", "d", "D"):
            await pilot.press(key)
            await until(pilot, sees(app, "no snapshot is meant"))
