"""Gateways on the screen: how each is and whom it answers for, naming new ones, their sync, and forgetting one."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from textual.pilot import Pilot
from textual.widgets import Input, Select, Static

from clawtui.tui import gateways as words
from clawtui.tui.widgets.dialogs import ConfirmDialog
from clawtui.tui.widgets.fleet_table import FleetTable
from clawtui.tui.widgets.gateway_form import GatewayDialog
from hub.contract import (
    AddGateway,
    GatewayList,
    GatewayState,
    GatewayView,
    JobList,
    MountMapping,
    SyncSettings,
)
from hub.errors import BadRequest, NotFound
from tests.tui import sync_script
from tests.tui.office_script import NOW
from tests.tui.scripted import ScriptedHub, an_agent, sees, shown, text_of, typed, until

SIZES = ((80, 24), (120, 40), (200, 60))
MAIN, EDGE, LAB = sync_script.gateways()


def with_gateways() -> ScriptedHub:
    hub = ScriptedHub(an_agent("a-1"))
    hub.now = NOW
    hub.answers |= {**sync_script.gateway_answers(), "jobs": JobList(jobs=[])}
    return hub


# --- words


def test_every_state_has_a_glyph_and_a_word() -> None:
    assert set(words.SIGNS) == set(GatewayState)
    assert len({sign.glyph for sign in words.SIGNS.values()}) == len(GatewayState)


def test_a_gateway_is_told_with_its_roster_and_its_sync() -> None:
    told = [(field.text, field.more) for field in words.detail(MAIN, sync_script.status(), NOW, {"message.open": "m"})]
    assert ("√ ready", "looked at 6s ago") in told
    assert ("engineer", "▲ drifted") in told
    assert ("4 agents answer", "m says something to one of them") in told
    assert any("verified 1m04s ago" in text for text, _ in told)
    assert any("folder /srv/personas" in text for text, _ in told)


def test_what_is_not_known_is_said_so() -> None:
    told = [field.text for field in words.detail(LAB, None, NOW, {})]
    assert "it does not tell whom it answers for" in told
    assert words.NOT_SYNCED in told
    _, row = words.row(replace(LAB, checked_at=None), words.NOTHING_KNOWN, words.COLUMNS, NOW, stale=False)
    assert [cell.text for cell in row.cells] == [
        "lab", "-", "-", "× down", "?", "", "", "", "?", "never", "not synced", "http://lab.example:18789"
    ]  # fmt: skip


def test_the_state_of_a_sync_is_in_words() -> None:
    main, edge = sync_script.targets()
    assert words.sync_cell(main).text == "1 conflict, 1 drifted, 1 pending, 2 in-step"
    assert words.sync_cell(edge).text == "× Convex answered 503 three times"
    assert words.sync_cell(replace(main, counts={"in-step": 3})) == words.Cell("3 in-step", "ok")
    assert words.response_text(1840.0) == "1.8s"


# --- the place


@pytest.mark.parametrize("size", SIZES)
async def test_gateways_stand_with_what_was_seen_of_them(size: tuple[int, int]) -> None:
    async with shown(with_gateways(), size) as (app, pilot):
        await pilot.press("f11")
        await until(pilot, sees(app, "Gateways 3 · 1 ready", "√ ready", "! refused", "× down", "2026.9.6", "12ms"))
        await until(pilot, sees(app, "▸ edge", "it does not take our token (401)"))
        assert str(app.going.front()) == "gateways/edge"
        await pilot.press("1")
        await until(pilot, sees(app, "Personas 7"))
        await pilot.press("2")
        await until(pilot, sees(app, "Gateways 3"))


async def test_a_change_in_the_feed_is_read_again() -> None:
    hub = with_gateways()
    async with shown(hub) as (app, pilot):
        await pilot.press("f11")
        await until(pilot, sees(app, "× down"))
        hub.answers["gateways"] = GatewayList(gateways=[replace(LAB, state=GatewayState.READY)])
        hub.tell("gateway", "lab")
        await until(pilot, sees(app, "Gateways 1 · 1 ready"))


async def test_none_and_an_older_hub_are_said() -> None:
    hub = ScriptedHub(an_agent("a-1"))
    async with shown(hub, (80, 24)) as (app, pilot):
        await app.do_words("gateways")
        await until(pilot, sees(app, "No gateways are known yet", "c names one that exists"))
    hub.answers["gateways"] = NotFound("there is nothing at /gateways")
    async with shown(hub, (80, 24), read_only=True) as (app, pilot):
        await app.do_words("gateways")
        await until(pilot, sees(app, "of an older version, which knows no gateways"))


async def test_what_is_lost_is_greyed_and_stays() -> None:
    hub = with_gateways()
    async with shown(hub) as (app, pilot):
        await pilot.press("f11")
        await until(pilot, sees(app, "√ ready"))
        hub.lose()
        await until(pilot, lambda: app.main.pane.query_one(FleetTable).rows[0].stale)
        await until(pilot, sees(app, "ready?"))


async def test_one_is_looked_at_again_now() -> None:
    hub = with_gateways()
    async with shown(hub) as (app, pilot):
        await pilot.press("f11")
        await until(pilot, sees(app, "edge"))
        hub.answers["gateway"] = replace(EDGE, state=GatewayState.READY, reason="")
        await pilot.press("r")
        await until(pilot, sees(app, "√ edge is ready — clawtui gateway show edge"))
        assert hub.called("gateway") == [("edge",)]


# --- naming one


async def fill(pilot: Pilot[object], **values: str) -> None:
    for name, value in values.items():
        pilot.app.screen.query_one(f"#g-{name}", Input).value = value
    await pilot.pause()


@pytest.mark.parametrize("size", SIZES)
async def test_a_gateway_is_named_with_its_address_and_its_token_file(size: tuple[int, int]) -> None:
    hub = with_gateways()
    async with shown(hub, size) as (app, pilot):
        await pilot.press("f11")
        await until(pilot, sees(app, "edge"))
        await pilot.press("c")
        await until(pilot, sees(app, "A gateway that exists already"))
        await typed(pilot, "new")
        await pilot.press("tab")
        await typed(pilot, "http://127.0.0.1:1")
        await pilot.press("tab")
        await typed(pilot, "/t")
        await pilot.press("ctrl+s")
        await until(pilot, lambda: not isinstance(app.screen, GatewayDialog))
        assert hub.called("add_gateway") == [(AddGateway(name="new", url="http://127.0.0.1:1", token_file="/t"),)]
        await until(pilot, sees(app, "√ new is known: ready"))


async def test_its_sync_is_filled_in_with_it() -> None:
    hub = with_gateways()
    async with shown(hub) as (app, pilot):
        await pilot.press("f11")
        await until(pilot, sees(app, "edge"))
        await pilot.press("c")
        await until(pilot, sees(app, "A gateway that exists already"))
        app.screen.query_one("#g-source", Select).value = "folder"
        await fill(
            pilot, name="new", url="http://x", workspaceroot="/w", configpath="/c.json", folder="/p",
            mounts="/w=/root/agents '/with blank=/b'", restartcommand="docker restart 'the one'", personas="a b",
            intervalseconds="5",
        )  # fmt: skip
        await pilot.press("ctrl+s")
        await until(pilot, lambda: hub.called("add_gateway"))
        ((request,),) = hub.called("add_gateway")
        assert request.sync == SyncSettings(
            source="folder", folder="/p", workspace_root="/w", config_path="/c.json", personas=["a", "b"],
            mounts=[MountMapping(host="/w", container="/root/agents"),
                    MountMapping(host="/with blank", container="/b")],
            restart_command=["docker", "restart", "the one"], interval_seconds=5,
        )  # fmt: skip


WRONG = (
    ({}, "name", "the gateway needs a name"),
    ({"name": "x"}, "url", "where is it?"),
    ({"name": "x", "url": "http://x", "folder": "/p"}, "source", "without a source nothing is synced"),
)


@pytest.mark.parametrize(("values", "field", "said"), WRONG)
async def test_what_is_missing_stands_beside_its_field(values: dict[str, str], field: str, said: str) -> None:
    hub = with_gateways()
    async with shown(hub, (80, 24)) as (app, pilot):
        await pilot.press("f11")
        await until(pilot, sees(app, "edge"))
        await pilot.press("c")
        await until(pilot, sees(app, "A gateway that exists already"))
        await fill(pilot, **values)
        await pilot.press("ctrl+s")
        wrong = app.screen.query_one(f"#g-{field}-wrong", Static)
        await until(pilot, lambda: wrong.display and said in str(wrong.render()))
        assert not hub.called("add_gateway")


REFUSED = (
    ("url", "url"), ("tokenFile", "tokenfile"), ("sync.workspaceRoot", "workspaceroot"),
    ("sync.mounts[0].host", "mounts"), ("intervalSeconds", "intervalseconds"),
)  # fmt: skip


@pytest.mark.parametrize(("field", "place"), REFUSED)
async def test_a_refusal_of_the_hub_stands_beside_its_field_and_nothing_is_lost(field: str, place: str) -> None:
    hub = with_gateways()
    hub.answers["add_gateway"] = BadRequest("that is not right", field=field, hint="so it is")
    async with shown(hub) as (app, pilot):
        await pilot.press("f11")
        await until(pilot, sees(app, "edge"))
        await pilot.press("c")
        await until(pilot, sees(app, "A gateway that exists already"))
        app.screen.query_one("#g-source", Select).value = "registry"
        await fill(pilot, name="x", url="http://x", workspaceroot="/w", configpath="/c")
        await pilot.press("ctrl+s")
        wrong = app.screen.query_one(f"#g-{place}-wrong", Static)
        await until(pilot, lambda: wrong.display and "that is not right (so it is)" in str(wrong.render()))
        assert app.screen.query_one("#g-url", Input).value == "http://x"
        assert app.focused is app.screen.query_one(f"#g-{place}")


async def test_numbers_and_quotes_that_are_none_are_refused_before_they_are_sent() -> None:
    hub = with_gateways()
    async with shown(hub) as (app, pilot):
        await pilot.press("f11")
        await until(pilot, sees(app, "edge"))
        await pilot.press("c")
        await until(pilot, sees(app, "A gateway that exists already"))
        app.screen.query_one("#g-source", Select).value = "registry"
        known = {"name": "x", "url": "http://x", "workspaceroot": "/w", "configpath": "/c"}
        for name, text, said in (
            ("intervalseconds", "soon", "'soon' is not a whole number"),
            ("intervalseconds", "0", "Expected `int` >= 1"),
            ("restartcommand", "docker 'x", "a quote is not closed"), ("mounts", "/a", "KEY=VALUE"),
        ):  # fmt: skip
            await fill(pilot, **{**known, "intervalseconds": "", "restartcommand": "", "mounts": "", name: text})
            await pilot.press("ctrl+s")
            wrong = app.screen.query_one(f"#g-{name}-wrong", Static)
            await until(pilot, lambda wrong=wrong, said=said: wrong.display and said in str(wrong.render()), said)
        assert not hub.called("add_gateway")


# --- its sync


@pytest.mark.parametrize("size", SIZES)
async def test_the_sync_of_a_known_one_is_changed_in_the_same_form(size: tuple[int, int]) -> None:
    hub = with_gateways()
    async with shown(hub, size) as (app, pilot):
        await pilot.press("f11")
        await until(pilot, sees(app, "edge"))
        await app.do_words("gateway-sync main")
        await until(pilot, sees(app, "Sync of main", "/srv/openclaw/agents"))
        await fill(pilot, folder="/other")
        await pilot.press("ctrl+s")
        await until(pilot, lambda: hub.called("set_gateway_sync"))
        assert hub.called("set_gateway_sync") == [("main", replace(sync_script.SETTINGS, folder="/other"))]


async def test_ending_a_sync_is_asked_and_its_files_stay() -> None:
    hub = with_gateways()
    async with shown(hub) as (app, pilot):
        await pilot.press("f11")
        await until(pilot, sees(app, "edge"))
        await app.do_words("gateway-sync main")
        await until(pilot, sees(app, "Sync of main", "/srv/openclaw/agents"))
        app.screen.query_one("#g-source", Select).clear()
        await pilot.press("ctrl+s")
        await until(pilot, lambda: isinstance(app.screen, ConfirmDialog))
        await until(pilot, sees(app, "End the sync of main?", "Its sync ends"))
        assert not hub.called("set_gateway_sync")
        await pilot.press("tab", "enter")
        await until(pilot, lambda: hub.called("set_gateway_sync") == [("main", None)])


async def test_the_gateway_of_the_hubs_settings_is_changed_there() -> None:
    hub = with_gateways()
    async with shown(hub) as (app, pilot):
        await pilot.press("f11")
        await until(pilot, sees(app, "▸ edge"))
        await pilot.press("D")
        await until(pilot, sees(app, "edge is of the hub's settings: it cannot be removed here"))
        await pilot.press("E")
        await until(pilot, sees(app, "edge is of the hub's settings: its sync is set there"))
        assert not hub.called("remove_gateway")


# --- forgetting one


@pytest.mark.parametrize("size", SIZES)
async def test_removing_asks_with_what_stays(size: tuple[int, int]) -> None:
    hub = with_gateways()
    async with shown(hub, size) as (app, pilot):
        await pilot.press("f11")
        await until(pilot, sees(app, "▸ edge"))
        await pilot.press("j", "D")
        await until(pilot, lambda: isinstance(app.screen, ConfirmDialog))
        await until(pilot, sees(app, "Remove lab?", "the hub forgets it", "itself goes on"))
        await pilot.press("enter")
        await until(pilot, lambda: not isinstance(app.screen, ConfirmDialog))
        assert not hub.called("remove_gateway")
        await pilot.press("D")
        await until(pilot, lambda: isinstance(app.screen, ConfirmDialog))
        await pilot.press("tab", "enter")
        await until(pilot, sees(app, "√ lab is forgotten", "Gateways 2"))
        assert hub.called("remove_gateway") == [("lab",)]


async def test_a_read_only_screen_changes_nothing() -> None:
    hub = with_gateways()
    async with shown(hub, read_only=True) as (app, pilot):
        await pilot.press("f11")
        await until(pilot, sees(app, "▸ edge"))
        for key, what in (("c", "add"), ("E", "its sync"), ("D", "remove")):
            await pilot.press(key)
            await until(pilot, sees(app, f"read-only: {what} is not possible"))
        assert not {"add_gateway", "set_gateway_sync", "remove_gateway"} & {name for name, _ in hub.calls}
        assert "Add" not in text_of(app).split("\n")[-1]


async def test_a_gateway_that_goes_away_meanwhile_is_said() -> None:
    hub = with_gateways()
    async with shown(hub) as (app, pilot):
        await pilot.press("f11")
        await until(pilot, sees(app, "▸ edge"))
        hub.answers["gateway"] = NotFound("there is no gateway 'edge'", hint="clawtui gateway list")
        await pilot.press("r")
        await until(pilot, sees(app, "there is no gateway 'edge' — clawtui gateway list"))
        await app.do_words("look-at nobody")
        await until(pilot, sees(app, "there is no gateway 'nobody'"))


def test_a_gateway_that_is_as_it_was_says_so() -> None:
    view = GatewayView(name="x", url="http://x", state=GatewayState.UNKNOWN)
    assert words.removal_lines(view)[-1] == "The gateway itself goes on, with all its agents."
