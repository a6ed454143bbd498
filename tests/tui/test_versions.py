"""The screen on a hub of another version, over real HTTP: works, or says why not."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from textual.pilot import Pilot

from clawtui import __version__
from clawtui.remote import open_remote
from clawtui.settings import Settings
from clawtui.tui.app import ClawtuiApp
from hub.contract import AttentionList
from tests.clawtui.other_version import Alter, PlayedHub, newer, older, other_api, playing
from tests.hub.api.conftest import serving
from tests.hub.api.scripted import ADMIN, ATTENTION
from tests.tui.scripted import ScriptedHub, a_task, an_agent, text_of, until, wait_shown


@contextlib.asynccontextmanager
async def attached(
    alter: Alter, size: tuple[int, int] = (120, 40)
) -> AsyncIterator[tuple[ScriptedHub, PlayedHub, Pilot[Any]]]:
    """A screen on a hub of another version, which has what the scripted hub has."""
    scripted = ScriptedHub(an_agent("a-1"), tasks=[a_task("t-1", "a-1")])
    scripted.answers["attention"] = AttentionList(attention=[ATTENTION])
    with tempfile.TemporaryDirectory(prefix="tui-") as folder:
        async with serving(Path(folder)) as served:
            served.door.scripted = scripted
            async with playing(served.listeners.api_url, alter) as hub:
                settings = Settings(home=Path(folder), hub=hub.url, token=ADMIN, hub_return_seconds=0.0)
                app = ClawtuiApp(address=hub.url, settings=settings)
                async with open_remote(settings) as control, app.run_test(size=size) as pilot:
                    app.connect(control)
                    yield scripted, hub, pilot


async def test_on_a_newer_hub_everything_works_and_new_words_are_shown() -> None:
    async with attached(newer) as (scripted, _, pilot):
        await wait_shown(pilot, "● live", "a-1", "· hibernating", "cosmic a-1")
        scripted.change(an_agent("a-2"))
        await wait_shown(pilot, "a-2", "2 agents")
        await pilot.press("f2")
        await wait_shown(pilot, "pondered", "echo t-1")
        for key in ("f3", "f4", "f5", "f1"):
            await pilot.press(key)
            await pilot.pause()
        await wait_shown(pilot, "hibernating")
        # What can be done in a state that we do not know is for the hub to say.
        await pilot.press("R")
        await wait_shown(pilot, "Restart a-1?")
        await pilot.press("right", "enter")
        await until(pilot, lambda: scripted.called("act"), "the act reaches the hub")
        assert "pane failed" not in text_of(pilot.app)


async def test_on_an_older_hub_what_it_has_works_and_the_rest_says_so() -> None:
    async with attached(older) as (scripted, _, pilot):
        await wait_shown(pilot, "● live", "a-1", "● online")
        scripted.change(an_agent("a-2"))
        await wait_shown(pilot, "a-2", "2 agents")
        await pilot.press("f2")
        await wait_shown(pilot, "√ succeeded", "echo t-1")
        await pilot.press("f4")
        await wait_shown(pilot, "no such path")
        await pilot.press("f5")
        await wait_shown(pilot, "0.0.9")
        await pilot.press("f1")
        await wait_shown(pilot, "● live", "a-1")
        assert "pane failed" not in text_of(pilot.app)


async def test_another_api_is_refused_with_both_versions_and_what_to_do() -> None:
    async with attached(other_api(2, "9.0.0"), (80, 24)) as (_, hub, pilot):
        await wait_shown(pilot, "! refused", "the hub is 9.0.0 with API 2")
        # The sentence is longer than a line: it is whole over the lines that it has.
        await until(pilot, lambda: f"this clawtui is {__version__}" in " ".join(text_of(pilot.app).split()))
        await until(pilot, lambda: "install clawtui 9.0.0" in " ".join(text_of(pilot.app).split()))
        assert set(hub.asked) == {"GET /health"}


async def test_a_hub_that_is_updated_meanwhile_is_found_again_when_it_fits() -> None:
    told = {"version": "9.0.0", "api": 2}
    async with attached(lambda path, answer: answer | told if path == "/health" else answer) as (_, _, pilot):
        await wait_shown(pilot, "! refused", "9.0.0")
        told.update(version="0.2.1", api=1)
        await wait_shown(pilot, "● live", "a-1")
        told.update(version="9.0.0", api=2)
        await wait_shown(pilot, "! refused", "OLD VALUES")
