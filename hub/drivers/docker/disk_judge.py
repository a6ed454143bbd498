"""PURE: what of ours is on an engine, what it is needed for, and what nobody needs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from hub.drivers.docker import labels
from hub.drivers.docker.answers import Pascal
from hub.drivers.docker.labels import Identity, identity_of
from hub.drivers.docker.logs import time_ms
from hub.drivers.upkeep import DiskKind, Holding, Known

NO_TAG: Final = "<none>:<none>"
ALIVE: Final = frozenset({"running", "paused", "restarting", "removing"})
HELPER_AGE_SECONDS: Final = 3_600
"""A helper that does not run is somebody's who has just made it, or was left; after so long it was left."""


YOUNG_SECONDS: Final = 600
"""An image so young may be one of a build, or of a create, that goes on."""


class MountEntry(Pascal, frozen=True):
    name: str = ""


class ContainerLine(Pascal, frozen=True):
    """`created`: seconds since the epoch. `size_rw`: the engine leaves out a zero."""

    id: str
    names: list[str] | None = None
    image_id: str = msgspec.field(name="ImageID", default="")
    labels: dict[str, str] | None = None
    state: str = ""
    created: int = 0
    size_rw: int | None = None
    mounts: list[MountEntry] | None = None

    @property
    def name(self) -> str:
        return (self.names or [self.id[:12]])[0].removeprefix("/")


class ImageLine(Pascal, frozen=True):
    id: str
    parent_id: str = ""
    repo_tags: list[str] | None = None
    labels: dict[str, str] | None = None
    size: int = 0
    shared_size: int = -1
    created: int = 0

    @property
    def tags(self) -> list[str]:
        return [tag for tag in self.repo_tags or [] if tag != NO_TAG]


class VolumeUse(Pascal, frozen=True):
    """-1: not measured."""

    size: int = -1


class VolumeLine(Pascal, frozen=True):
    name: str
    labels: dict[str, str] | None = None
    created_at: str = ""
    usage_data: VolumeUse | None = None


class Listing(msgspec.Struct, frozen=True):
    """Everything on the engine, ours and others'. `images` with those that no tag leads to."""

    containers: list[ContainerLine]
    images: list[ImageLine]
    volumes: list[VolumeLine]
    now_seconds: int = 0
    young_seconds: int = YOUNG_SECONDS


class CacheLine(Pascal, frozen=True):
    size: int = 0
    shared: bool = False


class Measured(Pascal, frozen=True):
    """What the engine says after it has measured everything."""

    images: list[ImageLine] | None = None
    containers: list[ContainerLine] | None = None
    volumes: list[VolumeLine] | None = None
    build_cache: list[CacheLine] | None = None


def judge(listing: Listing, known: Known, hub_id: str, measured: Measured | None = None) -> list[Holding]:
    """Return what is ours, without sizes where nothing was measured. Another hub's own objects are not in it."""
    sizes = measured or Measured()
    return [
        *_containers(listing, known, hub_id, {one.id: one.size_rw or 0 for one in sizes.containers or []}),
        *_volumes(listing, known, hub_id, {one.name: one.usage_data for one in sizes.volumes or []}),
        *_images(listing, known, hub_id, {one.id: one.shared_size for one in sizes.images or []}),
    ]


# --- containers and volumes ----------------------------------------------------------------------


def _mine(found: dict[str, str] | None, hub_id: str) -> Identity | None:
    identity = identity_of(found)
    return identity if identity is not None and identity.hub_id == hub_id else None


def _containers(
    listing: Listing, known: Known, hub_id: str, sizes: dict[str, int]
) -> Iterator[Holding]:  # fmt: skip
    for one in listing.containers:
        identity, size = _mine(one.labels, hub_id), sizes.get(one.id)
        if identity is None and not _is_helper(one, hub_id):
            continue
        used_by, unused = "", ""
        if one.state in ALIVE:
            used_by = "it runs"
        elif identity is None:
            old = listing.now_seconds - one.created >= HELPER_AGE_SECONDS
            used_by, unused = ("", "a helper that was left") if old else ("work that goes on", "")
        elif known.agent(identity.agent_id, identity.uid):
            used_by = f"agent {identity.agent_id}"
        else:
            unused = "no agent of this hub has it; clawtui adopt would take it back"
        yield Holding(
            kind=DiskKind.CONTAINERS, id=one.id, name=one.name, size_bytes=size, frees_bytes=size,
            agent_id=identity.agent_id if identity else None, uid=identity.uid if identity else None,
            used_by=used_by, unused=unused, created_at=one.created * 1000,
        )  # fmt: skip


