"""The images of agents on one engine: built when they are missing, several at once, each tag only once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Final
from weakref import WeakValueDictionary

from hub.drivers.base import Progress
from hub.drivers.docker.answers import ImageLine, System, decode
from hub.drivers.docker.build import Builder, BuildHow, ClassicBuilder
from hub.drivers.docker.buildlog import BuildLogs
from hub.drivers.docker.buildx import Buildx
from hub.drivers.docker.disk import everything
from hub.drivers.docker.engine import Call, Engine
from hub.drivers.docker.image import BuildOptions, ImageBuild, check_ours, prepare, tag_image
from hub.drivers.docker.image_removal import REMOVE_TIMEOUT_SECONDS, find_removal, remove_image
from hub.drivers.docker.labels import PREFIX, SHARED, label_filter
from hub.drivers.docker.pool import Pool, Streams
from hub.drivers.docker.registry import Registries
from hub.drivers.docker.steps import system
from hub.drivers.images import Ensured, ImageEntry, ImageOrder, Pushed
from hub.errors import BadRequest

BUILDS_AT_ONCE: Final = 3
"""More would only share the same cores, disk and line."""
MACHINES: Final = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm/v7", "i686": "386"}
"""From the engine's word for its machine to the one that images have."""


class DockerImages:
    """See `hub.drivers.images.Images`.

    Args:
        folder: where logs of builds are kept.
        url: the engine's address, for the buildx plugin.
        hub_id: whose agents are named without saying whose they are.
    """

    def __init__(
        self,
        pool: Pool,
        streams: Streams,
        options: BuildOptions,
        folder: Path,
        url: str,
        environment: Mapping[str, str],
        hub_id: str = "",
    ) -> None:
        self._pool = pool
        self._hub_id = hub_id
        self._streams = streams
        self._options = options
        self._url = url
        self._environment = environment
        self._logs = BuildLogs(folder)
        self._registries = Registries(pool, streams, environment)
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._turns = asyncio.Semaphore(BUILDS_AT_ONCE)
        self._builder: Builder | None = None

    async def wanted(self, order: ImageOrder) -> str:
        return (await self._prepared(order, lends=False))[-1].name

    async def ensure(self, order: ImageOrder, progress: Progress) -> Ensured:
        """See `Images`.

        Raises:
            Conflict: a foreign image has one of the names.
            DriverFailed: with the step that failed and the end of its output.
        """
        chain = await self._prepared(order, lends=False)
        # What an image was built on is inside of it.
        if not order.rebuild and await self._ready(chain[-1]):
            return Ensured(chain[-1].name)
        builder = await self._find_builder()
        if builder.lends_pip_config:
            chain = await self._prepared(order, lends=True)
        how = BuildHow(
            arguments={**self._options.build_arguments, **order.arguments},
            platform=order.platform,
            without_cache=order.rebuild,
        )
        built: list[str] = []
        for number, one in enumerate(chain):
            # Building the base again is another order: `image build --rebuild`.
            again = order.rebuild and number == len(chain) - 1
            if await self._ensure(one, builder, how, again, _part(progress, number, len(chain))):
                built.append(one.name)
        return Ensured(chain[-1].name, tuple(built))

    async def entries(self) -> list[ImageEntry]:
        return await self._pool.run(_entries)

    async def push(self, name: str, registry: str, progress: Progress) -> Pushed:
        return await self._registries.push(name, registry, progress)

    async def pull(self, name: str, registry: str, progress: Progress) -> str:
        return await self._registries.pull(name, registry, progress)

    async def remove(self, repository: str) -> int:
        found = await self._pool.run(lambda engine: find_removal(everything(engine, 0), repository, self._hub_id))
        seconds = REMOVE_TIMEOUT_SECONDS * max(len(found.tags), 1)
        await self._pool.run_within(seconds, remove_image, found)
        await asyncio.to_thread(self._logs.remove, repository)
        return len(found.tags)

    def log(self, repository: str, tag: str | None, lines: int, follow: bool) -> AsyncIterator[str]:
        return self._logs.read(repository, tag, lines, follow=follow)

    @property
    def options(self) -> BuildOptions:
        return self._options

    async def ensure_other(self, wanted: ImageBuild, progress: Progress, *, rebuild: bool, platform: str) -> bool:
        """Build an image that is no agent's; return whether it had to be built. Raises as `ensure`."""
        check_platform(platform)
        how = BuildHow(arguments=self._options.build_arguments, platform=platform, without_cache=rebuild)
        return await self._ensure(wanted, await self._find_builder(), how, rebuild, progress)

    async def fetch(self, reference: str, progress: Progress, platform: str) -> None:
        """Pull somebody's image under its own name; see `Registries.fetch`."""
        check_platform(platform)
        await self._registries.fetch(reference, progress, platform)

    async def _prepared(self, order: ImageOrder, *, lends: bool) -> list[ImageBuild]:
        check_platform(order.platform)
        return await self._pool.run(
            lambda _engine: prepare(
                self._options, sudo=order.sudo, recipe=order.recipe, platform=order.platform, pip_secret=lends
            )
        )

    async def _ready(self, wanted: ImageBuild) -> bool:
        """Whether it is there. When it is, `latest` points to it afterwards."""
        return await self._pool.run(_ready, wanted)

    async def _ensure(
        self, wanted: ImageBuild, builder: Builder, how: BuildHow, again: bool, progress: Progress
    ) -> bool:
        """Return whether it had to be built."""
        lock = self._locks.setdefault(wanted.name, asyncio.Lock())
        if lock.locked():
            progress(0.0, f"waiting for {wanted.name}, which is being built already")
        async with lock:
            if not again and await self._ready(wanted):
                return False
            if self._turns.locked():
                progress(0.0, f"waiting to build {wanted.name}: {BUILDS_AT_ONCE} builds run already")
            async with self._turns:
                await self._build(wanted, builder, how if again else _with_cache(how), progress)
            return True

    async def _build(self, wanted: ImageBuild, builder: Builder, how: BuildHow, progress: Progress) -> None:
        progress(0.0, f"building {wanted.name}")
        log = self._logs.start(wanted.name)
        try:
            await builder.build(wanted, how, progress, log)
            await self._pool.run(_ready, wanted)
            log.line(f"{wanted.name} is built")
        except asyncio.CancelledError:
            log.line("cancelled")
            raise
        finally:
            log.close()
        progress(1.0, f"{wanted.name} is built")

    async def _find_builder(self) -> Builder:
        """BuildKit where the plugin for it is, else the engine's classic builder. Looked for until it is there."""
        if self._builder is None:
            self._builder = await Buildx.find(self._url, self._environment)
        return self._builder or ClassicBuilder(self._streams, platform_of(await self._pool.run(system)))


