"""Saving Docker agents and making them again: an image of the container and an archive of the workspace volume.

The state volume is never touched: it is not mounted into any helper, and a restored container gets it as it is.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Final

from hub.archives.work import Workers
from hub.core.model import AgentId, Consistency
from hub.drivers.base import AgentHandle, AgentPlan, Progress
from hub.drivers.docker import labels, snapshots_system, steps
from hub.drivers.docker import snapshots_steps as saved
from hub.drivers.docker.engine import NAME
from hub.drivers.docker.labels import Identity
from hub.drivers.docker.observe import identity_in
from hub.drivers.docker.plan import WORKSPACE, ContainerPlan
from hub.drivers.docker.pool import STEP_DEADLINE_SECONDS, Pool, Streams
from hub.drivers.docker.snapshots_archive import Archiver, Written
from hub.drivers.docker.snapshots_helper import (
    TAR_IN,
    TAR_OUT,
    USED,
    Errand,
    Helpers,
    Outcome,
    failed,
    remove_helpers,
)
from hub.drivers.snapshots import (
    WORKSPACE_ARCHIVE,
    Captured,
    CaptureOrder,
    Estimate,
    Seed,
    VolumeArchive,
    archive_progress,
)
from hub.errors import DriverFailed, NotFound

LONG_SECONDS: Final = 3_600.0
"""For one step of the engine that copies as much as an agent has written."""
MOST_NOTES: Final = 20
MOST_DEVICES: Final = 200

PlanMaker = Callable[[AgentPlan, Identity, str, Progress], AbstractAsyncContextManager[ContainerPlan]]
"""Makes a container's plan for an image; the agent's network stays while it is held."""


@dataclass(frozen=True, slots=True)
class Shop:
    """What of the driver snapshots work with. `helper_image`: an image that has tar. `local`: the engine is this
    machine's."""

    pool: Pool
    streams: Streams
    hub_id: str
    lock: Callable[[AgentId], AbstractAsyncContextManager[object]]
    helper_image: Callable[[Progress], Awaitable[str]]
    planned: PlanMaker
    local: bool


