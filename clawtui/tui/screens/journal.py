"""Who did what to whom, what came of it, and the way back: acts, and the audit behind them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from clawtui.tui.actions import Where
from clawtui.tui.journal import (
    ACT_COLUMNS,
    ACT_KEYS,
    AUDIT_COLUMNS,
    AUDIT_KEYS,
    act_detail,
    act_row,
    audit_detail,
    audit_row,
    is_act,
)
from clawtui.tui.screens.detailed import DetailedListing
from clawtui.tui.store import FleetStore
from clawtui.tui.undoing import cannot
from clawtui.tui.widgets.fields import Field
from clawtui.tui.widgets.fleet_table import FleetTable
from clawtui.tui.widgets.table_layout import Row
from hub.contract import AuditView, JournalEntry, PageQuery
from hub.errors import Forbidden

ENTRIES = 500
AGAIN_SECONDS = 5.0
"""Tokens and policies change without a word in the feed: so often it is read again while somebody looks."""
ACTS, AUDIT = "acts", "audit"


class JournalPane(DetailedListing):
    """Two views of one list: what people did, and everything as it was written down."""

    place = Where.JOURNAL
    title = "Journal"
    columns = ACT_COLUMNS
    kinds = ("audit", "job", "dispatch", "task", "attention")
    keys = ACT_KEYS
    empty = "Nothing was done yet.\n\nWhat people do to agents, tasks and tokens appears here, with the command for it."
    views: ClassVar = {ACTS: "1 Acts", AUDIT: "2 Audit"}

    def __init__(self, id: str) -> None:
        super().__init__(id=id)
        self.view = ACTS
        self._acts: dict[str, JournalEntry] = {}
        self._audit: dict[str, AuditView] = {}
        self._refused = ""

    def wants(self, store: FleetStore) -> tuple[object, ...]:
        return (self.view, int(store.mono() / AGAIN_SECONDS), *super().wants(store))

    async def read(self, store: FleetStore) -> None:
        try:
            if self.view == ACTS:
                entries = (await store.control.journal(PageQuery(limit=ENTRIES))).journal
                self._acts = {str(entry.seq): entry for entry in entries if is_act(entry)}
            else:
                self._audit = {str(one.seq): one for one in (await store.control.audit(PageQuery(limit=ENTRIES))).audit}
            self._refused = ""
        except Forbidden as error:
            self._refused = f"{error.message}.\n\nThe journal needs a token with the role admin."
        self.changed()

    def rows(self, store: FleetStore) -> list[tuple[Mapping[str, str], Row]]:
        now, stale = store.now(), not store.live
        if self.view == ACTS:
            key = self.ui.keymap.first("undo")
            return [act_row(entry, now, stale, key) for entry in self._acts.values()]
        return [audit_row(entry, now, stale) for entry in self._audit.values()]

    def heading(self) -> str:
        views = "  ".join(f"[{title}]" if view == self.view else title for view, title in self.views.items())
        return f"{self.title}  {views} ·"

    def empty_text(self) -> str:
        return self._refused or self.empty

    def fields(self, store: FleetStore, key: str) -> list[Field]:
        now = store.now()
        if self.view == ACTS:
            return act_detail(self._acts[key], now, self.ui.keymap.first("undo")) if key in self._acts else []
        return audit_detail(self._audit[key], now) if key in self._audit else []

    def filter_keys(self) -> frozenset[str]:
        return ACT_KEYS if self.view == ACTS else AUDIT_KEYS

    def entry(self) -> JournalEntry | None:
        """The act under the cursor."""
        return self._acts.get(self.table.cursor_key or "") if self.view == ACTS and self.is_mounted else None

    def has(self, needs: str) -> bool:
        entry = self.entry()
        return needs == "undo" and entry is not None and bool(entry.undo)

    def why_not(self, needs: str) -> str:
        entry = self.entry()
        return cannot(entry) if needs == "undo" and entry is not None and not entry.undo else ""

    def copied(self) -> str:
        entry = self.entry()
        if entry is not None and entry.command:
            return entry.command
        found = self._audit.get(self.table.cursor_key or "") if self.view == AUDIT else entry
        return "" if found is None else " ".join((found.at, found.who, found.what, found.target, found.detail))

    # --- actions

    async def do_undo(self, number: str) -> None:
        """What is marked, else what is under the cursor; by number as everywhere."""
        meant = tuple(self._acts[key] for key in self.meant() if key in self._acts) if self.view == ACTS else ()
        if number or not meant:
            await self.ui.undoing.do_undo(number)
        else:
            self.ui.undoing.take_back(meant)

    async def do_journal_acts(self, _: str) -> None:
        self._look_at(ACTS)

    async def do_journal_audit(self, _: str) -> None:
        self._look_at(AUDIT)

    async def do_tab_next(self, _: str) -> None:
        self._look_at(AUDIT if self.view == ACTS else ACTS)

    def _look_at(self, view: str) -> None:
        if view != self.view:
            self.view = view
            table = self.query_one(FleetTable)
            table.set_rows([], now=True)
            table.set_columns(ACT_COLUMNS if view == ACTS else AUDIT_COLUMNS)
            self.set_filter("")
            self.changed()
