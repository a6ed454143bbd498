"""The contract between the hub and a platform that can run agents.

A driver makes, ends and observes agents; it never decides. It returns an `AgentHandle` that can be
stored, so that a restarted hub finds its agents again. Every driver passes the same contract
tests (`tests/drivers/contract.py`). Drivers raise `hub.errors.DriverFailed`, `NotAvailable`,
`BadRequest`, `Conflict` (a foreign object has the name) or `AgentGone`; nothing of the platform's
own library gets out.

Every call is idempotent: a `stop` of a stopped agent, a `destroy` of an absent one succeed.
"""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Protocol

import msgspec

from hub.core.model import AgentId, AgentUid, CheckState, Observed
from hub.drivers.compose import Composer
from hub.drivers.containers import Containers
from hub.drivers.images import Images
from hub.drivers.networks import NetworkAdmin
from hub.drivers.snapshots import Seed, Snapshotter
from hub.drivers.upkeep import DiskKeeper, Repairs, Usage
from hub.errors import NotFound
from profiles.image import Recipe
from profiles.model import Machine

if TYPE_CHECKING:
    from hub.drivers.cells import Cells


class AgentGone(NotFound):
    """The platform has no such agent any more."""

    default_code = "agent_gone"


class RestartPolicy(enum.StrEnum):
    NO = "no"
    ON_FAILURE = "on-failure"
    ALWAYS = "always"
    UNLESS_STOPPED = "unless-stopped"


class Features(msgspec.Struct, frozen=True, kw_only=True):
    """What a driver can do. Front ends hide or explain what is False."""

    isolated: bool
    pause: bool
    logs: bool
    shell: bool
    snapshot: bool = False
    cpu_limit: bool = False
    memory_limit: bool = False
    disk_limit: bool = False
    gpu: bool = False
    network_none: bool = False
    restarts_itself: bool = False
    """The platform applies the restart policy; else the hub's reconcile loop does."""


class Fingerprint(msgspec.Struct, frozen=True, kw_only=True):
    """Is the driver usable here and now, and if not, why and what helps."""

    usable: bool
    version: str = ""
    reason: str = ""
    hint: str = ""
    details: dict[str, str] = {}


class Mount(msgspec.Struct, frozen=True, kw_only=True):
    """A folder of the host (absolute `source`) or a named volume at `target` in the agent."""

    source: str
    target: str
    read_only: bool = False


class AgentPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a driver needs to make one agent. `join_token` is a secret: never into an
    environment, a label or a log; it goes into the agent's state folder as file `token`."""

    agent_id: AgentId
    uid: AgentUid
    hub_id: str
    join_token: str
    type: str = ""
    profile: str = ""
    capabilities: tuple[str, ...] = ()
    concurrency: int = 4
    cpus: float | None = None
    memory_bytes: int | None = None
    disk_bytes: int | None = None
    pids: int = 512
    environment: dict[str, str] = {}
    labels: dict[str, str] = {}
    restart: RestartPolicy = RestartPolicy.UNLESS_STOPPED
    sudo: bool = False
    network: str = ""
    mounts: tuple[Mount, ...] = ()
    tmpfs: tuple[str, ...] = ()
    read_only: bool = False
    machine: Machine = Machine()
    """What the profile says, for what has no field of its own here."""
    recipe: Recipe | None = None
    """What the image is made from; None = the base image. Drivers without images do nothing with it."""


class AgentHandle(msgspec.Struct, frozen=True):
    """How a driver finds its agent again. `ref` is the driver's own JSON."""

    driver: str
    ref: str


class Observation(msgspec.Struct, frozen=True, kw_only=True):
    """One agent as the platform shows it now. `started_at` ms since the epoch.

    `check`: what its health check says, None without one; `check_why`: the check's last words.
    `restarts`: how often the platform itself has started it again after it ended.
    """

    agent_id: AgentId
    uid: AgentUid
    handle: AgentHandle
    state: Observed
    exit_code: int | None = None
    out_of_memory: bool = False
    reason: str = ""
    started_at: int | None = None
    check: CheckState | None = None
    check_why: str = ""
    restarts: int = 0


class LogLine(msgspec.Struct, frozen=True, kw_only=True):
    """One line of an agent's own log. `at`: ms since the epoch, None when the source has none."""

    text: str
    at: int | None = None
    stream: str = "stdout"


