"""Blocking steps for gateways' containers, run in the driver's threads: each is safe to repeat, and none changes a
container without exactly the labels of its instance."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote

from hub.drivers.cells import CellGone, CellHandle, CellId, CellMade, CellPlan, CellSeen, ImageSeen
from hub.drivers.cells_checks import check_name, clamp, plan_hash
from hub.drivers.docker import labels, steps
from hub.drivers.docker.answers import Created, decode
from hub.drivers.docker.cells_objects import check_owner, network_of, volume_of
from hub.drivers.docker.cells_render import cell_labels, cell_of, render_cell
from hub.drivers.docker.cells_seen import Detail, ImageDetail, see, see_capacity, see_image
from hub.drivers.docker.engine import NAME, Call, Engine, EngineConflict, EngineNotFound, EngineRefused
from hub.errors import BadRequest, Conflict, DriverFailed, NotFound

_PORT_TAKEN: Final = re.compile(r"port is already allocated|address already in use|ports are not available")
_PORT: Final = re.compile(r"(\d+\.\d+\.\d+\.\d+|\[[0-9a-f:]+\]):(\d+)")

# --- looking -----------------------------------------------------------------------------------


def find(engine: Engine, reference: str) -> Detail | None:
    """Return the container of this exact name or id, whoever's it is."""
    try:
        found = decode(engine.call(Call("GET", f"/containers/{quote(reference, safe='')}/json")), Detail)
    except (EngineNotFound, BadRequest):
        return None
    # The engine takes the beginning of an id for a name, too.
    return found if reference in (found.id, found.name.removeprefix("/")) else None


def owned(engine: Engine, handle: CellHandle, hub_id: str) -> Detail:
    """Return the handle's container; raises CellGone, also when it is somebody else's."""
    found = find(engine, handle.container)
    if found is None or cell_of(found.config.labels, hub_id) != handle.cell:
        raise gone(handle)
    return found


def gone(handle: CellHandle) -> CellGone:
    return CellGone(
        f"the container {handle.container[:12]} of gateway {handle.instance} is not there any more", driver=NAME
    )


def look(engine: Engine, reference: str, hub_id: str) -> CellSeen | None:
    found = find(engine, reference)
    return see(found, hub_id) if found is not None else None


def inspect(engine: Engine, handle: CellHandle, hub_id: str) -> CellSeen:
    return see(owned(engine, handle, hub_id), hub_id)


def all_cells(engine: Engine, cell: CellId | None, hub_id: str) -> list[CellSeen]:
    """Return the containers of this hub's instances, or of one incarnation of one; no helpers."""
    wanted = {labels.OWNER: labels.OWNER_NAME, labels.HUB: hub_id}
    if cell is not None:
        wanted = cell_labels(hub_id, cell)
    found: list[CellSeen] = []
    for entry in steps.containers(engine, wanted):
        if cell_of(entry.labels, hub_id) is None:
            continue
        detail = find(engine, entry.id)
        if detail is not None:
            found.append(see(detail, hub_id))
    return sorted(found, key=lambda seen: (seen.name, seen.container))


def environment(engine: Engine, reference: str) -> dict[str, str]:
    """Return the values, which are secret. Raises CellGone."""
    found = find(engine, reference)
    if found is None:
        raise CellGone(f"there is no container {reference[:100]!r}", driver=NAME)
    parts = (entry.partition("=") for entry in found.config.env or [])
    return {name: value for name, _, value in parts}


def find_image(engine: Engine, reference: str) -> ImageSeen | None:
    try:
        return see_image(decode(engine.call(Call("GET", f"/images/{quote(reference)}/json")), ImageDetail))
    except (EngineNotFound, BadRequest):
        return None


# --- making ------------------------------------------------------------------------------------


def create(engine: Engine, plan: CellPlan, hub_id: str) -> CellMade:
    """Make the container and its volumes; see `Cells.create`."""
    fitting, notes = clamp(plan, see_capacity(steps.system(engine)))
    there = find(engine, plan.name)
    if there is not None:
        return CellMade(_same(there, plan, hub_id), notes)
    if find_image(engine, plan.image) is None:
        raise NotFound(
            f"the engine does not have the image {plan.image}",
            code="image_missing",
            hint="Pull or build it first.",
            driver=NAME,
        )
    if plan.network != "bridge":
        network_of(engine, plan.cell, plan.network, hub_id)
    for volume in plan.volumes:
        volume_of(engine, plan.cell, volume, hub_id)
    call = Call("POST", "/containers/create", {"name": plan.name}, body=render_cell(fitting, hub_id, plan))
    try:
        made = decode(engine.call(call), Created)
    except EngineConflict as exc:
        there = find(engine, plan.name)
        if there is None:
            raise Conflict(f"the name {plan.name} is taken", hint="Try again.", driver=NAME) from exc
        return CellMade(_same(there, plan, hub_id), notes)
    except EngineNotFound as exc:
        raise DriverFailed(f"{plan.name} cannot be made: {exc.message}", hint="Try again.", driver=NAME) from exc
    handle = CellHandle(plan.cell.instance, plan.cell.uid, made.id)
    return CellMade(handle, (*notes, *(f"the engine says: {warning}" for warning in made.warnings or [])))


