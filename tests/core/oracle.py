"""What the contract foretells: the end of a reported attempt, and when patience with silence runs out."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hub.core.effects import Effect, Save
from hub.core.fleet import Fleet, FleetLimits
from hub.core.model import (
    OPEN,
    AgentId,
    AuditEntry,
    Connection,
    Desired,
    RetryOn,
    Task,
    TaskState,
    parse_attempt_id,
)
from runtime.wire import Ack, Response, ResponseStatus
from tests.core.ledger import HELD, Ledger
from tests.core.runtimes import Link
from tests.core.support import Clock, sent

if TYPE_CHECKING:
    from tests.core.world import World


def dump(fleet: Fleet) -> dict[str, Any]:
    """Everything in a fleet that a message could change, comparable."""
    book = fleet.dispatcher.book
    return {
        "agents": fleet.agents.copy(),
        "tasks": book.tasks.copy(),
        "slots": {name: repr(sorted(vars(slot).items())) for name, slot in book.slots.items()},
        "runs": {name: repr(vars(run)) for name, run in book.rollouts._runs.items()},
        "presence": {name: repr(vars(presence)) for name, presence in fleet.freshness.agents.items()},
        "heard": dict(fleet.freshness._heard),
        "deadlines": sorted(book._deadlines),
    }


def expected(world: World, link: Link, response: Response) -> Callable[[list[Effect]], None]:
    """Return the check of what a response over the open connection must have done."""
    task = _meant(world, link, response)
    present = task is not None and (task.state in HELD or task.state is TaskState.LOST)
    before = world.decided.tasks.copy()

    def changed_nothing(effects: list[Effect]) -> None:
        assert world.decided.tasks == before, "a stale report changed a task"
        saves = [effect.record for effect in effects if isinstance(effect, Save)]
        assert all(isinstance(record, AuditEntry) for record in saves)
        queued = task is not None and task.state is TaskState.QUEUED
        assert _acknowledged(effects) == ([] if link.basic or queued else [response.attempt_id])
        parsed = parse_attempt_id(response.attempt_id or "")
        known = parsed is not None and before.get(parsed[0])
        stale = known and known.state in OPEN and known.attempt_id != response.attempt_id
        assert not stale or link.basic or saves, "a stale attempt's result was not recorded"

    def ended(effects: list[Effect]) -> None:
        assert task is not None
        after = world.decided.tasks[task.id]
        if _is_retried(world, task, response):
            assert (after.attempt, after.exit_code, after.error) == (task.attempt + 1, None, None)
        else:
            assert (after.state, after.attempt) == (TaskState(response.status), task.attempt)
            assert (after.exit_code, after.error) == (response.exit_code, response.error)
        assert _acknowledged(effects) == ([] if link.basic else [response.attempt_id])

    return ended if present else changed_nothing


def _meant(world: World, link: Link, response: Response) -> Task | None:
    uid = world.decided.agents[link.name].uid
    if response.attempt_id is None:
        task = world.decided.tasks.get(response.task_id or "") if link.basic else None
    else:
        parsed = parse_attempt_id(response.attempt_id)
        task = world.decided.tasks.get(parsed[0]) if parsed is not None else None
        if task is not None and task.attempt_id != response.attempt_id:
            return None
    return task if task is not None and task.agent_uid == uid else None


def _is_retried(world: World, task: Task, response: Response) -> bool:
    if response.status is not ResponseStatus.FAILED or task.state is TaskState.LOST or task.cancelling:
        return False
    interrupted = response.error is not None and response.error.code == "interrupted"
    reason = RetryOn.INTERRUPTED if interrupted else RetryOn.EXIT_CODE
    if not interrupted and not response.exit_code:
        return False
    late = world.patience.is_expired(task.id, world.clock.mono)
    return reason in task.retry_on and task.attempt < task.max_attempts and not late


def _acknowledged(effects: list[Effect]) -> list[str]:
    acks = [send.payload for send in sent(effects, "ack")]
    return [attempt for ack in acks if isinstance(ack, Ack) for attempt in ack.responses]


class Patience:
    """When a task may and when it must be lost, expire or time out, by the monotonic clock.

    `boot`: when this hub started; `sign`: last sign of life; `gone`: since when there is no connection; `since`: since
    when an attempt is held, None when only the wall clock could know.
    """

    def __init__(self, limits: FleetLimits) -> None:
        self.lost_after = limits.dispatch.lost_after_seconds
        self.stale_after = limits.stale_after_seconds
        self.boot = 0.0
        self.sign: dict[str, float] = {}
        self.gone: dict[str, float | None] = {}
        self.since: dict[str, float | None] = {}
        self.expiry: dict[str, float] = {}

    def began(self, name: str, mono: float) -> None:
        self.sign[name], self.gone[name] = mono, mono

    def connected(self, name: str, mono: float) -> None:
        self.sign[name], self.gone[name] = mono, None

    def heard(self, name: str, mono: float) -> None:
        self.sign[name] = mono

    def disconnected(self, name: str, mono: float) -> None:
        self.gone[name] = mono

    def desired(self, name: str, before: Desired, after: Desired, mono: float) -> None:
        if before is Desired.PAUSED and after is not Desired.PAUSED:
            self.sign[name] = mono
            self.gone[name] = None if self.gone[name] is None else mono

    def restarted(self, ledger: Ledger, clock: Clock) -> None:
        for agent in ledger.agents.values():
            self.began(agent.id, clock.mono)
        self.boot, self.since, self.expiry = clock.mono, {}, {}
        for task in ledger.open_tasks().values():
            if task.state in HELD:
                self.since[task.attempt_id] = None
            if task.expires_at is not None:
                # A clock that was put back gives no more time than the task had in the beginning.
                rest_ms = min(task.expires_at - clock.wall_ms, task.expires_at - task.created_at)
                self.expiry[task.id] = clock.mono + rest_ms / 1000

    def saw(self, task: Task, mono: float) -> None:
        if task.state is TaskState.OFFERED or (task.state is TaskState.RUNNING and not task.cancelling):
            self.since.setdefault(task.attempt_id, mono)
        if task.state is TaskState.QUEUED:
            self.since.pop(task.attempt_id, None)

    def is_expired(self, name: str, mono: float) -> bool:
        return self.expiry.get(name, mono + 1) <= mono

    def check(self, world: World, before: dict[str, Task]) -> None:
        """A tick has just passed."""
        for name, task in before.items():
            after = world.decided.tasks[name]
            if after.state is not task.state or after.attempt != task.attempt:
                self._check_early(world, task, after)
        for task in world.decided.open_tasks().values():
            self._check_late(world, task)
        for name, agent in world.decided.agents.items():
            online = world.fleet.presence(AgentId(name)).connection is Connection.ONLINE
            if online and agent.desired is not Desired.PAUSED:
                assert world.clock.mono - self.sign[name] < self.stale_after, "silent, and called online"

    def _check_early(self, world: World, task: Task, after: Task) -> None:
        now, agent = world.clock.mono, world.decided.agents[task.agent_id]
        since = self.since.get(task.attempt_id)
        if task.state is TaskState.QUEUED:
            assert after.state is not TaskState.EXPIRED or self.is_expired(task.id, now), "expired too early"
        elif after.state is TaskState.TIMED_OUT:
            assert agent.basic
            assert now - (self.boot if since is None else since) >= task.timeout_ms / 1000, "timed out too early"
        elif after.state is TaskState.LOST or after.attempt > task.attempt:
            assert agent.desired is not Desired.PAUSED, "lost while we held it still"
            assert now - self.sign[agent.id] >= self.lost_after, "lost too early"
            assert since is None or now - since >= task.timeout_ms / 1000, "lost before its timeout"

    def _check_late(self, world: World, task: Task) -> None:
        now, agent = world.clock.mono, world.decided.agents[task.agent_id]
        if task.state is TaskState.QUEUED:
            assert not self.is_expired(task.id, now), "queued beyond its expiry"
        gone = self.gone[agent.id]
        if task.state in HELD and gone is not None and agent.desired is not Desired.PAUSED:
            patience = max(self.lost_after, task.timeout_ms / 1000)
            assert now < gone + patience, "held for ever by an agent that is gone"
