"""Exceptions inside the screen: the pane is replaced by a word about it, everything else goes on."""

from __future__ import annotations

from rich.text import Text
from textual import events
from textual.widget import Widget

from clawtui.tui.screens.error import ErrorPane
from clawtui.tui.screens.fleet import FleetPane
from tests.tui.scripted import ScriptedHub, an_agent, sees, shown, until


class FailsOnKey(Widget, can_focus=True):
    def on_key(self, event: events.Key) -> None:
        raise RuntimeError("injected into a handler")


class FailsToPaint(Widget):
    def render(self) -> Text:
        raise RuntimeError("injected into a paint")


async def test_an_exception_in_a_handler_costs_the_pane_only() -> None:
    hub = ScriptedHub(an_agent("a-1"))
    async with shown(hub) as (app, pilot):
        await until(pilot, sees(app, "a-1"))
        bad = FailsOnKey()
        await app.main.pane.mount(bad)
        bad.focus()
        await pilot.pause()
        await pilot.press("f12")
        await until(pilot, sees(app, "The fleet pane failed", "injected into a handler"))
        # The bar, the other panes and the store go on.
        hub.change(an_agent("a-2"))
        await until(pilot, sees(app, "2 agents"))
        await pilot.press("f2")
        await until(pilot, sees(app, "No tasks yet"))
        await pilot.press("f1")
        await until(pilot, lambda: isinstance(app.main.pane, ErrorPane))
        app.main.pane.focus_first()
        await pilot.press("enter")
        await until(pilot, sees(app, "a-1", "a-2", "Agents 2"))
        assert isinstance(app.main.pane, FleetPane)


async def test_an_exception_while_painting_costs_the_pane_only() -> None:
    async with shown(ScriptedHub(an_agent("a-1"))) as (app, pilot):
        await until(pilot, sees(app, "a-1"))
        await pilot.press("f2")
        await until(pilot, sees(app, "No tasks yet"))
        await app.main.pane.mount(FailsToPaint())
        await until(pilot, sees(app, "The tasks pane failed", "injected into a paint"))
        await pilot.press("f1")
        await until(pilot, sees(app, "a-1", "1 Now"))


async def test_an_exception_in_background_work_costs_the_pane_only() -> None:
    hub = ScriptedHub(an_agent("a-1"))
    hub.answers["journal"] = "no list of entries at all"
    async with shown(hub) as (app, pilot):
        await pilot.press("f4")
        await until(pilot, sees(app, "The journal pane failed", "AttributeError"))
        await pilot.press("f1")
        await until(pilot, sees(app, "a-1"))


async def test_an_exception_on_a_tick_costs_the_pane_only() -> None:
    hub = ScriptedHub(an_agent("a-1", last_seen_at="no time at all"))
    async with shown(hub) as (app, pilot):
        await until(pilot, sees(app, "The fleet pane failed", "Invalid isoformat"))
        hub.change(an_agent("a-1"))
        await until(pilot, lambda: app.store is not None and app.store.agents["a-1"].last_seen_at != "no time at all")
        app.main.pane.focus_first()
        await pilot.press("enter")
        await until(pilot, sees(app, "a-1", "● online"))


async def test_keys_of_a_place_that_failed_are_answered_with_what_to_do() -> None:
    hub = ScriptedHub(an_agent("a-1"))
    hub.answers["disk"] = ValueError("no answer that can be read")
    async with shown(hub) as (app, pilot):
        await pilot.press("f9")
        await until(pilot, sees(app, "The disk pane failed"))
        await pilot.press("r")
        await until(pilot, sees(app, "look again: this place failed; load it again first"))
