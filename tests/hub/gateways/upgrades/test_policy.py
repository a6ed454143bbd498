"""What is judged good or bad, without an engine and without time."""

from __future__ import annotations

from typing import Any

import pytest

from hub.contract import GatewayState, InstancePhase
from hub.core.instances import Change, ChangeKind, ChangeStep, StoredInstance
from hub.drivers.cells import CellSeen, CellState
from hub.gateways.looks import Seen
from hub.gateways.upgrades.policy import (
    MOST_PAGES,
    Patience,
    Trial,
    Verdict,
    committed,
    finishes,
    judge,
    next_trial,
)

PATIENCE = Patience(ready_seconds=60, steady_seconds=5)
READY = Seen(state=GatewayState.READY, response_ms=3.0)
STARTING = Seen(state=GatewayState.STARTING, reason="it is starting", response_ms=3.0)
PAGE = Seen(state=GatewayState.DOWN, reason="a page", response_ms=3.0)


def cell(state: CellState = CellState.RUNNING, **more: Any) -> CellSeen:
    return CellSeen(handle=None, name="x", container="1", state=state, **more)


def looked(*looks: tuple[float, CellSeen | None, Seen]) -> Trial:
    trial = Trial(seconds=0.0)
    for seconds, seen_cell, seen in looks:
        trial = next_trial(trial, seconds, seen_cell, seen)
    return trial


def test_good_is_what_stays_ready() -> None:
    assert judge(looked((8, cell(), READY)), PATIENCE).verdict is Verdict.WAIT
    assert judge(looked((8, cell(), READY), (13, cell(), READY)), PATIENCE).verdict is Verdict.GOOD


def test_what_was_ready_and_fell_over_begins_anew() -> None:
    trial = looked((8, cell(), READY), (10, cell(), STARTING), (14, cell(), READY))
    assert judge(trial, PATIENCE).verdict is Verdict.WAIT
    again = looked((8, cell(), READY), (14, cell(restarts=1), READY))
    assert judge(again, PATIENCE).verdict is Verdict.WAIT


@pytest.mark.parametrize(
    ("seen_cell", "words"),
    [
        (None, "gone"),
        (cell(CellState.EXITED, exit_code=78), "invalid"),
        (cell(CellState.RESTARTING, exit_code=78), "invalid"),
        (cell(CellState.RESTARTING, exit_code=137, oom_killed=True), "memory"),
        (cell(CellState.EXITED, exit_code=1), "exit code 1"),
        (cell(restarts=3), "again and again"),
    ],
)
def test_what_has_fallen_is_bad_at_once(seen_cell: CellSeen | None, words: str) -> None:
    found = judge(looked((1, seen_cell, Seen())), PATIENCE)
    assert found.verdict is Verdict.BAD
    assert words in found.reason


def test_one_crash_may_be_a_migration() -> None:
    assert judge(looked((1, cell(restarts=1), STARTING)), PATIENCE).verdict is Verdict.WAIT


def test_pages_in_a_row_are_bad_and_one_is_not() -> None:
    assert judge(looked((1, cell(), PAGE)), PATIENCE).verdict is Verdict.WAIT
    many = looked(*((float(second), cell(), PAGE) for second in range(MOST_PAGES)))
    assert judge(many, PATIENCE).verdict is Verdict.BAD


def test_the_deadline_is_for_what_is_not_ready() -> None:
    assert judge(looked((60, cell(), STARTING)), PATIENCE).verdict is Verdict.BAD
    assert judge(looked((58, cell(), READY), (61, cell(), READY)), PATIENCE).verdict is Verdict.WAIT


def test_only_what_was_started_is_finished_by_the_next_start() -> None:
    def at(step: ChangeStep) -> bool:
        change = Change(id="up", kind=ChangeKind.UPGRADE, step=step, phase=InstancePhase.RUNNING, image="i")
        return finishes(change)

    assert [step for step in ChangeStep if at(step)] == [ChangeStep.CHECKING]


def test_a_tag_that_moved_is_written_down() -> None:
    before = StoredInstance(
        name="a", uid="g", tier="pro", image_kind="npm", image="r:latest", image_id="sha256:1", port=1, container="c1",
        volumes=("v1",),
    )  # fmt: skip
    change = Change(
        id="up", kind=ChangeKind.UPGRADE, step=ChangeStep.CHECKING, phase=InstancePhase.RUNNING, image="r:latest",
        image_id="sha256:2", container="c2", volumes=("v2",),
    )  # fmt: skip
    after = committed(before, change)
    assert (after.moved_from, after.image_id) == ("sha256:1", "sha256:2")
    assert (after.container, after.previous_container) == ("c2", "c1")
    assert (after.volumes, after.previous_volumes) == (("v2",), ("v1",))
