"""When a sync runs, and what a look at the gateway says about the config that was written. Pure: times are arguments.

All times are monotonic seconds. What a look means, in the order of the table (first match):

| seen                                                      | verdict                                            |
|-----------------------------------------------------------|----------------------------------------------------|
| `reload` off                                              | taken: nothing is asked of the gateway             |
| `reload` restart, not restarted for this config yet       | restart                                            |
| ready, its roster is the written one                      | taken                                              |
| ready, it does not tell its roster                        | stuck: nothing proves it                           |
| ready, another roster, within the time a reload may take  | wait                                               |
| the same later, `reload` auto or restart, restarts left   | restart                                            |
| the same later, nothing moved since we wrote              | restore: it refuses the config, and would not even |
|                                                           | start with it the next time                        |
| the same later                                            | stuck                                              |
| it refuses our token                                      | stuck                                              |
| it lives and is not ready                                 | wait as long as it may drain and start; then stuck |
| down, and was down when we wrote                          | stuck: it reads the config when it starts          |
| down since we wrote, not yet for long                     | wait                                               |
| the same later                                            | restore what it had before                         |

A verdict of `stuck` ends the looks; the next run looks once more. Restarts are counted per config and never begin anew
for the same one, so that no gateway is restarted in a loop.
"""

from __future__ import annotations

import enum
from collections.abc import Collection
from typing import Final

import msgspec

from hub.contract import GatewayState

CHANGES_NAMED: Final = 5
"""Slugs named in a reason; the rest is counted."""


class Reload(enum.StrEnum):
    """How a gateway is brought to take a new config. AUTO: by itself, and restarted where it does not."""

    AUTO = "auto"
    HOT = "hot"
    RESTART = "restart"
    OFF = "off"


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """Periods in seconds.

    A reload took 67 s for 237 agents, hence the share per persona, twice that. A gateway starts within 15 s; one that
    is told to end while it answers drains for up to 315 s before it starts again.
    """

    debounce_seconds: float = 0.5
    most_debounce_seconds: float = 5.0
    first_look_seconds: float = 0.5
    most_look_seconds: float = 10.0
    take_seconds: float = 20.0
    take_seconds_each: float = 0.6
    back_seconds: float = 60.0
    drain_seconds: float = 360.0
    first_restart_seconds: float = 10.0
    most_restart_seconds: float = 600.0
    restarts: int = 3
    rewrite_gap_seconds: float = 5.0
    first_run_seconds: float = 30.0
    answer_seconds: float = 20.0


# --- when to run ---------------------------------------------------------------------------------------


class Cause(enum.StrEnum):
    START = "start"
    TICK = "tick"
    CHANGE = "change"
    ASKED = "asked"
    SETTINGS = "settings"


class Timer(msgspec.Struct, frozen=True, kw_only=True):
    """When the next run is due. `first_change`, `last_change`: of changes that no run has seen.

    `rewrites`: runs in a row that a change caused and that had to write the config again: somebody else writes it too,
    and whoever answers at once to that never ends.
    """

    tick_at: float
    first_change: float | None = None
    last_change: float | None = None
    rewrites: int = 0
    ran_at: float = float("-inf")


def changed(timer: Timer, now: float) -> Timer:
    """Something that the sync depends on changed."""
    first = timer.first_change if timer.first_change is not None else now
    return msgspec.structs.replace(timer, first_change=first, last_change=now)


def due_at(timer: Timer, rules: Rules) -> float:
    """Return when the next run is due, because of a change or of the tick."""
    if timer.first_change is None or timer.last_change is None:
        return timer.tick_at
    quiet = min(timer.last_change + rules.debounce_seconds, timer.first_change + rules.most_debounce_seconds)
    gap = rules.rewrite_gap_seconds * (2.0 ** min(timer.rewrites, 16) - 1)
    return min(timer.tick_at, max(quiet, timer.ran_at + gap))


def begun(timer: Timer, now: float, interval: float) -> Timer:
    """A run begins: it sees every change up to now."""
    return msgspec.structs.replace(timer, tick_at=now + interval, first_change=None, last_change=None)


