"""Snapshots on the screen: their lineage, the place and the tab, what differs between two, and links to them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from clawtui.errors import UsageError
from clawtui.tui import snapshots as words
from clawtui.tui.actions import Where
from clawtui.tui.lineage import MOST_CELLS, tree, without_gaps
from clawtui.tui.links import Link, parse_link, verb_words
from clawtui.tui.screens.snapshots import SnapshotsPane
from clawtui.tui.widgets.detail import TABS, title_pieces
from hub.contract import DriverHealth, SnapshotDiff, SnapshotEstimate, SnapshotPlace, SnapshotSchedule, SnapshotView
from hub.core.model import Consistency, SnapshotState
from hub.errors import NotAvailable
from tests.hub.api.scripted import HEALTH
from tests.tui import fleet_script, office_script, snapshot_script
from tests.tui.scripted import ScriptedHub, an_agent, sees, shown, text_of, typed, until

NOW = office_script.NOW
SIZES = ((80, 24), (120, 40), (200, 60))
GIB = snapshot_script.GIB


def a_snapshot(name: str, parent: str | None = None, day: int = 1, agent: str = "a-1", **fields: Any) -> SnapshotView:
    known: dict[str, Any] = {
        "consistency": Consistency.CRASH, "created_at": f"2026-01-{day:02}T00:00:00.000Z", "size_bytes": 1024,
    }  # fmt: skip
    return SnapshotView(id=f"sn_{name}", agent_id=agent, name=name, parent=parent, **(known | fields))


def drawn(*snapshots: SnapshotView) -> list[str]:
    return [f"{one.drawing}{one.snapshot.name}" for one in tree(snapshots)]


# --- lineage


def test_a_line_goes_on_straight_and_side_lines_branch_off() -> None:
    assert drawn(
        a_snapshot("base", day=1),
        a_snapshot("try", "sn_base", 2),
        a_snapshot("try-2", "sn_try", 3),
        a_snapshot("alone", "sn_base", 4),
        a_snapshot("next", "sn_base", 5),
        a_snapshot("last", "sn_next", 6),
        a_snapshot("other", day=7),
    ) == ["┌ base", "├─┬ try", "│ └ try-2", "├── alone", "├ next", "└ last", "─ other"]


def test_the_line_with_the_newest_snapshot_goes_on_straight() -> None:
    base, early, late = a_snapshot("base"), a_snapshot("early", "sn_base", 2), a_snapshot("late", "sn_base", 3)
    assert drawn(base, early, late) == ["┌ base", "├── early", "└ late"]
    assert drawn(base, early, late, a_snapshot("newest", "sn_early", 4)) == [
        "┌ base", "├── late", "├ early", "└ newest",
    ]  # fmt: skip


def test_a_parent_that_is_gone_and_one_that_is_its_own_do_no_harm() -> None:
    assert drawn(a_snapshot("a", "sn_gone"), a_snapshot("b", "sn_b", 2)) == ["─ a", "─ b"]
    assert drawn(a_snapshot("a", "sn_b"), a_snapshot("b", "sn_a", 2)) == ["─ a", "─ b"]


@given(st.lists(st.integers(-1, 30), max_size=30))
def test_every_snapshot_is_drawn_once_below_its_parent(parents: list[int]) -> None:
    """Whatever the parents are, also circles."""
    known = [
        a_snapshot(str(number), None if parent < 0 else f"sn_{parent}", 1 + number % 28)
        for number, parent in enumerate(parents)
    ]
    found = tree(known)
    assert sorted(one.snapshot.id for one in found) == sorted(one.id for one in known)
    assert all(len(one.drawing) <= MOST_CELLS for one in found)
    at = {one.snapshot.id: place for place, one in enumerate(found)}
    for one in found:
        if not one.drawing.startswith(("┌", "─", "…")):
            assert one.snapshot.parent is not None
            assert at[one.snapshot.parent] < at[one.snapshot.id]


def test_a_filtered_tree_is_a_tree() -> None:
    known = [a_snapshot("a"), a_snapshot("b", "sn_a", 2), a_snapshot("c", "sn_b", 3)]
    kept = without_gaps([known[0], known[2]], known)
    assert [(one.name, one.parent) for one in kept] == [("a", None), ("c", "sn_a")]
    assert [one.parent for one in without_gaps([known[2]], known)] == [None]


# --- words


@pytest.mark.parametrize(
    ("seconds", "said"), [(60, "1m"), (90, "90s"), (3_600, "1h"), (21_600, "6h"), (86_400, "1d"), (90_000, "25h")]
)
def test_a_length_of_time_is_said_as_it_is_typed(seconds: int, said: str) -> None:
    assert words.span(seconds) == said


def test_an_estimate_says_when_there_is_no_room() -> None:
    fits = SnapshotEstimate(agent_id="a", volume_bytes=GIB, image_bytes=0, free_bytes=9 * GIB)
    assert words.estimate_text([fits]) == ("about 1.0G of workspace; 9.0G are free on the hub's disk", "")
    text, style = words.estimate_text([replace(fits, volume_bytes=5 * GIB), replace(fits, volume_bytes=5 * GIB)])
    assert text.startswith("! about 10G of workspace: too much, only 9.0G")
    assert style == "bad"


def test_a_schedule_says_when_the_next_one_is_due_and_what_stays() -> None:
    place = SnapshotPlace(agent_id="a", next_at=office_script.ago(-600))
    assert words.schedule_text(place, NOW) == "none"
    schedule = SnapshotSchedule(interval_seconds=21_600, keep_last=5, keep_days=30, consistency=Consistency.CLEAN)
    said = words.schedule_text(replace(place, schedule=schedule), NOW)
    assert said == "every 6h, next in 10m00s, keeps the last 5, keeps 30 days, clean"
    assert words.schedule_words("a", schedule) == [
        "snapshots", "schedule", "a", "--every", "6h", "--keep-last", "5", "--keep-days", "30", "--clean",
    ]  # fmt: skip


def test_of_a_broken_one_the_detail_says_why_and_offers_no_restore() -> None:
    one = a_snapshot("b", state=SnapshotState.BROKEN, reason="no room")
    told = {field.label: f"{field.text} {field.more}" for field in words.detail(one, {one.id: one}, None, NOW, True)}
    assert "× broken" in told["State"]
    assert "no room" in told["Why"]
    assert "Command" not in told
    made = words.detail(replace(one, state=SnapshotState.READY), {one.id: one}, None, NOW, False)
    assert any(field.text == "clawtui restore a-1 b" for field in made)
    assert any("a restore makes it again" in field.text for field in made)


@pytest.mark.parametrize("cells", [38, 56, 60, 80, 100])
def test_the_tabs_fit_the_detail(cells: int) -> None:
    pieces = title_pieces("builder-1", "snapshots", cells)
    text = "".join(one for one, _ in pieces)
    assert all(f" {number} " in f"{text} " for number in range(1, len(TABS) + 1))
    if cells >= 56:
        assert len(text) <= cells
        assert "builder-1" in text


# --- the place


@pytest.mark.parametrize("size", SIZES)
async def test_the_place_has_the_tree_and_the_one_under_the_cursor_in_full(size: tuple[int, int]) -> None:
    async with shown(fleet_script.hub(), size) as (app, pilot):
        await pilot.press("f7")
        await until(pilot, sees(app, "Snapshots 10 · 16G in all · × 1 broken", "┌ clean-install", "├── first-day"))
        await pilot.press("j", "j")
        await until(pilot, sees(app, "builder-1:try-clang", "Parent", "builder-1:before-upgrade", "try-clang-lto"))
        if size[1] >= 40:
            await until(
                pilot, sees(app, "every 1d, next in 12h03m", "2 sockets are left out", "can be undone for 1h56m")
            )
        assert ("PARENT" in text_of(app)) is (size[0] >= 120)


async def test_a_filter_keeps_a_tree_and_a_word_brings_one_here() -> None:
    async with shown(fleet_script.hub()) as (app, pilot):
        await app.do_words("snapshots migrator")
        await until(pilot, sees(app, "Snapshots 2 of 10", "┌ 0041", "└ 0042"))
        await pilot.press("escape")
        await until(pilot, sees(app, "Snapshots 10"))
        await pilot.press("slash", *"state:broken", "enter")
        await until(pilot, sees(app, "Snapshots 1 of 10", "─ 0042", "the engine went away"))


async def test_an_empty_place_says_what_to_do() -> None:
    hub = snapshot_script.answer(ScriptedHub(an_agent("a-1")), [])
    async with shown(hub, (80, 24)) as (app, pilot):
        await pilot.press("f7")
        await until(pilot, sees(app, "No snapshots yet", "B saves an agent", "E lets the hub do it"))
    async with shown(hub, (80, 24), read_only=True) as (app, pilot):
        await pilot.press("f7")
        await until(pilot, sees(app, "This screen is read-only: snapshots appear here"))
    hub.agents_by_id.clear()
    async with shown(hub, (80, 24)) as (app, pilot):
        await pilot.press("f7")
        await until(pilot, sees(app, "f1, then c makes one"))


async def test_while_the_hub_is_away_what_was_read_stays_in_doubt() -> None:
    hub = fleet_script.hub()
    async with shown(hub) as (app, pilot):
        await pilot.press("f7")
        await until(pilot, sees(app, "√ ready", "└ 2026-03-14-0300"))
        hub.lose()
        await until(pilot, sees(app, "The hub is away", "√ ready?", "└ 2026-03-14-0300"))
        assert isinstance(app.main.pane, SnapshotsPane)
        assert all(row.stale for row in app.main.pane.table.rows)


async def test_what_changes_is_read_again() -> None:
    known = snapshot_script.snapshots()
    hub = snapshot_script.answer(ScriptedHub(an_agent("builder-1")), known)
    async with shown(hub) as (app, pilot):
        await pilot.press("f7")
        await until(pilot, sees(app, "Snapshots 10"))
        known.insert(0, a_snapshot("brand-new", agent="builder-1", state=SnapshotState.CREATING))
        hub.tell("snapshot", "sn_brand-new")
        await until(pilot, sees(app, "Snapshots 11", "◔ creating", "brand-new"))


# --- the tab of an agent


@pytest.mark.parametrize("size", SIZES)
async def test_the_tab_has_the_agents_own_and_enter_goes_to_one(size: tuple[int, int]) -> None:
    async with shown(fleet_script.hub(), size) as (app, pilot):
        await until(pilot, sees(app, "builder-1"))
        await pilot.press("5")
        await until(pilot, sees(app, "┌ clean-install", "└ 2026-03-14-0300", "● yes"))
        assert "first-day" not in text_of(app)
        await pilot.press("enter", "j", "enter")
        await until(pilot, lambda: app.main.pane.place is Where.SNAPSHOTS)
        await until(pilot, lambda: [one.id for one in app.main.pane.snapshots()] == ["sn_b2"])


async def test_the_tab_of_an_agent_without_snapshots_says_what_to_do_or_why_there_are_none() -> None:
    agents = [an_agent("a-1"), an_agent("a-2", driver="vm"), an_agent("a-3", driver="")]
    hub = snapshot_script.answer(ScriptedHub(*agents), [])
    drivers = [DriverHealth(name="vm", usable=True, features=["pause"])]
    hub.answers["health"] = replace(HEALTH, drivers=drivers)
    async with shown(hub) as (app, pilot):
        await pilot.press("5")
        await until(pilot, sees(app, "No snapshots of this agent yet", "Press B to take one"))
        await pilot.press("j")
        await until(pilot, sees(app, "It is run by the vm driver, which has no snapshots"))
        await pilot.press("j")
        await until(pilot, sees(app, "It has no driver"))


# --- two of them


async def test_the_two_marked_ones_are_compared_the_older_one_first() -> None:
    hub = fleet_script.hub()
    async with shown(hub, (80, 24)) as (app, pilot):
        await pilot.press("f7")
        await until(pilot, sees(app, "clean-install"))
        await pilot.press("j", "space", "space", "d")
        await until(
            pilot, sees(app, "Difference builder-1:before-upgrade → builder-1:try-clang", "+2 added -2 removed")
        )
        await until(pilot, sees(app, "~ changed content", "402K", "422K", "/workspace/web/run.sh"))
        assert hub.called("diff_snapshots")[0][0] == "sn_b2"
        await pilot.press("slash", *"change:removed", "enter")
        await until(pilot, lambda: "legacy/parser.c" in text_of(app) and "run.sh" not in text_of(app))
        await pilot.press("L")
        await until(pilot, lambda: "differences/sn_b2,sn_b3" in app.clipboard)
        assert "clawtui snapshots diff sn_b2 sn_b3" in app.clipboard


async def test_one_is_compared_with_a_chosen_one_its_parent_first() -> None:
    hub = fleet_script.hub()
    async with shown(hub, (80, 24)) as (app, pilot):
        await pilot.press("f7")
        await until(pilot, sees(app, "clean-install"))
        await pilot.press("j", "d")
        await until(pilot, sees(app, "Compare builder-1:before-upgrade with", "parent, 10d10h old"))
        assert "migrator:0042" not in "".join(text_of(app).split("type to find")[1:])
        await pilot.press("enter")
        await until(pilot, sees(app, "Difference builder-1:clean-install → builder-1:before-upgrade"))


async def test_what_a_difference_leaves_out_is_said_and_two_equals_too() -> None:
    hub = fleet_script.hub()
    whole = snapshot_script.difference("sn_b2", "sn_b3")
    hub.answers["diff_snapshots"] = replace(whole, truncated=True, base_image_changed=True)
    async with shown(hub) as (app, pilot):
        await app.do_words("diff builder-1:before-upgrade builder-1:try-clang")
        await until(pilot, sees(app, "the first 7 of 7 are listed", "the two are of different images"))
        hub.answers["diff_snapshots"] = SnapshotDiff(before="sn_b1", after="sn_b2", entries=[], counts={})
        await app.do_words("diff sn_b1 sn_b2")
        await until(pilot, sees(app, "No file differs"))
        hub.answers["diff_snapshots"] = NotAvailable("its files are gone")
        await app.do_words("diff sn_b1 sn_b3")
        await until(pilot, sees(app, "They cannot be compared: its files are gone"))


# --- links


def test_links_of_snapshots_are_read_and_written() -> None:
    for text, link in {
        "snapshots": Link(Where.SNAPSHOTS),
        "snapshots/sn_1": Link(Where.SNAPSHOTS, ("sn_1",)),
        "differences/sn_1,sn_2": Link(Where.DIFFERENCE, ("sn_1", "sn_2")),
        "agents/a-1/snapshots": Link(Where.FLEET, ("a-1",), "snapshots"),
    }.items():
        assert parse_link(text) == link
        assert str(link) == text
    assert verb_words(Link(Where.SNAPSHOTS, ("sn_1",))) == [["snapshots", "show", "sn_1"]]
    for wrong in ("differences", "differences/sn_1", "differences/a,b,c", "differences/,b"):
        with pytest.raises(UsageError) as refused:
            parse_link(wrong)
        assert "snapshots" in refused.value.message


async def test_a_link_leads_to_a_snapshot_by_id_or_by_name() -> None:
    async with shown(fleet_script.hub()) as (app, pilot):
        for link, meant in (("snapshots/sn_b3", "sn_b3"), ("snapshots/migrator:0041", "sn_m1")):
            await app.do_words(f"go {link}")
            await until(pilot, lambda meant=meant: [one.id for one in app.main.pane.snapshots()] == [meant])
        await pilot.press("L")
        await until(pilot, lambda: "snapshots/sn_m1" in app.clipboard)
        await app.do_words("go snapshots/sn_none")
        await until(pilot, sees(app, "there is no snapshot sn_none"))
        await typed(pilot, "y")
        await until(pilot, lambda: app.clipboard == "sn_m1")
