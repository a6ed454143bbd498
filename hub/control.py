"""The one interface through which every front end drives a hub.

`hub.service` implements it in process, `clawtui.remote` over HTTP; a front end cannot tell which
it has. An implementation is bound to one principal: who may do what is decided behind it.
All methods raise `hub.errors.HubError`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Protocol

import msgspec

from hub.contract import (
    AddGateway,
    AddHost,
    AdoptAnswer,
    AgentAct,
    AgentList,
    AgentQuery,
    AgentView,
    AttentionList,
    AttentionQuery,
    AttentionView,
    AuditList,
    BackupAnswer,
    BackupGateway,
    BackupList,
    BuildGatewayImage,
    BuildImage,
    BuildLogLine,
    BuildLogQuery,
    ComposeExport,
    ConnectionList,
    ConnectionQuery,
    CreateAgent,
    CreatedToken,
    CreateNetwork,
    CreateToken,
    DestroyGateway,
    DestroyPlan,
    DiffQuery,
    DiskQuery,
    DiskView,
    DispatchRequest,
    DispatchView,
    Event,
    ExportCompose,
    ForkRequest,
    GatewayAct,
    GatewayHealthList,
    GatewayHealthQuery,
    GatewayImageList,
    GatewayImageQuery,
    GatewayInspection,
    GatewayList,
    GatewayView,
    HostList,
    HostView,
    HubHealth,
    ImageList,
    ImportGateway,
    IngressView,
    JobList,
    JobView,
    JournalList,
    LogEntry,
    LogQuery,
    MessageChunk,
    MonitoringFiles,
    MonitoringQuery,
    NetworkList,
    NetworkQuery,
    NetworkView,
    OutputChunk,
    OutputQuery,
    PageQuery,
    PersonaDifference,
    PersonaSync,
    PolicyList,
    ProfileCheck,
    ProfileList,
    ProfileQuery,
    ProfileText,
    ProfileView,
    ProvisionedGateway,
    ProvisionGateway,
    PruneExecute,
    PrunePlan,
    PruneRequest,
    RegisterAgent,
    RegisteredAgent,
    RepairRequest,
    ResolveSync,
    RestoredGateway,
    RestoreGateway,
    SendMessage,
    SnapshotDiff,
    SnapshotEstimate,
    SnapshotList,
    SnapshotPlace,
    SnapshotQuery,
    SnapshotSchedule,
    SnapshotView,
    StatsPoint,
    StatsQuery,
    Submitted,
    SyncQuery,
    SyncReports,
    SyncRun,
    SyncSettings,
    SyncStatus,
    TakeSnapshot,
    TaskList,
    TaskQuery,
    TaskView,
    TierList,
    TokenList,
    TransferImage,
    UndoAnswer,
    UpgradeGateway,
    UpgradeGateways,
)
from hub.core.model import Role


class ShellSession(Protocol):
    """One terminal on an agent. Ends with `exit_code` set when `output()` is exhausted."""

    exit_code: int | None

    async def send(self, data: bytes) -> None: ...

    async def resize(self, cols: int, rows: int) -> None: ...

    def output(self) -> AsyncIterator[bytes]: ...

    async def close(self) -> None: ...


class Control(Protocol):
    # --- the hub
    async def health(self) -> HubHealth: ...

    async def connections(self, query: ConnectionQuery) -> ConnectionList:
        """How busy the hub is, and the agents' connections, those with the most that waits first."""
        ...

    async def attention(self, query: AttentionQuery) -> AttentionList:
        """What needs a person, most urgent first."""
        ...

    async def snooze(self, attention_id: str, seconds: int) -> AttentionView:
        """Hear no more of it for `seconds`; 0 ends a snooze."""
        ...

    # --- agents
    async def agents(self, query: AgentQuery) -> AgentList: ...

    async def agent(self, agent_id: str) -> AgentView: ...

    async def register(self, request: RegisterAgent) -> RegisteredAgent: ...

    async def create_agent(self, request: CreateAgent) -> JobView: ...

    async def act(self, agent_id: str, act: AgentAct) -> JobView: ...

    async def destroy(self, agent_id: str) -> JobView: ...

    async def adopt(self) -> AdoptAnswer: ...

    async def release(self, agent_id: str) -> AgentView:
        """Lift quarantine and give the agent a new join token."""
        ...

    def agent_logs(self, agent_id: str, query: LogQuery) -> AsyncIterator[LogEntry]: ...

    def agent_stats(self, agent_id: str, query: StatsQuery) -> AsyncIterator[StatsPoint]:
        """History since `query.since`; with `follow` it goes on with a point per second."""
        ...

    async def open_shell(self, agent_id: str, cols: int, rows: int) -> ShellSession: ...

    # --- tasks
    async def submit(self, agent_id: str, task: dict[str, Any], idempotency_key: str | None = None) -> Submitted:
        """`task` holds the task's own fields and `TaskOptions`. Answered after the commit."""
        ...

    async def dispatch(self, request: DispatchRequest, idempotency_key: str | None = None) -> DispatchView: ...

    async def dispatch_status(self, dispatch_id: str) -> DispatchView: ...

    async def retry_dispatch(self, dispatch_id: str) -> DispatchView: ...

    async def tasks(self, query: TaskQuery) -> TaskList: ...

    async def get_task(self, task_id: str, wait_seconds: float = 0.0) -> TaskView:
        """With `wait_seconds` > 0, waits that long for the task's end."""
        ...

    def task_output(self, task_id: str, query: OutputQuery) -> AsyncIterator[OutputChunk]: ...

    async def cancel_task(self, task_id: str) -> TaskView: ...

    async def retry_task(self, task_id: str) -> Submitted: ...

    # --- profiles and images
    async def profiles(self, query: ProfileQuery) -> ProfileList: ...

    async def profile(self, name: str) -> ProfileView:
        """One profile with its texts and everything it means."""
        ...

    async def validate_profile(self, request: ProfileText) -> ProfileCheck:
        """What is wrong with a text; nothing is changed."""
        ...

    async def save_profile(self, name: str, request: ProfileText) -> ProfileView:
        """Write a profile of the user's. Raises BadRequest for a wrong one."""
        ...

    async def delete_profile(self, name: str) -> None: ...

    async def build_profile(self, name: str, request: BuildImage) -> JobView: ...

    async def images(self) -> ImageList: ...

    async def build_image(self, request: BuildImage) -> JobView:
        """Build the base image."""
        ...

    async def push_image(self, request: TransferImage) -> JobView: ...

    async def remove_image(self, name: str) -> None:
        """Remove every tag of a profile's image. Raises Conflict where an agent or a snapshot needs one."""
        ...

    async def pull_image(self, request: TransferImage) -> JobView: ...

    def build_log(self, name: str, query: BuildLogQuery) -> AsyncIterator[BuildLogLine]:
        """The output of the newest build of a profile's image, or of `base`."""
        ...

    # --- networks and Compose files
    async def networks(self, query: NetworkQuery) -> NetworkList: ...

    async def create_network(self, request: CreateNetwork) -> NetworkView:
        """Fine when the same network is there already."""
        ...

    async def remove_network(self, name: str) -> None:
        """Fine when there is none. Raises Conflict for one that is in use or that no hub made."""
        ...

    async def connect_network(self, name: str, agent_id: str) -> NetworkView: ...

    async def disconnect_network(self, name: str, agent_id: str) -> NetworkView: ...

    async def export_compose(self, request: ExportCompose) -> ComposeExport:
        """Agents as a Compose file that starts the same agents."""
        ...

    async def monitoring(self, query: MonitoringQuery) -> MonitoringFiles:
        """Prometheus, Grafana and cAdvisor for this hub, as files."""
        ...

    # --- jobs
    async def jobs(self, query: PageQuery) -> JobList: ...

    async def job(self, job_id: str, wait_seconds: float = 0.0) -> JobView: ...

    async def cancel_job(self, job_id: str) -> JobView: ...

    # --- administration
    async def create_token(self, request: CreateToken) -> CreatedToken: ...

    async def tokens(self, query: PageQuery) -> TokenList: ...

    async def revoke_token(self, token_id: str) -> None: ...

    async def policies(self) -> PolicyList: ...

    async def allow(self, sender: str, receiver: str) -> None: ...

    async def disallow(self, sender: str, receiver: str) -> None: ...

    async def audit(self, query: PageQuery) -> AuditList: ...

    async def journal(self, query: PageQuery) -> JournalList: ...

    async def undo(self, seq: int) -> UndoAnswer:
        """Take an act of the journal back. Raises Conflict where that is not possible (any more)."""
        ...

    async def backup(self, path: str) -> BackupAnswer: ...

    # --- snapshots; `reference` is an id or AGENT:NAME
    async def snapshots(self, query: SnapshotQuery) -> SnapshotList: ...

    async def snapshot(self, reference: str) -> SnapshotView: ...

    async def estimate_snapshot(self, agent_id: str) -> SnapshotEstimate: ...

    async def take_snapshot(self, agent_id: str, request: TakeSnapshot) -> JobView: ...

    async def delete_snapshot(self, reference: str) -> JobView: ...

    async def diff_snapshots(self, reference: str, query: DiffQuery) -> SnapshotDiff:
        """What is different in `query.other`."""
        ...

    async def restore(self, reference: str) -> JobView:
        """Put the snapshot's agent back to it, in place; one that was destroyed is made again."""
        ...

    async def undo_restore(self, agent_id: str) -> JobView:
        """Go back to what the last restore replaced, within 24 hours."""
        ...

    async def fork(self, reference: str, request: ForkRequest) -> JobView: ...

    async def snapshot_place(self, agent_id: str) -> SnapshotPlace: ...

    async def schedule_snapshots(self, agent_id: str, schedule: SnapshotSchedule) -> SnapshotPlace: ...

    # --- OpenClaw gateways; a persona is addressed GATEWAY/SLUG
    async def gateways(self) -> GatewayList: ...

    async def gateway(self, name: str) -> GatewayView:
        """One gateway, looked at now."""
        ...

    async def add_gateway(self, request: AddGateway) -> GatewayView:
        """Name a gateway that exists. Fine when the same one is there already."""
        ...

    async def remove_gateway(self, name: str) -> None:
        """Forget a gateway; the gateway itself and its files stay as they are."""
        ...

    async def set_gateway_sync(self, name: str, settings: SyncSettings | None) -> GatewayView:
        """Keep a gateway's workspaces and config in step with a source; None ends that and leaves the files."""
        ...

    def message(self, request: SendMessage) -> AsyncIterator[MessageChunk]:
        """Say something to a persona and hear its answer piece by piece."""
        ...

    # --- OpenClaw gateways that the hub runs
    async def tiers(self) -> TierList: ...

    async def provision_gateway(self, request: ProvisionGateway) -> ProvisionedGateway:
        """Make and start an instance. The credentials are in this answer only."""
        ...

    async def act_on_gateway(self, name: str, act: GatewayAct) -> JobView: ...

    async def inspect_gateways(self) -> GatewayInspection:
        """Look at all instances for what should be changed: ports, files, images, memory, configuration, secrets."""
        ...

    async def plan_destroy_gateway(self, name: str) -> DestroyPlan: ...

    async def destroy_gateway(self, name: str, request: DestroyGateway) -> JobView: ...

    def gateway_logs(self, name: str, query: LogQuery) -> AsyncIterator[LogEntry]: ...

    async def gateway_health(self, query: GatewayHealthQuery) -> GatewayHealthList: ...

    async def upgrade_gateway(self, name: str, request: UpgradeGateway) -> JobView:
        """To another image; back to the old one by itself where the new one does not become ready."""
        ...

    async def upgrade_gateways(self, request: UpgradeGateways) -> JobView:
        """Many, as a rollout; stops where the rollout says so."""
        ...

    async def roll_back_gateway(self, name: str) -> JobView: ...

    async def backup_gateway(self, name: str, request: BackupGateway) -> JobView: ...

    async def gateway_backups(self, name: str) -> BackupList:
        """Of one gateway, or of all with an empty name; newest first."""
        ...

    async def delete_gateway_backup(self, backup_id: str) -> None: ...

    async def restore_gateway(self, request: RestoreGateway) -> RestoredGateway: ...

    async def import_gateway(self, request: ImportGateway) -> JobView: ...

    async def ingress(self) -> IngressView: ...

    async def apply_ingress(self) -> IngressView:
        """Write and load the configuration now. Raises Conflict where the proxy refuses it; the old one stays."""
        ...

    async def gateway_images(self, query: GatewayImageQuery) -> GatewayImageList:
        """The images of all kinds that a host has, newest first."""
        ...

    async def build_gateway_image(self, request: BuildGatewayImage) -> JobView: ...

    # --- Docker hosts
    async def hosts(self) -> HostList: ...

    async def add_host(self, request: AddHost) -> HostView: ...

    async def remove_host(self, name: str) -> None: ...

    # --- profile sync
    async def sync_status(self, query: SyncQuery) -> SyncStatus: ...

    async def sync_run(self, request: SyncRun) -> SyncReports:
        """Sync now, or with `dry_run` say what that would do. Waits for a run that goes on already."""
        ...

    async def sync_diff(self, gateway: str, slug: str) -> PersonaDifference: ...

    async def sync_resolve(self, gateway: str, slug: str, request: ResolveSync) -> PersonaSync: ...

    # --- disks and workspaces
    async def disk(self, query: DiskQuery) -> DiskView:
        """What clawtui takes of disks; answers within seconds, with what is not known by then said so."""
        ...

    async def plan_prune(self, request: PruneRequest) -> PrunePlan:
        """What a clean-up would remove; nothing is."""
        ...

    async def prune(self, plan_id: str, request: PruneExecute) -> JobView:
        """Carry a plan out, once."""
        ...

    async def repair(self, agent_id: str, request: RepairRequest) -> JobView:
        """Give root's files in the agent's workspace back to its user."""
        ...

    # --- changes
    def events(self, since: int | None = None) -> AsyncIterator[Event]: ...


class Principal(msgspec.Struct, frozen=True):
    """Who calls: a name for the audit and a role. `token_id` is None for the hub's own process."""

    name: str
    role: Role
    token_id: str | None = None


class Door(Protocol):
    """What the HTTP layer needs of the hub: who is there, and that person's Control."""

    def admit(self, secret: str | None) -> Principal:
        """Raises Unauthorized; the refusal is audited by the caller through `refused`."""
        ...

    async def refused(self, who: str, what: str, target: str, reason: str) -> None:
        """Put a refused call into the audit (rate-limited, never raises)."""
        ...

    def control(self, principal: Principal) -> Control: ...
