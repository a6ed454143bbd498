"""A hub's fleet and an agent's core, the real ones, on a network and a clock that a seed controls.

Commits, journals and executions are values here: what was saved survives a killed hub, what was
journaled survives a killed agent, everything else is gone. Each run checks the invariants as it goes.
"""

from __future__ import annotations

import collections
import random
from collections.abc import Iterable
from typing import Any

import msgspec

from hub.core.effects import Effect, Save, Send
from hub.core.model import TERMINAL, TRANSITIONS, AgentId, Task, TaskState
from runtime import effects as done
from runtime.core import Core
from runtime.records import Record
from runtime.wire import (
    Accepted,
    AttemptId,
    Cancel,
    Exec,
    Health,
    HeldAttempt,
    Hello,
    Message,
    ResponseStatus,
    TaskFrame,
    Welcome,
    decode_task_spec,
)
from tests.core.support import Desk, make_hello

SPEC = msgspec.Raw(msgspec.json.encode(Exec(command="x")))
DRAWS = 300


class CheckedDesk(Desk):
    """A desk that looks at every record on its way to the disk."""

    world: World

    def take(self, effects: list[Effect]) -> list[Effect]:
        for effect in effects:
            if isinstance(effect, Save) and isinstance(effect.record, Task):
                self._check(effect.record)
                super().take([effect])
        return effects

    def _check(self, task: Task) -> None:
        before = self.tasks.get(task.id)
        if before is not None and before.state is not task.state:
            assert task.state in TRANSITIONS[before.state], f"I1: {task.id}: {before.state} -> {task.state}"
        assert task.attempt <= task.max_attempts, f"I3: {task}"
        if task.state is TaskState.CANCELLED:
            assert task.attempt_id not in self.world.alive, f"{task.attempt_id} is cancelled and still runs"


