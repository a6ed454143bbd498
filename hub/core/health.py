"""Freshness: what the hub may say of an agent's connection, and how old that is.

    offline --connected--> online --no health for 45 s--> stale --health--> online
                             |                              |
                             +--unclean close--> unreachable +--clean close, bye--> offline

Silence counts only while this hub runs (`restore` starts everybody afresh) and not while we pause
the agent. A basic agent's every frame or pong is a sign of life; a full agent must report health.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Final

import msgspec

from hub.core.model import AgentId, Connection, Now
from runtime.wire import Health

FLAPS: Final = 3
"""Takeovers back to an instance seen before, within `FLAP_SECONDS`, that mean two agents share a
credential. A restarting agent is a new instance every time and never counts."""
FLAP_SECONDS: Final = 60.0
AGENT: Final = "agent"
"""Who measured an agent's health, when it did so itself."""


class Change(msgspec.Struct, frozen=True):
    """The agent's connection went from `before` to `after`."""

    agent_id: AgentId
    before: Connection
    after: Connection


class Presence:
    """What is known of one agent's connection now. Never stored."""

    def __init__(self) -> None:
        self.connection = Connection.OFFLINE
        self.open = False
        self.basic = False
        self.epoch = 0
        self.instance = ""
        self.paused = False
        self.heard_at: float | None = None
        self.last_seen_ms: int | None = None
        self.health: Health | None = None
        self.health_ms: int | None = None
        self.health_source = AGENT
        self.instances: deque[tuple[float, str]] = deque(maxlen=16)
        self.takeovers: deque[float] = deque(maxlen=FLAPS + 1)

    def is_of_another(self, instance: str) -> bool:
        """True while another process of this agent than `instance` is connected."""
        return self.open and not self.basic and self.instance != instance


class Freshness:
    """The connections of all agents. `tick` costs only what has become stale."""

    def __init__(self, stale_after_seconds: float) -> None:
        self.stale_after_seconds = stale_after_seconds
        self.agents: dict[AgentId, Presence] = {}
        # Online agents, the one heard longest ago first.
        self._heard: OrderedDict[AgentId, float] = OrderedDict()

    def add_agent(self, agent_id: AgentId, last: Connection = Connection.OFFLINE) -> None:
        """Take a new or restored agent; one that was connected lost that together with its hub."""
        presence = self.agents[agent_id] = Presence()
        lost = last in (Connection.ONLINE, Connection.STALE, Connection.UNREACHABLE)
        presence.connection = Connection.UNREACHABLE if lost else Connection.OFFLINE

    def remove_agent(self, agent_id: AgentId) -> None:
        self.agents.pop(agent_id, None)
        self._heard.pop(agent_id, None)

    def connected(self, agent_id: AgentId, epoch: int, instance: str, now: Now, *, basic: bool) -> list[Change]:
        """A new connection supersedes the one before."""
        presence = self.agents[agent_id]
        presence.open, presence.basic = True, basic
        presence.epoch, presence.instance = epoch, instance
        return self._hear(agent_id, presence, now)

    def is_flapping(self, agent_id: AgentId, instance: str, now: Now) -> bool:
        """Take note of a connecting instance; True when two of them drive each other out."""
        presence = self.agents[agent_id]
        if not instance:
            return False
        recent = [name for at, name in presence.instances if now.mono - at <= FLAP_SECONDS]
        if recent and recent[-1] != instance and instance in recent:
            presence.takeovers.append(now.mono)
        presence.instances.append((now.mono, instance))
        taken = [at for at in presence.takeovers if now.mono - at <= FLAP_SECONDS]
        return len(taken) > FLAPS

    def forget_flapping(self, agent_id: AgentId) -> None:
        """The agent was released: it starts with a clean record."""
        presence = self.agents[agent_id]
        presence.instances.clear()
        presence.takeovers.clear()

    def heard(self, agent_id: AgentId, epoch: int, now: Now) -> list[Change]:
        """Any frame or pong: a sign of life of a basic agent, `last seen` of every agent."""
        presence = self._current(agent_id, epoch)
        if presence is None:
            return []
        presence.last_seen_ms = now.wall_ms
        return self._hear(agent_id, presence, now) if presence.basic else []

    def reported(self, agent_id: AgentId, epoch: int, health: Health, now: Now) -> list[Change]:
        presence = self._current(agent_id, epoch)
        if presence is None:
            return []
        presence.health, presence.health_ms, presence.health_source = health, now.wall_ms, AGENT
        return self._hear(agent_id, presence, now)

    def measured(self, agent_id: AgentId, health: Health, source: str, at_ms: int) -> None:
        """Somebody else than the agent measured its use; that is no sign of life. `at_ms`: since the epoch."""
        presence = self.agents[agent_id]
        presence.health, presence.health_ms, presence.health_source = health, at_ms, source

    def closed(self, agent_id: AgentId, epoch: int, now: Now, *, clean: bool) -> list[Change]:
        """The connection `epoch` ended; `clean`: the agent said so."""
        presence = self._current(agent_id, epoch)
        if presence is None:
            return []
        presence.open = False
        presence.last_seen_ms = now.wall_ms if clean else presence.last_seen_ms
        after = Connection.OFFLINE if clean else Connection.UNREACHABLE
        return self._turn(agent_id, presence, after)

    def set_paused(self, agent_id: AgentId, paused: bool, now: Now) -> list[Change]:
        """While we hold the agent still its silence means nothing; thawed, it starts afresh."""
        presence = self.agents.get(agent_id)
        if presence is None or presence.paused is paused:
            return []
        presence.paused = paused
        if paused:
            self._heard.pop(agent_id, None)
            return []
        return self._hear(agent_id, presence, now) if presence.open else []

    def next_deadline(self) -> float | None:
        """Monotonic time at which the next agent becomes stale."""
        for heard_at in self._heard.values():
            return heard_at + self.stale_after_seconds
        return None

    def tick(self, now: Now) -> list[Change]:
        """Turn agents stale that have been silent for too long."""
        changes: list[Change] = []
        while self._heard:
            agent_id, heard_at = next(iter(self._heard.items()))
            if heard_at + self.stale_after_seconds > now.mono:
                break
            changes += self._turn(agent_id, self.agents[agent_id], Connection.STALE)
        return changes

    def _current(self, agent_id: AgentId, epoch: int) -> Presence | None:
        presence = self.agents.get(agent_id)
        if presence is None or not presence.open or presence.epoch != epoch:
            return None
        return presence

    def _hear(self, agent_id: AgentId, presence: Presence, now: Now) -> list[Change]:
        presence.heard_at, presence.last_seen_ms = now.mono, now.wall_ms
        if not presence.paused:
            self._heard[agent_id] = now.mono
            self._heard.move_to_end(agent_id)
        return self._turn(agent_id, presence, Connection.ONLINE)

    def _turn(self, agent_id: AgentId, presence: Presence, after: Connection) -> list[Change]:
        if after is not Connection.ONLINE:
            self._heard.pop(agent_id, None)
        before, presence.connection = presence.connection, after
        return [] if before is after else [Change(agent_id, before, after)]
