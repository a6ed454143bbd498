"""Who did what to whom, and what came of it: the hub's audit, newest first."""

from __future__ import annotations

from collections.abc import Mapping

from clawtui.cli.output import printable
from clawtui.tui.actions import Where
from clawtui.tui.presenters import age_cell
from clawtui.tui.screens.listing import Listing
from clawtui.tui.store import FleetStore
from clawtui.tui.widgets.table_layout import Cell, Column, Row
from hub.contract import AuditView, PageQuery

ENTRIES = 300
GOOD = frozenset({"ok", "done", "allowed", "succeeded"})


class JournalPane(Listing):
    place = Where.JOURNAL
    title = "Journal"
    columns = (
        Column("age", "AGE", 6, "right"),
        Column("who", "WHO", 10, "left"),
        Column("what", "WHAT", 16, "left"),
        Column("target", "TARGET", 14, "left"),
        Column("outcome", "OUTCOME", 9, "left"),
        Column("detail", "DETAIL", 12, "left", True),
    )
    kinds = ("audit", "job", "dispatch")
    keys = frozenset({"who", "what", "target", "outcome", "detail"})
    empty = "Nothing was done yet"

    def __init__(self, id: str) -> None:
        super().__init__(id=id)
        self._entries: list[AuditView] = []

    async def read(self, store: FleetStore) -> None:
        self._entries = (await store.control.audit(PageQuery(limit=ENTRIES))).audit
        self.changed()

    def rows(self, store: FleetStore) -> list[tuple[Mapping[str, str], Row]]:
        now, stale = store.now(), not store.live
        return [(_fields(entry), _row(entry, age_cell(entry.at, now), stale)) for entry in self._entries]

    def copied(self) -> str:
        found = next((one for one in self._entries if str(one.seq) == self.table.cursor_key), None)
        return "" if found is None else " ".join((found.at, *_fields(found).values()))


def _fields(entry: AuditView) -> dict[str, str]:
    return {
        "who": entry.who, "what": entry.what, "target": entry.target, "outcome": entry.outcome,
        "detail": printable(entry.detail),
    }  # fmt: skip


def _row(entry: AuditView, age: str, stale: bool) -> Row:
    fields = _fields(entry)
    style = "ok" if entry.outcome in GOOD else "warn"
    cells = (
        Cell(age, "dim"), Cell(fields["who"]), Cell(fields["what"], "accent"), Cell(fields["target"]),
        Cell(fields["outcome"], style), Cell(fields["detail"], "dim"),
    )  # fmt: skip
    return Row(str(entry.seq), cells, stale)
