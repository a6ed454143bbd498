"""What the hub needs of a container engine to run OpenClaw gateways: one container per instance, a *cell*.

A cell is found again by its labels, whatever becomes of its name: owner, hub, instance and uid (a new one for each
instance that is made, so that a name that is used again is somebody else). Nothing without exactly these labels is
ever changed or removed; what has only the expected name is a Conflict that says so.

Every call is idempotent: a `stop` of a stopped cell, a `remove` of an absent one succeed, and a `create` that is
repeated with the same plan returns the cell that is there. Every call raises `hub.errors` only: `CellGone`,
`BadRequest` (with a field of the plan), `Conflict`, `NotFound`, `DriverFailed`, `NotAvailable`, `StorageFull`,
`Unavailable`.
"""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Final, Protocol

import msgspec

from hub.core.model import CheckState
from hub.drivers.base import LogLine, LogRequest, RestartPolicy
from hub.errors import NotFound

PREFIX: Final = "openclaw-cell-"
"""Before the names of cells, their networks and their volumes."""
INVALID_CONFIG: Final = 78
"""The exit code of a gateway whose configuration is invalid."""
PIDS: Final = 512
STOP_GRACE_SECONDS: Final = 330
"""A gateway with a running turn drains for up to 315 s before it ends."""
LOG_DRIVER: Final = "local"
LOG_OPTIONS: Final = {"max-size": "10m", "max-file": "3"}
NO_NEW_PRIVILEGES: Final = "no-new-privileges:true"

Progress = Callable[[float, str], None]
"""Called with a fraction 0..1 and a line."""


class CellGone(NotFound):
    """The engine has no such cell any more."""

    default_code = "cell_gone"


class CellId(msgspec.Struct, frozen=True):
    """Whose objects these are: an instance by its name, and which incarnation of that name (`uid`)."""

    instance: str
    uid: str


class CellHandle(msgspec.Struct, frozen=True):
    """How one container is found again, also after a rename: `container` is the engine's id. May be stored."""

    instance: str
    uid: str
    container: str

    @property
    def cell(self) -> CellId:
        return CellId(self.instance, self.uid)


class CellPort(msgspec.Struct, frozen=True):
    """`port` of the host at the IP address `host_ip` leads to `container_port` (TCP)."""

    port: int
    container_port: int
    host_ip: str = "127.0.0.1"


class CellVolume(msgspec.Struct, frozen=True):
    """A named volume at `target`. `adopted`: not made by us (an imported instance): used as it is, never removed."""

    name: str
    target: str
    read_only: bool = False
    adopted: bool = False


class CellMount(msgspec.Struct, frozen=True):
    """A folder or file of the engine's machine (absolute `source`) at `target`."""

    source: str
    target: str
    read_only: bool = False


class CellCheck(msgspec.Struct, frozen=True, kw_only=True):
    """The engine's own health check. `test` is a command without a shell, () = the image's own test; seconds None = as
    the image says. `off`: no check at all, also where the image has one."""

    test: tuple[str, ...] = ()
    interval_seconds: float | None = None
    timeout_seconds: float | None = None
    start_period_seconds: float | None = None
    retries: int | None = None
    off: bool = False


