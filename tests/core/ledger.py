"""A database as effects make it. Every save is held against the contract as it arrives."""

from __future__ import annotations

from collections import Counter

from msgspec.structs import replace

from hub.core.effects import Delete, Effect, Save
from hub.core.fleet import Stored
from hub.core.model import (
    OPEN,
    TERMINAL,
    TRANSITIONS,
    Agent,
    AuditEntry,
    Dispatch,
    DispatchState,
    Task,
    TaskState,
)

HELD = frozenset({TaskState.OFFERED, TaskState.RUNNING})
ENDED = frozenset({DispatchState.DONE, DispatchState.STOPPED})
FIXED = ("agent_id", "agent_uid", "seq", "spec", "type", "created_at", "max_attempts", "dispatch_id", "priority")


class Ledger:
    """Agents, tasks and dispatches by id. `ran`: attempts that the hub knows to have begun; `ends`: how often a
    task went from open to ended."""

    def __init__(self) -> None:
        self.agents: dict[str, Agent] = {}
        self.tasks: dict[str, Task] = {}
        self.dispatches: dict[str, Dispatch] = {}
        self.audit: list[AuditEntry] = []
        self.ran: set[str] = set()
        self.ends: Counter[str] = Counter()

    def copy(self) -> Ledger:
        other = Ledger()
        other.agents, other.tasks = self.agents.copy(), self.tasks.copy()
        other.dispatches, other.audit = self.dispatches.copy(), self.audit.copy()
        other.ran, other.ends = self.ran.copy(), self.ends.copy()
        return other

    def apply(self, effect: Effect) -> None:
        match effect:
            case Save(Agent() as agent):
                assert agent.epoch >= (self.agents[agent.id].epoch if agent.id in self.agents else 0)
                self.agents[agent.id] = agent
            case Save(Task() as task):
                before = self.tasks.get(task.id)
                overlaid = before is not None and before.state is task.state and before.cancelling != task.cancelling
                assert effect.overlay == overlaid, "counted twice, or not at all"
                self._save_task(task)
            case Save(Dispatch() as dispatch):
                before = self.dispatches.get(dispatch.id)
                assert before is None or before.state not in ENDED, "an ended dispatch changed"
                self.dispatches[dispatch.id] = dispatch
            case Save(AuditEntry() as entry):
                self.audit.append(entry)
            case Delete(Agent() as agent):
                del self.agents[agent.id]
            case Save() | Delete():
                raise AssertionError(f"nothing here should write {effect}")
            case _:
                pass

    def _save_task(self, task: Task) -> None:
        before = self.tasks.get(task.id)
        if before is None:
            assert (task.state, task.attempt) == (TaskState.QUEUED, 1)
        else:
            self._check_move(before, task)
            if before.held and not task.held and task.state in OPEN:
                self._check_release(task)
        self.tasks[task.id] = task
        assert 1 <= task.attempt <= task.max_attempts
        if task.state is TaskState.RUNNING:
            self.ran.add(task.attempt_id)
        if task.state in TERMINAL:
            assert not task.cancelling or task.state is TaskState.LOST
            assert not task.held
            assert task.finished_at is not None
            self.ends[task.id] += before is None or before.state in OPEN

    @staticmethod
    def _check_move(before: Task, after: Task) -> None:
        for name in FIXED:
            assert getattr(before, name) == getattr(after, name), f"{name} changed"
        # A basic agent's task is given and running in one step; so is one that an agent turns out to have.
        allowed = TRANSITIONS[before.state] | ({TaskState.RUNNING} if before.state is TaskState.QUEUED else set())
        assert after.state in allowed or after.state is before.state, f"{before.state} -> {after.state}"
        overlaid = replace(before, cancelling=after.cancelling)
        same = before.state is TaskState.LOST and after == overlaid
        assert after.state is not before.state or before.state not in TERMINAL or same, "an ended task changed"
        if after.attempt != before.attempt:
            assert after.attempt == before.attempt + 1
            assert before.state in HELD
            assert after.state is TaskState.QUEUED
        assert before.held or not after.held, "a released task was taken back"
        assert not before.cancelling or after.cancelling or after.state in TERMINAL, "a cancel was forgotten"
        assert before.state is not TaskState.LOST or same or after.note, "a late result has a note"

    def _check_release(self, task: Task) -> None:
        assert task.dispatch_id is not None
        dispatch = self.dispatches[task.dispatch_id]
        assert dispatch.state not in ENDED, "released after the stop"
        members = [self.tasks[name] for name in dispatch.tasks if name != task.id]
        gone_out = sum(not member.held for member in members) + 1
        active = sum(not member.held and member.state in OPEN for member in members) + 1
        rollout = dispatch.rollout
        assert not rollout.concurrency or active <= rollout.concurrency, "more than concurrency on their way"
        if dispatch.state is DispatchState.CANARY:
            assert gone_out <= rollout.canary, "more than the canaries went out"
        elif rollout.canary:
            first = [self.tasks[name].state for name in dispatch.tasks[: rollout.canary]]
            assert all(state not in OPEN for state in first), "released before the canaries had ended"

    def open_tasks(self) -> dict[str, Task]:
        return {name: task for name, task in self.tasks.items() if task.state in OPEN}

    def stored(self) -> Stored:
        """What a registry gives back: what is open, lost tasks of living agents, tasks of open dispatches."""
        dispatches = [dispatch for dispatch in self.dispatches.values() if dispatch.state not in ENDED]
        wanted = {name for dispatch in dispatches for name in dispatch.tasks}
        uids = {agent.uid for agent in self.agents.values()}
        return Stored(
            agents=list(self.agents.values()),
            tasks=[
                task
                for task in self.tasks.values()
                if task.state in OPEN or task.id in wanted or (task.state is TaskState.LOST and task.agent_uid in uids)
            ],
            dispatches=dispatches,
            next_task_seq=max((task.seq for task in self.tasks.values()), default=0) + 1,
        )
