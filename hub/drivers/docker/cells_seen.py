"""PURE: from what the engine says of a container or an image to what the hub knows of a cell."""

from __future__ import annotations

from typing import Final

import msgspec

from hub.drivers.cells import (
    PREFIX,
    Capacity,
    CellHandle,
    CellMount,
    CellPort,
    CellSeen,
    CellState,
    CellVolume,
    ImageSeen,
)
from hub.drivers.docker import labels
from hub.drivers.docker.answers import Endpoints, Pascal, State, System
from hub.drivers.docker.cells_render import cell_of
from hub.drivers.docker.images import MACHINES, platform_of
from hub.drivers.docker.logs import time_ms
from hub.drivers.docker.observe import check_of, check_words
from hub.drivers.docker.render_engine import NANOSECONDS

ENDED: Final = frozenset({CellState.EXITED, CellState.DEAD, CellState.RESTARTING})
NOT_PULLED: Final = "<none>"


class Config(Pascal, frozen=True):
    image: str = ""
    labels: dict[str, str] | None = None
    env: list[str] | None = None
    cmd: list[str] | None = None
    user: str = ""
    exposed_ports: dict[str, object] | None = None
    volumes: dict[str, object] | None = None


class Mount(Pascal, frozen=True):
    type: str = ""
    name: str = ""
    source: str = ""
    destination: str = ""
    rw: bool = msgspec.field(name="RW", default=True)


class Binding(Pascal, frozen=True):
    host_ip: str = ""
    host_port: str = ""


class Host(Pascal, frozen=True):
    nano_cpus: int = 0
    memory: int = 0
    port_bindings: dict[str, list[Binding] | None] | None = None


class Ended(State, frozen=True):
    finished_at: str = ""


class Detail(Pascal, frozen=True):
    """A container. `image`: the id of its image."""

    id: str
    state: Ended
    config: Config
    name: str = ""
    image: str = ""
    created: str = ""
    restart_count: int = 0
    host_config: Host = Host()
    network_settings: Endpoints = Endpoints()
    mounts: list[Mount] | None = None


class ImageDetail(Pascal, frozen=True):
    id: str
    repo_tags: list[str] | None = None
    repo_digests: list[str] | None = None
    created: str = ""
    size: int = 0
    os: str = ""
    architecture: str = ""
    variant: str = ""
    config: Config | None = None


def see(found: Detail, hub_id: str) -> CellSeen:
    """Return the container as the hub knows it; `handle` is None when it is not this hub's."""
    cell, marks, state = cell_of(found.config.labels, hub_id), found.config.labels or {}, _state(found.state.status)
    began = time_ms(found.state.started_at)
    return CellSeen(
        handle=CellHandle(cell.instance, cell.uid, found.id) if cell is not None else None,
        name=found.name.removeprefix("/"),
        container=found.id,
        state=state,
        image=found.config.image,
        image_id=found.image,
        exit_code=found.state.exit_code if state in ENDED and began is not None else None,
        oom_killed=found.state.oom_killed,
        reason=found.state.error,
        created_at=time_ms(found.created),
        started_at=began,
        finished_at=time_ms(found.state.finished_at),
        check=check_of(found.state.health) if state is CellState.RUNNING else None,
        check_why=check_words(found.state.health),
        restarts=found.restart_count,
        labels=marks,
        environment=tuple(sorted(entry.partition("=")[0] for entry in found.config.env or [])),
        command=tuple(found.config.cmd or ()),
        user=found.config.user,
        ports=ports_of(found.host_config),
        volumes=tuple(_volume(one) for one in found.mounts or [] if one.type == "volume"),
        mounts=tuple(_mount(one) for one in found.mounts or [] if one.type == "bind"),
        networks=tuple(sorted(found.network_settings.networks or ())),
        cpus=found.host_config.nano_cpus / NANOSECONDS or None,
        memory_bytes=found.host_config.memory or None,
        ours=marks.get(labels.OWNER) == labels.OWNER_NAME,
    )


def _volume(one: Mount) -> CellVolume:
    return CellVolume(one.name, one.destination, read_only=not one.rw, adopted=not one.name.startswith(PREFIX))


def _mount(one: Mount) -> CellMount:
    return CellMount(one.source, one.destination, read_only=not one.rw)


def _state(text: str) -> CellState:
    try:
        return CellState(text)
    except ValueError:
        # A word that newer engines may have: nothing can be said of it, and nothing is done with it.
        return CellState.DEAD


def ports_of(host: Host) -> tuple[CellPort, ...]:
    """Return the published TCP ports as they were asked for; one that the engine was to choose has number 0."""
    found: list[CellPort] = []
    for name, bindings in (host.port_bindings or {}).items():
        number, _, protocol = name.partition("/")
        if protocol in ("", "tcp") and number.isdigit():
            found += [
                CellPort(
                    int(one.host_port or 0), int(number), one.host_ip or "0.0.0.0"
                )  # What the engine means by none.
                for one in bindings or []
            ]
    return tuple(sorted(found, key=lambda port: (port.container_port, port.port)))


def see_image(found: ImageDetail) -> ImageSeen:
    config = found.config or Config()
    platform = "/".join(part for part in (found.os, found.architecture, found.variant) if part)
    return ImageSeen(
        id=found.id,
        tags=tuple(tag for tag in found.repo_tags or () if NOT_PULLED not in tag),
        digests=tuple(one for one in found.repo_digests or () if NOT_PULLED not in one),
        labels=config.labels or {},
        size_bytes=found.size,
        created_at=time_ms(found.created),
        platform=platform,
        user=config.user,
        ports=tuple(sorted(int(name.partition("/")[0]) for name in config.exposed_ports or () if _is_tcp(name))),
        volumes=tuple(sorted(config.volumes or ())),
    )


def _is_tcp(name: str) -> bool:
    number, _, protocol = name.partition("/")
    return number.isdigit() and protocol in ("", "tcp")


def see_capacity(system: System) -> Capacity:
    missing = (
        ("memory limits", system.memory_limit),
        ("CPU limits", system.cpu_cfs_quota),
        ("limits of processes", system.pids_limit),
    )
    return Capacity(
        cpus=system.ncpu,
        memory_bytes=system.mem_total,
        version=system.server_version,
        name=system.name,
        platform=platform_of(system),
        containers_running=system.containers_running,
        notes=tuple(
            f"{what} are not enforced: the kernel of {system.name} has none" for what, has in missing if not has
        ),
    )


def fits(image: ImageSeen, platform: str) -> bool:
    """Whether an image is of a platform such as linux/arm64 or linux/arm/v7; "" fits all."""
    wanted = [MACHINES.get(part, part) for part in platform.split("/")] if platform else []
    return image.platform.split("/")[: len(wanted)] == wanted[: len(image.platform.split("/"))]
