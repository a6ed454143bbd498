"""Lifecycle: what must be done so that what is observed becomes what is desired.

| desired | observed          | step                                                |
|---------|-------------------|-----------------------------------------------------|
| running | exited            | start, with backoff; give up after a crash loop     |
| running | paused            | resume                                              |
| stopped | running, paused   | stop                                                |
| paused  | running           | pause                                               |
| absent  | anything          | destroy, also what was removed from outside         |
| any     | absent            | none: the agent is shown as crashed, with the reason|

An agent that runs and is not well is restarted or stopped as `hub.core.wellness` says.
`creating` and `unknown` are left alone: somebody works on it, or nobody could look.
"""

from __future__ import annotations

import enum
from typing import Final

import msgspec

from hub.core.guard import Decider
from hub.core.model import Agent, AgentId, Desired, Now, Observed
from hub.core.wellness import Wellness


class Step(enum.StrEnum):
    START = "start"
    STOP = "stop"
    PAUSE = "pause"
    RESUME = "resume"
    DESTROY = "destroy"
    RESTART = "restart"


_STEPS: Final[dict[tuple[Desired, Observed], Step]] = {
    (Desired.RUNNING, Observed.EXITED): Step.START,
    (Desired.RUNNING, Observed.PAUSED): Step.RESUME,
    (Desired.STOPPED, Observed.RUNNING): Step.STOP,
    (Desired.STOPPED, Observed.PAUSED): Step.STOP,
    (Desired.PAUSED, Observed.RUNNING): Step.PAUSE,
    (Desired.ABSENT, Observed.RUNNING): Step.DESTROY,
    (Desired.ABSENT, Observed.PAUSED): Step.DESTROY,
    (Desired.ABSENT, Observed.EXITED): Step.DESTROY,
    (Desired.ABSENT, Observed.CREATING): Step.DESTROY,
    (Desired.ABSENT, Observed.ABSENT): Step.DESTROY,
}


class CrashPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """Restarts after `first_seconds`, doubled each time up to `most_seconds`; `limit` restarts
    without `stable_seconds` of running in between are a crash loop."""

    first_seconds: float = 1.0
    most_seconds: float = 60.0
    limit: int = 5
    stable_seconds: float = 120.0


class Crashes:
    """How often one agent was started again since it last ran for long enough."""

    def __init__(self) -> None:
        self.count = 0
        self.not_before = 0.0
        self.running_since: float | None = None
        self.given_up = False
        self.why = ""


class Lifecycle(Decider, also=("forget", "step")):
    """Decides the next step per agent, and paces restarts."""

    def __init__(self, policy: CrashPolicy | None = None) -> None:
        self.policy = policy or CrashPolicy()
        self.wellness = Wellness()
        self._crashes: dict[AgentId, Crashes] = {}

    def forget(self, agent_id: AgentId) -> None:
        """The agent is gone, or an operator acted on it: its crash record is void."""
        self._crashes.pop(agent_id, None)
        self.wellness.forget(agent_id)

    def give_up(self, agent_id: AgentId, why: str) -> None:
        """The platform's own restarts were ended because they lead nowhere: ours would not, either."""
        crashes = self._crashes[agent_id] = Crashes()
        crashes.count, crashes.given_up, crashes.why = self.policy.limit, True, why

    def gave_up_because(self, agent_id: AgentId) -> str:
        """What `give_up` was told; empty when the last end says it."""
        crashes = self._crashes.get(agent_id)
        return crashes.why if crashes is not None and crashes.given_up else ""

    def is_looping(self, agent_id: AgentId) -> bool:
        """True when restarts were given up: the last one allowed has failed too."""
        crashes = self._crashes.get(agent_id)
        return crashes is not None and crashes.given_up

    def restart_at(self, agent_id: AgentId) -> float | None:
        """Monotonic time before which a crashed agent is not started again, or None."""
        crashes = self._crashes.get(agent_id)
        if crashes is None or crashes.given_up or crashes.running_since is not None:
            return None
        return crashes.not_before

    def step(self, agent: Agent, now: Now) -> Step | None:
        """Return what to do for `agent` now, or None."""
        step = _STEPS.get((agent.desired, agent.observed))
        if agent.desired is Desired.RUNNING and agent.observed is Observed.RUNNING:
            self._ran(agent.id, now)
        return self._restart(agent.id, now) if step is Step.START else step

    def _ran(self, agent_id: AgentId, now: Now) -> None:
        crashes = self._crashes.get(agent_id)
        if crashes is None:
            return
        if crashes.running_since is None:
            crashes.running_since, crashes.given_up = now.mono, False
        elif now.mono - crashes.running_since >= self.policy.stable_seconds:
            del self._crashes[agent_id]

    def _restart(self, agent_id: AgentId, now: Now) -> Step | None:
        crashes = self._crashes.get(agent_id)
        if crashes is None:
            crashes = self._crashes[agent_id] = Crashes()
            crashes.not_before = now.mono + self._wait_seconds(crashes)
            return None
        if crashes.running_since is not None:
            # It ran and fell over again: the wait starts anew, longer than before.
            crashes.running_since = None
            crashes.given_up = crashes.count >= self.policy.limit
            crashes.not_before = now.mono + self._wait_seconds(crashes)
        if now.mono < crashes.not_before:
            return None
        if crashes.count >= self.policy.limit:
            crashes.given_up = True
            return None
        crashes.count += 1
        crashes.not_before = now.mono + self._wait_seconds(crashes)
        return Step.START

    def _wait_seconds(self, crashes: Crashes) -> float:
        # The exponent is bounded because a float overflows at 2.0**1024.
        return min(self.policy.most_seconds, self.policy.first_seconds * 2.0 ** min(crashes.count, 30))