class DockerSnapshots:
    """See `hub.drivers.snapshots.Snapshotter`."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self._pool = shop.pool
        self._workers = Workers("docker-archives")
        self.run = uuid.uuid4().hex[:12]
        self.helpers = Helpers(shop.pool, shop.streams, self._workers, shop.hub_id)
        self._archiver = Archiver(self.helpers, self._workers, local=shop.local)

    def close(self) -> None:
        self._workers.close()

    # --- saving

    async def estimate(self, handle: AgentHandle) -> Estimate:
        identity = self._identity(handle)
        container = await self._pool.run_within(LONG_SECONDS, saved.detail, identity, size=True)
        told = bytearray()

        async def hear(data: bytes) -> None:
            told.extend(data)

        errand = await self._errand(identity, container.workspace, USED, "estimate")
        outcome = await self.helpers.carry_out(errand, hear)
        number = bytes(told).split(maxsplit=1)[:1]
        if outcome.exit_code != 0 or not number:
            raise failed(f"the workspace of {identity.agent_id} cannot be measured", outcome)
        return Estimate(int(number[0]), container.size_rw or 0)

    async def capture(self, handle: AgentHandle, order: CaptureOrder, progress: Progress) -> Captured:
        identity = self._identity(handle)
        await self._shop.helper_image(progress)
        async with self._shop.lock(identity.agent_id):
            container = await self._pool.run(saved.detail, identity)
            async with self._still(identity, order) as consistency:
                written = await self._archive(identity, container, order, progress)
                progress(0.99, "making the image")
                paths = await self._pool.run_within(LONG_SECONDS, snapshots_system.changed_paths, container.id)
                image = await self._pool.run_within(
                    LONG_SECONDS, saved.commit, container, order.snapshot_id, self._shop.hub_id
                )
        archive = await self._known(written, progress)
        system, more = await self._pool.run_within(
            LONG_SECONDS, snapshots_system.describe,
            paths, image.id, self._shop.hub_id, f"{self.run}/{order.snapshot_id}",
        )  # fmt: skip
        base = await self._pool.run(saved.base_image, container)
        return Captured(
            volumes=(archive,),
            consistency=consistency,
            image=labels.snapshot_image(order.snapshot_id),
            image_id=image.id,
            image_bytes=await self._own_bytes(container, image),
            base_image=base,
            made_from=saved.made_from(container),
            system=system,
            notes=(*written.errors.splitlines()[:MOST_NOTES], *more),
        )

    async def _own_bytes(self, container: saved.Detail, image: saved.ImageDetail) -> int:
        """What the image adds to the one that the agent was made from."""
        below = await self._pool.run(saved.find_image, container.image)
        return max(0, image.size - below.size) if below is not None else image.size

    @asynccontextmanager
    async def _still(self, identity: Identity, order: CaptureOrder) -> AsyncIterator[Consistency]:
        """Hold the container still as the order says; afterwards it is as it was before."""
        status = (await self._pool.run(steps.present, identity)).state.status
        if status == "paused":
            yield Consistency.CRASH
        elif status != "running":
            yield Consistency.CLEAN
        elif order.consistency is Consistency.CLEAN:
            try:
                await self._pool.run_within(
                    order.grace_seconds + STEP_DEADLINE_SECONDS, steps.stop, identity, order.grace_seconds
                )
                yield Consistency.CLEAN
            finally:
                await self._pool.run(steps.start, identity)
        else:
            try:
                await self._pool.run(steps.pause, identity)
                yield Consistency.CRASH
            finally:
                await self._pool.run(saved.thaw, identity)

    async def _archive(
        self, identity: Identity, container: saved.Detail, order: CaptureOrder, progress: Progress
    ) -> Written:
        errand = await self._errand(identity, container.workspace, TAR_OUT, order.snapshot_id)
        return await self._archiver.write(
            errand, order.folder / WORKSPACE_ARCHIVE, f"the workspace of {identity.agent_id} cannot be read",
            archive_progress(progress, order.expected_bytes),
        )  # fmt: skip

    async def _known(self, written: Written, progress: Progress) -> VolumeArchive:
        """Return the archive with its digest; the agent does not wait for that."""
        sha256, read_back = await self._archiver.read_back(
            written, lambda _done: progress(0.99, "reading what was written")
        )
        return VolumeArchive("workspace", WORKSPACE, WORKSPACE_ARCHIVE, sha256, written.size_bytes, read_back)

    async def discard(self, snapshot_id: str) -> None:
        def is_for_others(operation: str) -> bool:
            return operation.partition("/")[2] != snapshot_id

        await self._pool.run(remove_helpers, self._shop.hub_id, is_for_others)
        await self._pool.run_within(LONG_SECONDS, saved.remove_image, snapshot_id)

    async def sweep(self) -> None:
        await self._pool.run(remove_helpers, self._shop.hub_id, lambda operation: operation.startswith(f"{self.run}/"))

    # --- generations

    async def check_image(self, seed: Seed) -> None:
        """Raises NotFound when the engine does not have the seed's image any more."""
        if await self._pool.run(saved.find_image, seed.image) is None:
            raise NotFound(
                f"the image {seed.image} of this snapshot is not on the engine any more",
                code="snapshot_image_gone",
                hint="Was it removed by hand? The workspace is still in the hub's state folder.",
                driver=NAME,
            )

    async def fill(self, identity: Identity, volume: str, seed: Seed, progress: Progress) -> None:
        """Put the seed's archive into a new volume, which nothing uses yet."""
        left_out = seed.devices[:MOST_DEVICES]
        command = (*TAR_IN, *(f"--exclude={path}" for path in left_out))
        errand = await self._errand(identity, volume, command, "fill", write=True)
        watch = archive_progress(progress, seed.size_bytes)
        outcome: Outcome = await self.helpers.carry_in(errand, seed.archive, seed.sha256, watch)
        if outcome.exit_code != 0:
            raise failed(f"the volume {volume} cannot be filled", outcome)

    async def prepare(
        self, handle: AgentHandle, plan: AgentPlan, seed: Seed, generation: int, progress: Progress
    ) -> None:
        identity = self._identity(handle)
        await self.check_image(seed)
        await self.drop(handle, generation)
        try:
            volume = await self._pool.run(saved.make_volume, identity, generation)
            await self.fill(identity, volume, seed, progress)
            async with self._shop.planned(plan, identity, seed.image, progress) as container:
                await self._pool.run(
                    steps.make_container,
                    saved.with_generation(container, identity, generation, aside=True),
                    identity,
                )
        except BaseException as exc:
            await self._undo(handle, generation, exc)
            raise

    async def _undo(self, handle: AgentHandle, generation: int, why: BaseException) -> None:
        try:
            await self.drop(handle, generation)
        except DriverFailed as exc:
            raise DriverFailed(f"{why}; undoing it failed too: {exc.message}", hint=exc.hint, driver=NAME) from why

    async def active(self, handle: AgentHandle) -> int:
        return (await self._pool.run(saved.detail, self._identity(handle))).generation

    async def activate(
        self, handle: AgentHandle, plan: AgentPlan, generation: int, grace_seconds: float, *, run: bool
    ) -> None:
        identity = self._identity(handle)
        async with self._shop.lock(identity.agent_id):
            await self._pool.run_within(
                grace_seconds + STEP_DEADLINE_SECONDS,
                saved.activate, identity, generation, grace_seconds, plan.restart, run,
            )  # fmt: skip

    async def drop(self, handle: AgentHandle, generation: int) -> None:
        identity = self._identity(handle)
        async with self._shop.lock(identity.agent_id):
            await self._pool.run_within(LONG_SECONDS, saved.drop, identity, generation)

    # --- parts

    def _identity(self, handle: AgentHandle) -> Identity:
        return identity_in(handle, self._shop.hub_id)

    async def _errand(
        self, identity: Identity, volume: str, command: tuple[str, ...], operation: str, *, write: bool = False
    ) -> Errand:
        image = await self._shop.helper_image(lambda _done, _line: None)
        # The dot cannot occur in an agent's name, and the rest is new: nobody has this name.
        name = f"{labels.container_name(identity.agent_id)}.{uuid.uuid4().hex[:12]}"
        return Errand(image, volume, command, f"{self.run}/{operation}", name, write)
