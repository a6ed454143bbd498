"""Operations on the images that OpenClaw gateways are run from."""

from __future__ import annotations

from typing import Any, Final

from hub.contract import BuildGatewayImage, GatewayImageList, GatewayImageQuery, GatewayImageView, JobView
from hub.core.instances import LOCAL_HOST
from hub.core.view import job_view, rfc3339
from hub.drivers.cells import Cells, ImageSeen
from hub.gateways.images import gateway_recipe, version_of
from hub.gateways.kinds import ImageKind, kinds
from hub.jobs import JobHandle
from hub.operations.base import Operations

BUILD: Final = "gateway-image.build"


class GatewayImageOperations(Operations):
    """See `hub.control.Control`."""

    async def gateway_images(self, query: GatewayImageQuery) -> GatewayImageList:
        cells = self._cells(query.host)
        found: list[tuple[int, GatewayImageView]] = []
        for kind in kinds().values():
            for repository in (kind.repository, *kind.mirrors):
                for image in await cells.images(repository):
                    found += [(image.created_at or 0, one) for one in _views(kind, repository, image)]
        found.sort(key=lambda pair: (-pair[0], pair[1].name))
        return GatewayImageList(images=[one for _, one in found])

    async def build_gateway_image(self, request: BuildGatewayImage) -> JobView:
        self._kernel.check_writable()
        cells, recipe = self._cells(request.host), gateway_recipe(request.version, request.platform)
        name = await cells.wanted(recipe)

        async def build(job: JobHandle) -> dict[str, Any]:
            built = await cells.build(recipe, job.progress, rebuild=request.rebuild)
            if not built.built:
                job.progress(1.0, f"{built.reference} is there already")
            return {"image": built.reference, "built": built.built}

        audit = self._kernel.audited(self._who, BUILD, name)
        return job_view(await self._inside.jobs.start(BUILD, None, self._who, build, effects=[audit], about=name))

    def _cells(self, host: str) -> Cells:
        return self._inside.instances.room.engine(host or LOCAL_HOST)


def _views(kind: ImageKind, repository: str, image: ImageSeen) -> list[GatewayImageView]:
    """One per name of the image."""
    return [
        GatewayImageView(
            name=name,
            kind=kind.name,
            id=image.id,
            version=version_of(name),
            platform=image.platform,
            created_at=rfc3339(image.created_at) or "",
            size_bytes=image.size_bytes,
        )
        for name in image.tags
        if name.rpartition(":")[0] == repository
    ]
