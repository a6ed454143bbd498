"""A hub that redelivers, an agent that crashes, in any order: what must hold of states and effects."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from runtime.core import Core
from runtime.effects import (
    Drained,
    DropOutput,
    Effect,
    EndRemnants,
    Journal,
    Moment,
    Outcome,
    ReportAccepted,
    ReportResponse,
    ResumeOutput,
    SendHello,
    Start,
    Stop,
)
from runtime.records import Accepted, Finished, Forgotten, Ledger, Record
from runtime.wire import (
    AttemptId,
    AttemptState,
    Exec,
    OnDisconnect,
    Ping,
    Plan,
    Response,
    ResponseStatus,
    TaskFrame,
    TaskSpec,
    Welcome,
)

ATTEMPTS = [AttemptId(f"{name}:1") for name in "abcd"]
CONCURRENCY = 1
ids = st.sampled_from(ATTEMPTS)


class AgentMachine(RuleBasedStateMachine):
    """The shell is modelled: a disk of records, processes that run, and what the hub was told."""

    def __init__(self) -> None:
        super().__init__()
        self.core = Core(CONCURRENCY)
        self.seconds = 0.0
        self.disk: list[Record] = []
        self.lazy: list[Record] = []
        self.processes: set[AttemptId] = set()
        self.remnants: set[AttemptId] = set()
        self.stopping: set[AttemptId] = set()
        self.starts: dict[AttemptId, int] = {}
        self.told: dict[AttemptId, Response] = {}
        self.acked: set[AttemptId] = set()
        self.disowned: set[AttemptId] = set()
        self.connected = False
        self.draining = False

    def now(self) -> Moment:
        return Moment(self.seconds, int(self.seconds * 1000))

    def perform(self, effects: list[Effect], crash_after: int | None = None) -> bool:
        """Do the effects in order; stop after `crash_after` of them, as a crash would."""
        for number, effect in enumerate(effects):
            if crash_after is not None and number >= crash_after:
                return False
            self.perform_one(effect)
        return True

    def perform_one(self, effect: Effect) -> None:
        match effect:
            case Journal(record, durable):
                (self.disk if durable else self.lazy).append(record)
                if isinstance(record, Forgotten):
                    assert record.attempt_id in self.acked | self.disowned
            case ReportAccepted(attempt_id):
                assert self.on_disk(attempt_id, Accepted), "accepted must be journalled before it is reported"
            case ReportResponse(response):
                self.check_response(response)
            case Start(attempt_id):
                assert self.on_disk(attempt_id, Accepted), "accepted must be journalled before the start"
                assert not self.draining
                self.starts[attempt_id] = self.starts.get(attempt_id, 0) + 1
                self.processes.add(attempt_id)
            case Stop() | EndRemnants():
                (self.stopping if isinstance(effect, Stop) else self.remnants).add(effect.attempt_id)
            case SendHello(held):
                self.check_hello(held)
            case Drained():
                assert self.draining
                assert not self.core.running()
            case DropOutput() | ResumeOutput():
                assert isinstance(effect, ResumeOutput) or effect.attempt_id in self.acked | self.disowned

    def check_hello(self, held: tuple[tuple[AttemptId, AttemptState], ...]) -> None:
        for attempt_id, state in held:
            wanted = Finished if state is AttemptState.FINISHED else Accepted
            assert self.on_disk(attempt_id, wanted), "hello must name only what is on disk"

    def on_disk(self, attempt_id: AttemptId, kind: type[Record]) -> bool:
        return any(isinstance(r, kind) and r.attempt_id == attempt_id for r in self.disk)

    def check_response(self, response: Response) -> None:
        attempt_id = response.attempt_id
        assert attempt_id is not None
        if response.error is not None and response.error.code == "result_forgotten":
            assert attempt_id in self.acked | self.disowned
            return
        finished = [r for r in self.disk if isinstance(r, Finished) and r.attempt_id == attempt_id]
        if not finished:
            assert response.status is ResponseStatus.CANCELLED, "a result must be journalled before it is reported"
            assert attempt_id not in self.processes
            return
        assert response == finished[-1].response
        assert attempt_id not in self.told or self.told[attempt_id] == response, "a result may not change"
        self.told[attempt_id] = response

    # --- the hub ---

    @precondition(lambda self: self.connected)
    @rule(
        attempt_id=ids,
        spec=st.sampled_from([Exec(command="x"), Ping()]),
        stop=st.booleans(),
        timeout_ms=st.sampled_from([1_000, 100_000]),
        crash_after=st.none() | st.integers(0, 3),
    )
    def deliver(
        self, attempt_id: AttemptId, spec: Exec | Ping, stop: bool, timeout_ms: int, crash_after: int | None
    ) -> None:
        frame = TaskFrame(
            task_id=attempt_id[0],
            attempt_id=attempt_id,
            timeout_ms=timeout_ms,
            on_disconnect=OnDisconnect.STOP if stop else OnDisconnect.CONTINUE,
        )
        assert isinstance(spec, TaskSpec)
        if not self.perform(self.core.deliver(self.now(), frame, spec), crash_after):
            self.crash()

    @precondition(lambda self: self.connected)
    @rule(attempt_id=ids)
    def cancel(self, attempt_id: AttemptId) -> None:
        self.perform(self.core.cancel(self.now(), attempt_id, 0))

    @precondition(lambda self: self.connected)
    @rule(attempt_id=ids)
    def ack(self, attempt_id: AttemptId) -> None:
        if attempt_id in self.told:
            self.acked.add(attempt_id)
            self.perform(self.core.acked([attempt_id]))

    @precondition(lambda self: not self.connected)
    @rule(kill=st.sets(ids, max_size=1), forget=st.sets(ids, max_size=1), crash_after=st.none() | st.integers(0, 4))
    def connect(self, kill: set[AttemptId], forget: set[AttemptId], crash_after: int | None) -> None:
        self.perform(self.core.hello())
        self.disowned |= kill | {a for a in forget if a in self.told}
        plan = Plan(kill=sorted(kill), forget=sorted(a for a in forget if a in self.told))
        unacked = {a for a, s in self.core.held() if s is AttemptState.FINISHED} - self.disowned
        effects = self.core.connected(self.now(), Welcome(plan=plan))
        self.connected = True
        reported = {e.response.attempt_id for e in effects if isinstance(e, ReportResponse)}
        assert unacked <= reported, "every unacknowledged result is reported at a welcome"
        if not self.perform(effects, crash_after):
            self.crash()

    @precondition(lambda self: self.connected)
    @rule()
    def disconnect(self) -> None:
        self.connected = False
        self.perform(self.core.disconnected(self.now()))

    # --- the machine ---

    @precondition(lambda self: self.processes or self.remnants)
    @rule(data=st.data(), failed=st.booleans(), crash_after=st.none() | st.integers(0, 3))
    def finish(self, data: st.DataObject, failed: bool, crash_after: int | None) -> None:
        attempt_id = data.draw(st.sampled_from(sorted(self.processes | self.remnants)))
        self.processes.discard(attempt_id)
        self.remnants.discard(attempt_id)
        self.stopping.discard(attempt_id)
        status = ResponseStatus.FAILED if failed else ResponseStatus.SUCCEEDED
        effects = self.core.finished(self.now(), attempt_id, Outcome(status=status))
        if not self.perform(effects, crash_after):
            self.crash()

    @rule(seconds=st.sampled_from([0.1, 1.0, 30.0, 70.0]))
    def time_passes(self, seconds: float) -> None:
        self.seconds += seconds
        self.perform(self.core.tick(self.now()))
        deadline = self.core.next_deadline()
        assert deadline is None or deadline > self.seconds

    @precondition(lambda self: not self.draining)
    @rule()
    def drain(self) -> None:
        self.draining = True
        self.perform(self.core.drain(self.now(), 5))

    @rule(lazy_too=st.booleans())
    def crash(self, lazy_too: bool = False) -> None:
        """Everything in memory is gone; processes go on as orphans; lazy records may be on disk."""
        if lazy_too:
            self.disk += self.lazy
        self.lazy = []
        self.connected = self.draining = False
        self.processes.clear()
        self.stopping.clear()
        self.remnants.clear()
        self.core, effects = Core.restore(CONCURRENCY, self.disk)
        self.perform(effects)

    # --- what must always hold ---

    @invariant()
    def an_attempt_is_started_at_most_once(self) -> None:
        assert all(count == 1 for count in self.starts.values())

    @invariant()
    def a_result_is_kept_until_it_is_acknowledged(self) -> None:
        held = dict(self.core.held())
        for record in self.disk:
            if isinstance(record, Finished) and record.attempt_id not in self.acked | self.disowned:
                assert held.get(record.attempt_id) is AttemptState.FINISHED

    @invariant()
    def memory_is_what_a_restart_would_find(self) -> None:
        ledger = Ledger()
        for record in [*self.disk, *self.lazy]:
            ledger.apply(record)
        expected = {a: isinstance(r, Finished) for a, r in ledger.open.items()}
        assert {a: s is AttemptState.FINISHED for a, s in self.core.held()} == expected

    @invariant()
    def what_runs_is_what_was_started(self) -> None:
        assert set(self.core.running()) == self.processes | self.remnants
        assert len(self.processes) <= CONCURRENCY
        assert self.stopping <= self.processes | self.remnants


TestAgentMachine = AgentMachine.TestCase
