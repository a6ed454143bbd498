"""Lifecycle under any order of observations, wishes and pauses: only documented steps, paced and bounded restarts."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from hub.core.lifecycle import CrashPolicy, Lifecycle, Step
from hub.core.model import Desired, Now, Observed
from tests.core.support import make_agent

POLICY = CrashPolicy(first_seconds=1.0, most_seconds=4.0, limit=3, stable_seconds=10.0)
STEPS = {
    (Desired.RUNNING, Observed.EXITED): Step.START,
    (Desired.RUNNING, Observed.PAUSED): Step.RESUME,
    (Desired.STOPPED, Observed.RUNNING): Step.STOP,
    (Desired.STOPPED, Observed.PAUSED): Step.STOP,
    (Desired.PAUSED, Observed.RUNNING): Step.PAUSE,
} | {
    (Desired.ABSENT, observed): Step.DESTROY
    for observed in (Observed.RUNNING, Observed.PAUSED, Observed.EXITED, Observed.CREATING, Observed.ABSENT)
}


class LifecycleMachine(RuleBasedStateMachine):
    """`starts` are the times of the starts since the agent last ran for long enough, `down_since` its last fall."""

    def __init__(self) -> None:
        super().__init__()
        self.life = Lifecycle(POLICY)
        self.mono = 0.0
        self.starts: list[float] = []
        self.up_since: float | None = None
        self.down_since: float | None = None

    @rule(seconds=st.sampled_from([0.25, 0.5, 1.0, 2.0, 4.0, 11.0]))
    def time_passes(self, seconds: float) -> None:
        self.mono += seconds

    @rule(desired=st.sampled_from(list(Desired)), observed=st.sampled_from(list(Observed)))
    def look(self, desired: Desired, observed: Observed) -> None:
        agent = make_agent(desired=desired, observed=observed)
        step = self.life.step(agent, Now(0, self.mono))
        if (desired, observed) == (Desired.RUNNING, Observed.EXITED):
            self.check_restart(step)
        else:
            assert step == STEPS.get((desired, observed))
        if (desired, observed) == (Desired.RUNNING, Observed.RUNNING):
            self.up()

    @rule(times=st.integers(1, 30))
    def crash_loop(self, times: int) -> None:
        """Up for a moment, down, and watched for a while."""
        self.look(Desired.RUNNING, Observed.RUNNING)
        for _ in range(times):
            self.mono += 0.5
            self.look(Desired.RUNNING, Observed.EXITED)

    @rule()
    def operator_acts(self) -> None:
        self.life.forget(make_agent().id)
        self.starts, self.up_since, self.down_since = [], None, None

    def up(self) -> None:
        assert not self.life.is_looping(make_agent().id)
        if self.down_since is None:
            return
        if self.up_since is None:
            self.up_since = self.mono
        elif self.mono - self.up_since >= POLICY.stable_seconds:
            self.starts, self.up_since, self.down_since = [], None, None

    def check_restart(self, step: Step | None) -> None:
        if self.down_since is None or self.up_since is not None:
            self.down_since, self.up_since = self.mono, None
        wait = min(POLICY.most_seconds, POLICY.first_seconds * 2 ** len(self.starts))
        ready = self.mono - max([self.down_since, *self.starts]) >= wait
        may = len(self.starts) < POLICY.limit
        assert (step is Step.START) == (ready and may), "started too early, too late, or too often"
        if step is Step.START:
            self.starts.append(self.mono)
        if self.life.is_looping(make_agent().id):
            assert not may, "given up too early"
        assert may or not ready or self.life.is_looping(make_agent().id), "given up and not said"


TestLifecycle = LifecycleMachine.TestCase
TestLifecycle.settings = settings.get_profile("core")
