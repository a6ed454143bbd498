"""Builds of profiles on the screen: what is said of one that was to be cancelled."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from clawtui.tui.widgets.dialogs import ConfirmDialog
from tests.hub.api.scripted import WHEN
from tests.tui.scripted import sees, shown, until
from tests.tui.test_profiles import BUILDING, show_jobs, with_profiles


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"state": "cancelled", "finished_at": WHEN}, "√ the build of mine is cancelled"),
        ({"state": "running"}, "▶ the build of mine is still being ended"),
        ({"state": "succeeded", "finished_at": WHEN}, "- the build of mine had ended already: succeeded"),
    ],
    ids=lambda value: value["state"] if isinstance(value, dict) else "",
)
async def test_a_cancelled_build_is_what_became_of_it(fields: dict[str, Any], said: str) -> None:
    hub = with_profiles()
    hub.answers["cancel_job"] = replace(BUILDING, **fields)
    show_jobs(hub, BUILDING)
    async with shown(hub, (120, 40)) as (app, pilot):
        await app.do_words("profiles mine")
        await until(pilot, sees(app, "▸ mine", "▶ building 50%"))
        await pilot.press("K")
        await until(pilot, lambda: isinstance(app.screen, ConfirmDialog))
        await pilot.press("right", "enter")
        await until(pilot, sees(app, said))
