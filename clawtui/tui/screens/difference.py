"""Which files differ between two snapshots."""

from __future__ import annotations

from collections.abc import Mapping

from textual.app import ComposeResult

from clawtui.tui.actions import Where
from clawtui.tui.difference import COLUMNS, KEYS, entry_row, remarks, summary
from clawtui.tui.screens.listing import Listing
from clawtui.tui.snapshots import called
from clawtui.tui.store import FleetStore
from clawtui.tui.widgets.fleet_table import FleetTable
from clawtui.tui.widgets.table_layout import Row
from clawtui.tui.widgets.topbar import Line
from hub.contract import DiffQuery, SnapshotDiff, SnapshotView
from hub.errors import HubError

ENTRIES = 10_000
"""As many as the hub gives at once."""
REMARKS = ("difference-cut", "difference-images")


class DifferencePane(Listing):
    place = Where.DIFFERENCE
    title = "Difference"
    columns = COLUMNS
    kinds = ()
    keys = KEYS
    empty = "No file differs: the two are the same by content."

    def __init__(self, id: str) -> None:
        super().__init__(id=id)
        self._ids: tuple[str, ...] = ()
        self._both: tuple[SnapshotView, ...] = ()
        self._found: SnapshotDiff | None = None
        self._failed = ""

    def compose(self) -> ComposeResult:
        yield Line(stay=True, id="difference-title")
        yield Line(id="difference-counts")
        for remark in REMARKS:
            yield Line(id=remark)
        yield FleetTable(self.columns, empty="Waiting for the hub …")

    def point_at(self, key: str) -> None:
        self._ids, self._both, self._found, self._failed = tuple(key.split(",")), (), None, ""
        self.set_filter("")
        self.changed()

    def wants(self, store: FleetStore) -> tuple[object, ...]:
        return (self._ids, *super().wants(store))

    async def read(self, store: FleetStore) -> None:
        if not self._ids:
            return
        before, after = self._ids
        try:
            self._both = (await store.control.snapshot(before), await store.control.snapshot(after))
            self.changed()
            self._found = await store.control.diff_snapshots(before, DiffQuery(other=after, limit=ENTRIES))
            self._failed = ""
        except HubError as error:
            self._failed = f"They cannot be compared: {error.message}"
            self.ui.problem(error)
        self.changed()

    def show(self) -> None:
        super().show()
        if not self.is_mounted:
            return
        found = self._found
        self.query_one("#difference-counts", Line).set_pieces([(f" {summary(found)}", "")] if found else [])
        said = remarks(found) if found else []
        for place, remark in enumerate(REMARKS):
            line = self.query_one(f"#{remark}", Line)
            line.set_pieces([(f" {said[place]}", "warn")] if place < len(said) else [])

    def heading(self) -> str:
        if not self._both:
            return self.title
        return f"{self.title} {' → '.join(called(one) for one in self._both)} ·"

    def rows(self, store: FleetStore) -> list[tuple[Mapping[str, str], Row]]:
        return [entry_row(entry, not store.live) for entry in (self._found.entries if self._found else [])]

    def empty_text(self) -> str:
        if self._failed:
            return self._failed
        if not self._ids:
            keys = self.ui.keymap
            return (
                f"Nothing is compared yet.\n\n{keys.first('show.snapshots')} shows the snapshots: "
                f"mark two with space, then {keys.first('snapshot.diff')} compares them."
            )
        return "Comparing them by content …" if self._found is None else self.empty

    def snapshots(self) -> tuple[SnapshotView, ...]:
        return self._both

    def copied(self) -> str:
        return "\n".join(self.meant())
