"""Personas on the screen: their state and that of their gateways, the difference line by line, runs and decisions."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace

from clawtui.tui import sync as words
from clawtui.tui.actions import Where
from clawtui.tui.sync_difference import SAME, difference_of, file_row
from clawtui.tui.widgets.dialogs import ConfirmDialog, TypeNameDialog
from clawtui.tui.widgets.fields import Fields
from clawtui.tui.widgets.fleet_table import FleetTable
from clawtui.tui.widgets.lines_view import LinesView, worded
from clawtui.tui.widgets.sync_plan import SyncPlanScreen
from hub.contract import (
    AttentionList,
    AttentionView,
    FileDifference,
    JobList,
    PersonaSync,
    ProfileView,
    ResolveSync,
    Severity,
    SuggestedAct,
    SyncReport,
    SyncReports,
    SyncRun,
    SyncState,
    SyncStatus,
)
from hub.errors import Conflict, NotFound
from tests.hub.api.scripted import WHEN
from tests.tui import sync_script
from tests.tui.office_script import NOW, ago
from tests.tui.scripted import ScriptedHub, an_agent, sees, shown, text_of, typed, until

SIZES = ((80, 24), (120, 40), (200, 60))
DRIFTED = sync_script.personas()[0]


def with_sync() -> ScriptedHub:
    hub = ScriptedHub(an_agent("a-1", profile="engineer"))
    hub.now = NOW
    hub.answers |= {**sync_script.gateway_answers(), "jobs": JobList(jobs=[])}
    return hub


# --- words


def test_every_state_has_a_glyph_and_a_word() -> None:
    assert set(words.SIGNS) == set(SyncState)
    assert len({sign.glyph for sign in words.SIGNS.values()}) == len(SyncState)
    assert words.state_cell(DRIFTED, stale=False).text == "▲ drifted"
    assert words.state_cell(DRIFTED, stale=True).text == "▲ drifted?"


def test_what_needs_a_look_comes_first_and_any_column_sorts() -> None:
    personas = sync_script.personas()

    def order(key: str, *, descending: bool = False) -> list[str]:
        return [one.slug for one in words.sorted_by(personas, key, descending=descending)]

    assert order("state")[:4] == ["porter", "reviewer", "engineer", "support"]
    assert order("state", descending=True)[-1] == "porter"
    assert order("files")[0] == "engineer"
    assert order("since")[0] == "support"
    assert order("persona") == sorted(one.slug for one in personas)
    assert order("gateway")[:2] == ["greeter", "porter"]


def test_rows_of_what_did_not_change_stay_the_same_objects() -> None:
    """Thousands are looked at again every few seconds: only those that look different are made again."""
    rows = words.PersonaRows()
    many = [replace(DRIFTED, slug=f"p-{number}", at=ago(86_400 * 3)) for number in range(5_000)]
    first = [row for _, row in rows.make(many, words.COLUMNS, NOW, stale=False)]
    again = [row for _, row in rows.make(many, words.COLUMNS, NOW + timedelta(seconds=2), stale=False)]
    assert all(before is after for before, after in zip(first, again, strict=True))
    copies = [replace(one) for one in many]  # as they are read again
    again = [row for _, row in rows.make(copies, words.COLUMNS, NOW + timedelta(seconds=4), stale=False)]
    assert all(before is after for before, after in zip(first, again, strict=True))
    copies[4_000] = replace(copies[4_000], state=SyncState.IN_STEP)
    changed = [row for _, row in rows.make(copies, words.COLUMNS, NOW + timedelta(seconds=6), stale=False)]
    assert [n for n, (a, b) in enumerate(zip(first, changed, strict=True)) if a is not b] == [4_000]


def test_when_all_ages_become_others_some_wait() -> None:
    rows = words.PersonaRows()
    many = [replace(DRIFTED, slug=f"p-{number}", at=ago(86_400 * 3)) for number in range(1_000)]
    first = [row for _, row in rows.make(many, words.COLUMNS, NOW, stale=False)]
    later = NOW + timedelta(hours=30)
    seen = [row for _, row in rows.make(many, words.COLUMNS, later, stale=False)]
    assert sum(before is not after for before, after in zip(first, seen, strict=True)) == words.AGED_AT_ONCE
    for _ in range(4):
        seen = [row for _, row in rows.make(many, words.COLUMNS, later, stale=False)]
    assert {row.cells[6].text for row in seen} == {"4d"}


def test_ages_in_a_list_are_short() -> None:
    assert [words.short_age(one) for one in (0.2, 45, 840, 7_300, 86_400 * 3)] == ["0s", "45s", "14m", "2h", "3d"]


def told(status: SyncStatus, front: str, cells: int = 400) -> str:
    peopled = {one.gateway for one in status.personas}
    return "".join(text for text, _ in words.target_lines(status, peopled, front, NOW, cells))


def test_the_gateway_in_front_is_told_in_full_and_of_the_others_what_is_wrong() -> None:
    said = told(sync_script.status(), "main")
    for part in ("main: from folder /srv/personas", "ran 4s ago", "next in 56s", "√ verified 1m04s ago",
                 "its roster was read back", "× edge: Convex answered 503"):  # fmt: skip
        assert part in said
    assert "it tries again" not in said
    said = told(sync_script.status(), "edge")
    assert "last without a problem 2h00m ago" in said
    assert "not verified" in said
    assert "it tries again" in said


def test_a_gateway_without_personas_is_told_in_full_wherever_the_cursor_is() -> None:
    status = sync_script.status()
    alone = replace(status, personas=[one for one in status.personas if one.gateway == "main"])
    assert "look whether https://personas.example is up" in told(alone, "main")
    never = replace(alone.targets[1], last_run_at=None, last_ok_at=None, next_run_at=None, problem="", running=False)
    assert "has not run yet" in told(replace(alone, targets=[never]), "main")


def test_a_sync_that_is_switched_off_says_so() -> None:
    assert "switched off by the hub's settings" in told(replace(sync_script.status(), enabled=False), "main")


def test_what_a_run_did_or_would_do_is_counted() -> None:
    did = SyncReport(gateway="main", dry_run=False, steps=sync_script.STEPS, archived=["x"], config_changed=True)
    assert words.report_said(did) == "main: 1 created, 1 written, 1 waits for you, 1 archived, config changed"
    would = words.report_said(replace(did, dry_run=True))
    assert would == (
        "main: 1 would be created, 1 would be written, 1 waits for you, 1 would be archived, config would be changed"
    )
    nothing = SyncReport(gateway="main", dry_run=False, steps=[])
    assert words.report_said(nothing) == "main: nothing to do, all is as the source says"
    text = words.reports_text([replace(did, problem="the disk is full")], 60).plain
    assert "4 things to do, 1 waits for you and stays as it is" in text
    assert "× the disk is full" in text
    assert "- archive  x" in text


# --- the difference


def file(before: str | None, after: str | None, **more: object) -> FileDifference:
    return replace(FileDifference(path="SOUL.md", action="drift"), on_disk=before, wanted=after, **more)


def test_a_difference_goes_from_the_disk_to_the_source() -> None:
    found = difference_of(file("a\nb\nc\n", "a\nB\nc\n"))
    assert [text for text, _ in found.lines[3:]] == [" a", "-b", "+B", " c"]
    assert (found.more, found.less) == (1, 1)
    _, row = file_row(file("a\n", "b\n"), found, stale=False)
    assert [cell.text for cell in row.cells] == ["▲ drift", "SOUL.md", "+1 -1", ""]


def test_files_that_are_not_there_and_what_is_no_text_are_said() -> None:
    assert "no file: SOUL.md" in difference_of(file(None, "a\n")).lines[0][0]
    assert "no file is wanted" in difference_of(file("a\n", None)).lines[1][0]
    assert "not text" in difference_of(file(None, None, binary=True)).lines[0][0]
    assert "no such file" in difference_of(file(None, None)).lines[0][0]
    assert difference_of(file("a\n", "a\n")).lines[-1][0] == SAME


def test_what_cannot_be_seen_is_made_visible() -> None:
    crlf = [text for text, _ in difference_of(file("a\r\n", "a\n")).lines]
    assert "-a␍" in crlf
    assert "+a" in crlf
    assert "no line break at the end on the disk" in difference_of(file("a", "a\n")).lines[-1][0]
    assert "as the source wants it" in difference_of(file("a\nb\n", "a\nc")).lines[-1][0]


def test_an_answer_keeps_the_indent_of_its_lines() -> None:
    assert worded("    four words go on", 12) == ["    four", "    words go", "    on"]


# --- the place


@pytest.mark.parametrize("size", SIZES)
async def test_personas_stand_with_their_state_and_their_gateway(size: tuple[int, int]) -> None:
    async with shown(with_sync(), size) as (app, pilot):
        await pilot.press("f10")
        await until(pilot, sees(app, "1 failed, 1 conflict, 1 drifted", "▲ drifted", "engineer", "× failed"))
        await until(pilot, sees(app, "edge: from convex", "× Convex answered 503", "it tries again"))
        await pilot.press("j", "j")
        await until(pilot, sees(app, "main: from folder /srv/personas", "next in 56s"))
        assert str(app.going.front()) == "sync"


async def test_a_word_in_the_feed_is_read_at_once_and_nothing_else_is() -> None:
    hub = with_sync()
    async with shown(hub) as (app, pilot):
        await pilot.press("f10")
        await until(pilot, sees(app, "▲ drifted"))
        reads = len(hub.called("sync_status"))
        now = [replace(one, state=SyncState.IN_STEP, files=[], reason="") for one in sync_script.personas()]
        hub.answers["sync_status"] = replace(sync_script.status(), personas=now)
        hub.tell("sync", "main/engineer")
        await until(pilot, lambda: "▲ drifted" not in text_of(app) and "7 in-step" in text_of(app))
        assert len(hub.called("sync_status")) == reads + 1


async def test_the_time_of_a_run_that_changed_nothing_is_read_when_one_was_due() -> None:
    hub = with_sync()
    async with shown(hub) as (app, pilot):
        await pilot.press("f10", *":filter gateway:main", "enter")
        await until(pilot, sees(app, "main: from folder", "next in 56s"))
        target = replace(sync_script.targets()[0], last_run_at=ago(-56), next_run_at=ago(-116))
        hub.answers["sync_status"] = replace(sync_script.status(), targets=[target])
        hub.now = NOW + timedelta(seconds=60)
        await until(pilot, sees(app, "main: from folder /srv/personas · ran 4s ago · next in 56s"))


async def test_filter_sort_and_marks_are_those_of_other_tables() -> None:
    async with shown(with_sync()) as (app, pilot):
        await pilot.press("f10")
        await until(pilot, sees(app, "Personas 7", "by state"))
        await app.do_words("filter state:drifted")
        await until(pilot, sees(app, "Personas 1 of 7"))
        await pilot.press("escape")
        await app.do_words("sort persona")
        await until(pilot, sees(app, "by persona"))
        assert [row.key for row in app.main.pane.query_one(FleetTable).rows][:2] == ["main/engineer", "edge/greeter"]
        await pilot.press("S", "g", "space", "space")
        await until(pilot, sees(app, "by persona reversed", "2 marked"))
        await app.do_words("sort moon")
        await until(pilot, sees(app, "there is no column 'moon'"))


async def test_five_thousand_personas_are_shown() -> None:
    hub = with_sync()
    many = [replace(DRIFTED, slug=f"p-{number:04}") for number in range(5_000)]
    hub.answers["sync_status"] = SyncStatus(enabled=True, targets=sync_script.targets()[:1], personas=many)
    async with shown(hub) as (app, pilot):
        await pilot.press("f10")
        await until(pilot, sees(app, "Personas 5000", "p-0000"))
        await pilot.press("G")
        await until(pilot, sees(app, "p-4999"))
        await app.do_words("filter persona:p-2500")
        await until(pilot, sees(app, "Personas 1 of 5000", "p-2500"))


async def test_without_gateways_it_is_said_what_to_do() -> None:
    async with shown(ScriptedHub(an_agent("a-1")), (80, 24)) as (app, pilot):
        await app.do_words("sync")
        await until(pilot, sees(app, "No gateway is synced", "2 shows the gateways"))
        await pilot.press("d")
        await until(pilot, sees(app, "no persona is meant"))


async def test_an_older_hub_is_said() -> None:
    hub = with_sync()
    hub.answers["sync_status"] = NotFound("there is nothing at /sync")
    async with shown(hub, (80, 24)) as (app, pilot):
        await app.do_words("sync")
        await until(pilot, sees(app, "of an older version, which does not sync"))


async def test_what_is_lost_is_greyed_and_stays() -> None:
    hub = with_sync()
    async with shown(hub) as (app, pilot):
        await pilot.press("f10")
        await until(pilot, sees(app, "▲ drifted"))
        hub.lose()
        await until(pilot, lambda: app.main.pane.query_one(FleetTable).rows[0].stale)
        await until(pilot, sees(app, "drifted?"))


# --- one persona


@pytest.mark.parametrize("size", SIZES)
async def test_enter_opens_the_difference_and_escape_leads_back(size: tuple[int, int]) -> None:
    async with shown(with_sync(), size) as (app, pilot):
        await pilot.press("f10")
        await until(pilot, sees(app, "engineer"))
        await pilot.press("j", "j", "enter")
        await until(pilot, sees(app, "Difference of main/engineer", "SOUL.md", "+1 -1", "-You build things, and"))
        await until(pilot, sees(app, "+You build things.", "+ comes when the source's is applied", "▲ drifted"))
        assert str(app.going.front()) == "personas/main/engineer"
        await pilot.press("j")
        await until(pilot, sees(app, "-Ask for Ada.", "Not to be adopted: the folder's profile"))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.focused, LinesView))
        await pilot.press("escape", "escape")
        await until(pilot, lambda: app.main.pane.place is Where.SYNC)


async def test_a_long_text_is_scrolled_and_no_line_of_it_is_cut() -> None:
    hub = with_sync()
    long = "".join(f"line {number}\n" for number in range(400)) + "w" * 300 + " the end\n"
    found = sync_script.difference("main", "engineer")
    hub.answers["sync_diff"] = replace(found, files=[replace(found.files[0], on_disk=None, wanted=long)])
    async with shown(hub, (80, 24)) as (app, pilot):
        await app.do_words("difference main/engineer")
        await until(pilot, sees(app, "+line 0"))
        await pilot.press("enter", "G")
        await until(pilot, sees(app, "the end"))
        assert "".join(text_of(app).split()).count("w") >= 300


async def test_a_persona_that_is_not_there_is_said() -> None:
    async with shown(with_sync(), (80, 24)) as (app, pilot):
        await app.do_words("difference main/nobody")
        await until(pilot, sees(app, "there is no persona main/nobody"))
        await app.do_words("difference nobody")
        await until(pilot, sees(app, "'nobody' is no persona"))
        await app.do_words("go personas/main/nobody")
        await until(pilot, sees(app, "there is no persona main/nobody"))


# --- decisions


@pytest.mark.parametrize("size", SIZES)
async def test_applying_asks_with_the_files_and_says_where_the_other_text_is(size: tuple[int, int]) -> None:
    hub = with_sync()
    async with shown(hub, size) as (app, pilot):
        await app.do_words("difference main/engineer")
        await until(pilot, sees(app, "-You build"))
        await pilot.press("a")
        await until(pilot, lambda: isinstance(app.screen, ConfirmDialog))
        await until(pilot, sees(app, "Overwrite 1 file with the source's text?", "main/engineer: SOUL.md"))
        await until(pilot, sees(app, "/srv/openclaw/agents/engineer/.clawtui-archive/"))
        await pilot.press("enter")  # Cancel is the default
        await until(pilot, lambda: not isinstance(app.screen, ConfirmDialog))
        assert not hub.called("sync_resolve")
        await pilot.press("a")
        await until(pilot, lambda: isinstance(app.screen, ConfirmDialog))
        await pilot.press("tab", "enter")
        await until(pilot, lambda: hub.called("sync_resolve"))
        assert hub.called("sync_resolve") == [("main", "engineer", ResolveSync(decision="apply", path="SOUL.md"))]
        await until(pilot, sees(app, "√ SOUL.md of main/engineer applied; the other text is in"))


async def test_keeping_is_done_at_once_and_adopting_asks() -> None:
    hub = with_sync()
    async with shown(hub) as (app, pilot):
        await app.do_words("difference main/engineer")
        await until(pilot, sees(app, "-You build"))
        await pilot.press("K")
        await until(pilot, sees(app, "SOUL.md of main/engineer kept", "clawtui sync resolve main/engineer keep"))
        await pilot.press("i")
        await until(pilot, sees(app, "Take 1 file into the source?"))
        await pilot.press("tab", "enter")
        await until(pilot, sees(app, "SOUL.md of main/engineer adopted"))
        decisions = [request.decision for _, _, request in hub.called("sync_resolve")]
        assert decisions == ["keep", "adopt"]


async def test_what_the_source_cannot_take_is_refused_with_its_reason() -> None:
    hub = with_sync()
    async with shown(hub) as (app, pilot):
        await app.do_words("difference main/engineer")
        await until(pilot, sees(app, "-You build"))
        await pilot.press("j", "i")
        await until(pilot, sees(app, "USER.md cannot be adopted: the folder's profile has no user part"))
        await pilot.press("j", "a")
        await until(pilot, sees(app, "nobody changed this file: the next run writes it"))
        assert not hub.called("sync_resolve")


async def test_from_the_list_all_files_of_the_marked_ones_are_decided_about() -> None:
    hub = with_sync()
    async with shown(hub) as (app, pilot):
        await pilot.press("f10")
        await until(pilot, sees(app, "engineer"))
        await pilot.press("a")
        await until(pilot, sees(app, "nothing of it waits for a decision"))
        await pilot.press("j", "space", "space", "a")
        await until(pilot, sees(app, "Overwrite 3 files", "main/engineer: SOUL.md, USER.md", "main/reviewer: SOUL.md"))
        await pilot.press("tab", "enter")
        await until(pilot, lambda: len(hub.called("sync_resolve")) == 2)
        assert {(slug, request.path) for _, slug, request in hub.called("sync_resolve")} == {
            ("engineer", ""), ("reviewer", ""),
        }  # fmt: skip


async def test_a_refusal_of_one_of_several_is_told_and_the_others_are_done() -> None:
    hub = with_sync()

    def answer(gateway: str, slug: str, request: ResolveSync) -> PersonaSync | Conflict:
        if slug == "reviewer":
            return Conflict("the file changed in between", hint="look at the difference again")
        return sync_script.resolved(gateway, slug, request)

    hub.answers["sync_resolve"] = answer
    async with shown(hub, (200, 60)) as (app, pilot):
        await pilot.press("f10")
        await until(pilot, sees(app, "engineer"))
        await pilot.press("j", "space", "space", "K")
        await until(pilot, sees(app, "main/reviewer: the file changed in between (look at the difference again)"))
        assert len(hub.called("sync_resolve")) == 2


# --- runs


async def test_a_run_says_what_it_did_and_what_waits() -> None:
    hub = with_sync()
    async with shown(hub) as (app, pilot):
        await pilot.press("f10")
        await until(pilot, sees(app, "engineer"))
        await pilot.press("j", "j", "r")
        await until(pilot, sees(app, "√ main: 1 created, 1 written, 1 waits for you", "clawtui sync run main"))
        assert hub.called("sync_run") == [(SyncRun(gateway="main"),)]
        hub.answers["sync_run"] = SyncReports(
            reports=[SyncReport(gateway="main", dry_run=False, steps=[], problem="the disk is full")]
        )
        await pilot.press("r")
        await until(pilot, sees(app, "× main: the disk is full"))


@pytest.mark.parametrize("size", SIZES)
async def test_a_dry_run_shows_its_plan_and_can_be_run_from_there(size: tuple[int, int]) -> None:
    hub = with_sync()
    async with shown(hub, size) as (app, pilot):
        await pilot.press("f10")
        await until(pilot, sees(app, "engineer"))
        await pilot.press("j", "j", "p")
        await until(pilot, lambda: isinstance(app.screen, SyncPlanScreen))
        await until(pilot, sees(app, "main: 4 things to do", "+ create   support/SOUL.md", "Sync now"))
        await pilot.press("escape")
        await until(pilot, sees(app, "nothing was written"))
        await pilot.press("p")
        await until(pilot, lambda: isinstance(app.screen, SyncPlanScreen))
        await pilot.press("tab", "enter")
        await until(pilot, lambda: len(hub.called("sync_run")) == 3)
        assert [request.dry_run for (request,) in hub.called("sync_run")] == [True, True, False]


async def test_that_a_source_is_empty_on_purpose_is_typed() -> None:
    hub = with_sync()
    async with shown(hub) as (app, pilot):
        await pilot.press("f10")
        await until(pilot, sees(app, "engineer"))
        await app.do_words("accept-empty edge")
        await until(pilot, lambda: isinstance(app.screen, TypeNameDialog))
        await typed(pilot, "edge")
        await pilot.press("enter")
        await until(pilot, lambda: hub.called("sync_run"))
        assert hub.called("sync_run") == [(SyncRun(gateway="edge", accept_empty=True),)]


async def test_a_read_only_screen_looks_and_decides_nothing() -> None:
    hub = with_sync()
    async with shown(hub, read_only=True) as (app, pilot):
        await pilot.press("f10")
        await until(pilot, sees(app, "engineer"))
        await pilot.press("j", "j")
        for key, what in (("a", "apply"), ("K", "keep"), ("i", "adopt"), ("r", "sync now"), ("m", "message")):
            await pilot.press(key)
            await until(pilot, sees(app, f"read-only: {what} is not possible"))
        await pilot.press("p")
        await until(pilot, lambda: isinstance(app.screen, SyncPlanScreen))
        assert "Sync now" not in text_of(app).split("Close (esc)")[1].split("\n")[0]
        await pilot.press("escape")
        assert [request.dry_run for (request,) in hub.called("sync_run")] == [True]
        assert not hub.called("sync_resolve")


# --- from elsewhere


async def test_what_needs_a_person_leads_to_the_difference_or_to_the_gateway() -> None:
    hub = with_sync()
    need = AttentionView(
        id="sync_waits:main", kind="sync_waits", severity=Severity.WARNING, target_kind="gateway", target="main",
        since=WHEN, text="engineer: SOUL.md was changed",
        acts=[SuggestedAct(act="sync.diff", command="clawtui sync diff main/engineer")],
    )  # fmt: skip
    act = SuggestedAct(act="sync.show", command="clawtui sync status edge")
    broken = replace(need, id="sync_failed:edge", target="edge", text="Convex answered 503", acts=[act])
    act = SuggestedAct(act="gateway.show", command="clawtui gateway show lab")
    down = replace(need, id="gateway_down:lab", target="lab", text="nothing listens there", acts=[act])
    hub.answers["attention"] = AttentionList(attention=[need, broken, down])
    async with shown(hub) as (app, pilot):
        await until(pilot, sees(app, "SOUL.md was changed"))
        await pilot.press("A", "enter")
        await until(pilot, sees(app, "Difference of main/engineer", "-You build"))
        await pilot.press("A", "j", "enter")
        await until(pilot, sees(app, "/gateway:edge", "porter"))
        await pilot.press("A", "j", "j", "enter")
        await until(pilot, sees(app, "▸ lab", "nothing listens there: connection refused"))


async def test_the_profile_tab_of_an_agent_says_how_its_persona_is() -> None:
    hub = with_sync()
    effective = {"machine": {}, "contents": {}, "persona": {"slug": "engineer"}}
    profile = ProfileView(name="engineer", source="user", valid=True, effective=effective)
    hub.answers |= {"profile": profile, "agent": lambda name: hub.agents_by_id[name]}
    async with shown(hub, (200, 60)) as (app, pilot):
        await until(pilot, sees(app, "a-1"))
        await pilot.press("6")
        await until(pilot, sees(app, "main/engineer", "▲ drifted", "somebody changed SOUL.md and USER.md", "F10"))
        await pilot.press("f10")
        await until(pilot, lambda: app.main.pane.query_one(FleetTable).cursor_key == "main/engineer")
        assert app.main.pane.query_one(Fields).plain
