"""Profiles of VMs on their way to Docker in words: what became of each, what needs a person, what is written. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from clawtui.cli.migrate import Source
from clawtui.cli.migrate_files import Change, FileChange
from clawtui.cli.output import printable
from clawtui.tui.theme import Piece
from clawtui.tui.widgets.table_layout import Cell, Column, Row
from clawtui.tui.words import Sign
from profiles.migrate import Finding, Migration, Severity
from profiles.migrate.report import WORDS, rows

SIGNS: Final[dict[Severity, Sign]] = {
    Severity.NEEDS_YOU: Sign("▲", "warn"),
    Severity.ADAPTED: Sign("~", "accent"),
    Severity.OK: Sign("√", "ok"),
}
WRONG: Final = Sign("×", "bad")
CHANGES: Final[dict[Change, Sign]] = {
    Change.NEW: Sign("+", "ok"), Change.CHANGED: Sign("~", "warn"), Change.REMOVED: Sign("-", "bad"),
    Change.UNCHANGED: Sign("√", "dim"),
}  # fmt: skip
COLUMNS: Final = (
    Column("profile", "PROFILE", 18, "left"),
    Column("verdict", "VERDICT", 12, "left"),
    Column("needs", "NEEDS", 5, "right"),
    Column("files", "FILES", 20, "left"),
    Column("path", "FROM", 16, "left", True),
)
KEYS: Final = frozenset({"profile", "verdict", "path"})
DIFF_STYLES: Final = {"+": "ok", "-": "bad", "@": "accent"}
INDENT: Final = "    "


class Item(NamedTuple):
    """One file that was read. `changes`: held against the folder where it is written; `refused`: why it cannot be."""

    source: Source
    changes: tuple[FileChange, ...] = ()
    refused: str = ""

    @property
    def name(self) -> str:
        migration = self.source.migration
        return migration.name if migration is not None else self.source.path.rpartition("/")[2]

    @property
    def writes(self) -> tuple[FileChange, ...]:
        """What there is to do in the folder."""
        return tuple(one for one in self.changes if one.change is not Change.UNCHANGED)


def verdict(item: Item) -> tuple[Sign, str]:
    migration = item.source.migration
    if migration is None:
        return WRONG, "no profile"
    if migration.unchanged:
        return SIGNS[Severity.OK], "unchanged"
    return SIGNS[migration.verdict], WORDS[migration.verdict]


def needing(migration: Migration | None) -> int:
    findings = migration.findings if migration is not None else ()
    return sum(one.severity is Severity.NEEDS_YOU for one in findings)


def changes_said(item: Item) -> str:
    """`2 new, 1 changed`; empty where nobody said where it is written."""
    if item.refused:
        return "× cannot be written"
    counts = Counter(one.change for one in item.changes)
    return ", ".join(f"{counts[change]} {change.value}" for change in CHANGES if counts[change])


def item_row(item: Item) -> tuple[Mapping[str, str], Row]:
    mark, word = verdict(item)
    count = needing(item.source.migration)
    cells = (
        Cell(printable(item.name), "bold"), Cell(f"{mark.glyph} {word}", mark.style), Cell(str(count or ""), "warn"),
        Cell(changes_said(item), "bad" if item.refused else "dim"), Cell(printable(item.source.path), "dim"),
    )  # fmt: skip
    return {"profile": item.name, "verdict": word, "path": item.source.path}, Row(item.source.path, cells)


# --- one in full


def item_lines(item: Item, out: str) -> list[Piece]:
    """What is wrong with it, or its report per area, every finding, and what changes in the folder `out`."""
    migration = item.source.migration
    mark, word = verdict(item)
    lines: list[Piece] = [(f"{item.name}: {mark.glyph} {word}", mark.style or "bold")]
    if migration is None:
        for problem in item.source.problems:
            where = f"{problem.field}: " if problem.field else ""
            lines.append((f"  × {where}{problem.message}", "bad"))
            lines += [(f"{INDENT}{problem.hint}", "accent")] if problem.hint else []
        return lines
    if migration.unchanged:
        lines.append((f"  {migration.findings[0].reason}", ""))
    else:
        lines += [
            *_findings(migration.findings, Severity.NEEDS_YOU), *_report(migration),
            *_findings(migration.findings, Severity.ADAPTED), *_findings(migration.findings, Severity.OK),
        ]  # fmt: skip
    return [*lines, *_files(item, out)]


def _report(migration: Migration) -> Iterator[Piece]:
    yield ("", "")
    yield ("What holds for each part", "bold")
    for row in rows(migration):
        mark = SIGNS[row.verdict]
        yield (f"  {mark.glyph} {WORDS[row.verdict]:<9} {row.area.value}: {row.note}", mark.style)


def _findings(findings: Sequence[Finding], severity: Severity) -> Iterator[Piece]:
    mark, here = SIGNS[severity], [one for one in findings if one.severity is severity]
    if here:
        yield ("", "")
        yield (f"{WORDS[severity].capitalize()}: {len(here)}", "bold")
    for one in here:
        where = f"{one.field}: " if one.field else f"{one.area.value}: "
        yield (f"  {mark.glyph} {where}{one.message}", mark.style)
        yield (f"{INDENT}why: {one.reason}", "dim")
        if one.todo:
            yield (f"{INDENT}to do: {one.todo}", "accent")


def _files(item: Item, out: str) -> Iterator[Piece]:
    yield ("", "")
    if item.refused:
        yield (f"Nothing can be written to {out}", "bold")
        yield (f"  × {item.refused}", "bad")
        return
    yield (f"Files in {out}" if out else "Nobody has said yet where it is written", "bold")
    for one in item.changes:
        mark = CHANGES[one.change]
        yield (f"  {mark.glyph} {one.change.value:<9} {one.path}", mark.style)
        for line in one.difference.splitlines():
            yield (f"{INDENT}{line}", DIFF_STYLES.get(line[:1], ""))


def question(items: Sequence[Item], out: str) -> tuple[str, list[str]]:
    """Before something is written: how many files, and which of them replace or remove others."""
    writes = [one for item in items for one in item.writes]
    count = f"{len(writes)} file{'s' if len(writes) != 1 else ''}"
    lines = [f"To {out}, on the machine of this screen."]
    for change in (Change.NEW, Change.CHANGED, Change.REMOVED):
        paths = [one.path for one in writes if one.change is change]
        word = {Change.NEW: "New", Change.CHANGED: "Replaced", Change.REMOVED: "Removed"}[change]
        lines += [f"{word}: {', '.join(paths)}"] if paths else []
    open_ends = sum(needing(item.source.migration) for item in items)
    lines += [f"Findings that need you: {open_ends}. The report beside each profile says what to do."] * bool(open_ends)
    return f"Write {count}?", lines
