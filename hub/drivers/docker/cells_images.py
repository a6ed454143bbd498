"""Images of gateways on one engine: somebody's that are pulled, and ours that are built."""

from __future__ import annotations

from typing import Final

import msgspec

from hub.drivers.cells import CellBuilt, CellRecipe, ImageSeen, Progress
from hub.drivers.docker.answers import ImageLine, decode
from hub.drivers.docker.cells_seen import fits
from hub.drivers.docker.cells_steps import find_image
from hub.drivers.docker.engine import NAME, Call, Engine
from hub.drivers.docker.image import EXTRA_CA, NPM_CONF, PIP_CONF, ImageBuild, content_hash, host_files
from hub.drivers.docker.images import DockerImages, check_platform
from hub.drivers.docker.labels import filters
from hub.drivers.docker.pool import Pool
from hub.errors import DriverFailed, NotAvailable
from profiles.image import instructions

ARGUMENTS: Final = "arguments"
"""The name under which build arguments count for the tag; no file is called so."""


class CellImages:
    """The part of `hub.drivers.cells.Cells` that is about images."""

    def __init__(self, pool: Pool, images: DockerImages) -> None:
        self._pool = pool
        self._images = images

    async def pull(self, reference: str, progress: Progress, platform: str = "") -> ImageSeen:
        await self._images.fetch(reference, progress, platform)
        found = await self.image(reference)
        if found is None:
            raise DriverFailed(f"{reference} was pulled and is not there", hint="Try again.", driver=NAME)
        if not fits(found, platform):
            raise NotAvailable(
                f"{reference} is an image for {found.platform}, not for {platform}",
                code="platform_missing",
                hint="Its registry has it for no other platform.",
                driver=NAME,
            )
        return found

    async def image(self, reference: str) -> ImageSeen | None:
        return await self._pool.run(find_image, reference)

    async def images(self, repository: str) -> list[ImageSeen]:
        return await self._pool.run(_images_of, repository)

    async def wanted(self, recipe: CellRecipe) -> str:
        return (await self._prepared(recipe)).name

    async def build(self, recipe: CellRecipe, progress: Progress, *, rebuild: bool = False) -> CellBuilt:
        wanted = await self._prepared(recipe)
        built = await self._images.ensure_other(wanted, progress, rebuild=rebuild, platform=recipe.platform)
        return CellBuilt(wanted.name, built)

    async def _prepared(self, recipe: CellRecipe) -> ImageBuild:
        check_platform(recipe.platform)
        options = self._images.options
        wanted = {EXTRA_CA: options.extra_ca, PIP_CONF: options.pip_config, NPM_CONF: options.npm_config}
        own = await self._pool.run(lambda _engine: host_files(wanted))
        return image_build(recipe, own)


def image_build(recipe: CellRecipe, own: dict[str, bytes]) -> ImageBuild:
    """PURE: return the build of a recipe on a host whose files for builds are `own`."""
    files = {**recipe.files, **own}
    arguments = msgspec.json.encode(recipe.arguments, order="sorted")
    digest = content_hash({**files, ARGUMENTS: arguments})
    suffix = f"-{recipe.platform.replace('/', '-')}" if recipe.platform else ""
    titles = tuple(text[:120] for _, text in instructions(recipe.files[recipe.dockerfile].decode()))
    return ImageBuild(
        name=f"{recipe.repository}:{recipe.version}-{digest}{suffix}",
        dockerfile=recipe.dockerfile,
        files=files,
        titles=titles,
        arguments=recipe.arguments,
    )


def _images_of(engine: Engine, repository: str) -> list[ImageSeen]:
    call = Call("GET", "/images/json", {"filters": filters(reference=[repository])})
    lines = decode(engine.call(call), list[ImageLine])
    found = [find_image(engine, line.id) for line in sorted(lines, key=lambda line: -line.created)]
    return [image for image in found if image is not None]