class CellPlan(msgspec.Struct, frozen=True, kw_only=True):
    """One container. Its labels are those of `cell` and, with a prefix of their own, `labels`.

    `name` begins with PREFIX. `environment` and `secrets` together are what the container sees; the values of both are
    secret: they are never printed, logged or put into an error, and CellSeen has names only. Like in an env-file, names
    are [A-Za-z_][A-Za-z0-9_]* and values are one line. `command` () = the image's own.
    `cpus` 1.0 = one core; None = no limit. There is no swap beyond `memory_bytes`. `user` "" = the image's own.
    `network` is one that `ensure_network` made, or "bridge". `command` are arguments to the image's entrypoint, as in
    Compose. Always: no-new-privileges, an init as process 1 unless
    `init` is False (images that bring their own). `capabilities`: which are given back after all were dropped.
    """

    cell: CellId
    name: str
    image: str
    command: tuple[str, ...] = ()
    environment: dict[str, str] = {}
    secrets: dict[str, str] = {}
    labels: dict[str, str] = {}
    user: str = ""
    working_folder: str = ""
    cpus: float | None = None
    memory_bytes: int | None = None
    pids: int = PIDS
    ports: tuple[CellPort, ...] = ()
    volumes: tuple[CellVolume, ...] = ()
    mounts: tuple[CellMount, ...] = ()
    tmpfs: tuple[str, ...] = ()
    network: str = "bridge"
    extra_hosts: tuple[str, ...] = ()
    """As NAME:ADDRESS."""
    restart: RestartPolicy = RestartPolicy.UNLESS_STOPPED
    stop_grace_seconds: int = STOP_GRACE_SECONDS
    check: CellCheck = CellCheck()
    capabilities: tuple[str, ...] = ()
    init: bool = True
    read_only: bool = False
    log_driver: str = LOG_DRIVER
    log_options: dict[str, str] = msgspec.field(default_factory=lambda: dict(LOG_OPTIONS))

    def __repr__(self) -> str:
        """Without the environment: a plan may get into a traceback or a log."""
        names = ", ".join(sorted({*self.environment, *self.secrets}))
        return f"CellPlan(name={self.name!r}, image={self.image!r}, environment of {names or 'nothing'})"


class CellMade(msgspec.Struct, frozen=True):
    """`notes`: what of the plan is not given, one line each (limits above the host's, what the engine ignores)."""

    handle: CellHandle
    notes: tuple[str, ...] = ()


class CellState(enum.StrEnum):
    """As the engine says."""

    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    RESTARTING = "restarting"
    EXITED = "exited"
    REMOVING = "removing"
    DEAD = "dead"


class CellSeen(msgspec.Struct, frozen=True, kw_only=True):
    """A container as it is now. Times in ms since the epoch.

    `handle` is None for a container that is not this hub's. `exit_code`, `oom_killed`, `finished_at`: of its last end;
    `exit_code` is None while it runs and before its first start. `reason`: why the engine could not start it.
    `image` is what it was made from by name, `image_id` what that was. `check`: what the engine's health check says,
    None without one. `environment`: names, never values. `ours`: made by some hub, perhaps another one.
    """

    handle: CellHandle | None
    name: str
    container: str
    state: CellState
    image: str = ""
    image_id: str = ""
    exit_code: int | None = None
    oom_killed: bool = False
    reason: str = ""
    created_at: int | None = None
    started_at: int | None = None
    finished_at: int | None = None
    check: CheckState | None = None
    check_why: str = ""
    restarts: int = 0
    """By the engine, after it ended by itself."""
    labels: dict[str, str] = {}
    environment: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    user: str = ""
    ports: tuple[CellPort, ...] = ()
    volumes: tuple[CellVolume, ...] = ()
    mounts: tuple[CellMount, ...] = ()
    networks: tuple[str, ...] = ()
    cpus: float | None = None
    memory_bytes: int | None = None
    ours: bool = False

    @property
    def runs(self) -> bool:
        return self.state in (CellState.RUNNING, CellState.PAUSED, CellState.RESTARTING)

    @property
    def invalid_config(self) -> bool:
        """It ended because its configuration is invalid."""
        return self.exit_code == INVALID_CONFIG


class ImageSeen(msgspec.Struct, frozen=True, kw_only=True):
    """An image that the engine has. `digests`: REPOSITORY@sha256:… under which registries know it; `platform` such as
    linux/amd64; `created_at` ms since the epoch; `user`, `ports`, `volumes`: as the image itself says."""

    id: str
    tags: tuple[str, ...] = ()
    digests: tuple[str, ...] = ()
    labels: dict[str, str] = {}
    size_bytes: int = 0
    created_at: int | None = None
    platform: str = ""
    user: str = ""
    ports: tuple[int, ...] = ()
    volumes: tuple[str, ...] = ()


class CellRecipe(msgspec.Struct, frozen=True, kw_only=True):
    """An image to build. The tag is `version` and the hash of everything that gets into the image, so the same recipe
    is built once. `files` by path, the Dockerfile (`dockerfile`) among them; `arguments` belong to the image. The
    engine's side adds the extra certificates of this host (they get into the image), npm's configuration (it does not)
    and proxies."""

    repository: str
    version: str
    files: dict[str, bytes]
    dockerfile: str = "Dockerfile"
    arguments: dict[str, str] = {}
    platform: str = ""


