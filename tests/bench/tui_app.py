"""What `tests.bench.tui` runs on a terminal: `python -m tests.bench.tui_app PART OUT.json` measures and writes."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from textual.app import App, ComposeResult
from textual.widget import Widget
from textual.widgets import DataTable, Static

from clawtui.tui.widgets.fleet_table import Cell, Column, FleetTable, Row
from clawtui.tui.widgets.log_view import LogLineView, LogView
from tests.bench.slices import SlicedLoop

ROWS = 10_000
CHANGED = 200
UPDATES = 30
FLOOD_SECONDS = 5.0
FLOOD_LINES_PER_SECOND = 100_000
TICKS_PER_SECOND = 10
FAST_LINES = 1_000_000
COLUMNS = (
    Column("agent", "AGENT", 16, grow=True), Column("state", "STATE", 12), Column("task", "TASK", 20, grow=True),
    Column("cpu", "CPU", 5, "right"), Column("memory", "MEMORY", 10), Column("age", "AGE", 6, "right"),
)  # fmt: skip
STATES = (("▶ working", "ok"), ("◐ waiting", "warn"), ("✕ error", "bad"), ("○ idle", "dim"))


def row(index: int, round_number: int) -> Row:
    """A row as the fleet's: two coloured cells, a bar, numbers that differ in every round."""
    state, meaning = STATES[(index + round_number) % len(STATES)]
    return Row(
        f"agent-{index}",
        (
            Cell(f"builder-{index}"),
            Cell(state, meaning),
            Cell(f"npm build #{index + round_number}"),
            Cell(str((index * 7 + round_number) % 200)),
            Cell("████▌░░░", "accent"),
            Cell(f"{round_number}s", "dim"),
        ),
    )


class Cost(NamedTuple):
    """Seconds: of a busy loop, computed by its thread, of the longest slice."""

    busy: float
    cpu: float
    longest: float


class Measured(App[dict[str, Any]]):
    """An app with one widget that measures itself and ends."""

    def __init__(self, widget: Widget, measure: Callable[[Measured], Awaitable[dict[str, Any]]]) -> None:
        super().__init__()
        self.widget = widget
        self._measure = measure

    def compose(self) -> ComposeResult:
        yield self.widget

    def on_ready(self) -> None:
        self.run_worker(self._run())

    async def _run(self) -> None:
        await self.painted()
        self.exit(await self._measure(self))

    async def painted(self) -> None:
        """Return after the next frame went to the terminal."""
        frame = asyncio.Event()
        self.screen.call_after_refresh(frame.set)
        await frame.wait()

    async def cost(self, change: Callable[[], object]) -> Cost:
        """What it takes from `change` until it is on the terminal."""
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SlicedLoop)
        # In a slice of its own: the one that is going on also prepared the change.
        await asyncio.sleep(0)
        loop.start_counting()
        change()
        await self.painted()
        return Cost(loop.busy_seconds, loop.cpu_seconds, loop.longest_seconds)


async def measure_table(app: Measured) -> dict[str, Any]:
    table = app.widget
    assert isinstance(table, FleetTable)
    first = [row(index, 0) for index in range(ROWS)]
    mount = await app.cost(lambda: table.set_rows(first))
    updates: list[Cost] = []
    for number in range(1, UPDATES + 1):
        now = [row(index, number) for index in range(CHANGED)] + first[CHANGED:]
        updates.append(await app.cost(lambda now=now: table.set_rows(now)))
    return {"mount": mount, "updates": updates}


async def measure_data_table(app: Measured) -> dict[str, Any]:
    """The same with Textual's own table, changing one cell in each of the rows."""
    table = app.widget
    assert isinstance(table, DataTable)
    for column in COLUMNS:
        table.add_column(column.title, key=column.key, width=column.width)

    def fill() -> None:
        for index in range(ROWS):
            line = row(index, 0)
            table.add_row(*(cell.text for cell in line.cells), key=line.key)

    def change(number: int) -> None:
        for index in range(CHANGED):
            table.update_cell(f"agent-{index}", "age", f"{number}s")

    mount = await app.cost(fill)
    updates = [await app.cost(lambda number=number: change(number)) for number in range(UPDATES)]
    return {"mount": mount, "updates": updates}


def log_lines(count: int, start: int) -> list[LogLineView]:
    return [
        LogLineView(f"2026-01-01 heap {start + index} of 8.0g in use, collecting", level="info", key=start + index)
        for index in range(count)
    ]


async def measure_log(app: Measured) -> dict[str, Any]:
    """First as many as fit, then the budgeted rate in ten batches a second; lines are made outside the counting."""
    view = app.widget
    assert isinstance(view, LogView)
    batch = FLOOD_LINES_PER_SECOND // TICKS_PER_SECOND
    fast = [log_lines(batch, start) for start in range(0, FAST_LINES, batch)]
    started = time.perf_counter()
    for lines in fast:
        view.append(lines)
        await app.painted()
    rate = FAST_LINES / (time.perf_counter() - started)
    costs: list[Cost] = []
    for lines in fast[: int(FLOOD_SECONDS * TICKS_PER_SECOND)]:
        costs.append(await app.cost(lambda lines=lines: view.append(lines)))
        await asyncio.sleep(max(0.0, 1 / TICKS_PER_SECOND - costs[-1].busy))
    return {"rate": rate, "costs": costs, "dropped": view.dropped}


class Bare(App[None]):
    """The least that Textual can paint."""

    def compose(self) -> ComposeResult:
        yield Static("a bare Textual application with one line of text")


def main(part: str, out: Path) -> None:
    if part == "bare":
        Bare().run()
        return
    parts: dict[str, Callable[[], Measured]] = {
        "table": lambda: Measured(FleetTable(COLUMNS), measure_table),
        "data-table": lambda: Measured(DataTable(), measure_data_table),
        "log": lambda: Measured(LogView(), measure_log),
    }
    found = parts[part]().run(loop=SlicedLoop())
    out.write_bytes(msgspec.json.encode(found))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
