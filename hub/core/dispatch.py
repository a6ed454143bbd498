"""Dispatch: which agent gets which attempt when, and what every report about it means (a hello: `hub.core.resume`).

Rules (delivery contract in the documentation):

* A task belongs to one agent and never changes it. Higher priority first, then submission order.
* At most `concurrency` attempts are offered to an agent; one to a basic agent.
* Delivery is at least once: an offered attempt that the agent does not know at its next hello is
  queued again under the same attempt id. Execution at most once per attempt is the agent's part.
* A report of a superseded connection, of another agent, or of an attempt that is not the task's
  present one changes nothing.
* `model.TRANSITIONS` is the only list of allowed changes.

The caller commits what is returned before anything is sent; see `hub.core.effects`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from msgspec.structs import replace

from hub.core import resume
from hub.core.book import DispatchLimits, Slot, TaskBook
from hub.core.effects import Effect, Save, Send
from hub.core.guard import Decider
from hub.core.model import (
    TERMINAL,
    AgentId,
    AgentUid,
    AuditEntry,
    Dispatch,
    Now,
    RetryOn,
    Task,
    TaskId,
    TaskState,
    parse_attempt_id,
)
from hub.errors import NotFound
from runtime.wire import (
    Ack,
    AttemptId,
    Cancel,
    HeldAttempt,
    Response,
    ResponseStatus,
    TaskError,
    Welcome,
)

_BY_STATUS: Final = {
    ResponseStatus.SUCCEEDED: TaskState.SUCCEEDED,
    ResponseStatus.FAILED: TaskState.FAILED,
    ResponseStatus.CANCELLED: TaskState.CANCELLED,
    ResponseStatus.TIMED_OUT: TaskState.TIMED_OUT,
    ResponseStatus.REJECTED: TaskState.REJECTED,
}


class Dispatcher(Decider, also=("forget",)):
    """Turns submissions, connections, reports and time into moves of the task book."""

    def __init__(self, limits: DispatchLimits) -> None:
        self.book = TaskBook(limits)
        self.next_seq = 1

    # --- agents

    def add_agent(self, agent_id: AgentId, uid: AgentUid, now: Now, *, basic: bool = False) -> None:
        """Make room for a new (or restored) agent; it counts as silent from `now`."""
        self.book.slots[agent_id] = Slot(agent_id, uid, basic=basic, silent_since=now.mono)

    def restore(self, tasks: Iterable[Task], dispatches: Iterable[Dispatch], now: Now) -> list[Effect]:
        """Take all open and lost tasks back after a start; silence is counted from `now`."""
        by_id = {task.id: task for task in tasks}
        for task in sorted(by_id.values(), key=lambda task: task.seq):
            self.next_seq = max(self.next_seq, task.seq + 1)
            slot = self.book.slots.get(task.agent_id)
            if slot is None or slot.uid != task.agent_uid:
                continue
            if task.state is TaskState.LOST:
                self.book.tasks[task.id] = task
                if not slot.basic:
                    slot.late[task.id] = None
            elif task.state not in TERMINAL:
                self.book.take(slot, task, now)
                self.book.arm_restored(slot, task, now)
        effects: list[Effect] = []
        for dispatch in dispatches:
            effects += self.book.apply(self.book.rollouts.restore(dispatch, by_id), now)
        return effects

    def remove_agent(self, agent_id: AgentId, now: Now) -> list[Effect]:
        """The agent is destroyed: its open tasks are cancelled."""
        slot = self.book.slots.get(agent_id)
        if slot is None:
            return []
        slot.accepting = False
        effects: list[Effect] = []
        error = TaskError("agent_destroyed", f"agent {agent_id} was destroyed")
        for task_id in sorted(slot.open):
            task = self.book.tasks.get(task_id)
            if task is not None and task.state not in TERMINAL:
                effects += self.book.cancelled(task, error, now)
        effects += resume.find_late(self.book, slot, ())
        for task_id in [key for key, task in self.book.tasks.items() if task.agent_uid == slot.uid]:
            del self.book.tasks[task_id]
        del self.book.slots[agent_id]
        return effects

    def set_accepting(self, agent_id: AgentId, accepting: bool, now: Now) -> list[Effect]:
        """Offer nothing new while not `accepting` (paused, draining, quarantined)."""
        slot = self.book.slots.get(agent_id)
        if slot is None or slot.accepting is accepting:
            return []
        slot.accepting = accepting
        return list(self.book.pump(slot, now))

    def set_paused(self, agent_id: AgentId, paused: bool, now: Now) -> None:
        """While the hub itself holds the agent still, its silence is not counted."""
        slot = self.book.slots.get(agent_id)
        if slot is None or slot.paused is paused:
            return
        slot.paused, slot.silent_since = paused, None
        if not paused and not slot.connected:
            self.silent(agent_id, now)

    # --- submission

    def submit(self, task: Task, now: Now, *, expires_in_ms: int | None = None) -> list[Effect]:
        """Take a new task; `seq` is given here.

        Raises:
            NotFound: the agent does not exist.
            QueueFull: the agent's queue has reached its bound in tasks or bytes.
        """
        slot = self.book.slot_with_room(task.agent_id, 1, len(task.spec))
        task = replace(task, seq=self.next_seq)
        self.next_seq += 1
        self.book.take(slot, task, now)
        if expires_in_ms is not None:
            self.book.expire_at(task.id, now.mono + expires_in_ms / 1000)
        return [*self.book.put(task), *self.book.pump(slot, now)]

    def submit_all(
        self, dispatch: Dispatch, tasks: Iterable[Task], now: Now, *, expires_in_ms: int | None
    ) -> list[Effect]:
        """Take a dispatch with all its tasks, or nothing of it.

        Raises:
            NotFound, QueueFull: as `submit`, for any of the agents.
        """
        tasks = list(tasks)
        wanted: dict[AgentId, tuple[int, int]] = {}
        for task in tasks:
            count, size = wanted.get(task.agent_id, (0, 0))
            wanted[task.agent_id] = (count + 1, size + len(task.spec))
        for agent_id, (count, size) in wanted.items():
            self.book.slot_with_room(agent_id, count, size)
        effects: list[Effect] = []
        for task in tasks:
            effects += self.submit(replace(task, held=True), now, expires_in_ms=expires_in_ms)
        return effects + self.book.apply(self.book.rollouts.start(dispatch), now)

    # --- connections

    def connect(
        self,
        agent_id: AgentId,
        epoch: int,
        now: Now,
        *,
        concurrency: int,
        attempts: Iterable[HeldAttempt],
        offsets: Mapping[AttemptId, int],
        welcome: Welcome,
        accepting: bool = True,
        usurped: bool = False,
    ) -> list[Effect]:
        """A full agent said hello. The answer is a whole plan, never a patch of an old one."""
        slot = self.book.slots[agent_id]
        slot.epoch, slot.connected, slot.leaving, slot.basic = epoch, True, False, False
        slot.concurrency, slot.silent_since = max(1, concurrency), None
        # What the plan ends may release tasks of a rollout: none goes out before the welcome.
        slot.accepting = False
        held = {attempt.attempt_id: attempt for attempt in attempts}
        effects = resume.reconcile(self.book, slot, held, now, usurped=usurped)
        effects += resume.find_late(self.book, slot, held)
        plan = resume.make_plan(self.book, slot, held.values(), offsets)
        effects.append(Send(agent_id, epoch, "welcome", replace(welcome, plan=plan)))
        for task_id in (*slot.held, *slot.late):
            task = self.book.tasks[task_id]
            if task.cancelling and task.attempt_id in held:
                effects.append(self._send_cancel(slot, task))
        slot.accepting = accepting
        return effects + list(self.book.pump(slot, now))

    def connect_basic(self, agent_id: AgentId, epoch: int, now: Now, *, accepting: bool = True) -> list[Effect]:
        """A basic agent dialled in: it gets no plan, and what it was sent is not sent again."""
        slot = self.book.slots[agent_id]
        if not slot.basic:
            # It was a full agent, which keeps timeouts itself; now the hub has to.
            for task_id in slot.held:
                self.book.arm_timeout(self.book.tasks[task_id], now)
        slot.epoch, slot.connected, slot.leaving, slot.basic = epoch, True, False, True
        slot.concurrency, slot.silent_since, slot.accepting = 1, None, accepting
        return [*resume.find_late(self.book, slot, {}), *self.book.pump(slot, now)]

    def leaving(self, agent_id: AgentId) -> None:
        """The agent's connection is about to end; nothing more goes out over it."""
        slot = self.book.slots.get(agent_id)
        if slot is not None:
            slot.leaving = True

    def disconnect(self, agent_id: AgentId, epoch: int, now: Now) -> None:
        """The connection `epoch` ended; a superseded one changes nothing."""
        slot = self.book.slots.get(agent_id)
        if slot is not None and slot.epoch == epoch and slot.connected:
            slot.connected = False
            self.silent(agent_id, now)

    def silent(self, agent_id: AgentId, now: Now) -> None:
        """Nothing is heard of the agent; its held tasks will be lost if that goes on."""
        slot = self.book.slots.get(agent_id)
        if slot is None or slot.paused or slot.silent_since is not None:
            return
        slot.silent_since = now.mono
        slot.silences += 1
        for task_id in slot.held:
            self.book.arm_lost(slot, self.book.tasks[task_id], now)

    def heard(self, agent_id: AgentId, now: Now) -> list[Effect]:
        """The agent gave a sign of life: silence is over, and tasks go to it again."""
        slot = self.book.slots.get(agent_id)
        if slot is None or slot.silent_since is None:
            return []
        slot.silent_since = None
        return list(self.book.pump(slot, now))

    # --- reports

    def accepted(self, agent_id: AgentId, epoch: int, attempt: AttemptId, now: Now) -> list[Effect]:
        """The agent has the attempt in its log and runs it."""
        slot = self.book.live(agent_id, epoch)
        task = self.book.task_of(slot, attempt) if slot is not None else None
        if task is None or task.state is not TaskState.OFFERED:
            return []
        return self.book.started(task, now)

    def respond(self, agent_id: AgentId, epoch: int, response: Response, now: Now) -> list[Effect]:
        """An attempt ended. It is acknowledged after the commit, whatever it meant."""
        slot = self.book.live(agent_id, epoch)
        if slot is None:
            return []
        if slot.basic:
            return self._respond_basic(slot, response, now)
        attempt = response.attempt_id
        if attempt is None:
            return []
        ack: Effect = Send(agent_id, epoch, "ack", Ack(responses=[attempt]))
        task = self.book.task_of(slot, attempt)
        if task is None:
            return [*self._stale(agent_id, attempt, now), ack]
        if task.state is TaskState.QUEUED:
            # The agent disowned it at its hello. Without an acknowledgement it keeps the result,
            # and gives it again when the attempt is delivered again.
            return []
        return [*self._ended(task, response, now), ack, *self.book.pump(slot, now)]

    def _respond_basic(self, slot: Slot, response: Response, now: Now) -> list[Effect]:
        task = self._named_by_basic(slot, response)
        if task is None or task.state is TaskState.QUEUED:
            return []
        return [*self._ended(task, response, now), *self.book.pump(slot, now)]

    def _named_by_basic(self, slot: Slot, response: Response) -> Task | None:
        """A basic agent need not know attempts; one that names an attempt means that one only."""
        if response.attempt_id is not None:
            return self.book.task_of(slot, response.attempt_id)
        task = self.book.tasks.get(TaskId(response.task_id or ""))
        return task if task is not None and task.agent_uid == slot.uid else None

    def _ended(self, task: Task, response: Response, now: Now) -> list[Effect]:
        late = task.state is TaskState.LOST
        reason = _retry_reason(response)
        if not late and reason is not None and self.book.may_retry(task, reason, now):
            return self.book.next_attempt(task, f"attempt {task.attempt}: {reason}", now)
        ended = replace(
            task,
            exit_code=response.exit_code,
            stdout=response.stdout,
            stderr=response.stderr,
            result=response.result,
            error=response.error,
            started_at=_plausible(response.started_at, task.started_at or now.wall_ms, task, now),
            finished_at=_plausible(response.finished_at, now.wall_ms, task, now),
            truncated=response.truncated,
            note="late result: the task had been lost" if late else task.note,
        )
        return self.book.end(ended, _BY_STATUS[response.status], now)

    def _stale(self, agent_id: AgentId, attempt: AttemptId, now: Now) -> list[Effect]:
        parsed = parse_attempt_id(attempt)
        task = self.book.tasks.get(parsed[0]) if parsed is not None else None
        if task is None:
            return []
        detail = f"result of {attempt}, but attempt {task.attempt} of {task.agent_id} is present"
        return [
            Save(
                AuditEntry(
                    at=now.wall_ms,
                    who=f"agent:{agent_id}",
                    what="task.result",
                    target=task.id,
                    outcome="superseded",
                    detail=detail,
                )
            )
        ]

    # --- cancel

    def cancel(self, task_id: TaskId, now: Now) -> list[Effect]:
        """Cancel an open task: at once when no agent has it, else when the agent confirms. A lost one that
        its agent may still run is ended there, and stays lost until the agent says how it ended.

        Raises:
            NotFound: no such task that is open or may still run.
        """
        task = self.book.tasks.get(task_id)
        slot = self.book.slots[task.agent_id] if task is not None else None
        if task is None or slot is None or (task.state in TERMINAL and task_id not in slot.late):
            raise NotFound(f"there is no open task {task_id}")
        if task.state is TaskState.QUEUED or slot.basic:
            return [*self.book.cancelled(task, None, now), *self.book.pump(slot, now)]
        if task.cancelling:
            return []
        effects = self.book.cancelling(task, True)
        if slot.connected:
            effects.append(self._send_cancel(slot, task))
        return effects

    def _send_cancel(self, slot: Slot, task: Task) -> Send:
        order = Cancel(task.attempt_id, self.book.limits.cancel_grace_ms)
        return Send(slot.agent_id, slot.epoch, "cancel", order)

    # --- time

    def next_deadline(self) -> float | None:
        """Monotonic time at which `tick` has something to look at."""
        return self.book.next_deadline()

    def tick(self, now: Now) -> list[Effect]:
        """Expire queued tasks, end silent agents' tasks, time out basic agents' tasks."""
        effects: list[Effect] = []
        while (due := self.book.pop_due(now)) is not None:
            task = self.book.tasks.get(due.task_id)
            if task is None or task.state in TERMINAL:
                continue
            if not self.book.is_due(task, due):
                continue
            if due.kind == "lost":
                effects += self.book.lost(task, "its agent has been silent for too long", now, may_run=True)
            else:
                ended = TaskState.EXPIRED if due.kind == "expire" else TaskState.TIMED_OUT
                effects += self.book.end(task, ended, now)
            effects += self.book.pump(self.book.slots[task.agent_id], now)
        return effects

    def forget(self, task_ids: Iterable[TaskId]) -> None:
        """Drop lost tasks that retention has removed; late results are not wanted any more."""
        for task_id in task_ids:
            task = self.book.tasks.get(task_id)
            if task is not None and task.state in TERMINAL:
                self.book.slots[task.agent_id].late.pop(task_id, None)
                del self.book.tasks[task_id]


def _retry_reason(response: Response) -> RetryOn | None:
    if response.status is not ResponseStatus.FAILED:
        return None
    if response.error is not None and response.error.code == RetryOn.INTERRUPTED:
        return RetryOn.INTERRUPTED
    return RetryOn.EXIT_CODE if response.exit_code else None


def _plausible(reported: int | None, fallback: int, task: Task, now: Now) -> int:
    """An agent's clock may be wrong: its time counts only inside what the hub has seen."""
    if reported is None or not task.created_at <= reported <= now.wall_ms:
        return fallback
    return reported
