"""The world of fake agents, which outlives a driver as real platforms do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

from hub.core.model import AgentId, AgentUid, CheckState, Observed
from hub.drivers.base import AgentPlan, LogLine
from hub.drivers.fake.containers import FakeContainer
from hub.drivers.upkeep import Holding
from runtime.wire import Health


class FakeAgent:
    """One agent of the platform. Tests may read everything."""

    def __init__(self, plan: AgentPlan, started_at: int) -> None:
        self.plan = plan
        self.token = plan.join_token
        self.state = Observed.CREATING
        self.exit_code: int | None = None
        self.out_of_memory = False
        self.started_at: int | None = None
        self.check: CheckState | None = None
        self.check_why = ""
        self.restarts = 0
        self.use = Health()
        self.wrong_owners = 0
        self.starts = 0
        self.log: list[LogLine] = []
        self.created_at = started_at
        self.files: dict[str, bytes] = {}
        """The workspace."""
        self.generation = 0
        self.aside: dict[int, dict[str, bytes]] = {}
        """Generations of the workspace that are not active."""


class FakePlatform:
    """The world of fake agents. `now_ms` is the clock; without one, each look is a millisecond later."""

    def __init__(self, now_ms: Callable[[], int] | None = None) -> None:
        self.agents: dict[tuple[AgentId, AgentUid], FakeAgent] = {}
        self.foreign: set[AgentId] = set()
        """Names taken by things that no hub made."""
        self.images: set[str] = set()
        """Ids of snapshots that have an image."""
        self.holdings: list[Holding] = []
        """What is on its disk."""
        self.containers: dict[str, FakeContainer] = {}
        """Those that no hub made, by name."""
        self.away = ""
        """Why it does not answer for containers, empty = it does."""
        self._now_ms = now_ms
        self._ticks = 0
        self._watchers: set[asyncio.Event] = set()

    def now_ms(self) -> int:
        if self._now_ms is not None:
            return self._now_ms()
        self._ticks += 1
        return self._ticks

    def agent(self, agent_id: str) -> FakeAgent:
        """Return the youngest incarnation; raises KeyError."""
        return [agent for (name, _), agent in self.agents.items() if name == agent_id][-1]

    def end(self, agent_id: str, exit_code: int, *, out_of_memory: bool = False) -> None:
        """The agent's process ends by itself."""
        agent = self.agent(agent_id)
        agent.state, agent.exit_code, agent.out_of_memory = Observed.EXITED, exit_code, out_of_memory
        self.changed()

    def vanish(self, agent_id: str) -> None:
        """Somebody removes the agent behind the hub's back."""
        agent = self.agent(agent_id)
        del self.agents[agent.plan.agent_id, agent.plan.uid]
        self.changed()

    def say(self, agent_id: str, text: str) -> None:
        self.agent(agent_id).log.append(LogLine(text=text, at=self.now_ms()))
        self.changed()

    def changed(self) -> None:
        for event in self._watchers:
            event.set()

    async def wait_changes(self) -> AsyncIterator[None]:
        """Yield at once, and after every change."""
        event = asyncio.Event()
        event.set()
        self._watchers.add(event)
        try:
            while True:
                await event.wait()
                event.clear()
                yield
        finally:
            self._watchers.discard(event)