def _same(there: Detail, plan: CellPlan, hub_id: str) -> CellHandle:
    """Return the handle of a container that is there already. Raises Conflict when it is not what was asked for."""
    check_owner("container", plan.name, there.config.labels, plan.cell, hub_id)
    if (there.config.labels or {}).get(labels.PLAN) != plan_hash(plan):
        raise Conflict(
            f"the container {plan.name} exists already and was made from another plan",
            code="cell_exists",
            hint="Remove it first, or rename it.",
            driver=NAME,
        )
    return CellHandle(plan.cell.instance, plan.cell.uid, there.id)


# --- running -----------------------------------------------------------------------------------


def start(engine: Engine, handle: CellHandle, hub_id: str) -> None:
    """Start or unfreeze; fine when it runs."""
    found = owned(engine, handle, hub_id)
    verb = "unpause" if found.state.status == "paused" else "start"
    try:
        _act(engine, Call("POST", f"/containers/{found.id}/{verb}", timeout_seconds=60), handle)
    except BadRequest as exc:
        # The engine blames the caller for a program or a mount that cannot be used; here that is the plan.
        raise _cannot_start(handle, exc.message) from exc
    except EngineRefused as exc:
        if _PORT_TAKEN.search(exc.message):
            address = _PORT.search(exc.message)
            raise Conflict(
                f"gateway {handle.instance} cannot be started: "
                + (f"port {address[2]} of {address[1]} is taken" if address else exc.message),
                code="port_taken",
                hint="Choose another port, or stop what has it.",
                field="port",
                driver=NAME,
            ) from exc
        raise


def _cannot_start(handle: CellHandle, why: str) -> DriverFailed:
    return DriverFailed(
        f"gateway {handle.instance} cannot be started: {why}", code="cell_start_failed", retryable=False, driver=NAME
    )


def stop(engine: Engine, handle: CellHandle, grace_seconds: float, hub_id: str) -> None:
    """TERM, and KILL after the grace; a frozen one could not end by itself."""
    found = owned(engine, handle, hub_id)
    if found.state.status == "paused":
        _act(engine, Call("POST", f"/containers/{found.id}/unpause"), handle)
    _act(engine, steps.ending("stop", found.id, grace_seconds), handle)


def kill(engine: Engine, handle: CellHandle, hub_id: str) -> None:
    found = owned(engine, handle, hub_id)
    try:
        _act(engine, Call("POST", f"/containers/{found.id}/kill", {"signal": "KILL"}), handle)
    except Conflict:
        if owned(engine, handle, hub_id).state.status in ("running", "paused"):
            raise


def pause(engine: Engine, handle: CellHandle, hub_id: str) -> None:
    found = owned(engine, handle, hub_id)
    if found.state.status == "paused":
        return
    _check_runs(found, handle)
    steps.freeze(lambda: _act(engine, Call("POST", f"/containers/{found.id}/pause"), handle))


def unpause(engine: Engine, handle: CellHandle, hub_id: str) -> None:
    found = owned(engine, handle, hub_id)
    if found.state.status == "paused":
        _act(engine, Call("POST", f"/containers/{found.id}/unpause"), handle)
        return
    _check_runs(found, handle)


def _check_runs(found: Detail, handle: CellHandle) -> None:
    if found.state.status != "running":
        raise Conflict(
            f"gateway {handle.instance} does not run: its container is {found.state.status}",
            hint="Start it first.",
            driver=NAME,
        )


def rename(engine: Engine, handle: CellHandle, name: str, hub_id: str) -> None:
    check_name(name)
    found = owned(engine, handle, hub_id)
    if found.name.removeprefix("/") == name:
        return
    try:
        _act(engine, Call("POST", f"/containers/{found.id}/rename", {"name": name}), handle)
    except Conflict as exc:
        raise Conflict(f"the name {name} is taken", hint="Look at what has it: docker ps -a.", driver=NAME) from exc


def remove(engine: Engine, handle: CellHandle, hub_id: str) -> None:
    try:
        found = owned(engine, handle, hub_id)
    except CellGone:
        return
    steps.remove_container(engine, found.id)


def _act(engine: Engine, call: Call, handle: CellHandle) -> None:
    """Call something of the container; raises CellGone when it has gone meanwhile."""
    try:
        engine.call(call)
    except EngineNotFound as exc:
        if find(engine, handle.container) is None:
            raise gone(handle) from exc
        # The container is there: what was not found is something that it needs, such as its network.
        raise _cannot_start(handle, exc.message) from exc