class CellBuilt(msgspec.Struct, frozen=True):
    """`reference` is there now; `built`: it was not before."""

    reference: str
    built: bool


class CellNetwork(msgspec.Struct, frozen=True):
    """A bridge of its own. `gateway` is the address that connections through a published port come from: what a reverse
    proxy on the host looks like to the gateway (`gateway.trustedProxies`). `subnet` in CIDR form."""

    name: str
    gateway: str
    subnet: str


class Bounds(msgspec.Struct, frozen=True):
    """Of an archive: bytes of all files together as they are when unpacked, and how many entries."""

    most_bytes: int = 20 * 2**30
    most_entries: int = 1_000_000


class CellArchive(msgspec.Struct, frozen=True):
    """A tar archive that is on the hub's disk, complete and checked. `size_bytes`: the file's, `content_bytes`: of what
    is in it; `notes`: files that changed while they were read, and what an `unarchive` would leave out."""

    path: Path
    sha256: str
    size_bytes: int
    entries: int
    content_bytes: int
    notes: tuple[str, ...] = ()


class Capacity(msgspec.Struct, frozen=True, kw_only=True):
    """What the engine's machine has. `name`: its host name; `platform` such as linux/amd64; `containers_running`: all
    of them, whoever's."""

    cpus: int
    memory_bytes: int
    version: str
    name: str
    platform: str = ""
    containers_running: int = 0
    notes: tuple[str, ...] = ()
    """Limits that this engine does not enforce, one line each."""


