"""What the agent's core tells its shell to do: frozen values, in the order they must happen.

`Stop` alone may overtake: it frees resources, and must not wait behind a log that cannot be
written because the attempt it ends has filled the disk.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from runtime.records import Record
from runtime.wire import AnyTaskSpec, AttemptId, AttemptState, Response, ResponseStatus, TaskError


@dataclass(frozen=True, slots=True)
class Moment:
    """One instant on both clocks: `monotonic_seconds` for deadlines, `wall_ms` for reports."""

    monotonic_seconds: float
    wall_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How an execution ended by itself; the core adds what it knows of a stop.

    `survivors` describes processes that could not be ended, one text each.
    """

    status: ResponseStatus
    exit_code: int | None = None
    stdout: str | None = None
    stderr: str | None = None
    result: msgspec.Raw | None = None
    error: TaskError | None = None
    truncated: bool = False
    survivors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Journal:
    """Append to the attempt log; what follows in the list waits for the disk if `durable`."""

    record: Record
    durable: bool = True


@dataclass(frozen=True, slots=True)
class ReportAccepted:
    attempt_id: AttemptId


@dataclass(frozen=True, slots=True)
class ReportResponse:
    response: Response


@dataclass(frozen=True, slots=True)
class Start:
    attempt_id: AttemptId
    spec: AnyTaskSpec


@dataclass(frozen=True, slots=True)
class Stop:
    """End the attempt's processes: TERM, `grace_ms` later KILL. The outcome is still reported."""

    attempt_id: AttemptId
    grace_ms: int


@dataclass(frozen=True, slots=True)
class EndRemnants:
    """End what an earlier agent process left of the attempt, then say `finished`."""

    attempt_id: AttemptId


@dataclass(frozen=True, slots=True)
class SendHello:
    held: tuple[tuple[AttemptId, AttemptState], ...]


@dataclass(frozen=True, slots=True)
class ResumeOutput:
    """Send the attempt's output from `offset`; None: from what the hub last acknowledged."""

    attempt_id: AttemptId
    offset: int | None


@dataclass(frozen=True, slots=True)
class DropOutput:
    """The attempt's output is no longer needed once what was sent of it is acknowledged."""

    attempt_id: AttemptId


@dataclass(frozen=True, slots=True)
class Drained:
    """Nothing runs any more and nothing new will start."""


Effect = (
    Journal
    | ReportAccepted
    | ReportResponse
    | Start
    | Stop
    | EndRemnants
    | SendHello
    | ResumeOutput
    | DropOutput
    | Drained
)
