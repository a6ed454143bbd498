"""The help page: everything is in it, in columns that hold at any width."""

from __future__ import annotations

import pytest

from clawtui.tui.actions import ACTIONS, Where
from clawtui.tui.helping import BELOW_CELLS, KEYS_CELLS, WORD_CELLS, help_text
from clawtui.tui.keymap import Keymap
from tests.tui.scripted import ScriptedHub, an_agent, sees, shown, text_of, until

COLUMN = 2 + KEYS_CELLS + 1 + WORD_CELLS + 1


@pytest.mark.parametrize("width", [48, 52, 71, 100, 140])
@pytest.mark.parametrize("place", [Where.FLEET, Where.HUB])
def test_every_action_is_explained_and_no_line_is_too_long(width: int, place: Where) -> None:
    page = help_text(Keymap(), place, width).plain
    assert [line for line in page.splitlines() if len(line) > width] == []
    words = " ".join(page.split())
    assert [action.id for action in ACTIONS if " ".join(action.help.split()) not in words] == []


@pytest.mark.parametrize("width", [71, 100, 140])
def test_what_goes_on_goes_on_in_its_column(width: int) -> None:
    page = help_text(Keymap(), Where.FLEET, width).plain
    indents = {len(line) - len(line.lstrip()) for line in page.splitlines() if line.startswith(" " * 3)}
    assert indents <= {COLUMN, BELOW_CELLS, 3 + KEYS_CELLS, 2 + KEYS_CELLS + 12 + 1}
    assert COLUMN in indents or width > 100


async def test_the_page_is_made_again_for_another_width() -> None:
    async with shown(ScriptedHub(an_agent("a-1")), (120, 40)) as (app, pilot):
        await until(pilot, sees(app, "a-1"))
        await pilot.press("question_mark")
        await until(pilot, sees(app, "Here: fleet", ":now"))
        for size in ((60, 20), (80, 24)):
            await pilot.resize_terminal(*size)
            await until(pilot, sees(app, "Here: fleet"))
            await until(pilot, lambda: "Detail: state, health and why" in text_of(app))
        await pilot.press("G")
        await until(pilot, sees(app, "all words must fit"))
        await pilot.press("g")
        await until(pilot, sees(app, "Here: fleet"))
