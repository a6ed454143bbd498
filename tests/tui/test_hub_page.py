"""The place of the hub itself: load, connections, tokens, settings, and what an older or stricter hub leaves out."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from clawtui.tui.hub_lines import (
    connection_detail,
    connection_row,
    health_fields,
    load_fields,
    token_name,
    token_opens,
    token_state,
)
from clawtui.tui.widgets.dialogs import ConfirmDialog
from clawtui.tui.widgets.tokens import SecretScreen, TokenDialog
from hub.contract import ConnectionList, ConnectionView, CreatedToken, CreateToken, HubLoad, TokenList, TokenView
from hub.core.model import Role
from hub.errors import Forbidden, NotFound
from tests.hub.api.scripted import HEALTH, WHEN
from tests.tui import fleet_script, office_script
from tests.tui.scripted import ScriptedHub, an_agent, sees, shown, text_of, typed, until

SIZES = ((80, 24), (120, 40), (200, 60))
NOW = office_script.NOW
USER = TokenView(id="k-1", kind="user", created_at=WHEN, role=Role.OPERATOR, name="ci")
LOAD = HubLoad(loop_lag_seconds=0.001, loop_lag_p99_seconds=0.002)
CONNECTED = ConnectionView(
    agent_id="a-1", connected=True, since=WHEN, remote="10.0.0.9:5", via="10.0.0.1:9090", protocol=1
)


# --- words


def words(fields: list[Any]) -> str:
    return "\n".join(f"{field.label} {field.text} {field.more} {field.style}" for field in fields)


def test_a_busy_hub_says_so_in_words_and_not_by_colour_alone() -> None:
    calm = words(load_fields(LOAD, "", writable=True))
    assert "late now slow " not in calm
    assert "warn" not in calm
    assert "none yet" in calm
    busy = replace(LOAD, loop_lag_p99_seconds=0.2, commits=9, commit_seconds=0.01, commit_p99_seconds=0.4, gaps=2,
                   dropped_frames=7)  # fmt: skip
    told = words(load_fields(busy, "", writable=False))
    for expected in ("late now slow ", "400.0 ms slow", "cannot be written", "7 frames: agents read too slowly"):
        assert expected in told
    assert "Gaps told 2" in told


def test_a_hub_that_does_not_tell_its_load_is_no_hub_at_rest() -> None:
    assert "does not tell" in words(load_fields(None, "does not tell", writable=True))


def test_problems_of_the_hub_stand_below_its_state() -> None:
    told = words(health_fields(replace(HEALTH, status="degraded", problems=["the disk is full"]), 0.0))
    assert "! degraded" in told
    assert "the disk is full" in told
    assert "none" in told


def test_a_connection_has_glyph_word_and_what_waits() -> None:
    row = connection_row(replace(CONNECTED, outbox_bytes=2_048, outbox_frames=3, latency_seconds=0.0123), NOW, False)[1]
    assert [cell.text for cell in row.cells][1].startswith("● ")
    assert [cell.text for cell in row.cells][4:6] == ["2.0K", "12ms"]
    away = connection_row(ConnectionView(agent_id="b", connected=False, queued=3), NOW, False)[1]
    assert (away.cells[1].text, away.cells[1].style, away.cells[2].text) == ("○ away", "warn", "3")


def test_the_detail_of_a_connection_says_where_and_how_it_speaks() -> None:
    told = words(connection_detail(replace(CONNECTED, acks=2, errors=1, heard_seconds=4.0), NOW))
    for expected in ("From 10.0.0.9:5", "To 10.0.0.1:9090", "Protocol 1", "not measured", "2 acknowl", "heard 4s"):
        assert expected in told
    assert "basic: tasks only" in words(connection_detail(replace(CONNECTED, basic=True), NOW))
    assert "its tasks wait" in words(connection_detail(ConnectionView(agent_id="b", connected=False, queued=1), NOW))


def test_a_token_says_what_it_opens_and_whether_it_still_does() -> None:
    assert (token_name(USER), token_opens(USER), token_state(USER, NOW)[0]) == ("ci", "operator", "● valid")
    assert token_state(replace(USER, revoked_at=WHEN), NOW)[0] == "- revoked"
    over = (NOW - timedelta(seconds=1)).isoformat()
    assert token_state(replace(USER, expires_at=over), NOW)[0] == "- expired"
    join = TokenView(id="k-2", kind="join", created_at=WHEN, agent_id="a-1", used=True)
    assert (token_name(join), token_opens(join), token_state(join, NOW)[0]) == ("a-1", "join as a-1", "- used up")
    assert token_opens(replace(join, kind="agent")) == "is a-1"


# --- the place


@pytest.mark.parametrize("size", SIZES)
async def test_the_tabs_show_load_connections_tokens_and_settings(size: tuple[int, int]) -> None:
    async with shown(fleet_script.hub(), size) as (app, pilot):
        await pilot.press("f5")
        await until(pilot, sees(app, "1 Overview", "● ok", "Drivers", "! not usable"))
        if size[1] < 30:
            await pilot.press("end")
        await until(pilot, sees(app, "Event loop", "Commits", "Observers", "Gaps told"))
        await pilot.press("2")
        await until(pilot, sees(app, "9 of 19 agents", "tester-mac", "○ away", "207K", "10.1.2.1:9090"))
        await pilot.press("3")
        await until(pilot, sees(app, "old laptop", "- revoked", "join as gpu-trainer", "● valid"))
        await pilot.press("4")
        await until(pilot, sees(app, "Settings of this program", "request_timeout_seconds", "from default"))
        await pilot.press("right_square_bracket")
        await until(pilot, lambda: "Settings of this program" not in text_of(app) and "Hub  1 Overview" in text_of(app))


async def test_what_waits_most_stands_first_and_the_cursor_shows_it_in_full() -> None:
    async with shown(fleet_script.hub()) as (app, pilot):
        await app.do_words("connections")
        await until(pilot, sees(app, "▸ tester-mac", "106 frames, 207K", "14 acknowledgements wait"))
        await pilot.press("j")
        await until(pilot, sees(app, "Agent       crawler-asia", "231.0 ms"))
        await pilot.press("slash", *"tester", "enter")
        await until(pilot, lambda: "crawler-eu" not in text_of(app))
        assert "tester-arm" in text_of(app)


async def test_the_hub_is_asked_only_while_somebody_looks() -> None:
    hub = fleet_script.hub()
    async with shown(hub) as (app, pilot):
        await until(pilot, sees(app, "builder-1"))
        assert hub.called("connections") == []
        clock = 1_000.0
        assert app.store is not None
        app.store.mono = lambda: clock
        await pilot.press("f5")
        await until(pilot, lambda: len(hub.called("connections")) == 1)
        app.refresh_now()
        await pilot.pause()
        assert len(hub.called("connections")) == 1
        clock += 2
        app.refresh_now()
        await until(pilot, lambda: len(hub.called("connections")) == 2)
        await pilot.press("f1")
        clock += 20
        app.refresh_now()
        await pilot.pause()
        assert len(hub.called("connections")) == 2


async def test_an_older_hub_and_a_lesser_role_leave_a_sentence_in_place_of_a_table() -> None:
    hub = ScriptedHub(an_agent("a-1"))
    hub.answers["connections"] = NotFound("no such path")
    hub.answers["tokens"] = Forbidden("the role viewer may not do this")
    async with shown(hub, (80, 24)) as (app, pilot):
        await pilot.press("f5", "2")
        await until(pilot, sees(app, "older version, which does not tell"))
        await pilot.press("3")
        await until(pilot, sees(app, "the role viewer may not do this", "need a token with the role admin"))


async def test_nobody_connected_is_said_with_what_to_do() -> None:
    hub = ScriptedHub()
    hub.answers["connections"] = ConnectionList(load=LOAD, connections=[])
    hub.answers["tokens"] = TokenList(tokens=[])
    async with shown(hub, (80, 24)) as (app, pilot):
        await pilot.press("f5", "2")
        await until(pilot, sees(app, "No agent is connected, and no task waits"))
        await pilot.press("3")
        await until(pilot, sees(app, "No tokens yet", "c makes one"))


# --- tokens


def with_tokens(*tokens: TokenView) -> ScriptedHub:
    hub = ScriptedHub(an_agent("a-1"))
    hub.answers["tokens"] = TokenList(tokens=list(tokens))
    return hub


async def test_a_new_token_shows_its_secret_once_and_it_can_be_copied() -> None:
    hub = with_tokens(USER)
    made = TokenView(id="k-9", kind="user", created_at=WHEN, role=Role.VIEWER, name="screen")
    hub.answers["create_token"] = CreatedToken(token=made, secret="ctu_only_once")
    async with shown(hub) as (app, pilot):
        await pilot.press("f5", "c")
        await until(pilot, lambda: isinstance(app.screen, TokenDialog))
        await typed(pilot, "screen")
        await pilot.press("tab", "tab")
        await typed(pilot, "soon")
        await pilot.press("enter")
        await until(pilot, sees(app, "is no length of time"))
        assert hub.called("create_token") == []
        await pilot.press(*["backspace"] * 4)
        await typed(pilot, "12h")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, SecretScreen))
        await until(pilot, sees(app, "ctu_only_once", "shown only this once"))
        assert hub.called("create_token") == [
            (CreateToken(name="screen", role=Role.VIEWER, expires_in_seconds=43_200),)
        ]
        await pilot.press("y")
        await until(pilot, sees(app, "√ Copied"))
        assert app.clipboard == "ctu_only_once"
        hub.answers["tokens"] = TokenList(tokens=[made, USER])
        await pilot.press("escape")
        await until(pilot, sees(app, "clawtui token create screen --role viewer --expires 43200", "▸ screen"))
        assert "ctu_only_once" not in text_of(app)


async def test_making_a_token_can_be_left() -> None:
    hub = with_tokens(USER)
    async with shown(hub) as (app, pilot):
        await pilot.press("f5", "c")
        await until(pilot, lambda: isinstance(app.screen, TokenDialog))
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.main)
        assert hub.called("create_token") == []


async def test_a_revoke_asks_and_cancel_is_the_default() -> None:
    hub = with_tokens(USER)
    async with shown(hub) as (app, pilot):
        await pilot.press("f5", "3")
        await until(pilot, sees(app, "● valid"))
        await pilot.press("D")
        await until(pilot, lambda: isinstance(app.screen, ConfirmDialog))
        await until(pilot, sees(app, "Revoke the token?", "ci: operator", "shut out"))
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is app.main)
        assert hub.called("revoke_token") == []
        await pilot.press("D")
        await until(pilot, lambda: isinstance(app.screen, ConfirmDialog))
        await pilot.press("right", "enter")
        await until(pilot, sees(app, "√ revoked — clawtui token revoke k-1"))
        assert hub.called("revoke_token") == [("k-1",)]


async def test_a_revoked_token_is_not_revoked_again_and_none_is_said() -> None:
    hub = with_tokens(replace(USER, revoked_at=WHEN))
    async with shown(hub) as (app, pilot):
        await pilot.press("f5", "3")
        await until(pilot, sees(app, "- revoked"))
        await pilot.press("D")
        await until(pilot, sees(app, "it is revoked already"))
        await pilot.press("1", "D")
        await until(pilot, sees(app, "no token is meant"))
        assert app.screen is app.main
        assert hub.called("revoke_token") == []


async def test_read_only_makes_and_revokes_no_token() -> None:
    hub = with_tokens(USER)
    async with shown(hub, read_only=True) as (app, pilot):
        await pilot.press("f5", "3")
        await until(pilot, sees(app, "● valid"))
        await pilot.press("c", "D")
        await until(pilot, sees(app, "read-only: revoke is not possible here"))
        assert app.screen is app.main
