"""Removing every tag of one image of ours: what it is and who needs it is PURE, the calls are in `remove_image`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final
from urllib.parse import quote

import msgspec

from hub.drivers.docker import labels
from hub.drivers.docker.disk_judge import ContainerLine, ImageLine, Listing
from hub.drivers.docker.engine import NAME, Call, Engine, EngineConflict, EngineNotFound
from hub.drivers.docker.labels import identity_of
from hub.errors import Conflict

REMOVE_TIMEOUT_SECONDS: Final = 300.0
SHOWN_USERS: Final = 5


class Removal(msgspec.Struct, frozen=True):
    """`tags` that go, newest image first; `users`: who needs one of them, empty = nobody."""

    tags: tuple[str, ...]
    users: tuple[str, ...]


def find_removal(listing: Listing, repository: str, hub_id: str) -> Removal:
    """Return what belongs to `repository`. Images without our label, and those of snapshots, are not ours to remove."""
    mine = {
        image.id: image
        for image in listing.images
        if labels.is_shared_ours(image.labels)
        and not (image.labels or {}).get(labels.SNAPSHOT)
        and any(tag.rpartition(":")[0] == repository for tag in image.tags)
    }
    newest_first = sorted(mine.values(), key=lambda image: -image.created)
    tags = [tag for image in newest_first for tag in image.tags if tag.rpartition(":")[0] == repository]
    below = _built_on(listing, set(mine))
    users = {
        *(_user(one, hub_id) for one in listing.containers if one.image_id in mine),
        *(_child(image) for image in below if image.tags),
    }
    return Removal(tuple(tags), tuple(sorted(users)))


def _built_on(listing: Listing, wanted: set[str]) -> Iterator[ImageLine]:
    """Yield the images that are built on these, which are not among them."""
    parents = {image.id: image.parent_id for image in listing.images}
    for image in listing.images:
        above = image.parent_id if image.id not in wanted else ""
        while above and above not in wanted:
            above = parents.get(above, "")
        if above:
            yield image


def _user(container: ContainerLine, hub_id: str) -> str:
    owner = identity_of(container.labels)
    if owner is None:
        return f"container {container.name}"
    return f"agent {owner.agent_id}" if owner.hub_id == hub_id else f"agent {owner.agent_id} of another hub"


def _child(image: ImageLine) -> str:
    snapshot = (image.labels or {}).get(labels.SNAPSHOT)
    return f"snapshot {snapshot}" if snapshot else f"image {image.tags[0]}"


def remove_image(engine: Engine, found: Removal) -> None:
    """Take all tags away, without force: the engine refuses what came into use in this very moment.

    Raises:
        Conflict: somebody needs one; nothing is removed then, unless that began in this moment.
    """
    if found.users:
        more = len(found.users) - SHOWN_USERS
        names = ", ".join(found.users[:SHOWN_USERS]) + (f" and {more} more" if more > 0 else "")
        raise Conflict(
            f"the image is in use: {names}",
            code="image_in_use",
            hint="Destroy the agents, and delete the snapshots, first.",
            driver=NAME,
        )
    for tag in found.tags:
        try:
            engine.call(Call("DELETE", f"/images/{quote(tag)}", timeout_seconds=REMOVE_TIMEOUT_SECONDS))
        except EngineNotFound:
            continue
        except EngineConflict as exc:
            raise Conflict(f"{tag} is in use: {exc.message}", code="image_in_use", driver=NAME) from exc
