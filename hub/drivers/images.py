"""What a driver whose agents run from images can do with them; see `hub.drivers.base.Driver.images`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Protocol

import msgspec

from profiles.image import Recipe

Progress = Callable[[float, str], None]
"""Called with a fraction 0..1 and a line."""


class ImageOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An image that is wanted.

    `recipe` None = the base image. `rebuild`: build it again, without the layers of earlier builds.
    `platform` such as linux/arm64; empty = the engine's own. `arguments` belong to this host and
    are no part of the tag.
    """

    recipe: Recipe | None = None
    sudo: bool = False
    rebuild: bool = False
    platform: str = ""
    arguments: dict[str, str] = {}


class Ensured(msgspec.Struct, frozen=True):
    """`image` is there now; `built` names what had to be built for it, in order."""

    image: str
    built: tuple[str, ...] = ()


class ImageEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One tag of ours. `created_at`: ms since the epoch. `latest`: what `latest` points to."""

    name: str
    tag: str
    id: str
    created_at: int
    size_bytes: int
    latest: bool = False


class Pushed(msgspec.Struct, frozen=True):
    reference: str
    digest: str


class Images(Protocol):
    """Every call raises HubError; nothing of others is ever tagged, changed or removed."""

    async def wanted(self, order: ImageOrder) -> str:
        """Return the full name of the image, built or not."""
        ...

    async def ensure(self, order: ImageOrder, progress: Progress) -> Ensured:
        """Build what is missing. A build of the same image that runs already is waited for."""
        ...

    async def entries(self) -> list[ImageEntry]:
        """Return the images of ours, newest first."""
        ...

    async def push(self, name: str, registry: str, progress: Progress) -> Pushed:
        """Put the image `name` (REPOSITORY:TAG) into a registry such as localhost:5000/team."""
        ...

    async def pull(self, name: str, registry: str, progress: Progress) -> str:
        """Get the image `name` (REPOSITORY:TAG) from a registry; return its id."""
        ...

    async def remove(self, repository: str) -> int:
        """Remove every image of ours under this name, and the logs of its builds; return how many tags that were.

        Raises Conflict, with names, where an agent, a snapshot or another image needs one.
        """
        ...

    def log(self, repository: str, tag: str | None, lines: int, follow: bool) -> AsyncIterator[str]:
        """Yield the last `lines` (0 = all) of the newest build of this image or tag, running or ended.

        `follow`: go on until that build's end. Raises NotFound at the call, not at the first line.
        """
        ...
