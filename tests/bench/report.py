"""Rows of the benchmark, what they are judged by, and the table."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table


class Verdict(enum.StrEnum):
    OK = "ok"
    OVER = "over"
    """The budget was missed."""
    NONE = ""
    """There is no budget: the row stands for comparison."""
    SKIPPED = "skipped"
    FAILED = "failed"
    """It could not be measured, and that is a fault."""


class Row(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One measured number. `ratios`: how many times better than each peer we are in the same run.

    `measured` is None when the row was skipped; then `note` says why. `runs` are the repetitions
    that `measured` is the median of.
    """

    section: str
    name: str
    unit: str
    measured: float | None = None
    budget: float | None = None
    higher_is_better: bool = False
    ratios: dict[str, float] = {}
    runs: list[float] = []
    note: str = ""
    failed: bool = False

    @property
    def verdict(self) -> Verdict:
        if self.failed:
            return Verdict.FAILED
        if self.measured is None:
            return Verdict.SKIPPED
        if self.budget is None:
            return Verdict.NONE
        good = self.measured >= self.budget if self.higher_is_better else self.measured <= self.budget
        return Verdict.OK if good else Verdict.OVER


def times_better(ours: Row, theirs: Row) -> float | None:
    """How many times better our number is than a peer's, or None when one of them is missing."""
    if not ours.measured or not theirs.measured:
        return None
    quotient = theirs.measured / ours.measured
    return 1 / quotient if ours.higher_is_better else quotient


def with_ratios(ours: Row, peers: dict[str, Row]) -> Row:
    """Return the row with its ratios to those peers that were measured."""
    found = {name: times_better(ours, row) for name, row in peers.items()}
    return msgspec.structs.replace(ours, ratios={name: round(it, 2) for name, it in found.items() if it is not None})


def write_json(path: Path, machine: dict[str, Any], rows: list[Row]) -> None:
    """Write everything that was measured, for machines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    listed = [{**msgspec.to_builtins(row), "verdict": row.verdict.value} for row in rows]
    path.write_bytes(msgspec.json.format(msgspec.json.encode({"machine": machine, "rows": listed})) + b"\n")


def print_table(console: Console, rows: list[Row]) -> None:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for title, justify in (("WHAT", "left"), ("MEASURED", "right"), ("BUDGET", "right"), ("VERDICT", "left")):
        table.add_column(title, justify=justify, no_wrap=title != "WHAT")  # pyright: ignore[reportArgumentType]
    table.add_column("BETTER THAN PEERS BY")
    table.add_column("NOTE", style="dim")
    section = ""
    for row in rows:
        if row.section != section:
            section = row.section
            table.add_row(f"[bold]{section}[/bold]")
        table.add_row(
            f"  {row.name}",
            _number(row.measured, row.unit),
            _number(row.budget, row.unit),
            _coloured(row.verdict),
            ", ".join(f"{name} {ratio:.1f}x" for name, ratio in row.ratios.items()),
            row.note,
        )
    console.print(table)


def _number(value: float | None, unit: str) -> str:
    if value is None:
        return "-"
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:,.{digits}f} {unit}"


def _coloured(verdict: Verdict) -> str:
    colour = {Verdict.OK: "green", Verdict.OVER: "red", Verdict.FAILED: "red", Verdict.SKIPPED: "yellow"}.get(verdict)
    return f"[{colour}]{verdict.value}[/{colour}]" if colour else verdict.value
