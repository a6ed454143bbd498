"""What the core's tests share: a clock, builders of records, and a desk that drives a fleet by short names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import msgspec

from hub.core.book import DispatchLimits
from hub.core.effects import Close, Delete, Effect, Save, Send
from hub.core.fleet import Fleet, FleetLimits, Stored
from hub.core.model import (
    Agent,
    AgentId,
    AgentUid,
    AuditEntry,
    Dispatch,
    DispatchId,
    DispatchState,
    Now,
    Record,
    Rollout,
    Task,
    TaskId,
    TaskState,
    attempt_id,
)
from runtime.wire import (
    Accepted,
    AttemptId,
    AttemptState,
    Health,
    HeldAttempt,
    Hello,
    ProtocolRange,
    Response,
    ResponseStatus,
    TaskError,
    Welcome,
)

WALL_MS = 1_700_000_000_000
SPEC = msgspec.Raw(b'{"type":"ping"}')
R = TypeVar("R", bound=Record)


class Clock:
    """Both clocks, moved by the test only."""

    def __init__(self) -> None:
        self.wall_ms = WALL_MS
        self.mono = 1_000.0

    @property
    def now(self) -> Now:
        return Now(self.wall_ms, self.mono)

    def move(self, seconds: float) -> None:
        self.mono += seconds
        self.wall_ms += round(seconds * 1000)


def make_agent(name: str = "a", **fields: Any) -> Agent:
    return Agent(**{"id": AgentId(name), "uid": AgentUid(f"{name}-uid"), "created_at": WALL_MS} | fields)


def make_task(name: str = "t", agent: str = "a", **fields: Any) -> Task:
    given = {"id": TaskId(name), "agent_id": AgentId(agent), "agent_uid": AgentUid(f"{agent}-uid")}
    return Task(**given | {"type": "ping", "spec": SPEC, "created_at": WALL_MS, "seq": 0} | fields)


def make_hello(
    attempts: Iterable[HeldAttempt] = (), *, instance: str = "one", concurrency: int = 1, **fields: Any
) -> Hello:
    return Hello(
        protocol=ProtocolRange(1, 1), instance=instance, concurrency=concurrency, attempts=list(attempts), **fields
    )


def running(name: str, attempt: int = 1) -> HeldAttempt:
    return HeldAttempt(attempt_id(TaskId(name), attempt), AttemptState.RUNNING)


def finished(name: str, attempt: int = 1) -> HeldAttempt:
    return HeldAttempt(attempt_id(TaskId(name), attempt), AttemptState.FINISHED)


def response(name: str, status: str = "succeeded", *, attempt: int = 1, code: str = "", **fields: Any) -> Response:
    error = TaskError(code) if code else None
    attempted = attempt_id(TaskId(name), attempt)
    return Response(status=ResponseStatus(status), attempt_id=attempted, error=error, **fields)


def saved(effects: Sequence[Effect], kind: type[R]) -> list[R]:
    return [effect.record for effect in effects if isinstance(effect, Save) and isinstance(effect.record, kind)]


def sent(effects: Sequence[Effect], kind: str) -> list[Send]:
    return [effect for effect in effects if isinstance(effect, Send) and effect.kind == kind]


def offered(effects: Sequence[Effect]) -> list[str]:
    """Attempt ids of the task frames in `effects`."""
    return [task_fields(send)["attemptId"] for send in sent(effects, "task")]


def task_fields(send: Send) -> dict[str, Any]:
    assert isinstance(send.payload, msgspec.Raw)
    return msgspec.json.decode(send.payload)


def closes(effects: Sequence[Effect]) -> list[tuple[str, int, int]]:
    return [(effect.agent_id, effect.epoch, effect.code) for effect in effects if isinstance(effect, Close)]


def kinds(effects: Sequence[Effect]) -> list[str]:
    """Names of what is sent, in order."""
    return [effect.kind for effect in effects if isinstance(effect, Send)]


class Desk:
    """A fleet with a clock and a memory of what was saved. Agents are named a, b …, connected in full by `connect`."""

    def __init__(self, agents: str = "a", **limits: Any) -> None:
        self.clock = Clock()
        self.limits = FleetLimits(dispatch=DispatchLimits(**limits))
        self.fleet = Fleet(self.limits)
        self.tasks: dict[str, Task] = {}
        self.dispatches: dict[str, Dispatch] = {}
        self.audit: list[AuditEntry] = []
        self.epoch: dict[str, int] = {}
        for name in agents:
            self.take(self.fleet.add_agent(make_agent(name), self.clock.now))

    def take(self, effects: list[Effect]) -> list[Effect]:
        for effect in effects:
            match effect:
                case Save(Task() as task):
                    self.tasks[task.id] = task
                case Save(Dispatch() as dispatch):
                    self.dispatches[dispatch.id] = dispatch
                case Save(AuditEntry() as entry):
                    self.audit.append(entry)
                case Delete(Task() as task):
                    del self.tasks[task.id]
                case _:
                    pass
        return effects

    def state(self, name: str = "t") -> TaskState:
        return self.tasks[name].state

    def submit(self, name: str = "t", agent: str = "a", **fields: Any) -> list[Effect]:
        expires_in_ms = fields.pop("expires_in_ms", None)
        if expires_in_ms is not None:
            fields["expires_at"] = self.clock.wall_ms + expires_in_ms
        task = make_task(name, agent, **{"created_at": self.clock.wall_ms} | fields)
        return self.take(self.fleet.dispatcher.submit(task, self.clock.now, expires_in_ms=expires_in_ms))

    def dispatch(
        self, targets: str, *, name: str = "d", task: dict[str, Any] | None = None, **rollout: int
    ) -> list[Effect]:
        """One task per letter of `targets`, named d0, d1 … in that order."""
        tasks = [
            make_task(f"{name}{n}", target, dispatch_id=DispatchId(name), **task or {})
            for n, target in enumerate(targets)
        ]
        record = Dispatch(
            id=DispatchId(name),
            created_at=self.clock.wall_ms,
            spec=SPEC,
            rollout=Rollout(**rollout),
            tasks=tuple(task.id for task in tasks),
        )
        return self.take(self.fleet.dispatcher.submit_all(record, tasks, self.clock.now, expires_in_ms=None))

    def rollout(self, name: str = "d") -> DispatchState:
        return self.dispatches[name].state

    def connect(self, agent: str = "a", attempts: Iterable[HeldAttempt] = (), **hello: Any) -> list[Effect]:
        return self._connect(agent, make_hello(attempts, **hello))

    def connect_basic(self, agent: str = "a") -> list[Effect]:
        return self._connect(agent, None)

    def _connect(self, agent: str, hello: Hello | None) -> list[Effect]:
        offsets: dict[AttemptId, int] = {}
        self.epoch[agent], effects = self.fleet.connect(
            AgentId(agent), hello, self.clock.now, welcome=Welcome(), offsets=offsets
        )
        return self.take(effects)

    def close(self, agent: str = "a", *, epoch: int = 0, clean: bool = False) -> list[Effect]:
        return self.take(
            self.fleet.disconnected(AgentId(agent), epoch or self.epoch[agent], self.clock.now, clean=clean)
        )

    def frame(self, message: Any, agent: str = "a", *, epoch: int = 0) -> list[Effect]:
        return self.take(self.fleet.frame(AgentId(agent), epoch or self.epoch[agent], message, self.clock.now))

    def accept(self, name: str = "t", agent: str = "a", *, attempt: int = 1, epoch: int = 0) -> list[Effect]:
        return self.frame(Accepted(attempt_id(TaskId(name), attempt)), agent, epoch=epoch)

    def respond(
        self, name: str = "t", status: str = "succeeded", agent: str = "a", *, epoch: int = 0, **fields: Any
    ) -> list[Effect]:
        return self.frame(response(name, status, **fields), agent, epoch=epoch)

    def health(self, agent: str = "a", *, epoch: int = 0) -> list[Effect]:
        return self.frame(Health(), agent, epoch=epoch)

    def cancel(self, name: str = "t") -> list[Effect]:
        return self.take(self.fleet.dispatcher.cancel(TaskId(name), self.clock.now))

    def tick(self, seconds: float = 0.0) -> list[Effect]:
        """Let time pass and tell the fleet."""
        self.clock.move(seconds)
        return self.take(self.fleet.tick(self.clock.now))

    def restart(self) -> list[Effect]:
        """Throw the fleet away and build it anew from what was saved, as after a crash."""
        stored = Stored(
            agents=list(self.fleet.agents.values()),
            tasks=list(self.tasks.values()),
            dispatches=list(self.dispatches.values()),
            tokens=self.fleet.identity.tokens,
            policies=self.fleet.mail.policies,
        )
        self.fleet = Fleet(self.limits)
        return self.take(self.fleet.restore(stored, self.clock.now))


def run(desk: Desk, name: str = "t", agent: str = "a", **fields: Any) -> None:
    """Submit a task to a connected agent and have it accepted."""
    desk.submit(name, agent, **fields)
    desk.accept(name, agent)
    assert desk.state(name) is TaskState.RUNNING