class Cells(Protocol):
    """See the module's docstring for ownership, errors and idempotence. All methods are bound to one hub and engine."""

    # --- images ----------------------------------------------------------------------------------

    async def pull(self, reference: str, progress: Progress, platform: str = "") -> ImageSeen:
        """Get REPOSITORY[:TAG] or REPOSITORY@sha256:… from its registry, also when it is there already.

        Raises:
            NotFound: the registry has no such image (code image_missing).
            DriverFailed: the registry cannot be reached or refuses (code image_transfer_failed).
        """
        ...

    async def image(self, reference: str) -> ImageSeen | None:
        """Return an image by name, digest or id; None when the engine does not have it."""
        ...

    async def images(self, repository: str) -> list[ImageSeen]:
        """Return all images with a tag of this repository, newest first."""
        ...

    async def wanted(self, recipe: CellRecipe) -> str:
        """Return the full name (REPOSITORY:TAG) that a build of this recipe has, built or not."""
        ...

    async def build(self, recipe: CellRecipe, progress: Progress, *, rebuild: bool = False) -> CellBuilt:
        """Build what is not there; `rebuild`: also when it is, without layers of earlier builds."""
        ...

    # --- containers ------------------------------------------------------------------------------

    async def create(self, plan: CellPlan, progress: Progress) -> CellMade:
        """Make the container, not started, and its volumes where they are missing; its network must be there.

        Fine when it is there already from the same plan. On failure no container of it is left.

        Raises:
            BadRequest: a field of the plan cannot be meant.
            Conflict: something else has the name, or this instance has it with another plan (code cell_exists).
            NotFound: the image is not there (code image_missing), or the network (code network_missing).
        """
        ...

    async def start(self, handle: CellHandle) -> None:
        """Start or unpause; fine when it runs.

        Raises:
            Conflict: a port of the plan is taken (code port_taken).
            DriverFailed: it cannot be started (not retryable when the plan is to blame).
        """
        ...

    async def stop(self, handle: CellHandle, grace_seconds: float) -> None:
        """TERM, and KILL after the grace; a paused one is unpaused first. The engine leaves it stopped."""
        ...

    async def kill(self, handle: CellHandle) -> None:
        """KILL at once; fine when it does not run. The engine leaves it stopped."""
        ...

    async def pause(self, handle: CellHandle) -> None:
        """Freeze all its processes. Raises Conflict when it does not run."""
        ...

    async def unpause(self, handle: CellHandle) -> None: ...

    async def rename(self, handle: CellHandle, name: str) -> None:
        """Give the container another name, which begins with PREFIX; fine when it has it. Raises Conflict (taken)."""
        ...

    async def remove(self, handle: CellHandle) -> None:
        """Remove the container, killed if need be; its volumes stay. Fine when it is gone."""
        ...

    async def inspect(self, handle: CellHandle) -> CellSeen:
        """Raises CellGone."""
        ...

    async def cells(self, cell: CellId | None = None) -> list[CellSeen]:
        """Return all containers of this hub's instances, or of one incarnation: also what an interrupted job left."""
        ...

    async def look(self, reference: str) -> CellSeen | None:
        """Return any container by name or id, whoever's it is; None when there is none. For imports; only looks."""
        ...

    async def environment(self, reference: str) -> dict[str, str]:
        """Return a container's environment with its values, which are secret. Raises CellGone."""
        ...

    def logs(self, handle: CellHandle, request: LogRequest) -> AsyncIterator[LogLine]:
        """Yield what it printed, also after its end; values are as it printed them: the caller removes secrets."""
        ...

    async def put_file(self, handle: CellHandle, path: str, content: bytes, *, uid: int, mode: int = 0o600) -> None:
        """Write a file at this absolute path, whether or not it runs; missing folders below a volume's target are made.
        Group is `uid` too. Not atomic for a running program: meant for before the first start."""
        ...

    async def get_file(self, handle: CellHandle, path: str, most_bytes: int = 4 * 2**20) -> bytes:
        """Return a regular file's content, whether or not it runs.

        Raises:
            NotFound: there is none (code file_missing).
            BadRequest: it is no regular file, or larger.
        """
        ...

    # --- networks and volumes --------------------------------------------------------------------

    async def ensure_network(self, cell: CellId, name: str) -> CellNetwork:
        """Make the instance's own bridge, or return the one that is there. Raises Conflict for somebody else's."""
        ...

    async def remove_network(self, cell: CellId, name: str) -> None:
        """Fine when there is none. Raises Conflict for somebody else's, or while containers are in it."""
        ...

    async def ensure_volume(self, cell: CellId, name: str) -> None:
        """Make the volume; fine when the instance has it already. Raises Conflict for somebody else's."""
        ...

    async def remove_volume(self, cell: CellId, name: str) -> None:
        """Fine when there is none. Raises Conflict for somebody else's, or while a container has it."""
        ...

    async def volumes(self, cell: CellId) -> list[str]:
        """Return the names of the instance's volumes, also of what an interrupted job left."""
        ...

    async def archive(self, cell: CellId, volume: str, target: Path, bounds: Bounds, progress: Progress) -> CellArchive:
        """Write the volume's content into the new file `target` through a helper without network.

        The caller stops or pauses the cell before, or accepts what a running one leaves half written. On failure
        `target` is gone.

        Raises:
            Conflict: the volume is somebody else's.
            NotFound: there is no such volume (code volume_missing).
            TooLarge: more than the bounds.
            StorageFull: the hub's disk is full.
        """
        ...

    async def unarchive(
        self, cell: CellId, volume: str, archive: Path, sha256: str, bounds: Bounds, progress: Progress
    ) -> tuple[str, ...]:
        """Fill an empty volume of the instance from an archive, through a helper without network.

        Everything in the archive is looked at before anything is written: ways out of the volume (.., absolute names,
        names below a link, hard links that leave it) and more than the bounds are refused. Devices, pipes and symbolic
        links that lead out are left out; the lines that say so are returned. Set-uid bits are not taken over. After a
        failure in the middle the volume is not empty: remove it and make it anew.

        Raises:
            BadRequest: the archive is not what `archive` makes (code archive_damaged, with what is wrong).
            Conflict: the volume is somebody else's, or is not empty (code volume_in_use).
            TooLarge: more than the bounds.
        """
        ...

    # --- the engine ------------------------------------------------------------------------------

    async def capacity(self) -> Capacity: ...

    async def close(self) -> None:
        """Release threads, sockets, streams. Cells live on."""
        ...
