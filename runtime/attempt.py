"""One attempt as the agent's core keeps it, and how its phase may change. Pure."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from runtime.effects import Moment
from runtime.verdict import StopReason
from runtime.wire import AnyTaskSpec, AttemptId, AttemptState, Response


class Phase(enum.Enum):
    """See the table in `runtime.core`."""

    PENDING = "pending"
    RUNNING = "running"
    STOPPING = "stopping"
    FINISHED = "finished"


@dataclass(slots=True)
class Attempt:
    """`deadline_seconds` is monotonic, `started_at` ms since the epoch."""

    attempt_id: AttemptId
    phase: Phase
    spec: AnyTaskSpec | None = None
    timeout_seconds: float | None = None
    stops_without_hub: bool = False
    deadline_seconds: float | None = None
    started_at: int | None = None
    reason: StopReason | None = None
    response: Response | None = None

    @property
    def state(self) -> AttemptState:
        """What `hello` says of it."""
        return AttemptState.FINISHED if self.phase is Phase.FINISHED else AttemptState.RUNNING

    def begin(self, now: Moment) -> None:
        """PENDING -> RUNNING; the timeout begins to run."""
        assert self.phase is Phase.PENDING
        self.phase = Phase.RUNNING
        self.started_at = now.wall_ms
        if self.timeout_seconds is not None:
            self.deadline_seconds = now.monotonic_seconds + self.timeout_seconds

    def begin_stop(self, reason: StopReason) -> None:
        """RUNNING -> STOPPING; of several reasons the first counts."""
        if self.phase is Phase.RUNNING:
            self.phase = Phase.STOPPING
            self.reason = reason

    def finish(self, response: Response) -> None:
        """Any phase -> FINISHED, once."""
        assert self.phase is not Phase.FINISHED
        self.phase = Phase.FINISHED
        self.response = response
        self.spec = None
