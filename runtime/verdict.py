"""From the outcome of an execution, and the reason it was stopped for, to its response. Pure."""

from __future__ import annotations

import enum
from typing import Final

from runtime.effects import Outcome
from runtime.wire import NO_RESULT, AttemptId, Response, ResponseStatus, TaskError

NOT_ENDED: Final = "not_ended"
"""Error code: processes of the attempt still live although it was to be ended."""
INTERRUPTED: Final = "interrupted"
"""Error code: the work was cut off and did not reach its own end."""


class StopReason(enum.Enum):
    """Why an attempt is being ended."""

    CANCEL = "cancel"
    TIMEOUT = "timeout"
    DISOWNED = "disowned"
    LEASE = "lease"
    DRAIN = "drain"
    RESTART = "restart"


_VERDICTS: Final[dict[StopReason, tuple[ResponseStatus, TaskError | None]]] = {
    StopReason.CANCEL: (ResponseStatus.CANCELLED, None),
    StopReason.TIMEOUT: (ResponseStatus.TIMED_OUT, TaskError("timed_out", "the task's timeout has passed")),
    StopReason.LEASE: (
        ResponseStatus.FAILED,
        TaskError(INTERRUPTED, "no hub for a whole lease, and onDisconnect is stop"),
    ),
    StopReason.DRAIN: (ResponseStatus.FAILED, TaskError(INTERRUPTED, "the agent is shutting down")),
    StopReason.RESTART: (ResponseStatus.FAILED, TaskError(INTERRUPTED, "the agent was restarted in mid-task")),
}


def response_of(
    attempt_id: AttemptId, outcome: Outcome, reason: StopReason | None, started_at: int, finished_at: int
) -> Response:
    """Return what the hub is told; times are ms since the epoch.

    `cancelled` promises that everything the attempt owned is dead, so with survivors it becomes
    `failed` with `not_ended`; a timeout stays a timeout and names them.
    """
    status, error = outcome.status, outcome.error
    if reason is not None and reason in _VERDICTS:
        status, error = _VERDICTS[reason]
    if outcome.survivors:
        status = ResponseStatus.TIMED_OUT if status is ResponseStatus.TIMED_OUT else ResponseStatus.FAILED
        error = TaskError(NOT_ENDED, "could not end: " + ", ".join(outcome.survivors))
    return Response(
        attempt_id=attempt_id,
        status=status,
        exit_code=outcome.exit_code,
        stdout=outcome.stdout,
        stderr=outcome.stderr,
        result=NO_RESULT if outcome.result is None else outcome.result,
        error=error,
        started_at=started_at,
        finished_at=finished_at,
        truncated=outcome.truncated,
    )


def refused(attempt_id: AttemptId, code: str, message: str, wall_ms: int) -> Response:
    """Return the response to a task that was not even begun."""
    return Response(
        attempt_id=attempt_id,
        status=ResponseStatus.REJECTED,
        error=TaskError(code, message),
        started_at=wall_ms,
        finished_at=wall_ms,
    )


def cancelled_unseen(attempt_id: AttemptId, wall_ms: int) -> Response:
    """Return the response to a cancel of an attempt that was never started."""
    return Response(attempt_id=attempt_id, status=ResponseStatus.CANCELLED, finished_at=wall_ms)


def forgotten(attempt_id: AttemptId) -> Response:
    """Return the response to a delivery of an attempt whose result was acknowledged before."""
    return Response(
        attempt_id=attempt_id,
        status=ResponseStatus.FAILED,
        error=TaskError("result_forgotten", "this attempt has ended before and its result was acknowledged"),
    )
