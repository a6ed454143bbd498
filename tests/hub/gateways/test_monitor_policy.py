"""When a gateway is restarted: the rules one by one, and twenty gateways for an hour in virtual time."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from hub.contract import GatewayState
from hub.core.gateway_checks import Check, Deed
from hub.core.model import Now
from hub.gateways.figures import figures
from hub.gateways.monitor.policy import (
    Kept,
    Life,
    Look,
    Record,
    Rules,
    Step,
    Verdict,
    Ward,
    judged,
    kept,
    noted,
    restart_at,
    restarted,
    taken_up,
)

RULES = Rules()
PERIOD = RULES.check_seconds
OLD = 3_600.0
"""A container that was started long ago."""


def look(state: GatewayState = GatewayState.DOWN, **told: Any) -> Look:
    return Look(**{"state": state, "started_for": OLD} | told)


READY = look(GatewayState.READY, answers=True)
HANGS = look(GatewayState.WEDGED, reason="it takes connections and does not answer")


def after(looks: list[Look], record: Record | None = None, period: float = PERIOD) -> tuple[Record, Verdict, float]:
    """What is known and said after one check per period, and when the last one was."""
    record, now, verdict = record or Record(), 1_000.0, Verdict(Step.NONE)
    for one in looks:
        now += period
        record = noted(record, one, now, RULES)
        verdict = judged(record, one, now, RULES)
    return record, verdict, now


def test_the_third_failure_in_a_row_restarts_with_a_short_grace_for_what_does_not_answer() -> None:
    assert after([READY, HANGS, HANGS])[1].step is Step.NONE
    verdict = after([READY, HANGS, HANGS, HANGS])[1]
    assert (verdict.step, verdict.grace_seconds) == (Step.RESTART, 10.0)
    assert verdict.reason == "it takes connections and does not answer"
    assert after([HANGS, HANGS, READY, HANGS, HANGS])[1].step is Step.NONE


def test_what_answers_has_the_time_of_a_drain_to_end_its_turns() -> None:
    stuck = look(GatewayState.WEDGED, answers=True, unready_for=200.0)
    assert after([stuck] * 3)[1].grace_seconds == 330.0
    drains_for_ever = look(GatewayState.NOT_READY, answers=True, draining=True, unready_for=360.0)
    assert after([drains_for_ever] * 3)[1].grace_seconds == 10.0


@pytest.mark.parametrize(
    "one",
    [
        look(held="it is upgrading"),
        look(started_for=119.0),
        look(started_for=0.0),
        look(GatewayState.STARTING, answers=True, started_for=60.0),
        look(GatewayState.NOT_READY, answers=True, draining=True, unready_for=359.0),
        look(GatewayState.REFUSED, answers=True),
        look(GatewayState.UNKNOWN),
        look(life=Life.FROZEN),
        look(life=Life.UNKNOWN),
        READY,
    ],
)
def test_what_is_never_restarted(one: Look) -> None:
    assert after([one] * 50)[1].step is Step.NONE


def test_failures_before_somebody_worked_on_it_are_forgotten() -> None:
    assert after([HANGS, HANGS, look(held="it is saving"), HANGS, HANGS])[1].step is Step.NONE
    assert after([HANGS, HANGS, look(started_for=5.0), HANGS, HANGS])[1].step is Step.NONE


def test_a_start_that_takes_longer_than_its_grace_is_a_failure() -> None:
    assert after([look(GatewayState.STARTING, answers=True, started_for=120.0)] * 3)[1].step is Step.RESTART
    assert after([look(started_for=None)] * 3)[1].step is Step.RESTART
    # A container from the future: the engine's clock is another one.
    assert after([look(started_for=-50.0)] * 3)[1].step is Step.RESTART


def test_what_was_ready_since_its_start_is_not_starting_any_more() -> None:
    def young(age: float, state: GatewayState = GatewayState.WEDGED) -> Look:
        return look(state, started_for=age)

    assert after([young(20.0, GatewayState.READY), *(young(50.0 + 30 * n) for n in range(3))])[1].step is Step.RESTART
    # It was started again after it had been ready.
    again = [young(500.0, GatewayState.READY), young(5.0), young(35.0), young(65.0), young(95.0)]
    assert after(again)[1].step is Step.NONE


def test_looks_of_people_in_between_make_it_no_sooner() -> None:
    record, verdict, _ = after([HANGS] * 20, period=1.0)
    assert (record.failures, verdict.step) == (2, Step.NONE)


def test_checks_far_apart_are_no_row() -> None:
    assert after([HANGS] * 10, period=RULES.gap_seconds + 1)[1].step is Step.NONE
    assert after([HANGS] * 3, period=RULES.gap_seconds)[1].step is Step.RESTART


def test_waits_double_up_to_a_bound() -> None:
    waits: list[float] = []
    record = Record()
    for _ in range(12):
        record = restarted(record, 1_000.0)
        waits.append(restart_at(record, RULES) - 1_000.0 - RULES.start_seconds)
    assert waits[:6] == [30, 60, 120, 240, 480, 600]
    assert waits[-1] == 600


def test_a_restart_that_does_not_help_is_made_again_after_the_wait_and_given_up_in_the_end() -> None:
    record, now, restarts, steps = Record(), 0.0, [], []
    while not record.given_up and now < 100_000:
        now += PERIOD
        record = noted(record, HANGS, now, RULES)
        verdict = judged(record, HANGS, now, RULES)
        steps.append(verdict.step)
        if verdict.step is Step.RESTART:
            restarts.append(now)
            record = restarted(record, now)
        elif verdict.step is Step.GIVE_UP:
            record = msgspec.structs.replace(record, given_up=verdict.reason)
    assert len(restarts) == RULES.limit
    assert record.given_up == "5 restarts did not help: it takes connections and does not answer"
    gaps = [later - sooner for sooner, later in itertools.pairwise(restarts)]
    # 120 s to start, then a wait or three checks, whichever is longer, on the grid of checks.
    assert gaps == [180, 180, 240, 360]
    assert Step.WAIT in steps
    assert after([HANGS] * 10, record)[1].step is Step.NONE
    assert after([READY], record)[0].given_up == ""


def test_only_a_stable_time_clears_the_count() -> None:
    twice = restarted(restarted(Record(), 0.0), 100.0)
    checks = round(RULES.stable_seconds / PERIOD)
    assert after([READY] * checks, twice)[0].restarts == 2
    assert after([READY] * (checks + 1), twice)[0].restarts == 0
    assert after([READY] * (checks - 1) + [HANGS] + [READY] * (checks - 1), twice)[0].restarts == 2


def test_a_container_that_is_gone_cannot_be_restarted() -> None:
    verdict = after([look(life=Life.GONE)])[1]
    assert (verdict.step, verdict.reason) == (Step.GIVE_UP, "its container is gone: somebody removed it")


def test_a_crash_loop_of_the_engine_is_seen_though_it_is_always_just_started() -> None:
    def young(restarts: int) -> Look:
        return look(started_for=2.0, engine_restarts=restarts, ended="exit code 78")

    assert after([young(n) for n in (100, 101, 102, 103, 104)])[1].step is Step.NONE
    verdict = after([young(n) for n in (100, 101, 102, 103, 104, 105)])[1]
    assert (verdict.step, verdict.reason) == (Step.STOP, "it ended 5 times in a row, last with exit code 78")
    assert after([young(0), young(40)])[1].step is Step.STOP
    # What ends once in a while is no loop.
    stable = look(GatewayState.READY, answers=True, engine_restarts=0)
    rare = [msgspec.structs.replace(stable, engine_restarts=n // 5) for n in range(60)]
    assert after(rare)[1].step is Step.NONE


def test_restarts_of_the_engine_are_known_from_the_first_look_on_also_while_it_is_held() -> None:
    provisioned = look(held="it is provisioning", engine_restarts=3)
    record, _, now = after([provisioned, provisioned])
    assert (record.engine_restarts, record.falls) == (3, 0)
    assert noted(record, look(engine_restarts=5), now + PERIOD, RULES).falls == 2
    assert noted(record, look(engine_restarts=5), now + RULES.gap_seconds + 1, RULES).falls == 0


def test_the_next_hub_goes_on_where_this_one_ended() -> None:
    record = restarted(restarted(Record(failures=2), 500.0), 900.0)
    old = kept(record, "u1", Now(wall_ms=2_000_000, mono=1_000.0))
    assert old == Kept(uid="u1", restarts=2, restarted_ms=1_900_000)
    again = taken_up(old, Now(wall_ms=2_060_000, mono=7.0))
    assert again == Record(restarts=2, restarted_at=7.0 - 160.0)
    # A clock that was put back makes no wait longer than a whole one.
    assert taken_up(old, Now(wall_ms=0, mono=7.0)).restarted_at == 7.0
    given_up = kept(msgspec.structs.replace(record, given_up="x"), "u1", Now(0, 0.0))
    assert taken_up(given_up, Now(0, 0.0)).given_up == "x"


def test_only_some_are_restarted_at_once_and_the_others_in_turn() -> None:
    ward = Ward(RULES)
    names = ["a", "b", "c", "d"]
    ward.put("b", Record(restarts=1, restarted_at=-10_000.0))
    for now in (30.0, 60.0):
        assert all(ward.see(name, HANGS, now).step is Step.NONE for name in names)
    begun: list[str] = []
    for name in ward.in_turn(names):
        if ward.see(name, HANGS, 90.0).step is Step.RESTART:
            ward.begin(name, 90.0)
            begun.append(name)
    assert begun == ["a", "c"], "whom restarts did not help comes last"
    assert ward.see("a", HANGS, 110.0).step is Step.NONE
    assert ward.see("d", HANGS, 110.0).step is Step.WAIT
    assert ward.end("a", 111.0) == ["d", "b"]
    assert ward.see("d", HANGS, 111.0).step is Step.RESTART
    ward.begin("d", 111.0)
    assert ward.see("b", HANGS, 119.0).step is Step.WAIT
    # What takes its time keeps nobody waiting for ever.
    assert ward.see("b", HANGS, 120.0).step is Step.RESTART


# --- twenty gateways, an hour -------------------------------------------------------------------------------


class Played:
    """A gateway in virtual time. `plan` says how it is at a second of its life since its last start."""

    def __init__(self, plan: Callable[[float, int], GatewayState], start_seconds: float = 15.0) -> None:
        self.plan = plan
        self.start_seconds = start_seconds
        self.started_at = -OLD
        self.starts = 0

    def state(self, now: float) -> GatewayState:
        age = now - self.started_at
        return GatewayState.STARTING if age < self.start_seconds else self.plan(now, self.starts)

    def restart(self, now: float) -> None:
        self.started_at, self.starts = now, self.starts + 1


def well(now: float, starts: int) -> GatewayState:
    return GatewayState.READY


def flapping(now: float, starts: int) -> GatewayState:
    """Away for every third check."""
    return GatewayState.DOWN if round(now / PERIOD) % 3 == 0 else GatewayState.READY


def hangs_until_restarted(at: float) -> Callable[[float, int], GatewayState]:
    return lambda now, starts: GatewayState.WEDGED if now >= at and starts == 0 else GatewayState.READY


def lies(now: float, starts: int) -> GatewayState:
    """It answers with pages, for ever."""
    return GatewayState.DOWN


def refuses(now: float, starts: int) -> GatewayState:
    return GatewayState.REFUSED


RESTART_SECONDS = 25.0
"""10 s of grace, 15 s to start."""


class Simulation:
    """The ward over played gateways, second by second; every gateway is checked once a period."""

    def __init__(self, gateways: dict[str, Played]) -> None:
        self.gateways = gateways
        self.ward = Ward(RULES)
        self.restarts: dict[str, list[float]] = {name: [] for name in gateways}
        self.deeds: list[Deed] = []
        self.checks: list[Check] = []
        self.given_up: dict[str, float] = {}
        self.most_at_once = 0
        self._busy: dict[str, tuple[float, float]] = {}
        """By name: when the restart began, when the stop is over."""

    def run(self, seconds: int) -> None:
        for now in range(seconds):
            self._restarting(float(now))
            if now % int(PERIOD) == 0:
                for name in self.ward.in_turn(self.gateways):
                    self._check(name, float(now))
            begun = [at for times in self.restarts.values() for at in times]
            self.most_at_once = max(self.most_at_once, sum(now - at < RESTART_SECONDS for at in begun))

    def _look(self, name: str, now: float) -> Look:
        played = self.gateways[name]
        state = played.state(now)
        answers = state not in (GatewayState.DOWN, GatewayState.WEDGED)
        return Look(state=state, answers=answers, started_for=now - played.started_at, reason=state.value)

    def _check(self, name: str, now: float) -> None:
        seen = self._look(name, now)
        young = 0 <= now - self.gateways[name].started_at < RULES.start_seconds
        counts, took = seen.ready or not young, 5.0 if seen.ready else None
        self.checks.append(Check(name, round(now * 1000), seen.state.value, seen.ready, counts, took))
        self._judge(name, seen, now)

    def _judge(self, name: str, seen: Look, now: float) -> None:
        verdict = self.ward.see(name, seen, now)
        if verdict.step is Step.RESTART:
            self.ward.begin(name, now)
            self.restarts[name].append(now)
            self._busy[name] = (now, now + verdict.grace_seconds)
        elif verdict.step is Step.GIVE_UP:
            self.given_up[name] = now

    def _restarting(self, now: float) -> None:
        for name, (began, stopped) in list(self._busy.items()):
            played = self.gateways[name]
            if now == stopped:
                played.restart(now)
            ready = now > stopped and played.state(now) is GatewayState.READY
            if ready or now - stopped >= RULES.start_seconds:
                del self._busy[name]
                self.deeds.append(Deed(name, round(began * 1000), "monitor", ready))
                for waiting in self.ward.end(name, now):
                    self._judge(waiting, self._look(waiting, now), now)


def twenty() -> dict[str, Played]:
    plans: dict[str, Callable[[float, int], GatewayState]] = {f"well-{n:02}": well for n in range(8)}
    plans |= {f"flap-{n}": flapping for n in range(4)}
    plans |= {f"hang-{n}": hangs_until_restarted(600.0 + 300 * n) for n in range(4)}
    plans |= {f"lie-{n}": lies for n in range(2)}
    plans |= {f"refuse-{n}": refuses for n in range(2)}
    return {name: Played(plan) for name, plan in plans.items()}


def test_twenty_gateways_for_an_hour() -> None:
    world = Simulation(twenty())
    world.run(3_600)

    assert {name for name, times in world.restarts.items() if times} == {
        "hang-0", "hang-1", "hang-2", "hang-3", "lie-0", "lie-1",
    }  # fmt: skip
    for n in range(4):
        at = 600.0 + 300 * n
        assert world.restarts[f"hang-{n}"] == [at + 2 * PERIOD], "at the third check that fails"
    assert [len(world.restarts[f"lie-{n}"]) for n in range(2)] == [RULES.limit] * 2
    assert set(world.given_up) == {"lie-0", "lie-1"}
    assert world.most_at_once <= RULES.at_once

    def pass_rate(name: str) -> float | None:
        return figures([check for check in world.checks if check.gateway == name]).pass_rate

    assert pass_rate("well-00") == 1.0
    assert pass_rate("flap-0") == pytest.approx(2 / 3, abs=1e-6)
    assert pass_rate("hang-0") == pytest.approx(1 - 3 / 119, abs=2e-3)
    assert pass_rate("lie-0") == 0.0
    fleet = figures(world.checks, world.deeds)
    assert fleet.restarts == 4 + 2 * RULES.limit
    assert fleet.restart_success_rate == pytest.approx(4 / 14, abs=1e-6)


def test_all_that_hang_together_come_back_a_few_at_a_time() -> None:
    world = Simulation({f"g{n:02}": Played(hangs_until_restarted(300.0)) for n in range(20)})
    world.run(1_200)

    assert world.most_at_once == RULES.at_once
    assert all(len(times) == 1 for times in world.restarts.values()), "each one once"
    times = sorted(time for one in world.restarts.values() for time in one)
    assert times[0] == 300 + 2 * PERIOD
    assert times[-1] == times[0] + 9 * RESTART_SECONDS
    assert [deed.worked for deed in world.deeds] == [True] * 20
    assert world.given_up == {}


def test_the_same_hour_is_the_same() -> None:
    first, second = Simulation(twenty()), Simulation(twenty())
    first.run(1_800)
    second.run(1_800)
    assert (first.restarts, first.checks, first.deeds) == (second.restarts, second.checks, second.deeds)
