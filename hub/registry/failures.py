"""Tasks and jobs that failed lately and that nobody has made up for since, newest first."""

from __future__ import annotations

import sqlite3
from typing import Final

import msgspec

from hub.core.attention_facts import FAILURE_STATES, Failure, JobFailure
from hub.core.model import AgentId, DispatchId, JobId, JobState, TaskId, TaskState

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


_FAILED_JOBS: Final = f"""
    SELECT id, ended_at, CAST(body AS TEXT) FROM jobs INDEXED BY jobs_by_end
    WHERE ended_at >= ? AND state = '{JobState.FAILED.value}' ORDER BY ended_at DESC LIMIT ?"""
# Asked only when something has failed: bodies of a day's jobs are looked into, inside SQLite.
_SUCCEEDED_JOBS: Final = f"""
    SELECT json_extract(CAST(body AS TEXT), '$.kind') AS kind, coalesce(json_extract(CAST(body AS TEXT), '$.agent_id'),
    ' ' || json_extract(CAST(body AS TEXT), '$.about')) AS target,
    MAX(ended_at) FROM jobs INDEXED BY jobs_by_end WHERE ended_at >= ? AND state = '{JobState.SUCCEEDED.value}'
    AND target IN (SELECT value FROM json_each(?)) GROUP BY kind, target"""
REMOVES: Final = "destroy"
"""The job that leaves nothing to make up for on its agent."""


class _Job(msgspec.Struct):
    """What of a job's record says what failed, on which agent, and why."""

    kind: str
    agent_id: str | None = None
    about: str = ""
    error: _Why | None = None


_decode_job = msgspec.json.Decoder(_Job).decode


def failed_jobs(connection: sqlite3.Connection, since_ms: int, limit: int = MOST_FAILURES) -> list[JobFailure]:
    """Return the jobs that failed since `since_ms` (ms since the epoch), apart from those after which a job
    of the same kind succeeded on the same agent or the same other thing, or the agent was destroyed.

    Runs on a reader's thread.
    """
    failed = [
        _failed_job(job, ended_at, _decode_job(body))
        for job, ended_at, body in connection.execute(_FAILED_JOBS, (since_ms, limit))
    ]
    if not failed:
        return []
    targets = msgspec.json.encode(sorted({_target(job) for job in failed} - {""})).decode()
    rows = connection.execute(_SUCCEEDED_JOBS, (failed[-1].ended_at, targets))
    succeeded = {(str(kind), str(target)): int(ended_at) for kind, target, ended_at in rows}

    def made_up(job: JobFailure) -> bool:
        later = (succeeded.get((kind, _target(job)), 0) for kind in (job.kind, REMOVES))
        return max(later) >= job.ended_at

    return [job for job in failed if not made_up(job)]


def _target(job: JobFailure) -> str:
    """What it was done to, as `_SUCCEEDED_JOBS` tells it: no agent's name begins with a blank."""
    return job.agent_id or (f" {job.about}" if job.about else "")


def _failed_job(job: str, ended_at: int, told: _Job) -> JobFailure:
    why = told.error or _Why()
    return JobFailure(
        job_id=JobId(job),
        kind=told.kind,
        agent_id=AgentId(told.agent_id) if told.agent_id is not None else None,
        about=told.about,
        ended_at=ended_at,
        message=why.message or why.code,
    )
