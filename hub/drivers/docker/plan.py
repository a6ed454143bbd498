"""PURE: from an agent's plan to a container, with secure defaults; and from that to the engine's JSON.

`ContainerPlan` knows no API, so that other renderings (Compose, a Swarm service) say the same.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

import msgspec

from hub.drivers.base import AgentPlan, Mount, RestartPolicy
from hub.drivers.docker import labels
from hub.drivers.docker.engine import NAME
from hub.drivers.docker.labels import Identity
from hub.errors import BadRequest

USER: Final = "1000:1000"
"""`agent` of the base image; folders in it and the token file have this owner."""
WORKSPACE: Final = "/workspace"
STATE: Final = "/var/lib/clawtui"
TOKEN_FILE: Final = f"{STATE}/token"
SOCKET_FOLDER: Final = "/run/clawtui"
HUB_HOST: Final = "host.docker.internal"
NO_NETWORK: Final = "none"

OPEN_FILES: Final = 16_384
"""Engines differ from 1,024 to a billion. Builds need thousands, some programs loop over all, and an engine that
is itself in a container or rootless cannot give more than it has."""
LOG_OPTIONS: Final = {"max-size": "10m", "max-file": "3"}
STOP_GRACE_SECONDS: Final = 15
"""What the engine gives when it stops by itself; a runtime drains for 5 s by default."""
SMALLEST_MEMORY_BYTES: Final = 64 * 1024 * 1024
"""The runtime alone is 26 MB; the engine refuses under 6 MB only."""
SUDO_CAPABILITIES: Final = (
    "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "SETFCAP", "SETGID", "SETUID",
)  # fmt: skip
"""What sudo itself and package managers need; nothing that reaches beyond the container."""
TMPFS_OPTIONS: Final = {"/tmp": "rw,nosuid,nodev,exec,mode=1777", "/run": "rw,nosuid,nodev,mode=755"}
"""With a read-only root. Programs may run in /tmp, because builds unpack and run there."""
PLAIN_TMPFS: Final = "rw,nosuid,nodev,exec,mode=1777"

OWN_PREFIXES: Final = ("AGENT_", "HUB_", "CLAWTUI_")
RUNTIME: Final = "/opt/clawtui"
OWN_PLACES: Final = (STATE, SOCKET_FOLDER, RUNTIME, "/proc", "/sys", "/dev")
VOLUME_PATTERN: Final = r"[a-zA-Z0-9][a-zA-Z0-9_.-]{1,127}"
UID_PATTERN: Final = r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}"
REFUSED_NETWORKS: Final = ("host", "default")


class Host(msgspec.Struct, frozen=True):
    """What the engine's machine has; more is refused by the engine. `disk_note`: why it cannot
    limit the size of a container's writable layer, "" when it can."""

    cpus: int
    memory_bytes: int
    disk_note: str = ""


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """How an agent reaches its hub. `hub_host`: where `host.docker.internal` points, "" = nowhere;
    `socket_folder`: the folder of this host with the agent's own socket."""

    network: str
    url: str
    hub_host: str = ""
    socket_folder: str = ""


class Volume(msgspec.Struct, frozen=True):
    """A folder of the host or a named volume, at `target`."""

    source: str
    target: str
    named: bool
    read_only: bool = False


class ContainerPlan(msgspec.Struct, frozen=True, kw_only=True):
    """One container. `cpus`: 1.0 = one core; `disk_bytes`: of its writable layer; None = no limit."""

    name: str
    image: str
    command: tuple[str, ...]
    environment: dict[str, str]
    labels: dict[str, str]
    volumes: tuple[Volume, ...]
    tmpfs: dict[str, str]
    network: str
    extra_hosts: tuple[str, ...]
    cpus: float | None
    memory_bytes: int | None
    disk_bytes: int | None
    pids: int
    open_files: int
    capabilities: tuple[str, ...]
    no_new_privileges: bool
    read_only: bool
    restart: RestartPolicy
    log_options: dict[str, str]
    stop_grace_seconds: int
    user: str
    working_folder: str


