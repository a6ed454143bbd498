"""Freshness under any order of connections, reports, pauses and time, held against a plain model of two agents."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from hub.core.health import Change, Freshness
from hub.core.model import AgentId, Connection, Now
from runtime.wire import Health
from tests.core.support import Clock

STALE = 45.0
NAMES = (AgentId("a"), AgentId("b"))
names = st.sampled_from(NAMES)
ages = st.integers(0, 2)
"""0 is the newest connection, more are older ones."""


class Known:
    """What must be said of one agent. `quiet_since` is None while silence does not count."""

    def __init__(self) -> None:
        self.connection = Connection.OFFLINE
        self.epoch = 0
        self.open = False
        self.basic = False
        self.paused = False
        self.heard = 0.0


class FreshnessMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.freshness = Freshness(STALE)
        self.clock = Clock()
        self.known = {name: Known() for name in NAMES}
        for name in NAMES:
            self.freshness.add_agent(name)

    @property
    def now(self) -> Now:
        return self.clock.now

    def turn(self, name: AgentId, after: Connection, changes: list[Change]) -> None:
        """Changes are told exactly when there are some."""
        known = self.known[name]
        expected = [] if known.connection is after else [Change(name, known.connection, after)]
        assert changes == expected
        known.connection = after

    def hear(self, name: AgentId, changes: list[Change]) -> None:
        self.known[name].heard = self.clock.mono
        self.turn(name, Connection.ONLINE, changes)

    def is_current(self, known: Known, age: int) -> bool:
        return known.open and age == 0

    @rule(name=names, basic=st.booleans())
    def connect(self, name: AgentId, basic: bool) -> None:
        known = self.known[name]
        known.epoch, known.open, known.basic = known.epoch + 1, True, basic
        self.hear(name, self.freshness.connected(name, known.epoch, "x", self.now, basic=basic))

    @rule(name=names, age=ages, load=st.floats(0, 8))
    def report(self, name: AgentId, age: int, load: float) -> None:
        known, before = self.known[name], self.freshness.agents[name].health
        changes = self.freshness.reported(name, known.epoch - age, Health(load=load), self.now)
        if self.is_current(known, age):
            self.hear(name, changes)
            assert self.freshness.agents[name].health == Health(load=load)
        else:
            assert changes == []
            assert self.freshness.agents[name].health == before

    @rule(name=names, age=ages)
    def frame(self, name: AgentId, age: int) -> None:
        known, seen = self.known[name], self.freshness.agents[name].last_seen_ms
        changes = self.freshness.heard(name, known.epoch - age, self.now)
        if self.is_current(known, age) and known.basic:
            self.hear(name, changes)
        else:
            assert changes == []
        if not self.is_current(known, age):
            assert self.freshness.agents[name].last_seen_ms == seen

    @rule(name=names, age=ages, clean=st.booleans())
    def close(self, name: AgentId, age: int, clean: bool) -> None:
        known = self.known[name]
        changes = self.freshness.closed(name, known.epoch - age, self.now, clean=clean)
        if self.is_current(known, age):
            known.open = False
            self.turn(name, Connection.OFFLINE if clean else Connection.UNREACHABLE, changes)
        else:
            assert changes == []

    @rule(name=names, paused=st.booleans())
    def pause(self, name: AgentId, paused: bool) -> None:
        known = self.known[name]
        changes = self.freshness.set_paused(name, paused, self.now)
        thawed = known.paused and not paused
        known.paused = paused
        if thawed and known.open:
            self.hear(name, changes)
        else:
            assert changes == []

    @rule(seconds=st.sampled_from([1.0, 15.0, 30.0, 44.0, 45.0, 46.0]))
    def time_passes(self, seconds: float) -> None:
        self.clock.move(seconds)
        changes = {change.agent_id: [change] for change in self.freshness.tick(self.now)}
        for name, known in self.known.items():
            silent = self.clock.mono - known.heard >= STALE
            if known.connection is Connection.ONLINE and not known.paused and silent:
                self.turn(name, Connection.STALE, changes.pop(name, []))
        assert changes == {}

    @rule(hours=st.sampled_from([-1, 1]))
    def wall_clock_jumps(self, hours: int) -> None:
        self.clock.wall_ms += hours * 3_600_000

    @invariant()
    def what_is_said_is_true(self) -> None:
        for name, known in self.known.items():
            assert self.freshness.agents[name].connection is known.connection

    @invariant()
    def the_next_look_is_when_the_first_turns_stale(self) -> None:
        counted = [k.heard for k in self.known.values() if k.connection is Connection.ONLINE and not k.paused]
        assert self.freshness.next_deadline() == (min(counted) + STALE if counted else None)


TestFreshness = FreshnessMachine.TestCase
TestFreshness.settings = settings.get_profile("core")
