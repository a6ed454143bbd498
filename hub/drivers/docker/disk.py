"""What of ours is on the engine's disk, and its removal: judged anew at the moment, never by force."""

from __future__ import annotations

import asyncio
import time
from typing import Final
from urllib.parse import quote

from hub.drivers.docker.answers import Volumes, decode
from hub.drivers.docker.disk_judge import YOUNG_SECONDS, ContainerLine, ImageLine, Listing, Measured, VolumeLine, judge
from hub.drivers.docker.engine import NAME, Call, Connect, Engine, EngineConflict, EngineNotFound, EngineRefused
from hub.drivers.docker.pool import LiveStream, Pool
from hub.drivers.docker.steps import REMOVE_TIMEOUT_SECONDS
from hub.drivers.upkeep import DiskKind, Holding, Known, Survey
from hub.errors import Conflict, HubError

MEASURE_TIMEOUT_SECONDS: Final = 600.0
"""The engine walks through all files of all volumes and containers, ours and others'."""
BUSY_PAUSE_SECONDS: Final = 0.5
BUSY: Final = "already running"
"""What the engine says of a disk usage operation while it does another."""
FRESH_SECONDS: Final = 30.0
"""A measurement this young serves again."""
STILL: Final = "the engine is still measuring; look again in a while"


class Measurement:
    """One `system df` under way, in a thread of its own. It goes on when nobody waits for it."""

    def __init__(self, connect: Connect) -> None:
        call = Call("GET", "/system/df", timeout_seconds=MEASURE_TIMEOUT_SECONDS)
        self._stream = LiveStream(connect, call)
        self._answer = bytearray()

    async def result(self) -> Measured:
        """Wait for the end; whoever was cancelled in this may ask again."""
        while part := await self._stream.read():
            self._answer += part
        return decode(bytes(self._answer), Measured)

    async def close(self) -> None:
        await self._stream.close()


class DockerDisk:
    """See `hub.drivers.upkeep.DiskKeeper`.

    Sizes come from a measurement that may take minutes: it goes on when its deadline has passed, one at
    a time, and whoever looks again gets its result.
    """

    def __init__(
        self, pool: Pool, connect: Connect, hub_id: str, *, young_seconds: int = YOUNG_SECONDS
    ) -> None:  # fmt: skip
        self._pool = pool
        self._connect = connect
        self._hub_id = hub_id
        self._young_seconds = young_seconds
        self._lock = asyncio.Lock()
        self._under_way: Measurement | None = None
        self._last: tuple[float, Measured] | None = None

    async def survey(self, known: Known, deadline_seconds: float) -> Survey:
        deadline = time.monotonic() + deadline_seconds
        try:
            listing = await self._pool.run_within(deadline_seconds, everything, self._young_seconds)
        except HubError as exc:
            return Survey(unknown=dict.fromkeys(_OURS, exc.message))
        why = STILL
        measured: Measured | None = None
        try:
            async with asyncio.timeout(max(0.0, deadline - time.monotonic())), self._lock:
                measured = await self._measure()
        except TimeoutError:
            pass
        except HubError as exc:
            why = exc.message
        cache = measured.build_cache if measured is not None else None
        return Survey(
            holdings=tuple(judge(listing, known, self._hub_id, measured)),
            unknown={} if measured is not None else dict.fromkeys(_OURS, why),
            cache_bytes=sum(one.size for one in cache if not one.shared) if cache is not None else None,
        )

    async def _measure(self) -> Measured:
        if self._last is not None and time.monotonic() - self._last[0] < FRESH_SECONDS:
            return self._last[1]
        while True:
            if self._under_way is None:
                self._under_way = Measurement(self._connect)
            try:
                measured = await self._under_way.result()
            except EngineRefused as exc:
                await self._drop()
                if BUSY not in exc.message:
                    raise
                # It measures for somebody else, which it does once at a time.
                await asyncio.sleep(BUSY_PAUSE_SECONDS)
            except HubError:
                await self._drop()
                raise
            else:
                await self._drop()
                self._last = (time.monotonic(), measured)
                return measured

    async def _drop(self) -> None:
        under_way, self._under_way = self._under_way, None
        if under_way is not None:
            await under_way.close()

    async def close(self) -> None:
        """Nobody waits for a measurement any more."""
        await self._drop()

    async def remove(self, holding: Holding, known: Known) -> None:
        listing = await self._pool.run(everything, self._young_seconds)
        found = [one for one in judge(listing, known, self._hub_id) if (one.kind, one.id) == (holding.kind, holding.id)]
        if not found:
            # Somebody was faster, or it is another one of this name now: what was planned is gone.
            return
        if found[0].used_by:
            raise Conflict(f"{holding.name} is in use: {found[0].used_by}", driver=NAME)
        self._last = None
        await self._pool.run_within(REMOVE_TIMEOUT_SECONDS, remove, found[0], _tags(listing, found[0]))


_OURS: Final = (DiskKind.IMAGES, DiskKind.CACHE, DiskKind.CONTAINERS, DiskKind.VOLUMES)


def _tags(listing: Listing, holding: Holding) -> list[str]:
    return next((image.tags for image in listing.images if image.id == holding.id), [])


# --- blocking steps ----------------------------------------------------------------------------


def everything(engine: Engine, young_seconds: int) -> Listing:
    """Return what is there, without sizes of volumes and containers: this is quick."""
    containers = decode(engine.call(Call("GET", "/containers/json", {"all": "1"})), list[ContainerLine])
    images = decode(engine.call(Call("GET", "/images/json", {"all": "1"})), list[ImageLine])
    volumes = decode(engine.call(Call("GET", "/volumes")), Volumes).volumes or []
    lines = [VolumeLine(name=one.name, labels=one.labels, created_at=one.created_at) for one in volumes]
    return Listing(containers, images, lines, int(time.time()), young_seconds)


def remove(engine: Engine, holding: Holding, tags: list[str]) -> None:
    """Remove one object without force: the engine refuses what came into use in this very moment.

    Raises:
        Conflict: that is what happened.
    """
    match holding.kind:
        case DiskKind.CONTAINERS:
            calls = [Call("DELETE", f"/containers/{holding.id}", {"v": "0"}, timeout_seconds=REMOVE_TIMEOUT_SECONDS)]
        case DiskKind.VOLUMES:
            name = quote(holding.name)
            calls = [Call("DELETE", f"/volumes/{name}", timeout_seconds=REMOVE_TIMEOUT_SECONDS)]
        case _:
            names = tags or [holding.id]
            calls = [Call("DELETE", f"/images/{quote(name)}", timeout_seconds=300) for name in names]
    for call in calls:
        try:
            engine.call(call)
        except EngineNotFound:
            continue
        except EngineConflict as exc:
            raise Conflict(f"{holding.name} is in use: {exc.message}", driver=NAME) from exc
