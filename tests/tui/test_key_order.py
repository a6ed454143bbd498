"""Keys that come in one burst do what they do when they are typed slowly."""

from __future__ import annotations

from textual import events
from textual.app import App
from textual.widgets import Static

from clawtui.tui.widgets.columns import ColumnsDialog
from clawtui.tui.widgets.command_line import LineInput
from clawtui.tui.widgets.dialogs import TypeNameDialog
from tests.tui.scripted import ScriptedHub, an_agent, sees, shown, until


def burst(app: App[int], text: str) -> None:
    """All of it at once, as from a terminal whose program was busy; `text` has letters, and `|` for Enter."""
    names = {"|": "enter", ":": "colon", " ": "space", "-": "minus", "/": "slash", "!": "exclamation_mark"}
    for letter in text:
        app.post_message(events.Key(names.get(letter, letter), None if letter == "|" else letter))


def fleet() -> ScriptedHub:
    return ScriptedHub(an_agent("a-1"), an_agent("a-2"))


async def test_letters_behind_the_colon_are_no_keys_of_the_table() -> None:
    hub = fleet()
    async with shown(hub) as (app, pilot):
        await until(pilot, sees(app, "a-1"))
        burst(app, ":pRDrtcx!ab|")
        await until(pilot, sees(app, "there is no action 'pRDrtcx!ab'"))
        assert app.screen is app.main
        assert not {"act", "destroy", "create_agent"} & {name for name, _ in hub.calls}


async def test_a_filter_and_what_comes_behind_it() -> None:
    async with shown(fleet()) as (app, pilot):
        await until(pilot, sees(app, "a-1"))
        burst(app, "/a-2|")
        await until(pilot, sees(app, "Agents 1 of 2", "/a-2"))


async def test_letters_behind_a_dialogs_key_go_into_the_dialog() -> None:
    hub = fleet()
    async with shown(hub) as (app, pilot):
        await until(pilot, sees(app, "a-1"))
        burst(app, "Da-1")
        await until(pilot, lambda: isinstance(app.screen, TypeNameDialog))
        await until(pilot, lambda: app.screen.query_one("#typed").value == "a-1")  # pyright: ignore
        assert not hub.called("destroy")
        burst(app, "|")
        await until(pilot, lambda: hub.called("destroy") == [("a-1",)])


async def test_a_paste_behind_a_key_goes_where_the_key_led() -> None:
    async with shown(fleet()) as (app, pilot):
        await until(pilot, sees(app, "a-1"))
        burst(app, ":")
        app.post_message(events.Paste("journal"))
        burst(app, "|")
        await until(pilot, sees(app, "Journal"))


async def test_keys_behind_enter_are_keys_of_the_place_again() -> None:
    async with shown(fleet()) as (app, pilot):
        await until(pilot, sees(app, "a-1"))
        for _ in range(5):
            burst(app, ":theme dark|C")
            await until(pilot, lambda: isinstance(app.screen, ColumnsDialog))
            app.post_message(events.Key("escape", None))
            burst(app, "/a-1|x")
            await until(pilot, sees(app, "Actions on a-1"))
            app.post_message(events.Key("escape", None))
            app.post_message(events.Key("escape", None))
            await until(pilot, lambda: app.screen is app.main)
            await until(pilot, sees(app, "Agents 2"))


async def test_a_key_that_got_lost_holds_up_nothing_for_long() -> None:
    async with shown(fleet()) as (app, pilot):
        await until(pilot, sees(app, "a-1"))
        gone = Static()
        await app.main.mount(gone)
        app._key_target = gone  # the key was given to it, and nobody will say that it came to its end
        app._look_again(app._key_number)
        burst(app, ":hub")
        await gone.remove()
        await until(pilot, lambda: app.main.query_one(LineInput).value == "hub")
