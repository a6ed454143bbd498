"""Agents whose messages broke a decision: let in again later and later, so that one cannot keep all others out."""

from __future__ import annotations

from typing import Final

import msgspec

from hub.core.model import AgentId

FIRST_SECONDS: Final = 10.0
MOST_SECONDS: Final = 600.0
FORGOTTEN_AFTER_SECONDS: Final = 3600.0
"""So long after the last time an agent counts as harmless again."""


class _Held(msgspec.Struct, frozen=True):
    times: int
    since: float
    until: float


class HoldOff:
    """Who has to wait, and until when. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._held: dict[AgentId, _Held] = {}

    def blame(self, agent_id: AgentId, now: float) -> None:
        """The agent's message broke a decision: the more often, the longer it stays away."""
        self._held = {key: held for key, held in self._held.items() if now - held.since < FORGOTTEN_AFTER_SECONDS}
        times = self._held[agent_id].times if agent_id in self._held else 0
        seconds = min(MOST_SECONDS, FIRST_SECONDS * 2.0**times)
        self._held[agent_id] = _Held(min(times + 1, 32), now, now + seconds)

    def rest_seconds(self, agent_id: AgentId, now: float) -> float:
        """Return how long the agent still has to wait; 0.0 when it may come."""
        held = self._held.get(agent_id)
        return max(0.0, held.until - now) if held is not None else 0.0
