"""What this driver reads of the engine's answers; field names are the engine's. Unknown ones are ignored."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from hub.drivers.docker.engine import NAME
from hub.errors import DriverFailed

T = TypeVar("T")


class Pascal(msgspec.Struct, frozen=True, rename="pascal"):
    """Base: `started_at` here is `StartedAt` there."""


class HealthProbe(Pascal, frozen=True):
    exit_code: int = 0
    output: str = ""


class Health(Pascal, frozen=True):
    """`log`: the last few probes, the newest at the end."""

    status: str = ""
    failing_streak: int = 0
    log: list[HealthProbe] | None = None


class State(Pascal, frozen=True):
    status: str
    exit_code: int = 0
    error: str = ""
    oom_killed: bool = msgspec.field(name="OOMKilled", default=False)
    started_at: str = ""
    health: Health | None = None


class ContainerConfig(Pascal, frozen=True):
    image: str = ""
    labels: dict[str, str] | None = None
    env: list[str] | None = None


class ContainerMount(Pascal, frozen=True):
    target: str = ""


class MountPoint(Pascal, frozen=True):
    """What is mounted, however it was asked for. `name`: the volume's, empty for a folder of the host. `source`: a path
    of the host, empty for what is in memory."""

    destination: str = ""
    name: str = ""
    type: str = ""
    source: str = ""
    writable: bool = msgspec.field(name="RW", default=True)


class HostConfig(Pascal, frozen=True):
    extra_hosts: list[str] | None = None
    mounts: list[ContainerMount] | None = None
    network_mode: str = ""


class Endpoints(Pascal, frozen=True):
    """The networks that a container is in, by name."""

    networks: dict[str, object] | None = None


class Container(Pascal, frozen=True):
    id: str
    state: State
    config: ContainerConfig
    name: str = ""
    host_config: HostConfig = HostConfig()
    restart_count: int = 0
    network_settings: Endpoints = Endpoints()
    mounts: list[MountPoint] | None = None

    def networks(self) -> set[str]:
        return set(self.network_settings.networks or ())


class ContainerEntry(Pascal, frozen=True):
    """One line of a list of containers."""

    id: str
    names: list[str] | None = None
    labels: dict[str, str] | None = None
    network_settings: Endpoints = Endpoints()

    @property
    def name(self) -> str:
        return (self.names or [self.id])[0].removeprefix("/")

    def networks(self) -> set[str]:
        return set(self.network_settings.networks or ())


class ExecState(Pascal, frozen=True):
    """A program that was run in a container. `exit_code` None: it has not ended."""

    exit_code: int | None = None


class Created(Pascal, frozen=True):
    id: str
    warnings: list[str] | None = None


class Volume(Pascal, frozen=True):
    name: str
    labels: dict[str, str] | None = None
    created_at: str = ""


class Volumes(Pascal, frozen=True):
    volumes: list[Volume] | None = None


class AddressPool(Pascal, frozen=True):
    gateway: str = ""
    subnet: str = ""


class AddressPlan(Pascal, frozen=True):
    config: list[AddressPool] | None = None


class Network(Pascal, frozen=True):
    id: str
    name: str
    created: str = ""
    driver: str = ""
    internal: bool = False
    labels: dict[str, str] | None = None
    options: dict[str, str] | None = None
    addresses: AddressPlan = msgspec.field(name="IPAM", default=AddressPlan())


class ImageConfig(Pascal, frozen=True):
    labels: dict[str, str] | None = None


class Image(Pascal, frozen=True):
    id: str
    config: ImageConfig | None = None


class ImageLine(Pascal, frozen=True):
    """One line of a list of images. `created`: seconds since the epoch."""

    id: str
    created: int = 0
    size: int = 0
    repo_tags: list[str] | None = None
    labels: dict[str, str] | None = None


class PluginInterface(Pascal, frozen=True):
    """`types`: what it can be used as, such as `docker.logdriver/1.0`."""

    types: list[str] | None = None


class PluginConfig(Pascal, frozen=True):
    interface: PluginInterface = PluginInterface()


class Plugin(Pascal, frozen=True):
    """What `docker plugin install` has added; the engine does not count these among its `Plugins`."""

    name: str
    enabled: bool = False
    config: PluginConfig = PluginConfig()


class Plugins(Pascal, frozen=True):
    """`log`: log drivers without `none`; None = not known."""

    log: list[str] | None = None


class System(Pascal, frozen=True):
    """The engine and the machine it runs on. `mem_total`: bytes."""

    server_version: str
    ncpu: int = msgspec.field(name="NCPU")
    mem_total: int
    operating_system: str = ""
    architecture: str = ""
    driver: str = ""
    driver_status: list[list[str]] | None = None
    cgroup_version: str = ""
    security_options: list[str] | None = None
    plugins: Plugins = Plugins()
    name: str = ""
    containers_running: int = 0
    memory_limit: bool = True
    cpu_cfs_quota: bool = True
    pids_limit: bool = True

    @property
    def is_desktop(self) -> bool:
        """Docker Desktop runs the engine in a virtual machine: its networks are not this host's."""
        return self.operating_system == "Docker Desktop"

    @property
    def is_rootless(self) -> bool:
        """A rootless engine has a network namespace of its own: its gateways are not this host's."""
        return any(option.startswith("name=rootless") for option in self.security_options or [])

    @property
    def backing_filesystem(self) -> str:
        return next((row[1] for row in self.driver_status or [] if row[:1] == ["Backing Filesystem"]), "")


def decode(answer: bytes, kind: type[T]) -> T:
    """Return the answer as `kind`; raises DriverFailed when it is something else."""
    try:
        return msgspec.json.decode(answer, type=kind)
    except msgspec.MsgspecError as exc:
        raise DriverFailed(
            f"the engine's answer cannot be read: {exc}",
            hint="Is the engine newer than this version of clawtui? `clawtui doctor` shows both.",
            retryable=False,
            driver=NAME,
        ) from exc
