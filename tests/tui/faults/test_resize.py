"""A terminal of any size, also one that is far too small, and back."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from clawtui.tui.app import ClawtuiApp
from clawtui.tui.screens.main import NEEDS_ROWS
from tests.tui import fleet_script as script
from tests.tui.scripted import screen_on, text_of, until, wait_shown

PLACES = ("f1", "f2", "f3", "f4", "f5", "f6", "f7", "f8", "f9")


def fits(app: ClawtuiApp, cells: int) -> bool:
    """Whether no line is longer than the terminal is wide; the layout follows the size a moment later."""
    return all(cell_len(line) <= cells for line in text_of(app).splitlines())


@pytest.mark.parametrize("place", PLACES)
async def test_a_tiny_terminal_and_back_leaves_the_screen_as_it_was(place: str) -> None:
    hub = script.hub()
    app = screen_on(hub)
    async with app.run_test(size=(120, 40)) as pilot:
        await wait_shown(pilot, "builder-1")
        await pilot.press(place)
        await until(pilot, lambda: app.main.pane.size.height > 0)
        pane = app.main.pane
        for size in ((20, 5), (1, 1), (300, 90), (20, 5), (120, 40)):
            await pilot.resize_terminal(*size)
            await until(pilot, lambda wanted=size: app.size == wanted and fits(app, wanted[0]), f"size {size}")
        await pilot.press("f1")
        await wait_shown(pilot, "builder-1", "migrator", "Connection")
        assert pane.is_attached
        assert not app.last_problem


@pytest.mark.parametrize("key", ["c", "t", "D", "R", "ctrl+p", "question_mark", "x", "colon"])
async def test_what_is_open_survives_a_tiny_terminal(key: str) -> None:
    hub = script.hub()
    app = screen_on(hub)
    async with app.run_test(size=(100, 30)) as pilot:
        await wait_shown(pilot, "builder-1")
        await pilot.press(key)
        await pilot.resize_terminal(20, 5)
        await until(pilot, lambda: app.size == (20, 5))
        await pilot.resize_terminal(100, 30)
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.main, "the dialog is closed")
        await wait_shown(pilot, "builder-1")
        assert not app.last_problem


async def test_what_needs_a_person_takes_the_lines_that_it_has_and_no_more() -> None:
    """In a tall terminal several, in a low one a single one, without an empty line below it."""
    app = screen_on(script.hub())
    async with app.run_test(size=(120, 40)) as pilot:
        await wait_shown(pilot, "builder-1", "NEEDS YOU")
        needs = app.main.query_one("#needs")
        await until(pilot, lambda: needs.size.height == NEEDS_ROWS, "several lines")
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: needs.size.height == 1, "one line")
        await pilot.resize_terminal(120, 40)
        await until(pilot, lambda: needs.size.height == NEEDS_ROWS, "several lines again")


async def test_columns_fit_again_at_once_after_a_resize() -> None:
    app = screen_on(script.hub())
    async with app.run_test(size=(60, 24)) as pilot:
        await wait_shown(pilot, "builder-1")
        assert "REASON" not in text_of(app)
        await pilot.resize_terminal(119, 40)
        await wait_shown(pilot, "REASON", "exit 137")
