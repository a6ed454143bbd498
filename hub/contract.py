"""Requests, answers and events: the shapes of the HTTP API, shared by every front end.

Field names are camelCase on the wire. Times are RFC 3339 UTC text, sizes bytes, durations ms where
the name says so. Fields may be added, those that stand here stay.
"""

from __future__ import annotations

import enum
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from hub.core.model import (
    AgentStatus,
    CheckState,
    Connection,
    Consistency,
    Desired,
    Observed,
    RetryOn,
    Role,
    SnapshotState,
    TaskState,
)
from runtime.wire import Health, OnDisconnect, TaskError

API_VERSION: Final = 1
"""Of the HTTP API: grows when something that stands here goes away or changes its meaning, never for additions."""


class Shape(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Base of answers: tolerant of fields it does not know, so versions can meet."""


class Request(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Base of request bodies: a field that is not known is a mistake of the caller."""


Count = Annotated[int, Meta(ge=0, le=2**53)]
"""A number that is never negative and that every JSON reader can hold."""
PageSize = Annotated[int, Meta(ge=1, le=1_000)]


# --- agents ------------------------------------------------------------------------------------


class Lifecycle(Shape, frozen=True):
    desired: Desired
    observed: Observed


class CheckView(Shape, frozen=True):
    """The platform's own health check of an agent. `why`: its last words. `restarts`: how often the hub has
    restarted the agent for it since it was last well; `given_up`: it will not any more."""

    status: CheckState
    since: str
    why: str = ""
    restarts: int = 0
    given_up: bool = False


class AgentView(Shape, frozen=True):
    """An agent as every front end shows it. `source` says who reported the state last, `health_source` who measured
    `health`: `agent`, or the platform's name where the agent reports nothing. `machine`: what it was made with, in a
    profile's words; there when one agent is shown, not in a list."""

    id: str
    uid: str
    status: AgentStatus
    lifecycle: Lifecycle
    connection: Connection
    display_name: str = ""
    type: str = ""
    driver: str = ""
    profile: str = ""
    capabilities: list[str] = []
    labels: dict[str, str] = {}
    basic: bool = False
    concurrency: int = 1
    created_at: str = ""
    last_seen_at: str | None = None
    health: Health | None = None
    health_at: str | None = None
    health_source: str | None = None
    check: CheckView | None = None
    queued: int = 0
    running: list[str] = []
    epoch: int = 0
    version: str = ""
    platform: str = ""
    reason: str | None = None
    exit_code: int | None = None
    source: str = "hub"
    machine: Any = None


class AgentList(Shape, frozen=True):
    agents: list[AgentView]
    next: str | None = None


class AgentAnswer(Shape, frozen=True):
    agent: AgentView


class AgentQuery(Request, frozen=True):
    """Filters of `GET /agents`; `label` is `key=value` or `key`."""

    status: AgentStatus | None = None
    type: str | None = None
    label: str | None = None
    limit: PageSize = 500
    cursor: str | None = None


class RegisterMetadata(Shape, frozen=True):
    """The documented metadata; other fields are kept nowhere and are no error."""

    type: str = ""
    capabilities: list[str] = []
    labels: dict[str, str] = {}
    display_name: str = ""


class RegisterAgent(Request, frozen=True):
    agent_id: str
    metadata: RegisterMetadata = RegisterMetadata()


class RegisteredAgent(Shape, frozen=True):
    """`token` is shown once."""

    agent: AgentView
    token: str
    ws_url: str


class Resources(Request, frozen=True):
    """`cpus` in cores, `memory` and `disk` like `4G`, `512m` or bytes."""

    cpus: float | None = None
    memory: str | int | None = None
    disk: str | int | None = None


class MountRequest(Request, frozen=True):
    source: str
    target: str
    read_only: bool = False


class CreateAgent(Request, frozen=True):
    """What is empty or None is as the profile says, else the driver's own.

    `machine`: more of what a profile can say of the machine, in a profile's own words (`limits`, `security`,
    `health`, `logging`, `gpu` …); it wins over the profile field by field, the other fields here win over it.
    """

    name: str
    driver: str = ""
    profile: str = ""
    type: str = ""
    display_name: str = ""
    capabilities: list[str] = []
    labels: dict[str, str] = {}
    concurrency: Annotated[int, Meta(ge=1, le=256)] | None = None
    resources: Resources = Resources()
    environment: dict[str, str] = {}
    network: str = ""
    mounts: list[MountRequest] = []
    tmpfs: list[str] = []
    read_only: bool = False
    restart: str = ""
    machine: dict[str, Any] = {}


class AgentAct(enum.StrEnum):
    START = "start"
    STOP = "stop"
    RESTART = "restart"
    PAUSE = "pause"
    RESUME = "resume"
    UPGRADE = "upgrade"


class LogEntry(Shape, frozen=True):
    """A line of an agent's log; `source` is `runtime` (what it sent) or the driver's name."""

    text: str
    source: str
    at: str | None = None
    level: str | None = None
    stream: str = "stdout"


class LogQuery(Request, frozen=True):
    """`since` and `until` are RFC 3339 or an age like `10m`; `source` empty = whichever the driver has.

    `lines` counts from the end, or from `until`; that cannot be followed.
    """

    source: str = ""
    since: str | None = None
    until: str | None = None
    lines: Count | None = 200
    follow: bool = False


# --- tasks -------------------------------------------------------------------------------------


class TaskOptions(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How a task is carried out; stands beside the task's own fields in a submission.

    `timeout` is the documented alias of `timeout_ms`; both and different is an error.
    """

    timeout: int | None = None
    timeout_ms: int | None = None
    expires_in_ms: int | None = None
    priority: int = 0
    max_attempts: int = 1
    retry_on: list[RetryOn] = []
    on_disconnect: OnDisconnect = OnDisconnect.CONTINUE
    labels: dict[str, str] = {}


class Submitted(Shape, frozen=True):
    """`status` is `sent` (an agent has been offered it) or `queued`."""

    task_id: str
    status: str


class TaskView(Shape, frozen=True):
    id: str
    agent_id: str
    type: str
    status: TaskState
    attempt: int
    created_at: str
    spec: dict[str, Any]
    labels: dict[str, str] = {}
    exit_code: int | None = None
    result: Any = None
    error: TaskError | None = None
    stdout: str | None = None
    stderr: str | None = None
    started_at: str | None = None
    finished_at: str | None = None
    cancelling: bool = False
    held: bool = False
    truncated: bool = False
    note: str = ""
    by: str = ""
    priority: int = 0
    max_attempts: int = 1
    timeout_ms: int = 0
    expires_at: str | None = None
    dispatch_id: str | None = None
    retry_of: str | None = None
    terminal: bool = False


class TaskList(Shape, frozen=True):
    tasks: list[TaskView]
    next: str | None = None


class TaskQuery(Request, frozen=True):
    """Newest first. `status` is a task state, `open` or `ended`."""

    agent: str | None = None
    status: str | None = None
    type: str | None = None
    label: str | None = None
    dispatch: str | None = None
    limit: PageSize = 100
    cursor: str | None = None


class OutputQuery(Request, frozen=True):
    """From `offset` on; with `tail` only the last so many bytes there are before `before` (without it: so far).

    A `tail` is answered with 1 MiB at most; with `follow` it goes on from there, which a `before` forbids.
    """

    offset: Count = 0
    tail: Count | None = None
    before: Count | None = None
    follow: bool = False


class OutputChunk(Shape, frozen=True):
    """A piece of a task's output. `skipped` bytes were cut directly before `offset`.

    `end` is the last item of a stream that reached the end of an ended task's output.
    """

    offset: int
    data: str = ""
    stream: str = "stdout"
    encoding: str = "utf-8"
    skipped: int = 0
    end: bool = False


class RolloutRequest(Request, frozen=True):
    canary: Count = 0
    concurrency: Count = 0
    stop_on_failures: Count = 0


class DispatchRequest(Request, frozen=True):
    """`task` holds the task's own fields and options; one of `selector` and `agents` is given."""

    task: dict[str, Any]
    selector: str | None = None
    agents: list[str] | None = None
    rollout: RolloutRequest = RolloutRequest()


class DispatchMember(Shape, frozen=True):
    agent_id: str
    task_id: str
    status: TaskState
    held: bool = False


class DispatchView(Shape, frozen=True):
    dispatch_id: str
    state: str
    created_at: str
    selector: str = ""
    rollout: RolloutRequest = RolloutRequest()
    tasks: list[DispatchMember] = []
    counts: dict[str, int] = {}
    retry_of: str | None = None


# --- profiles and images --------------------------------------------------------------------------


class ProblemView(Shape, frozen=True):
    """A mistake in a profile. `field` is its path, as in `resources.memory`."""

    field: str
    message: str
    hint: str = ""


class ProfileView(Shape, frozen=True):
    """A profile of one source: `built-in`, `user` or `project`; the stronger one hides the others.

    `path` and `dockerfile` are files on the hub's machine. `effective` is everything it means, with
    defaults; it and the texts are there when one profile is shown, not in a list.
    """

    name: str
    source: str
    valid: bool
    description: str = ""
    path: str = ""
    dockerfile: str = ""
    shadows: list[str] = []
    hidden: bool = False
    repository: str = ""
    problems: list[ProblemView] = []
    notes: list[str] = []
    format: str = "json"
    text: str | None = None
    dockerfile_text: str | None = None
    effective: Any = None
    image: str | None = None
    """The full name of its image as the profile is now; None where that is not known."""
    built: bool | None = None


class ProfileList(Shape, frozen=True):
    profiles: list[ProfileView]
    next: str | None = None


class ProfileQuery(Request, frozen=True):
    """`all`: also those that stronger ones hide."""

    all: bool = False


class ProfileText(Request, frozen=True):
    """The text of a profile's file; `format` json or yaml. `name` is what the file is called.

    `dockerfile`: a custom Dockerfile in the place of packages, tasks and files; none = what is there stays as it is.
    `context`: what it can COPY, base64 by path, 512 KiB together; saved in the place of what was saved before.
    """

    text: str
    format: Literal["json", "yaml"] = "json"
    name: str = ""
    dockerfile: str | None = None
    context: dict[str, str] = {}


class ProfileCheck(Shape, frozen=True):
    valid: bool
    problems: list[ProblemView] = []


class BuildImage(Request, frozen=True):
    """`rebuild`: build again although nothing has changed. `platform` such as linux/arm64, empty = the engine's.

    `build_args` belong to this machine, such as a mirror's address: they are no part of the tag. `sudo`: also where
    the profile has none; that is another image.
    """

    rebuild: bool = False
    platform: str = ""
    build_args: dict[str, str] = {}
    driver: str = ""
    sudo: bool = False


class ImageView(Shape, frozen=True):
    """One image of ours. `profile` is empty for the base image."""

    name: str
    tag: str
    id: str
    profile: str
    created_at: str
    size_bytes: int
    latest: bool = False


class ImageList(Shape, frozen=True):
    images: list[ImageView]
    next: str | None = None


class TransferImage(Request, frozen=True):
    """`image`: a profile's name or `base`, with a tag after a colon; without one what the profile makes now.

    `registry`: a host with its port and perhaps a folder, such as localhost:5000/team.
    """

    image: str
    registry: str
    driver: str = ""


class BuildLogQuery(Request, frozen=True):
    """`tag` empty = the newest build; `lines` 0 = all of them so far; `follow`: until that build's end."""

    tag: str = ""
    lines: Count = 0
    follow: bool = False


class BuildLogLine(Shape, frozen=True):
    text: str


# --- networks and Compose files --------------------------------------------------------------------


class CreateNetwork(Request, frozen=True):
    """`subnet`, `gateway`: IPv4, empty = the platform chooses. `internal`: no way out of it. `apart`: agents in it do
    not reach each other. `driver` empty = the first that has networks."""

    name: str
    subnet: str = ""
    gateway: str = ""
    internal: bool = False
    apart: bool = True
    driver: str = ""


class NetworkView(Shape, frozen=True):
    """A network that agents can be in. `driver` is the one of the hub's agents. `ours`: a hub made it; `shared`: for
    all agents, made and removed by itself. `agents`: this hub's in it; `others`: how many other containers."""

    name: str
    driver: str = ""
    subnet: str = ""
    gateway: str = ""
    internal: bool = False
    apart: bool = False
    ours: bool = False
    shared: bool = False
    agents: list[str] = []
    others: int = 0


class NetworkList(Shape, frozen=True):
    networks: list[NetworkView]
    next: str | None = None


class NetworkQuery(Request, frozen=True):
    driver: str = ""


class NetworkMember(Request, frozen=True):
    agent_id: str


class ExportCompose(Request, frozen=True):
    """Agents that there are, by name and by selector, and `planned` ones, for which records are made: the Compose
    file makes them. A join token lives `token_seconds`; until then the file must have been started once."""

    agents: list[str] = []
    selector: str = ""
    planned: list[CreateAgent] = []
    token_seconds: Annotated[int, Meta(ge=60, le=366 * 86_400)] = 86_400


class ComposeImage(Shape, frozen=True):
    """An image that the file needs; `profile` is empty for the base image."""

    image: str
    profile: str = ""
    sudo: bool = False
    built: bool = False


class ComposeExport(Shape, frozen=True):
    """`document` is the Compose file as data. `tokens`: by file name, relative to the Compose file, the secret that
    belongs into it; shown once. `agents` are those in the file, `notes` what is worth knowing."""

    document: dict[str, Any]
    tokens: dict[str, str]
    agents: list[str]
    images: list[ComposeImage] = []
    notes: list[str] = []


class MonitoringQuery(Request, frozen=True):
    """`target`: where Prometheus finds this hub, as URL; empty = where it listens. `token`: it shows a token there."""

    target: str = ""
    token: bool = True


class MonitoringFiles(Shape, frozen=True):
    """`compose` is a Compose file as data, `files` are the texts beside it, by path. `target` is where Prometheus
    looks for the hub. Secrets that the file names are not in here."""

    compose: dict[str, Any]
    files: dict[str, str]
    target: str


# --- jobs, tokens, policies, audit ----------------------------------------------------------------


class JobStepView(Shape, frozen=True):
    """What a job was doing from `at` on."""

    at: str
    message: str


class JobView(Shape, frozen=True):
    """`steps` are the last things that it said, the oldest first; `by` is who wanted it. `about`: what it is done to
    where that is no agent, such as a profile, an image or a snapshot."""

    id: str
    kind: str
    state: str
    started_at: str
    progress: float = 0.0
    message: str = ""
    agent_id: str | None = None
    finished_at: str | None = None
    result: Any = None
    error: TaskError | None = None
    by: str = ""
    steps: list[JobStepView] = []
    about: str = ""


class JobList(Shape, frozen=True):
    jobs: list[JobView]
    next: str | None = None


class CreateToken(Request, frozen=True):
    """`kind` user or join; a join token needs `agent` and lives `expires_in_seconds`."""

    name: str = ""
    role: Role = Role.VIEWER
    kind: str = "user"
    agent: str | None = None
    expires_in_seconds: Annotated[int, Meta(ge=1, le=10**10)] | None = None


class TokenView(Shape, frozen=True):
    id: str
    kind: str
    created_at: str
    role: Role | None = None
    name: str = ""
    agent_id: str | None = None
    expires_at: str | None = None
    revoked_at: str | None = None
    used: bool = False


class CreatedToken(Shape, frozen=True):
    """`secret` is shown once."""

    token: TokenView
    secret: str


class TokenList(Shape, frozen=True):
    tokens: list[TokenView]
    next: str | None = None


class PolicyView(Request, frozen=True):
    sender: str
    receiver: str


class PolicyList(Shape, frozen=True):
    policies: list[PolicyView]
    next: str | None = None


class AuditView(Shape, frozen=True):
    seq: int
    at: str
    who: str
    what: str
    target: str
    outcome: str
    detail: str = ""


class AuditList(Shape, frozen=True):
    audit: list[AuditView]
    next: str | None = None


class PageQuery(Request, frozen=True):
    limit: PageSize = 100
    cursor: str | None = None


class BackupRequest(Request, frozen=True):
    """`path`: a file on the hub's machine that does not exist yet; empty = in the state folder."""

    path: str = ""


class BackupAnswer(Shape, frozen=True):
    path: str
    size_bytes: int


class AdoptAnswer(Shape, frozen=True):
    """What `adopt` found on the platforms by labels and took back into the registry."""

    adopted: list[str]
    skipped: dict[str, str] = {}


# --- what needs a person, history, the journal ----------------------------------------------------


class Severity(enum.StrEnum):
    """`critical`: work is lost or stands still; `warning`: it may soon; `notice`: good to know."""

    CRITICAL = "critical"
    WARNING = "warning"
    NOTICE = "notice"


class SuggestedAct(Shape, frozen=True):
    """What a person can do about it: `act` names it for front ends, `command` is the same to type."""

    act: str
    command: str


class AttentionView(Shape, frozen=True):
    """One thing that needs a person. `id` stays the same as long as it lasts.

    `target` is an agent, a dispatch, a driver or the hub, as `target_kind` says. `count` is above 1
    for tasks or jobs that failed together; `tasks` and `jobs` are the newest of them. `title` says in
    a few words what the `kind` is, `todo` what a person does about it. `snoozed_until` is set while
    somebody wants to hear no more of it.
    """

    id: str
    kind: str
    severity: Severity
    target_kind: str
    target: str
    since: str
    text: str
    count: int = 1
    title: str = ""
    todo: str = ""
    tasks: list[str] = []
    jobs: list[str] = []
    acts: list[SuggestedAct] = []
    snoozed_until: str | None = None


class AttentionList(Shape, frozen=True):
    """Most urgent first. `total` counts all that is not snoozed, `snoozed` the rest, shown here or not."""

    attention: list[AttentionView]
    total: int = 0
    snoozed: int = 0


class AttentionQuery(Request, frozen=True):
    """`snoozed`: show those too that somebody has snoozed, after all others."""

    snoozed: bool = False
    limit: PageSize = 500


class SnoozeRequest(Request, frozen=True):
    """`seconds` 0 ends a snooze. A snooze of failed tasks covers those of now, not those that come."""

    seconds: Annotated[int, Meta(ge=0, le=30 * 86_400)] = 3_600


class StatsQuery(Request, frozen=True):
    """`since` is RFC 3339 or an age like `10m`; with `follow` the agent reports every second."""

    since: str = "1h"
    follow: bool = False


class StatsPoint(Shape, frozen=True):
    """An agent's use of its machine over the `seconds` before `at`; None is what it did not report.

    `cpu` in cores, memory and disk in bytes, network in bytes per second, `gpu` 0..1 of the busiest.
    """

    at: str
    seconds: float
    cpu: float | None = None
    cpu_limit: float | None = None
    load: float | None = None
    processes: float | None = None
    memory_bytes: int | None = None
    memory_limit_bytes: int | None = None
    disk_bytes: int | None = None
    disk_total_bytes: int | None = None
    received_per_second: float | None = None
    sent_per_second: float | None = None
    gpu: float | None = None
    gpu_memory_bytes: int | None = None


class JobOutcome(Shape, frozen=True):
    """How the work of an act ended: `state` succeeded, failed or cancelled, `error` why."""

    state: str
    error: str = ""


class JournalEntry(Shape, frozen=True):
    """An operator's act. `command` does the same again.

    `undo` takes it back while that is possible, and `undo_act` names that act for front ends; where it is
    not, `why_not` says why. `job` is how the work of the act ended, absent while it goes on, for acts
    without a job, and when the end is not among the entries of this answer.
    """

    seq: int
    at: str
    who: str
    what: str
    target: str
    outcome: str
    detail: str = ""
    command: str = ""
    undo: str = ""
    undo_act: str = ""
    why_not: str = ""
    job: JobOutcome | None = None


class JournalList(Shape, frozen=True):
    journal: list[JournalEntry]
    next: str | None = None


class UndoAnswer(Shape, frozen=True):
    """`undone` is the command that was carried out; `job` does it where it takes time."""

    undone: str
    job: JobView | None = None


# --- snapshots -----------------------------------------------------------------------------------


class TakeSnapshot(Request, frozen=True):
    """`name` empty = one made of the time. `consistency`: `crash` freezes the agent meanwhile, `clean` stops it."""

    name: str = ""
    consistency: Consistency = Consistency.CRASH


class SnapshotView(Shape, frozen=True):
    """A saved agent. `name` is unique among the snapshots of its agent; `parent` is the id of the one before it.

    `size_bytes` is all of it: `volume_bytes` on the hub's disk and `image_bytes`, which its image adds to the one
    below. `current`: the agent of that name stands at it. `state`: creating, ready, broken; `reason` says why.
    """

    id: str
    agent_id: str
    name: str
    consistency: Consistency
    created_at: str
    size_bytes: int
    parent: str | None = None
    state: SnapshotState = SnapshotState.READY
    agent_uid: str = ""
    driver: str = ""
    profile: str = ""
    profile_hash: str = ""
    image: str = ""
    image_parent: str | None = None
    image_bytes: int = 0
    volume_bytes: int = 0
    files: int = 0
    scheduled: bool = False
    current: bool = False
    by: str = ""
    notes: list[str] = []
    reason: str | None = None


class SnapshotList(Shape, frozen=True):
    snapshots: list[SnapshotView]
    next: str | None = None


class SnapshotQuery(Request, frozen=True):
    """Newest first. `agent`: only those of agents of this name, living or destroyed."""

    agent: str | None = None
    limit: PageSize = 500
    cursor: str | None = None


class SnapshotEstimate(Shape, frozen=True):
    """What a snapshot of the agent would take now, roughly, and the room on the hub's disk."""

    agent_id: str
    volume_bytes: int
    image_bytes: int
    free_bytes: int


class ForkRequest(Request, frozen=True):
    """`count` agents with names made from the snapshot's agent, or one per name in `names`."""

    count: Annotated[int, Meta(ge=0, le=64)] = 0
    names: list[str] = []


class DiffQuery(Request, frozen=True):
    """`other`: the snapshot to compare with, by id or AGENT:NAME; `limit`: entries in the answer."""

    other: str = ""
    limit: Annotated[int, Meta(ge=1, le=10_000)] = 1_000


class DiffEntry(Shape, frozen=True):
    """One path. `change`: added, removed, changed; `what` of a change: content, mode, kind, target."""

    path: str
    change: str
    kind: str
    what: str = ""
    before_bytes: int | None = None
    after_bytes: int | None = None


class SnapshotDiff(Shape, frozen=True):
    """What is different in `after`. `counts` and bytes are of everything; `truncated`: not all entries are here."""

    before: str
    after: str
    entries: list[DiffEntry]
    counts: dict[str, int]
    bytes_added: int = 0
    bytes_removed: int = 0
    truncated: bool = False
    base_image_changed: bool = False


class SnapshotSchedule(Request, frozen=True):
    """`interval_seconds` 0 = no schedule. Of the scheduled snapshots the last `keep_last` stay, and none older than
    `keep_days`; 0 = no such bound. The newest always stays, those that a person took are never deleted."""

    interval_seconds: Annotated[int, Meta(ge=0, le=366 * 86_400)] = 0
    keep_last: Annotated[int, Meta(ge=0, le=10_000)] = 0
    keep_days: Annotated[float, Meta(ge=0, le=36_500)] = 0.0
    consistency: Consistency = Consistency.CRASH


class SnapshotPlace(Shape, frozen=True):
    """Where an agent stands among snapshots: `parent` is the id of the one it was saved in, restored to, or made from
    last. `undo_until`: how long its last restore can be undone."""

    agent_id: str
    parent: str | None = None
    undo_until: str | None = None
    schedule: SnapshotSchedule = SnapshotSchedule()
    next_at: str | None = None


# --- disks and workspaces ---------------------------------------------------------------------------


class DiskQuery(Request, frozen=True):
    """`objects`: name every single object too."""

    objects: bool = False


class DiskRow(Shape, frozen=True):
    """One kind of thing at one place: a driver's name, or `hub` for the state folder.

    A size is None where it is not known; `note` says why. `unused_bytes` is what a clean-up frees.
    """

    kind: str
    place: str
    count: int
    size_bytes: int | None = None
    unused_count: int = 0
    unused_bytes: int | None = None
    note: str = ""


class DiskObject(Shape, frozen=True):
    """One object. `used_by` or `unused` says what it is needed for, or why it is not; `data`: nobody can make it again.

    `frees_bytes` is less than the size where others share a part of it.
    """

    kind: str
    place: str
    id: str
    name: str
    size_bytes: int | None = None
    frees_bytes: int | None = None
    agent_id: str | None = None
    created_at: str | None = None
    used_by: str = ""
    unused: str = ""
    data: bool = False


class DiskAgent(Shape, frozen=True):
    """What a living agent takes, by kind, as far as it is known."""

    agent_id: str
    size_bytes: int
    parts: dict[str, int] = {}


class DiskView(Shape, frozen=True):
    """`disk_*` is of the disk of the state folder."""

    at: str
    rows: list[DiskRow]
    agents: list[DiskAgent] = []
    objects: list[DiskObject] = []
    disk_total_bytes: int | None = None
    disk_used_bytes: int | None = None


class PruneRequest(Request, frozen=True):
    """`kinds` empty = all that can be cleaned up; `all`: the newest images that nobody uses, too."""

    kinds: list[str] = []
    all: bool = False


class PrunePlan(Shape, frozen=True):
    """What would be removed, and why. It can be carried out once, until `expires_at`.

    `frees_bytes` counts what is known; `data`: something of it nobody can make again. `notes`: what could not
    be looked at.
    """

    id: str
    expires_at: str
    objects: list[DiskObject]
    frees_bytes: int
    data: bool = False
    notes: list[str] = []


class PruneExecute(Request, frozen=True):
    """`data` true is needed for a plan that removes data."""

    data: bool = False


class RepairRequest(Request, frozen=True):
    """`everything`: files of every other user, not only root's."""

    everything: bool = False


# --- gateways --------------------------------------------------------------------------------------


class GatewayState(enum.StrEnum):
    """What was seen of an OpenClaw gateway. `NOT_READY`: it lives and says that it is not ready (yet, or because it
    drains); `WEDGED`: it lives and does not answer in time, or says for too long that it is not ready; `REFUSED`: it
    answers and does not take our token; `UNKNOWN`: nobody has looked yet, or nobody can."""

    UNKNOWN = "unknown"
    STARTING = "starting"
    READY = "ready"
    NOT_READY = "not-ready"
    WEDGED = "wedged"
    REFUSED = "refused"
    DOWN = "down"


class MountMapping(Request, frozen=True):
    """`container` is where the gateway sees the folder `host` of the hub's machine. Both absolute."""

    host: str
    container: str


class SyncSettings(Request, frozen=True, kw_only=True):
    """Where a gateway's personas come from and where its files are, on the hub's machine.

    `source`: `registry` (the hub's own profiles that have a persona), `folder` (profile files in `folder`) or
    `convex`. `personas`: only these slugs, empty = all. `shape`: the roster's, `auto` = as the gateway's version wants
    it. `reload`: `auto` = hot, restarted only where that does not take; `restart_command` restarts the gateway.
    `container`: the one on the hub's engine that the gateway runs in: what it mounts is looked at, it checks a new
    config, and it is restarted where there is no `restart_command`.
    `agents_file`: shared instructions for every AGENTS.md; `models_file`: TOML with more of the model map.
    `system_agent`: the slug that acts where no persona is named; empty = the first. `owner`: uid, or uid:gid.
    """

    source: Literal["registry", "folder", "convex"] = "registry"
    folder: str = ""
    convex_url: str = ""
    convex_account: str = ""
    convex_token_file: str = ""
    personas: list[str] = []
    workspace_root: str
    config_path: str
    mounts: list[MountMapping] = []
    shape: Literal["auto", "entries", "list"] = "auto"
    reload: Literal["auto", "hot", "restart", "off"] = "auto"
    restart_command: list[str] = []
    container: str = ""
    agents_file: str = ""
    models_file: str = ""
    system_agent: str = ""
    file_mode: str = "0644"
    folder_mode: str = "0755"
    owner: str = ""
    interval_seconds: Annotated[int, Meta(ge=1, le=86_400)] = 60


class AddGateway(Request, frozen=True):
    """A gateway that exists already. `token_file` is on the hub's machine: the token itself is kept nowhere else."""

    name: str
    url: str
    token_file: str = ""
    sync: SyncSettings | None = None


class GatewayView(Shape, frozen=True):
    """A gateway and what was seen of it last, at `checked_at`; `ready_at`: when it was ready last. `version`: as last
    told, also while it is away. `roster`: the slugs it answers for, None where it does not tell. `origin`: `added`,
    `provisioned` (the hub runs it: `instance`) or `environment` (of the hub's settings: cannot be removed here)."""

    name: str
    url: str
    state: GatewayState
    reason: str = ""
    version: str = ""
    response_ms: float | None = None
    checked_at: str | None = None
    ready_at: str | None = None
    roster: list[str] | None = None
    token_file: str = ""
    origin: str = "added"
    sync: SyncSettings | None = None
    instance: InstanceView | None = None
    figures: GatewayFigures | None = None


class GatewayList(Shape, frozen=True):
    gateways: list[GatewayView]
    next: str | None = None


class SendMessage(Request, frozen=True):
    """A message to the persona `to` = GATEWAY/SLUG. `session` names the conversation: the same again continues it."""

    to: str
    text: str
    session: str = "clawtui"
    timeout_seconds: Annotated[int, Meta(ge=1, le=3_600)] = 600


class MessageChunk(Shape, frozen=True):
    """A piece of an answer. The last one has `end`, the `status` (`completed`, `failed` or `incomplete`) and, where it
    failed after the stream began, the `error`."""

    text: str = ""
    end: bool = False
    status: str = ""
    response_id: str = ""
    session_key: str = ""
    error: ErrorBody | None = None
    usage: dict[str, int] = {}


# --- gateways that the hub runs ------------------------------------------------------------------


class InstancePhase(enum.StrEnum):
    """What the hub is doing with an instance; `FAILED` waits for a person, with its log."""

    PROVISIONING = "provisioning"
    RUNNING = "running"
    STOPPED = "stopped"
    UPGRADING = "upgrading"
    BACKING_UP = "backing-up"
    RESTORING = "restoring"
    FAILED = "failed"
    DESTROYING = "destroying"


class TierView(Shape, frozen=True):
    """What an instance of a tier gets. `sessions`, `workspace_bytes`: None = no limit. `cost_per_month` in US dollars.

    `source` is `built-in` or `user`; `path` is its file on the hub's machine, `problems` what is wrong with it.
    """

    name: str
    source: str
    valid: bool
    description: str = ""
    cpus: float = 0.0
    memory_bytes: int = 0
    image_kind: str = ""
    model: str = ""
    sessions: int | None = None
    workspace_bytes: int | None = None
    browser: bool = False
    channels: list[str] = []
    cost_per_month: float = 0.0
    path: str = ""
    problems: list[ProblemView] = []


class TierList(Shape, frozen=True):
    tiers: list[TierView]
    next: str | None = None


class ProvisionGateway(Request, frozen=True, kw_only=True):
    """A new instance. `keys`: providers' keys by environment variable; they and `gateway_token` (empty = one is made)
    are written into the instance's folder and are never shown again. `image` is a reference by tag or digest, `version`
    an OpenClaw version for images that the hub builds itself; both empty = the kind's own. `port` None = the next free
    one. `config`: more of openclaw.json. `force`: also with less memory than a gateway needs."""

    name: str
    customer: str = ""
    subdomain: str = ""
    tier: str = "pro"
    image_kind: str = ""
    image: str = ""
    version: str = ""
    platform: str = ""
    host: str = ""
    port: Annotated[int, Meta(ge=1, le=65_535)] | None = None
    keys: dict[str, str] = {}
    gateway_token: str = ""
    source: Literal["", "registry", "folder", "convex"] = ""
    folder: str = ""
    config: dict[str, Any] = {}
    force: bool = False


class Credentials(Shape, frozen=True):
    """How to get in; shown once. `user` is set where an image wants HTTP Basic instead of a bearer token."""

    url: str
    token: str
    public_url: str = ""
    user: str = ""


class ProvisionedGateway(Shape, frozen=True):
    job: JobView
    credentials: Credentials


class GatewayAct(enum.StrEnum):
    START = "start"
    STOP = "stop"
    RESTART = "restart"


class InstanceView(Shape, frozen=True):
    """What the hub knows of an instance it runs. `container`: its state as the engine last told. `limits` as they are
    in force, `notes` what was limited or is not enforced. `previous_image`: what a rollback goes back to."""

    phase: InstancePhase
    tier: str
    host: str
    image_kind: str
    image: str
    port: int
    customer: str = ""
    subdomain: str = ""
    image_id: str = ""
    container: str = ""
    container_state: str = ""
    exit_code: int | None = None
    oom_killed: bool = False
    public_url: str = ""
    folder: str = ""
    created_at: str = ""
    deploy_seconds: float | None = None
    limits: dict[str, float] = {}
    notes: list[str] = []
    reason: str = ""
    restarts: int = 0
    given_up: bool = False
    previous_image: str = ""


class GatewayFigures(Shape, frozen=True):
    """Of the checks since `since`. Fractions 0..1, None where nothing was counted; times in ms."""

    checks: int = 0
    since: str | None = None
    pass_rate: float | None = None
    response_ms: float | None = None
    response_p50_ms: float | None = None
    response_p95_ms: float | None = None
    deploy_seconds: float | None = None
    restarts: int = 0
    restart_success_rate: float | None = None


class GatewayCheck(Shape, frozen=True):
    """One look at a gateway. `via` is `direct` or `ingress`."""

    at: str
    state: GatewayState
    healthy: bool
    response_ms: float | None = None
    reason: str = ""
    via: str = "direct"


class GatewayHealth(Shape, frozen=True):
    name: str
    state: GatewayState
    figures: GatewayFigures
    checks: list[GatewayCheck] = []


class GatewayHealthList(Shape, frozen=True):
    """`fleet`: the same figures over all of them."""

    gateways: list[GatewayHealth]
    fleet: GatewayFigures


class GatewayHealthQuery(Request, frozen=True):
    """`names` separated by commas, empty = all; `now`: look at them first. `checks`: how many of the last to show."""

    names: str = ""
    now: bool = False
    since: str = "24h"
    checks: Annotated[int, Meta(ge=0, le=1_000)] = 0


class UpgradeGateway(Request, frozen=True):
    """To an image by tag or digest, or to a version where the hub builds the image itself; one of the two."""

    image: str = ""
    version: str = ""


class UpgradeGateways(Request, frozen=True):
    """`names` empty = all instances of the tier `tier`, or of every tier."""

    names: list[str] = []
    tier: str = ""
    to: UpgradeGateway = UpgradeGateway()
    rollout: RolloutRequest = RolloutRequest()


class BackupView(Shape, frozen=True):
    """A saved instance. `path` is the folder on the hub's machine; `consistency` is `stopped` or `paused`."""

    id: str
    gateway: str
    created_at: str
    size_bytes: int
    files: int = 0
    image: str = ""
    tier: str = ""
    consistency: str = "stopped"
    path: str = ""


class BackupList(Shape, frozen=True):
    backups: list[BackupView]
    next: str | None = None


class BackupGateway(Request, frozen=True):
    """`pause`: freeze it meanwhile instead of stopping it."""

    pause: bool = False


class RestoreGateway(Request, frozen=True):
    """`name`: of the instance that it becomes; empty = the one it was. Its token is a new one."""

    backup: str
    name: str = ""


class RestoredGateway(Shape, frozen=True):
    job: JobView
    credentials: Credentials


class GatewayFinding(Shape, frozen=True):
    """Something about an instance that should be changed. `gateway` is empty for a finding about a whole host. `check`:
    ports, files, image, memory, config, token, proxies or container. `found` and `remedy` are for people."""

    gateway: str
    check: str
    found: str
    remedy: str


class GatewayInspection(Shape, frozen=True):
    """`gateways`: all that were looked at; those without a finding are in order."""

    gateways: list[str]
    findings: list[GatewayFinding]


class DestroyPlan(Shape, frozen=True):
    """What `destroy` removes: kind and name of each thing. `data`: something of it nobody can make again."""

    name: str
    objects: list[str]
    data: bool = False
    backups: int = 0


class DestroyGateway(Request, frozen=True):
    """`data` true is needed where the plan says so; `backups`: those too."""

    data: bool = False
    backups: bool = False


class ImportGateway(Request, frozen=True):
    """One that exists: `container` on the host's engine, taken in place; or `state_folder` (and `config`) of one that
    runs from source on the hub's machine, which is provisioned anew with a copy of its state."""

    name: str
    container: str = ""
    state_folder: str = ""
    config: str = ""
    tier: str = "pro"
    host: str = ""
    subdomain: str = ""
    token_file: str = ""


class IngressRoute(Shape, frozen=True):
    """`problem`: why its gateway was not reached through the proxy at the last look."""

    gateway: str
    domain: str
    upstream: str
    state: GatewayState = GatewayState.UNKNOWN
    problem: str = ""


class IngressView(Shape, frozen=True):
    """`kind` is `caddy`, empty where none is set up. `problem`: why the last configuration is not in force."""

    kind: str = ""
    config_path: str = ""
    applied_at: str | None = None
    problem: str = ""
    hint: str = ""
    routes: list[IngressRoute] = []
    text: str = ""


class GatewayImageQuery(Request, frozen=True):
    """`host`: the Docker host's name, empty = the hub's own engine."""

    host: str = ""


class BuildGatewayImage(Request, frozen=True):
    """An image of OpenClaw from npm. `version` as npm has it, empty = the hub's own. `rebuild`: build again although it
    is there. `platform` such as linux/arm64, empty = the engine's. `host`: the Docker host's name."""

    version: str = ""
    platform: str = ""
    rebuild: bool = False
    host: str = ""


class GatewayImageView(Shape, frozen=True):
    """An image that gateways are run from. `kind`: its image kind; `version` of OpenClaw, empty where the name does not
    say."""

    name: str
    kind: str
    id: str
    version: str = ""
    platform: str = ""
    created_at: str = ""
    size_bytes: int = 0


class GatewayImageList(Shape, frozen=True):
    images: list[GatewayImageView]
    next: str | None = None


class HostView(Shape, frozen=True):
    """A Docker engine. `cpus` and `memory_bytes` are the machine's, the `used_` ones what limits of ours add up to."""

    name: str
    url: str
    usable: bool
    reason: str = ""
    hint: str = ""
    version: str = ""
    cpus: float | None = None
    memory_bytes: int | None = None
    used_cpus: float = 0.0
    used_memory_bytes: int = 0
    gateways: int = 0
    agents: int = 0


class HostList(Shape, frozen=True):
    hosts: list[HostView]
    next: str | None = None


class AddHost(Request, frozen=True):
    """`url`: ssh://USER@HOST or tcp://HOST:PORT; the files are for TLS, on the hub's machine."""

    name: str
    url: str
    ca_file: str = ""
    certificate_file: str = ""
    key_file: str = ""


# --- profile sync ------------------------------------------------------------------------------------


class SyncState(enum.StrEnum):
    """Of a persona, as of the last look. `DRIFTED`: somebody changed a file of its workspace; `CONFLICT`: the source
    changed too; both wait for a person. `PENDING`: written, and the gateway has not shown that it took it."""

    IN_STEP = "in-step"
    PENDING = "pending"
    DRIFTED = "drifted"
    CONFLICT = "conflict"
    FAILED = "failed"


class PersonaSync(Shape, frozen=True):
    """`hash`: of everything the persona shall be (first 12 hex digits of SHA-256); `at`: since when it is so;
    `files`: those that wait for a decision. `notes`: what is no mistake and may surprise."""

    gateway: str
    slug: str
    name: str
    state: SyncState
    reason: str = ""
    hash: str = ""
    at: str = ""
    model: str = ""
    workspace: str = ""
    files: list[str] = []
    notes: list[str] = []


class SyncTarget(Shape, frozen=True):
    """The sync of one gateway. `problem`: why the last run did nothing or not all; `verified_at`: when the gateway last
    showed the roster that was written; `proof`: how that is known, or why it is not."""

    gateway: str
    source: str
    workspace_root: str
    config_path: str
    running: bool = False
    last_run_at: str | None = None
    last_ok_at: str | None = None
    next_run_at: str | None = None
    verified_at: str | None = None
    proof: str = ""
    problem: str = ""
    hint: str = ""
    archived: list[str] = []
    counts: dict[str, int] = {}
    notes: list[str] = []


class SyncStatus(Shape, frozen=True):
    """`enabled` false: switched off by the hub's settings."""

    enabled: bool
    targets: list[SyncTarget]
    personas: list[PersonaSync]


class SyncQuery(Request, frozen=True):
    gateway: str = ""


class SyncRun(Request, frozen=True):
    """`gateway` empty = all. `dry_run`: only say what would be done. `accept_empty`: a source that has no persona any
    more is meant; without it, it counts as broken and nothing is archived."""

    gateway: str = ""
    dry_run: bool = False
    accept_empty: bool = False


class SyncStep(Shape, frozen=True):
    """One file. `action`: create, write, keep, delete, drift or conflict."""

    slug: str
    path: str
    action: str
    reason: str = ""


class SyncReport(Shape, frozen=True):
    """What one run did (or would do) for one gateway: `steps` other than keep, and the time it took."""

    gateway: str
    dry_run: bool
    steps: list[SyncStep]
    archived: list[str] = []
    config_changed: bool = False
    restarted: bool = False
    problem: str = ""
    seconds: float = 0.0
    notes: list[str] = []


class SyncReports(Shape, frozen=True):
    reports: list[SyncReport]


class FileDifference(Shape, frozen=True):
    """`on_disk` and `wanted` are texts, None where there is no file; `binary`: not text, both are None.
    `can_adopt`: the source can take the text on disk; `why_not` says why it cannot."""

    path: str
    action: str
    reason: str = ""
    on_disk: str | None = None
    wanted: str | None = None
    binary: bool = False
    can_adopt: bool = False
    why_not: str = ""


class PersonaDifference(Shape, frozen=True):
    """Every file of a persona that is not as the source says."""

    persona: PersonaSync
    files: list[FileDifference]


class ResolveSync(Request, frozen=True):
    """What becomes of a file that somebody changed: `keep` it until either side changes again, `apply` the source's
    (the other text is archived), `adopt` it into the source. `path` empty = every file that waits."""

    decision: Literal["keep", "apply", "adopt"]
    path: str = ""


# --- the hub itself ------------------------------------------------------------------------------


class DriverHealth(Shape, frozen=True):
    """`features`: names of what its agents can have or be told, e.g. `pause`; empty when the hub does not tell."""

    name: str
    usable: bool
    version: str = ""
    reason: str = ""
    hint: str = ""
    features: list[str] = []


class HubHealth(Shape, frozen=True):
    """`status` is `ok` or `degraded`; `degraded` says why in `problems`. `api`: the API's major version."""

    status: str
    version: str
    hub_id: str
    uptime_seconds: float
    loop_lag_seconds: float
    registry_writable: bool
    agents: dict[str, int] = {}
    tasks: dict[str, int] = {}
    drivers: list[DriverHealth] = []
    problems: list[str] = []
    addresses: dict[str, str] = {}
    api: int = 1


class ConnectionQuery(Request, frozen=True):
    """At most `limit` agents, those with the most that waits first."""

    limit: PageSize = 100


class ConnectionView(Shape, frozen=True):
    """An agent's connection and what waits on both sides of it.

    `remote` dialled the hub's address `via` (a path for a Unix socket). `protocol` is absent for basic
    agents, `latency_seconds` until a ping was answered: only silent agents are pinged. `outbox_frames`
    and `outbox_bytes` wait to be written, `acks` are acknowledgements that the agent's output window
    waits for. `errors`: frames that were not understood.
    """

    agent_id: str
    connected: bool
    since: str | None = None
    heard_seconds: float | None = None
    remote: str = ""
    via: str = ""
    basic: bool = False
    protocol: int | None = None
    version: str = ""
    latency_seconds: float | None = None
    queued: int = 0
    running: int = 0
    outbox_frames: int = 0
    outbox_bytes: int = 0
    acks: int = 0
    errors: int = 0


class HubLoad(Shape, frozen=True):
    """How busy the hub is. Lag over the last minute, commits over the last 512; counts of `dropped_frames`
    (to agents that read too slowly) and `gaps` (told to observers that were behind) since the hub's start.

    `waits` are long polls, `streams` answers that somebody follows, `feed_behind` the events that the
    slowest observer has not taken.
    """

    loop_lag_seconds: float
    loop_lag_p99_seconds: float
    commits: int = 0
    commit_seconds: float = 0.0
    commit_p99_seconds: float = 0.0
    batch_records: float = 0.0
    batch_most: int = 0
    registry_bytes: int = 0
    registry_log_bytes: int = 0
    output_bytes: int = 0
    output_files: int = 0
    output_readers: int = 0
    observers: int = 0
    feed_behind: int = 0
    gaps: int = 0
    waits: int = 0
    streams: int = 0
    dropped_frames: int = 0
    connections: int = 0
    outbox_frames: int = 0
    outbox_bytes: int = 0
    queued: int = 0


class ConnectionList(Shape, frozen=True):
    """What waits most comes first. `total` counts agents that are connected or have work, shown or not."""

    load: HubLoad
    connections: list[ConnectionView]
    total: int = 0


class Event(Shape, frozen=True):
    """One change. `seq` counts within `hub_id` and one run of the hub (`run`).

    `kind` is agent, task, dispatch, job, health, attention, snapshot, gateway, sync, or `gap`: events were dropped for
    this observer, re-read what you show. An `attention` without `id` stands for many changes. `agent`: whose task
    changed; what that agent runs and what waits for it may have changed too.
    """

    seq: int
    run: str
    kind: str
    id: str = ""
    gone: bool = False
    at: str = ""
    agent: str = ""
    data: Any = None


class ErrorBody(Shape, frozen=True):
    """`problems`: every mistake of a request, one for each field, where there may be several."""

    code: str
    message: str
    hint: str = ""
    retryable: bool = False
    field: str | None = None
    problems: list[ProblemView] = []


class ErrorAnswer(Shape, frozen=True):
    error: ErrorBody
