"""Hints: whole or not at all, help always, a click is the key."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from clawtui.tui.widgets.hint_bar import HintBar, fitting, hint_width
from tests.tui.widgets.screens import OneWidget, screen_text

HINTS = [("space", "mark"), ("x", "actions"), ("/", "filter"), ("?", "help")]


@given(st.integers(0, 60))
def test_what_fits_is_shown_whole_and_help_always(cells: int) -> None:
    shown = fitting(HINTS, cells)
    assert shown[-1] == ("?", "help")
    assert shown[:-1] == HINTS[: len(shown) - 1]
    assert sum(map(hint_width, shown)) <= cells or len(shown) == 1


async def test_the_bar_says_that_there_is_more() -> None:
    bar = HintBar()
    app = OneWidget(bar)
    async with app.run_test(size=(60, 2)) as pilot:
        bar.set_hints(HINTS, badge="READ-ONLY")
        await pilot.pause()
        assert screen_text(app)[0] == f"{' space mark  x actions  / filter  ? help':<49} READ-ONLY"
        await pilot.resize_terminal(36, 2)
        await pilot.pause()
        assert screen_text(app)[0] == f"{' space mark  ? help …':<25} READ-ONLY"


async def test_a_click_on_a_hint_is_its_key() -> None:
    bar = HintBar()
    app = OneWidget(bar)
    async with app.run_test(size=(60, 2)) as pilot:
        bar.set_hints(HINTS)
        await pilot.pause()
        await pilot.click(bar, offset=(15, 0))
        await pilot.click(bar, offset=(58, 0))
        await pilot.pause()
        assert [message.key for message in app.said if isinstance(message, HintBar.Pressed)] == ["x"]


async def test_a_thousand_changes_leave_no_widgets_behind() -> None:
    bar = HintBar()
    app = OneWidget(bar)
    async with app.run_test(size=(60, 2)) as pilot:
        for index in range(1_000):
            bar.set_hints([("k", f"hint {index}")])
        await pilot.pause()
        assert len(app.screen.query("*")) == 1
        assert screen_text(app)[0] == " k hint 999"