def check_plan(plan: AgentPlan) -> None:
    """Raises BadRequest for what no container could have or would only seem to have."""
    if not re.fullmatch(UID_PATTERN, plan.uid):
        raise _bad("uid", f"{plan.uid!r} cannot be a uid")
    if plan.concurrency < 1:
        raise _bad("concurrency", "concurrency starts at 1")
    if any("," in capability for capability in plan.capabilities):
        raise _bad("capabilities", "a capability cannot have a comma")
    if plan.cpus is not None and not plan.cpus >= 0.01:
        raise _bad("cpus", "the smallest share is 0.01 of a core")
    if plan.memory_bytes is not None and plan.memory_bytes < SMALLEST_MEMORY_BYTES:
        raise _bad("memory", f"an agent needs at least {SMALLEST_MEMORY_BYTES // 2**20} MiB")
    if plan.pids < 16:
        raise _bad("pids", "an agent needs at least 16 processes")
    if plan.network in REFUSED_NETWORKS:
        raise _bad("network", f"agents do not share the network {plan.network!r}", 'Leave it out, or say "none".')
    _check_environment(plan.environment)
    for mount in plan.mounts:
        _check_mount(mount)
    for target in plan.tmpfs:
        _check_target("tmpfs", target)


def _check_environment(environment: dict[str, str]) -> None:
    for name, value in environment.items():
        if name.startswith(OWN_PREFIXES):
            raise _bad(f"environment.{name}", f"{name} is set by the hub", "Choose another name.")
        if not name or "=" in name or "\0" in name + value:
            raise _bad(f"environment.{name}", f"{name!r} cannot be an environment variable")


def _check_mount(mount: Mount) -> None:
    _check_target("mounts", mount.target)
    if mount.source.startswith("/"):
        return
    if not re.fullmatch(VOLUME_PATTERN, mount.source):
        raise _bad("mounts", f"{mount.source!r} is neither an absolute path nor a volume's name")
    if mount.source.startswith(labels.PREFIX):
        raise _bad("mounts", f"{mount.source} belongs to an agent", "Use a volume of your own between agents.")


def _check_target(field: str, target: str) -> None:
    normal = "/" + "/".join(part for part in target.split("/") if part not in ("", "."))
    if not target.startswith("/") or ".." in target.split("/") or normal == "/":
        raise _bad(field, f"{target!r} is not an absolute path in the agent")
    for own in OWN_PLACES:
        if normal == own or normal.startswith(f"{own}/"):
            raise _bad(field, f"{target} would hide {own}")
    # Our volumes are mounted over what lies above them; the runtime is part of the image.
    if RUNTIME.startswith(f"{normal}/"):
        raise _bad(field, f"{target} would hide {RUNTIME}")
    if normal == WORKSPACE:
        raise _bad(field, f"{WORKSPACE} is the agent's own volume", f"Mount below it, e.g. {WORKSPACE}/data.")


def _bad(field: str, message: str, hint: str = "") -> BadRequest:
    return BadRequest(message, hint=hint, field=field, driver=NAME)


def plan_container(
    plan: AgentPlan, identity: Identity, image: str, host: Host, way: Way, command: tuple[str, ...] = ()
) -> tuple[ContainerPlan, list[str]]:
    """Return the container and what of the plan it does not give, one line each.

    `command` takes the place of the image's own program.
    """
    cpus, memory_bytes, notes = _clamped(plan, host)
    container = ContainerPlan(
        name=labels.container_name(plan.agent_id),
        image=image,
        command=command,
        environment=_environment(plan, way),
        labels={},
        volumes=_volumes(plan, way),
        tmpfs=(TMPFS_OPTIONS if plan.read_only else {}) | dict.fromkeys(plan.tmpfs, PLAIN_TMPFS),
        network=way.network,
        extra_hosts=(f"{HUB_HOST}:{way.hub_host}",) if way.hub_host else (),
        cpus=cpus,
        memory_bytes=memory_bytes,
        disk_bytes=plan.disk_bytes if not host.disk_note else None,
        pids=plan.pids,
        open_files=OPEN_FILES,
        capabilities=SUDO_CAPABILITIES if plan.sudo else (),
        no_new_privileges=not plan.sudo,
        read_only=plan.read_only,
        restart=plan.restart,
        log_options=LOG_OPTIONS,
        stop_grace_seconds=STOP_GRACE_SECONDS,
        user=USER,
        working_folder=WORKSPACE,
    )
    digest = hashlib.sha256(msgspec.json.encode(container, order="deterministic")).hexdigest()
    users = {f"{labels.USER_PREFIX}{name}": value for name, value in plan.labels.items()}
    marked = {**users, **identity.labels(), labels.PLAN: digest}
    return msgspec.structs.replace(container, labels=marked), notes


