"""Wellness: what a platform says of an agent that runs, and when the hub acts on it.

Two things are watched: the platform's own health check, and how often the platform itself has
started the agent again. Both count only while this hub looks: a gap in the looks, because the hub
or the platform was away, begins anew and is held against nobody.

| seen                                                        | step                                    |
|-------------------------------------------------------------|-----------------------------------------|
| unhealthy for the wait, nothing runs on it that it reports  | restart; the next wait is twice as long |
| unhealthy, `limit` restarts without being well in between   | none: given up, a person is asked       |
| started `loop_restarts` times without `stable_seconds` up   | stop: a crash loop, restarts end        |
| starting, paused, stopped, held by somebody, not looked at  | none                                    |
"""

from __future__ import annotations

from collections import deque
from typing import Final

import msgspec

from hub.core.model import Agent, AgentId, CheckState, Desired, Now, Observed

_LOOPS: Final = frozenset({Observed.RUNNING, Observed.UNKNOWN})
"""A platform that waits before it starts an agent again says neither that it runs nor that it ended."""
MOST_WORDS: Final = 300
"""Characters kept of what a health check says."""


class WellnessPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """Restarts of an unhealthy agent after `first_seconds`, doubled each time up to `most_seconds`;
    well for `stable_seconds` clears the record. Looks more than `gap_seconds` apart begin anew."""

    first_seconds: float = 10.0
    most_seconds: float = 600.0
    limit: int = 3
    stable_seconds: float = 300.0
    gap_seconds: float = 60.0
    loop_restarts: int = 5
    loop_stable_seconds: float = 120.0


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """One look at an agent. `check` None: it has no health check. `restarts`: how often the platform
    itself has started it again, ever. `started_at`: ms since the epoch."""

    observed: Observed
    check: CheckState | None = None
    why: str = ""
    restarts: int = 0
    exit_code: int | None = None
    out_of_memory: bool = False
    started_at: int | None = None


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of an agent's wellness now.

    `since_ms`: since when `check` holds. `restarts`: the hub's, since it was last well. `waiting`:
    a restart would end its tasks, so it is put off. `falls`: how often the platform started it again
    without a stable time. `out_of_memory_ms`: when that happened last (ms since the epoch).
    """

    check: CheckState | None = None
    why: str = ""
    since_ms: int = 0
    restarts: int = 0
    given_up: bool = False
    waiting: bool = False
    falls: int = 0
    looping: bool = False
    last_exit: int | None = None
    out_of_memory: int = 0
    out_of_memory_ms: int | None = None


class _Condition:
    """Monotonic times, other than those that `Report` has."""

    def __init__(self) -> None:
        self.report = Report()
        self.seen_at: float | None = None
        self.unhealthy_at: float | None = None
        self.healthy_at: float | None = None
        self.restarts_seen: int | None = None
        self.falls: deque[float] = deque(maxlen=100)
        self.memory_of_start: int | None = None

    def change(self, **fields: object) -> None:
        self.report = msgspec.structs.replace(self.report, **fields)


class Wellness:
    """Judges what was seen, agent by agent. In memory only: a hub that starts begins anew."""

    def __init__(self, policy: WellnessPolicy | None = None) -> None:
        self.policy = policy or WellnessPolicy()
        self._conditions: dict[AgentId, _Condition] = {}

    def forget(self, agent_id: AgentId) -> None:
        """The agent is gone, or an operator acted on it: its record is void."""
        self._conditions.pop(agent_id, None)

    def report(self, agent_id: AgentId) -> Report | None:
        condition = self._conditions.get(agent_id)
        return condition.report if condition is not None else None

    def restart_at(self, agent_id: AgentId) -> float | None:
        """Monotonic time at which an unhealthy agent is restarted, or None."""
        condition = self._conditions.get(agent_id)
        if condition is None or condition.unhealthy_at is None or condition.report.given_up:
            return None
        return condition.unhealthy_at + self._wait_seconds(condition.report.restarts)

    # --- seeing

    def see(self, agent_id: AgentId, seen: Seen, now: Now) -> bool:
        """Take note of a look; True when something changed that front ends show."""
        condition = self._conditions.setdefault(agent_id, _Condition())
        before = condition.report
        if condition.seen_at is None or now.mono - condition.seen_at > self.policy.gap_seconds:
            condition.unhealthy_at, condition.healthy_at, condition.restarts_seen = None, None, None
        condition.seen_at = now.mono
        self._see_memory(condition, seen, now)
        self._see_restarts(condition, seen, now)
        self._see_check(condition, seen, now)
        return condition.report != before

    def _see_memory(self, condition: _Condition, seen: Seen, now: Now) -> None:
        """The flag stays set after the agent was started again: each end counts once."""
        ended = seen.observed is not Observed.RUNNING
        fell = condition.restarts_seen is not None and seen.restarts > condition.restarts_seen
        new = fell or (ended and seen.started_at != condition.memory_of_start)
        if seen.out_of_memory and new and seen.observed is not Observed.PAUSED:
            condition.memory_of_start = seen.started_at
            condition.change(out_of_memory=condition.report.out_of_memory + 1, out_of_memory_ms=now.wall_ms)

    def _see_restarts(self, condition: _Condition, seen: Seen, now: Now) -> None:
        known, condition.restarts_seen = condition.restarts_seen, seen.restarts
        if known is not None and seen.restarts > known:
            condition.falls.extend([now.mono] * min(seen.restarts - known, self.policy.loop_restarts))
        if condition.falls and now.mono - condition.falls[-1] >= self.policy.loop_stable_seconds:
            condition.falls.clear()
        if seen.observed is not Observed.RUNNING and seen.exit_code is not None:
            condition.change(last_exit=seen.exit_code)
        looping = len(condition.falls) >= self.policy.loop_restarts
        condition.change(falls=len(condition.falls), looping=looping)

    def _see_check(self, condition: _Condition, seen: Seen, now: Now) -> None:
        check = seen.check if seen.observed is Observed.RUNNING else None
        if check is not condition.report.check or seen.why[:MOST_WORDS] != condition.report.why:
            since_ms = condition.report.since_ms if check is condition.report.check else now.wall_ms
            condition.change(check=check, why=seen.why[:MOST_WORDS] if check else "", since_ms=since_ms)
        if check is CheckState.UNHEALTHY:
            condition.healthy_at = None
            if condition.unhealthy_at is None:
                condition.unhealthy_at = now.mono
            return
        condition.unhealthy_at = None
        if check is not CheckState.HEALTHY:
            condition.healthy_at = None
            return
        condition.change(given_up=False, waiting=False)
        if condition.healthy_at is None:
            condition.healthy_at = now.mono
        elif now.mono - condition.healthy_at >= self.policy.stable_seconds:
            condition.change(restarts=0)

    def ended(self, agent_id: AgentId) -> None:
        """It does not run, so no check holds, whatever an earlier look said; how it ended stays known."""
        if (condition := self._conditions.get(agent_id)) is not None:
            condition.unhealthy_at = condition.healthy_at = None
            condition.change(check=None, why="")

    # --- acting

    def is_looping(self, agent: Agent) -> bool:
        """True when the platform starts the agent again and again, so that it must be stopped."""
        report = self.report(agent.id)
        wanted = agent.desired is Desired.RUNNING and agent.observed in _LOOPS
        return wanted and report is not None and report.looping

    def must_restart(self, agent: Agent, now: Now, *, busy: bool) -> bool:
        """Whether the agent is restarted now because it is unhealthy; True counts as done.

        `busy`: it is connected and works on tasks, which a restart would end.
        """
        condition = self._conditions.get(agent.id)
        if condition is None or agent.desired is not Desired.RUNNING or agent.observed is not Observed.RUNNING:
            return False
        due = self.restart_at(agent.id)
        if due is None or now.mono < due:
            return False
        if condition.report.restarts >= self.policy.limit:
            condition.change(given_up=True, waiting=False)
            return False
        condition.change(waiting=busy)
        if busy:
            return False
        condition.unhealthy_at = None
        condition.change(restarts=condition.report.restarts + 1)
        return True

    def _wait_seconds(self, restarts: int) -> float:
        # The exponent is bounded because a float overflows at 2.0**1024.
        return min(self.policy.most_seconds, self.policy.first_seconds * 2.0 ** min(restarts, 30))
