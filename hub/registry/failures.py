"""Tasks that failed lately and were not submitted again, newest first, without their output."""

from __future__ import annotations

import sqlite3
from typing import Final

import msgspec

from hub.core.attention import FAILURE_STATES, Failure
from hub.core.model import AgentId, DispatchId, TaskId, TaskState

MOST_FAILURES: Final = 1_000
"""So many of the newest are looked at: beyond that a person reads counts, not names."""

# The same words as in the index; a name instead of them, and SQLite reads every task.
_FAILED: Final = ", ".join(f"'{state}'" for state in sorted(FAILURE_STATES))
_QUERY: Final = f"""
    SELECT id, agent_id, agent_uid, dispatch_id, type, state, ended_at, CAST(body AS TEXT)
    FROM tasks INDEXED BY tasks_failed WHERE state IN ({_FAILED}) AND ended_at >= ?
    AND NOT EXISTS (SELECT 1 FROM tasks AS again WHERE again.retry_of = tasks.id)
    ORDER BY ended_at DESC LIMIT ?"""


class _Why(msgspec.Struct):
    code: str = ""
    message: str = ""


class _Body(msgspec.Struct):
    """What of a task's record says why it failed."""

    exit_code: int | None = None
    error: _Why | None = None


_decode = msgspec.json.Decoder(_Body).decode


def failures(connection: sqlite3.Connection, since_ms: int, limit: int = MOST_FAILURES) -> list[Failure]:
    """Return what ended since `since_ms` (ms since the epoch). Runs on a reader's thread."""
    rows = connection.execute(_QUERY, (since_ms, limit))
    return [_failure(*row) for row in rows]


def _failure(
    task: str, agent: str, uid: str, dispatch: str | None, type: str, state: str, ended_at: int, body: str
) -> Failure:
    told = _decode(body)
    why = told.error or _Why()
    return Failure(
        task_id=TaskId(task),
        agent_id=AgentId(agent),
        agent_uid=uid,
        dispatch_id=DispatchId(dispatch) if dispatch is not None else None,
        type=type,
        state=TaskState(state),
        ended_at=ended_at,
        code=why.code,
        message=why.message,
        exit_code=told.exit_code,
    )
