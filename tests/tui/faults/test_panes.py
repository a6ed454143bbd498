"""A pane that gets garbage from the hub dies alone, says why, and can be had back."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from hub.contract import JournalEntry, JournalList, LogEntry, OutputChunk, TaskList
from hub.errors import Unavailable
from tests.hub.api.scripted import Stream
from tests.tui import fleet_script as script
from tests.tui.scripted import screen_on, text_of, wait_shown

DEFECT = ValueError("the answer was of another world")
BAD_TIME = JournalEntry(
    seq=1,
    at="yesterday, about noon",
    who="user:x",
    what="agent.pause",
    target="z",
    outcome="ok",
    command="clawtui pause z",
)


@pytest.mark.parametrize(
    ("key", "place", "method", "answer"),
    [
        ("f2", "tasks", "tasks", DEFECT),
        ("f2", "tasks", "tasks", None),
        ("f2", "tasks", "tasks", TaskList(tasks=[msgspec.structs.replace(script.tasks()[0], created_at="??")])),
        ("f4", "journal", "journal", DEFECT),
        ("f4", "journal", "journal", JournalList(journal=[BAD_TIME])),
        ("f5", "hub", "connections", DEFECT),
        ("f3", "logs", "agent_logs", DEFECT),
        ("f3", "logs", "agent_logs", lambda *_: Stream([42])),
    ],
)
async def test_garbage_for_one_pane_leaves_the_others(key: str, place: str, method: str, answer: Any) -> None:
    hub = script.hub()
    sound = hub.answers[method]
    app = screen_on(hub)
    async with app.run_test(size=(110, 36)) as pilot:
        await wait_shown(pilot, "builder-1")
        hub.answers[method] = answer
        await pilot.press(key)
        await wait_shown(pilot, f"The {place} pane failed", "Load again")
        assert app.is_running
        # The rest works: another place, a dialog, and news from the hub.
        await pilot.press("f1")
        await wait_shown(pilot, "migrator")
        await pilot.press("question_mark")
        await wait_shown(pilot, "Here: fleet")
        await pilot.press("escape")
        # The details can be read, and the pane can be had back.
        await pilot.press("e")
        await wait_shown(pilot, "Traceback")
        await pilot.press("escape")
        hub.answers[method] = sound
        await pilot.press(key)
        await wait_shown(pilot, "pane failed")
        await pilot.press("enter")
        await wait_shown(pilot, {"f2": "make package", "f3": "planner.c", "f4": "Way back", "f5": "Event loop"}[key])
        assert "pane failed" not in text_of(app)


async def test_garbage_for_a_detail_leaves_the_hub_watched() -> None:
    hub = script.hub()
    hub.answers["agent_logs"] = lambda *_: Stream([None])
    app = screen_on(hub)
    async with app.run_test(size=(160, 45)) as pilot:
        await wait_shown(pilot, "builder-1")
        await pilot.press("2")
        await wait_shown(pilot, "The fleet pane failed")
        await pilot.press("f2")
        await wait_shown(pilot, "make package")


async def test_garbage_as_output_of_a_task() -> None:
    hub = script.hub()
    hub.answers["task_output"] = lambda *_: Stream(
        [OutputChunk(offset=0, data="not base64 §", encoding="base64")], ends=True
    )
    app = screen_on(hub)
    async with app.run_test(size=(110, 36)) as pilot:
        await wait_shown(pilot, "builder-1")
        await pilot.press("f2")
        await wait_shown(pilot, "make package")
        await pilot.press("o")
        await wait_shown(pilot, "The output pane failed")
        await pilot.press("f1")
        await wait_shown(pilot, "migrator")


async def test_a_refusal_of_the_hub_is_said_and_fails_no_pane() -> None:
    hub = script.hub()
    hub.answers["journal"] = Unavailable("the registry is being restored", hint="try again in a minute")
    app = screen_on(hub)
    async with app.run_test(size=(110, 36)) as pilot:
        await wait_shown(pilot, "builder-1")
        await pilot.press("f4")
        await wait_shown(pilot, "the registry is being restored", "try again in a minute")
        assert "pane failed" not in text_of(app)


async def test_a_defect_in_the_reading_of_the_fleet_is_told() -> None:
    """The store itself gets what it cannot read: the screen must not stand there with old values and say live."""
    hub = script.hub()
    app = screen_on(hub)
    async with app.run_test(size=(110, 36)) as pilot:
        await wait_shown(pilot, "builder-1")
        sound = dict(hub.answers)
        hub.answers |= {"agents": DEFECT, "health": DEFECT}
        await wait_shown(pilot, "another world")
        hub.answers |= sound
        await wait_shown(pilot, "● live")
        assert "another world" not in text_of(app)


async def test_a_log_that_is_no_text_is_shown_anyway() -> None:
    hub = script.hub()
    hub.logs["builder-1"] = [LogEntry(text="{" * 5_000, source="runtime"), LogEntry(text="", source="runtime")]
    app = screen_on(hub)
    async with app.run_test(size=(110, 36)) as pilot:
        await wait_shown(pilot, "builder-1")
        await pilot.press("2")
        await wait_shown(pilot, "{{{{", "2 lines")
