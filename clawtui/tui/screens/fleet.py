"""All agents, and one in detail."""

from __future__ import annotations

from datetime import datetime
from functools import partial

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical

from clawtui.errors import UsageError
from clawtui.tui.actions import Where
from clawtui.tui.empties import Place, no_agents
from clawtui.tui.filters import NOTHING, Filter, parse_filter
from clawtui.tui.links import Link
from clawtui.tui.presenters import AGENT_COLUMNS, FILTER_KEYS, agent_fields, agent_row, fit_columns
from clawtui.tui.screens.pane import Pane, Subject
from clawtui.tui.store import FleetStore
from clawtui.tui.widgets.columns import ColumnsDialog
from clawtui.tui.widgets.detail import Detail
from clawtui.tui.widgets.fleet_table import FleetTable
from clawtui.tui.widgets.log_view import LogView
from clawtui.tui.widgets.table_layout import Row
from clawtui.tui.widgets.topbar import Line
from hub.contract import AgentView, SnapshotView

NO_HIT = "No agent fits the filter.  Press esc to see all"
FIRST_COLUMN = "agent"
AGES_SECONDS = 5.0
"""Ages in rows that did not change otherwise are repainted this often."""


class FleetPane(Pane):
    place = Where.FLEET

    def __init__(self, id: str) -> None:
        super().__init__(id=id)
        self._filter: Filter = NOTHING
        self._sort, self._descending = FIRST_COLUMN, False
        self._chosen: tuple[str, ...] = ()
        """Columns in the user's order; none = all, as many as fit."""
        self._rows: dict[str, tuple[AgentView, Row]] = {}
        self._columns: tuple[str, ...] = ()
        self._built: tuple[object, ...] = ()
        self._aged_at = 0.0
        self._wanted = ""

    def compose(self) -> ComposeResult:
        with Horizontal(id="fleet-box"):
            with Vertical(id="fleet-list"):
                yield Line(stay=True, id="fleet-title")
                yield FleetTable(id="fleet-table", empty="Waiting for the hub …")
            yield Detail(self, id="detail")

    @property
    def table(self) -> FleetTable:
        return self.query_one("#fleet-table", FleetTable)

    @property
    def detail(self) -> Detail:
        return self.query_one("#detail", Detail)

    def on_mount(self) -> None:
        chosen = self.ui.memory.preferences
        self._chosen = tuple(key for key in chosen.columns if key in AGENT_COLUMNS)
        self._sort = chosen.sort if chosen.sort in AGENT_COLUMNS else FIRST_COLUMN
        self._descending = chosen.descending
        self.table.set_sort(self._sort, self._descending)
        self.table.focus()

    # --- showing

    def show(self) -> None:
        store = self.ui.store
        if store is None or not store.loaded or not self.is_mounted:
            return
        self._make_room(store)
        if self.table.size.width:
            self._show_table(store)
        self.detail.show(store, self.table.cursor_key)

    def _make_room(self, store: FleetStore) -> None:
        """Without agents there is no detail: the words about what to do have the room."""
        if self.has_class("-empty") != bool(store.agents):
            return
        self.set_class(not store.agents, "-empty")
        if not store.agents:
            self.remove_class("zoomed")
            if self.ui.screen is self.screen:
                self.table.focus()
        self.call_after_refresh(self.ui.refresh_now)

    def _show_table(self, store: FleetStore) -> None:
        self._fit()
        asked_for = (self._filter, self._sort, self._descending)
        state = (id(store.agents), store.revision, *asked_for, self._columns, store.live, self.table.size.width)
        if state != self._built or store.mono() - self._aged_at >= AGES_SECONDS:
            asked = self._built[2:5] != state[2:5]
            self._built = state
            self._list(store, asked)
        self._title(store)

    def _fit(self) -> None:
        fitting = fit_columns(self.table.size.width, self._chosen)
        columns = tuple(key for key in self._chosen or fitting if key in fitting)
        if columns != self._columns:
            self._columns = columns
            self._rows.clear()
            self.table.set_columns([AGENT_COLUMNS[key].column for key in columns])

    def _list(self, store: FleetStore, asked: bool) -> None:
        """Rows of agents that did not change are taken from before, except for their ages now and then."""
        if store.mono() - self._aged_at >= AGES_SECONDS:
            self._rows.clear()
            self._aged_at = store.mono()
        shown = list(store.agents.values())
        if self._filter.tests:
            shown = [agent for agent in shown if self._filter.keeps(agent_fields(agent))]
        shown.sort(key=AGENT_COLUMNS[self._sort].order, reverse=self._descending)
        now, stale = store.now(), not store.live
        rows = [self._row(agent, now, stale) for agent in shown]
        self.table.set_empty(NO_HIT if store.agents else self._empty(store))
        self.table.set_sort(self._sort, self._descending) if asked else None
        self.table.set_rows(rows, now=asked)
        self.table.keep_marks(store.agents)
        if self._wanted in store.agents:
            self.table.cursor_key = self._wanted
            self._wanted = ""

    def _empty(self, store: FleetStore) -> str:
        ui = self.ui
        place = Place(self.table.size.width - 4, remote="REMOTE" in ui.modes, read_only=ui.read_only)
        return no_agents(store.health, ui.keymap.first, place)

    def _row(self, agent: AgentView, now: datetime, stale: bool) -> Row:
        known = self._rows.get(agent.id)
        if known is not None and known[0] is agent and not stale and not known[1].stale:
            return known[1]
        row = agent_row(agent, self._columns, now, stale)
        self._rows[agent.id] = (agent, row)
        return row

    def _title(self, store: FleetStore) -> None:
        shown, marked = len(self.table.rows), len(self.table.marked)
        parts = [f" Agents {shown}" if shown == len(store.agents) else f" Agents {shown} of {len(store.agents)}"]
        if self._filter.text:
            parts.append(f"/{self._filter.text}")
        if marked:
            hidden = self.table.hidden_marks
            parts.append(f"{marked} marked{f' ({hidden} hidden)' if hidden else ''}")
        parts.append(f"by {self._sort}{' reversed' if self._descending else ''}")
        self.query_one("#fleet-title", Line).set_pieces(
            [(" · ".join(parts), "bold" if self.table.has_focus else "dim")]
        )

    # --- messages

    def on_fleet_table_cursor_moved(self, event: FleetTable.CursorMoved) -> None:
        if event.table is self.table:
            self.ui.refresh_now()

    def on_fleet_table_chosen(self, event: FleetTable.Chosen) -> None:
        if event.table is self.table:
            self.add_class("zoomed")
            self.detail.focus_inside()
            self.ui.refresh_now()
        elif event.table is self.detail.saved:
            link = Link(Where.SNAPSHOTS, (event.key,))
            self.ui.acting.work(lambda: self.ui.going.open(link))
        else:
            self.run_worker(partial(self.ui.acting.do_task_open, event.key), group="open")

    def on_fleet_table_marks_changed(self) -> None:
        self.ui.refresh_now()

    def on_fleet_table_header_clicked(self, event: FleetTable.HeaderClicked) -> None:
        if event.table is self.table:
            self._sort_by(event.column_key)

    def on_fleet_table_context_menu(self) -> None:
        self.run_worker(partial(self.ui.doing.do_menu, ""), group="menu")

    # --- actions

    def subject(self) -> Subject:
        if not self.is_mounted:
            return Subject()
        marked = sorted(self.table.marked)
        cursor = self.table.cursor_key
        tasks = self.detail.tasks_meant()
        return Subject(tuple(marked) or ((cursor,) if cursor else ()), tasks)

    def snapshots(self) -> tuple[SnapshotView, ...]:
        return self.detail.snapshots.meant() if self.is_mounted else ()

    @property
    def filter_text(self) -> str:
        if self.detail.log_focused:
            return self.detail.log_filter.text
        return self._filter.text

    def set_filter(self, text: str) -> None:
        """Of the log when it has the focus, else of the agents."""
        if self.detail.log_focused:
            self.detail.log_filter.set(text)
        else:
            self._filter = parse_filter(text, FILTER_KEYS)
        self.ui.refresh_now()

    def set_context(self, lines: int | None) -> None:
        self.detail.log_filter.set_context(lines)

    def has(self, needs: str) -> bool:
        return needs == "log" and self.is_mounted and self.detail.tab == "logs"

    def addresses(self) -> tuple[str, ...]:
        """The persona of the agent's profile, while that is looked at."""
        store = self.ui.store
        if store is None or self.detail.tab != "profile":
            return ()
        return self.detail.profile.addresses(store.agents.get(self.table.cursor_key or ""))

    def log_view(self) -> LogView | None:
        return self.detail.log_pane

    def focus_first(self) -> None:
        self.table.focus()

    def leave(self) -> None:
        self.detail.stop()

    def back(self) -> bool:
        if self.has_class("zoomed"):
            self.remove_class("zoomed")
            self.table.focus()
        elif not self.table.has_focus:
            self.table.focus()
        elif self._filter.text:
            self._filter = NOTHING
        else:
            return False
        self.ui.refresh_now()
        return True

    def point_at(self, key: str) -> None:
        self._wanted = key
        self._built = ()
        self.ui.refresh_now()

    def submitted(self, task_id: str) -> None:
        self.detail.follow_task(task_id)

    async def do_detail_now(self, _: str) -> None:
        self.detail.show_tab("now")

    async def do_detail_logs(self, _: str) -> None:
        self.detail.show_tab("logs")

    async def do_detail_tasks(self, _: str) -> None:
        self.detail.show_tab("tasks")

    async def do_detail_stats(self, _: str) -> None:
        self.detail.show_tab("stats")

    async def do_detail_snapshots(self, _: str) -> None:
        self.detail.show_tab("snapshots")

    async def do_detail_profile(self, _: str) -> None:
        self.detail.show_tab("profile")

    async def do_detail_window(self, name: str) -> None:
        self.detail.set_window(name)

    async def do_detail_next(self, _: str) -> None:
        self.detail.next_tab()

    async def do_sort_next(self, column: str) -> None:
        keys = self._columns or tuple(AGENT_COLUMNS)
        place = keys.index(self._sort) if self._sort in keys else -1
        self._sort_by(column or keys[(place + 1) % len(keys)], turn=bool(column))

    async def do_sort_reverse(self, _: str) -> None:
        self._descending = not self._descending
        self._sorted()

    def _sort_by(self, column: str, turn: bool = True) -> None:
        if column not in AGENT_COLUMNS:
            raise UsageError(f"there is no column {column!r}", hint=f"columns: {', '.join(AGENT_COLUMNS)}")
        self._descending = turn and column == self._sort and not self._descending
        self._sort = column
        self._sorted()

    def _sorted(self) -> None:
        self.ui.memory.choose(sort=self._sort, descending=self._descending)
        self.ui.refresh_now()

    async def do_columns(self, words: str) -> None:
        chosen = tuple(words.replace(",", " ").lower().split())
        for column in chosen:
            if column not in AGENT_COLUMNS:
                raise UsageError(f"there is no column {column!r}", hint=f"columns: {', '.join(AGENT_COLUMNS)}")
        self._choose(chosen)

    def _choose(self, chosen: tuple[str, ...]) -> None:
        """Show these columns; names of agents are always among them."""
        self._chosen = chosen if not chosen or FIRST_COLUMN in chosen else (FIRST_COLUMN, *chosen)
        self.ui.memory.choose(columns=self._chosen)
        self.ui.refresh_now()

    async def do_columns_choose(self, _: str) -> None:
        def answered(chosen: tuple[str, ...] | None) -> None:
            if chosen is not None:
                self._choose(chosen)

        columns = [column.column for column in AGENT_COLUMNS.values()]
        self.ui.push_screen(ColumnsDialog(columns, self._chosen, FIRST_COLUMN), answered)
