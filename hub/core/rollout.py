"""Rollouts: in which order and how many of a dispatch's tasks may run.

canary --all canaries succeeded--> rolling --all ended--> done
   |                                  |
   +---- a canary did not succeed ----+---- enough failures ----> stopped

A stopped rollout cancels what it has not released; what already runs goes on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from hub.core.model import TERMINAL, Dispatch, DispatchId, DispatchState, Task, TaskId, TaskState

ENDED: Final = frozenset({DispatchState.STOPPED, DispatchState.DONE})


class Decision(msgspec.Struct, frozen=True):
    """What follows from a change: tasks to release, tasks to cancel, the new record or None."""

    release: tuple[TaskId, ...] = ()
    cancel: tuple[TaskId, ...] = ()
    dispatch: Dispatch | None = None


class _Run:
    """One dispatch on its way. `pending` has not been released, `active` has and is open."""

    def __init__(self, dispatch: Dispatch) -> None:
        self.dispatch = dispatch
        self.pending: deque[TaskId] = deque()
        self.active: set[TaskId] = set()
        self.failures = 0


class Rollouts:
    """Every dispatch that has not ended."""

    def __init__(self) -> None:
        self._runs: dict[DispatchId, _Run] = {}

    def __len__(self) -> int:
        return len(self._runs)

    def start(self, dispatch: Dispatch) -> Decision:
        """Take a new dispatch and release its first wave."""
        first = DispatchState.CANARY if dispatch.rollout.canary else DispatchState.ROLLING
        run = _Run(msgspec.structs.replace(dispatch, state=first))
        run.pending.extend(dispatch.tasks)
        self._runs[dispatch.id] = run
        return self._advance(run, changed=True)

    def restore(self, dispatch: Dispatch, tasks: Mapping[TaskId, Task]) -> Decision:
        """Take a dispatch back after a restart; `tasks` holds all its tasks, ended ones too."""
        if dispatch.state in ENDED:
            return Decision()
        run = _Run(dispatch)
        for task_id in dispatch.tasks:
            task = tasks.get(task_id)
            if task is None:
                continue
            if task.state in TERMINAL:
                run.failures += task.state is not TaskState.SUCCEEDED
            elif task.held:
                run.pending.append(task_id)
            else:
                run.active.add(task_id)
        self._runs[dispatch.id] = run
        return self._advance(run, changed=False)

    def ended(self, task: Task) -> Decision:
        """Take note that a task reached a terminal state."""
        run = self._runs.get(task.dispatch_id) if task.dispatch_id is not None else None
        if run is None:
            return Decision()
        if task.id in run.active:
            run.active.discard(task.id)
        elif task.id in run.pending:
            run.pending.remove(task.id)
        else:
            return Decision()
        run.failures += task.state is not TaskState.SUCCEEDED
        return self._advance(run, changed=False)

    def _advance(self, run: _Run, *, changed: bool) -> Decision:
        before = run.dispatch.state
        state = self._next_state(run)
        cancel: tuple[TaskId, ...] = ()
        release: tuple[TaskId, ...] = ()
        if state is DispatchState.STOPPED:
            cancel = tuple(run.pending)
            run.pending.clear()
        elif state is not DispatchState.DONE:
            release = tuple(self._wave(run, state))
        if changed or state is not before:
            run.dispatch = msgspec.structs.replace(run.dispatch, state=state)
            changed = True
        if state in ENDED:
            del self._runs[run.dispatch.id]
        return Decision(release, cancel, run.dispatch if changed else None)

    def _next_state(self, run: _Run) -> DispatchState:
        rollout, state = run.dispatch.rollout, run.dispatch.state
        if 0 < rollout.stop_on_failures <= run.failures:
            return DispatchState.STOPPED
        if state is DispatchState.CANARY:
            if run.failures:
                return DispatchState.STOPPED
            if not run.active and self._gone(run) >= min(rollout.canary, len(run.dispatch.tasks)):
                state = DispatchState.ROLLING
        if not run.active and not run.pending:
            return DispatchState.DONE
        return state

    @staticmethod
    def _gone(run: _Run) -> int:
        return len(run.dispatch.tasks) - len(run.pending) - len(run.active)

    def _wave(self, run: _Run, state: DispatchState) -> Iterable[TaskId]:
        rollout = run.dispatch.rollout
        room = len(run.pending)
        if rollout.concurrency:
            room = min(room, rollout.concurrency - len(run.active))
        if state is DispatchState.CANARY:
            room = min(room, rollout.canary - self._gone(run) - len(run.active))
        for _ in range(room):
            task_id = run.pending.popleft()
            run.active.add(task_id)
            yield task_id
