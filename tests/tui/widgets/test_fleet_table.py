"""The fleet table: cursor and marks follow keys, nothing moves under pressed keys, only what changed is painted."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

import pytest
from textual.strip import Strip

from clawtui.tui.widgets.fleet_table import Cell, Column, FleetTable, Row
from clawtui.tui.widgets.table_rows import QUIET_SECONDS
from tests.tui.widgets.screens import OneWidget, painted, screen_text

COLUMNS = (Column("agent", "AGENT", 10, grow=True), Column("state", "STATE", 10), Column("cpu", "CPU", 5, "right"))
SIZE = (40, 11)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class CountingTable(FleetTable):
    """Remembers which of its lines were painted."""

    def __init__(self, clock: Clock | None = None) -> None:
        super().__init__(COLUMNS, empty="No agents yet: press n.", clock=clock or time.monotonic)
        self.lines: list[int] = []

    def render_line(self, y: int) -> Strip:
        self.lines.append(y)
        return super().render_line(y)


def row(key: str, state: str = "idle", cpu: int = 0, *, stale: bool = False) -> Row:
    return Row(key, (Cell(key), Cell(state, "ok"), Cell(str(cpu))), stale)


def rows(count: int) -> list[Row]:
    return [row(f"a{index}") for index in range(count)]


def app_with(clock: Clock | None = None, first: Sequence[Row] = ()) -> tuple[OneWidget, CountingTable]:
    table = CountingTable(clock)
    table.set_rows(first)
    return OneWidget(table), table


async def wait_true(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


async def test_an_empty_table_says_what_to_do() -> None:
    app, _ = app_with()
    async with app.run_test(size=SIZE):
        assert screen_text(app)[2] == "  No agents yet: press n."


async def test_columns_are_aligned_and_growing_ones_fill_the_line() -> None:
    app, table = app_with(first=[row("a0", "▶ working", 7), row("漢字", "✕ error", 186)])
    table.set_sort("cpu", descending=True)
    async with app.run_test(size=SIZE):
        assert screen_text(app)[:3] == [
            "  AGENT                STATE      CPU ↓",
            "▸ a0                   ▶ working      7",
            "  漢字                 ✕ error      186",
        ]


async def test_names_made_to_break_the_screen_do_not() -> None:
    family = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
    hostile = ["\x1b[2J\x1b[Hx", "a\nb\r\tc", "\x00\x07", family * 9, "e" + "\u0301" * 99, "\u202egnorts"]
    hostile += ["漢" * 60, "x" * 10**6]
    app, _ = app_with(first=[Row(str(i), (Cell(name), Cell(name), Cell(name))) for i, name in enumerate(hostile)])
    async with app.run_test(size=SIZE):
        for strip in painted(app):
            assert not any(ord(character) < 32 for character in strip.text)


async def test_only_visible_lines_that_changed_are_painted() -> None:
    many = rows(10_000)
    app, table = app_with(first=many)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        table.lines.clear()
        changed = list(many)
        for index in (2, 3, 500, 9_999):
            changed[index] = row(f"a{index}", "busy")
        table.set_rows(changed)
        await pilot.pause()
        assert sorted(set(table.lines)) == [3, 4]
        table.lines.clear()
        table.set_rows([*changed[:5], row("a5", "busy"), *changed[6:6000], row("a6000", "busy"), *changed[6001:]])
        await pilot.pause()
        assert sorted(set(table.lines)) == [6]
        table.lines.clear()
        changed = list(table.rows)
        changed[7_000] = row("a7000", "busy")
        table.set_rows(changed)
        await pilot.pause()
        assert table.lines == []


async def test_moving_the_cursor_paints_two_lines() -> None:
    app, table = app_with(first=rows(100))
    async with app.run_test(size=SIZE) as pilot:
        table.focus()
        await pilot.pause()
        table.lines.clear()
        await pilot.press("j")
        await pilot.pause()
        assert sorted(set(table.lines)) == [1, 2]
        assert table.cursor_key == "a1"


async def test_keys_go_where_they_say() -> None:
    app, table = app_with(first=rows(100))
    async with app.run_test(size=SIZE) as pilot:
        table.focus()
        for key, where in (
            ("down", "a1"), ("j", "a2"), ("k", "a1"), ("up", "a0"), ("up", "a0"), ("pagedown", "a9"), ("G", "a99"),
            ("pageup", "a90"), ("g", "a0"), ("end", "a99"), ("home", "a0"),
        ):  # fmt: skip
            await pilot.press(key)
            assert table.cursor_key == where
            assert any(line.startswith(f"▸ {where} ") for line in screen_text(app))


async def test_the_cursor_follows_its_key_when_rows_move() -> None:
    app, table = app_with(first=rows(100))
    async with app.run_test(size=SIZE) as pilot:
        table.cursor_key = "a50"
        await pilot.pause()
        line = next(y for y, text in enumerate(screen_text(app)) if text.startswith("▸"))
        table.set_rows([row("new1"), row("new2"), *rows(100)])
        await pilot.pause()
        assert table.cursor_key == "a50"
        assert screen_text(app)[line].startswith("▸ a50")
        table.set_rows([it for it in rows(100) if it.key != "a50"])
        await pilot.pause()
        assert table.cursor_key == "a51"
        table.set_rows(rows(50))
        await pilot.pause()
        assert table.cursor_key == "a49"
        table.set_rows([])
        await pilot.pause()
        assert table.cursor_key is None


async def test_what_arrives_on_top_of_a_table_that_shows_its_top_is_seen() -> None:
    app, table = app_with(first=rows(5))
    async with app.run_test(size=SIZE) as pilot:
        table.set_rows([row("urgent"), *rows(5)])
        await pilot.pause()
        assert screen_text(app)[1:3] == [
            "  urgent               idle           0",
            "▸ a0                   idle           0",
        ]


async def test_nothing_moves_under_the_cursor_while_keys_are_pressed() -> None:
    clock = Clock()
    app, table = app_with(clock, rows(5))
    async with app.run_test(size=SIZE) as pilot:
        table.focus()
        await pilot.press("down")
        table.set_rows([row("new"), row("a4", "busy"), row("a1"), row("a0")])
        await pilot.pause()
        assert table.holding
        assert [line[2:4] for line in screen_text(app)[1:6]] == ["a0", "a1", "a2", "a3", "a4"]
        assert "busy" in screen_text(app)[5]
        assert [it.stale for it in table.rows] == [False, False, True, True, False]
        clock.now += QUIET_SECONDS
        table.set_rows([row("new"), row("a4", "busy"), row("a1"), row("a0")])
        await pilot.pause()
        assert not table.holding
        assert [it.key for it in table.rows] == ["new", "a4", "a1", "a0"]
        assert table.cursor_key == "a1"


async def test_waiting_rows_come_by_themselves_with_the_newest_values() -> None:
    app, table = app_with(first=rows(3))
    async with app.run_test(size=SIZE) as pilot:
        table.focus()
        await pilot.press("down")
        table.set_rows([row("a2"), row("a1"), row("new")])
        table.set_rows([row("a2", "newest"), row("a1"), row("new", "busy")])
        assert table.holding
        await wait_true(lambda: not table.holding)
        assert [(it.key, it.cells[1].text) for it in table.rows] == [("a2", "newest"), ("a1", "idle"), ("new", "busy")]


async def test_what_the_operator_asked_for_does_not_wait() -> None:
    app, table = app_with(Clock(), rows(5))
    async with app.run_test(size=SIZE) as pilot:
        table.focus()
        await pilot.press("down")
        table.set_rows(rows(2), now=True)
        assert len(table.rows) == 2


async def test_marks_survive_a_filter_and_are_counted() -> None:
    app, table = app_with(first=rows(10))
    async with app.run_test(size=SIZE) as pilot:
        table.focus()
        await pilot.press("space", "down", "down", "v")
        assert table.marked == {"a0", "a1", "a2", "a3"}
        assert screen_text(app)[1].startswith(" *a0")
        table.set_rows([row("a1"), row("a9")], now=True)
        assert (len(table.marked), table.hidden_marks) == (4, 3)
        table.set_rows(rows(10), now=True)
        assert table.hidden_marks == 0
        table.keep_marks({"a0", "a9"})
        assert table.marked == {"a0"}
        await pilot.press("escape")
        assert table.marked == frozenset()


async def test_escape_is_the_tables_only_while_something_is_marked() -> None:
    app, table = app_with(first=rows(3))
    async with app.run_test(size=SIZE):
        assert table.check_action("clear_marks", ()) is False
        table.action_toggle_mark()
        assert table.check_action("clear_marks", ()) is True


async def test_the_mouse_selects_chooses_sorts_scrolls_and_asks() -> None:
    app, table = app_with(first=rows(100))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.click(table, offset=(5, 3))
        assert table.cursor_key == "a2"
        await pilot.double_click(table, offset=(5, 4))
        assert [it.key for it in app.said if isinstance(it, FleetTable.Chosen)] == ["a3"]
        await pilot.click(table, offset=(35, 0))
        assert [it.column_key for it in app.said if isinstance(it, FleetTable.HeaderClicked)] == ["cpu"]
        await pilot.click(table, offset=(7, 5), button=3)
        menus = [(it.key, it.x, it.y) for it in app.said if isinstance(it, FleetTable.ContextMenu)]
        assert menus == [("a4", 7, 5)]
        table.scroll_down(animate=False)
        await pilot.pause()
        assert "a1" in screen_text(app)[1]
        await pilot.click(table, offset=(5, 3))
        assert table.cursor_key == "a3"


async def test_messages_name_their_table() -> None:
    app, table = app_with(first=rows(3))
    async with app.run_test(size=SIZE) as pilot:
        table.focus()
        await pilot.press("down", "enter", "space")
        await pilot.pause()
        assert all(message.control is table for message in app.said)
        assert [type(message) for message in app.said[-4:]] == [
            FleetTable.CursorMoved, FleetTable.Chosen, FleetTable.MarksChanged, FleetTable.CursorMoved,
        ]  # fmt: skip


async def test_columns_can_change_and_a_narrow_screen_scrolls_sideways() -> None:
    app, table = app_with(first=[row("a0", "idle", 7)])
    async with app.run_test(size=(20, 5)) as pilot:
        table.focus()
        await pilot.pause()
        assert screen_text(app)[0] == "  AGENT    STATE"
        await pilot.press("right", "right")
        await pilot.pause()
        assert screen_text(app)[0].endswith("CPU")
        table.set_columns([Column("cpu", "CPU", 5, "right")])
        await pilot.pause()
        assert screen_text(app)[0] == "    CPU"


@pytest.mark.parametrize("size", [(20, 5), (1, 1), (3, 2), (200, 60)])
async def test_any_size_and_back(size: tuple[int, int]) -> None:
    app, table = app_with(first=rows(50))
    async with app.run_test(size=SIZE) as pilot:
        table.cursor_key = "a30"
        await pilot.resize_terminal(*size)
        await pilot.pause()
        painted(app)
        await pilot.resize_terminal(*SIZE)
        await pilot.pause()
        assert any(line.startswith("▸ a30") for line in screen_text(app))


async def test_stale_rows_lose_their_colours() -> None:
    app, _ = app_with(first=[row("a0"), row("a1", stale=True)])
    async with app.run_test(size=SIZE):
        cursor, old = ({it.style.color for it in line if it.style and it.text.strip()} for line in painted(app)[1:3])
        assert (len(cursor), len(old)) == (2, 1)


async def test_two_rows_of_one_key_are_refused() -> None:
    app, table = app_with()
    async with app.run_test(size=SIZE):
        with pytest.raises(ValueError, match="same key"):
            table.set_rows([row("a"), row("a")])


async def test_where_keys_go_is_seen_without_colours() -> None:
    app, table = app_with(first=[row("a0", "busy")])
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        assert any(line.startswith("▸ a0") for line in screen_text(app))
        app.set_focus(None)
        await pilot.pause()
        assert any(line.startswith("▹ a0") for line in screen_text(app))
        table.focus()
        await pilot.pause()
        assert any(line.startswith("▸ a0") for line in screen_text(app))
