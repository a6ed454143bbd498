"""When a sync runs and what a look at a gateway means, in virtual time."""

from __future__ import annotations

import itertools

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.contract import GatewayState
from hub.sync.policy import (
    Cause,
    Look,
    Reload,
    Restarts,
    Rules,
    Timer,
    Verdict,
    Waiting,
    begun,
    changed,
    difference,
    due_at,
    is_suspicious,
    judge,
    noted,
    ran,
    restart_at,
    restarted,
    restarts_of,
    take_seconds,
)

RULES = Rules()
WANTED = frozenset({"a", "b"})
UP = Look(state=GatewayState.READY, roster=WANTED)
OLD = Look(state=GatewayState.READY, roster=frozenset({"a"}))
DOWN = Look(state=GatewayState.DOWN, reason="connection refused")


def waiting(**fields: object) -> Waiting:
    return msgspec.structs.replace(Waiting(since=0.0, wanted=WANTED, was_up=True, wrote=True), **fields)


def verdict(
    look: Look,
    now: float = 0.0,
    *,
    wait: Waiting | None = None,
    restarts: Restarts | None = None,
    reload: Reload = Reload.AUTO,
    can_restart: bool = True,
) -> Verdict:
    state = noted(wait or waiting(), look, now, RULES)
    return judge(state, look, restarts or Restarts(), reload, now, RULES, can_restart=can_restart).verdict


# --- when to run


def test_changes_are_seen_when_they_pause_and_at_the_latest_after_a_while() -> None:
    timer = Timer(tick_at=60.0)
    assert due_at(timer, RULES) == 60.0
    timer = changed(timer, 10.0)
    assert due_at(timer, RULES) == 10.0 + RULES.debounce_seconds
    for now in range(11, 40):
        timer = changed(timer, now - 0.6)
    assert due_at(timer, RULES) == 10.0 + RULES.most_debounce_seconds


def test_a_change_never_puts_a_tick_off() -> None:
    assert due_at(changed(Timer(tick_at=10.2), 10.0), RULES) == 10.2


def test_a_run_sees_what_changed_before_it_began_and_not_what_changed_while_it_ran() -> None:
    timer = begun(changed(Timer(tick_at=60.0), 1.0), 2.0, 60.0)
    assert due_at(timer, RULES) == 62.0
    timer = ran(changed(timer, 2.5), Cause.CHANGE, 3.0, rewrote=False)
    assert due_at(timer, RULES) == 2.5 + RULES.debounce_seconds


def test_who_else_writes_the_config_is_answered_more_and_more_slowly() -> None:
    timer, now, gaps = Timer(tick_at=1e9), 0.0, []
    for _ in range(6):
        timer = changed(timer, now)
        at = due_at(timer, RULES)
        gaps.append(at - now)
        timer = ran(begun(timer, at, 1e9), Cause.CHANGE, at, rewrote=True)
        now = at
    assert gaps[0] == RULES.debounce_seconds
    assert gaps == sorted(gaps)
    assert gaps[-1] > 100
    settled = ran(timer, Cause.TICK, now, rewrote=False)
    assert due_at(changed(settled, now), RULES) == now + RULES.debounce_seconds


# --- what a look means


@pytest.mark.parametrize(
    ("look", "now", "expected"),
    [
        (UP, 0.0, Verdict.TAKEN),
        (UP, 1e6, Verdict.TAKEN),
        (OLD, 1.0, Verdict.WAIT),
        (OLD, 1e3, Verdict.RESTART),
        (msgspec.structs.replace(UP, roster=None), 0.0, Verdict.STUCK),
        (Look(state=GatewayState.REFUSED), 0.0, Verdict.STUCK),
        (Look(state=GatewayState.NOT_READY), 0.0, Verdict.WAIT),
        (Look(state=GatewayState.STARTING), 300.0, Verdict.WAIT),
        (DOWN, 0.0, Verdict.WAIT),
    ],
)
def test_the_table(look: Look, now: float, expected: Verdict) -> None:
    assert verdict(look, now) is expected


def test_a_large_roster_has_longer() -> None:
    large = frozenset(f"p{n}" for n in range(237))
    assert take_seconds(237, RULES) > 2 * 67
    assert verdict(OLD, 100.0, wait=waiting(wanted=large)) is Verdict.WAIT


@pytest.mark.parametrize("reload", [Reload.AUTO, Reload.HOT, Reload.RESTART])
def test_a_gateway_that_was_down_before_is_left_to_whoever_runs_it(reload: Reload) -> None:
    for now in (0.0, 1e6):
        assert verdict(DOWN, now, wait=waiting(was_up=False), reload=reload) is Verdict.STUCK
        assert verdict(DOWN, now, wait=waiting(wrote=False, down_since=0.0), reload=reload) is Verdict.STUCK


def test_one_that_does_not_come_back_after_our_change_gets_its_old_config() -> None:
    gone = waiting(down_since=10.0)
    assert verdict(DOWN, 10.0 + RULES.back_seconds - 1, wait=gone) is Verdict.WAIT
    assert verdict(DOWN, 10.0 + RULES.back_seconds, wait=gone) is Verdict.RESTORE


