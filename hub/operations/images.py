"""Operations on profiles and on the images that are made from them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
from msgspec.structs import replace

from hub.contract import (
    BuildImage,
    BuildLogLine,
    BuildLogQuery,
    ImageList,
    ImageView,
    JobView,
    ProfileCheck,
    ProfileList,
    ProfileQuery,
    ProfileText,
    ProfileView,
    TransferImage,
)
from hub.core.view import job_view, rfc3339
from hub.errors import HubError
from hub.image_jobs import BASE, BUILD_BASE, BUILD_PROFILE, PULL, PUSH, Asked, order_of
from hub.operations.base import Operations
from hub.profiles import check, check_name, check_right, view
from profiles.errors import ProfileError
from profiles.image import PREFIX, image_name
from profiles.loader import Found


class ImageOperations(Operations):
    """See `hub.control.Control`."""

    # --- profiles

    async def profiles(self, query: ProfileQuery) -> ProfileList:
        return await self._inside.profiles.listing(all=query.all)

    async def profile(self, name: str) -> ProfileView:
        found = await self._inside.profiles.find(name)
        shown = view(found, whole=True)
        image, built = await self._image_of(found)
        return replace(shown, image=image, built=built)

    async def validate_profile(self, request: ProfileText) -> ProfileCheck:
        return check(request, request.name)

    async def save_profile(self, name: str, request: ProfileText) -> ProfileView:
        self._kernel.check_writable()
        check_right(request, name)
        async with self._audited("profile.save", name):
            return await self._inside.profiles.save(name, request)

    async def delete_profile(self, name: str) -> None:
        self._kernel.check_writable()
        await self._inside.profiles.find(name)
        async with self._audited("profile.delete", name):
            await self._inside.profiles.delete(name)

    async def build_profile(self, name: str, request: BuildImage) -> JobView:
        return await self._job(BUILD_PROFILE, name, Asked(name=name, build=request))

    # --- images

    async def images(self) -> ImageList:
        images = self._inside.images.images()
        return ImageList(
            images=[
                ImageView(
                    name=one.name,
                    tag=one.tag,
                    id=one.id,
                    profile=_profile_of(one.name),
                    created_at=rfc3339(one.created_at) or "",
                    size_bytes=one.size_bytes,
                    latest=one.latest,
                )
                for one in await images.entries()
            ]
        )

    async def build_image(self, request: BuildImage) -> JobView:
        return await self._job(BUILD_BASE, BASE, Asked(build=request))

    async def push_image(self, request: TransferImage) -> JobView:
        return await self._job(PUSH, f"{request.image} {request.registry}", Asked(transfer=request))

    async def remove_image(self, name: str) -> None:
        self._kernel.check_writable()
        if name != BASE:
            check_name(name)
        images = self._inside.images.images()
        async with self._audited("image.remove", name):
            await images.remove(image_name(name))

    async def pull_image(self, request: TransferImage) -> JobView:
        return await self._job(PULL, f"{request.image} {request.registry}", Asked(transfer=request))

    def build_log(self, name: str, query: BuildLogQuery) -> AsyncIterator[BuildLogLine]:
        # Looked for at once: what is not there is an answer and no broken stream.
        images = self._inside.images.images()
        return _told(images.log(image_name(name), query.tag or None, query.lines, query.follow))

    # --- parts

    async def _job(self, kind: str, target: str, asked: Asked) -> JobView:
        self._kernel.check_writable()
        work = self._inside.images
        await work.check(asked)
        audit = self._kernel.audited(self._who, kind, target)
        request = msgspec.json.encode(asked).decode()
        job = await self._inside.jobs.start(
            kind, None, self._who, work.work(kind, asked), effects=[audit], request=request, about=target
        )
        return job_view(job)

    async def _image_of(self, found: Found) -> tuple[str | None, bool | None]:
        """The full name of a profile's image as it is now, and whether it is built; None = nobody can say."""
        try:
            images = self._inside.images.images()
            name = await images.wanted(order_of(found))
            built = any(f"{one.name}:{one.tag}" == name for one in await images.entries())
        except (HubError, ProfileError):
            return None, None
        return name, built


def _profile_of(repository: str) -> str:
    name = repository.removeprefix(PREFIX)
    return "" if name == BASE else name


async def _told(lines: AsyncIterator[str]) -> AsyncIterator[BuildLogLine]:
    async for text in lines:
        yield BuildLogLine(text=text)
