"""When a gateway that the hub runs is restarted, and how. Pure: times are arguments, in monotonic seconds.

| seen                                                         | step                                                |
|--------------------------------------------------------------|-----------------------------------------------------|
| stopped, or something else of the hub works on it            | none; failures begin anew                           |
| its container is frozen, or its engine does not tell         | none                                                |
| it does not take our token or our proxy                      | none: a restart mends no token                      |
| within the grace of its start and not ready since, or in a   | none; failures begin anew                           |
| drain within its time                                        |                                                     |
| `failures` checks in a row fail, each a period apart         | restart; no more than `at_once` begin within        |
|                                                              | `settle_seconds`, but where they are ready sooner   |
| the same after a restart                                     | again after a wait that doubles, up to a bound      |
| the same after `limit` restarts without `stable_seconds`     | given up: a person is asked                         |
| the engine itself has started it `loop_restarts` times       | stopped and given up: a crash loop ends nowhere     |
| ready                                                        | not given up any more; after a stable time all is   |
|                                                              | forgotten                                           |

What answers may have turns that run, and gets the time of a drain to end them; what does not gets `hung_seconds`.
Checks further apart than `gap_seconds` begin anew: the hub, or its machine, was away, and that is nobody's failure. The
count of restarts, the wait and what was given up outlive the hub.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import Final

import msgspec

from hub.contract import GatewayState
from hub.core.model import Now

_NOT_ITS_FAULT: Final = frozenset({GatewayState.REFUSED, GatewayState.UNKNOWN})
MOST_WAIT_EXPONENT: Final = 30
"""A float overflows at 2.0**1024."""


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """Periods in seconds. A gateway starts in 7 to 15 s when nothing else does, and drains for up to 315 s."""

    check_seconds: float = 30.0
    failures: int = 3
    start_seconds: float = 120.0
    drain_seconds: float = 360.0
    hung_seconds: float = 10.0
    stop_seconds: float = 330.0
    first_seconds: float = 30.0
    most_seconds: float = 600.0
    stable_seconds: float = 600.0
    limit: int = 5
    at_once: int = 2
    settle_seconds: float = 30.0
    """A restart keeps others waiting no longer: neither one that drains nor one that never comes may hold up all."""
    gap_seconds: float = 150.0
    loop_restarts: int = 5
    loop_seconds: float = 120.0


class Life(enum.Enum):
    """Of its container. `UNKNOWN`: the engine did not tell."""

    RUNNING = "running"
    ENDED = "ended"
    FROZEN = "frozen"
    GONE = "gone"
    UNKNOWN = "unknown"


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """One check, and its container at that time. `held`: why nothing is done to it, empty where something may be.

    `answers`: a gateway speaks, whatever it says. `unready_for`: how long it has lived without being ready.
    `started_for`: how long ago its container was started. `engine_restarts`: how often the engine has started it by
    itself. `ended`: how it ended, in words.
    """

    state: GatewayState
    answers: bool = False
    draining: bool = False
    unready_for: float = 0.0
    held: str = ""
    life: Life = Life.RUNNING
    started_for: float | None = None
    engine_restarts: int | None = None
    ended: str = ""
    reason: str = ""

    @property
    def ready(self) -> bool:
        return self.state is GatewayState.READY


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one gateway. `failures`: checks in a row that failed. `ready_at`: the last check that
    found it ready. `restarts`: since it was stable last.
    `falls`: restarts by the engine without a stable time. `given_up`: why, empty where it is not."""

    failures: int = 0
    counted_at: float | None = None
    seen_at: float | None = None
    ready_since: float | None = None
    ready_at: float | None = None
    restarts: int = 0
    restarted_at: float | None = None
    given_up: str = ""
    engine_restarts: int | None = None
    falls: int = 0
    fallen_at: float | None = None


class Step(enum.Enum):
    NONE = "none"
    WAIT = "wait"
    RESTART = "restart"
    GIVE_UP = "give-up"
    STOP = "stop"
    """It is stopped, and given up."""


