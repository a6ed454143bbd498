"""A hub around the fleet under test: pipeline, database, connections and agents, with the contract as its conscience.

`decided` is the database as the fleet believes it to be, `durable` as far as it was committed. Everything the fleet
returns passes through `decide`, which looks at every effect in its place in the order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from hub.core.effects import Close, Effect, Kind, Publish, Save, Send
from hub.core.fleet import Fleet, FleetLimits
from hub.core.model import OPEN, TERMINAL, AgentId, Connection, Desired, Task, TaskState, parse_attempt_id
from runtime.wire import Ack, AttemptId, Bye, Cancel, Health, Message, Plan, Resend, Response, Welcome
from tests.core import oracle
from tests.core.ledger import HELD, Ledger
from tests.core.runtimes import Link, Runtime
from tests.core.support import Clock, make_agent, sent, task_fields

OFFSET = 7
FAILED = TERMINAL - {TaskState.SUCCEEDED}


class World:
    def __init__(self, limits: FleetLimits) -> None:
        self.limits = limits
        self.clock = Clock()
        self.fleet = Fleet(limits)
        self.decided, self.durable = Ledger(), Ledger()
        self.pending: list[list[Effect]] = []
        self.holding = False
        self.ticking = False
        self.submitted: list[str] = []
        self.acknowledged: set[str] = set()
        self.runtimes: dict[str, Runtime] = {}
        self.links: list[Link] = []
        self.patience = oracle.Patience(limits)
        self.incarnations = 0
        self.late: set[str] = set()
        """Lost tasks that their agents may still run."""

    # --- the pipeline

    def decide(self, effects: list[Effect]) -> list[Effect]:
        """Check effects in their order, as decided; commit them unless commits are held up."""
        saved: set[str] = set()
        for effect in effects:
            if isinstance(effect, Save) and isinstance(effect.record, Task):
                self._check_late(effect.record)
            match effect:
                case Send():
                    self._check_send(effect)
                case Close():
                    link = self.link_of(effect.agent_id)
                    assert link is not None
                    assert (effect.epoch, link.told) == (link.epoch, False), "closed what is not open"
                    link.told = True
                    self.patience.disconnected(link.name, self.clock.mono)
                case Publish(kind=Kind.TASK, id=name):
                    assert name in saved, "published before it was saved"
                case _:
                    self.decided.apply(effect)
            if isinstance(effect, Save) and isinstance(effect.record, Task):
                saved.add(effect.record.id)
                self.patience.saw(effect.record, self.clock.mono)
        self.pending.append(effects)
        if not self.holding:
            self.commit()
        return effects

    def commit(self) -> None:
        """Commit what was decided, then release its sends and answers."""
        batches, self.pending = self.pending, []
        for effect in (effect for effects in batches for effect in effects):
            if not isinstance(effect, Send | Close | Publish):
                self.durable.apply(effect)
        for effect in (effect for effects in batches for effect in effects):
            if isinstance(effect, Send):
                link = self.link_of(effect.agent_id)
                if link is not None and link.epoch == effect.epoch and not link.told:
                    link.down.append(effect)
        self.acknowledged.update(self.submitted)
        self.submitted.clear()

    def crash(self) -> None:
        """The hub is killed, or a commit failed: memory and connections are gone, the database is as committed."""
        self.pending.clear()
        self.submitted.clear()
        self.decided = self.durable.copy()
        # An epoch that was never committed is given again; the hub tells such links apart by identity.
        self.links = [
            link
            for link in self.links
            if link.name in self.decided.agents and link.epoch <= self.decided.agents[link.name].epoch
        ]
        for link in self.links:
            link.told = True
        for runtime in self.runtimes.values():
            runtime.link = None
        self.runtimes = {name: runtime for name, runtime in self.runtimes.items() if name in self.decided.agents}
        for agent in self.decided.agents.values():
            known = self.runtimes.get(agent.id)
            if known is None or known.uid != agent.uid:
                self.runtimes[agent.id] = Runtime(agent.id, agent.uid, 1)
        self.patience.restarted(self.decided, self.clock)
        agents = {agent.uid: agent for agent in self.decided.agents.values() if not agent.basic}
        self.late = {t.id for t in self.decided.tasks.values() if t.state is TaskState.LOST and t.agent_uid in agents}
        self.fleet = Fleet(self.limits)
        self.decide(self.fleet.restore(self.durable.stored(), self.clock.now))

    # --- agents and connections

    def add_agent(self, name: str, places: int) -> None:
        self.incarnations += 1
        agent = make_agent(name, uid=f"{name}-{self.incarnations}")
        self.runtimes[name] = Runtime(name, agent.uid, places)
        self.patience.began(name, self.clock.mono)
        self.decide(self.fleet.add_agent(agent, self.clock.now))

    def remove_agent(self, name: str) -> None:
        runtime = self.runtimes.pop(name)
        self.late -= {task.id for task in self.decided.tasks.values() if task.agent_uid == runtime.uid}
        self.decide(self.fleet.remove_agent(AgentId(name), self.clock.now))
        for task in self.decided.tasks.values():
            assert task.agent_uid != runtime.uid or task.state in TERMINAL, "an open task of a destroyed agent"
        self.links = [link for link in self.links if link.name != name]

    def link_of(self, name: str) -> Link | None:
        """The agent's newest connection."""
        return next((link for link in reversed(self.links) if link.name == name), None)

    def live(self, name: str) -> Link | None:
        """The connection that the hub takes for open."""
        link = self.link_of(name)
        return link if link is not None and not link.told else None

    def connect(self, name: str, *, straggler: bool) -> None:
        """`straggler`: a frame of the connection before reaches the agent just after its hello."""
        runtime, before = self.runtimes[name], self.live(name)
        hello = runtime.hello()
        named = {attempt.attempt_id for attempt in hello.attempts} if hello is not None else set[str]()
        lost = {
            t.id: t for t in self.decided.tasks.values() if t.state is TaskState.LOST and t.agent_uid == runtime.uid
        }
        self.late -= {task.id for task in lost.values() if task.attempt_id not in named}
        self.late |= {task.id for task in lost.values() if task.attempt_id in named}
        offsets = {AttemptId(attempt): OFFSET for attempt in runtime.log}
        epoch, effects = self.fleet.connect(AgentId(name), hello, self.clock.now, welcome=Welcome(), offsets=offsets)
        closed = [effect.epoch for effect in effects if isinstance(effect, Close)]
        assert closed == ([before.epoch] if before is not None else []), "the connection before was not superseded"
        if before is not None:
            before.told = True
        old, runtime.link = runtime.link, None
        if straggler and old is not None and old.down:
            runtime.receive(old.down.popleft())
        runtime.link = Link(name, epoch, basic=hello is None)
        self.links.append(runtime.link)
        self.patience.connected(name, self.clock.mono)
        closing = [effect for effect in effects if isinstance(effect, Close)]
        self.decide([effect for effect in effects if effect not in closing])
        if hello is not None:
            (welcome,) = [effect for effect in effects if isinstance(effect, Send) and effect.kind == "welcome"]
            self._check_plan(cast(Welcome, welcome.payload).plan, {attempt.attempt_id for attempt in hello.attempts})
            ordered = {send.payload.attempt_id for send in sent(effects, "cancel") if isinstance(send.payload, Cancel)}
            wanted = [t for t in self.decided.tasks.values() if t.state in OPEN or t.state is TaskState.LOST]
            assert ordered == {t.attempt_id for t in wanted if t.agent_uid == runtime.uid and t.cancelling}
        for task_id in lost:
            assert task_id in self.late or not self.decided.tasks[task_id].cancelling, (
                "a cancel that nobody can confirm"
            )

    def disconnect(self, link: Link, *, clean: bool) -> None:
        """The hub learns that a connection ended; an old one must change nothing."""
        current = self.live(link.name) is link
        if current:
            self.patience.disconnected(link.name, self.clock.mono)
        runtime = self.runtimes.get(link.name)
        if runtime is not None and runtime.link is link:
            runtime.link = None
        link.told = True
        call: Callable[[], list[Effect]] = lambda: self.fleet.disconnected(  # noqa: E731
            AgentId(link.name), link.epoch, self.clock.now, clean=clean
        )
        if current:
            self.decide(call())
        else:
            self.unmoved(call)

    def unmoved(self, call: Callable[[], list[Effect]]) -> None:
        before = oracle.dump(self.fleet)
        assert call() == []
        assert oracle.dump(self.fleet) == before, "a stale message changed something"

    def frame(self, link: Link, message: Message) -> None:
        """One frame reaches the hub."""
        call: Callable[[], list[Effect]] = lambda: self.fleet.frame(  # noqa: E731
            AgentId(link.name), link.epoch, message, self.clock.now
        )
        if self.live(link.name) is not link:
            self.unmoved(call)
            return
        if link.basic:
            self.pong(link)
        if isinstance(message, Health):
            self.patience.heard(link.name, self.clock.mono)
        link.bye = link.bye or isinstance(message, Bye)
        if isinstance(message, Response):
            expect = oracle.expected(self, link, message)
            expect(self.decide(call()))
        else:
            self.decide(call())

    def pong(self, link: Link) -> None:
        """Any frame or pong; the hub says it before it looks at the frame."""
        if link.basic:
            self.patience.heard(link.name, self.clock.mono)
        self.decide(self.fleet.heard(AgentId(link.name), link.epoch, self.clock.now))

    def converse(self, name: str) -> None:
        """Let everything that is on its way arrive."""
        while (runtime := self.runtimes.get(name)) is not None and (link := runtime.link) is not None:
            if link.down:
                runtime.receive(link.down.popleft())
            elif link.up:
                self.frame(link, link.up.popleft())
            else:
                return

    def desire(self, name: str, desired: Desired) -> None:
        before = self.decided.agents[name].desired
        self.patience.desired(name, before, desired, self.clock.mono)
        self.decide(self.fleet.desire(AgentId(name), desired, self.clock.now))

    def tick(self) -> None:
        before = self.decided.tasks.copy()
        self.ticking = True
        self.decide(self.fleet.tick(self.clock.now))
        self.ticking = False
        self.patience.check(self, before)
        deadline = self.fleet.next_deadline()
        assert deadline is None or deadline > self.clock.mono

    # --- the contract

    def _check_send(self, send: Send) -> None:
        link = self.link_of(send.agent_id)
        assert link is not None
        assert (send.epoch, link.told) == (link.epoch, False), "sent to a connection that is not open"
        match send.payload:
            case Welcome():
                link.welcome_decided = True
            case Ack(responses=responses):
                for attempt in responses:
                    task = self._present(attempt)
                    if task is not None and task.agent_id == send.agent_id:
                        assert task.state in TERMINAL, "acknowledged before its end was saved"
            case Cancel(attempt_id=attempt):
                task = self._present(attempt)
                assert task is not None
                assert task.cancelling
                assert task.state in HELD or task.id in self.late
            case _:
                self._check_offer(link, task_fields(send))

    def _check_late(self, task: Task) -> None:
        """Called before the save: who is lost in silence may still run, who is lost at a hello does not."""
        before = self.decided.tasks.get(task.id)
        if before is not None and task.state is TaskState.LOST and before.state in OPEN:
            if self.ticking and not self.decided.agents[task.agent_id].basic:
                self.late.add(task.id)
            assert task.cancelling == (before.cancelling and task.id in self.late), "a cancel was forgotten"
        elif before is not None and task.state is TaskState.LOST:
            assert task.cancelling == (task.id in self.late), "cancelled what cannot run, or forgot it"
        else:
            self.late.discard(task.id)

    def _present(self, attempt: str) -> Task | None:
        parsed = parse_attempt_id(attempt)
        task = self.decided.tasks.get(parsed[0]) if parsed is not None else None
        return task if task is not None and task.attempt_id == attempt else None

    def _check_offer(self, link: Link, fields: dict[str, Any]) -> None:
        task = self._present(fields["attemptId"])
        assert task is not None
        agent = self.decided.agents[link.name]
        assert (task.agent_id, task.agent_uid) == (agent.id, agent.uid)
        assert task.state is (TaskState.RUNNING if link.basic else TaskState.OFFERED), "sent before it was saved"
        assert link.basic or task.attempt_id not in self.decided.ran, "what ran was sent again"
        assert link.welcome_decided, "a task before the welcome"
        assert not task.cancelling, "a cancelled task was offered"
        assert not link.bye
        assert agent.desired is Desired.RUNNING
        assert not agent.quarantined
        assert not self.patience.is_expired(task.id, self.clock.mono)
        mine = [other for other in self.decided.open_tasks().values() if other.agent_uid == agent.uid]
        places = 1 if link.basic else self.runtimes[link.name].places
        assert sum(other.state in HELD for other in mine) <= places, "more attempts than places"
        for other in mine:
            waits = other.state is TaskState.QUEUED and not other.held
            if waits and not self.patience.is_expired(other.id, self.clock.mono):
                assert (-task.priority, task.seq) < (-other.priority, other.seq), "out of order"

    def _check_plan(self, plan: Plan, attempts: set[AttemptId]) -> None:
        assert sorted([*plan.keep, *plan.kill, *plan.forget]) == sorted(attempts)
        assert plan.resend == [Resend(attempt, OFFSET) for attempt in plan.keep]
        for attempt in attempts:
            task = self._present(attempt)
            wanted = task is not None and (task.state in HELD or task.state is TaskState.LOST)
            assert (attempt in plan.keep) == wanted

    # --- invariants between steps

    def check_memory(self) -> None:
        """The database equals memory for everything that is open."""
        book = self.fleet.dispatcher.book
        assert {name: task for name, task in book.tasks.items() if task.state in OPEN} == self.decided.open_tasks()
        for task in book.tasks.values():
            assert task.state in OPEN or task.state is TaskState.LOST
            assert self.decided.tasks[task.id] == task
        assert self.fleet.agents == self.decided.agents
        runs = {run.dispatch.id: run.dispatch for run in book.rollouts._runs.values()}
        open_dispatches = {d.id: d for d in self.decided.dispatches.values() if d.state in ("canary", "rolling")}
        assert runs == open_dispatches
        for dispatch in open_dispatches.values():
            failed = [self.decided.tasks[name].state in FAILED for name in dispatch.tasks]
            assert not 0 < dispatch.rollout.stop_on_failures <= sum(failed), "enough failures, and not stopped"

    def check_slots(self) -> None:
        for name, slot in self.fleet.dispatcher.book.slots.items():
            mine = [task for task in self.decided.open_tasks().values() if task.agent_id == name]
            assert slot.open == {task.id for task in mine}
            assert set(slot.held) == {task.id for task in mine if task.state in HELD}
            assert slot.bytes == sum(len(task.spec) for task in mine)
            assert len(mine) <= self.limits.dispatch.queue_tasks
            waiting = [t for t in mine if t.state is TaskState.QUEUED and not t.held]
            waiting = [t for t in waiting if not self.patience.is_expired(t.id, self.clock.mono)]
            assert not (waiting and self._is_free(name)), "a free agent, and a task that waits"

    def _is_free(self, name: str) -> bool:
        link, agent = self.live(name), self.decided.agents[name]
        if link is None or link.bye or agent.quarantined or agent.desired is not Desired.RUNNING:
            return False
        held = sum(t.state in HELD for t in self.decided.open_tasks().values() if t.agent_id == name)
        return held < agent.concurrency and self.fleet.presence(AgentId(name)).connection is Connection.ONLINE

    def check_executions(self) -> None:
        for runtime in self.runtimes.values():
            twice = [attempt for attempt, count in runtime.starts.items() if count > 1]
            assert not twice, f"executed twice: {twice}"
