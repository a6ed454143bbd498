"""Wellness: unhealthy agents are restarted with growing patience and given up; crash loops of the platform are ended.

All times are virtual.
"""

from __future__ import annotations

from typing import Any

import pytest

from hub.core.model import AgentId, CheckState, Desired, Now, Observed
from hub.core.wellness import Report, Seen, Wellness, WellnessPolicy
from tests.core.support import make_agent

A = AgentId("a")
POLICY = WellnessPolicy(
    first_seconds=10, most_seconds=40, limit=4, stable_seconds=300, gap_seconds=60, loop_restarts=3,
    loop_stable_seconds=120,
)  # fmt: skip
UNHEALTHY, HEALTHY, STARTING = CheckState.UNHEALTHY, CheckState.HEALTHY, CheckState.STARTING


class Ward:
    """One agent that is looked at every second."""

    def __init__(self, policy: WellnessPolicy = POLICY) -> None:
        self.wellness = Wellness(policy)
        self.mono = 1_000.0
        self.restarted: list[float] = []

    def look(
        self,
        check: CheckState | None = None,
        *,
        desired: Desired = Desired.RUNNING,
        observed: Observed = Observed.RUNNING,
        busy: bool = False,
        **seen: Any,
    ) -> bool:
        """Return whether it is restarted now."""
        now = Now(int(self.mono * 1000), self.mono)
        self.wellness.see(A, Seen(observed=observed, check=check, **seen), now)
        agent = make_agent(desired=desired, observed=observed)
        found = self.wellness.must_restart(agent, now, busy=busy)
        if found:
            self.restarted.append(self.mono)
        return found

    def watch(self, seconds: int, check: CheckState | None = None, **seen: Any) -> None:
        for _ in range(seconds):
            self.mono += 1
            self.look(check, **seen)

    @property
    def report(self) -> Report:
        found = self.wellness.report(A)
        assert found is not None
        return found

    def loops(self) -> bool:
        return self.wellness.is_looping(make_agent(desired=Desired.RUNNING, observed=Observed.RUNNING))


def test_an_unhealthy_agent_is_restarted_after_the_wait_and_later_each_time() -> None:
    ward = Ward()
    ward.watch(500, UNHEALTHY, why="its loop does not answer")
    # Seen unhealthy at 1001; each restart is taken for one that did not help.
    assert [at - 1_001 for at in ward.restarted] == [10, 31, 72, 113]
    assert ward.report.given_up
    assert (ward.report.restarts, ward.report.why) == (4, "its loop does not answer")


def test_a_healthy_agent_and_one_without_a_check_are_left_alone() -> None:
    ward = Ward()
    for check in (None, STARTING, HEALTHY):
        ward.watch(1_000, check)
    assert ward.restarted == []


def test_an_agent_that_recovers_in_time_is_not_restarted() -> None:
    ward = Ward()
    for _ in range(20):
        ward.watch(9, UNHEALTHY)
        ward.watch(1, HEALTHY)
    assert ward.restarted == []


def test_one_that_starts_is_not_held_to_what_it_was_before() -> None:
    ward = Ward()
    ward.watch(9, UNHEALTHY)
    ward.watch(5, STARTING)
    ward.watch(10, UNHEALTHY)
    assert ward.restarted == []
    ward.watch(1, UNHEALTHY)
    assert len(ward.restarted) == 1


@pytest.mark.parametrize(
    ("desired", "observed"),
    [
        (Desired.PAUSED, Observed.PAUSED),
        (Desired.PAUSED, Observed.RUNNING),
        (Desired.STOPPED, Observed.RUNNING),
        (Desired.ABSENT, Observed.RUNNING),
        (Desired.RUNNING, Observed.PAUSED),
        (Desired.RUNNING, Observed.EXITED),
        (Desired.RUNNING, Observed.UNKNOWN),
        (Desired.RUNNING, Observed.CREATING),
    ],
)
def test_only_what_should_run_and_does_is_restarted(desired: Desired, observed: Observed) -> None:
    ward = Ward()
    ward.watch(500, UNHEALTHY, desired=desired, observed=observed)
    assert ward.restarted == []


def test_of_one_that_ended_no_check_holds_and_nothing_waits() -> None:
    ward = Ward()
    ward.wellness.ended(A)
    assert ward.wellness.report(A) is None
    ward.watch(3, UNHEALTHY)
    ward.wellness.ended(A)
    report = ward.wellness.report(A)
    assert report is not None
    assert (report.check, report.why, ward.wellness.restart_at(A)) == (None, "", None)


def test_a_gap_in_the_looks_begins_the_wait_anew() -> None:
    """The hub or the platform was away: what happened meanwhile is held against nobody."""
    ward = Ward()
    ward.watch(9, UNHEALTHY)
    ward.mono += 3_600
    assert not ward.look(UNHEALTHY)
    ward.watch(9, UNHEALTHY)
    assert ward.restarted == []
    ward.watch(1, UNHEALTHY)
    assert len(ward.restarted) == 1


