"""A listing with the entry under the cursor in full: beside it where there is room, else below."""

from __future__ import annotations

from abc import abstractmethod

from textual.app import ComposeResult
from textual.containers import Container, Vertical

from clawtui.tui.screens.listing import Listing
from clawtui.tui.store import FleetStore
from clawtui.tui.widgets.fields import Field, Fields
from clawtui.tui.widgets.fleet_table import FleetTable
from clawtui.tui.widgets.topbar import Line

BESIDE = 160
"""From so many cells on the detail stands beside the list: with fewer the list would lose columns for it."""


class DetailedListing(Listing):
    """Enter goes into the detail, Escape back; on the narrowest screens the detail then takes the list's place."""

    def compose(self) -> ComposeResult:
        yield Line(stay=True, id=f"{self.place.value}-title")
        with Container(classes="two-parts"):
            with Vertical(classes="part-list"):
                yield FleetTable(self.columns, empty="Waiting for the hub …")
            yield Fields()

    def on_resize(self) -> None:
        self.set_class(self.size.width >= BESIDE, "-beside")

    @property
    def detail(self) -> Fields:
        return self.query_one(Fields)

    @abstractmethod
    def fields(self, store: FleetStore, key: str) -> list[Field]:
        """The entry `key` in full."""

    def show(self) -> None:
        super().show()
        store = self.ui.store
        if store is not None and self.is_mounted:
            key = self.table.cursor_key
            self.detail.set_fields(self.fields(store, key) if key is not None else [])
            self.set_class(key is None, "-empty")

    def on_fleet_table_chosen(self, _: FleetTable.Chosen) -> None:
        self.add_class("zoomed")
        self.detail.focus()

    def back(self) -> bool:
        if self.detail.has_focus or self.has_class("zoomed"):
            self.remove_class("zoomed")
            self.table.focus()
            return True
        return super().back()