class World:
    """One hub, one agent, and what is on its way between them."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.desk = CheckedDesk()
        self.desk.world = self
        self.up: collections.deque[Message] = collections.deque()
        self.down: collections.deque[Message | TaskFrame] = collections.deque()
        self.open = False
        self.welcomed = False
        self.greeted = False
        self.hellos_waiting = 0
        self.alive: dict[AttemptId, bool] = {}
        """Executing attempts; True: it was told to stop."""
        self.stopped_early: set[AttemptId] = set()
        self.executions: collections.Counter[AttemptId] = collections.Counter()
        self.journal: list[Record] = []
        self.unsynced: collections.deque[tuple[list[Record], list[done.Effect]]] = collections.deque()
        """Records on their way to the agent's disk, each with what waits for it."""
        self.concurrency = self.chance.choice([1, 2])
        self.core = Core(self.concurrency)
        self.instance = 0
        self.submitted = 0
        self.cancels: set[str] = set()

    # --- a run

    def run(self) -> None:
        actions = (
            [self.submit] * 3
            + [self.cancel, self.cancel_again]
            + [self.deliver_down, self.deliver_up, self.sync] * 6
            + [self.finish] * 3
            + [self.dial] * 2
            + [self.break_off, self.kill_agent, self.kill_hub, self.wait, self.report, self.repeat]
        )
        for _ in range(DRAWS):
            self.chance.choice(actions)()
        self.settle()
        self.check_end()

    def settle(self) -> None:
        """No more faults: everything that can happen happens."""
        quiet = 0
        for _ in range(5_000):
            if not self.open:
                self.dial()
            self.deliver_down()
            self.sync()
            self.deliver_up()
            if self.up or self.down or self.unsynced:
                quiet = 0
            elif self.alive:
                self.finish()
            elif quiet:
                return
            else:
                quiet += 1
                self.report()
        raise AssertionError("it does not come to rest")

    def check_end(self) -> None:
        for task in self.desk.tasks.values():
            assert task.state in TERMINAL, f"I1: {task} has not ended"
        assert len(self.desk.tasks) == self.submitted
        twice = {attempt for attempt, count in self.executions.items() if count > 1}
        assert not twice, f"I2: {twice} ran more than once"
        assert self.core.held() == (), f"I5: results that the hub never took: {self.core.held()}"
        book = self.desk.fleet.dispatcher.book
        assert not book.slots[AgentId("a")].held

    # --- what can happen

    def submit(self) -> None:
        name = f"t{self.submitted}"
        self.submitted += 1
        retries: dict[str, Any] = {}
        if self.chance.random() < 0.3:
            retries = {"max_attempts": 3, "retry_on": frozenset({"lost", "interrupted", "exit_code"})}
        self.perform_hub(self.desk.submit(name, spec=SPEC, type="exec", **retries))

    def cancel(self) -> None:
        open_tasks = [name for name, task in self.desk.tasks.items() if task.state not in TERMINAL]
        if open_tasks:
            self._cancel(self.chance.choice(open_tasks))

    def cancel_again(self) -> None:
        again = [name for name in sorted(self.cancels) if self.desk.tasks[name].state not in TERMINAL]
        if again:
            self._cancel(self.chance.choice(again))

    def _cancel(self, name: str) -> None:
        self.cancels.add(name)
        self.perform_hub(self.desk.cancel(name))

    def deliver_down(self) -> None:
        if not self.down:
            return
        message = self.down.popleft()
        now = self.moment()
        match message:
            case TaskFrame():
                self.perform_agent(self.core.deliver(now, message, decode_task_spec(SPEC)))
            case Cancel():
                self.perform_agent(self.core.cancel(now, message.attempt_id, message.grace_ms))
            case Welcome():
                self.welcomed = True
                self.perform_agent(self.core.connected(now, message))
            case _:
                self.perform_agent(self.core.acked(getattr(message, "responses", [])))

    def deliver_up(self) -> None:
        if not self.up:
            return
        message = self.up.popleft()
        if isinstance(message, Hello):
            assert not self.greeted
            self.greeted = True
            self.perform_hub(
                self.desk.connect("a", message.attempts, instance=message.instance, concurrency=message.concurrency)
            )
        else:
            self.perform_hub(self.desk.frame(message))

    def finish(self) -> None:
        """An execution ends: by itself, or because it was told to stop and is dead now."""
        if not self.alive:
            return
        attempt = self.chance.choice(sorted(self.alive))
        stopped = self.alive.pop(attempt)
        if stopped and self.chance.random() < 0.7:
            outcome = done.Outcome(status=ResponseStatus.FAILED, exit_code=-15)
        elif self.chance.random() < 0.2:
            outcome = done.Outcome(status=ResponseStatus.FAILED, exit_code=1)
        else:
            outcome = done.Outcome(status=ResponseStatus.SUCCEEDED, exit_code=0)
        self.perform_agent(self.core.finished(self.moment(), attempt, outcome))

    def dial(self) -> None:
        if self.open:
            return
        self.open = True
        self.hellos_waiting += 1
        self.perform_agent(self.core.hello())

    def break_off(self) -> None:
        """The connection is gone; the hub may learn of it now, or only from the next one."""
        if not self.open:
            return
        self._forget_connection()
        self.perform_agent(self.core.disconnected(self.moment()))

    def kill_agent(self) -> None:
        """What it ran dies with it; the journal is what it knows afterwards."""
        self._forget_connection()
        self.unsynced.clear()
        self.hellos_waiting = 0
        self.alive.clear()
        self.stopped_early.clear()
        self.instance += 1
        self.core, effects = Core.restore(self.concurrency, self.journal)
        self.perform_agent(effects)

    def kill_hub(self) -> None:
        self.perform_hub(self.desk.restart())
        self.desk.epoch.clear()
        if self.open:
            self._forget_connection()
            self.perform_agent(self.core.disconnected(self.moment()))

    def wait(self) -> None:
        self.perform_hub(self.desk.tick(self.chance.choice([1.0, 60.0, 4_000.0])))

    def repeat(self) -> None:
        """Something that is on its way to the agent arrives once more."""
        if self.down:
            self.down.append(self.chance.choice(list(self.down)))

    def report(self) -> None:
        """The agent's health."""
        if self.welcomed:
            self.up.append(Health())

    def _forget_connection(self) -> None:
        self.up.clear()
        self.down.clear()
        was_open, self.open, self.welcomed, self.greeted = self.open, False, False, False
        if was_open and "a" in self.desk.epoch and self.chance.random() < 0.7:
            self.perform_hub(self.desk.close(clean=False))

    # --- effects

    def perform_hub(self, effects: Iterable[Effect]) -> None:
        """Everything was saved; a hub killed now sends nothing of it."""
        for effect in effects:
            # Until its hello is read, a new connection is none of the epochs that the hub knows.
            if not isinstance(effect, Send) or not self.greeted or effect.epoch != self.desk.epoch.get("a"):
                continue
            if isinstance(effect.payload, msgspec.Raw):
                self.down.append(msgspec.json.decode(effect.payload, type=TaskFrame))
            else:
                self.down.append(effect.payload)

    def perform_agent(self, effects: Iterable[done.Effect]) -> None:
        """Stops at once; everything else in order, what follows a record when that is on the disk."""
        records: list[Record] = []
        behind: list[done.Effect] = []
        for effect in effects:
            if isinstance(effect, done.Stop):
                self._do(effect)
            elif not isinstance(effect, done.Journal):
                behind.append(effect)
            else:
                if behind:
                    self.unsynced.append((records, behind))
                    records, behind = [], []
                records.append(effect.record)
        self.unsynced.append((records, behind))

    def sync(self) -> None:
        if self.unsynced:
            records, behind = self.unsynced.popleft()
            self.journal += records
            for effect in behind:
                self._do(effect)

    def _do(self, effect: done.Effect) -> None:
        match effect:
            case done.SendHello():
                self.hellos_waiting -= 1
                if self.hellos_waiting or not self.open:
                    return  # of an earlier connection, held up by the disk
                attempts = [HeldAttempt(attempt, state) for attempt, state in effect.held]
                self.up.append(make_hello(attempts, instance=str(self.instance), concurrency=self.concurrency))
            case done.ReportAccepted() if self.welcomed:
                self.up.append(Accepted(effect.attempt_id))
            case done.ReportResponse() if self.welcomed:
                self.up.append(effect.response)
            case done.Start():
                stopped = effect.attempt_id in self.stopped_early
                self.executions[effect.attempt_id] += not stopped
                self.alive[effect.attempt_id] = stopped
            case done.Stop() if effect.attempt_id not in self.alive:
                # It overtook the start, as the executor expects.
                self.stopped_early.add(effect.attempt_id)
            case done.Stop() | done.EndRemnants():
                self.alive[effect.attempt_id] = True
            case _:
                pass

    def moment(self) -> done.Moment:
        now = self.desk.clock.now
        return done.Moment(now.mono, now.wall_ms)