class Verdict(msgspec.Struct, frozen=True):
    """`reason`: for people. `grace_seconds`: between TERM and KILL. `at`: when a restart is allowed."""

    step: Step
    reason: str = ""
    grace_seconds: float = 0.0
    at: float = 0.0


_NOTHING: Final = Verdict(Step.NONE)


def excused(look: Look, record: Record, now: float, rules: Rules) -> bool:
    """Tell whether what is not ready is no failure: nobody could expect otherwise, or a restart would not help."""
    if look.state in _NOT_ITS_FAULT:
        return True
    if look.draining:
        return look.unready_for < rules.drain_seconds
    by_us = now - record.restarted_at if record.restarted_at is not None else None
    return any(_starting(age, record, now, rules) for age in (look.started_for, by_us))


def _starting(age: float | None, record: Record, now: float, rules: Rules) -> bool:
    """`age`: seconds since a start. What has been ready since is not starting any more."""
    if age is None or not 0 <= age < rules.start_seconds:
        return False
    return record.ready_at is None or now - record.ready_at > age


def noted(record: Record, look: Look, now: float, rules: Rules) -> Record:
    """Return what is known after one more check."""
    away = record.seen_at is None or not 0 <= now - record.seen_at <= rules.gap_seconds
    if look.held or away:
        record = msgspec.structs.replace(
            record, failures=0, counted_at=None, ready_since=None, falls=0, fallen_at=None,
            # A hub that was away holds against nobody what happened meanwhile.
            engine_restarts=None if away else look.engine_restarts,
        )  # fmt: skip
    record = msgspec.structs.replace(record, seen_at=now)
    if look.held:
        return msgspec.structs.replace(record, engine_restarts=look.engine_restarts)
    record = _fallen(record, look, now, rules)
    if look.ready:
        since = record.ready_since if record.ready_since is not None else now
        stable = now - since >= rules.stable_seconds
        return msgspec.structs.replace(
            record, failures=0, counted_at=None, ready_since=since, ready_at=now, given_up="",
            restarts=0 if stable else record.restarts,
        )  # fmt: skip
    record = msgspec.structs.replace(record, ready_since=None)
    if excused(look, record, now, rules):
        return msgspec.structs.replace(record, failures=0, counted_at=None)
    # People look too, as often as they like: only checks that are apart say that it lasts.
    if record.counted_at is not None and now - record.counted_at < rules.check_seconds / 2:
        return record
    return msgspec.structs.replace(record, failures=record.failures + 1, counted_at=now)


def _fallen(record: Record, look: Look, now: float, rules: Rules) -> Record:
    known, seen = record.engine_restarts, look.engine_restarts
    falls, at = record.falls, record.fallen_at
    if known is not None and seen is not None and seen > known:
        falls, at = falls + seen - known, now
    elif at is not None and now - at >= rules.loop_seconds:
        falls, at = 0, None
    return msgspec.structs.replace(
        record, engine_restarts=seen if seen is not None else known, falls=falls, fallen_at=at
    )


def judged(record: Record, look: Look, now: float, rules: Rules) -> Verdict:
    """Say what is to be done; `record` has been `noted`."""
    if look.held or record.given_up or look.life in (Life.UNKNOWN, Life.FROZEN):
        return _NOTHING
    if look.life is Life.GONE:
        return Verdict(Step.GIVE_UP, "its container is gone: somebody removed it")
    if record.falls >= rules.loop_restarts:
        how = f", last with {look.ended}" if look.ended else ""
        return Verdict(Step.STOP, f"it ended {record.falls} times in a row{how}", rules.hung_seconds)
    if record.failures < rules.failures:
        return _NOTHING
    why = look.reason or look.state.value
    if record.restarts >= rules.limit:
        return Verdict(Step.GIVE_UP, f"{record.restarts} restarts did not help: {why}")
    at = restart_at(record, rules)
    if now < at:
        return Verdict(Step.WAIT, f"it is restarted in {at - now:.0f} s: {why}", at=at)
    drains = look.answers and not look.draining
    return Verdict(Step.RESTART, why, rules.stop_seconds if drains else rules.hung_seconds, now)