def _clamped(plan: AgentPlan, host: Host) -> tuple[float | None, int | None, list[str]]:
    cpus, memory_bytes, notes = plan.cpus, plan.memory_bytes, list[str]()
    if cpus is not None and cpus > host.cpus:
        notes.append(f"{cpus:g} CPUs asked for, this engine's machine has {host.cpus}: limited to {host.cpus}")
        cpus = float(host.cpus)
    if memory_bytes is not None and memory_bytes > host.memory_bytes:
        had = f"{host.memory_bytes / 2**30:.1f} GiB"
        notes.append(f"{memory_bytes / 2**30:.1f} GiB asked for, this engine's machine has {had}: limited to {had}")
        memory_bytes = host.memory_bytes
    if plan.disk_bytes is not None and host.disk_note:
        notes.append(f"disk size is not enforced: {host.disk_note}")
    if plan.sudo:
        notes.append("sudo: the container has no no-new-privileges and more capabilities than others")
    return cpus, memory_bytes, notes


def _environment(plan: AgentPlan, way: Way) -> dict[str, str]:
    own = {
        "AGENT_ID": plan.agent_id,
        "HUB_URL": way.url,
        "AGENT_TOKEN_FILE": TOKEN_FILE,
        "AGENT_STATE_DIR": STATE,
        "AGENT_WORKSPACE": WORKSPACE,
        "AGENT_CAPABILITIES": ",".join(plan.capabilities),
        "AGENT_CONCURRENCY": str(plan.concurrency),
    }
    return {**plan.environment, **own, **({"AGENT_SUDO": "1"} if plan.sudo else {})}


def _volumes(plan: AgentPlan, way: Way) -> tuple[Volume, ...]:
    own = [
        Volume(labels.workspace_volume(plan.agent_id), WORKSPACE, named=True),
        Volume(labels.state_volume(plan.agent_id), STATE, named=True),
    ]
    if way.socket_folder:
        own.append(Volume(way.socket_folder, SOCKET_FOLDER, named=False, read_only=True))
    users = [
        Volume(mount.source, mount.target, named=not mount.source.startswith("/"), read_only=mount.read_only)
        for mount in plan.mounts
    ]
    return tuple(own + users)


def render_engine(plan: ContainerPlan) -> dict[str, object]:
    """Return the body of the Engine API's "create a container". The health check is the image's."""
    memory = plan.memory_bytes or 0
    host: dict[str, object] = {
        "Init": True,
        "CapDrop": ["ALL"],
        "CapAdd": list(plan.capabilities),
        "SecurityOpt": ["no-new-privileges:true"] if plan.no_new_privileges else [],
        "Privileged": False,
        "ReadonlyRootfs": plan.read_only,
        "PidsLimit": plan.pids,
        "NanoCpus": int((plan.cpus or 0) * 1_000_000_000),
        "Memory": memory,
        # The total of memory and swap: no swap at all.
        "MemorySwap": memory,
        "Ulimits": [{"Name": "nofile", "Soft": plan.open_files, "Hard": plan.open_files}],
        "LogConfig": {"Type": "local", "Config": plan.log_options},
        "RestartPolicy": {"Name": plan.restart.value},
        "NetworkMode": plan.network,
        "ExtraHosts": list(plan.extra_hosts),
        "Mounts": [_render_volume(volume) for volume in plan.volumes],
        "Tmpfs": plan.tmpfs,
        "StorageOpt": {"size": str(plan.disk_bytes)} if plan.disk_bytes is not None else {},
    }
    body: dict[str, object] = {
        "Image": plan.image,
        "Env": [f"{name}={value}" for name, value in sorted(plan.environment.items())],
        "Labels": plan.labels,
        "User": plan.user,
        "WorkingDir": plan.working_folder,
        "StopTimeout": plan.stop_grace_seconds,
        "HostConfig": host,
    }
    if plan.command:
        body |= {"Entrypoint": list(plan.command), "Cmd": []}
    return body


def _render_volume(volume: Volume) -> dict[str, object]:
    kind = "volume" if volume.named else "bind"
    return {"Type": kind, "Source": volume.source, "Target": volume.target, "ReadOnly": volume.read_only}
