"""The task book: open tasks by agent, their deadlines, and the moves a task can make.

`TaskBook` knows how a task changes place (queued, offered, ended …) and keeps queue, capacity and
rollouts in step; `hub.core.dispatch` knows what an input means and asks for the moves.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import Final

import msgspec
from msgspec.structs import replace

from hub.core.effects import Effect, Kind, Publish, Save, Send
from hub.core.model import (
    TERMINAL,
    TRANSITIONS,
    AgentId,
    AgentUid,
    Now,
    RetryOn,
    Task,
    TaskId,
    TaskState,
    parse_attempt_id,
)
from hub.core.rollout import Decision, Rollouts
from hub.errors import NotFound, QueueFull
from runtime.wire import AttemptId, TaskError, TaskFrame

HELD: Final = frozenset({TaskState.OFFERED, TaskState.RUNNING})
"""States in which an attempt takes one of the agent's places."""


class DispatchLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds per agent, and the patience with a silent one."""

    queue_tasks: int = 20_000
    queue_bytes: int = 64 * 1024 * 1024
    lost_after_seconds: float = 900.0
    cancel_grace_ms: int = 10_000


class Slot:
    """An agent as dispatch sees it.

    `held` are the tasks whose attempt it has or may have, with the monotonic time since when, as
    far as this hub knows. `silent_since`: monotonic time since when nothing has been heard, None
    while it speaks; `silences` counts them, because two may begin in one moment. `accepting`: the
    hub wants to offer it attempts; `leaving`: it said that its connection ends. `late`: lost tasks of
    which nobody said that the agent does not run them: it went silent with them, or came back with them.
    """

    def __init__(self, agent_id: AgentId, uid: AgentUid, *, basic: bool, silent_since: float | None) -> None:
        self.agent_id = agent_id
        self.uid = uid
        self.basic = basic
        self.epoch = 0
        self.connected = False
        self.leaving = False
        self.accepting = True
        self.paused = False
        self.concurrency = 1
        self.queue: list[tuple[int, int, TaskId]] = []
        self.open: set[TaskId] = set()
        self.held: dict[TaskId, float] = {}
        self.late: dict[TaskId, None] = {}
        self.bytes = 0
        self.silent_since = silent_since
        self.silences = 0

    @property
    def takes_offers(self) -> bool:
        """False also for a silent agent: its tasks would only be lost one by one."""
        return self.connected and self.accepting and not self.leaving and self.silent_since is None


class Deadline(msgspec.Struct, frozen=True, order=True):
    """A time to look at a task. It is void when `mark` no longer fits the task's situation."""

    at: float
    seq: int
    kind: str
    task_id: TaskId
    mark: float


COMPACT_AT: Final = 1_024
"""So many deadlines, and places in a queue, are kept without asking whether they still matter."""


