"""The engine of one Docker host: threads and connections of its own, and gateways' containers on it."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Final

import structlog

from hub.drivers.cells import CellBuilt, CellRecipe, ImageSeen, Progress
from hub.drivers.docker.cells import DockerCells
from hub.drivers.docker.cells_steps import find_image
from hub.drivers.docker.docker_py import Connector
from hub.drivers.docker.engine import Call, Connect, Engine, EngineStream
from hub.drivers.docker.image import BuildOptions
from hub.drivers.docker.images import DockerImages
from hub.drivers.docker.pool import Pool, Streams
from hub.drivers.images import ImageOrder
from hub.errors import HubError

CARRY_SECONDS: Final = 3600.0
SILENCE_SECONDS: Final = 300.0
"""While an engine unpacks what it was sent."""
NAMES: Final = {"ca_file": "ca.pem", "certificate_file": "cert.pem", "key_file": "key.pem"}
"""How the client's library wants TLS files to be called."""

log = structlog.get_logger("hub.hosts")


class HostEngine:
    """What the hub does with the engine at `url`.

    Args:
        ready: called in a thread before a connection is made; raises HubError where there is no way there.
        carry_from: the hub's own engine: images that it has need not be built a second time.
    """

    def __init__(
        self, url: str, environment: Mapping[str, str], ready: Callable[[], None], carry_from: Connect, *,
        hub_id: str, state_folder: Path,
    ) -> None:  # fmt: skip
        connector = Connector(url, environment)

        def connect() -> Engine:
            ready()
            return connector()

        self._pool = Pool(connect)
        self._streams = Streams(connect)
        images = DockerImages(
            self._pool, self._streams, BuildOptions.from_environment(dict(os.environ)),
            state_folder / "logs" / "builds", connector.url, environment, hub_id,
        )  # fmt: skip

        async def plain_image(progress: Progress) -> str:
            return (await images.ensure(ImageOrder(), progress)).image

        self.cells = HostCells(
            self._pool, self._streams, images, hub_id, uuid.uuid4().hex[:12], plain_image, local=False
        )  # fmt: skip
        self.cells.carry_from = carry_from

    async def close(self) -> None:
        await self.cells.close()
        await self._streams.close()
        await self._pool.close()


class HostCells(DockerCells):
    """Builds nothing that the hub's own engine has: the image is carried over."""

    carry_from: Connect

    async def build(self, recipe: CellRecipe, progress: Progress, *, rebuild: bool = False) -> CellBuilt:
        wanted = await self.wanted(recipe)
        if not rebuild and await self.image(wanted) is None:
            here = await self._image_here(wanted)
            if here is not None and here.platform == (await self.capacity()).platform:
                progress(0.1, f"carrying {wanted} over ({here.size_bytes >> 20} MiB)")
                await self._pool.run_within(CARRY_SECONDS, carry, self.carry_from, wanted)
                if await self.image(wanted) is not None:
                    progress(1.0, f"{wanted} is there")
                    return CellBuilt(wanted, True)
        return await super().build(recipe, progress, rebuild=rebuild)

    async def _image_here(self, reference: str) -> ImageSeen | None:
        """Return the image of the hub's own engine; None also where that does not answer: then there is none."""
        try:
            return await self._pool.run(look_at, self.carry_from, reference)
        except HubError as exc:
            log.info("no_image_to_carry", image=reference, error=exc.message)
            return None


def look_at(_there: Engine, connect: Connect, reference: str) -> ImageSeen | None:
    """Return an image of another engine than the pool's."""
    with closing(connect()) as here:
        return find_image(here, reference)


def carry(there: Engine, connect: Connect, reference: str) -> None:
    """Send an image of another engine to this one, in parts; neither disk nor memory has the whole."""
    with closing(connect()) as here:
        stream = here.open(Call("GET", "/images/get", {"names": reference}, timeout_seconds=SILENCE_SECONDS))
        with closing(stream):
            sent = Call("POST", "/images/load", {"quiet": "1"}, data=_parts(stream), timeout_seconds=SILENCE_SECONDS)
            there.call(sent)


def _parts(stream: EngineStream) -> Iterator[bytes]:
    while part := stream.read():
        yield part


def tls_folder(folder: Path, files: Mapping[str, str]) -> dict[str, str]:
    """Make the folder that the client's library takes TLS files from, as links; returns its environment. Blocks.

    Raises OSError.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for field, name in NAMES.items():
        link = folder / name
        link.unlink(missing_ok=True)
        link.symlink_to(files[field])
    return {"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(folder)}