def restart_at(record: Record, rules: Rules) -> float:
    """Return when the next restart is allowed."""
    if record.restarts == 0 or record.restarted_at is None:
        return float("-inf")
    exponent = min(record.restarts - 1, MOST_WAIT_EXPONENT)
    # The wait begins when the one before has had its time to start.
    return record.restarted_at + rules.start_seconds + min(rules.first_seconds * 2.0**exponent, rules.most_seconds)


def restarted(record: Record, now: float) -> Record:
    """Count one more, which begins or ended now."""
    return msgspec.structs.replace(
        record, failures=0, counted_at=None, ready_since=None, restarts=record.restarts + 1, restarted_at=now,
        engine_restarts=None, falls=0, fallen_at=None,
    )  # fmt: skip


# --- what outlives the hub ---------------------------------------------------------------------------------


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """Of the incarnation `uid`. `restarted_ms`: ms since the epoch."""

    uid: str
    restarts: int = 0
    restarted_ms: int | None = None
    given_up: str = ""


def kept(record: Record, uid: str, now: Now) -> Kept:
    """Return what is written down."""
    at = record.restarted_at
    wall_ms = None if at is None else now.wall_ms - round((now.mono - at) * 1000)
    return Kept(uid=uid, restarts=record.restarts, restarted_ms=wall_ms, given_up=record.given_up)


def taken_up(old: Kept, now: Now) -> Record:
    """Return where a hub that starts goes on. A restart in the future is one of now: the clock was put back."""
    at = None if old.restarted_ms is None else now.mono - max(0, now.wall_ms - old.restarted_ms) / 1000
    return Record(restarts=old.restarts, restarted_at=at, given_up=old.given_up)


# --- all of them ----------------------------------------------------------------------------------------------


class Ward:
    """The records of all gateways, and how many of them are restarted at the same time."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self._records: dict[str, Record] = {}
        self._restarting: dict[str, float] = {}
        """By name, when the restart began."""
        self._waiting: set[str] = set()
        """Those that are restarted as soon as another restart has ended."""

    def record(self, name: str) -> Record:
        return self._records.get(name, Record())

    def put(self, name: str, record: Record) -> None:
        self._records[name] = record

    def forget(self, name: str) -> None:
        """Somebody acted on it: its record is void."""
        self._records.pop(name, None)
        self._waiting.discard(name)

    def is_restarting(self, name: str) -> bool:
        return name in self._restarting

    def see(self, name: str, look: Look, now: float) -> Verdict:
        """Take note of a check and say what is to be done. After RESTART the caller calls `begin`, does it, and calls
        `end` when it is ready or has had its time."""
        if name in self._restarting:
            return _NOTHING
        record = noted(self.record(name), look, now, self.rules)
        verdict = judged(record, look, now, self.rules)
        self._waiting.discard(name)
        if verdict.step is Step.RESTART and self._settling(now) >= self.rules.at_once:
            self._waiting.add(name)
            verdict = Verdict(Step.WAIT, f"others are restarted first: {verdict.reason}", at=now)
        if verdict.step in (Step.GIVE_UP, Step.STOP):
            record = msgspec.structs.replace(record, given_up=verdict.reason)
        self.put(name, record)
        return verdict

    def begin(self, name: str, now: float) -> None:
        """A restart begins."""
        self._restarting[name] = now
        self.put(name, restarted(self.record(name), now))

    def end(self, name: str, now: float) -> list[str]:
        """It ended, whatever came of it. Returns those that have waited for that, in turn."""
        self._restarting.pop(name, None)
        if name in self._records:
            self.put(name, msgspec.structs.replace(self.record(name), seen_at=now))
        return self.in_turn(self._waiting)

    def _settling(self, now: float) -> int:
        return sum(now - began < self.rules.settle_seconds for began in self._restarting.values())

    def in_turn(self, names: Iterable[str]) -> list[str]:
        """Return names in the order in which they get a turn: whom restarts have helped least comes last."""
        return sorted(names, key=lambda name: (self.record(name).restarts, name))