def ran(timer: Timer, cause: Cause, now: float, *, rewrote: bool) -> Timer:
    """A run ended. `rewrote`: the config had to be written again although nothing that it is made of changed."""
    rewrites = 0 if not rewrote else timer.rewrites + 1 if cause is Cause.CHANGE else timer.rewrites
    return msgspec.structs.replace(timer, ran_at=now, rewrites=rewrites)


# --- did the gateway take it -----------------------------------------------------------------------------


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen of a gateway. `roster` None: it does not tell. `version` as it says itself, None = not known."""

    state: GatewayState
    roster: frozenset[str] | None = None
    reason: str = ""
    version: str | None = None

    @property
    def is_up(self) -> bool:
        return self.state not in (GatewayState.DOWN, GatewayState.UNKNOWN)

    @property
    def is_busy(self) -> bool:
        """It lives and is not ready, or does not answer: what it says of its roster is not known yet."""
        return self.state in (GatewayState.NOT_READY, GatewayState.STARTING, GatewayState.WEDGED)


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """A config was written, or is not known to be taken, since `since`.

    `wanted`: the roster in it. `before`: the one that the gateway had, None = not known. `was_up`: the gateway lived
    when it was written. `wrote`: this hub changed it then. `watches`: the gateway looks at its config by itself.
    `restarted_at`: the last restart for it. `down_since`, `busy_since`: since when it is down, or lives unready.
    """

    since: float
    wanted: frozenset[str]
    was_up: bool
    wrote: bool
    before: frozenset[str] | None = None
    watches: bool = True
    looks: int = 0
    next_look: float = 0.0
    restarted_at: float | None = None
    down_since: float | None = None
    busy_since: float | None = None


class Restarts(msgspec.Struct, frozen=True, kw_only=True):
    """Restarts made for one config, which `config` names."""

    config: str = ""
    count: int = 0
    last_at: float = 0.0


class Verdict(enum.StrEnum):
    TAKEN = "taken"
    WAIT = "wait"
    RESTART = "restart"
    RESTORE = "restore"
    STUCK = "stuck"


class Judged(msgspec.Struct, frozen=True):
    """`reason`: what a person reads, empty when taken. `at`: when a restart is allowed."""

    verdict: Verdict
    reason: str = ""
    at: float = 0.0


def noted(waiting: Waiting, look: Look, now: float, rules: Rules) -> Waiting:
    """Return what is known after one more look; the next one comes later than the one before.

    A gateway that comes up again has the whole time from then on.
    """
    down = not look.is_up
    since = now if waiting.down_since is not None and not down else waiting.since
    busy = look.is_busy
    pause = min(rules.first_look_seconds * 2.0 ** min(waiting.looks, 16), rules.most_look_seconds)
    return msgspec.structs.replace(
        waiting,
        since=since,
        looks=waiting.looks + 1,
        next_look=now + pause,
        down_since=(waiting.down_since if waiting.down_since is not None else now) if down else None,
        busy_since=(waiting.busy_since if waiting.busy_since is not None else now) if busy else None,
    )


def judge(
    waiting: Waiting, look: Look, restarts: Restarts, reload: Reload, now: float, rules: Rules, *, can_restart: bool
) -> Judged:
    """Say what a look means; `waiting` has been `noted`. `can_restart`: there is a command for it."""
    if reload is Reload.OFF:
        return Judged(Verdict.TAKEN)
    if reload is Reload.RESTART and waiting.wrote and restarts.count == 0 and can_restart and look.is_up:
        return Judged(Verdict.RESTART, "the gateway is restarted with its new config", now)
    if not look.is_up:
        return _down(waiting, look, now, rules)
    if look.state is GatewayState.REFUSED:
        return Judged(Verdict.STUCK, look.reason or "the gateway refuses the token")
    if look.state is not GatewayState.READY:
        return _busy(waiting, look, now, rules)
    if look.roster is None:
        return Judged(Verdict.STUCK, "the gateway does not tell its roster: " + (look.reason or "nothing proves it"))
    if look.roster == waiting.wanted:
        return Judged(Verdict.TAKEN)
    return _other(waiting, look.roster, restarts, reload, now, rules, can_restart)


def _down(waiting: Waiting, look: Look, now: float, rules: Rules) -> Judged:
    reason = f"the gateway is down{f': {look.reason}' if look.reason else ''}"
    if not waiting.was_up or not waiting.wrote:
        return Judged(Verdict.STUCK, reason)
    away = now - (waiting.down_since if waiting.down_since is not None else now)
    if away < rules.back_seconds:
        return Judged(Verdict.WAIT, f"{reason}, since its config was changed")
    return Judged(Verdict.RESTORE, f"the gateway did not come back within {rules.back_seconds:.0f} s after its change")


def _busy(waiting: Waiting, look: Look, now: float, rules: Rules) -> Judged:
    reason = f"the gateway is not ready{f': {look.reason}' if look.reason else ''}"
    since = waiting.busy_since if waiting.busy_since is not None else now
    return Judged(Verdict.WAIT if now - since < rules.drain_seconds else Verdict.STUCK, reason)


def _other(
    waiting: Waiting,
    roster: frozenset[str],
    restarts: Restarts,
    reload: Reload,
    now: float,
    rules: Rules,
    can_restart: bool,
) -> Judged:
    reason = f"the gateway has another roster: {difference(waiting.wanted, roster)}"
    begun_at = waiting.since if waiting.restarted_at is None else waiting.restarted_at
    if now - begun_at < take_seconds(len(waiting.wanted | roster), rules):
        return Judged(Verdict.WAIT, reason)
    if reload is Reload.HOT or not can_restart:
        why = "because reload is hot" if reload is Reload.HOT else "because there is no command for it"
        if waiting.wrote and waiting.watches and restarts.count == 0 and roster == waiting.before:
            return Judged(
                Verdict.RESTORE, f"the gateway did not take its new config: it stays {_without(waiting, roster)}"
            )
        return Judged(Verdict.STUCK, f"{reason}; it is not restarted, {why}")
    if restarts.count >= rules.restarts:
        return Judged(
            Verdict.STUCK,
            f"{reason}; it was restarted {restarts.count} times and is not again until the roster changes",
        )
    at = restart_at(restarts, rules)
    if now < at:
        return Judged(Verdict.WAIT, f"{reason}; it is restarted again in {at - now:.0f} s", at)
    return Judged(Verdict.RESTART, f"{reason}; it is restarted", now)


def _without(waiting: Waiting, roster: frozenset[str]) -> str:
    return difference(waiting.wanted, roster).removeprefix("still ")


def take_seconds(personas: int, rules: Rules) -> float:
    """Return how long a reload of so many personas may take."""
    return rules.take_seconds + rules.take_seconds_each * personas


def restart_at(restarts: Restarts, rules: Rules) -> float:
    """Return when the next restart for the same config is allowed."""
    if restarts.count == 0:
        return restarts.last_at
    return restarts.last_at + min(rules.first_restart_seconds * 2.0 ** (restarts.count - 1), rules.most_restart_seconds)


def restarted(restarts: Restarts, now: float) -> Restarts:
    """Count one more."""
    return msgspec.structs.replace(restarts, count=restarts.count + 1, last_at=now)


def restarts_of(restarts: Restarts, config: str) -> Restarts:
    """Return the count for a config: another one begins anew."""
    return restarts if restarts.config == config else Restarts(config=config)


def difference(wanted: Collection[str], seen: Collection[str]) -> str:
    """Say in words how a roster differs."""
    missing, extra = sorted(set(wanted) - set(seen)), sorted(set(seen) - set(wanted))
    parts = [f"{words} {_named(slugs)}" for words, slugs in (("without", missing), ("still with", extra)) if slugs]
    return " and ".join(parts)


def _named(slugs: list[str]) -> str:
    more = len(slugs) - CHANGES_NAMED
    return ", ".join(slugs[:CHANGES_NAMED]) + (f" and {more} more" if more > 0 else "")


# --- what must not be believed -----------------------------------------------------------------------------


def is_suspicious(known: Collection[str], loaded: Collection[str], *, accepted: bool) -> bool:
    """Tell whether a source without any persona is more probably broken than meant.

    `known`: personas that were written before. An answer without error and without content is what a wrong account, a
    new deployment or an unmounted folder look like; it would archive every workspace.
    """
    return bool(known) and not loaded and not accepted
