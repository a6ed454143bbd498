"""The same machine as in `test_fleet_machine`, walked by a seeded die: cheaper steps and weights that reach deep states
(retries, losses, late results) often. What it lacks is shrinking; a failure names its seed, and its steps in order."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from typing import Any

import pytest

from hub.core.model import Desired, RetryOn
from runtime.wire import ResponseStatus
from tests.core.test_fleet_machine import NAMES, FleetMachine

Draw = Callable[[random.Random], dict[str, Any]]

STEPS = 60
DEEP = os.environ.get("HYPOTHESIS_PROFILE") == "deep" or bool(os.environ.get("CLAWTUI_SOAK"))
WALKS_PER_TEST = 1_000 if DEEP else 15
TESTS = 20

S, F = ResponseStatus.SUCCEEDED, ResponseStatus.FAILED
RETRIES = (frozenset(RetryOn), frozenset({RetryOn.LOST}), frozenset[RetryOn]())


def yes(die: random.Random, chance: float) -> bool:
    return die.random() < chance


def a_task(die: random.Random) -> dict[str, Any]:
    return {
        "name": die.choice(NAMES),
        "priority": die.choice((0, 0, 1)),
        "most": die.choice((1, 2, 2)),
        "retry": die.choice(RETRIES),
        "timeout": die.choice((60_000, 60_000, 7_200_000)),
        "expiry": die.choice((None, None, None, 30_000)),
        "talk": yes(die, 0.5),
    }


def a_dispatch(die: random.Random) -> dict[str, Any]:
    return {
        "members": [die.choice(NAMES) for _ in range(die.randint(1, 4))],
        "canary": die.choice((0, 0, 1, 2)),
        "concurrency": die.choice((0, 1, 2)),
        "stop": die.choice((0, 0, 1, 2)),
        "expiry": die.choice((None, None, None, 30_000)),
    }


def n(die: random.Random) -> dict[str, Any]:
    return {"n": die.randrange(6)}


def nothing(_: random.Random) -> dict[str, Any]:
    return {}


RULES: list[tuple[int, str, Draw]] = [
    (12, "submit", a_task),
    (5, "dispatch", a_dispatch),
    (14, "connect", lambda die: n(die) | {"straggler": yes(die, 0.5), "talk": yes(die, 0.6)}),
    (6, "notice_the_end_of_a_connection", lambda die: {"n": die.choice((0, 0, 1, 1, 2, 5)), "clean": yes(die, 0.3)}),
    (3, "agent_restarts", n),
    (1, "agent_changes_kind", n),
    (1, "agent_says_bye", n),
    (6, "frame_reaches_agent", n),
    (8, "frame_reaches_hub", n),
    (6, "everything_arrives", nothing),
    (4, "health", n),
    (1, "pong", n),
    (
        14,
        "work_ends",
        lambda die: n(die) | {"status": die.choice((S, S, F, F, F, *ResponseStatus)), "talk": yes(die, 0.6)},
    ),
    (
        3,
        "unexpected_report",
        lambda die: (
            n(die)
            | {
                "name": die.choice(NAMES),
                "attempt": die.choice((1, 1, 2, 3)),
                "status": die.choice(tuple(ResponseStatus)),
                "accepted": yes(die, 0.3),
            }
        ),
    ),
    (4, "cancel", n),
    (4, "desire", lambda die: {"name": die.choice(NAMES), "desired": die.choice((*Desired, Desired.RUNNING))}),
    (1, "quarantine_and_release", lambda die: {"name": die.choice(NAMES)}),
    (1, "replace_agent", lambda die: {"name": die.choice(NAMES), "places": die.randint(1, 2)}),
    (
        8,
        "time_passes",
        lambda die: {"seconds": die.choice((1.0, 31.0, 46.0, 61.0, 901.0, 7_201.0)), "ticks": yes(die, 0.8)},
    ),
    (1, "wall_clock_jumps", lambda die: {"hours": die.choice((-1, 1))}),
    (2, "crash", nothing),
    (2, "commits_take_time", nothing),
    (1, "commit_fails", nothing),
]
WEIGHTS = [weight for weight, _, _ in RULES]


def is_possible(machine: FleetMachine, name: str) -> bool:
    rule = getattr(FleetMachine, name).hypothesis_stateful_rule
    return all(condition(machine) for condition in rule.preconditions)


def walk(seed: int) -> None:
    die, machine, taken = random.Random(seed), FleetMachine(), list[str]()
    try:
        machine.begin(places=die.randint(1, 2))
        for _ in range(STEPS):
            ((_, name, draw),) = die.choices(RULES, WEIGHTS)
            if not is_possible(machine, name):
                continue
            drawn = draw(die)
            taken.append(f"{name} {drawn}")
            getattr(machine, name)(**drawn)
            machine.memory_equals_database()
            machine.no_agent_idles_and_none_is_overloaded()
            machine.an_attempt_executes_at_most_once()
        taken.append("come to rest")
        machine.come_to_rest()
    except Exception as exc:
        exc.add_note(f"seed {seed}:\n" + "\n".join(taken))
        raise


@pytest.mark.parametrize("start", range(TESTS))
def test_no_walk_breaks_the_contract(start: int) -> None:
    for offset in range(WALKS_PER_TEST):
        walk(start * WALKS_PER_TEST + offset)
