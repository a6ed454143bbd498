"""Measuring from outside: agents that report nothing get their numbers from the platform that runs them."""

from __future__ import annotations

import asyncio
from contextlib import AbstractContextManager
from typing import Final

import structlog

from hub.core.effects import Kind, Publish
from hub.core.health import AGENT
from hub.core.model import Agent, AgentUid, Observed
from hub.drivers.upkeep import Usage
from hub.driverset import DriverSet
from hub.errors import HubError
from hub.kernel import Kernel
from hub.stats import Stats
from hub.surviving import surviving

AT_ONCE: Final = 4
"""Readings at the same time over all drivers: an engine has other things to do."""
LOOK_SECONDS: Final = 1.0
WATCHED_SECONDS: Final = 2.0
"""Between two readings of an agent that somebody watches."""
SILENT_REPORTS: Final = 2.5
"""An agent that reported within so many of its intervals is not measured from outside."""

log = structlog.get_logger("hub.sampling")


class Sampler:
    """Reads what agents use that do not say it: basic ones, old runtimes, and those whose runtime hangs."""

    def __init__(self, kernel: Kernel, drivers: DriverSet, stats: Stats) -> None:
        self._kernel = kernel
        self._drivers = drivers
        self._stats = stats
        self._own: dict[AgentUid, tuple[int | None, float]] = {}
        """Each agent's own last report (ms since the epoch), and when it was noticed (monotonic)."""
        self._read_at: dict[AgentUid, float] = {}

    async def run(self) -> None:
        """Measure until cancelled."""
        while True:
            with self._surviving("sampling_broken", "agents that do not report are not measured"):
                await self.look()
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Measure every agent that is due."""
        now = self._kernel.now().mono
        agents = list(self._kernel.fleet.agents.values())
        living = {agent.uid for agent in agents}
        for kept in (self._own, self._read_at):
            for uid in kept.keys() - living:
                del kept[uid]
        due = [(agent, usage) for agent in agents if (usage := self._wanted(agent, now)) is not None]
        room = asyncio.Semaphore(AT_ONCE)
        async with asyncio.TaskGroup() as group:
            for agent, usage in due:
                self._read_at[agent.uid] = now
                group.create_task(self._measure_safely(agent, usage, room))

    def _surviving(self, event: str, harm: str) -> AbstractContextManager[None]:
        return surviving(self._kernel.notices, self._kernel.now, event, harm)

    def _wanted(self, agent: Agent, now: float) -> Usage | None:
        """The way to measure the agent, when that is due."""
        if agent.observed is not Observed.RUNNING or agent.handle is None:
            # Its silence says nothing then; it has its time again when it runs.
            self._own.pop(agent.uid, None)
            return None
        if not self._is_silent(agent, now):
            return None
        watched = self._stats.is_watched(agent.id)
        pause = WATCHED_SECONDS if watched else self._kernel.config.timing.health_interval_seconds
        if now - self._read_at.get(agent.uid, -pause) < pause:
            return None
        try:
            return self._drivers.get(agent.driver).usage
        except HubError:
            return None

    def _is_silent(self, agent: Agent, now: float) -> bool:
        """True for a basic agent, and for one that has not reported for a while of this hub's own time."""
        presence, timing = self._kernel.fleet.presence(agent.id), self._kernel.config.timing
        if presence.open and presence.basic:
            return True
        own = presence.health_ms if presence.health_source == AGENT else None
        known = self._own.get(agent.uid)
        if known is None or (own is not None and own != known[0]):
            known = self._own[agent.uid] = (own, now)
        return now - known[1] >= timing.health_interval_seconds * SILENT_REPORTS

    async def _measure_safely(self, agent: Agent, usage: Usage, room: asyncio.Semaphore) -> None:
        # Each by itself: what breaks for one agent must not cost the others their numbers.
        with self._surviving("measuring_broken", f"agents of driver {agent.driver} cannot be measured"):
            await self._measure(agent, usage, room)

    async def _measure(self, agent: Agent, usage: Usage, room: asyncio.Semaphore) -> None:
        kernel = self._kernel
        async with room:
            try:
                measured = await usage.measure(agent.handle or "")
            except HubError as exc:
                # Gone, stopped meanwhile, or no engine: reconcile and its driver say so.
                log.debug("agent_not_measured", agent=agent.id, error=exc.message)
                return
        present = kernel.fleet.agents.get(agent.id)
        if present is None or present.uid != agent.uid:
            return
        kernel.fleet.freshness.measured(agent.id, measured.health, agent.driver, measured.at_ms)
        self._stats.report(agent.id, measured.health)
        kernel.push([Publish(Kind.HEALTH, agent.id)])
