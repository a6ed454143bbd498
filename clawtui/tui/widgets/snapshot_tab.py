"""The agent's own snapshots in the detail, with its schedule."""

from __future__ import annotations

from collections.abc import Callable

from clawtui.tui import snapshots as words
from clawtui.tui.lineage import tree
from clawtui.tui.possible import why_not
from clawtui.tui.store import FleetStore
from clawtui.tui.widgets.fleet_table import FleetTable
from hub.contract import AgentView, SnapshotPlace, SnapshotQuery, SnapshotView

MOST = 500
AGES_SECONDS = 2.0
AWAY = "Nothing was read of this agent before the hub went away. It is read when the hub is back"


class SnapshotTab:
    """Fills the table with the snapshots of one agent, and says in a few words when more come by themselves."""

    def __init__(self, table: FleetTable) -> None:
        self._table = table
        self._about = ""
        self._known: dict[str, SnapshotView] = {}
        self._place: SnapshotPlace | None = None
        self._shown: tuple[object, ...] = ()
        self._version = 0
        self.key: Callable[[str], str] = str
        """Gives an action's key."""
        self.read_only = False

    def reads(self, store: FleetStore, agent: AgentView) -> tuple[object, ...]:
        """When this differs, it is read again."""
        return (agent.id, agent.uid, store.kinds["snapshot"], store.kinds["job"], "snapshots")

    async def read(self, store: FleetStore, agent: AgentView, told: Callable[[], None]) -> None:
        page = await store.control.snapshots(SnapshotQuery(agent=agent.id, limit=MOST))
        self._place = await store.control.snapshot_place(agent.id)
        self._known = {one.id: one for one in page.snapshots}
        self._about = agent.id
        self._version += 1
        told()

    def says(self, store: FleetStore, agent: AgentView, cells: int) -> str:
        """The schedule, and the restore that can be undone, as much of it as fits; empty without either."""
        place = self._place
        if place is None or self._about != agent.id:
            return ""
        said = [field.text for field in words.agent_fields(place, self._known, store.now()) if field.style != "dim"]
        texts = ["; ".join(said), *said, *(text.partition(",")[0] for text in said)]
        return next((text for text in texts if len(text) <= cells), "")

    def show(self, store: FleetStore, agent: AgentView) -> None:
        columns = words.OWN_COLUMNS if self._table.size.width >= words.MEDIUM_CELLS else words.FEW_OWN_COLUMNS
        looks = (
            columns,
            agent.id,
            self._version,
            store.live,
            int(store.mono() / AGES_SECONDS),
            self._why(store, agent),
        )
        if looks == self._shown:
            return
        self._shown = looks
        if columns != self._table.columns:
            self._table.set_columns(columns)
        known = self._known if self._about == agent.id else {}
        read = self._about == agent.id
        empty = words.no_own(self.key, self._why(store, agent), read_only=self.read_only)
        self._table.set_empty(empty if read else "Waiting for the hub …" if store.live else AWAY)
        drawn = tree(list(known.values()))
        self._table.set_rows([words.row(one, known, columns, store.now(), not store.live) for one in drawn])
        self._table.keep_marks(known)

    def _why(self, store: FleetStore, agent: AgentView) -> str:
        """Why it can have no snapshots."""
        drivers = store.health.drivers if store.health is not None else []
        return why_not("schedule", agent, {driver.name: driver for driver in drivers})

    def meant(self) -> tuple[SnapshotView, ...]:
        """The marked ones, else the one under the cursor; only while they have the focus."""
        if not self._table.has_focus:
            return ()
        cursor = self._table.cursor_key
        keys = tuple(sorted(self._table.marked)) or ((cursor,) if cursor else ())
        return tuple(self._known[key] for key in keys if key in self._known)
