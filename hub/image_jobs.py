"""The long work with images: build, push, pull. Each can be done again from what its job's row keeps."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from hub.contract import BuildImage, TransferImage
from hub.core.model import Job
from hub.drivers.images import ImageOrder, Images
from hub.driverset import DriverSet
from hub.errors import BadRequest, NotAvailable
from hub.jobs import JobHandle, Work
from hub.profiles import ProfileBook
from profiles.image import PREFIX, image_name
from profiles.loader import Found
from profiles.values import ENVIRONMENT_PATTERN

BASE: Final = "base"
"""How people name the image below all profiles."""
BUILD_PROFILE: Final = "profile.build"
BUILD_BASE: Final = "image.build"
PUSH: Final = "image.push"
PULL: Final = "image.pull"
KINDS: Final = (BUILD_PROFILE, BUILD_BASE, PUSH, PULL)


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What a job's row keeps. `name` is the profile's; exactly one of the others is set."""

    name: str = ""
    build: BuildImage | None = None
    transfer: TransferImage | None = None


class ImageJobs:
    """Work of jobs of KINDS."""

    def __init__(self, profiles: ProfileBook, drivers: DriverSet) -> None:
        self._profiles = profiles
        self._drivers = drivers

    def images(self, driver: str = "") -> Images:
        """Return the images of the named driver, or of the first that has any. Raises NotAvailable."""
        candidates = [self._drivers.get(driver)] if driver else list(self._drivers)
        for one in candidates:
            if one.images is not None:
                return one.images
        who = f"driver {driver} does not run" if driver else "no driver of this hub runs"
        raise NotAvailable(f"{who} agents from images", code="no_images", hint="Start the hub with the docker driver.")

    async def order(self, asked: Asked) -> ImageOrder:
        """Return what is to be built. Raises BadRequest, NotFound."""
        request = asked.build or BuildImage()
        for name, value in request.build_args.items():
            if not re.fullmatch(ENVIRONMENT_PATTERN, name) or "\0" in value:
                hint = "Letters, digits and _."
                raise BadRequest(f"{name[:60]!r} is not a build argument", field="buildArgs", hint=hint)
        found = await self._profiles.usable(asked.name, "name") if asked.name else None
        plain = order_of(found) if found else ImageOrder()
        return msgspec.structs.replace(
            plain,
            sudo=plain.sudo or request.sudo,
            rebuild=request.rebuild,
            platform=request.platform,
            arguments=request.build_args,
        )

    async def check(self, asked: Asked) -> None:
        """Raises what the work would raise for the request itself, so that it is an answer and no job."""
        if asked.transfer is not None:
            await self._full_name(self.images(asked.transfer.driver), asked.transfer.image)
        else:
            await self.images((asked.build or BuildImage()).driver).wanted(await self.order(asked))

    def work(self, kind: str, asked: Asked) -> Work:
        """Return the work of a job."""

        async def build(job: JobHandle) -> dict[str, Any]:
            request = asked.build or BuildImage()
            ensured = await self.images(request.driver).ensure(await self.order(asked), job.progress)
            if not ensured.built:
                job.progress(1.0, f"{ensured.image} is there already")
            return {"image": ensured.image, "built": list(ensured.built)}

        async def transfer(job: JobHandle) -> dict[str, Any]:
            request = asked.transfer or TransferImage(image="", registry="")
            images = self.images(request.driver)
            name = await self._full_name(images, request.image)
            if kind == PULL:
                return {"image": name, "id": await images.pull(name, request.registry, job.progress)}
            pushed = await images.push(name, request.registry, job.progress)
            return {"image": name, "reference": pushed.reference, "digest": pushed.digest}

        return build if asked.transfer is None else transfer

    def again(self, job: Job) -> Work:
        """Return the work of a job that a stopped hub left behind: the same once more, most of it from the cache."""

        async def once_more(handle: JobHandle) -> dict[str, Any] | None:
            # In the job and not before it: a row that cannot be read must not keep the hub from starting.
            return await self.work(job.kind, msgspec.json.decode(job.request, type=Asked))(handle)

        return once_more

    async def _full_name(self, images: Images, image: str) -> str:
        """From `builder`, `builder:TAG`, `base` or a full name to REPOSITORY:TAG; without a tag, what is wanted now."""
        short, _, tag = image.strip().removeprefix(PREFIX).partition(":")
        if tag:
            return f"{image_name(short)}:{tag}"
        found = None if short == BASE else await self._profiles.usable(short, "image")
        return await images.wanted(order_of(found) if found else ImageOrder())


def order_of(found: Found) -> ImageOrder:
    """Return the order for a profile's image. Raises ProfileError."""
    return ImageOrder(recipe=found.recipe(), sudo=found.valid().machine.sudo)
