"""What agents write, what people paste, terminals without colour: nothing of it leaves its place on the screen."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from clawtui.tui.actions import ACTIONS, Action, Grade, Where
from clawtui.tui.widgets.dialogs import ConfirmDialog, TypeNameDialog
from hub.contract import LogEntry
from tests.tui import fleet_script as script
from tests.tui.scripted import screen_on, text_of, until, wait_shown

LONG = "x" * 1_000_000
HOSTILE = (
    "\x1b[2J\x1b[H\x1b]0;owned\x07\x1b]52;c;b3duZWQ=\x07cleared",
    "nul \x00 bell \x07 back \x08\x08\x08 return \rover",
    "\x9b31m c1 \x9d0;title\x9c \u202egnp.exe\u202c",
    "wide 漢字漢字 한국어 and e\u0301 combining z\u0351\u034a\u0352 family 👩\u200d👩\u200d👧",
    LONG,
    "the last line",
)


def clean(shown: str, width: int) -> None:
    """Only printable characters, and no line is wider than the terminal."""
    for line in shown.splitlines():
        assert cell_len(line) <= width
        assert not any(ord(one) < 32 or 127 <= ord(one) < 160 for one in line)
    assert not set("\u202e\u202c\u202d\u2066\u2067") & set(shown)


@pytest.mark.parametrize("wrap", [False, True])
async def test_hostile_lines_of_a_log(wrap: bool) -> None:
    hub = script.hub()
    hub.logs["builder-1"] = [LogEntry(text=text, source="runtime") for text in HOSTILE]
    app = screen_on(hub)
    async with app.run_test(size=(100, 40)) as pilot:
        await wait_shown(pilot, "builder-1")
        await pilot.press("f3")
        await wait_shown(pilot, "the last line")
        if wrap:
            await pilot.press("w")
        await wait_shown(pilot, "the last line")
        clean(text_of(app), 100)
        await pilot.press("home")
        await wait_shown(pilot, "cleared")
        clean(text_of(app), 100)
        assert not app.last_problem


async def test_hostile_output_of_a_task() -> None:
    hub = script.hub()
    hub.output = "\n".join(HOSTILE) + "\n"
    app = screen_on(hub)
    async with app.run_test(size=(100, 40)) as pilot:
        await wait_shown(pilot, "builder-1")
        await pilot.press("f2")
        await wait_shown(pilot, "make package")
        await pilot.press("o")
        await wait_shown(pilot, "the last line")
        clean(text_of(app), 100)
        assert not app.last_problem


async def test_without_colour_every_state_is_still_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = screen_on(script.hub())
    async with app.run_test(size=(120, 50)) as pilot:
        await wait_shown(pilot, "● online", "× crashed", "◌ stale", "! quarantined", "‖ paused", "~ destroying")
        for strip in app.screen._compositor.render_strips():  # what the terminal gets; no public way to read it
            for segment in strip:
                for colour in (segment.style.color, segment.style.bgcolor) if segment.style else ():
                    if colour is not None and colour.triplet is not None:
                        red, green, blue = colour.triplet
                        assert max(red, green, blue) - min(red, green, blue) <= 2, (segment, colour)


@pytest.mark.parametrize("keys", [("R",), (":", *"stop", "enter"), ("f2", "K")])
async def test_enter_at_a_question_cancels(keys: tuple[str, ...]) -> None:
    hub = script.hub()
    app = screen_on(hub)
    async with app.run_test(size=(100, 40)) as pilot:
        await wait_shown(pilot, "builder-1")
        if keys[0] == "f2":
            await pilot.press("f2")
            await wait_shown(pilot, "make package")
            keys = keys[1:]
        await pilot.press(*(("colon", *keys[1:]) if keys[0] == ":" else keys))
        await until(pilot, lambda: isinstance(app.screen, ConfirmDialog), "a question")
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is app.main, "the question is gone")
        await pilot.pause()
        assert not {"act", "destroy", "cancel_task"} & {method for method, _ in hub.calls}


async def test_enter_at_a_destroy_destroys_nothing() -> None:
    hub = script.hub()
    app = screen_on(hub)
    async with app.run_test(size=(100, 40)) as pilot:
        await wait_shown(pilot, "builder-1")
        for typed in ((), ("b", "u", "i")):
            await pilot.press("D")
            await until(pilot, lambda: isinstance(app.screen, TypeNameDialog), "a question")
            await pilot.press(*typed, "enter")
            await until(pilot, lambda: app.screen is app.main, "the question is gone")
        assert "destroy" not in {method for method, _ in hub.calls}


LOOKS = frozenset({"health", "attention", "agents", "agent", "agent_logs", "agent_stats", "tasks", "get_task",
                   "task_output", "dispatch_status", "jobs", "job", "tokens", "policies", "audit", "journal",
                   "events"})  # fmt: skip
ACTS = [action for action in ACTIONS if action.grade > Grade.LOOKS]


@pytest.mark.parametrize("action", ACTS, ids=[action.id for action in ACTS])
async def test_read_only_refuses(action: Action) -> None:
    """Whatever way an act comes: by its action, by a word or by a key."""
    hub = script.hub()
    app = screen_on(hub, read_only=True)
    async with app.run_test(size=(100, 40)) as pilot:
        await wait_shown(pilot, "builder-1", "READ-ONLY")
        await app.do(action, "builder-1")
        await wait_shown(pilot, "read-only:")
        for word in (*action.words, action.id):
            await app.do_words(f"{word} builder-1")
        # The same key may be another action's here, one that only looks.
        if action.keys and {Where.ANY, Where.FLEET} & {*action.where}:
            await pilot.press(*action.keys)
        await pilot.pause()
        assert app.screen is app.main
        assert {method for method, _ in hub.calls} <= LOOKS
