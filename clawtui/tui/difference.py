"""The difference of two snapshots in words. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from clawtui.cli.output import printable, size_text
from clawtui.tui.widgets.table_layout import Cell, Column, Row
from clawtui.tui.words import Sign
from hub.contract import DiffEntry, SnapshotDiff

COLUMNS: Final = (
    Column("change", "CHANGE", 17, "left"),
    Column("before", "BEFORE", 6, "right"),
    Column("after", "AFTER", 6, "right"),
    Column("kind", "KIND", 7, "left"),
    Column("path", "PATH", 20, "left", True),
)
KEYS: Final = frozenset({"path", "change", "kind", "what"})
SIGNS: Final = {"added": Sign("+", "ok"), "removed": Sign("-", "bad"), "changed": Sign("~", "warn")}


def entry_row(entry: DiffEntry, stale: bool) -> tuple[Mapping[str, str], Row]:
    sign = SIGNS.get(entry.change, Sign("·", ""))
    cells = (
        Cell(f"{sign.glyph} {entry.change} {entry.what}".strip(), sign.style),
        Cell(size_text(entry.before_bytes) or ""),
        Cell(size_text(entry.after_bytes) or ""),
        Cell(entry.kind, "dim"),
        Cell(printable(entry.path)),
    )
    found = {"path": entry.path, "change": entry.change, "kind": entry.kind, "what": entry.what}
    return found, Row(entry.path, cells, stale)


def summary(found: SnapshotDiff) -> str:
    counted = [f"{SIGNS[name].glyph}{found.counts.get(name, 0)} {name}" for name in SIGNS]
    return f"{' '.join(counted)} · {size_text(found.bytes_added)} more, {size_text(found.bytes_removed)} less"


def remarks(found: SnapshotDiff) -> list[str]:
    """What the list does not say; at most two lines."""
    said: list[str] = []
    if found.truncated:
        everything = sum(found.counts.values())
        said.append(f"! the first {len(found.entries):,} of {everything:,} are listed")
    if found.base_image_changed:
        said.append("! the two are of different images: what those differ in is not listed")
    return said