class TaskBook:
    """All open tasks, and the lost ones, whose late results are still welcome."""

    def __init__(self, limits: DispatchLimits) -> None:
        self.limits = limits
        self.tasks: dict[TaskId, Task] = {}
        self.slots: dict[AgentId, Slot] = {}
        self.rollouts = Rollouts()
        self._expiries: dict[TaskId, float] = {}
        self._deadlines: list[Deadline] = []
        self._deadline_seq = 0
        self._compact_at = COMPACT_AT

    def slot_with_room(self, agent_id: AgentId, count: int, size: int) -> Slot:
        slot = self.slots.get(agent_id)
        if slot is None:
            raise NotFound(f"there is no agent {agent_id}", agent=agent_id)
        full = len(slot.open) + count > self.limits.queue_tasks
        if full or slot.bytes + size > self.limits.queue_bytes:
            raise QueueFull(
                f"the queue of agent {agent_id} is full ({len(slot.open)} open tasks)",
                hint="wait until tasks have ended, or cancel some",
                agent=agent_id,
                retry_after_seconds=5.0,
            )
        return slot

    # --- time

    def next_deadline(self) -> float | None:
        """Monotonic time at which `tick` has something to look at."""
        return self._deadlines[0].at if self._deadlines else None

    def pop_due(self, now: Now) -> Deadline | None:
        """Take the next deadline that has passed, in order of time."""
        if self._deadlines and self._deadlines[0].at <= now.mono:
            return heapq.heappop(self._deadlines)
        return None

    def arm(self, at: float, kind: str, task_id: TaskId, mark: float) -> None:
        if len(self._deadlines) >= self._compact_at:
            # Tasks that ended leave theirs behind; without this a long `expiresIn` would pile them up.
            self._deadlines = [deadline for deadline in self._deadlines if self._may_matter(deadline)]
            heapq.heapify(self._deadlines)
            self._compact_at = max(COMPACT_AT, 2 * len(self._deadlines))
        self._deadline_seq += 1
        heapq.heappush(self._deadlines, Deadline(at, self._deadline_seq, kind, task_id, mark))

    def _may_matter(self, deadline: Deadline) -> bool:
        task = self.tasks.get(deadline.task_id)
        if task is None or task.state in TERMINAL:
            return False
        # An expiry outlives an attempt that comes back to the queue.
        return deadline.kind == "expire" or self.is_due(task, deadline)

    def is_due(self, task: Task, deadline: Deadline) -> bool:
        """True when the open task is still in the situation that `deadline` was made for."""
        slot = self.slots[task.agent_id]
        if deadline.kind == "expire":
            return task.state is TaskState.QUEUED
        if deadline.kind == "lost":
            return task.state in HELD and slot.silent_since is not None and slot.silences == deadline.mark
        return task.state in HELD and slot.basic and deadline.mark == task.attempt

    def expire_at(self, task_id: TaskId, at: float) -> None:
        """The task is not worth starting after the monotonic time `at`."""
        self._expiries[task_id] = at
        self.arm(at, "expire", task_id, 0.0)

    def _is_expired(self, task_id: TaskId, now: Now) -> bool:
        at = self._expiries.get(task_id)
        return at is not None and at <= now.mono

    def arm_timeout(self, task: Task, now: Now) -> None:
        """The hub's own timeout, for basic agents, which have none."""
        self.arm(now.mono + task.timeout_ms / 1000, "timeout", task.id, task.attempt)

    def arm_lost(self, slot: Slot, task: Task, now: Now) -> None:
        if slot.silent_since is None:
            return
        rest = task.timeout_ms / 1000 - (now.mono - slot.held[task.id])
        patience = max(self.limits.lost_after_seconds, rest)
        self.arm(slot.silent_since + patience, "lost", task.id, slot.silences)

    def arm_restored(self, slot: Slot, task: Task, now: Now) -> None:
        if task.state in HELD:
            self.arm_lost(slot, task, now)
            if slot.basic:
                self.arm_timeout(task, now)
        if task.expires_at is not None:
            self.expire_at(task.id, now.mono + _rest_ms(task.expires_at, task, now) / 1000)

    # --- moves

    def take(self, slot: Slot, task: Task, now: Now) -> None:
        """Take an open task, new or from the registry."""
        self.tasks[task.id] = task
        slot.open.add(task.id)
        slot.bytes += len(task.spec)
        if task.state in HELD:
            # Only the wall clock lasts over a restart; if it jumped, its word is bounded.
            ran = now.wall_ms - (task.started_at or now.wall_ms)
            slot.held[task.id] = now.mono - min(max(ran, 0), task.timeout_ms) / 1000
        elif not task.held:
            heapq.heappush(slot.queue, (-task.priority, task.seq, task.id))

    def pump(self, slot: Slot, now: Now) -> Iterator[Effect]:
        """Offer queued tasks while the agent has places."""
        while slot.takes_offers:
            task = self._next_queued(slot, now) if len(slot.held) < slot.concurrency else None
            if task is None:
                return
            slot.held[task.id] = now.mono
            task = self.moved(task, TaskState.OFFERED)
            if slot.basic:
                task = self.moved(task, TaskState.RUNNING, started_at=now.wall_ms)
                self.arm_timeout(task, now)
            yield from self.put(task)
            yield Send(slot.agent_id, slot.epoch, "task", _task_frame(task))

    def _next_queued(self, slot: Slot, now: Now) -> Task | None:
        while slot.queue:
            _, _, task_id = heapq.heappop(slot.queue)
            task = self.tasks.get(task_id)
            # An expired one is left to `tick`, whose deadline for it has come.
            if task is not None and task.state is TaskState.QUEUED and not self._is_expired(task_id, now):
                return task
        return None

    def live(self, agent_id: AgentId, epoch: int) -> Slot | None:
        slot = self.slots.get(agent_id)
        return slot if slot is not None and slot.connected and slot.epoch == epoch else None

    def task_of(self, slot: Slot, attempt: AttemptId) -> Task | None:
        """The task whose present attempt this is, when it is this agent's."""
        parsed = parse_attempt_id(attempt)
        task = self.tasks.get(parsed[0]) if parsed is not None else None
        if task is None or task.agent_uid != slot.uid or parsed != (task.id, task.attempt):
            return None
        return task

    def moved(self, task: Task, state: TaskState, *, started_at: int | None = None) -> Task:
        if state not in TRANSITIONS[task.state]:
            raise AssertionError(f"task {task.id}: {task.state} -> {state} is not allowed")
        if started_at is not None:
            return replace(task, state=state, started_at=started_at)
        return replace(task, state=state)

    def put(self, task: Task) -> list[Effect]:
        self.tasks[task.id] = task
        return [Save(task), Publish(Kind.TASK, task.id, agent=task.agent_id)]

    def cancelling(self, task: Task, wanted: bool) -> list[Effect]:
        """Put the overlay on a task, or take it off: a cancel that the agent has to confirm."""
        task = self.tasks[task.id] = replace(task, cancelling=wanted)
        return [Save(task, overlay=True), Publish(Kind.TASK, task.id, agent=task.agent_id)]

    def started(self, task: Task, now: Now) -> list[Effect]:
        """The agent says that the attempt runs."""
        self.slots[task.agent_id].held[task.id] = now.mono
        return self.put(self.moved(task, TaskState.RUNNING, started_at=now.wall_ms))

    def adopted(self, task: Task, now: Now) -> Task:
        """The agent has an attempt that was thought to be queued: it holds it again."""
        self.slots[task.agent_id].held[task.id] = now.mono
        return self.moved(task, TaskState.OFFERED)

    def requeue(self, task: Task, now: Now) -> list[Effect]:
        slot = self.slots[task.agent_id]
        slot.held.pop(task.id, None)
        task = replace(self.moved(task, TaskState.QUEUED), started_at=None)
        heapq.heappush(slot.queue, (-task.priority, task.seq, task.id))
        if self._is_expired(task.id, now):
            # Its deadline has passed unused, while an agent held it.
            self.expire_at(task.id, self._expiries[task.id])
        return self.put(task)

    def may_retry(self, task: Task, reason: RetryOn, now: Now) -> bool:
        wanted = reason in task.retry_on and task.attempt < task.max_attempts
        return wanted and not task.cancelling and not self._is_expired(task.id, now)

    def next_attempt(self, task: Task, note: str, now: Now) -> list[Effect]:
        """Queue the task again under a new attempt id; of the last attempt only `note` is kept."""
        return self.requeue(replace(task, attempt=task.attempt + 1, note=note), now)

    def lost(self, task: Task, why: str, now: Now, *, may_run: bool) -> list[Effect]:
        """`may_run`: the agent may still run it, so a cancel that was asked for is not over."""
        if self.may_retry(task, RetryOn.LOST, now):
            return self.next_attempt(task, f"attempt {task.attempt} was lost: {why}", now)
        slot, error = self.slots[task.agent_id], TaskError("lost", why)
        if may_run and not slot.basic:
            slot.late[task.id] = None
        task = replace(task, error=error, finished_at=now.wall_ms, cancelling=task.cancelling and task.id in slot.late)
        return self.end(task, TaskState.LOST, now)

    def cancelled(self, task: Task, error: TaskError | None, now: Now) -> list[Effect]:
        if task.state is TaskState.LOST:
            return []
        task = replace(task, error=error, finished_at=now.wall_ms)
        return self.end(task, TaskState.CANCELLED, now)

    def end(self, task: Task, state: TaskState, now: Now) -> list[Effect]:
        slot = self.slots[task.agent_id]
        finished = task.finished_at if task.finished_at is not None else now.wall_ms
        late = task.state is TaskState.LOST
        cancelling = task.cancelling and state is TaskState.LOST
        task = replace(self.moved(task, state), finished_at=finished, cancelling=cancelling, held=False)
        effects = self.put(task)
        if late:
            slot.late.pop(task.id, None)
        else:
            slot.held.pop(task.id, None)
            slot.open.discard(task.id)
            slot.bytes -= len(task.spec)
            self._expiries.pop(task.id, None)
            self._compact(slot)
        if state is not TaskState.LOST:
            del self.tasks[task.id]
        return effects + ([] if late else self.apply(self.rollouts.ended(task), now))

    def _compact(self, slot: Slot) -> None:
        """Tasks that end in the queue leave their places behind; while no agent takes any, they would pile up."""
        if len(slot.queue) > 2 * len(slot.open) + COMPACT_AT:
            slot.queue = [entry for entry in slot.queue if entry[2] in slot.open]
            heapq.heapify(slot.queue)

    def apply(self, decision: Decision, now: Now) -> list[Effect]:
        """Carry out what a rollout decided."""
        effects: list[Effect] = []
        if decision.dispatch is not None:
            dispatch = decision.dispatch
            effects += [Save(dispatch), Publish(Kind.DISPATCH, dispatch.id)]
        stopped = TaskError("rollout_stopped", "the rollout was stopped before this task")
        for task_id in decision.cancel:
            effects += self.cancelled(self.tasks[task_id], stopped, now)
        for task_id in decision.release:
            task = replace(self.tasks[task_id], held=False)
            slot = self.slots[task.agent_id]
            heapq.heappush(slot.queue, (-task.priority, task.seq, task.id))
            effects += [*self.put(task), *self.pump(slot, now)]
        return effects


def _rest_ms(expires_at: int, task: Task, now: Now) -> int:
    """A clock that was put back must not give the task more time than it had in the beginning."""
    return min(expires_at - now.wall_ms, expires_at - task.created_at)


def _task_frame(task: Task) -> msgspec.Raw:
    frame = TaskFrame(
        task_id=task.id,
        attempt_id=task.attempt_id,
        timeout_ms=task.timeout_ms,
        on_disconnect=task.on_disconnect,
    )
    # Both are JSON objects, and a task's own fields never share a name with the frame's
    # (submission refuses such a body), so joining the texts is exact and ten times cheaper
    # than decoding the spec.
    return msgspec.Raw(bytes(task.spec)[:-1] + b"," + msgspec.json.encode(frame)[1:])