def test_a_drain_is_waited_for_but_not_for_ever() -> None:
    busy = waiting(busy_since=0.0)
    assert verdict(Look(state=GatewayState.NOT_READY), 315.0, wait=busy) is Verdict.WAIT
    assert verdict(Look(state=GatewayState.NOT_READY), 1e3, wait=busy) is Verdict.STUCK


@pytest.mark.parametrize(("reload", "can_restart"), [(Reload.HOT, True), (Reload.AUTO, False), (Reload.RESTART, False)])
def test_what_must_not_or_cannot_be_restarted_is_not(reload: Reload, can_restart: bool) -> None:
    assert verdict(OLD, 1e6, reload=reload, can_restart=can_restart) is Verdict.STUCK


def test_a_gateway_that_does_not_move_gets_its_old_config_back_where_it_looks_at_it_and_nobody_restarts_it() -> None:
    """It skips what it refuses, and the next start with it would fail."""
    still = waiting(before=OLD.roster)
    for reload, can_restart in ((Reload.HOT, True), (Reload.AUTO, False)):
        assert verdict(OLD, 5.0, wait=still, reload=reload, can_restart=can_restart) is Verdict.WAIT
        assert verdict(OLD, 1e3, wait=still, reload=reload, can_restart=can_restart) is Verdict.RESTORE
    assert verdict(OLD, 1e3, wait=waiting(before=OLD.roster, watches=False), can_restart=False) is Verdict.STUCK
    assert verdict(OLD, 1e3, wait=waiting(before=OLD.roster, wrote=False), can_restart=False) is Verdict.STUCK
    assert verdict(OLD, 1e3, wait=waiting(before=frozenset()), can_restart=False) is Verdict.STUCK


def test_one_that_comes_up_has_the_whole_time_from_then_on() -> None:
    state = noted(waiting(), DOWN, 10.0, RULES)
    state = noted(state, OLD, 500.0, RULES)
    assert judge(state, OLD, Restarts(), Reload.AUTO, 501.0, RULES, can_restart=True).verdict is Verdict.WAIT


def test_reload_off_asks_nothing_and_restart_restarts_once_at_once() -> None:
    assert verdict(DOWN, 1e6, reload=Reload.OFF) is Verdict.TAKEN
    assert verdict(UP, 0.0, reload=Reload.RESTART) is Verdict.RESTART
    once = restarted(Restarts(), 0.0)
    assert verdict(UP, 1.0, reload=Reload.RESTART, restarts=once) is Verdict.TAKEN
    assert verdict(UP, 0.0, reload=Reload.RESTART, wait=waiting(wrote=False)) is Verdict.TAKEN


@given(looks=st.lists(st.sampled_from([OLD, UP, DOWN, Look(state=GatewayState.NOT_READY)]), max_size=300))
def test_whatever_a_gateway_does_it_is_restarted_a_bounded_number_of_times_with_growing_gaps(looks: list[Look]) -> None:
    state, restarts, now = waiting(), Restarts(config="x"), 0.0
    at: list[float] = []
    for look in looks:
        now = max(now + 0.1, state.next_look)
        state = noted(state, look, now, RULES)
        judged = judge(state, look, restarts, Reload.RESTART, now, RULES, can_restart=True)
        if judged.verdict is Verdict.RESTART:
            at.append(now)
            restarts = restarted(restarts, now)
            state = msgspec.structs.replace(state, restarted_at=now, looks=0, down_since=None, busy_since=None)
    assert len(at) <= RULES.restarts
    gaps = [later - earlier for earlier, later in itertools.pairwise(at)]
    assert all(gap >= RULES.first_restart_seconds for gap in gaps)


def test_looks_grow_apart() -> None:
    state, pauses = waiting(), []
    for _ in range(12):
        before = state.next_look
        state = noted(state, OLD, before, RULES)
        pauses.append(state.next_look - before)
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1]) == (RULES.first_look_seconds, RULES.most_look_seconds)


def test_restarts_belong_to_one_config() -> None:
    used = restarted(restarted(Restarts(config="x"), 5.0), 9.0)
    assert restarts_of(used, "x") == used
    assert restarts_of(used, "y").count == 0
    assert restart_at(used, RULES) == 9.0 + 2 * RULES.first_restart_seconds
    many = msgspec.structs.replace(used, count=40)
    assert restart_at(many, RULES) == 9.0 + RULES.most_restart_seconds


def test_a_difference_is_said_in_words() -> None:
    assert difference({"a", "b"}, {"b", "c"}) == "without a and still with c"
    assert difference([f"p{n}" for n in range(9)], []) == "without p0, p1, p2, p3, p4 and 4 more"


def test_an_empty_source_is_believed_only_where_nothing_was_or_somebody_says_so() -> None:
    assert is_suspicious({"a"}, [], accepted=False)
    assert not is_suspicious({"a"}, [], accepted=True)
    assert not is_suspicious([], [], accepted=False)
    assert not is_suspicious({"a"}, ["b"], accepted=False)
