"""Blocking steps on an engine, run in the driver's threads: each is safe to repeat.

A step that makes something looks at the labels of what it got, because the engine hands out an
existing volume or network of the same name without a word.
"""

from __future__ import annotations

import io
import re
import tarfile
import time
from collections.abc import Callable
from typing import Final
from urllib.parse import quote

from msgspec.structs import replace

from hub.core.model import AgentId
from hub.drivers.base import AgentGone
from hub.drivers.docker import labels
from hub.drivers.docker.answers import (
    Container,
    ContainerEntry,
    Created,
    Plugin,
    Plugins,
    System,
    Volume,
    Volumes,
    decode,
)
from hub.drivers.docker.engine import NAME, Call, Engine, EngineConflict, EngineNotFound, EngineRefused
from hub.drivers.docker.labels import Identity, container_name, label_filter
from hub.drivers.docker.plan import STATE, ContainerPlan
from hub.drivers.docker.render_engine import render_engine
from hub.errors import BadRequest, Conflict, DriverFailed, HubError

REMOVE_TIMEOUT_SECONDS: Final = 180.0
"""Removing a container or a volume deletes its files, which may be many."""
POLL_SECONDS: Final = 0.05
_NETWORK_GONE: Final = re.compile(r"\bnetwork \S+ not found")
FREEZE_ATTEMPTS: Final = 5
"""Of runc on cgroup v1, which gives up after half a second when a container starts processes meanwhile."""
AGENT_UID: Final = 1000
LOG_DRIVER_PLUGIN: Final = "docker.logdriver/"


class NetworkGone(DriverFailed):
    """The network of a container went away before it was started: hubs that share an engine share networks."""


def system(engine: Engine) -> System:
    """Return what the engine says of itself, its log drivers with those that were installed."""
    found = decode(engine.call(Call("GET", "/info")), System)
    if found.plugins.log is None:
        return found
    try:
        installed = decode(engine.call(Call("GET", "/plugins")), list[Plugin])
    except (EngineNotFound, EngineRefused):
        # Not every engine has them, and a proxy in front of one may not show them: then it is not known what there is.
        return replace(found, plugins=Plugins())
    return replace(found, plugins=Plugins(log=[*found.plugins.log, *log_drivers_in(installed)]))


def log_drivers_in(installed: list[Plugin]) -> list[str]:
    """Return what these can be called as log drivers: the tag `latest` may be left out."""
    names = [
        plugin.name
        for plugin in installed
        if plugin.enabled and any(kind.startswith(LOG_DRIVER_PLUGIN) for kind in plugin.config.interface.types or [])
    ]
    return [*names, *(name.removesuffix(":latest") for name in names if name.endswith(":latest"))]


# --- looking -----------------------------------------------------------------------------------


def find_container(engine: Engine, reference: str) -> Container | None:
    """Return the container of this exact name or id."""
    try:
        found = decode(engine.call(Call("GET", f"/containers/{quote(reference)}/json")), Container)
    except EngineNotFound:
        return None
    # The engine takes the beginning of an id for a name, too.
    return found if reference in (found.id, found.name.removeprefix("/")) else None


def present(engine: Engine, identity: Identity) -> Container:
    """Return the agent's container; raises AgentGone, also when the name has somebody else's."""
    found = find_container(engine, container_name(identity.agent_id))
    if found is None or not identity.owns(found.config.labels):
        raise gone(identity.agent_id)
    return found


def gone(agent_id: AgentId) -> AgentGone:
    return AgentGone(f"{agent_id} has no container {container_name(agent_id)}", agent=agent_id, driver=NAME)


def containers(engine: Engine, wanted: dict[str, str]) -> list[ContainerEntry]:
    """Return all containers with these labels, running or not."""
    params = {"all": "1", "filters": label_filter(wanted)}
    return decode(engine.call(Call("GET", "/containers/json", params)), list[ContainerEntry])


def known(engine: Engine, identity: Identity) -> Container | None:
    """Return this incarnation's container, or None when the names are free for it.

    Raises:
        Conflict: something else has one of the names.
    """
    name = container_name(identity.agent_id)
    found = find_container(engine, name)
    if found is not None:
        check_owner("container", name, found.config.labels, identity)
        return found
    for volume in (labels.workspace_volume(identity.agent_id), labels.state_volume(identity.agent_id)):
        there = find_volume(engine, volume)
        if there is not None:
            check_owner("volume", volume, there.labels, identity)
    return None


