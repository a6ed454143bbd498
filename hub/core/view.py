"""The read model: one table decides the word that every front end shows for an agent.

`derive_status` looks at the first row that fits:

| quarantined | desired | observed          | connection  | status      |
|-------------|---------|-------------------|-------------|-------------|
| any         | absent  | any               | any         | destroying  |
| yes         | any     | any               | any         | quarantined |
| no          | any     | creating          | any         | creating    |
| no          | any     | paused            | any         | paused      |
| no          | stopped | exited, absent    | any         | stopped     |
| no          | running, paused | exited, absent | any    | crashed     |
| no          | stopped | unmanaged         | any         | stopped     |
| no          | any     | else              | X           | X           |
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from hub.contract import (
    AgentView,
    CheckView,
    DispatchMember,
    DispatchView,
    JobStepView,
    JobView,
    Lifecycle,
    RolloutRequest,
    TaskView,
    TokenView,
)
from hub.core.health import Presence
from hub.core.model import (
    TERMINAL,
    Agent,
    AgentStatus,
    Connection,
    Desired,
    Dispatch,
    Job,
    Observed,
    Task,
    Token,
    TokenKind,
)
from hub.core.wellness import Report

_GONE = frozenset({Observed.EXITED, Observed.ABSENT})


def derive_status(quarantined: bool, desired: Desired, observed: Observed, connection: Connection) -> AgentStatus:
    """Return the one word for an agent; see the table above."""
    if desired is Desired.ABSENT:
        return AgentStatus.DESTROYING
    if quarantined:
        return AgentStatus.QUARANTINED
    if observed is Observed.CREATING:
        return AgentStatus.CREATING
    if observed is Observed.PAUSED:
        return AgentStatus.PAUSED
    if observed in _GONE:
        return AgentStatus.STOPPED if desired is Desired.STOPPED else AgentStatus.CRASHED
    if observed is Observed.UNMANAGED and desired is Desired.STOPPED:
        return AgentStatus.STOPPED
    return AgentStatus(connection.value)


def rfc3339(ms: int | None) -> str | None:
    """Return ms since the epoch as RFC 3339 UTC text with milliseconds."""
    if ms is None:
        return None
    text = datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def check_view(report: Report | None) -> CheckView | None:
    """Return what the platform's health check says; None for an agent without one, or that does not run."""
    if report is None or report.check is None:
        return None
    return CheckView(
        status=report.check,
        since=rfc3339(report.since_ms) or "",
        why=report.why,
        restarts=report.restarts,
        given_up=report.given_up,
    )


def agent_view(
    agent: Agent, presence: Presence, *, queued: int, running: list[str], wellness: Report | None = None
) -> AgentView:
    """Return the agent as front ends show it; `running` holds task ids."""
    status = derive_status(agent.quarantined, agent.desired, agent.observed, presence.connection)
    by_driver = status in {AgentStatus.CRASHED, AgentStatus.STOPPED, AgentStatus.PAUSED}
    last_seen = presence.last_seen_ms if presence.last_seen_ms is not None else agent.last_seen_at
    return AgentView(
        id=agent.id,
        uid=agent.uid,
        status=status,
        lifecycle=Lifecycle(desired=agent.desired, observed=agent.observed),
        connection=presence.connection,
        display_name=agent.display_name,
        type=agent.type,
        driver=agent.driver,
        profile=agent.profile,
        capabilities=list(agent.capabilities),
        labels=agent.labels,
        basic=agent.basic,
        concurrency=agent.concurrency,
        created_at=rfc3339(agent.created_at) or "",
        last_seen_at=rfc3339(last_seen),
        health=presence.health,
        health_at=rfc3339(presence.health_ms),
        queued=queued,
        running=running,
        epoch=agent.epoch,
        version=agent.version,
        platform=agent.platform,
        reason=agent.fault or agent.reason or None,
        exit_code=agent.exit_code,
        source=f"driver:{agent.driver}" if by_driver and agent.driver else "hub",
        check=check_view(wellness),
        health_source=presence.health_source if presence.health is not None else None,
    )


def task_view(task: Task) -> TaskView:
    """Return the task as front ends show it."""
    return TaskView(
        id=task.id,
        agent_id=task.agent_id,
        type=task.type,
        status=task.state,
        attempt=task.attempt,
        created_at=rfc3339(task.created_at) or "",
        spec=msgspec.json.decode(task.spec, type=dict[str, Any]),
        labels=task.labels,
        exit_code=task.exit_code,
        result=msgspec.json.decode(task.result),
        error=task.error,
        stdout=task.stdout,
        stderr=task.stderr,
        started_at=rfc3339(task.started_at),
        finished_at=rfc3339(task.finished_at),
        cancelling=task.cancelling,
        held=task.held,
        truncated=task.truncated,
        note=task.note,
        by=task.by,
        priority=task.priority,
        max_attempts=task.max_attempts,
        timeout_ms=task.timeout_ms,
        expires_at=rfc3339(task.expires_at),
        dispatch_id=task.dispatch_id,
        retry_of=task.retry_of,
        terminal=task.state in TERMINAL,
    )


def dispatch_view(dispatch: Dispatch, tasks: list[Task]) -> DispatchView:
    """Return a dispatch with its members in the order in which they go out."""
    by_id = {task.id: task for task in tasks}
    members = [
        DispatchMember(agent_id=task.agent_id, task_id=task.id, status=task.state, held=task.held)
        for task_id in dispatch.tasks
        if (task := by_id.get(task_id)) is not None
    ]
    counts: dict[str, int] = {}
    for member in members:
        counts[member.status] = counts.get(member.status, 0) + 1
    rollout = dispatch.rollout
    return DispatchView(
        dispatch_id=dispatch.id,
        state=dispatch.state,
        created_at=rfc3339(dispatch.created_at) or "",
        selector=dispatch.selector,
        rollout=RolloutRequest(
            canary=rollout.canary,
            concurrency=rollout.concurrency,
            stop_on_failures=rollout.stop_on_failures,
        ),
        tasks=members,
        counts=counts,
        retry_of=dispatch.retry_of,
    )


def job_view(job: Job) -> JobView:
    """Return the job as front ends show it."""
    return JobView(
        id=job.id,
        kind=job.kind,
        state=job.state,
        started_at=rfc3339(job.started_at) or "",
        progress=job.progress,
        message=job.message,
        agent_id=job.agent_id,
        finished_at=rfc3339(job.finished_at),
        result=msgspec.json.decode(job.result),
        error=job.error,
        by=job.by,
        about=job.about,
        steps=[JobStepView(at=rfc3339(step.at) or "", message=step.message) for step in job.steps],
    )


def token_view(token: Token) -> TokenView:
    """Return a token without anything that could open a door."""
    return TokenView(
        id=token.id,
        kind=token.kind,
        created_at=rfc3339(token.created_at) or "",
        role=token.role if token.kind is TokenKind.USER else None,
        name=token.name,
        agent_id=token.agent_id,
        expires_at=rfc3339(token.expires_at),
        revoked_at=rfc3339(token.revoked_at),
        used=token.bound is not None,
    )
