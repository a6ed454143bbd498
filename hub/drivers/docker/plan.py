"""PURE: from an agent's plan to a container, with secure defaults.

`ContainerPlan` knows no API: `render_engine` and `render_compose` say the same in two languages.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from typing import Final

import msgspec

from hub.drivers.base import AgentPlan, RestartPolicy
from hub.drivers.docker import labels
from hub.drivers.docker.engine import NAME
from hub.drivers.docker.labels import Identity
from hub.errors import BadRequest
from profiles.model import Machine
from profiles.parts import UNLIMITED, Gpu, Health, Ulimit

USER: Final = "1000:1000"
"""`agent` of the base image; folders in it and the token file have this owner."""
WORKSPACE: Final = "/workspace"
STATE: Final = "/var/lib/clawtui"
TOKEN_FILE: Final = f"{STATE}/token"
SOCKET_FOLDER: Final = "/run/clawtui"
HUB_HOST: Final = "host.docker.internal"
NO_NETWORK: Final = "none"
NO_LOG: Final = "none"

OPEN_FILES: Final = 16_384
"""Engines differ from 1,024 to a billion. Builds need thousands, some programs loop over all, and an engine that
is itself in a container or rootless cannot give more than it has."""
LOG_DRIVER: Final = "local"
LOG_OPTIONS: Final = {"max-size": "10m", "max-file": "3"}
ROTATING: Final = ("local", "json-file")
"""Log drivers that know LOG_OPTIONS; without them an agent's log could fill the engine's disk."""
STOP_GRACE_SECONDS: Final = 15
"""What the engine gives when it stops by itself; a runtime drains for 5 s by default."""
SUDO_CAPABILITIES: Final = (
    "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "SETFCAP", "SETGID", "SETUID",
)  # fmt: skip
"""What sudo itself and package managers need; nothing that reaches beyond the container."""
TMPFS_OPTIONS: Final = {"/tmp": "rw,nosuid,nodev,exec,mode=1777", "/run": "rw,nosuid,nodev,mode=755"}
"""With a read-only root. Programs may run in /tmp, because builds unpack and run there."""
PLAIN_TMPFS: Final = "rw,nosuid,nodev,exec,mode=1777"

RUNTIME: Final = "/opt/clawtui"


class Host(msgspec.Struct, frozen=True):
    """What the engine's machine has; more is refused by the engine. `disk_note`: why it cannot
    limit the size of a container's writable layer, "" when it can. `apparmor`, `selinux`: its kernel has them.
    `log_drivers`: all that the engine has, empty = not known."""

    cpus: int
    memory_bytes: int
    disk_note: str = ""
    apparmor: bool = True
    selinux: bool = True
    log_drivers: tuple[str, ...] = ()


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
    """One container. `cpus`: 1.0 = one core; `disk_bytes`: of its writable layer; `memory_swap_bytes`: memory and
    swap together, -1 = as much swap as there is; None = no limit, for `shm_bytes` the engine's own."""

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
    cpu_shares: int | None
    cpuset: str
    memory_bytes: int | None
    memory_swap_bytes: int | None
    memory_reservation_bytes: int | None
    disk_bytes: int | None
    shm_bytes: int | None
    pids: int
    ulimits: dict[str, Ulimit]
    gpu: Gpu | None
    capabilities: tuple[str, ...]
    security_options: tuple[str, ...]
    read_only: bool
    restart: RestartPolicy
    health: Health
    log_driver: str
    log_options: dict[str, str]
    stop_grace_seconds: int
    user: str
    working_folder: str


