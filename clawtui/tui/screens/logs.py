"""Logs of several agents in one view, merged by time."""

from __future__ import annotations

from textual.app import ComposeResult

from clawtui.tui.actions import Where
from clawtui.tui.logging_view import LogFilter, follow_logs
from clawtui.tui.screens.pane import Pane, Subject
from clawtui.tui.store import FleetStore
from clawtui.tui.widgets.log_view import LogView
from clawtui.tui.widgets.topbar import Line

MOST_AGENTS = 30
"""Without a choice, the first so many agents; more are followed when they are named or marked."""
NAMED = 4


class LogsPane(Pane):
    place = Where.LOGS

    def __init__(self, id: str) -> None:
        super().__init__(id=id)
        self._chosen: tuple[str, ...] = ()
        self._reads: tuple[object, ...] = ()

    def compose(self) -> ComposeResult:
        yield Line(stay=True, id="logs-title")
        view = LogView()
        self.log_filter = LogFilter(view)
        yield view

    def on_mount(self) -> None:
        self.view.timestamps = True
        self.view.focus()

    @property
    def view(self) -> LogView:
        return self.query_one(LogView)

    def choose(self, agents: tuple[str, ...]) -> None:
        self._chosen = agents
        self.ui.refresh_now()

    def _agents(self, store: FleetStore) -> tuple[str, ...]:
        return self._chosen or tuple(sorted(store.agents))[:MOST_AGENTS]

    def show(self) -> None:
        store = self.ui.store
        if store is None or not self.is_mounted:
            return
        agents = self._agents(store)
        epochs = tuple(store.agents[name].epoch for name in agents if name in store.agents)
        reads = (agents, epochs, store.live)
        if reads != self._reads and store.live:
            self._reads = reads
            self.background(lambda: self._follow(store, agents), "logs")
        more = f" and {len(agents) - NAMED} more" if len(agents) > NAMED else ""
        about = ", ".join(agents[:NAMED]) + more
        self.query_one(Line).set_pieces([(f" Logs {about or 'of nobody'} · {self.log_filter.says()}", "bold")])

    async def _follow(self, store: FleetStore, agents: tuple[str, ...]) -> None:
        self.view.clear()
        self.view.set_empty("Nothing in these logs yet" if agents else "No agents, no logs.  F1 and a make one")
        if agents:
            await follow_logs(store.control, agents, self.view)

    def leave(self) -> None:
        self._reads = ()
        self.workers.cancel_node(self)

    def subject(self) -> Subject:
        return Subject(self._chosen)

    @property
    def filter_text(self) -> str:
        return self.log_filter.text

    def set_filter(self, text: str) -> None:
        self.log_filter.set(text)
        self.ui.refresh_now()

    def set_context(self, lines: int | None) -> None:
        self.log_filter.set_context(lines)
        self.ui.refresh_now()

    def log_view(self) -> LogView | None:
        return self.view

    def focus_first(self) -> None:
        if self.is_mounted:
            self.view.focus()

    def back(self) -> bool:
        if not self.log_filter.text:
            return False
        self.set_filter("")
        return True
