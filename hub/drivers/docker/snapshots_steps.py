"""Blocking steps of snapshots: the image of an agent, and which of its containers is the active one.

Each is safe to repeat. Containers and volumes of every generation carry the agent's labels, so that a destroy finds
all of them; only the active container has the agent's name.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

import msgspec

from hub.drivers.base import RestartPolicy
from hub.drivers.docker import labels, steps
from hub.drivers.docker.answers import ContainerEntry, Pascal, Volume, decode
from hub.drivers.docker.engine import NAME, Call, Engine, EngineConflict, EngineNotFound, EngineRefused
from hub.drivers.docker.labels import Identity
from hub.drivers.docker.plan import WORKSPACE, ContainerPlan
from hub.errors import Conflict, DriverFailed

COMMIT_TIMEOUT_SECONDS: Final = 1_800.0
"""The engine copies everything that the container has written into a new layer before it answers."""
SCRUBBED: Final = ("AGENT_ID", "HUB_URL", "AGENT_CAPABILITIES", "AGENT_CONCURRENCY")
"""What of an agent's environment is its own; a container made from the image has its own again."""


class Config(Pascal, frozen=True):
    image: str = ""
    labels: dict[str, str] | None = None


class MountPoint(Pascal, frozen=True):
    name: str = ""
    destination: str = ""


class State(Pascal, frozen=True):
    status: str


class Detail(Pascal, frozen=True):
    """A container with what only snapshots look at. `image`: the id of its image."""

    id: str
    state: State
    config: Config
    image: str = ""
    mounts: list[MountPoint] | None = None
    size_rw: int | None = None

    @property
    def generation(self) -> int:
        return int((self.config.labels or {}).get(labels.GENERATION, "0"))

    @property
    def workspace(self) -> str:
        """The volume at /workspace; raises DriverFailed when there is none."""
        for mount in self.mounts or []:
            if mount.destination == WORKSPACE and mount.name:
                return mount.name
        raise DriverFailed(f"the container {self.id[:12]} has no volume at {WORKSPACE}", retryable=False, driver=NAME)


class ImageDetail(Pascal, frozen=True):
    id: str
    size: int = 0
    parent: str = ""
    config: Config | None = None
    repo_tags: list[str] | None = None


class _Committed(Pascal, frozen=True):
    id: str


def detail(engine: Engine, identity: Identity, *, size: bool = False) -> Detail:
    """Return the active container. Raises AgentGone."""
    container = steps.present(engine, identity)
    params = {"size": "1"} if size else {}
    return decode(engine.call(Call("GET", f"/containers/{container.id}/json", params, timeout_seconds=300)), Detail)


def find_image(engine: Engine, name: str) -> ImageDetail | None:
    try:
        return decode(engine.call(Call("GET", f"/images/{quote(name)}/json")), ImageDetail)
    except EngineNotFound:
        return None


def thaw(engine: Engine, identity: Identity) -> None:
    """Unfreeze; fine for one that is not frozen, and for one that ended meanwhile."""
    container = steps.present(engine, identity)
    if container.state.status == "paused":
        steps.start(engine, identity)


# --- images ------------------------------------------------------------------------------------


def commit(engine: Engine, container: Detail, snapshot_id: str, hub_id: str) -> ImageDetail:
    """Make an image of what the container is now; it is held still by the caller.

    The agent's identity goes neither into the image's labels nor into its environment.

    Raises:
        Conflict: something else has the image's name.
    """
    name = labels.snapshot_image(snapshot_id)
    there = find_image(engine, name)
    if there is not None and not _is_snapshot(there, snapshot_id):
        raise Conflict(f"the image {name} exists and was not made by clawtui", driver=NAME)
    marks = {
        **labels.SHARED, labels.SNAPSHOT: snapshot_id, labels.HUB: hub_id, labels.AGENT: "", labels.UID: "",
        labels.PLAN: "", labels.GENERATION: "0", labels.BASE_IMAGE: base_image(engine, container),
    }  # fmt: skip
    params = {
        "container": container.id, "repo": labels.SNAPSHOT_IMAGE, "tag": snapshot_id, "pause": "0",
        "comment": f"clawtui snapshot {snapshot_id}",
    }  # fmt: skip
    body = {"Labels": marks, "Env": [f"{name}=" for name in SCRUBBED]}
    call = Call("POST", "/commit", params, body=body, timeout_seconds=COMMIT_TIMEOUT_SECONDS)
    made = decode(engine.call(call), _Committed)
    return decode(engine.call(Call("GET", f"/images/{made.id}/json")), ImageDetail)


def made_from(container: Detail) -> str:
    """Return the snapshot whose image the container runs, "" for a plain image."""
    return (container.config.labels or {}).get(labels.SNAPSHOT, "")


def base_image(engine: Engine, container: Detail) -> str:
    """Return the plain image below everything that the agent has written."""
    return (container.config.labels or {}).get(labels.BASE_IMAGE, "") or container.config.image


def _is_snapshot(image: ImageDetail, snapshot_id: str) -> bool:
    found = (image.config.labels if image.config else None) or {}
    return labels.is_shared_ours(found) and found.get(labels.SNAPSHOT) == snapshot_id


