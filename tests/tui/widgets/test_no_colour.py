"""With NO_COLOR everything is grey, and everything can still be told apart."""

from __future__ import annotations

import re

import pytest
from textual.strip import Strip
from textual.widget import Widget

from clawtui.tui.widgets.fleet_table import Cell, Column, FleetTable, Row
from clawtui.tui.widgets.hint_bar import HintBar
from clawtui.tui.widgets.log_view import LogLineView, LogView
from tests.tui.widgets.screens import OneWidget, painted


@pytest.fixture(autouse=True)
def no_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")


def colours(strips: list[Strip]) -> set[tuple[int, int, int]]:
    styles = [segment.style for strip in strips for segment in strip if segment.style is not None]
    found = [colour.triplet for style in styles for colour in (style.color, style.bgcolor) if colour is not None]
    return {(it.red, it.green, it.blue) for it in found if it is not None}


async def strips_of(widget: Widget) -> list[Strip]:
    app = OneWidget(widget)
    async with app.run_test(size=(40, 6)) as pilot:
        await pilot.pause()
        strips = painted(app)
        assert all(red == green == blue for red, green, blue in colours(strips))
        return strips


async def test_a_table_says_cursor_mark_and_state_in_characters() -> None:
    table = FleetTable([Column("agent", "AGENT", 10), Column("state", "STATE", 12)])
    table.set_rows([Row("a", (Cell("a"), Cell("✕ error", "bad"))), Row("b", (Cell("b"), Cell("▶ working", "ok")))])
    table.action_toggle_mark()
    lines = [strip.text.rstrip() for strip in await strips_of(table)]
    assert lines[1:3] == [" *a          ✕ error", "▸ b          ▶ working"]


async def test_a_log_says_levels_in_letters_and_hits_by_reversal() -> None:
    view = LogView()
    view.search(re.compile("hit"))
    view.append([LogLineView("bad hit", level="error"), LogLineView("fine", level="info")])
    strips = await strips_of(view)
    assert [strip.text.rstrip() for strip in strips[:2]] == [" E bad hit", "   fine"]
    [hit] = [segment for segment in strips[0] if segment.text == "hit"]
    assert hit.style is not None
    assert hit.style.reverse


async def test_hints_name_their_keys() -> None:
    bar = HintBar()
    bar.set_hints([("x", "actions"), ("?", "help")], badge="READ-ONLY")
    assert "x actions  ? help" in (await strips_of(bar))[0].text
