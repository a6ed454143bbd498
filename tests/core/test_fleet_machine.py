"""The fleet under every interleaving that a few steps can make: crashes, failed commits, stale and doubled messages,
time jumps. `world` checks each effect and each state; at the end everything is driven to rest.

The limits are tiny so that queues fill and attempts run out: two agents, one or two places, two attempts, four tasks.
"""

from __future__ import annotations

import contextlib

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from hub.core.book import DispatchLimits
from hub.core.fleet import FleetLimits
from hub.core.model import (
    TERMINAL,
    AgentId,
    AgentUid,
    Desired,
    Dispatch,
    DispatchId,
    RetryOn,
    Rollout,
    Task,
    TaskId,
    TaskState,
    attempt_id,
)
from hub.errors import Conflict, NotFound, QueueFull
from runtime.wire import Accepted, Bye, Health, ResponseStatus, Welcome
from tests.core.ledger import HELD
from tests.core.runtimes import Link, Runtime, response
from tests.core.support import SPEC, make_task
from tests.core.world import World

LIMITS = FleetLimits(dispatch=DispatchLimits(queue_tasks=4, queue_bytes=100 * len(SPEC)))
NAMES = ("a", "b")
ROUNDS = 100
"""More than enough to bring four tasks per agent with two attempts each to their ends."""

names = st.sampled_from(NAMES)
index = st.integers(0, 5)
statuses = st.sampled_from([ResponseStatus.SUCCEEDED, ResponseStatus.FAILED, *ResponseStatus])
retry_on = st.sampled_from([frozenset(RetryOn), frozenset({RetryOn.LOST}), frozenset[RetryOn]()])
timeouts = st.sampled_from([60_000, 7_200_000])
expiries = st.sampled_from([None, None, 30_000])
steps = st.sampled_from([1.0, 31.0, 46.0, 61.0, 901.0, 7_201.0])


class FleetMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.world = World(LIMITS)
        self.count = 0

    @initialize(places=st.integers(1, 2))
    def begin(self, places: int) -> None:
        for name in NAMES:
            self.world.add_agent(name, places)

    def teardown(self) -> None:
        self.come_to_rest()

    # --- submissions

    def make(self, name: str, **fields: object) -> Task:
        self.count += 1
        uid = AgentUid(self.world.runtimes[name].uid if name in self.world.runtimes else "gone")
        created = {"agent_uid": uid, "created_at": self.world.clock.wall_ms}
        return make_task(f"t{self.count}", name, **created | fields)

    def expires_at(self, expires_in_ms: int | None) -> int | None:
        return None if expires_in_ms is None else self.world.clock.wall_ms + expires_in_ms

    def keep(self, tasks: list[Task], expires_in_ms: int | None) -> None:
        self.world.submitted += [task.id for task in tasks]
        for task in tasks:
            if expires_in_ms is not None:
                self.world.patience.expiry[task.id] = self.world.clock.mono + expires_in_ms / 1000

    def room(self, tasks: list[Task]) -> bool:
        open_tasks = self.world.decided.open_tasks().values()
        count = {name: sum(t.agent_id == name for t in [*open_tasks, *tasks]) for name in NAMES}
        return all(count[task.agent_id] <= LIMITS.dispatch.queue_tasks for task in tasks)

    @rule(
        name=names,
        priority=st.integers(0, 1),
        most=st.integers(1, 2),
        retry=retry_on,
        timeout=timeouts,
        expiry=expiries,
        talk=st.booleans(),
    )
    def submit(
        self,
        name: str,
        priority: int,
        most: int,
        retry: frozenset[RetryOn],
        timeout: int,
        expiry: int | None,
        talk: bool,
    ) -> None:
        task = self.make(
            name,
            priority=priority,
            max_attempts=most,
            retry_on=retry,
            timeout_ms=timeout,
            expires_at=self.expires_at(expiry),
        )
        expected = NotFound if name not in self.world.runtimes else None if self.room([task]) else QueueFull
        self.keep([task], expiry)
        try:
            effects = self.world.fleet.dispatcher.submit(task, self.world.clock.now, expires_in_ms=expiry)
        except (NotFound, QueueFull) as exc:
            self.world.submitted.pop()
            refused = type(exc)
        else:
            refused = None
            self.world.decide(effects)
        assert refused is expected
        self.talk(name, talk)

    def talk(self, name: str, wanted: bool) -> None:
        """Often everything arrives at once; without that, deep states would be rare."""
        if wanted:
            self.world.converse(name)

    @rule(
        members=st.lists(names, min_size=1, max_size=4),
        canary=st.integers(0, 2),
        concurrency=st.integers(0, 2),
        stop=st.integers(0, 2),
        expiry=expiries,
    )
    def dispatch(self, members: list[str], canary: int, concurrency: int, stop: int, expiry: int | None) -> None:
        name = DispatchId(f"d{self.count}")
        tasks = [self.make(target, dispatch_id=name, expires_at=self.expires_at(expiry)) for target in members]
        if not self.room(tasks) or any(target not in self.world.runtimes for target in members):
            with contextlib.suppress(NotFound, QueueFull):
                self.world.fleet.dispatcher.submit_all(
                    self.record(name, tasks, Rollout()), tasks, self.world.clock.now, expires_in_ms=expiry
                )
                raise AssertionError("a dispatch was taken that does not fit")
            return
        self.keep(tasks, expiry)
        rollout = Rollout(canary=canary, concurrency=concurrency, stop_on_failures=stop)
        record = self.record(name, tasks, rollout)
        self.world.decide(
            self.world.fleet.dispatcher.submit_all(record, tasks, self.world.clock.now, expires_in_ms=expiry)
        )

    def record(self, name: DispatchId, tasks: list[Task], rollout: Rollout) -> Dispatch:
        ids = tuple(task.id for task in tasks)
        return Dispatch(id=name, created_at=self.world.clock.wall_ms, spec=SPEC, rollout=rollout, tasks=ids)

    # --- connections

    @precondition(lambda self: self.world.runtimes)
    @rule(n=index, straggler=st.booleans(), talk=st.booleans())
    def connect(self, n: int, straggler: bool, talk: bool) -> None:
        name = self.some_agent(n)
        if self.world.decided.agents[name].quarantined:
            self.refused(name)
        else:
            self.world.connect(name, straggler=straggler)
            self.talk(name, talk)

    def some_agent(self, n: int) -> str:
        present = sorted(self.world.runtimes)
        return present[n % len(present)]

    def refused(self, name: str) -> None:
        runtime = self.world.runtimes[name]
        try:
            self.world.fleet.connect(
                AgentId(name), runtime.hello(), self.world.clock.now, welcome=Welcome(), offsets={}
            )
        except Conflict:
            return
        raise AssertionError("a quarantined agent was let in")

    @precondition(lambda self: self.world.links)
    @rule(n=index, clean=st.booleans())
    def notice_the_end_of_a_connection(self, n: int, clean: bool) -> None:
        """The newest, or one that was superseded or closed long ago."""
        self.world.disconnect(self.some_link(n), clean=clean)

    def some_link(self, n: int) -> Link:
        """The newest ones first."""
        return self.world.links[-1 - n % len(self.world.links)]

    @precondition(lambda self: self.world.runtimes)
    @rule(n=index)
    def agent_restarts(self, n: int) -> None:
        self.world.runtimes[self.some_agent(n)].restart()

    @precondition(lambda self: any(self.world.live(name) is None for name in self.world.runtimes))
    @rule(n=index)
    def agent_changes_kind(self, n: int) -> None:
        runtime = self.world.runtimes[self.some_agent(n)]
        if self.world.live(runtime.name) is None:
            runtime.link = None
            runtime.change_kind()

    @precondition(lambda self: any(self.world.live(name) for name in self.world.runtimes))
    @rule(n=index)
    def agent_says_bye(self, n: int) -> None:
        link = self.world.live(self.some_agent(n))
        if link is not None:
            self.world.frame(link, Bye())

    # --- frames

    @precondition(lambda self: self.waiting_agents())
    @rule(n=index)
    def frame_reaches_agent(self, n: int) -> None:
        waiting = self.waiting_agents()
        runtime = waiting[n % len(waiting)]
        assert runtime.link is not None
        runtime.receive(runtime.link.down.popleft())

    def waiting_agents(self) -> list[Runtime]:
        return [runtime for runtime in self.world.runtimes.values() if runtime.link is not None and runtime.link.down]

    @precondition(lambda self: any(link.up for link in self.world.links))
    @rule(n=index)
    def frame_reaches_hub(self, n: int) -> None:
        """Also frames of connections that ended: they must change nothing."""
        waiting = [link for link in self.world.links if link.up]
        link = waiting[-1 - n % len(waiting)]
        self.world.frame(link, link.up.popleft())

    @rule()
    def everything_arrives(self) -> None:
        for name in list(self.world.runtimes):
            self.world.converse(name)

    @precondition(lambda self: self.world.links)
    @rule(n=index)
    def health(self, n: int) -> None:
        self.world.frame(self.some_link(n), Health())

    @precondition(lambda self: self.world.links)
    @rule(n=index)
    def pong(self, n: int) -> None:
        link = self.some_link(n)
        if self.world.live(link.name) is link:
            self.world.pong(link)
        else:
            self.world.unmoved(lambda: self.world.fleet.heard(AgentId(link.name), link.epoch, self.world.clock.now))

    @precondition(lambda self: any(runtime.todo or runtime.running() for runtime in self.world.runtimes.values()))
    @rule(n=index, status=statuses, talk=st.booleans())
    def work_ends(self, n: int, status: ResponseStatus, talk: bool) -> None:
        busy = [runtime for runtime in self.world.runtimes.values() if runtime.todo or runtime.running()]
        runtime = busy[n % len(busy)]
        if runtime.todo:
            runtime.answer(n, status)
        else:
            runtime.end(runtime.running()[n % len(runtime.running())], status)
        self.talk(runtime.name, talk)

    @precondition(lambda self: self.world.decided.tasks)
    @rule(name=names, n=index, attempt=st.integers(1, 3), status=statuses, accepted=st.booleans())
    def unexpected_report(self, name: str, n: int, attempt: int, status: ResponseStatus, accepted: bool) -> None:
        """A report of an old, a foreign, an unknown or a future attempt, or a doubled one."""
        link, tasks = self.world.live(name), list(self.world.decided.tasks.values())
        task = tasks[n % len(tasks)]
        if link is None or (task.agent_id == name and task.attempt == attempt and task.state not in TERMINAL):
            return
        if task.state is TaskState.LOST:
            return
        named = attempt_id(task.id, attempt)
        self.world.frame(link, Accepted(named) if accepted else response(named, status))

    # --- operators

    @precondition(lambda self: self.world.decided.tasks)
    @rule(n=index)
    def cancel(self, n: int) -> None:
        tasks = list(self.world.decided.tasks.values())
        before = tasks[-1 - n % len(tasks)]
        try:
            effects = self.world.decide(self.world.fleet.dispatcher.cancel(TaskId(before.id), self.world.clock.now))
        except NotFound:
            assert before.state in TERMINAL
            assert before.id not in self.world.late, "what may still run cannot be cancelled"
            return
        after = self.world.decided.tasks[before.id]
        full = before.state in HELD and not self.world.decided.agents[before.agent_id].basic
        full = full or before.id in self.world.late
        assert after.cancelling if full else after.state is TaskState.CANCELLED
        assert after.state is before.state or not full, "ended before the agent said so"
        assert effects == [] or not (full and before.cancelling), "asked twice, ordered twice"

    @rule(name=names, desired=st.sampled_from([Desired.RUNNING, Desired.PAUSED, Desired.RUNNING, Desired.STOPPED]))
    def desire(self, name: str, desired: Desired) -> None:
        if name in self.world.runtimes:
            self.world.desire(name, desired)

    @rule(name=names)
    def quarantine_and_release(self, name: str) -> None:
        agent = self.world.decided.agents.get(name)
        if agent is None:
            return
        act = self.world.fleet.release if agent.quarantined else self.world.fleet.quarantine
        self.world.decide(act(AgentId(name), self.world.clock.now))

    @rule(name=names, places=st.integers(1, 2))
    def replace_agent(self, name: str, places: int) -> None:
        """Destroyed, or made again under the same name."""
        if name in self.world.runtimes:
            self.world.remove_agent(name)
        else:
            self.world.add_agent(name, places)

    # --- time and trouble

    @rule(seconds=steps, ticks=st.booleans())
    def time_passes(self, seconds: float, ticks: bool) -> None:
        self.world.clock.move(seconds)
        if ticks:
            self.world.tick()

    @rule(hours=st.sampled_from([-1, 1]))
    def wall_clock_jumps(self, hours: int) -> None:
        self.world.clock.wall_ms += hours * 3_600_000

    @rule()
    def crash(self) -> None:
        self.world.crash()

    @rule()
    def commits_take_time(self) -> None:
        self.world.holding = not self.world.holding
        if not self.world.holding:
            self.world.commit()

    @precondition(lambda self: self.world.pending)
    @rule()
    def commit_fails(self) -> None:
        self.world.holding = False
        self.world.crash()

    # --- always

    @invariant()
    def memory_equals_database(self) -> None:
        self.world.check_memory()

    @invariant()
    def no_agent_idles_and_none_is_overloaded(self) -> None:
        self.world.check_slots()

    @invariant()
    def an_attempt_executes_at_most_once(self) -> None:
        self.world.check_executions()

    # --- the end

    def come_to_rest(self) -> None:
        """Everybody connects and works; then every acknowledged submission has ended, once."""
        world = self.world
        world.holding = False
        world.commit()
        for name, agent in list(world.decided.agents.items()):
            if agent.quarantined:
                world.decide(world.fleet.release(AgentId(name), world.clock.now))
            world.desire(name, Desired.RUNNING)
            world.connect(name, straggler=False)
        for _ in range(ROUNDS):
            if not any([self.finish(runtime) for runtime in world.runtimes.values()]):
                break
        for _ in range(3):
            # A basic agent may have missed a task that it gets only once: its timeout ends it.
            world.clock.move(7_201)
            world.tick()
            for name in list(world.runtimes):
                world.connect(name, straggler=False)
            while any([self.finish(runtime) for runtime in world.runtimes.values()]):
                pass
        self.check_rest()

    def finish(self, runtime: Runtime) -> bool:
        """Let an agent work off what it has; True when there was something."""
        self.world.converse(runtime.name)
        busy = bool(runtime.todo or runtime.running())
        while runtime.todo:
            runtime.answer(0, ResponseStatus.SUCCEEDED)
        for attempt in runtime.running():
            runtime.end(attempt, ResponseStatus.SUCCEEDED)
        self.world.converse(runtime.name)
        return busy

    def check_rest(self) -> None:
        world = self.world
        world.check_memory()
        world.check_executions()
        assert world.durable.tasks == world.decided.tasks
        assert world.decided.open_tasks() == {}
        assert not any(task.cancelling for task in world.decided.tasks.values()), "a cancel without an end"
        assert len(world.fleet.dispatcher.book.rollouts) == 0
        for task in world.acknowledged:
            assert world.durable.tasks[task].state in TERMINAL
            assert world.durable.ends[task] == 1
        for runtime in world.runtimes.values():
            assert runtime.log == {}, "the agent was not told that it may let go"


TestFleet = FleetMachine.TestCase
TestFleet.settings = settings.get_profile("core")