def remove_image(engine: Engine, snapshot_id: str) -> None:
    """Remove the snapshot's image; fine when it is not there, or when something else has its name.

    Raises:
        Conflict: something is built on it; it says what.
    """
    name = labels.snapshot_image(snapshot_id)
    image = find_image(engine, name)
    if image is None or not _is_snapshot(image, snapshot_id):
        return
    try:
        # Without its parents: what is below it was not made for it.
        engine.call(Call("DELETE", f"/images/{quote(name)}", {"noprune": "1"}, timeout_seconds=300))
    except EngineNotFound:
        return
    except EngineConflict as exc:
        users = ", ".join(_users(engine, image)) or exc.message
        raise Conflict(
            f"the image of this snapshot is still in use: {users}",
            code="snapshot_in_use",
            hint="Delete what is built on it first.",
            driver=NAME,
        ) from exc


class _ImageEntry(Pascal, frozen=True):
    id: str
    parent_id: str = ""
    repo_tags: list[str] | None = None


def _users(engine: Engine, image: ImageDetail) -> list[str]:
    params = {"all": "1", "filters": labels.filters(ancestor=[image.id])}
    found = decode(engine.call(Call("GET", "/containers/json", params)), list[ContainerEntry])
    users = [f"container {(entry.names or [entry.id])[0].removeprefix('/')}" for entry in found]
    images = decode(engine.call(Call("GET", "/images/json", {"all": "1"})), list[_ImageEntry])
    children = [entry for entry in images if entry.parent_id == image.id]
    return users + [f"image {(entry.repo_tags or [entry.id[7:19]])[0]}" for entry in children]


# --- generations -------------------------------------------------------------------------------


def find_aside(engine: Engine, identity: Identity, generation: int) -> Detail | None:
    """Return the container of a generation that is set aside. Raises Conflict for somebody else's of that name."""
    name = labels.aside_name(identity.agent_id, generation)
    found = steps.find_container(engine, name)
    if found is None:
        return None
    steps.check_owner("container", name, found.config.labels, identity)
    return decode(engine.call(Call("GET", f"/containers/{found.id}/json")), Detail)


def make_volume(engine: Engine, identity: Identity, generation: int) -> str:
    """Make the workspace volume of a generation and return its name. Raises Conflict."""
    name = labels.generation_volume(identity.agent_id, generation)
    body = {"Name": name, "Labels": identity.labels()}
    volume = decode(engine.call(Call("POST", "/volumes/create", body=body)), Volume)
    steps.check_owner("volume", name, volume.labels, identity)
    return name


def with_generation(plan: ContainerPlan, identity: Identity, generation: int, *, aside: bool) -> ContainerPlan:
    """Return the plan with the workspace of a generation; `aside`: not under the agent's own name."""
    volume = labels.generation_volume(identity.agent_id, generation)
    volumes = tuple(
        msgspec.structs.replace(one, source=volume) if one.target == WORKSPACE else one for one in plan.volumes
    )
    name = labels.aside_name(identity.agent_id, generation) if aside else plan.name
    marks = plan.labels | {labels.GENERATION: str(generation)}
    return msgspec.structs.replace(plan, name=name, volumes=volumes, labels=marks)


def activate(
    engine: Engine, identity: Identity, generation: int, grace_seconds: float, policy: RestartPolicy, run: bool
) -> None:
    """Let a generation have the agent's name; the one that had it is stopped and set aside.

    Raises:
        DriverFailed: there is no such generation; then nothing was changed.
    """
    name = labels.container_name(identity.agent_id)
    current = steps.find_container(engine, name)
    if current is not None:
        steps.check_owner("container", name, current.config.labels, identity)
    if current is None or detail(engine, identity).generation != generation:
        wanted = find_aside(engine, identity, generation)
        if wanted is None:
            raise DriverFailed(
                f"generation {generation} of {identity.agent_id} is not on the engine any more",
                retryable=False,
                agent=identity.agent_id,
                driver=NAME,
            )
        if current is not None:
            _set_aside(engine, identity, grace_seconds)
        _rename(engine, wanted.id, name)
    _set_policy(engine, steps.present(engine, identity).id, policy)
    if run:
        steps.start(engine, identity)


def _set_aside(engine: Engine, identity: Identity, grace_seconds: float) -> None:
    container = detail(engine, identity)
    steps.stop(engine, identity, grace_seconds)
    # An engine that is started again would start it, too: two agents with one credential.
    _set_policy(engine, container.id, RestartPolicy.NO)
    _rename(engine, container.id, labels.aside_name(identity.agent_id, container.generation))


def _rename(engine: Engine, container_id: str, name: str) -> None:
    engine.call(Call("POST", f"/containers/{container_id}/rename", {"name": name}))


def _set_policy(engine: Engine, container_id: str, policy: RestartPolicy) -> None:
    engine.call(Call("POST", f"/containers/{container_id}/update", body={"RestartPolicy": {"Name": policy.value}}))


def drop(engine: Engine, identity: Identity, generation: int) -> None:
    """Remove a generation that is set aside; fine when it is not there. Raises Conflict for the active one."""
    current = steps.find_container(engine, labels.container_name(identity.agent_id))
    mine = current is not None and identity.owns(current.config.labels)
    if mine and detail(engine, identity).generation == generation:
        raise Conflict(f"generation {generation} of {identity.agent_id} is the active one", driver=NAME)
    aside = find_aside(engine, identity, generation)
    if aside is not None:
        steps.remove_container(engine, aside.id)
    name = labels.generation_volume(identity.agent_id, generation)
    volume = steps.find_volume(engine, name)
    if volume is not None and identity.owns(volume.labels):
        try:
            steps.remove_volume(engine, name)
        except (EngineConflict, EngineRefused) as exc:
            raise DriverFailed(
                f"still on the engine: volume {name}: {exc.message}", agent=identity.agent_id, driver=NAME
            ) from exc
