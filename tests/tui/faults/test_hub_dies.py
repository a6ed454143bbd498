"""The hub of an attached screen is killed and comes back: said at once, nothing pretended, back by itself."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from clawtui.remote import open_remote
from clawtui.settings import Settings
from clawtui.tui.app import ClawtuiApp
from clawtui.tui.widgets.fleet_table import FleetTable
from tests.end_to_end.harness import HubProcess
from tests.tui.scripted import text_of, until, wait_shown


@pytest.mark.timeout(180)
async def test_a_killed_hub_is_announced_and_found_again() -> None:
    # Not tmp_path: sockets need a short path.
    with tempfile.TemporaryDirectory(prefix="ct") as folder:
        await killed_and_found_again(HubProcess(Path(folder) / "s"))


async def killed_and_found_again(hub: HubProcess) -> None:
    await hub.start()
    try:
        await hub.call("POST", "/agents/register", {"agentId": "far-away"})
        settings = Settings(home=hub.home)
        async with open_remote(settings) as control:
            app = ClawtuiApp(address="local", modes=("REMOTE",), settings=settings)
            app.connect(control)
            async with app.run_test(size=(120, 36)) as pilot:
                await wait_shown(pilot, "● live", "far-away", "REMOTE", seconds=40)
                hub.kill()
                await wait_shown(pilot, "× lost", "again in", "OLD VALUES", "The hub is away since", seconds=40)
                assert app.store is not None
                counts: set[str] = set()
                # A countdown to the next try: the word changes while one looks.
                await until(pilot, lambda: len(_noted(counts, text_of(app))) >= 2, "a countdown", 40)
                # What was read stands there still, greyed and said to be old.
                assert "far-away" in text_of(app)
                assert all(row.stale for row in app.main.query_one(FleetTable).rows)
                assert "old: the hub is away" in text_of(app)
                # An act is refused with words, and the screen goes on.
                await pilot.press("p")
                await until(pilot, lambda: app.last_problem != "", "the act is refused", 40)
                assert app.is_running
                await hub.start()
                await until(pilot, lambda: app.store is not None and app.store.live, "live again", 60)
                await wait_shown(pilot, "● live", "far-away", seconds=40)
                assert "OLD VALUES" not in text_of(app)
                assert not any(row.stale for row in app.main.query_one(FleetTable).rows)
    finally:
        hub.stop()


def _noted(counts: set[str], shown: str) -> set[str]:
    if "again in " in shown:
        counts.add(shown.split("again in ")[1].split("s")[0])
    return counts
