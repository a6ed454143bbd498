"""The agent's decisions: accept, start, stop, finish, report, forget. Pure.

Every input takes the moment it happens at and returns effects in the order they must be done:
the attempt log before a report, a report before a start.

    phase      input                                        next
    -          deliver                                      RUNNING, PENDING (no free slot), FINISHED (ping, refused)
    PENDING    a slot is free                               RUNNING
    PENDING    cancel                                       FINISHED
    PENDING    disconnected, drain                          - (the hub offers it again)
    RUNNING    cancel, kill, deadline, lease, drain's end   STOPPING
    RUNNING    finished                                     FINISHED
    STOPPING   finished                                     FINISHED (- after kill)
    FINISHED   acknowledged, forget, kill                   -

A PENDING attempt is in memory only: it is not accepted, and `hello` does not name it, so a hub
that reconnects offers it again. A ping has nothing to start: it is finished by the one record that
accepts it. After a restart, an attempt that was accepted without a result is STOPPING until its
remnants are dead, and then ends `failed` with `interrupted`; it is never started again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

from runtime import records
from runtime.attempt import Attempt, Phase
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
from runtime.verdict import StopReason, cancelled_unseen, forgotten, refused, response_of
from runtime.wire import (
    AnyTaskSpec,
    AttemptId,
    AttemptState,
    OnDisconnect,
    Ping,
    Response,
    ResponseStatus,
    TaskFrame,
    Welcome,
)

STOP_GRACE_MS: Final = 5_000
"""Between TERM and KILL for stops that no `cancel` frame gave a grace to."""
MAX_PENDING: Final = 256
"""Deliveries beyond the concurrency limit that wait; a hub that keeps the contract sends none."""


class Core:
    """All attempts that the hub has not let go; `concurrency` (at least 1) of them run at once."""

    def __init__(self, concurrency: int) -> None:
        self.concurrency = concurrency
        self._held: OrderedDict[AttemptId, Attempt] = OrderedDict()
        self._pending: OrderedDict[AttemptId, Attempt] = OrderedDict()
        self._active: dict[AttemptId, Attempt] = {}
        self._tombstones: OrderedDict[AttemptId, None] = OrderedDict()
        self._connected = False
        self._lease_seconds = Welcome().lease_seconds
        self._lease_deadline: float | None = None
        self._draining = False
        self._drain_deadline: float | None = None

    @classmethod
    def restore(cls, concurrency: int, log: Iterable[records.Record]) -> tuple[Core, list[Effect]]:
        """Return the core that an attempt log describes, and what must be done first."""
        ledger = records.Ledger()
        for record in log:
            ledger.apply(record)
        core = cls(concurrency)
        core._tombstones.update((attempt_id, None) for attempt_id in ledger.tombstones)
        effects: list[Effect] = []
        for attempt_id, record in ledger.open.items():
            if isinstance(record, records.Finished):
                attempt = Attempt(attempt_id, Phase.FINISHED, response=record.response)
            else:
                attempt = Attempt(attempt_id, Phase.STOPPING, started_at=record.accepted_at)
                attempt.reason = StopReason.RESTART
                core._active[attempt_id] = attempt
                effects.append(EndRemnants(attempt_id))
            core._held[attempt_id] = attempt
        return core, effects

    # --- what others may see ---

    def running(self) -> list[AttemptId]:
        """Return the attempts that execute now, oldest first."""
        return list(self._active)

    def held(self) -> tuple[tuple[AttemptId, AttemptState], ...]:
        """Return every attempt that the hub has not let go, as `hello` names them."""
        return tuple((attempt.attempt_id, attempt.state) for attempt in self._held.values())

    def next_deadline(self) -> float | None:
        """Return the monotonic second at which `tick` has something to do, or None."""
        deadlines = [a.deadline_seconds for a in self._active.values() if a.phase is Phase.RUNNING]
        if self._active:
            deadlines += [self._lease_deadline, self._drain_deadline]
        return min((d for d in deadlines if d is not None), default=None)

    # --- inputs: tasks ---

    def deliver(self, now: Moment, frame: TaskFrame, spec: AnyTaskSpec) -> list[Effect]:
        """Take a task; one that was delivered before is answered with its recorded state."""
        attempt_id = frame.attempt_id
        if self._draining or attempt_id in self._pending:
            return []
        known = self._recorded(attempt_id)
        if known is not None:
            return known
        attempt = Attempt(
            attempt_id,
            Phase.PENDING,
            spec=spec,
            timeout_seconds=frame.timeout_ms / 1000,
            stops_without_hub=frame.on_disconnect is OnDisconnect.STOP,
        )
        if isinstance(spec, Ping):
            attempt.started_at = now.wall_ms
            return self._finish(attempt, response_of(attempt_id, _DONE, None, now.wall_ms, now.wall_ms))
        if len(self._active) < self.concurrency:
            return self._accept(now, attempt)
        if len(self._pending) >= MAX_PENDING:
            return self.refuse(now, attempt_id, "overloaded", f"{MAX_PENDING} deliveries already wait for a free slot")
        self._pending[attempt_id] = attempt
        return []

    def refuse(self, now: Moment, attempt_id: AttemptId, code: str, message: str) -> list[Effect]:
        """Take a task that this agent cannot execute: it ends `rejected`."""
        if self._draining:
            return []
        known = self._recorded(attempt_id)
        if known is not None:
            return known
        return self._finish(Attempt(attempt_id, Phase.PENDING), refused(attempt_id, code, message, now.wall_ms))

    def finished(self, now: Moment, attempt_id: AttemptId, outcome: Outcome) -> list[Effect]:
        """Take the end of an execution; a second end of the same attempt changes nothing."""
        attempt = self._active.pop(attempt_id, None)
        if attempt is None:
            return []
        if attempt.reason is StopReason.DISOWNED:
            effects = self._forget(attempt_id)
        else:
            started_at = attempt.started_at if attempt.started_at is not None else now.wall_ms
            effects = self._finish(attempt, response_of(attempt_id, outcome, attempt.reason, started_at, now.wall_ms))
        while self._pending and len(self._active) < self.concurrency:
            effects += self._accept(now, self._pending.popitem(last=False)[1])
        if self._draining and not self._active:
            effects.append(Drained())
        return effects

    def cancel(self, now: Moment, attempt_id: AttemptId, grace_ms: int) -> list[Effect]:
        """Take a hub's `cancel`. An attempt that never came here is reported `cancelled` at once."""
        pending = self._pending.pop(attempt_id, None)
        if pending is not None:
            return self._finish(pending, cancelled_unseen(attempt_id, now.wall_ms))
        attempt = self._held.get(attempt_id)
        if attempt is None:
            unseen = attempt_id not in self._tombstones
            return [ReportResponse(cancelled_unseen(attempt_id, now.wall_ms))] if unseen else []
        if attempt.phase is Phase.FINISHED:
            return self._recorded(attempt_id) or []
        return self._stop(attempt, StopReason.CANCEL, grace_ms)

    # --- inputs: the hub comes and goes ---

    def hello(self) -> list[Effect]:
        """Begin a connection; in the effect order, so that what is named is on disk."""
        return [SendHello(self.held())]

    def connected(self, now: Moment, welcome: Welcome) -> list[Effect]:
        """Take the hub's plan, then report every result that it has not acknowledged."""
        self._connected = True
        self._lease_deadline = None
        self._lease_seconds = welcome.lease_seconds
        effects: list[Effect] = []
        for attempt_id in (*welcome.plan.kill, *welcome.plan.forget):
            effects += self._disown(attempt_id)
        offsets = {resend.attempt_id: resend.offset for resend in welcome.plan.resend}
        kept = [a for a in self._held.values() if a.reason is not StopReason.DISOWNED]
        effects += [ResumeOutput(a.attempt_id, offsets.get(a.attempt_id)) for a in kept]
        effects += [ReportResponse(a.response) for a in kept if a.response is not None]
        return effects

    def disconnected(self, now: Moment) -> list[Effect]:
        """Take the loss of the hub: the lease of `onDisconnect: stop` begins to run out."""
        if self._connected:
            self._connected = False
            self._lease_deadline = now.monotonic_seconds + self._lease_seconds
        self._pending.clear()
        return []

    def acked(self, attempt_ids: Iterable[AttemptId]) -> list[Effect]:
        """Take the hub's acknowledgement of results; only finished attempts can be let go."""
        effects: list[Effect] = []
        for attempt_id in attempt_ids:
            attempt = self._held.get(attempt_id)
            if attempt is not None and attempt.phase is Phase.FINISHED:
                effects += self._forget(attempt_id)
        return effects

    def drain(self, now: Moment, grace_seconds: float) -> list[Effect]:
        """Take no more tasks; what runs has `grace_seconds`, then it is stopped."""
        self._draining = True
        self._pending.clear()
        self._drain_deadline = now.monotonic_seconds + grace_seconds
        return [] if self._active else [Drained()]

    def tick(self, now: Moment) -> list[Effect]:
        """Stop what has run out of time, of hub, or of drain."""
        seconds = now.monotonic_seconds
        lease_over = self._lease_deadline is not None and self._lease_deadline <= seconds
        drain_over = self._drain_deadline is not None and self._drain_deadline <= seconds
        effects: list[Effect] = []
        for attempt in list(self._active.values()):
            if attempt.phase is not Phase.RUNNING:
                continue
            if attempt.deadline_seconds is not None and attempt.deadline_seconds <= seconds:
                effects += self._stop(attempt, StopReason.TIMEOUT, STOP_GRACE_MS)
            elif lease_over and attempt.stops_without_hub:
                effects += self._stop(attempt, StopReason.LEASE, STOP_GRACE_MS)
            elif drain_over:
                effects += self._stop(attempt, StopReason.DRAIN, STOP_GRACE_MS)
        self._lease_deadline = None if lease_over else self._lease_deadline
        self._drain_deadline = None if drain_over else self._drain_deadline
        return effects

    # --- decisions shared by the inputs ---

    def _recorded(self, attempt_id: AttemptId) -> list[Effect] | None:
        """Return the answer to a repeated delivery, or None when the attempt is new."""
        attempt = self._held.get(attempt_id)
        if attempt is None:
            return [ReportResponse(forgotten(attempt_id))] if attempt_id in self._tombstones else None
        if attempt.response is not None:
            return [ReportResponse(attempt.response)]
        return [ReportAccepted(attempt_id)]

    def _accept(self, now: Moment, attempt: Attempt) -> list[Effect]:
        assert attempt.spec is not None
        attempt.begin(now)
        self._held[attempt.attempt_id] = self._active[attempt.attempt_id] = attempt
        return [
            Journal(records.Accepted(attempt.attempt_id, now.wall_ms)),
            ReportAccepted(attempt.attempt_id),
            Start(attempt.attempt_id, attempt.spec),
        ]

    def _finish(self, attempt: Attempt, response: Response) -> list[Effect]:
        attempt.finish(response)
        self._held[attempt.attempt_id] = attempt
        effects: list[Effect] = [Journal(records.Finished(attempt.attempt_id, response))]
        if self._connected:
            effects.append(ReportResponse(response))
        return effects

    def _forget(self, attempt_id: AttemptId) -> list[Effect]:
        del self._held[attempt_id]
        self._tombstones[attempt_id] = None
        while len(self._tombstones) > records.MAX_TOMBSTONES:
            self._tombstones.popitem(last=False)
        return [Journal(records.Forgotten(attempt_id), durable=False), DropOutput(attempt_id)]

    def _disown(self, attempt_id: AttemptId) -> list[Effect]:
        attempt = self._held.get(attempt_id)
        if attempt is None:
            return []
        if attempt.phase is Phase.FINISHED:
            return self._forget(attempt_id)
        if attempt.phase is Phase.STOPPING:
            attempt.reason = StopReason.DISOWNED
            return []
        return self._stop(attempt, StopReason.DISOWNED, STOP_GRACE_MS)

    def _stop(self, attempt: Attempt, reason: StopReason, grace_ms: int) -> list[Effect]:
        """Begin to stop a running attempt; asked again, only the grace may change."""
        attempt.begin_stop(reason)
        return [Stop(attempt.attempt_id, grace_ms)]


_DONE: Final = Outcome(status=ResponseStatus.SUCCEEDED)
