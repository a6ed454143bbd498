"""One agent in detail: now, its log, its tasks, its use over time. Only the tab in front reads anything."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll

from clawtui.tui.logs.viewing import LogFilter, follow_logs
from clawtui.tui.now import Recent, now_lines
from clawtui.tui.presenters import OWN_TASK_COLUMNS, own_task_row
from clawtui.tui.screens.pane import Work
from clawtui.tui.snapshots import OWN_COLUMNS
from clawtui.tui.stats.view import RecentView, StatsView
from clawtui.tui.store import FleetStore
from clawtui.tui.theme import Piece
from clawtui.tui.widgets.fields import Fields
from clawtui.tui.widgets.fleet_table import FleetTable
from clawtui.tui.widgets.log_view import LogView
from clawtui.tui.widgets.paper import Paper
from clawtui.tui.widgets.profile_tab import ProfileTab
from clawtui.tui.widgets.snapshot_tab import SnapshotTab
from clawtui.tui.widgets.stats_pane import StatsPane
from clawtui.tui.widgets.text import truncate, width
from clawtui.tui.widgets.topbar import Line
from hub.contract import AgentView, TaskQuery, TaskView
from hub.control import Control

if TYPE_CHECKING:
    from clawtui.tui.screens.fleet import FleetPane

TABS = ("now", "logs", "tasks", "stats", "snapshots", "profile")
TITLES = {
    "now": "Now", "logs": "Logs", "tasks": "Tasks", "stats": "Stats", "snapshots": "Snapshots", "profile": "Profile",
}  # fmt: skip
SHORT = {**TITLES, "snapshots": "Snaps", "profile": "Prof"}
"""Where there is no room for the whole words."""
LEAST_NAME_CELLS = 8
TASKS = 50
AWAY = "Nothing was read of this agent before the hub went away. It is read when the hub is back"
NO_TASKS = "No tasks yet.  Press b to run a command here"


class Detail(Vertical):
    """Shows the agent that it is told to show; what it reads, it reads beside the handlers."""

    def __init__(self, pane: FleetPane, id: str) -> None:
        super().__init__(id=id)
        self._pane = pane
        self.tab = "now"
        self._reads: tuple[object, ...] = ()
        self._recent = RecentView()
        self._log_of = ""
        self._tasks: list[TaskView] = []

    def compose(self) -> ComposeResult:
        yield Line(stay=True, id="detail-title")
        with VerticalScroll(id="tab-now", can_focus=True):
            yield Paper(id="now-text")
        view = LogView(id="tab-logs")
        self.log_filter = LogFilter(view)
        yield view
        yield FleetTable(OWN_TASK_COLUMNS, id="tab-tasks", empty=NO_TASKS)
        graphs = StatsPane(id="tab-stats")
        self.stats = StatsView(graphs)
        yield graphs
        saved = FleetTable(OWN_COLUMNS, id="tab-snapshots", empty="Waiting for the hub …")
        self.snapshots = SnapshotTab(saved)
        yield saved
        made_from = Fields(id="tab-profile")
        self.profile = ProfileTab(made_from)
        yield made_from

    def on_mount(self) -> None:
        self.log_pane.timestamps = True
        self.stats.key = self._pane.ui.keymap.first("detail.window")
        self.profile.key = self._pane.ui.keymap.first("show.profiles")
        self.profile.sync_key = self._pane.ui.keymap.first("show.sync").upper()
        self.snapshots.key, self.snapshots.read_only = self._pane.ui.keymap.first, self._pane.ui.read_only
        self._front()

    @property
    def log_pane(self) -> LogView:
        return self.query_one("#tab-logs", LogView)

    @property
    def tasks(self) -> FleetTable:
        return self.query_one("#tab-tasks", FleetTable)

    @property
    def saved(self) -> FleetTable:
        """The agent's snapshots."""
        return self.query_one("#tab-snapshots", FleetTable)

    @property
    def log_focused(self) -> bool:
        return self.log_pane.has_focus

    def on_show(self) -> None:
        """It had no room until now."""
        self.call_after_refresh(self._pane.ui.refresh_now)

    # --- tabs

    def show_tab(self, tab: str) -> None:
        self.tab = tab
        self._front()
        pane = self._pane
        pane.add_class("zoomed")
        pane.ui.refresh_now()

    def next_tab(self) -> None:
        self.show_tab(TABS[(TABS.index(self.tab) + 1) % len(TABS)])

    def _front(self) -> None:
        for tab in TABS:
            self.query_one(f"#tab-{tab}").display = tab == self.tab

    def focus_inside(self) -> None:
        self.query_one(f"#tab-{self.tab}").focus()

    # --- showing

    def show(self, store: FleetStore, agent_id: str | None) -> None:
        if not self.size.height:
            self.stop()  # too narrow a terminal for it: nobody looks
            return
        agent = store.agents.get(agent_id or "")
        self._title(store, agent)
        if agent is None:
            self.stop()
            self._no_agent()
            self.profile.show(store, None)
            return
        if store.live:
            self._begin(store, agent)
        else:
            self.stop()
            self._stay(store, agent)
        if self.tab == "now":
            self._now(store, agent)
        elif self.tab == "stats":
            self.stats.show(store, agent)
        elif self.tab == "snapshots":
            self.snapshots.show(store, agent)
        elif self.tab == "profile":
            self.profile.show(store, agent)

    def _begin(self, store: FleetStore, agent: AgentView) -> None:
        """Read for the tab in front."""
        match self.tab:
            case "now":
                self._read(self._recent.reads(agent), partial(self._recent.read, store, agent, self._refresh))
            case "logs":
                self._read((agent.id, agent.epoch, "logs"), partial(self._logs, store.control, agent.id))
            case "tasks":
                reads = (agent.id, store.kinds["task"], "tasks")
                self._read(reads, partial(self._last_tasks, store, agent.id))
            case "snapshots":
                self._read(
                    self.snapshots.reads(store, agent), partial(self.snapshots.read, store, agent, self._refresh)
                )
            case "profile":
                read = partial(self.profile.read, store, agent, self._refresh)
                self._read(self.profile.reads(store, agent), read)
            case _:
                self._read(self.stats.reads(agent), partial(self.stats.follow, store, agent))

    def _stay(self, store: FleetStore, agent: AgentView) -> None:
        """The hub is away: what was read stays, in grey; of another agent nothing is known."""
        if self.tab == "tasks":
            self._rows(store, [task for task in self._tasks if task.agent_id == agent.id])
        elif self.tab == "logs" and self._log_of != agent.id:
            self._log_of = agent.id
            self.log_pane.clear()
            self.log_pane.set_empty(AWAY)

    def _now(self, store: FleetStore, agent: AgentView) -> None:
        history = self._recent.history(agent)
        recent = None if history is None else Recent(history)
        cells = self.query_one("#tab-now").scrollable_content_region.width
        self._say(now_lines(agent, store.now(), store.old_seconds, recent, cells))

    def _refresh(self) -> None:
        self._pane.ui.refresh_now()

    def _no_agent(self) -> None:
        self._say([("No agent under the cursor", "dim")])
        self.query_one(StatsPane).say("No agent under the cursor")

    def _say(self, pieces: list[Piece]) -> None:
        self.query_one("#now-text", Paper).set_pieces(pieces)

    def _title(self, store: FleetStore, agent: AgentView | None) -> None:
        pieces = title_pieces(agent.id if agent else "—", self.tab, self.size.width)
        said = ""
        if self.tab == "logs":
            said = self.log_filter.says()
        elif self.tab == "snapshots" and agent is not None:
            left = self.size.width - sum(len(text) for text, _ in pieces) - 1
            said = self.snapshots.says(store, agent, left)
        if said:
            pieces.append((f" {said}", "dim"))
        self.query_one("#detail-title", Line).set_pieces(pieces)

    def _read(self, reads: tuple[object, ...], work: Work) -> None:
        """Begin to read what the tab shows, unless just that is being read."""
        if reads == self._reads:
            return
        self._reads = reads
        self._pane.background(work, "detail")

    def stop(self) -> None:
        """Nobody looks: read nothing."""
        if self._reads:
            self._reads = ()
            self.workers.cancel_node(self._pane)

    async def _logs(self, control: Control, agent_id: str) -> None:
        self._log_of = agent_id
        self.log_pane.clear()
        self.log_pane.set_empty("Nothing in the log yet")
        await follow_logs(control, (agent_id,), self.log_pane)

    async def _last_tasks(self, store: FleetStore, agent_id: str) -> None:
        page = await store.control.tasks(TaskQuery(agent=agent_id, limit=TASKS))
        self._tasks = list(page.tasks)
        self._rows(store, self._tasks)

    def _rows(self, store: FleetStore, tasks: list[TaskView]) -> None:
        now = store.now()
        self.tasks.set_empty(NO_TASKS if store.live else AWAY)
        self.tasks.set_rows([own_task_row(task, now, not store.live) for task in tasks])

    # --- use over time

    def set_window(self, name: str) -> None:
        """Raises UsageError."""
        if name or self.tab == "stats":
            self.stats.set_window(name)
        self.show_tab("stats")

    # --- tasks

    def tasks_meant(self) -> tuple[str, ...]:
        """Tasks that an action is about: only while they have the focus."""
        if self.tab != "tasks" or not self.tasks.has_focus:
            return ()
        cursor = self.tasks.cursor_key
        return tuple(sorted(self.tasks.marked)) or ((cursor,) if cursor else ())

    def follow_task(self, task_id: str) -> None:
        """A task went out from here: show the tasks, with the newest in front."""
        self.tab = "tasks"
        self._reads = ()
        self._front()


def title_pieces(name: str, front: str, cells: int) -> list[Piece]:
    """The agent and the tabs, in `cells` where that is possible: first the words are drawn together, then the long
    ones are cut, then the name."""
    for titles, blank in ((TITLES, " "), (TITLES, ""), (SHORT, "")):
        tabs: list[Piece] = [
            (f" {number} {titles[tab]}{blank}", "title" if tab == front else "dim")
            for number, tab in enumerate(TABS, 1)
        ]
        left = cells - sum(len(text) for text, _ in tabs) - 2
        if width(name) <= left:
            break
    shown = truncate(name, max(left, LEAST_NAME_CELLS))
    return [(f" {shown} ", "bold"), *tabs]
