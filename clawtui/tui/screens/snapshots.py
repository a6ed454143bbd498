"""Saved agents with their lineage, and the one under the cursor in full."""

from __future__ import annotations

from collections.abc import Mapping

from clawtui.tui import snapshots as words
from clawtui.tui.actions import Where
from clawtui.tui.lineage import tree, without_gaps
from clawtui.tui.screens.detailed import DetailedListing
from clawtui.tui.screens.pane import Subject
from clawtui.tui.store import FleetStore
from clawtui.tui.widgets.fields import Field
from clawtui.tui.widgets.table_layout import Row
from hub.contract import SnapshotPlace, SnapshotQuery, SnapshotView
from hub.errors import NotFound

MOST = 2_000


class SnapshotsPane(DetailedListing):
    place = Where.SNAPSHOTS
    title = "Snapshots"
    columns = words.FEW_COLUMNS
    # The end of a job is also when an agent stands elsewhere.
    kinds = ("snapshot", "job")
    keys = words.KEYS
    empty = "No snapshots yet."

    def __init__(self, id: str) -> None:
        super().__init__(id=id)
        self._known: dict[str, SnapshotView] = {}
        self._place: SnapshotPlace | None = None
        self._place_of: tuple[object, ...] = ()
        self._pointed = ""
        self._more = False

    async def read(self, store: FleetStore) -> None:
        found: list[SnapshotView] = []
        page = await store.control.snapshots(SnapshotQuery())
        found += page.snapshots
        while page.next and len(found) < MOST:
            page = await store.control.snapshots(SnapshotQuery(cursor=page.next))
            found += page.snapshots
        self._more = page.next is not None
        self._known = {one.id: one for one in found}
        self._place_of = ()
        self.changed()

    def show(self) -> None:
        self._fit()
        super().show()
        store = self.ui.store
        if store is None or not self.is_mounted:
            return
        self.table.keep_marks(self._known)
        wanted = next((one.id for one in self._known.values() if self._pointed in (one.id, words.called(one))), "")
        if wanted and any(row.key == wanted for row in self.table.rows):
            self.table.cursor_key, self._pointed = wanted, ""
        self._look_at_place(store)

    def _fit(self) -> None:
        wanted = words.columns_for(self.table.size.width)
        if self.table.size.width and wanted != self.table.columns:
            self.table.set_columns(wanted)
            self._version += 1

    def _look_at_place(self, store: FleetStore) -> None:
        """Read where the agent under the cursor stands: its schedule, and the way back from its last restore."""
        one = self._known.get(self.table.cursor_key or "")
        looks = (one.agent_id, store.kinds["snapshot"], store.kinds["job"]) if one is not None else ()
        if one is not None and looks != self._place_of and store.live and one.agent_id in store.agents:
            self._place_of = looks
            self.background(lambda: self._read_place(store, one.agent_id), "place")

    async def _read_place(self, store: FleetStore, agent_id: str) -> None:
        try:
            self._place = await store.control.snapshot_place(agent_id)
        except NotFound:
            self._place = None  # destroyed meanwhile
        self.ui.refresh_now()

    # --- what is shown

    def rows(self, store: FleetStore) -> list[tuple[Mapping[str, str], Row]]:
        now, stale, columns = store.now(), not store.live, self.table.columns
        everything = list(self._known.values())
        found = {one.id: words.fields(one, self._known) for one in everything}
        kept = [one for one in everything if self._filter.keeps(found[one.id])]
        drawn = tree(without_gaps(kept, everything))
        # What the filter leaves out is counted, and drawn nowhere.
        drawn += tree([one for one in everything if not self._filter.keeps(found[one.id])])
        shown = [one._replace(snapshot=self._known[one.snapshot.id]) for one in drawn]
        return [(found[one.snapshot.id], words.row(one, self._known, columns, now, stale)) for one in shown]

    def notes(self) -> tuple[str, ...]:
        total = words.total_text(list(self._known.values()))
        return (*((total,) if total else ()), *((f"the newest {MOST} only",) if self._more else ()))

    def empty_text(self) -> str:
        store = self.ui.store
        agents = store is not None and bool(store.agents)
        return words.empty_text(self.ui.keymap.first, agents=agents, read_only=self.ui.read_only)

    def fields(self, store: FleetStore, key: str) -> list[Field]:
        one = self._known.get(key)
        if one is None:
            return []
        place = self._place if self._place is not None and self._place.agent_id == one.agent_id else None
        there = one.agent_id in store.agents
        return words.detail(one, self._known, place if there else None, store.now(), there)

    # --- for actions

    def point_at(self, key: str) -> None:
        self._pointed = key
        self.set_filter("")

    def snapshots(self) -> tuple[SnapshotView, ...]:
        return tuple(self._known[key] for key in self.meant() if key in self._known)

    def subject(self) -> Subject:
        agents = self.ui.store.agents if self.ui.store is not None else {}
        return Subject(tuple(dict.fromkeys(one.agent_id for one in self.snapshots() if one.agent_id in agents)))

    def copied(self) -> str:
        if self.is_mounted and self.detail.has_focus:
            return self.detail.plain
        return " ".join(one.id for one in self.snapshots())