def test_a_new_hub_waits_as_long_as_anybody() -> None:
    ward = Ward()
    assert not ward.look(UNHEALTHY)
    assert ward.wellness.restart_at(A) == ward.mono + 10


def test_being_well_for_long_enough_clears_the_record() -> None:
    ward = Ward()
    ward.watch(12, UNHEALTHY)
    assert ward.report.restarts == 1
    ward.watch(300, HEALTHY)
    assert ward.report.restarts == 1
    ward.watch(1, HEALTHY)
    assert ward.report.restarts == 0


def test_a_given_up_agent_that_comes_round_is_not_given_up_any_more() -> None:
    ward = Ward()
    ward.watch(500, UNHEALTHY)
    assert ward.report.given_up
    ward.watch(1, HEALTHY)
    assert not ward.report.given_up
    ward.watch(400, HEALTHY)
    ward.watch(11, UNHEALTHY)
    assert len(ward.restarted) == 5


def test_work_is_not_interrupted() -> None:
    ward = Ward()
    ward.watch(200, UNHEALTHY, busy=True)
    assert (ward.restarted, ward.report.waiting) == ([], True)
    ward.watch(1, UNHEALTHY)
    assert (len(ward.restarted), ward.report.waiting) == (1, False)


def test_an_operators_act_voids_the_record() -> None:
    ward = Ward()
    ward.watch(500, UNHEALTHY)
    ward.wellness.forget(A)
    assert ward.wellness.report(A) is None
    ward.watch(11, UNHEALTHY)
    assert len(ward.restarted) == 5


def test_the_platforms_restarts_are_a_crash_loop_when_they_do_not_help() -> None:
    ward = Ward()
    for restarts in range(4):
        assert not ward.loops()
        ward.watch(30, restarts=7 + restarts)
    assert ward.loops()
    assert ward.report.falls == 3


def test_several_restarts_between_two_looks_count_each() -> None:
    ward = Ward()
    ward.watch(1, restarts=0)
    ward.watch(1, restarts=9, observed=Observed.UNKNOWN, exit_code=3)
    assert (ward.loops(), ward.report.falls, ward.report.last_exit) == (True, 3, 3)


def test_restarts_far_apart_are_no_loop() -> None:
    ward = Ward()
    for restarts in range(20):
        ward.watch(121, restarts=restarts)
    assert not ward.loops()


def test_restarts_from_before_the_first_look_and_during_a_gap_do_not_count() -> None:
    ward = Ward()
    ward.watch(1, restarts=50)
    ward.mono += 600
    ward.watch(1, restarts=99)
    assert (ward.report.falls, ward.loops()) == (0, False)


def test_a_count_that_begins_anew_is_no_restart() -> None:
    ward = Ward()
    ward.watch(1, restarts=2)
    ward.watch(1, restarts=0)
    ward.watch(1, restarts=1)
    assert ward.report.falls == 1


@pytest.mark.parametrize("desired", [Desired.STOPPED, Desired.PAUSED, Desired.ABSENT])
def test_what_should_not_run_is_not_in_a_loop(desired: Desired) -> None:
    ward = Ward()
    for restarts in range(9):
        ward.watch(1, restarts=restarts)
    assert ward.loops()
    assert not ward.wellness.is_looping(make_agent(desired=desired, observed=Observed.RUNNING))


def test_each_end_for_want_of_memory_counts_once() -> None:
    ward = Ward()
    ward.watch(3, started_at=1)
    ward.watch(3, started_at=1, observed=Observed.EXITED, out_of_memory=True)
    assert ward.report.out_of_memory == 1
    # Started again: the engine's flag stays.
    ward.watch(3, started_at=2, out_of_memory=True)
    assert ward.report.out_of_memory == 1
    ward.watch(3, started_at=2, observed=Observed.EXITED, out_of_memory=True)
    assert ward.report.out_of_memory == 2
    # The platform was faster than the look.
    ward.watch(3, started_at=3, restarts=1, out_of_memory=True)
    assert (ward.report.out_of_memory, ward.report.out_of_memory_ms) == (3, int((ward.mono - 2) * 1000))


def test_an_old_flag_of_an_agent_that_runs_is_not_news() -> None:
    ward = Ward()
    ward.watch(5, out_of_memory=True, started_at=1)
    assert ward.report.out_of_memory == 0


def test_only_what_changed_is_told() -> None:
    wellness = Wellness(POLICY)
    seen = Seen(observed=Observed.RUNNING, check=HEALTHY, why="fine")
    assert wellness.see(A, seen, Now(0, 0.0))
    assert not wellness.see(A, seen, Now(1, 1.0))
    assert wellness.see(A, Seen(observed=Observed.RUNNING, check=UNHEALTHY, why="bad"), Now(2, 2.0))
    report = wellness.report(A)
    assert report is not None
    assert (report.since_ms, report.why) == (2, "bad")
