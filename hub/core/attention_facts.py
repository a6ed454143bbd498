"""The facts of a moment, of which the rules say what needs a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from hub.contract import GatewayState
from hub.core.model import Agent, AgentId, AgentStatus, Connection, DispatchId, JobId, TaskId, TaskState
from hub.core.wellness import Report
from runtime.wire import Disk

FAILURE_STATES: Final = frozenset({TaskState.FAILED, TaskState.LOST, TaskState.REJECTED, TaskState.TIMED_OUT})
"""Ends of a task that somebody may have to look at; a cancel and an expiry were wanted."""
FAILURES_MS: Final = 24 * 3_600_000
"""How long a failed task or job asks for attention: who does not look within a day will not."""


class AgentFacts(msgspec.Struct, frozen=True, kw_only=True):
    """`looping`: restarts were given up. `restarting`: one is due. `last_seen_ms`: ms since the epoch."""

    agent: Agent
    status: AgentStatus
    connection: Connection
    last_seen_ms: int | None = None
    disk: Disk | None = None
    looping: bool = False
    restarting: bool = False
    wellness: Report | None = None


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """A task that ended badly. `ended_at`: ms since the epoch."""

    task_id: TaskId
    agent_id: AgentId
    agent_uid: str
    type: str
    state: TaskState
    ended_at: int
    dispatch_id: DispatchId | None = None
    code: str = ""
    message: str = ""
    exit_code: int | None = None


class JobFailure(msgspec.Struct, frozen=True, kw_only=True):
    """A job that failed and was not followed by what makes up for it. `ended_at`: ms since the epoch; `about`: as the
    job's."""

    job_id: JobId
    kind: str
    ended_at: int
    agent_id: AgentId | None = None
    about: str = ""
    message: str = ""


class HubFacts(msgspec.Struct, frozen=True, kw_only=True):
    """`trouble`: why nothing can be changed now. `drivers`: why a driver that has agents does not answer.
    `started_ms`: since the epoch."""

    started_ms: int = 0
    trouble: str = ""
    problems: Sequence[str] = ()
    drivers: Mapping[str, str] = {}
    disk: Disk | None = None


class GatewayFacts(msgspec.Struct, frozen=True, kw_only=True):
    """How an OpenClaw gateway was seen last. `since_ms`: when it was first seen so, in ms since the epoch."""

    name: str
    state: GatewayState
    reason: str
    since_ms: int


class GivenUpFacts(msgspec.Struct, frozen=True):
    """A gateway that the hub runs and does not restart any more. `since_ms`: ms since the epoch, None = not known."""

    name: str
    reason: str
    since_ms: int | None = None


class IngressFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The reverse proxy in front of gateways. `problem`: why what is wanted is not in force since `since_ms` (ms since
    the epoch); `away`: it cannot be asked at all. `routes`: gateways that are well and not reached through it, with
    reason and since when."""

    problem: str = ""
    away: bool = False
    since_ms: int = 0
    routes: Sequence[tuple[str, str, int]] = ()


class SyncFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The sync of one OpenClaw gateway. Personas as slug, reason and since when (ms since the epoch): those that
    failed, that wait for a decision, and that the gateway is not known to have taken."""

    gateway: str
    problem: str = ""
    problem_ms: int | None = None
    failed: Sequence[tuple[str, str, int]] = ()
    waiting: Sequence[tuple[str, str, int]] = ()
    pending: Sequence[tuple[str, str, int]] = ()


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """One moment. `now_ms`: ms since the epoch."""

    now_ms: int
    hub: HubFacts = HubFacts()
    agents: Sequence[AgentFacts] = ()
    failures: Sequence[Failure] = ()
    jobs: Sequence[JobFailure] = ()
    gateways: Sequence[GatewayFacts] = ()
    given_up: Sequence[GivenUpFacts] = ()
    syncs: Sequence[SyncFacts] = ()
    ingress: IngressFacts = IngressFacts()
