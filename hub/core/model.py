"""Records and states: the vocabulary of every decision, and what the registry stores.

All records are frozen; a change is a new record. Wall-clock times are ms since the epoch and are
for people and for storage only. Deadlines use `Now.mono` and are never stored, because a
monotonic clock does not survive a restart.
"""

from __future__ import annotations

import enum
from typing import Final, NewType

import msgspec

from runtime.wire import NO_RESULT, AttemptId, OnDisconnect, TaskError

AgentId = NewType("AgentId", str)
"""The agent's name, unique among living agents: `^[a-z0-9][a-z0-9-]{0,39}$`."""
AgentUid = NewType("AgentUid", str)
"""One incarnation of an agent, from create to destroy."""
TaskId = NewType("TaskId", str)
DispatchId = NewType("DispatchId", str)
JobId = NewType("JobId", str)
TokenId = NewType("TokenId", str)

AGENT_ID_PATTERN: Final = r"^[a-z0-9][a-z0-9-]{0,39}$"
RESERVED_IDS: Final = frozenset({"hub", "register"})
"""The hub's own address, and a word of the HTTP API in the place of an id."""


class Now(msgspec.Struct, frozen=True):
    """One reading of both clocks. `wall_ms`: ms since the epoch; `mono`: seconds, monotonic."""

    wall_ms: int
    mono: float


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """Base of everything the registry keeps."""


# --- agents ------------------------------------------------------------------------------------


class Desired(enum.StrEnum):
    """What the operator wants of an agent."""

    RUNNING = "running"
    STOPPED = "stopped"
    PAUSED = "paused"
    ABSENT = "absent"


class Observed(enum.StrEnum):
    """What the driver last saw. `UNMANAGED`: no driver made this agent, nobody can look."""

    ABSENT = "absent"
    CREATING = "creating"
    RUNNING = "running"
    PAUSED = "paused"
    EXITED = "exited"
    UNKNOWN = "unknown"
    UNMANAGED = "unmanaged"


class CheckState(enum.StrEnum):
    """What a platform's own health check says of an agent that runs."""

    STARTING = "starting"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"


class Connection(enum.StrEnum):
    """What the hub knows from the agent's socket and its reports."""

    ONLINE = "online"
    STALE = "stale"
    UNREACHABLE = "unreachable"
    OFFLINE = "offline"


class AgentStatus(enum.StrEnum):
    """The one word shown for an agent; derived by `hub.core.view.derive_status`."""

    CREATING = "creating"
    ONLINE = "online"
    STALE = "stale"
    UNREACHABLE = "unreachable"
    OFFLINE = "offline"
    STOPPED = "stopped"
    PAUSED = "paused"
    CRASHED = "crashed"
    QUARANTINED = "quarantined"
    DESTROYING = "destroying"


class Agent(Record, frozen=True):
    """One agent as the registry keeps it. What changes with every report is not in here.

    `handle` is the driver's own JSON, opaque to everybody else. `spec` is the create request as
    JSON, so that an agent can be made again. `epoch` counts accepted connections. `reason` is the
    driver's word on what it observed, `fault` the hub's own on what keeps the agent from working.
    `connection` is the last one that was decided.
    """

    id: AgentId
    uid: AgentUid
    created_at: int
    display_name: str = ""
    type: str = ""
    driver: str = ""
    profile: str = ""
    capabilities: tuple[str, ...] = ()
    labels: dict[str, str] = {}
    basic: bool = False
    concurrency: int = 1
    desired: Desired = Desired.RUNNING
    observed: Observed = Observed.UNMANAGED
    handle: str | None = None
    spec: str | None = None
    epoch: int = 0
    instance: str = ""
    version: str = ""
    platform: str = ""
    quarantined: bool = False
    reason: str = ""
    fault: str = ""
    exit_code: int | None = None
    connection: Connection = Connection.OFFLINE
    last_seen_at: int | None = None
    restart: str = "unless-stopped"


# --- tasks -------------------------------------------------------------------------------------


class TaskState(enum.StrEnum):
    QUEUED = "queued"
    OFFERED = "offered"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed_out"
    REJECTED = "rejected"
    LOST = "lost"
    EXPIRED = "expired"


_REPORTED: Final = frozenset(
    {
        TaskState.SUCCEEDED,
        TaskState.FAILED,
        TaskState.CANCELLED,
        TaskState.TIMED_OUT,
        TaskState.REJECTED,
    }
)

