"""What takes room, in words: kinds with their sizes, one in full, and what a clean-up would remove. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from rich.text import Text

from clawtui.cli.output import printable, size_text
from clawtui.tui.presenters import age_cell, bar
from clawtui.tui.theme import STYLES
from clawtui.tui.widgets.fields import Field, broken, heading
from clawtui.tui.widgets.table_layout import Cell, Column, Row
from hub.contract import DiskObject, DiskRow, DiskView, PrunePlan

ALL: Final = "everything"
"""The first row: all kinds together."""
UNKNOWN: Final = "?"
SHARING: Final = frozenset({"images", "cache"})
OBJECTS: Final = 200
"""So many stand in a detail; the rest is counted."""
DISK_COLUMNS: Final = (
    Column("kind", "WHAT", 11, "left"),
    Column("place", "WHERE", 8, "left"),
    Column("count", "COUNT", 6, "right"),
    Column("size", "SIZE", 7, "right"),
    Column("unused", "UNUSED", 6, "right"),
    Column("frees", "FREES", 7, "right"),
    Column("note", "NOTE", 12, "left", True),
)
DISK_KEYS: Final = frozenset({"kind", "place", "note"})


def row_key(row: DiskRow) -> str:
    return f"{row.place} {row.kind}"


def kinds_of(keys: Iterable[str]) -> list[str]:
    """The kinds that rows with these keys are about; none means all."""
    meant = list(keys)
    return [] if ALL in meant else sorted({key.rpartition(" ")[2] for key in meant})


def size_said(size_bytes: int | None) -> str:
    return UNKNOWN if size_bytes is None else size_text(size_bytes) or UNKNOWN


def _sum(sizes: Iterable[int | None]) -> str:
    """What is known, with a sign where more is there."""
    known = list(sizes)
    return f"{size_text(sum(one or 0 for one in known))}{'+' if None in known else ''}"


def disk_rows(view: DiskView, stale: bool) -> list[tuple[Mapping[str, str], Row]]:
    rows = [_row(row_key(one), one, stale) for one in view.rows]
    return [_together(view, stale), *rows] if rows else []


def _together(view: DiskView, stale: bool) -> tuple[Mapping[str, str], Row]:
    unused = [row for row in view.rows if row.unused_count]
    size = _sum(row.size_bytes for row in view.rows)
    if not size.endswith("+"):
        size = _most(any(map(_shares, view.rows))) + size
    cells = (
        Cell(ALL, "bold"), Cell(""), Cell(str(sum(row.count for row in view.rows))),
        Cell(size), Cell(str(sum(row.unused_count for row in unused) or "-")),
        Cell(_sum(row.unused_bytes for row in unused) if unused else "-", "warn" if unused else "dim"),
        Cell(disk_said(view), "dim"),
    )  # fmt: skip
    return {"kind": ALL, "place": "", "note": ""}, Row(ALL, cells, stale)


def _shares(row: DiskRow) -> bool:
    """Whether its sizes overlap: layers of images count for each image that has them."""
    return row.kind in SHARING and row.count > 1


def _most(shares: bool) -> str:
    return "≤" if shares else ""


def _size(row: DiskRow) -> str:
    return f"{_most(_shares(row) and row.size_bytes is not None)}{size_said(row.size_bytes)}"


def _row(key: str, row: DiskRow, stale: bool) -> tuple[Mapping[str, str], Row]:
    unused = bool(row.unused_count)
    cells = (
        Cell(row.kind), Cell(row.place, "dim"), Cell(str(row.count)), Cell(_size(row)),
        Cell(str(row.unused_count) if unused else "-", "" if unused else "dim"),
        Cell(size_said(row.unused_bytes) if unused else "-", "warn" if unused else "dim"),
        Cell(printable(row.note), "warn"),
    )  # fmt: skip
    return {"kind": row.kind, "place": row.place, "note": row.note}, Row(key, cells, stale)


def disk_said(view: DiskView) -> str:
    """Of the disk of the state folder."""
    used, total = view.disk_used_bytes, view.disk_total_bytes
    if used is None or not total:
        return ""
    return f"{size_text(total - used)} free of {size_text(total)}"


# --- one in full


def disk_detail(view: DiskView, key: str, now: datetime, keys: Mapping[str, str]) -> list[Field]:
    """What a kind is made of, what of it nobody needs and why; of everything: who takes how much."""
    if key == ALL:
        return _everything(view, now, keys)
    row = next((one for one in view.rows if row_key(one) == key), None)
    if row is None:
        return []
    clean = keys.get("disk.clean", "")
    shared = "at most: what several share counts for each" if _shares(row) else ""
    fields = [
        Field("What", row.kind, "bold", f"at {row.place}"),
        Field("Size", f"{_size(row)} in {row.count}", "", shared),
    ]
    if row.unused_count:
        more = f"{clean} shows the plan of a clean-up" if clean else ""
        free = (
            "what that frees is not known"
            if row.unused_bytes is None
            else f"{size_said(row.unused_bytes)} would be free"
        )
        fields.append(Field("Unused", f"{row.unused_count}: {free}", "warn", more))
    if row.note:
        fields.append(Field("Note", printable(row.note), "warn"))
    objects = [one for one in view.objects if (one.place, one.kind) == (row.place, row.kind)]
    for title, of in (("Nobody needs", [one for one in objects if one.unused]),
                      ("Needed", [one for one in objects if not one.unused])):  # fmt: skip
        fields += [heading(title), *map(_object, of[:OBJECTS])] if of else []
        fields += [Field("", f"… and {len(of) - OBJECTS} more", "dim")] if len(of) > OBJECTS else []
    return fields


def _object(one: DiskObject) -> Field:
    why = printable(one.unused or one.used_by)
    return Field(size_said(one.size_bytes), printable(one.name), "warn" if one.unused else "", why)


def _everything(view: DiskView, now: datetime, keys: Mapping[str, str]) -> list[Field]:
    clean = keys.get("disk.clean", "")
    fields = [Field("What", "everything of clawtui", "bold", f"looked at {age_cell(view.at, now)} ago")]
    if any(map(_shares, view.rows)):
        fields.append(Field("", "Sizes with ≤ are at most: what several images share counts for each.", "dim"))
    used, total = view.disk_used_bytes, view.disk_total_bytes
    if used is not None and total:
        share = used / total
        text = f"{bar(share, 16)} {share:.0%} used, {disk_said(view)}"
        fields.append(Field("Disk", text, "bad" if share > 0.95 else "warn" if share > 0.85 else "", "state folder's"))
    unused = [row for row in view.rows if row.unused_count]
    if unused:
        more = f"{clean} shows the plan of a clean-up" if clean else ""
        fields.append(Field("Unused", f"{_sum(row.unused_bytes for row in unused)} would be free", "warn", more))
    else:
        fields.append(Field("Unused", "√ nothing", "ok"))
    fields += [Field(f"{row.place} {row.kind}", printable(row.note), "warn") for row in view.rows if row.note]
    if view.agents:
        fields.append(heading("Agents, the biggest first"))
    for agent in sorted(view.agents, key=lambda agent: -agent.size_bytes)[:OBJECTS]:
        parts = ", ".join(f"{kind} {size_text(size)}" for kind, size in sorted(agent.parts.items()))
        fields.append(Field(size_said(agent.size_bytes), agent.agent_id, "", parts))
    return fields


# --- the plan


def plan_said(plan: PrunePlan) -> str:
    things = "1 thing" if len(plan.objects) == 1 else f"{len(plan.objects)} things"
    if all(one.frees_bytes is None for one in plan.objects):
        return f"{things}; how much would be free again is not known"
    least = "at least " if any(one.frees_bytes is None for one in plan.objects) else ""
    return f"{things}, {least}{size_said(plan.frees_bytes)} would be free again"


def freed_said(plan: PrunePlan, removed: Sequence[Any], freed_bytes: int) -> str:
    """What a clean-up has done; `removed`: the things it names."""
    unknown = any(one.frees_bytes is None for one in plan.objects)
    if unknown and not freed_bytes:
        return f"removed {len(removed)}; how much is free again is not known"
    return f"removed {len(removed)}, {'at least ' if unknown else ''}{size_said(freed_bytes)} are free again"


def plan_text(plan: PrunePlan, cells: int) -> Text:
    """Every object with what it frees and why, in lines of at most `cells`."""
    text = Text()
    for one in plan.objects:
        text.append(f"{size_said(one.frees_bytes):>7}  {one.kind} ")
        text.append(printable(one.name), "bold")
        text.append(" data\n" if one.data else "\n", STYLES["bad"])
        _indented(text, one.unused, cells)
    for note in plan.notes:
        text.append("not known:\n", STYLES["warn"])
        _indented(text, note, cells)
    return text


def _indented(text: Text, words: str, cells: int) -> None:
    for line in broken(printable(words), max(cells - 9, 20)):
        text.append(f"{' ' * 9}{line}\n", STYLES["dim"])


def clean_words(kinds: Sequence[str], *, newest: bool, data: bool) -> list[str]:
    """The verb that does the same."""
    return ["clawtui", "prune", *kinds, *(["--all"] if newest else []), "--yes", *(["--data"] if data else [])]
