"""Resume: what a full agent's hello means for the attempts that it has, and for those that it should have.

The agent's attempt log and the task book may differ by everything that was on its way when the last
connection ended. `reconcile` makes the book agree, `make_plan` tells the agent what to do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from hub.core.book import Slot, TaskBook
from hub.core.effects import Effect
from hub.core.model import Now, Task, TaskState
from runtime.wire import AttemptId, AttemptState, HeldAttempt, Plan, Resend


def reconcile(
    book: TaskBook, slot: Slot, held: Mapping[AttemptId, HeldAttempt], now: Now, *, usurped: bool
) -> list[Effect]:
    """Make the book agree with what the agent has in its attempt log.

    `usurped`: the connection of another process of this agent was open until now. What that one was
    offered it may have begun, in an attempt log of its own, so it is not offered to this one.
    """
    effects: list[Effect] = []
    for task_id in list(slot.held):
        task = book.tasks[task_id]
        if task.attempt_id in held:
            effects += _resumed(book, task, held[task.attempt_id], now)
        else:
            effects += _unknown_to_agent(book, task, now, usurped)
    for attempt in held.values():
        task = book.task_of(slot, attempt.attempt_id)
        if task is not None and task.state is TaskState.QUEUED and not task.held:
            # An earlier hello did not name it (it was still on its way), so it was queued again.
            task = book.adopted(task, now)
            effects += _resumed(book, task, attempt, now) or book.put(task)
    return effects


def find_late(book: TaskBook, slot: Slot, held: Iterable[AttemptId]) -> list[Effect]:
    """Note which lost tasks the agent still has; a cancel of one that it does not have is over."""
    named = [book.task_of(slot, attempt) for attempt in held]
    before, slot.late = slot.late, {t.id: None for t in named if t is not None and t.state is TaskState.LOST}
    gone = [book.tasks[task_id] for task_id in before if task_id not in slot.late]
    return [effect for task in gone if task.cancelling for effect in book.cancelling(task, False)]


def make_plan(book: TaskBook, slot: Slot, attempts: Iterable[HeldAttempt], offsets: Mapping[AttemptId, int]) -> Plan:
    """Say what to do with each held attempt; `offsets`: raw output that the hub has of those it wants."""
    keep: list[AttemptId] = []
    kill: list[AttemptId] = []
    forget: list[AttemptId] = []
    for attempt in attempts:
        task = book.task_of(slot, attempt.attempt_id)
        wanted = task is not None and (task.id in slot.held or task.state is TaskState.LOST)
        if wanted:
            keep.append(attempt.attempt_id)
        elif attempt.state is AttemptState.RUNNING:
            kill.append(attempt.attempt_id)
        else:
            forget.append(attempt.attempt_id)
    resend = [Resend(attempt, offsets.get(attempt, 0)) for attempt in keep]
    return Plan(keep=keep, kill=kill, resend=resend, forget=forget)


def _resumed(book: TaskBook, task: Task, attempt: HeldAttempt, now: Now) -> list[Effect]:
    if task.state is TaskState.OFFERED and attempt.state is AttemptState.RUNNING:
        return book.started(task, now)
    return []


def _unknown_to_agent(book: TaskBook, task: Task, now: Now, usurped: bool) -> list[Effect]:
    if task.state is TaskState.RUNNING:
        return book.lost(task, "the agent came back without it", now, may_run=False)
    if usurped:
        why = "another process took the agent's place while it was offered"
        return book.lost(task, why, now, may_run=False)
    if task.cancelling:
        return book.cancelled(task, None, now)
    return book.requeue(task, now)
