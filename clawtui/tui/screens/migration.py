"""What became of VM profiles: each with its verdict, every finding, and what would change in a folder."""

from __future__ import annotations

from collections.abc import Mapping

from textual.app import ComposeResult
from textual.containers import Container, Vertical

from clawtui.tui.actions import Where
from clawtui.tui.migration import COLUMNS, KEYS, Item, item_lines, item_row, needing
from clawtui.tui.screens.detailed import BESIDE
from clawtui.tui.screens.listing import Listing
from clawtui.tui.store import FleetStore
from clawtui.tui.widgets.fleet_table import FleetTable
from clawtui.tui.widgets.lines_view import LinesView
from clawtui.tui.widgets.table_layout import Row
from clawtui.tui.widgets.topbar import Line

PROOF = "this machine's files · clawtui profile migrate --check proves one on an engine"


class MigrationPane(Listing):
    """Nothing here is the hub's: it stays as it is while the hub is away."""

    place = Where.MIGRATION
    title = "Migration"
    columns = COLUMNS
    kinds = ()
    keys = KEYS
    empty = "Nothing was migrated yet."

    def __init__(self, id: str) -> None:
        super().__init__(id=id)
        self._taken = 0
        self._shown: tuple[Item, str] | None = None

    def compose(self) -> ComposeResult:
        yield Line(stay=True, id="migration-title")
        yield Line(stay=True, id="migration-note")
        with Container(classes="two-parts"):
            with Vertical(classes="part-list"):
                yield FleetTable(self.columns, empty=self.empty)
            yield LinesView(words=True, id="migration-text")

    def on_mount(self) -> None:
        self.query_one("#migration-note", Line).set_pieces([(f" {PROOF}", "dim")])

    def on_resize(self) -> None:
        self.set_class(self.size.width >= BESIDE, "-beside")

    @property
    def text(self) -> LinesView:
        return self.query_one(LinesView)

    async def read(self, store: FleetStore) -> None:
        self.changed()

    # --- showing

    def show(self) -> None:
        migrating = self.ui.migrating
        if self._taken != migrating.version:
            self._taken = migrating.version
            self._version += 1
            if self.is_mounted:
                self.table.keep_marks({item.source.path for item in migrating.found.items})
        super().show()
        if not self.is_mounted:
            return
        item = self._item()
        shown = (item, migrating.found.out) if item is not None else None
        if shown != self._shown:
            same = self._shown is not None and shown is not None and self._shown[0].source.path == shown[0].source.path
            self._shown = shown
            self.text.set_lines(item_lines(*shown) if shown is not None else (), anew=not same)

    def _item(self) -> Item | None:
        cursor = self.table.cursor_key
        return next((one for one in self.ui.migrating.found.items if one.source.path == cursor), None)

    def rows(self, store: FleetStore) -> list[tuple[Mapping[str, str], Row]]:
        return [item_row(item) for item in self.ui.migrating.found.items]

    def notes(self) -> tuple[str, ...]:
        found = self.ui.migrating.found
        count = sum(needing(item.source.migration) for item in found.items)
        wrong = sum(item.source.migration is None for item in found.items)
        said = (f"{count} to decide" if count else "", f"{wrong} wrong" if wrong else "",
                f"to {found.out}" if found.out else "written nowhere yet")  # fmt: skip
        return tuple(one for one in said if one) if found.items else ()

    def empty_text(self) -> str:
        return f"{self.empty}\n\n{self.ui.keymap.first('profile.migrate')} asks for files or a folder of VM profiles."

    # --- moving

    def on_fleet_table_chosen(self, _: FleetTable.Chosen) -> None:
        self.add_class("zoomed")
        self.text.focus()

    def back(self) -> bool:
        if self.text.has_focus or self.has_class("zoomed"):
            self.remove_class("zoomed")
            self.table.focus()
            return True
        return super().back()

    # --- for actions

    def addresses(self) -> tuple[str, ...]:
        return self.meant()

    def has(self, needs: str) -> bool:
        return needs == "migration" and bool(self.meant())

    def copied(self) -> str:
        return self.text.plain