def find_volume(engine: Engine, name: str) -> Volume | None:
    try:
        return decode(engine.call(Call("GET", f"/volumes/{quote(name)}")), Volume)
    except EngineNotFound:
        return None


def check_owner(kind: str, name: str, found: dict[str, str] | None, identity: Identity) -> None:
    owner = labels.identity_of(found)
    if owner == identity:
        return
    if owner is None:
        why, hint = "was not made by clawtui", f"Look at it, rename or remove it (docker {kind} rm), and try again."
    elif owner.hub_id != identity.hub_id:
        why, hint = f"belongs to another hub ({owner.hub_id})", "Choose another name, or destroy it with that hub."
    else:
        why, hint = "belongs to an earlier agent of this name", "Take it back with `clawtui adopt`, or destroy it."
    raise Conflict(f"the {kind} {name} exists and {why}", hint=hint, agent=identity.agent_id, driver=NAME)


# --- making ------------------------------------------------------------------------------------


def make_volumes(engine: Engine, identity: Identity) -> None:
    """Make workspace and state; raises Conflict when one is somebody else's."""
    for name in (labels.workspace_volume(identity.agent_id), labels.state_volume(identity.agent_id)):
        body = {"Name": name, "Labels": identity.labels()}
        volume = decode(engine.call(Call("POST", "/volumes/create", body=body)), Volume)
        check_owner("volume", name, volume.labels, identity)


def make_container(engine: Engine, plan: ContainerPlan, identity: Identity) -> list[str]:
    """Make the container, not started; return what the engine says it ignores."""
    call = Call("POST", "/containers/create", {"name": plan.name}, body=render_engine(plan))
    try:
        return decode(engine.call(call), Created).warnings or []
    except EngineConflict as exc:
        raise Conflict(
            f"the container {plan.name} exists already",
            hint="Somebody made it at the same moment; look at it and try again.",
            agent=identity.agent_id,
            driver=NAME,
        ) from exc
    except EngineNotFound as exc:
        raise DriverFailed(
            f"{plan.name} cannot be made: {exc.message}", hint="Try again.", agent=identity.agent_id, driver=NAME
        ) from exc


def put_token(engine: Engine, identity: Identity, token: str) -> None:
    """Write the join token into the state volume, whether or not the agent runs."""
    container = present(engine, identity)
    call = Call("PUT", f"/containers/{container.id}/archive", {"path": STATE}, data=_archive("token", token.encode()))
    _on_agent(engine, call, identity)


def _archive(name: str, content: bytes) -> bytes:
    """Return a tar archive with one file that only the agent can read."""
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.uid, entry.gid = len(content), 0o600, AGENT_UID, AGENT_UID
    entry.mtime = int(time.time())
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


# --- running -----------------------------------------------------------------------------------


def start(engine: Engine, identity: Identity) -> None:
    """Start or unfreeze; fine when it runs."""
    container = present(engine, identity)
    if container.state.status == "paused":
        _on_agent(engine, Call("POST", f"/containers/{container.id}/unpause"), identity)
        return
    call = Call("POST", f"/containers/{container.id}/start", timeout_seconds=60)
    try:
        _on_agent(engine, call, identity)
    except BadRequest as exc:
        # The engine blames the caller for a program or a mount that cannot be used; here that is the plan.
        raise DriverFailed(
            f"{identity.agent_id} cannot be started: {exc.message}",
            retryable=False,
            agent=identity.agent_id,
            driver=NAME,
        ) from exc


def stop(engine: Engine, identity: Identity, grace_seconds: float) -> None:
    container = _thawed(engine, identity)
    _on_agent(engine, ending("stop", container.id, grace_seconds), identity)


def restart(engine: Engine, identity: Identity, grace_seconds: float) -> None:
    container = _thawed(engine, identity)
    _on_agent(engine, ending("restart", container.id, grace_seconds), identity)


def ending(verb: str, container_id: str, grace_seconds: float) -> Call:
    """Return the call that stops or restarts."""
    # The engine counts whole seconds and answers after the end.
    seconds = max(0, round(grace_seconds + 0.49))
    return Call("POST", f"/containers/{container_id}/{verb}", {"t": str(seconds)}, timeout_seconds=seconds + 30.0)


