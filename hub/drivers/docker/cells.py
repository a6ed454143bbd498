"""Gateways' containers on one engine: see `hub.drivers.cells.Cells`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Final

from hub.archives.work import Workers
from hub.drivers.base import LogLine, LogRequest
from hub.drivers.cells import (
    Bounds,
    Capacity,
    CellArchive,
    CellBuilt,
    CellHandle,
    CellId,
    CellMade,
    CellNetwork,
    CellPlan,
    CellRecipe,
    CellSeen,
    ImageSeen,
    Progress,
)
from hub.drivers.cells_checks import check_plan
from hub.drivers.docker import cells_files, cells_objects, cells_steps, steps
from hub.drivers.docker.cells_archive import CellArchives
from hub.drivers.docker.cells_images import CellImages
from hub.drivers.docker.cells_seen import see_capacity
from hub.drivers.docker.engine import EngineNotFound
from hub.drivers.docker.images import DockerImages
from hub.drivers.docker.logs import LogDecoder, log_call
from hub.drivers.docker.pool import STEP_DEADLINE_SECONDS, Pool, Streams
from hub.drivers.docker.snapshots_helper import Helpers

REMOVE_DEADLINE_SECONDS: Final = 600.0
"""A container or a volume may have millions of files."""


class DockerCells:
    """See `hub.drivers.cells.Cells`; shares threads and connections with the driver of the same engine, which closes
    them. `run` and `plain_image`: see `CellArchives`."""

    def __init__(
        self,
        pool: Pool,
        streams: Streams,
        images: DockerImages,
        hub_id: str,
        run: str,
        plain_image: Callable[[Progress], Awaitable[str]],
        *,
        local: bool,
    ) -> None:
        self._pool = pool
        self._streams = streams
        self._hub_id = hub_id
        self._workers = Workers("docker-cells")
        self._images = CellImages(pool, images)
        helpers = Helpers(pool, streams, self._workers, hub_id)
        self._archives = CellArchives(pool, helpers, self._workers, hub_id, run, plain_image, local=local)

    # --- images ------------------------------------------------------------------------------------

    async def pull(self, reference: str, progress: Progress, platform: str = "") -> ImageSeen:
        return await self._images.pull(reference, progress, platform)

    async def image(self, reference: str) -> ImageSeen | None:
        return await self._images.image(reference)

    async def images(self, repository: str) -> list[ImageSeen]:
        return await self._images.images(repository)

    async def wanted(self, recipe: CellRecipe) -> str:
        return await self._images.wanted(recipe)

    async def build(self, recipe: CellRecipe, progress: Progress, *, rebuild: bool = False) -> CellBuilt:
        return await self._images.build(recipe, progress, rebuild=rebuild)

    # --- containers --------------------------------------------------------------------------------

    async def create(self, plan: CellPlan, progress: Progress) -> CellMade:
        check_plan(plan)
        progress(0.0, f"making the container {plan.name} from {plan.image}")
        made = await self._pool.run(cells_steps.create, plan, self._hub_id)
        for note in made.notes:
            progress(0.9, note)
        progress(1.0, f"{plan.name} is made")
        return made

    async def start(self, handle: CellHandle) -> None:
        await self._pool.run(cells_steps.start, handle, self._hub_id)

    async def stop(self, handle: CellHandle, grace_seconds: float) -> None:
        await self._pool.run_within(
            grace_seconds + STEP_DEADLINE_SECONDS, cells_steps.stop, handle, grace_seconds, self._hub_id
        )

    async def kill(self, handle: CellHandle) -> None:
        await self._pool.run(cells_steps.kill, handle, self._hub_id)

    async def pause(self, handle: CellHandle) -> None:
        await self._pool.run(cells_steps.pause, handle, self._hub_id)

    async def unpause(self, handle: CellHandle) -> None:
        await self._pool.run(cells_steps.unpause, handle, self._hub_id)

    async def rename(self, handle: CellHandle, name: str) -> None:
        await self._pool.run(cells_steps.rename, handle, name, self._hub_id)

    async def remove(self, handle: CellHandle) -> None:
        await self._pool.run_within(REMOVE_DEADLINE_SECONDS, cells_steps.remove, handle, self._hub_id)

    async def inspect(self, handle: CellHandle) -> CellSeen:
        return await self._pool.run(cells_steps.inspect, handle, self._hub_id)

    async def cells(self, cell: CellId | None = None) -> list[CellSeen]:
        return await self._pool.run(cells_steps.all_cells, cell, self._hub_id)

    async def look(self, reference: str) -> CellSeen | None:
        return await self._pool.run(cells_steps.look, reference, self._hub_id)

    async def environment(self, reference: str) -> dict[str, str]:
        return await self._pool.run(cells_steps.environment, reference)

    async def logs(self, handle: CellHandle, request: LogRequest) -> AsyncIterator[LogLine]:
        found = await self.inspect(handle)
        decoder = LogDecoder()
        try:
            stream = await self._streams.open(log_call(found.container, request))
        except EngineNotFound as exc:
            raise cells_steps.gone(handle) from exc
        try:
            while part := await stream.read():
                for line in decoder.feed(part):
                    yield line
            for line in decoder.finish():
                yield line
        finally:
            await stream.close()

    async def put_file(self, handle: CellHandle, path: str, content: bytes, *, uid: int, mode: int = 0o600) -> None:
        await self._pool.run(cells_files.put_file, handle, path, content, uid, mode, self._hub_id)

    async def get_file(self, handle: CellHandle, path: str, most_bytes: int = 4 * 2**20) -> bytes:
        return await self._pool.run(cells_files.get_file, handle, path, most_bytes, self._hub_id)

    # --- networks and volumes ----------------------------------------------------------------------

    async def ensure_network(self, cell: CellId, name: str) -> CellNetwork:
        return await self._pool.run(cells_objects.ensure_network, cell, name, self._hub_id)

    async def remove_network(self, cell: CellId, name: str) -> None:
        await self._pool.run(cells_objects.remove_network, cell, name, self._hub_id)

    async def ensure_volume(self, cell: CellId, name: str) -> None:
        await self._pool.run(cells_objects.ensure_volume, cell, name, self._hub_id)

    async def remove_volume(self, cell: CellId, name: str) -> None:
        await self._pool.run_within(
            REMOVE_DEADLINE_SECONDS, cells_objects.remove_volume, cell, name, self._hub_id
        )  # fmt: skip

    async def volumes(self, cell: CellId) -> list[str]:
        return await self._pool.run(cells_objects.volumes, cell, self._hub_id)

    async def archive(
        self, cell: CellId, volume: str, target: Path, bounds: Bounds, progress: Progress
    ) -> CellArchive:  # fmt: skip
        return await self._archives.archive(cell, volume, target, bounds, progress)

    async def unarchive(
        self, cell: CellId, volume: str, archive: Path, sha256: str, bounds: Bounds, progress: Progress
    ) -> tuple[str, ...]:
        return await self._archives.unarchive(cell, volume, archive, sha256, bounds, progress)

    # --- the engine --------------------------------------------------------------------------------

    async def capacity(self) -> Capacity:
        return see_capacity(await self._pool.run(steps.system))

    async def close(self) -> None:
        self._workers.close()