def platform_of(engine: System) -> str:
    """Return what the engine builds for, such as linux/amd64."""
    return f"linux/{MACHINES.get(engine.architecture, engine.architecture)}"


def check_platform(platform: str) -> None:
    """Raises BadRequest for what is no platform."""
    parts = platform.split("/")
    if platform and (len(parts) not in (2, 3) or parts[0] != "linux" or not all(part.isalnum() for part in parts)):
        hint = "One of them, such as linux/amd64 or linux/arm64; build another one with another call."
        raise BadRequest(f"{platform[:60]!r} is not a platform", field="platform", hint=hint)


def _with_cache(how: BuildHow) -> BuildHow:
    return BuildHow(arguments=how.arguments, platform=how.platform)


def _part(progress: Progress, number: int, of: int) -> Progress:
    """Return the progress of one of several equal parts."""
    return lambda fraction, line: progress((number + fraction) / of, line)


def _ready(engine: Engine, wanted: ImageBuild) -> bool:
    latest = f"{wanted.repository}:latest"
    there, current = check_ours(engine, wanted.name, latest)
    if there is not None and wanted.latest and current != there:
        tag_image(engine, wanted.name, wanted.repository, "latest")
    return there is not None


def _entries(engine: Engine) -> list[ImageEntry]:
    lines = decode(engine.call(Call("GET", "/images/json", {"filters": label_filter(SHARED)})), list[ImageLine])
    found: list[ImageEntry] = []
    for line in lines:
        names = [tag.rpartition(":")[::2] for tag in line.repo_tags or []]
        latest = {repository for repository, tag in names if tag == "latest"}
        found += [
            ImageEntry(
                name=repository, tag=tag, id=line.id, created_at=line.created * 1000, size_bytes=line.size,
                latest=repository in latest,
            )
            for repository, tag in names
            if repository.startswith(PREFIX) and (tag != "latest" or (repository, tag) == names[0] == names[-1])
        ]  # fmt: skip
    return sorted(found, key=lambda entry: (-entry.created_at, entry.name, entry.tag))