TRANSITIONS: Final[dict[TaskState, frozenset[TaskState]]] = {
    TaskState.QUEUED: frozenset({TaskState.OFFERED, TaskState.CANCELLED, TaskState.EXPIRED}),
    # Straight to a terminal state: the `accepted` was lost together with a hub.
    # Back to queued: the agent says it never got it.
    TaskState.OFFERED: _REPORTED | {TaskState.RUNNING, TaskState.QUEUED, TaskState.LOST},
    # Back to queued: the next attempt of a task that may be retried.
    TaskState.RUNNING: _REPORTED | {TaskState.LOST, TaskState.QUEUED},
    # The real result of a lost attempt, when no newer attempt exists.
    TaskState.LOST: _REPORTED,
    TaskState.SUCCEEDED: frozenset(),
    TaskState.FAILED: frozenset(),
    TaskState.CANCELLED: frozenset(),
    TaskState.TIMED_OUT: frozenset(),
    TaskState.REJECTED: frozenset(),
    TaskState.EXPIRED: frozenset(),
}
"""The whole life of a task; a pair that is not in here cannot happen."""

TERMINAL: Final = frozenset({*_REPORTED, TaskState.LOST, TaskState.EXPIRED})
OPEN: Final = frozenset(set(TaskState) - TERMINAL)


class RetryOn(enum.StrEnum):
    LOST = "lost"
    INTERRUPTED = "interrupted"
    EXIT_CODE = "exit_code"


class Task(Record, frozen=True):
    """One unit of work. `spec` holds the task's own fields as JSON, as they were submitted.

    `attempt` counts from 1. `held`: created by a rollout that has not released it yet.
    `cancelling` is an overlay: a cancel was asked for and is not confirmed.
    `seq` orders tasks of equal priority (higher `priority` first).
    """

    id: TaskId
    agent_id: AgentId
    agent_uid: AgentUid
    type: str
    spec: msgspec.Raw
    created_at: int
    seq: int
    state: TaskState = TaskState.QUEUED
    priority: int = 0
    attempt: int = 1
    max_attempts: int = 1
    retry_on: frozenset[RetryOn] = frozenset()
    timeout_ms: int = 3_600_000
    expires_at: int | None = None
    on_disconnect: OnDisconnect = OnDisconnect.CONTINUE
    labels: dict[str, str] = {}
    by: str = ""
    dispatch_id: DispatchId | None = None
    retry_of: TaskId | None = None
    held: bool = False
    cancelling: bool = False
    note: str = ""
    started_at: int | None = None
    finished_at: int | None = None
    exit_code: int | None = None
    stdout: str | None = None
    stderr: str | None = None
    result: msgspec.Raw = NO_RESULT
    error: TaskError | None = None
    truncated: bool = False

    @property
    def attempt_id(self) -> AttemptId:
        return attempt_id(self.id, self.attempt)


def attempt_id(task: TaskId, attempt: int) -> AttemptId:
    return AttemptId(f"{task}:{attempt}")


def parse_attempt_id(text: str) -> tuple[TaskId, int] | None:
    """Return task and attempt number, or None when `text` is not an attempt id."""
    task, _, number = text.rpartition(":")
    # isdecimal alone would take digits of other scripts; int() of a huge text would raise; and
    # one attempt must not have two names.
    plain = number.isascii() and number.isdecimal() and not number.startswith("0")
    if not task or not plain or len(number) > 9:
        return None
    return TaskId(task), int(number)


class Rollout(msgspec.Struct, frozen=True, kw_only=True):
    """How a dispatch goes out. `canary` tasks first, alone; then at most `concurrency` at once
    (0 = no limit); `stop_on_failures` failed tasks stop the rest (0 = never)."""

    canary: int = 0
    concurrency: int = 0
    stop_on_failures: int = 0


class DispatchState(enum.StrEnum):
    CANARY = "canary"
    ROLLING = "rolling"
    STOPPED = "stopped"
    DONE = "done"


class Dispatch(Record, frozen=True):
    """One task sent to several agents. `tasks` are in the order in which they go out."""

    id: DispatchId
    created_at: int
    spec: msgspec.Raw
    rollout: Rollout
    tasks: tuple[TaskId, ...]
    selector: str = ""
    by: str = ""
    state: DispatchState = DispatchState.ROLLING
    retry_of: DispatchId | None = None


# --- everything else the registry keeps ---------------------------------------------------------


class TokenKind(enum.StrEnum):
    USER = "user"
    AGENT = "agent"
    JOIN = "join"


class Role(enum.StrEnum):
    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"


class Token(Record, frozen=True):
    """A secret's SHA-256 and what it opens. The secret itself is never kept.

    A join token is spent once: `bound` is then the SHA-256 of the credential it was spent for.
    """

    id: TokenId
    kind: TokenKind
    sha256: str
    created_at: int
    role: Role = Role.VIEWER
    name: str = ""
    agent_id: AgentId | None = None
    agent_uid: AgentUid | None = None
    expires_at: int | None = None
    revoked_at: int | None = None
    bound: str | None = None


