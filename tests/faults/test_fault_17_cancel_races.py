"""Fault 17: cancel races (vs complete, vs offer, vs disconnect, twice) over 1,000 seeds in simulation."""

from __future__ import annotations

import os

import pytest

from hub.core.model import TaskState
from tests.faults.simulation import World

SEEDS = 1_000
BLOCK = 250
DEEP = 100_000 if os.environ.get("CLAWTUI_SOAK") else 0


@pytest.mark.parametrize("first", range(0, SEEDS, BLOCK))
def test_cancels_race_with_everything(first: int) -> None:
    """Whatever happens in whatever order: one terminal state each, one execution per attempt, `cancelled`
    only when nothing of it runs any more, and no result is left behind."""
    check_seeds(first, first + BLOCK)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_many_more_seeds() -> None:
    check_seeds(SEEDS, SEEDS + DEEP)


def check_seeds(first: int, end: int) -> None:
    ends: set[TaskState] = set()
    for seed in range(first, end):
        world = World(seed)
        try:
            world.run()
        except AssertionError as exc:
            raise AssertionError(f"seed {seed}: {exc}") from exc
        ends |= {task.state for task in world.desk.tasks.values()}
    # The races really take place: all these ends occur among any few hundred seeds.
    wanted = {TaskState.SUCCEEDED, TaskState.FAILED, TaskState.CANCELLED, TaskState.LOST}
    assert end - first < BLOCK or ends >= wanted, ends
