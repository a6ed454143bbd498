"""Personas of OpenClaw gateways: whether each is as its source says, and how the sync of their gateways is."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial

from textual.app import ComposeResult
from textual.containers import Container, Vertical

from clawtui.errors import UsageError
from clawtui.tui import sync as words
from clawtui.tui.actions import BY_ID, Where
from clawtui.tui.screens.detailed import DetailedListing
from clawtui.tui.store import FleetStore
from clawtui.tui.sync_acts import Meant
from clawtui.tui.widgets.fields import Field, Fields
from clawtui.tui.widgets.fleet_table import FleetTable
from clawtui.tui.widgets.paper import Paper
from clawtui.tui.widgets.table_layout import Row
from clawtui.tui.widgets.topbar import Line
from hub.contract import PersonaSync, SyncQuery, SyncStatus, SyncTarget
from hub.errors import NotAvailable, NotFound

HELPS = ("sync.open", "sync.apply", "sync.keep", "sync.adopt")
GRACE_SECONDS, AGAIN_SECONDS = 2.0, 10.0
DETAIL_LINES = 30
"""Lower places have no room for the detail: Enter shows all that it says."""
TOO_OLD = "This hub is of an older version, which does not sync personas."


class SyncPane(DetailedListing):
    place = Where.SYNC
    title = "Personas"
    columns = words.FEW_COLUMNS
    kinds = ("sync", "gateway")
    keys = words.KEYS
    empty = "No personas."

    def __init__(self, id: str) -> None:
        super().__init__(id=id)
        self._status: SyncStatus | None = None
        self._too_old = False
        self._known: dict[str, PersonaSync] = {}
        self._ordered: list[PersonaSync] = []
        self._rows = words.PersonaRows()
        self._peopled: frozenset[str] = frozenset()
        """Gateways with personas."""
        self._counts = ""
        self._sort, self._descending = "state", False
        self._pointed = ""
        self._asked, self._asked_at = 0, float("-inf")

    def compose(self) -> ComposeResult:
        yield Line(stay=True, id="sync-title")
        yield Paper(id="sync-targets")
        with Container(classes="two-parts"):
            with Vertical(classes="part-list"):
                yield FleetTable(self.columns, empty="Waiting for the hub …")
            yield Fields()

    def on_mount(self) -> None:
        self.table.set_sort(self._sort, self._descending)

    def on_resize(self) -> None:
        super().on_resize()
        self.set_class(self.size.height < DETAIL_LINES and not self.has_class("-beside"), "-low")

    # --- reading

    def wants(self, store: FleetStore) -> tuple[object, ...]:
        return (self._asked, *super().wants(store))

    def _look_at_times(self, store: FleetStore) -> None:
        """A run that changed nothing is told by no word in the feed: when one is due, its time is read again."""
        targets = self._status.targets if self._status is not None else []
        now = store.now() - timedelta(seconds=GRACE_SECONDS)
        due = any(one.next_run_at and datetime.fromisoformat(one.next_run_at) < now for one in targets)
        if due and store.mono() - self._asked_at >= AGAIN_SECONDS:
            self._asked += 1
            self._asked_at = store.mono()

    async def read(self, store: FleetStore) -> None:
        try:
            self._status = await store.control.sync_status(SyncQuery())
            self._too_old = False
        except (NotFound, NotAvailable):
            self._status, self._too_old = SyncStatus(enabled=True, targets=[], personas=[]), True
        known = {words.address(one): one for one in self._status.personas}
        await self._warm(store, known)
        self._known, self._peopled = known, frozenset(one.gateway for one in known.values())
        self._counts = words.counts_said(words.counted(known.values()))
        self._rows.forget(known)
        self._order()
        self.table.keep_marks(self._known)
        self.changed()

    async def _warm(self, store: FleetStore, known: Mapping[str, PersonaSync]) -> None:
        """Make the rows a part at a time: the hub shares this loop."""
        personas = list(known.values())
        for start in range(0, len(personas), words.WARM_AT_ONCE):
            part = personas[start : start + words.WARM_AT_ONCE]
            self._rows.warm(part, self.table.columns, store.now(), not store.live)
            await asyncio.sleep(0)

    def _order(self) -> None:
        self._ordered = words.sorted_by(self._known.values(), self._sort, descending=self._descending)

    # --- showing

    def show(self) -> None:
        self._fit()
        store = self.ui.store
        if store is not None and store.live:
            self._look_at_times(store)
        super().show()
        if store is None or not self.is_mounted:
            return
        if self._pointed in self._known and any(row.key == self._pointed for row in self.table.rows):
            self.table.cursor_key, self._pointed = self._pointed, ""
        if self._status is not None:
            front = self._cursor_gateway()
            lines = words.target_lines(self._status, self._peopled, front, store.now(), self.app.size.width)
            paper = self.query_one("#sync-targets", Paper)
            paper.set_pieces(lines)
            paper.display = bool(lines)

    def _fit(self) -> None:
        wanted = words.columns_for(self.table.size.width)
        if self.table.size.width and wanted != self.table.columns:
            self.table.set_columns(wanted)
            self._version += 1

    def rows(self, store: FleetStore) -> list[tuple[Mapping[str, str], Row]]:
        return self._rows.make(self._ordered, self.table.columns, store.now(), not store.live)

    def notes(self) -> tuple[str, ...]:
        order = f"by {self._sort}{' reversed' if self._descending else ''}"
        return (self._counts, order) if self._counts else ()

    def empty_text(self) -> str:
        if self._too_old:
            return TOO_OLD
        key = self.ui.keymap.first
        if self._status is not None and self._status.targets:
            return (
                "The source has no personas.\n\nPersonas are profiles with a `persona` part, or come from Convex. "
                f"{key('sync.run')} syncs now."
            )
        return (
            "No gateway is synced.\n\n"
            f"{key('sync.gateways')} shows the gateways: add one, then say where its workspaces are."
        )

    def fields(self, store: FleetStore, key: str) -> list[Field]:
        persona = self._known.get(key)
        if persona is None:
            return []
        helps = {action: self.ui.keymap.first(action) for action in HELPS[: 1 if self.ui.read_only else None]}
        return words.persona_fields(persona, self._target(persona.gateway), store.now(), helps)

    def _target(self, gateway: str) -> SyncTarget | None:
        targets = self._status.targets if self._status is not None else []
        return next((one for one in targets if one.gateway == gateway), None)

    def _cursor_gateway(self) -> str:
        persona = self._known.get(self.table.cursor_key or "")
        return persona.gateway if persona is not None else ""

    # --- order

    async def do_sort_next(self, column: str) -> None:
        keys = [one.key for one in self.table.columns]
        at = keys.index(self._sort) if self._sort in keys else -1
        self._sort_by(column or keys[(at + 1) % len(keys)], turn=bool(column))

    async def do_sort_reverse(self, _: str) -> None:
        self._descending = not self._descending
        self._sorted()

    def on_fleet_table_header_clicked(self, event: FleetTable.HeaderClicked) -> None:
        self._sort_by(event.column_key)

    def _sort_by(self, column: str, turn: bool = True) -> None:
        if column not in words.SORTS:
            raise UsageError(f"there is no column {column!r}", hint=f"columns: {', '.join(words.SORTS)}")
        self._descending = turn and column == self._sort and not self._descending
        self._sort = column
        self._sorted()

    def _sorted(self) -> None:
        self._order()
        self.table.set_sort(self._sort, self._descending)
        self.changed()

    # --- for actions

    def on_fleet_table_chosen(self, _: FleetTable.Chosen) -> None:
        self.run_worker(partial(self.ui.do, BY_ID["sync.open"]), group="open")

    def point_at(self, key: str) -> None:
        """A persona, GATEWAY/SLUG, or all of a gateway."""
        self._pointed = key if "/" in key else ""
        self.set_filter("" if "/" in key else f"gateway:{key}")

    def personas(self) -> tuple[Meant, ...]:
        found = (self._known[key] for key in self.meant() if key in self._known)
        return tuple(Meant(one, tuple(one.files), whole=True) for one in found)

    def addresses(self) -> tuple[str, ...]:
        return tuple(words.address(one.persona) for one in self.personas())

    def gateway(self) -> str:
        return self._cursor_gateway()

    def has(self, needs: str) -> bool:
        if needs == "waiting":
            return any(one.paths for one in self.personas())
        return needs == "persona" and bool(self.personas())

    def why_not(self, needs: str) -> str:
        if needs == "waiting" and self.personas():
            return "nothing of it waits for a decision: no file was changed by somebody"
        return ""

    def copied(self) -> str:
        if self.detail.has_focus:
            return self.detail.plain
        return f"clawtui sync diff {self.table.cursor_key}" if self.table.cursor_key else ""
