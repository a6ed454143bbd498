"""Records and rows: which table keeps which record, by which key, and which columns queries need.

`body` is the record as JSON, so a new field with a default needs no migration: rows written before
it existed still decode. Columns beside it exist only where a query looks at them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar

import msgspec

from hub.core.gateways import StoredGateway
from hub.core.hosts import StoredHost
from hub.core.instances import StoredBackup, StoredInstance
from hub.core.model import (
    TERMINAL,
    Agent,
    AuditEntry,
    Dispatch,
    DispatchState,
    IdempotencyKey,
    Job,
    JobState,
    Policy,
    Record,
    Snapshot,
    SnapshotLine,
    Snooze,
    StoredMessage,
    Task,
    Token,
)

R = TypeVar("R", bound=Record)
Row = tuple[Any, ...]

_encode = msgspec.json.Encoder().encode

DISPATCH_ENDED: Final = frozenset({DispatchState.STOPPED, DispatchState.DONE})


class Table(Generic[R]):
    """One kind of record. `key` and `columns` give values in the order of their names."""

    def __init__(
        self,
        name: str,
        kind: type[R],
        key_names: tuple[str, ...],
        key: Callable[[R], Row],
        *,
        fixed: tuple[str, ...] = (),
        changing: tuple[str, ...] = (),
        columns: Callable[[R], Row] = lambda record: (),
    ) -> None:
        """`fixed` columns are written once: leaving them out of an update spares their indexes."""
        self.name = name
        self.kind = kind
        self.key_names = key_names
        self.key = key
        self.names = (*key_names, *fixed, *changing, "body")
        self.changing = (*changing, "body")
        self._columns = columns
        self._decoder = msgspec.json.Decoder(kind)

    def row(self, record: R) -> Row:
        return (*self.key(record), *self._columns(record), _encode(record))

    def record(self, body: bytes) -> R:
        return self._decoder.decode(body)


def _task_columns(task: Task) -> Row:
    ended = (task.finished_at or task.created_at) if task.state in TERMINAL else None
    return (
        task.agent_id,
        task.agent_uid,
        task.type,
        task.dispatch_id,
        task.seq,
        task.retry_of,
        task.state.value,
        ended,
    )


def _job_columns(job: Job) -> Row:
    ended = None if job.state is JobState.RUNNING else (job.finished_at or job.started_at)
    return job.state.value, ended


AGENTS: Final = Table(
    "agents", Agent, ("id",), lambda agent: (agent.id,), changing=("uid",), columns=lambda agent: (agent.uid,)
)
TASKS: Final = Table(
    "tasks",
    Task,
    ("id",),
    lambda task: (task.id,),
    fixed=("agent_id", "agent_uid", "type", "dispatch_id", "seq", "retry_of"),
    changing=("state", "ended_at"),
    columns=_task_columns,
)
DISPATCHES: Final = Table(
    "dispatches",
    Dispatch,
    ("id",),
    lambda dispatch: (dispatch.id,),
    fixed=("created_at",),
    changing=("ended",),
    columns=lambda dispatch: (dispatch.created_at, int(dispatch.state in DISPATCH_ENDED)),
)
TOKENS: Final = Table("tokens", Token, ("id",), lambda token: (token.id,))
POLICIES: Final = Table("policies", Policy, ("sender", "receiver"), lambda policy: (policy.sender, policy.receiver))
# Senders choose the ids, and two of them may choose the same one for different receivers.
MESSAGES: Final = Table("messages", StoredMessage, ("id",), lambda message: (f"{message.receiver}/{message.id}",))
JOBS: Final = Table("jobs", Job, ("id",), lambda job: (job.id,), changing=("state", "ended_at"), columns=_job_columns)
SNOOZES: Final = Table(
    "snoozes", Snooze, ("id",), lambda snooze: (snooze.id,), changing=("until",), columns=lambda snooze: (snooze.until,)
)
SNAPSHOTS: Final = Table(
    "snapshots",
    Snapshot,
    ("id",),
    lambda snapshot: (snapshot.id,),
    fixed=("agent_id", "name"),
    columns=lambda snapshot: (snapshot.agent_id, snapshot.name),
)
SNAPSHOT_LINES: Final = Table("snapshot_lines", SnapshotLine, ("uid",), lambda line: (line.uid,))
GATEWAYS: Final = Table("gateways", StoredGateway, ("name",), lambda gateway: (gateway.name,))
INSTANCES: Final = Table(
    "instances",
    StoredInstance,
    ("name",),
    lambda instance: (instance.name,),
    changing=("uid",),
    columns=lambda instance: (instance.uid,),
)
BACKUPS: Final = Table(
    "backups",
    StoredBackup,
    ("id",),
    lambda backup: (backup.id,),
    fixed=("gateway",),
    columns=lambda backup: (backup.gateway,),
)
HOSTS: Final = Table("hosts", StoredHost, ("name",), lambda host: (host.name,))
IDEMPOTENCY: Final = Table(
    "idempotency",
    IdempotencyKey,
    ("who", "key"),
    lambda entry: (entry.who, entry.key),
    fixed=("created_at",),
    columns=lambda entry: (entry.created_at,),
)

TABLES: Final[dict[type[Record], Table[Any]]] = {
    table.kind: table
    for table in (
        AGENTS,
        TASKS,
        DISPATCHES,
        TOKENS,
        POLICIES,
        MESSAGES,
        JOBS,
        SNOOZES,
        SNAPSHOTS,
        SNAPSHOT_LINES,
        GATEWAYS,
        INSTANCES,
        BACKUPS,
        HOSTS,
        IDEMPOTENCY,
    )
}
"""Every record with a key; an `AuditEntry` has none."""

AUDIT_NAMES: Final = ("at", "who", "what", "target", "outcome", "detail")


def audit_row(entry: AuditEntry) -> Row:
    return entry.at, entry.who, entry.what, entry.target, entry.outcome, entry.detail


def task_labels(task: Task) -> list[str]:
    """What the label filter can ask for: `key` and `key=value` of every label."""
    return [text for key, value in task.labels.items() for text in (key, f"{key}={value}")]