def _is_helper(one: ContainerLine, hub_id: str) -> bool:
    found = one.labels or {}
    return labels.is_shared_ours(found) and found.get(labels.HUB) == hub_id and labels.HELPER in found


def _volumes(
    listing: Listing, known: Known, hub_id: str, sizes: dict[str, VolumeUse | None]
) -> Iterator[Holding]:  # fmt: skip
    users = {mount.name: one.name for one in listing.containers for mount in one.mounts or [] if mount.name}
    for volume in listing.volumes:
        identity = _mine(volume.labels, hub_id)
        if identity is None:
            continue
        use = sizes.get(volume.name)
        size = use.size if use is not None and use.size >= 0 else None
        used_by, unused = "", ""
        if known.agent(identity.agent_id, identity.uid):
            used_by = f"agent {identity.agent_id}"
        elif volume.name in users:
            used_by = f"container {users[volume.name]}"
        else:
            unused = f"agent {identity.agent_id} is not there any more"
        yield Holding(
            kind=DiskKind.VOLUMES, id=f"{volume.name} {volume.created_at}", name=volume.name, size_bytes=size,
            frees_bytes=size, agent_id=identity.agent_id, uid=identity.uid, used_by=used_by, unused=unused,
            created_at=time_ms(volume.created_at),
        )  # fmt: skip


# --- images ------------------------------------------------------------------------------------


def _images(listing: Listing, known: Known, hub_id: str, shared: dict[str, int]) -> Iterator[Holding]:
    direct = {image.id: _direct_use(image, listing, known, hub_id) for image in listing.images}
    needed = _with_parents(listing, {key: why for key, why in direct.items() if why})
    # Those built on others come first, as they must be removed.
    for image in sorted(listing.images, key=lambda image: -image.created):
        if not labels.is_shared_ours(image.labels) or _snapshot_of_another(image, hub_id) or not _tells(image, listing):
            continue
        snapshot = (image.labels or {}).get(labels.SNAPSHOT, "")
        used_by = needed.get(image.id, "")
        newest = not used_by and any(tag.endswith(":latest") for tag in image.tags)
        common = shared.get(image.id, -1)
        yield Holding(
            kind=DiskKind.IMAGES if image.tags else DiskKind.CACHE, id=image.id, name=_name(image),
            size_bytes=image.size, frees_bytes=image.size - common if common >= 0 else None, snapshot_id=snapshot,
            used_by=used_by, unused="" if used_by else _why_unused(image, snapshot, newest), newest=newest,
            created_at=image.created * 1000,
        )  # fmt: skip


def _direct_use(image: ImageLine, listing: Listing, known: Known, hub_id: str) -> str:
    """Why the image itself is needed, "" when it is not."""
    for one in listing.containers:
        if one.image_id == image.id:
            return f"container {one.name}"
    if not labels.is_shared_ours(image.labels):
        return f"image {_name(image)}" if image.tags else ""
    snapshot = (image.labels or {}).get(labels.SNAPSHOT, "")
    if snapshot and (_snapshot_of_another(image, hub_id) or known.snapshot(snapshot)):
        return f"snapshot {snapshot}"
    foreign = [tag for tag in image.tags if not tag.startswith(labels.PREFIX)]
    if foreign:
        return f"somebody's tag {foreign[0]}"
    young = listing.now_seconds - image.created < listing.young_seconds
    return "made a moment ago, perhaps for work that goes on" if young else ""


def _with_parents(listing: Listing, needed: dict[str, str]) -> dict[str, str]:
    """What is needed, and everything that it is built on."""
    parents = {image.id: image.parent_id for image in listing.images}
    found = dict(needed)
    for image_id, why in needed.items():
        below = parents.get(image_id, "")
        while below and below not in found:
            found[below] = f"what is built on it: {why}"
            below = parents.get(below, "")
    return found


def _tells(image: ImageLine, listing: Listing) -> bool:
    """Whether it is an end of a chain or has a name: steps between are no objects of their own."""
    return bool(image.tags) or all(other.parent_id != image.id for other in listing.images)


def _snapshot_of_another(image: ImageLine, hub_id: str) -> bool:
    found = image.labels or {}
    return labels.SNAPSHOT in found and bool(found[labels.SNAPSHOT]) and found.get(labels.HUB) != hub_id


def _name(image: ImageLine) -> str:
    plain = [tag for tag in image.tags if not tag.endswith(":latest")]
    return (plain or image.tags or [image.id.removeprefix("sha256:")[:12]])[0]


def _why_unused(image: ImageLine, snapshot: str, newest: bool) -> str:
    if snapshot:
        return "its snapshot is not there any more"
    if not image.tags:
        return "an earlier build; no tag leads to it"
    return "no container uses it, but the next agent would" if newest else "no container uses it"