def plan_container(
    plan: AgentPlan, identity: Identity, image: str, host: Host, way: Way, command: tuple[str, ...] = ()
) -> tuple[ContainerPlan, list[str]]:
    """Return the container and what of the plan it does not give, one line each.

    `command` takes the place of the image's own program.

    Raises:
        BadRequest: the plan names cores that this machine, or a log driver that its engine does not have.
    """
    machine, limits, own_tools = plan.machine, plan.machine.limits, SUDO_CAPABILITIES if plan.sudo else ()
    check_host(machine, host)
    cpus, memory_bytes, notes = _clamped(plan, host)
    log_driver = machine.logging.driver or LOG_DRIVER
    container = ContainerPlan(
        name=labels.container_name(plan.agent_id),
        image=image,
        command=command,
        environment=_environment(plan, way),
        labels={},
        volumes=_volumes(plan, way),
        tmpfs=_tmpfs(plan),
        network=way.network,
        extra_hosts=(f"{HUB_HOST}:{way.hub_host}",) if way.hub_host else (),
        cpus=cpus,
        cpu_shares=limits.cpu_shares,
        cpuset=limits.cpuset,
        memory_bytes=memory_bytes,
        memory_swap_bytes=_swap(machine, memory_bytes),
        memory_reservation_bytes=_at_most(limits.memory_reservation_bytes, memory_bytes),
        disk_bytes=plan.disk_bytes if not host.disk_note else None,
        shm_bytes=limits.shm_size_bytes,
        pids=plan.pids,
        ulimits={"nofile": Ulimit(OPEN_FILES, OPEN_FILES)} | limits.ulimits,
        gpu=machine.gpu,
        capabilities=tuple(dict.fromkeys((*own_tools, *machine.security.cap_add))),
        security_options=tuple(_security_options(plan)),
        read_only=plan.read_only,
        restart=plan.restart,
        health=machine.health,
        log_driver=log_driver,
        log_options=(LOG_OPTIONS if log_driver in ROTATING else {}) | machine.logging.options,
        stop_grace_seconds=math.ceil(machine.stop_grace_seconds or STOP_GRACE_SECONDS),
        user=USER,
        working_folder=WORKSPACE,
    )
    return msgspec.structs.replace(container, labels=_labels(plan, identity, container)), notes


def _labels(plan: AgentPlan, identity: Identity, container: ContainerPlan) -> dict[str, str]:
    digest = hashlib.sha256(msgspec.json.encode(container, order="deterministic")).hexdigest()
    users = {f"{labels.USER_PREFIX}{name}": value for name, value in plan.labels.items()}
    return {**users, **identity.labels(), labels.PLAN: digest}


def check_host(machine: Machine, host: Host) -> None:
    """Raises BadRequest for what an agent cannot have here because the host has none of it.

    The engine itself looks for an unknown log driver for 15 seconds before it says so [tried on 20.10].
    """
    _check_cores(machine.limits.cpuset, host)
    wanted = machine.logging.driver
    if wanted and host.log_drivers and wanted not in host.log_drivers:
        raise BadRequest(
            f"this engine has no log driver {wanted!r}",
            hint=f"It has {', '.join(sorted(host.log_drivers))}; docker plugin install adds others.",
            field="machine.logging.driver",
            driver=NAME,
        )


def _check_cores(cpuset: str, host: Host) -> None:
    last = max((int(number) for part in cpuset.split(",") for number in part.split("-") if number), default=0)
    if last >= host.cpus:
        raise BadRequest(
            f"core {last} was asked for, this engine's machine has 0 to {host.cpus - 1}",
            hint="Leave it out, or name cores that exist.",
            field="limits.cpuset",
            driver=NAME,
        )


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
    security = plan.machine.security
    if security.apparmor and not host.apparmor:
        notes.append(f"AppArmor profile {security.apparmor} is not enforced: this engine has no AppArmor")
    if security.selinux and not host.selinux:
        notes.append(f"SELinux label {', '.join(security.selinux)} is not enforced: this engine has no SELinux")
    if plan.machine.logging.driver == NO_LOG:
        notes.append("log driver none: nothing of what it prints is kept, logs shows only what its runtime sends")
    if "NET_RAW" in plan.machine.security.cap_add:
        notes.append("NET_RAW: this agent can forge packets on the network that it shares with others")
    return cpus, memory_bytes, notes


def _swap(machine: Machine, memory_bytes: int | None) -> int | None:
    """No swap at all unless the profile says how much; never less than the memory itself."""
    asked = machine.limits.memory_swap_bytes
    if asked is None or memory_bytes is None:
        return memory_bytes if asked is None else asked
    return asked if asked == UNLIMITED else max(asked, memory_bytes)


def _at_most(asked: int | None, most: int | None) -> int | None:
    return asked if asked is None or most is None else min(asked, most)


def _security_options(plan: AgentPlan) -> Iterator[str]:
    """As container engines write them, in Compose too."""
    if not plan.sudo:
        yield "no-new-privileges:true"
    if plan.machine.security.apparmor:
        yield f"apparmor={plan.machine.security.apparmor}"
    for option in plan.machine.security.selinux:
        yield f"label={option}"


def _tmpfs(plan: AgentPlan) -> dict[str, str]:
    sizes = {tmpfs.path: tmpfs.size_bytes for tmpfs in plan.machine.security.tmpfs}
    asked = {
        path: PLAIN_TMPFS if (size := sizes.get(path)) is None else f"{PLAIN_TMPFS},size={size}" for path in plan.tmpfs
    }
    return (TMPFS_OPTIONS if plan.read_only else {}) | asked


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
