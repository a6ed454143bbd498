"""Disks on the screen: kinds with sizes, what nobody needs and why, the plan before a clean-up, and what came of it."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from clawtui.tui.disk import (
    ALL,
    clean_words,
    disk_detail,
    disk_rows,
    freed_said,
    kinds_of,
    plan_said,
    plan_text,
)
from clawtui.tui.widgets.fleet_table import FleetTable
from clawtui.tui.widgets.plan_dialog import PlanDialog
from hub.contract import (
    DiskAgent,
    DiskObject,
    DiskQuery,
    DiskRow,
    DiskView,
    JobView,
    PruneExecute,
    PrunePlan,
    PruneRequest,
)
from hub.errors import BadRequest
from runtime.wire import TaskError
from tests.hub.api.scripted import WHEN
from tests.tui import office_script
from tests.tui.scripted import ScriptedHub, an_agent, sees, shown, text_of, typed, until

SIZES = ((80, 24), (120, 40), (200, 60))
MIB = 1 << 20
OLD = DiskObject(
    kind="images", place="docker", id="i-1", name="openclaw-agent-builder:old", size_bytes=300 * MIB,
    frees_bytes=20 * MIB, unused="a newer one is there, and no agent uses it",
)  # fmt: skip
NEW = replace(OLD, id="i-2", name="openclaw-agent-builder:new", unused="", used_by="agent a-1")
VOLUME = DiskObject(
    kind="volumes", place="docker", id="v-1", name="openclaw-agent-gone", size_bytes=5 * MIB, frees_bytes=5 * MIB,
    unused="agent gone is not there any more", data=True,
)  # fmt: skip
VIEW = DiskView(
    at=WHEN,
    rows=[
        DiskRow(kind="images", place="docker", count=2, size_bytes=600 * MIB, unused_count=1, unused_bytes=20 * MIB),
        DiskRow(kind="cache", place="docker", count=0, note="the engine did not answer in time"),
        DiskRow(kind="volumes", place="docker", count=1, size_bytes=5 * MIB, unused_count=1, unused_bytes=5 * MIB),
        DiskRow(kind="output", place="hub", count=9, size_bytes=MIB),
    ],
    agents=[DiskAgent(agent_id="a-1", size_bytes=2 * MIB, parts={"volumes": 2 * MIB})],
    objects=[OLD, NEW, VOLUME],
    disk_total_bytes=1000 * MIB,
    disk_used_bytes=900 * MIB,
)
IMAGES = PrunePlan(id="p-1", expires_at=WHEN, objects=[OLD], frees_bytes=20 * MIB)
WORK = replace(IMAGES, id="p-2", objects=[OLD, VOLUME], frees_bytes=25 * MIB, data=True, notes=["docker cache: busy"])
DONE = JobView(
    id="j-5", kind="prune", state="succeeded", started_at=WHEN, finished_at=WHEN,
    result={"removed": ["images x"], "freedBytes": 20 * MIB, "skipped": {}},
)  # fmt: skip


def with_disk() -> ScriptedHub:
    hub = ScriptedHub(an_agent("a-1"))
    hub.answers |= {"disk": VIEW, "plan_prune": IMAGES, "prune": DONE}
    return hub


# --- words


def test_the_first_row_is_everything_together() -> None:
    _, row = disk_rows(VIEW, False)[0]
    assert [cell.text for cell in row.cells[:6]] == [ALL, "", "12", "606M+", "2", "25M"]
    assert disk_rows(replace(VIEW, rows=[]), False) == []


def test_sizes_that_overlap_are_at_most() -> None:
    """A layer that two images share counts for both."""
    known = replace(VIEW, rows=[row for row in VIEW.rows if row.size_bytes is not None])
    sizes = [row.cells[3].text for _, row in disk_rows(known, False)]
    assert sizes == ["≤606M", "≤600M", "5.0M", "1.0M"]
    told = [f"{field.text} {field.more}" for field in disk_detail(known, "docker images", office_script.NOW, {})]
    assert "≤600M in 2 at most: what several share counts for each" in told
    one = replace(VIEW, rows=[replace(VIEW.rows[0], count=1)])
    assert [row.cells[3].text for _, row in disk_rows(one, False)] == ["600M", "600M"]


def test_what_a_clean_up_freed_is_said_as_far_as_it_is_known() -> None:
    unknown = replace(IMAGES, objects=[replace(OLD, frees_bytes=None)])
    part = replace(WORK, objects=[OLD, replace(VOLUME, frees_bytes=None)])
    assert freed_said(IMAGES, ["x"], 20 * MIB) == "removed 1, 20M are free again"
    assert freed_said(unknown, ["x"], 0) == "removed 1; how much is free again is not known"
    assert freed_said(part, ["x", "y"], 20 * MIB) == "removed 2, at least 20M are free again"
    row = replace(VIEW.rows[2], unused_bytes=None)
    (said,) = (
        field.text
        for field in disk_detail(replace(VIEW, rows=[row]), "docker volumes", office_script.NOW, {})
        if field.label == "Unused"
    )
    assert said == "1: what that frees is not known"


def test_kinds_are_those_of_the_rows_and_everything_means_all() -> None:
    assert kinds_of(["docker images", "hub logs", "process logs"]) == ["images", "logs"]
    assert kinds_of([ALL, "docker images"]) == []


def test_a_kinds_detail_says_why_a_thing_is_unused_or_needed() -> None:
    fields = disk_detail(VIEW, "docker images", office_script.NOW, {"disk.clean": "c"})
    told = {field.text: field.more for field in fields}
    assert told[OLD.name] == "a newer one is there, and no agent uses it"
    assert told[NEW.name] == "agent a-1"
    assert told["1: 20M would be free"] == "c shows the plan of a clean-up"
    assert disk_detail(VIEW, "docker nothing", office_script.NOW, {}) == []


def test_a_plan_says_what_goes_why_and_what_is_data() -> None:
    assert plan_said(WORK) == "2 things, 25M would be free again"
    unknown = replace(IMAGES, objects=[replace(OLD, frees_bytes=None)])
    assert plan_said(unknown) == "1 thing; how much would be free again is not known"
    part = replace(WORK, objects=[OLD, replace(VOLUME, frees_bytes=None)], frees_bytes=20 * MIB)
    assert plan_said(part) == "2 things, at least 20M would be free again"
    text = plan_text(WORK, 60).plain
    assert "openclaw-agent-gone data" in text
    assert "agent gone is not there any more" in text
    assert "docker cache: busy" in text
    assert clean_words(["images"], newest=True, data=False) == ["clawtui", "prune", "images", "--all", "--yes"]


# --- the place


@pytest.mark.parametrize("size", SIZES)
async def test_kinds_stand_with_their_sizes_and_the_one_under_the_cursor_in_full(size: tuple[int, int]) -> None:
    hub = with_disk()
    async with shown(hub, size) as (app, pilot):
        await pilot.press("f9")
        await until(pilot, sees(app, "Disk 5 · 2 unused", "everything", "600M", "90% used", "100M free"))
        await pilot.press("j")
        await until(pilot, sees(app, "▸ images", "Nobody needs", OLD.name))
        await pilot.press("j")
        await until(pilot, sees(app, "▸ cache", "the engine did not answer"))
        assert hub.called("disk")[0] == (DiskQuery(objects=True),)
        assert str(app.going.front()) == "disk"


async def test_nothing_there_says_what_comes_here() -> None:
    hub = with_disk()
    hub.answers["disk"] = DiskView(at=WHEN, rows=[])
    async with shown(hub, (80, 24)) as (app, pilot):
        await app.do_words("disk")
        await until(pilot, sees(app, "Nothing takes room yet"))
        await pilot.press("c")
        await until(pilot, sees(app, "the disks were not looked at yet"))


async def test_what_is_lost_is_greyed_and_stays() -> None:
    hub = with_disk()
    async with shown(hub) as (app, pilot):
        await pilot.press("f9")
        await until(pilot, sees(app, "600M"))
        hub.lose()
        await until(pilot, lambda: app.main.pane.query_one(FleetTable).rows[0].stale)
        assert "600M" in text_of(app)


async def test_a_read_only_screen_makes_no_plan() -> None:
    hub = with_disk()
    async with shown(hub, read_only=True) as (app, pilot):
        await pilot.press("f9")
        await until(pilot, sees(app, "600M"))
        await pilot.press("c")
        await until(pilot, sees(app, "read-only: clean up is not possible"))
        assert not hub.called("plan_prune")


@pytest.mark.parametrize("size", SIZES)
async def test_a_clean_up_shows_its_plan_and_only_the_typed_word_carries_it_out(size: tuple[int, int]) -> None:
    hub = with_disk()
    async with shown(hub, size) as (app, pilot):
        await pilot.press("f9")
        await until(pilot, sees(app, "600M"))
        await pilot.press("j", "c")
        await until(pilot, lambda: isinstance(app.screen, PlanDialog))
        await until(pilot, sees(app, "1 thing, 20M would be free again", OLD.name, "no agent uses it", "Type remove"))
        await typed(pilot, "rem")
        await pilot.press("enter")
        assert isinstance(app.screen, PlanDialog)
        await typed(pilot, "ove")
        await pilot.press("enter")
        await until(pilot, sees(app, "√ removed 1, 20M are free again — clawtui prune images --yes"))
        assert hub.called("plan_prune") == [(PruneRequest(kinds=["images"]),)]
        assert hub.called("prune") == [("p-1", PruneExecute(data=False))]
        await until(pilot, lambda: len(hub.called("disk")) > 1)


async def test_work_of_agents_takes_other_words() -> None:
    hub = with_disk()
    hub.answers |= {
        "plan_prune": WORK,
        "prune": replace(DONE, result={"removed": [], "skipped": {"volumes v": "in use"}}),
    }
    async with shown(hub) as (app, pilot):
        await pilot.press("f9")
        await until(pilot, sees(app, "600M"))
        await pilot.press("C")
        await until(pilot, lambda: isinstance(app.screen, PlanDialog))
        await until(pilot, sees(app, "nobody can make it again", "Type remove data"))
        await typed(pilot, "remove")
        await pilot.press("enter")
        assert isinstance(app.screen, PlanDialog)
        await typed(pilot, " data")
        await pilot.press("enter")
        await until(pilot, sees(app, "left volumes v: in use"))
        assert hub.called("plan_prune") == [(PruneRequest(kinds=[], all=True),)]
        assert hub.called("prune") == [("p-2", PruneExecute(data=True))]


async def test_marks_choose_the_kinds_and_escape_removes_nothing() -> None:
    hub = with_disk()
    async with shown(hub) as (app, pilot):
        await pilot.press("f9")
        await until(pilot, sees(app, "600M"))
        await pilot.press("j", "space", "j", "space", "c")
        await until(pilot, lambda: isinstance(app.screen, PlanDialog))
        await pilot.press("escape")
        await until(pilot, sees(app, "nothing was removed"))
        assert hub.called("plan_prune") == [(PruneRequest(kinds=["images", "volumes"]),)]
        assert not hub.called("prune")


async def test_nothing_unused_a_refusal_and_a_failure_are_said() -> None:
    hub = with_disk()
    hub.answers["plan_prune"] = replace(IMAGES, objects=[])
    async with shown(hub) as (app, pilot):
        await pilot.press("f9")
        await until(pilot, sees(app, "600M"))
        await app.do_words("clean images")
        await until(pilot, sees(app, "nothing of images is unused"))
        hub.answers["plan_prune"] = BadRequest("'output' cannot be cleaned up", hint="one of images, cache")
        await app.do_words("clean output")
        await until(pilot, sees(app, "'output' cannot be cleaned up — one of images, cache"))
        hub.answers |= {
            "plan_prune": IMAGES,
            "prune": replace(DONE, state="failed", result=None, error=TaskError("driver_failed", "the engine is gone")),
        }
        await app.do_words("clean images")
        await until(pilot, lambda: isinstance(app.screen, PlanDialog))
        await typed(pilot, "remove")
        await pilot.press("enter")
        await until(pilot, sees(app, "the clean-up did not end well: the engine is gone"))
