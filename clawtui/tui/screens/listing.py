"""A place that is one table of things read from the hub on demand: tasks, audit, members of a rollout."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import partial
from typing import ClassVar

from textual.app import ComposeResult

from clawtui.tui.filters import NOTHING, Filter, parse_filter
from clawtui.tui.screens.pane import Pane
from clawtui.tui.store import FleetStore
from clawtui.tui.widgets.fleet_table import FleetTable
from clawtui.tui.widgets.table_layout import Column, Row
from clawtui.tui.widgets.topbar import Line

AGES_SECONDS = 2.0


class Listing(Pane):
    """`kinds`: reads again when one of these changed. A subclass reads, and says what a row shows."""

    title: ClassVar[str]
    columns: ClassVar[Sequence[Column]]
    kinds: ClassVar[tuple[str, ...]]
    keys: ClassVar[frozenset[str]] = frozenset()
    empty: ClassVar[str]

    def __init__(self, id: str) -> None:
        super().__init__(id=id)
        self._filter: Filter = NOTHING
        self._reads: tuple[object, ...] = ()
        self._built: tuple[object, ...] = ()
        self._version = 0
        self._reading: object | None = None
        self._all = 0

    def compose(self) -> ComposeResult:
        yield Line(stay=True, id=f"{self.place.value}-title")
        yield FleetTable(self.columns, empty="Waiting for the hub …")

    @property
    def table(self) -> FleetTable:
        return self.query_one(FleetTable)

    @abstractmethod
    async def read(self, store: FleetStore) -> None:
        """Read what the rows are made of and call `changed`."""

    @abstractmethod
    def rows(self, store: FleetStore) -> list[tuple[Mapping[str, str], Row]]:
        """All rows with the fields that the filter looks at."""

    def heading(self) -> str:
        return self.title

    def filter_keys(self) -> frozenset[str]:
        """What may stand before the colon in a filter."""
        return self.keys

    def notes(self) -> tuple[str, ...]:
        """What else stands in the title."""
        return ()

    def empty_text(self) -> str:
        """What to do when there is nothing; several lines may be."""
        return self.empty

    def changed(self) -> None:
        self._version += 1
        self.ui.refresh_now()

    def wants(self, store: FleetStore) -> tuple[object, ...]:
        """When this differs, it is read again."""
        return (*(store.kinds[kind] for kind in self.kinds), store.live)

    def show(self) -> None:
        store = self.ui.store
        if store is None or not self.is_mounted:
            return
        wants = self.wants(store)
        if wants != self._reads and store.live and not self._is_read_for(store, wants):
            self._reads = wants
            reading = self._reading = object()
            self.background(lambda: self._read(store, reading), "read")
        built = (self._version, self._filter, store.live, int(store.mono() / AGES_SECONDS))
        if built != self._built:
            asked = bool(self._built) and built[1] != self._built[1]
            self._built = built
            self._list(store, asked)
        self._title()

    def _is_read_for(self, store: FleetStore, wants: tuple[object, ...]) -> bool:
        """Whether the same is being read just now. It may go on: where changes come faster than answers, each
        new read would cancel the one before. What the place is about is another matter: that is read at once."""
        own = len(wants) - len(Listing.wants(self, store))
        return self._reading is not None and wants[:own] == self._reads[:own]

    async def _read(self, store: FleetStore, reading: object) -> None:
        try:
            await self.read(store)
        finally:
            if self._reading is reading:
                self._reading = None

    def _list(self, store: FleetStore, asked: bool) -> None:
        everything = self.rows(store)
        self._all = len(everything)
        if self._version:
            self.table.set_empty("Nothing fits the filter.  Press esc to see all" if everything else self.empty_text())
        self.table.set_rows([row for fields, row in everything if self._filter.keeps(fields)], now=asked)

    def _title(self) -> None:
        shown = len(self.table.rows)
        parts = [f" {self.heading()} {shown}" if shown == self._all else f" {self.heading()} {shown} of {self._all}"]
        parts += self.notes()
        if self._filter.text:
            parts.append(f"/{self._filter.text}")
        if self.table.marked:
            parts.append(f"{len(self.table.marked)} marked")
        self.query_one(Line).set_pieces([(" · ".join(parts), "bold")])

    # --- what every table can do

    def focus_first(self) -> None:
        if self.is_mounted:
            self.table.focus()

    def meant(self) -> tuple[str, ...]:
        """Marked keys, else the one under the cursor."""
        if not self.is_mounted:
            return ()
        cursor = self.table.cursor_key
        return tuple(sorted(self.table.marked)) or ((cursor,) if cursor else ())

    @property
    def filter_text(self) -> str:
        return self._filter.text

    def set_filter(self, text: str) -> None:
        self._filter = parse_filter(text, self.filter_keys())
        self.ui.refresh_now()

    def back(self) -> bool:
        if not self._filter.text:
            return False
        self.set_filter("")
        return True

    def on_fleet_table_cursor_moved(self) -> None:
        self.ui.refresh_now()

    def on_fleet_table_context_menu(self) -> None:
        self.run_worker(partial(self.ui.doing.do_menu, ""), group="menu")
