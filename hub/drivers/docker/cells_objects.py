"""Blocking steps for what a gateway's container needs: its network and its volumes. Each is safe to repeat."""

from __future__ import annotations

import re
from typing import Final

from hub.drivers.cells import CellId, CellNetwork, CellVolume
from hub.drivers.cells_checks import check_name
from hub.drivers.docker import labels, steps
from hub.drivers.docker.answers import ContainerEntry, Network, Volume, Volumes, decode
from hub.drivers.docker.cells_render import cell_labels, cell_of
from hub.drivers.docker.engine import NAME, Call, Engine, EngineConflict, EngineNotFound, EngineRefused
from hub.drivers.docker.labels import label_filter
from hub.drivers.docker.network import find_networks
from hub.errors import Conflict, DriverFailed, NotFound

_NO_ADDRESSES: Final = re.compile(r"non-overlapping IPv4 address pool|predefined address pools")


def check_owner(kind: str, name: str, found: dict[str, str] | None, cell: CellId, hub_id: str) -> None:
    """Raises Conflict unless the object is exactly this incarnation's."""
    owner = cell_of(found, hub_id)
    if owner == cell:
        return
    marks = found or {}
    if owner is not None:
        why, hint = f"belongs to another gateway of this hub ({owner.instance})", "Destroy that one, or choose a name."
        if owner.instance == cell.instance:
            why, hint = f"belongs to an earlier gateway {cell.instance}", f"Look at it, then docker {kind} rm {name}."
    elif marks.get(labels.OWNER) == labels.OWNER_NAME and marks.get(labels.HUB):
        why, hint = f"belongs to another hub ({marks[labels.HUB]})", "Choose another name, or destroy it with that hub."
    else:
        why, hint = "was not made by clawtui", f"Look at it, rename or remove it (docker {kind} rm), and try again."
    raise Conflict(f"the {kind} {name} exists and {why}", code="foreign_object", hint=hint, driver=NAME)


# --- networks ----------------------------------------------------------------------------------


def ensure_network(engine: Engine, cell: CellId, name: str, hub_id: str) -> CellNetwork:
    check_name(name)
    found = find_networks(engine, name)
    if not found:
        _make_network(engine, cell, name, hub_id)
        found = find_networks(engine, name)
    if not found:
        raise DriverFailed(f"the network {name} went away at once", hint="Try again.", driver=NAME)
    check_owner("network", name, found[0].labels, cell, hub_id)
    return _network(found[0])


def _make_network(engine: Engine, cell: CellId, name: str, hub_id: str) -> None:
    body = {"Name": name, "CheckDuplicate": True, "Driver": "bridge", "Labels": cell_labels(hub_id, cell)}
    try:
        engine.call(Call("POST", "/networks/create", body=body))
    except EngineConflict:
        # Somebody was faster; whose it is comes out when it is looked at.
        return
    except EngineRefused as exc:
        if not _NO_ADDRESSES.search(exc.message):
            raise
        raise DriverFailed(
            f"the network {name} cannot be made: the engine has no addresses left for one more",
            code="no_network_addresses",
            hint='Give it more in /etc/docker/daemon.json: "default-address-pools": [{"base": "10.201.0.0/16",'
            ' "size": 26}], and restart it; or docker network prune.',
            retryable=False,
            driver=NAME,
        ) from exc


def network_of(engine: Engine, cell: CellId, name: str, hub_id: str) -> CellNetwork:
    """Return the instance's network. Raises NotFound, Conflict."""
    found = find_networks(engine, name)
    if not found:
        raise NotFound(
            f"there is no network {name}", code="network_missing", hint="Make it first.", field="network", driver=NAME
        )
    check_owner("network", name, found[0].labels, cell, hub_id)
    return _network(found[0])


def _network(found: Network) -> CellNetwork:
    for pool in found.addresses.config or []:
        gateway = pool.gateway.partition("/")[0]
        if gateway and ":" not in gateway:
            return CellNetwork(found.name, gateway, pool.subnet)
    raise DriverFailed(
        f"the network {found.name} has no IPv4 gateway",
        hint=f"Remove it (docker network rm {found.name}) and try again.",
        retryable=False,
        driver=NAME,
    )


def remove_network(engine: Engine, cell: CellId, name: str, hub_id: str) -> None:
    for network in find_networks(engine, name):
        check_owner("network", name, network.labels, cell, hub_id)
        entries = decode(engine.call(Call("GET", "/containers/json", {"all": "1"})), list[ContainerEntry])
        users = sorted(entry.name for entry in entries if name in entry.networks())
        if users:
            raise Conflict(
                f"the network {name} is used by {', '.join(users[:10])}", hint="Remove these first.", driver=NAME
            )
        try:
            engine.call(Call("DELETE", f"/networks/{network.id}"))
        except EngineNotFound:
            continue


# --- volumes -----------------------------------------------------------------------------------


def ensure_volume(engine: Engine, cell: CellId, name: str, hub_id: str) -> None:
    check_name(name)
    body = {"Name": name, "Labels": cell_labels(hub_id, cell)}
    # The engine hands out an existing volume of the same name without a word.
    made = decode(engine.call(Call("POST", "/volumes/create", body=body)), Volume)
    check_owner("volume", name, made.labels, cell, hub_id)


def volume_of(engine: Engine, cell: CellId, volume: CellVolume, hub_id: str) -> None:
    """Make sure that a plan's volume is there: made where it is ours, found where it was adopted."""
    if not volume.adopted:
        ensure_volume(engine, cell, volume.name, hub_id)
    elif steps.find_volume(engine, volume.name) is None:
        raise missing(volume.name)


def owned_volume(engine: Engine, cell: CellId, name: str, hub_id: str) -> None:
    """Raises NotFound, and Conflict for somebody else's."""
    found = steps.find_volume(engine, name)
    if found is None:
        raise missing(name)
    check_owner("volume", name, found.labels, cell, hub_id)


def missing(name: str) -> NotFound:
    return NotFound(f"there is no volume {name}", code="volume_missing", field="volumes", driver=NAME)


def remove_volume(engine: Engine, cell: CellId, name: str, hub_id: str) -> None:
    found = steps.find_volume(engine, name)
    if found is None:
        return
    check_owner("volume", name, found.labels, cell, hub_id)
    try:
        steps.remove_volume(engine, name)
    except EngineConflict as exc:
        raise Conflict(
            f"the volume {name} is in use: {exc.message}",
            code="volume_in_use",
            hint="Remove the container that has it first.",
            driver=NAME,
        ) from exc


def volumes(engine: Engine, cell: CellId, hub_id: str) -> list[str]:
    call = Call("GET", "/volumes", {"filters": label_filter(cell_labels(hub_id, cell))})
    return sorted(volume.name for volume in decode(engine.call(call), Volumes).volumes or [])
