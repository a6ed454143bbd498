"""A gateway's volume as an archive on the hub's disk, and back: bounded, and never trusted."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from hub.archives.guarded import Contents, look_through, rewrite
from hub.archives.unpack import check
from hub.archives.work import Meter, Workers
from hub.drivers.cells import PREFIX, Bounds, CellArchive, CellId, Progress
from hub.drivers.docker import labels
from hub.drivers.docker.answers import ImageLine, decode
from hub.drivers.docker.cells_objects import owned_volume
from hub.drivers.docker.engine import NAME, Call, Engine
from hub.drivers.docker.labels import SHARED, label_filter
from hub.drivers.docker.pool import Pool
from hub.drivers.docker.snapshots_archive import Archiver
from hub.drivers.docker.snapshots_helper import TAR_IN, TAR_OUT, USED, VOLUME, Errand, Helpers, failed
from hub.errors import BadRequest, Conflict, DriverFailed, NotFound, TooLarge

GATEWAY_IMAGE: Final = "openclaw-gateway"
"""What the hub builds for gateways."""
FIRST: Final = ("find", VOLUME, "-mindepth", "1", "-maxdepth", "1", "-print", "-quit")
HEADERS_BYTES: Final = 4_096
"""Of an entry in an archive, beside its content: header, long names, the rest of the last block."""
MOST_NOTES: Final = 20
MEASURING, WRITING, CHECKING = 0.02, 0.7, 0.98
"""Where in the whole the parts begin or end."""


class CellArchives:
    """The part of `hub.drivers.cells.Cells` that is about volumes' contents.

    Args:
        run: begins the name of everything that this process of the hub starts, so that a sweep knows what was left.
        plain_image: makes an image for helpers where none is there.
    """

    def __init__(
        self,
        pool: Pool,
        helpers: Helpers,
        workers: Workers,
        hub_id: str,
        run: str,
        plain_image: Callable[[Progress], Awaitable[str]],
        *,
        local: bool,
    ) -> None:
        self._pool = pool
        self._helpers = helpers
        self._workers = workers
        self._archiver = Archiver(helpers, workers, local=local)
        self._hub_id = hub_id
        self._run = run
        self._plain_image = plain_image

    async def archive(
        self, cell: CellId, volume: str, target: Path, bounds: Bounds, progress: Progress
    ) -> CellArchive:  # fmt: skip
        await self._pool.run(owned_volume, cell, volume, self._hub_id)
        progress(0.0, f"measuring {volume}")
        image = await self._helper_image(progress)
        used = await self._measure(self._errand(image, cell, volume, USED))
        most = bounds.most_bytes + bounds.most_entries * HEADERS_BYTES

        def watch(done: int) -> None:
            if done > most:
                raise _too_large(volume, bounds)
            progress(_between(MEASURING, WRITING, done, used), f"{volume}: {done >> 20} of about {used >> 20} MiB")

        try:
            written = await self._archiver.write(
                self._errand(image, cell, volume, TAR_OUT), target, f"the volume {volume} cannot be read", watch
            )
            watch(written.size_bytes)
            sha256, _ = await self._archiver.read_back(
                written, lambda _done: progress(WRITING, "reading what was written")
            )
            contents = await self._look(target, bounds, progress)
        except BaseException:
            await self._workers.run(_remove, target)
            raise
        notes = [*written.errors.splitlines()[:MOST_NOTES], *contents.left_out]
        return CellArchive(
            target, sha256, written.size_bytes, contents.entries, contents.content_bytes, tuple(notes)
        )  # fmt: skip

    async def unarchive(
        self, cell: CellId, volume: str, archive: Path, sha256: str, bounds: Bounds, progress: Progress
    ) -> tuple[str, ...]:
        await self._pool.run(owned_volume, cell, volume, self._hub_id)
        try:
            await self._workers.run(_check_there, archive)
            await self._workers.run(check, archive, sha256)
        except DriverFailed as exc:
            if exc.code != "snapshot_damaged":
                raise
            raise BadRequest(
                f"{archive} has changed since it was written", code="archive_damaged", hint="Take another backup."
            ) from exc
        contents = await self._look(archive, bounds, progress)
        image = await self._helper_image(progress)
        if await self._says(self._errand(image, cell, volume, FIRST)):
            raise Conflict(
                f"the volume {volume} is not empty",
                code="volume_in_use",
                hint="Fill a new one; what is in this one would be mixed with it.",
                driver=NAME,
            )

        def watch(done: int) -> None:
            share = _between(0.3, 1.0, done, contents.content_bytes)
            progress(share, f"{volume}: {done >> 20} of {contents.content_bytes >> 20} MiB")

        def make(meter: Meter, write: Callable[[bytes], None]) -> None:
            rewrite(meter, archive, bounds.most_bytes, bounds.most_entries, write)

        outcome = await self._helpers.carry_made(self._errand(image, cell, volume, TAR_IN, write=True), make, watch)
        if outcome.exit_code != 0:
            raise failed(f"the volume {volume} cannot be filled", outcome)
        return contents.left_out

    async def _look(self, archive: Path, bounds: Bounds, progress: Progress) -> Contents:
        progress(CHECKING, "looking through the archive")
        return await self._workers.run(look_through, archive, bounds.most_bytes, bounds.most_entries)

    async def _measure(self, errand: Errand) -> int:
        number = (await self._says(errand)).split(maxsplit=1)[:1]
        if not number or not number[0].isdigit():
            raise DriverFailed(f"the volume {errand.volume} cannot be measured", driver=NAME)
        return int(number[0])

    async def _says(self, errand: Errand) -> str:
        told = bytearray()

        async def hear(data: bytes) -> None:
            told.extend(data)

        outcome = await self._helpers.carry_out(errand, hear)
        if outcome.exit_code != 0:
            raise failed(f"the volume {errand.volume} cannot be looked at", outcome)
        return told.decode(errors="replace").strip()

    async def _helper_image(self, progress: Progress) -> str:
        """An image of ours with tar: whatever is there, else the base of all agents is built."""
        return await self._pool.run(_any_image) or await self._plain_image(lambda done, line: progress(0.0, line))

    def _errand(
        self, image: str, cell: CellId, volume: str, command: tuple[str, ...], *, write: bool = False
    ) -> Errand:  # fmt: skip
        name = f"{PREFIX}{cell.instance}.{uuid.uuid4().hex[:12]}"
        return Errand(image, volume, command, f"{self._run}/cell-{cell.instance}", name, write)


def _any_image(engine: Engine) -> str:
    lines = decode(engine.call(Call("GET", "/images/json", {"filters": label_filter(SHARED)})), list[ImageLine])
    for line in sorted(lines, key=lambda line: -line.created):
        for tag in line.repo_tags or []:
            if tag.startswith((f"{labels.IMAGE}:", f"{GATEWAY_IMAGE}:")):
                return line.id
    return ""


def _too_large(volume: str, bounds: Bounds) -> TooLarge:
    return TooLarge(
        f"the volume {volume} has more than {bounds.most_bytes} bytes or {bounds.most_entries} entries",
        hint="Raise the bound, or remove what is not needed.",
        driver=NAME,
    )


def _between(begin: float, end: float, done: int, of: int) -> float:
    return begin + (end - begin) * min(1.0, done / max(of, 1))


def _check_there(_meter: Meter, archive: Path) -> None:
    if not archive.is_file():
        raise NotFound(f"there is no archive {archive}", code="archive_missing", driver=NAME)


def _remove(_meter: Meter, target: Path) -> None:
    target.unlink(missing_ok=True)