def _thawed(engine: Engine, identity: Identity) -> Container:
    """Return the container, unfrozen: a frozen one could not end by itself on TERM."""
    container = present(engine, identity)
    if container.state.status == "paused":
        _on_agent(engine, Call("POST", f"/containers/{container.id}/unpause"), identity)
    return container


def pause(engine: Engine, identity: Identity) -> None:
    container = present(engine, identity)
    if container.state.status == "paused":
        return
    if container.state.status != "running":
        raise _not_running(identity)
    freeze(lambda: _on_agent(engine, Call("POST", f"/containers/{container.id}/pause"), identity))


def freeze(pause_it: Callable[[], None]) -> None:
    """Pause, again where the processes of the container do not stand still at once."""
    for left in reversed(range(FREEZE_ATTEMPTS)):
        try:
            pause_it()
        except EngineRefused as exc:
            if not left or "unable to freeze" not in exc.message:
                raise
        else:
            return


def resume(engine: Engine, identity: Identity) -> None:
    container = present(engine, identity)
    if container.state.status == "paused":
        _on_agent(engine, Call("POST", f"/containers/{container.id}/unpause"), identity)
    elif container.state.status != "running":
        raise _not_running(identity)


def _not_running(identity: Identity) -> Conflict:
    return Conflict(f"{identity.agent_id} does not run", hint="Start it first.", agent=identity.agent_id, driver=NAME)


def _on_agent(engine: Engine, call: Call, identity: Identity) -> None:
    """Call something of the agent's container; raises AgentGone when it has gone meanwhile."""
    try:
        engine.call(call)
    except EngineNotFound as exc:
        if find_container(engine, container_name(identity.agent_id)) is None:
            raise gone(identity.agent_id) from exc
        # The container is there: what was not found is something it needs.
        failure = NetworkGone if _NETWORK_GONE.search(exc.message) else DriverFailed
        raise failure(
            f"{identity.agent_id}: {exc.message}", retryable=False, agent=identity.agent_id, driver=NAME
        ) from exc


# --- removing ----------------------------------------------------------------------------------


def remove_agent(engine: Engine, identity: Identity) -> None:
    """Remove everything with exactly this incarnation's labels; fine when nothing is left.

    Raises:
        DriverFailed: names what could not be removed.
    """
    wanted = identity.labels()
    left: list[str] = []
    errors: list[HubError] = []
    for entry in containers(engine, wanted):
        if error := _attempt(lambda id_=entry.id: remove_container(engine, id_)):
            left.append(f"container {(entry.names or [entry.id])[0].removeprefix('/')}")
            errors.append(error)
    call = Call("GET", "/volumes", {"filters": label_filter(wanted)})
    for volume in decode(engine.call(call), Volumes).volumes or []:
        if error := _attempt(lambda name=volume.name: remove_volume(engine, name)):
            left.append(f"volume {volume.name}")
            errors.append(error)
    if errors:
        raise DriverFailed(
            f"still on the engine: {', '.join(left)}: {errors[0].message}",
            hint="Destroy the agent again; or remove them with docker rm -f and docker volume rm.",
            agent=identity.agent_id,
            driver=NAME,
        ) from errors[0]


def _attempt(remove: Callable[[], None]) -> HubError | None:
    try:
        remove()
    except (EngineRefused, EngineConflict) as exc:
        return exc
    return None


def remove_container(engine: Engine, container_id: str) -> None:
    call = Call(
        "DELETE", f"/containers/{container_id}", {"force": "1", "v": "1"}, timeout_seconds=REMOVE_TIMEOUT_SECONDS
    )
    try:
        engine.call(call)
    except EngineNotFound:
        return
    except EngineConflict:
        # Somebody else is removing it already: wait for that.
        _wait_container_gone(engine, container_id)


def _wait_container_gone(engine: Engine, container_id: str) -> None:
    deadline = time.monotonic() + REMOVE_TIMEOUT_SECONDS
    while find_container(engine, container_id) is not None:
        if time.monotonic() > deadline:
            raise EngineRefused(f"{container_id} is not removed", engine_status=409)
        time.sleep(POLL_SECONDS)


def remove_volume(engine: Engine, name: str) -> None:
    try:
        engine.call(Call("DELETE", f"/volumes/{quote(name)}", timeout_seconds=REMOVE_TIMEOUT_SECONDS))
    except EngineNotFound:
        return
