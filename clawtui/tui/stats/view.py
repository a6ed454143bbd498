"""Feeding the graphs of one agent: which window, what is read for it, and what is said where nothing is known."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from functools import partial

from clawtui.cli.output import age_text
from clawtui.tui.now import no_health
from clawtui.tui.presenters import age_cell
from clawtui.tui.stats.reader import StatsReader, filled, read_points
from clawtui.tui.stats.series import BY_NAME, History, Window, find_window, health_point, next_window, rfc3339
from clawtui.tui.store import FleetStore
from clawtui.tui.widgets.stats_pane import Shown, StatsPane
from hub.contract import AgentView
from hub.core.model import Connection
from hub.errors import NotAvailable, NotFound

FIRST_WINDOW = BY_NAME["15m"]
RECENT = BY_NAME["15m"]
"""Of the sparklines."""
SETTLE_SECONDS = 0.3
"""Who walks through the table does not read the history of every agent on the way."""


class StatsView:
    """Belongs to one pane of graphs."""

    def __init__(self, pane: StatsPane) -> None:
        self._pane = pane
        self.key = ""
        """What changes the window, as people write it."""
        self.window: Window = FIRST_WINDOW
        self._reader: StatsReader | None = None
        self._uid = ""

    def set_window(self, name: str) -> None:
        """Raises UsageError. Without a name the next one."""
        self.window = find_window(name) if name else next_window(self.window)

    def reads(self, agent: AgentView) -> tuple[object, ...]:
        """What is to be read; as long as it is the same, the reading goes on."""
        return (agent.uid, self.window.name, "stats")

    async def follow(self, store: FleetStore, agent: AgentView) -> None:
        """Read until cancelled."""
        fresh = StatsReader(store.control, agent.id, self.window, store.now)
        before = self._reader if self._uid == agent.uid else None
        if before is not None and before.window is self.window:
            fresh.history = before.history  # seen until the first answer
        self._reader, self._uid = fresh, agent.uid
        await fresh.run(partial(self._changed, store, agent.id))

    def _changed(self, store: FleetStore, agent_id: str) -> None:
        agent = store.agents.get(agent_id)
        if agent is not None and self._pane.is_attached:
            self.show(store, agent)

    def show(self, store: FleetStore, agent: AgentView) -> None:
        now = store.now()
        old = store.old_seconds
        reader = self._reader if self._uid == agent.uid else None
        if reader is not None and reader.window is not self.window:
            reader = None
        history = reader.history if reader is not None else History(self.window)
        if reader is not None and old is None and not self.window.live and (point := health_point(agent)) is not None:
            history.add(point)
        said_at = agent.health_at or (rfc3339(history.end_ms) if history.spans else "")
        shown = Shown(agent.uid, self.window, history, round(now.timestamp() * 1000))
        self._pane.show(shown._replace(
            said=age_cell(said_at, now), old="" if old is None else age_text(old), key=self.key,
            live=self.window.live and agent.connection is Connection.ONLINE and not agent.basic,
            problem=reader.problem if reader is not None else "", empty=self._empty(agent, reader, old),
        ))  # fmt: skip

    def _empty(self, agent: AgentView, reader: StatsReader | None, old: float | None) -> str:
        if old is not None:
            return f"Nothing was read of {agent.id} before the hub went away. It is read when the hub is back."
        if reader is None or not reader.loaded:
            return "Reading …"
        if reader.problem:
            return f"The history cannot be read: {reader.problem}. It is tried again."
        if agent.health is None:
            return f"{no_health(agent)}."
        later = (
            "The next report comes within a minute" if agent.connection is Connection.ONLINE else "It is not connected"
        )
        return f"Nothing was reported in the last {self.window.words}. {later}; :window 24h looks further back."


class RecentView:
    """The last minutes of the agent in front, for sparklines: read once, then its reports as they come."""

    def __init__(self) -> None:
        self._uid = ""
        self._history = History(RECENT)
        self._read_for: tuple[str, str | None] | None = None
        """The agent's uid and the report that it was read for."""
        self._missed = 0

    def reads(self, agent: AgentView) -> tuple[object, ...]:
        return (agent.uid, self._missed, "recent")

    async def read(self, store: FleetStore, agent: AgentView, changed: Callable[[], None]) -> None:
        if self._uid == agent.uid and self._read_for == (agent.uid, agent.health_at):
            return
        await asyncio.sleep(SETTLE_SECONDS)
        self._read_for = (agent.uid, agent.health_at)
        with contextlib.suppress(NotFound, NotAvailable):  # an older hub keeps no history
            points = await read_points(store.control, agent.id, RECENT.name)
            self._history, self._uid = await filled(History(RECENT), points), agent.uid
            changed()

    def history(self, agent: AgentView) -> History | None:
        """What is known; a report after a silence may also be one after which nobody looked, so it is read again."""
        if self._uid != agent.uid:
            return None
        point = health_point(agent)
        if point is None:
            return self._history
        if self._history.follows(point) or self._read_for == (agent.uid, agent.health_at):
            self._history.add(point)
        else:
            self._missed += 1
        return self._history