class LogRequest(msgspec.Struct, frozen=True, kw_only=True):
    """`lines`: the last n (None = all kept); `since_ms`: not older than, ms since the epoch."""

    lines: int | None = None
    since_ms: int | None = None
    follow: bool = False


Progress = Callable[[float, str], None]
"""Called with a fraction 0..1 and a line for the provisioning log."""


class HubReach(Protocol):
    """What a driver may know of the hub that its agents shall dial."""

    @property
    def hub_id(self) -> str: ...

    @property
    def socket_path(self) -> str:
        """The hub's Unix socket; agents on this host re-read it from `hub_file`."""
        ...

    @property
    def hub_file(self) -> str:
        """Path of `hub.json`."""
        ...

    @property
    def state_folder(self) -> str: ...

    @property
    def agents_port(self) -> int: ...

    async def listen_agents_on(self, host: str) -> None:
        """Also accept agents' WebSockets on this address of the host (a network's gateway)."""
        ...

    async def offer_agent_socket(self, agent_id: AgentId, uid: AgentUid) -> str:
        """Make the Unix socket that serves only this agent; return the folder to mount."""
        ...

    async def withdraw_agent_socket(self, agent_id: AgentId, uid: AgentUid) -> None:
        """The agent is gone: close its socket, if it had one."""
        ...


class Driver(Protocol):
    """One platform. See the module's docstring for errors and idempotence."""

    @property
    def name(self) -> str: ...

    @property
    def features(self) -> Features: ...

    async def fingerprint(self) -> Fingerprint: ...

    @property
    def networks(self) -> NetworkAdmin | None:
        """Networks of the operator's own; None on platforms without."""
        ...

    @property
    def compose(self) -> Composer | None:
        """How agents get into a Compose file; None on platforms that Compose does not know."""
        ...

    @property
    def images(self) -> Images | None:
        """What its agents run from; None where they run on the machine as it is."""
        ...

    @property
    def containers(self) -> Containers | None:
        """Containers of other people on its engine; None on platforms without."""
        ...

    @property
    def usage(self) -> Usage | None:
        """Measures agents that report nothing; None where nobody but the agent can."""
        ...

    @property
    def disk(self) -> DiskKeeper | None:
        """Says what agents take of its disk, and cleans up."""
        ...

    @property
    def repairs(self) -> Repairs | None:
        """Puts the ownership of workspaces right."""
        ...

    @property
    def cells(self) -> Cells | None:
        """How OpenClaw gateways are run; None on platforms without containers."""
        ...

    @property
    def snapshots(self) -> Snapshotter | None:
        """How agents are saved and made again; None when `features.snapshot` is False."""
        ...

    async def create(self, plan: AgentPlan, progress: Progress, seed: Seed | None = None) -> AgentHandle:
        """Make and start the agent, with a `seed` from a snapshot. On failure nothing of it is left, or the error
        names it."""
        ...

    async def start(self, handle: AgentHandle) -> None: ...

    async def stop(self, handle: AgentHandle, grace_seconds: float) -> None:
        """TERM, and KILL after the grace."""
        ...

    async def restart(self, handle: AgentHandle, grace_seconds: float) -> None: ...

    async def pause(self, handle: AgentHandle) -> None: ...

    async def resume(self, handle: AgentHandle) -> None: ...

    async def destroy(self, handle: AgentHandle) -> None:
        """Remove the agent and everything that was made for it, its data included."""
        ...

    async def undo_create(self, agent_id: AgentId, uid: AgentUid) -> None:
        """Remove what an interrupted `create` of exactly this incarnation may have left."""
        ...

    async def renew_token(self, handle: AgentHandle, join_token: str) -> None:
        """Put a new join token into the agent's state folder."""
        ...

    async def inspect(self, handle: AgentHandle) -> Observation:
        """Raises AgentGone."""
        ...

    async def list_agents(self) -> list[Observation]:
        """Every agent of this hub (by its labels) on the platform, known to the registry or not."""
        ...

    def watch(self) -> AsyncIterator[None]:
        """Yield whenever something may have changed; drivers without events never yield."""
        ...

    def logs(self, handle: AgentHandle, request: LogRequest) -> AsyncIterator[LogLine]: ...

    async def stop_driver(self) -> None:
        """Release threads, sockets, streams. Agents live on."""
        ...
