"""The images that gateways are run from: those of registries, and our own that installs OpenClaw from npm."""

from __future__ import annotations

import importlib.resources
import re
from typing import Final

import msgspec

from hub.drivers.cells import CellRecipe, Cells, ImageSeen, Progress
from hub.errors import BadRequest, HubError, NotFound
from hub.gateways.kinds import NPM, ImageKind, find_kind, image_reference

OLDEST: Final = (2026, 6, 0)
"""Nothing older was ever tried with what this hub writes and asks."""
_VERSION: Final = re.compile(r"(\d{4})\.(\d{1,2})\.(\d{1,3})(-[0-9A-Za-z.-]{1,40})?")
_EXACT_TAG: Final = re.compile(r"(\d{4}\.\d{1,2}\.\d{1,3})(?:-[0-9a-z.-]+)?")


class GatewayImage(msgspec.Struct, frozen=True):
    """An image that the engine has now. `fetched`: it was built or pulled for this."""

    reference: str
    seen: ImageSeen
    fetched: bool = False

    @property
    def pinned(self) -> str:
        """What stands for exactly this image: its digest in a registry, else its id on this engine."""
        return self.seen.digests[0] if self.seen.digests else self.seen.id


def check_version(version: str) -> str:
    """Return the OpenClaw version of a built image. Raises BadRequest (field version)."""
    found = _VERSION.fullmatch(version)
    if found is None:
        hint = "As npm has it: 2026.9.6. Words such as latest move, and a gateway would not say what it runs."
        raise BadRequest(f"{version[:60]!r} is not a version of OpenClaw", field="version", hint=hint)
    if (int(found[1]), int(found[2]), int(found[3])) < OLDEST:
        raise BadRequest(f"OpenClaw {version} is too old", field="version", hint="2026.6 or newer.")
    return version


def gateway_recipe(version: str = "", platform: str = "") -> CellRecipe:
    """Return how the image of kind `npm` is made, for the kind's own version when none is named. Reads package data.

    Raises:
        BadRequest: field version.
    """
    kind = find_kind(NPM)
    wanted = check_version(version or kind.version)
    folder = importlib.resources.files("hub.gateways") / "image"
    files = {entry.name: entry.read_bytes() for entry in folder.iterdir() if entry.is_file()}
    arguments = {"OPENCLAW_VERSION": wanted}
    return CellRecipe(
        repository=kind.repository, version=wanted, files=files, arguments=arguments, platform=platform
    )  # fmt: skip


async def have_image(
    cells: Cells,
    kind: ImageKind,
    progress: Progress,
    *,
    image: str = "",
    version: str = "",
    platform: str = "",
    again: bool = False,
) -> GatewayImage:
    """Make sure that the engine has the image of an order: built, pulled, or there already.

    `again`: look in the registry also when the name is there, for tags that move. When that fails and the name is
    there, what is there counts.

    Raises:
        BadRequest: field image or version.
        NotFound: the registry has no such image.
        DriverFailed: it cannot be built or pulled.
    """
    if kind.built and not image:
        built = await cells.build(gateway_recipe(version, platform), progress)
        return GatewayImage(built.reference, await _seen(cells, built.reference), built.built)
    reference = image_reference(kind, image, version)
    there = await cells.image(reference)
    if there is not None and not again:
        return GatewayImage(reference, there)
    try:
        return GatewayImage(reference, await cells.pull(reference, progress, platform), fetched=True)
    except HubError as exc:
        if there is None or isinstance(exc, BadRequest):
            raise
        progress(1.0, f"{exc.message}; {reference} as it is here is used")
        return GatewayImage(reference, there)


async def _seen(cells: Cells, reference: str) -> ImageSeen:
    found = await cells.image(reference)
    if found is None:
        raise NotFound(f"the image {reference} went away", code="image_missing", hint="Try again.")
    return found


def version_of(reference: str) -> str:
    """Return the OpenClaw version that a reference names, "" when it does not say."""
    found = _EXACT_TAG.fullmatch(reference.partition("@")[0].rpartition("/")[2].partition(":")[2])
    return found[1] if found is not None else ""
