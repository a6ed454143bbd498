"""The screen: table, log pane and first paint on a real terminal driver, beside Textual's own and Posting."""

from __future__ import annotations

import os
import shutil
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from tests.bench.hubs import BenchError
from tests.bench.report import Row, with_ratios
from tests.bench.terminal import Terminal
from tests.bench.timing import Samples
from tests.bench.tui_app import FLOOD_SECONDS, Cost

SECTION = "screen, 160 columns by 50 lines"
PAINT_SECTION = "first paint, start of the program to its first frame"
CHILD_SECONDS = 180.0
PAINT_SECONDS = 30.0
MOUNT_BUDGET_MS = 150.0
UPDATE_BUDGET_MS = 5.0
STALL_BUDGET_MS = 50.0
LINES_BUDGET = 100_000.0
PAINT_BUDGET_MS = 500.0
POSTING_VARIABLE = "CLAWTUI_BENCH_POSTING"
"""Where the peer's program is, when not on the path: it pins another Textual and lives in an environment of its own."""
REPOSITORY = Path(__file__).parents[2]


def screen(folder: Path, repeats: int, say: Callable[[str], None]) -> list[Row]:
    """All rows; `repeats` starts of each program for the first paint."""
    folder.mkdir()
    say("tables of 10,000 rows")
    theirs = _table_rows("DataTable of Textual", _child("data-table", folder))
    ours = _table_rows("fleet table", _child("table", folder), MOUNT_BUDGET_MS, UPDATE_BUDGET_MS)
    tables = [with_ratios(mine, {"DataTable": other}) for mine, other in zip(ours, theirs, strict=True)]
    say("log pane under a flood")
    return [*tables, *theirs, *_log_rows(_child("log", folder)), *_paint_rows(folder, repeats, say)]


def _child(part: str, folder: Path) -> dict[str, Any]:
    out = folder / f"{part}.json"
    command = [sys.executable, "-m", "tests.bench.tui_app", part, str(out)]
    with Terminal(command, {}, REPOSITORY) as terminal:
        code = terminal.wait_end(CHILD_SECONDS)
        if code != 0 or not out.exists():
            raise BenchError(f"{part} ended with {code}: {terminal.output[-500:]!r}")
    return msgspec.json.decode(out.read_bytes())


def _table_rows(name: str, found: dict[str, Any], mount: float | None = None, update: float | None = None) -> list[Row]:
    mounted = Cost(*found["mount"])
    costs = [Cost(*it) for it in found["updates"]]
    updates = Samples(cost.busy for cost in costs)
    computed = Samples(cost.cpu for cost in costs).p50_ms
    note = f"p99 {updates.p99_ms:.1f} ms; {computed:.1f} ms of it computed, the rest is others' use of the cores"
    return [
        Row(
            section=SECTION,
            name=f"{name}: mount 10,000 rows",
            unit="ms",
            measured=mounted.busy * 1000,
            budget=mount,
            note=f"{mounted.cpu * 1000:.0f} ms of it computed",
        ),
        Row(
            section=SECTION,
            name=f"{name}: 200 rows changed and painted, p50",
            unit="ms",
            measured=updates.p50_ms,
            budget=update,
            note=note,
        ),
    ]


def _log_rows(found: dict[str, Any]) -> list[Row]:
    costs = [Cost(*it) for it in found["costs"]]
    core = sum(cost.cpu for cost in costs) / FLOOD_SECONDS
    return [
        Row(
            section=SECTION,
            name="log pane: lines per second, as fast as it takes them",
            unit="/s",
            measured=found["rate"],
            budget=LINES_BUDGET,
            higher_is_better=True,
        ),
        Row(
            section=SECTION,
            name="log pane: longest slice at 100,000 lines/s",
            unit="ms",
            measured=max(cost.longest for cost in costs) * 1000,
            budget=STALL_BUDGET_MS,
            note=f"{core:.0%} of a core; {found['dropped']:,} lines dropped and counted",
        ),
    ]


def _paint_rows(folder: Path, repeats: int, say: Callable[[str], None]) -> list[Row]:
    say("first paint")
    bare_command = [sys.executable, "-m", "tests.bench.tui_app", "bare", os.devnull]
    bare = _paint("bare Textual application, p50", [(bare_command, {})] * repeats, REPOSITORY)
    posting = _posting(folder, repeats)
    # A hub of its own for every start: a first start also makes its home.
    starts = [(_clawtui(folder / f"home{number}"), {}) for number in range(repeats)]
    ours = _paint("clawtui with its own hub, p50", starts, REPOSITORY, PAINT_BUDGET_MS)
    return [with_ratios(ours, {"bare Textual": bare, "Posting": posting}), bare, posting]


def _clawtui(home: Path) -> list[str]:
    ports = ["--port-agents", "0", "--port-api", "0"]
    return [sys.executable, "-m", "clawtui", "--home", str(home), *ports]


def _posting(folder: Path, repeats: int) -> Row:
    program = os.environ.get(POSTING_VARIABLE) or shutil.which("posting")
    name = "Posting, p50"
    if program is None:
        note = f"skipped: no `posting` on the path and no {POSTING_VARIABLE}"
        return Row(section=PAINT_SECTION, name=name, unit="ms", note=note)
    home = {name: str(folder / "posting") for name in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME")}
    found = _paint(name, [([program], home)] * repeats, folder)
    # A peer that does not start here is no fault of ours.
    return msgspec.structs.replace(found, failed=False, note=f"skipped: {found.note}") if found.failed else found


def _paint(
    name: str, starts: Sequence[tuple[list[str], Mapping[str, str]]], folder: Path, budget: float | None = None
) -> Row:
    found: list[float] = []
    for command, env in starts:
        with Terminal(command, env, folder) as terminal:
            seconds = terminal.wait_first_frame(PAINT_SECONDS)
            if seconds is None:
                note = f"painted nothing: {terminal.output[-300:]!r}"
                return Row(section=PAINT_SECTION, name=name, unit="ms", failed=True, note=note)
            found.append(seconds * 1000)
    return Row(
        section=PAINT_SECTION,
        name=name,
        unit="ms",
        measured=statistics.median(found),
        budget=budget,
        runs=[round(it, 1) for it in found],
    )