class Policy(Record, frozen=True):
    """Allows application messages from one agent to another."""

    sender: AgentId
    receiver: AgentId


class StoredMessage(Record, frozen=True):
    """An application message between agents, kept until the receiver acknowledges it."""

    id: str
    sender: AgentId
    receiver: AgentId
    receiver_uid: AgentUid
    seq: int
    payload: msgspec.Raw
    created_at: int


class JobState(enum.StrEnum):
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class JobStep(msgspec.Struct, frozen=True, kw_only=True):
    """What a job said it was doing, from `at` on (ms since the epoch)."""

    at: int
    message: str


class Job(Record, frozen=True):
    """Long work of the hub itself. `progress` 0..1; `request` is JSON, to finish it later. `about`: what it is done to
    where that is no agent: a profile, an image, a snapshot.

    `steps` are the last things that it said, the oldest first; they are kept at its end.
    """

    id: JobId
    kind: str
    started_at: int
    state: JobState = JobState.RUNNING
    agent_id: AgentId | None = None
    about: str = ""
    progress: float = 0.0
    message: str = ""
    steps: tuple[JobStep, ...] = ()
    request: str = ""
    by: str = ""
    finished_at: int | None = None
    result: msgspec.Raw = NO_RESULT
    error: TaskError | None = None


class AuditEntry(Record, frozen=True):
    """Who did what to which target, and how it ended. `detail` is redacted before it gets here."""

    at: int
    who: str
    what: str
    target: str
    outcome: str
    detail: str = ""


class Snooze(Record, frozen=True):
    """Somebody wants to hear no more of an attention's `id`. `at`: when that was said, `until`: when
    it ends, in ms since the epoch."""

    id: str
    at: int
    until: int
    by: str = ""


class Consistency(enum.StrEnum):
    """How an agent is held still while it is saved: `CRASH` frozen, as after a power cut; `CLEAN` stopped."""

    CRASH = "crash"
    CLEAN = "clean"


class SnapshotState(enum.StrEnum):
    """`BROKEN`: it failed or is being deleted, and something of it may still be there."""

    CREATING = "creating"
    READY = "ready"
    BROKEN = "broken"


class Snapshot(Record, frozen=True):
    """A saved agent. `name` is unique among the snapshots of all agents of one name.

    `template` is the agent's record as it was made, so that it can be made again. `parent` is the snapshot that the
    agent was at before. `image_parent` is the one on whose image this one's is built. `size_bytes` is all of it,
    `volume_bytes` the archives' part. `scheduled`: retention may delete it.
    """

    id: str
    agent_id: AgentId
    agent_uid: AgentUid
    name: str
    driver: str
    created_at: int
    template: Agent
    consistency: Consistency = Consistency.CRASH
    state: SnapshotState = SnapshotState.CREATING
    parent: str | None = None
    image_parent: str | None = None
    profile_hash: str = ""
    image: str = ""
    image_id: str = ""
    base_image: str = ""
    image_bytes: int = 0
    volume_bytes: int = 0
    files: int = 0
    scheduled: bool = False
    by: str = ""
    notes: tuple[str, ...] = ()
    reason: str = ""

    @property
    def size_bytes(self) -> int:
        return self.image_bytes + self.volume_bytes


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """A snapshot every `interval_seconds`; of the scheduled ones the last `keep_last` are kept (0 = no such bound), and
    none older than `keep_days` (0 = no such bound)."""

    interval_seconds: int
    keep_last: int = 0
    keep_days: float = 0.0
    consistency: Consistency = Consistency.CRASH


class SnapshotLine(Record, frozen=True):
    """Where one incarnation of an agent stands among snapshots. `parent`: the one it was made from, restored to, or
    saved in last. `generation`: its workspace now; `newest`: the highest one ever given out.

    `undo_*` until `undo_until`: what the last restore replaced. `stale`: generations to be dropped. `next_at`: when
    the schedule is due.
    """

    uid: AgentUid
    agent_id: AgentId
    parent: str | None = None
    generation: int = 0
    newest: int = 0
    undo_generation: int | None = None
    undo_parent: str | None = None
    undo_until: int | None = None
    stale: tuple[int, ...] = ()
    schedule: Schedule | None = None
    next_at: int | None = None


class IdempotencyKey(Record, frozen=True):
    """A submission that must not happen twice. `answer` is what the first one was answered."""

    who: str
    key: str
    digest: str
    answer: msgspec.Raw
    created_at: int
