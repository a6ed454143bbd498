"""Lifecycle: from what is desired and observed to the next step; restarts are paced and given up."""

from __future__ import annotations

import itertools
import re

import pytest

from hub.core import lifecycle
from hub.core.lifecycle import CrashPolicy, Lifecycle, Step
from hub.core.model import Agent, AgentId, Desired, Now, Observed
from tests.core.support import make_agent

RUNNING = make_agent(desired=Desired.RUNNING, observed=Observed.RUNNING)
EXITED = make_agent(desired=Desired.RUNNING, observed=Observed.EXITED)
A = AgentId("a")


def step(life: Lifecycle, agent: Agent, mono: float) -> Step | None:
    return life.step(agent, Now(0, mono))


def documented(desired: Desired, observed: Observed) -> str:
    for line in (lifecycle.__doc__ or "").split("\n"):
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if len(cells) != 3 or cells[0] not in {*Desired, "any"} or observed in ("creating", "unknown", "unmanaged"):
            continue
        wants = cells[0] in ("any", desired)
        if wants and (observed in cells[1].split(", ") or cells[1] == "anything"):
            return re.split(r"\W", cells[2])[0]
    if desired is Desired.ABSENT and observed is Observed.CREATING:
        return "destroy"
    return "none"


@pytest.mark.parametrize(("desired", "observed"), list(itertools.product(Desired, Observed)))
def test_each_pair_has_the_documented_step(desired: Desired, observed: Observed) -> None:
    life = Lifecycle(CrashPolicy(first_seconds=0.0))
    agent = make_agent(desired=desired, observed=observed)
    step(life, agent, 0)
    found = step(life, agent, 1)
    assert (found or "none") == documented(desired, observed)


def test_restarts_wait_longer_each_time_up_to_a_bound() -> None:
    """Restarts after 1 s, doubled each time up to 60 s."""
    life = Lifecycle(CrashPolicy(limit=9))
    now, waits = 0.0, []
    step(life, EXITED, now)
    for _ in range(9):
        began = now
        while step(life, EXITED, now) is None:
            now += 0.5
        waits.append(now - began)
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_an_agent_that_ran_waits_from_its_fall() -> None:
    life = Lifecycle()
    step(life, EXITED, 0)
    assert step(life, EXITED, 1) is Step.START
    step(life, RUNNING, 2)
    assert step(life, EXITED, 50) is None
    assert step(life, EXITED, 51.9) is None
    assert step(life, EXITED, 52) is Step.START


def crash(life: Lifecycle, mono: float) -> tuple[Step | None, float]:
    """Let the agent run for a second and fall; return what follows within two minutes, and when."""
    step(life, RUNNING, mono)
    for second in range(1, 120):
        found = step(life, EXITED, mono + second)
        if found is not None:
            return found, mono + second
    return None, mono + 120


def test_a_crash_loop_is_given_up_and_said() -> None:
    """`limit` restarts without `stable_seconds` of running in between are a crash loop."""
    life = Lifecycle(CrashPolicy(limit=3))
    now = 0.0
    for _ in range(3):
        assert not life.is_looping(A)
        found, now = crash(life, now)
        assert found is Step.START
    step(life, RUNNING, now)
    assert not life.is_looping(A)
    assert step(life, EXITED, now + 1) is None
    assert life.is_looping(A)
    assert step(life, EXITED, now + 1_000) is None


def test_starts_that_never_come_to_running_are_given_up_too() -> None:
    life = Lifecycle(CrashPolicy(limit=2))
    starts = sum(step(life, EXITED, second) is Step.START for second in range(100))
    assert starts == 2
    assert life.is_looping(A)


def test_an_agent_that_comes_up_after_all_is_not_looping() -> None:
    life = Lifecycle(CrashPolicy(limit=1))
    for second in range(100):
        step(life, EXITED, second)
    assert life.is_looping(A)
    step(life, RUNNING, 101)
    assert not life.is_looping(A)


def test_an_agent_that_ran_for_long_enough_starts_with_a_clean_record() -> None:
    life = Lifecycle(CrashPolicy(limit=1))
    now = 0.0
    for _ in range(4):
        found, now = crash(life, now)
        assert found is Step.START
        step(life, RUNNING, now + 1)
        now += 121
        step(life, RUNNING, now)


def test_a_short_run_does_not_clear_the_record() -> None:
    life = Lifecycle(CrashPolicy(limit=1))
    found, now = crash(life, 0.0)
    assert found is Step.START
    step(life, RUNNING, now + 1)
    step(life, RUNNING, now + 120)
    assert crash(life, now + 120)[0] is None


def test_an_operator_gives_a_looping_agent_another_chance() -> None:
    life = Lifecycle(CrashPolicy(limit=1))
    for second in range(100):
        step(life, EXITED, second)
    life.forget(A)
    assert not life.is_looping(A)
    step(life, EXITED, 100)
    assert step(life, EXITED, 101) is Step.START


def test_agents_are_counted_apart() -> None:
    life = Lifecycle(CrashPolicy(limit=1))
    for second in range(100):
        step(life, EXITED, second)
    other = make_agent("b", desired=Desired.RUNNING, observed=Observed.EXITED)
    step(life, other, 100)
    assert step(life, other, 101) is Step.START


def test_a_very_patient_policy_does_not_overflow() -> None:
    life = Lifecycle(CrashPolicy(limit=5_000, most_seconds=1.0))
    starts = sum(step(life, EXITED, second) is Step.START for second in range(3_000))
    assert starts > 2_000
