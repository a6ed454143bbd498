"""Helper containers: they see one volume and nothing else, and carry an archive out of it or into it.

No network, a read-only root, one or four capabilities, and a volume that is mounted read-only unless it is filled. The
archive goes through the engine's connection, so an engine elsewhere works as one on this machine; or the helper writes
it into a file of this machine, the only one that it sees.
"""

from __future__ import annotations

import asyncio
import hashlib
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import structlog

from hub.archives.work import Meter, Workers
from hub.drivers.docker import steps
from hub.drivers.docker.answers import Created, decode
from hub.drivers.docker.engine import NAME, Call, Engine
from hub.drivers.docker.labels import HELPER, HUB, OWNER, OWNER_NAME
from hub.drivers.docker.pool import LiveStream, Pool, Streams
from hub.errors import DriverFailed, HubError

VOLUME: Final = "/volume"
ARCHIVE: Final = "/archive.tar"
TAR_OUT: Final = (
    "tar", "--create", "--file=-", f"--directory={VOLUME}", "--format=posix", "--pax-option=delete=atime,delete=ctime",
    "--sparse", "--numeric-owner", "--sort=name", "--one-file-system", ".",
)  # fmt: skip
TAR_IN: Final = (
    "tar", "--extract", "--file=-", f"--directory={VOLUME}", "--numeric-owner", "--same-owner", "--same-permissions",
    "--delay-directory-restore", "--anchored", "--no-wildcards",
)  # fmt: skip
USED: Final = ("du", "-s", "-x", "-B1", VOLUME)
READ_CAPABILITIES: Final = ("DAC_READ_SEARCH",)
WRITE_CAPABILITIES: Final = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID")
MEMORY_BYTES: Final = 256 * 2**20
"""tar keeps the links it has seen; page cache beyond this is given back."""
PIECE_BYTES: Final = 2**20
KEPT_ERRORS_BYTES: Final = 8 * 1024
WAIT_SECONDS: Final = 60.0
"""A helper whose output has ended is gone in a moment."""
_FRAME: Final = struct.Struct(">BxxxL")

_log = structlog.get_logger(__name__)

Sink = Callable[[bytes], Awaitable[None]]
Make = Callable[[Meter, Callable[[bytes], None]], None]
"""Writes an archive, piece by piece."""


@dataclass(frozen=True, slots=True)
class Errand:
    """One run of a helper. `operation`: which hub process started it and what for, so that it can be found again.
    `archive`: a file of this machine that it may write to, at ARCHIVE."""

    image: str
    volume: str
    command: tuple[str, ...]
    operation: str
    name: str
    write: bool = False
    archive: Path | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """`errors`: the beginning of what it printed to stderr, which had `error_lines` lines in all."""

    exit_code: int
    errors: str
    error_lines: int = 0


class Helpers:
    """Runs errands."""

    def __init__(self, pool: Pool, streams: Streams, workers: Workers, hub_id: str) -> None:
        self._pool = pool
        self._streams = streams
        self._workers = workers
        self._hub_id = hub_id

    async def carry_out(self, errand: Errand, sink: Sink) -> Outcome:
        """Run a helper and give `sink` what it prints, in order."""
        return await self._run(errand, sink, None)

    async def carry_in(self, errand: Errand, archive: Path, sha256: str, watch: Callable[[int], None]) -> Outcome:
        """Run a helper that reads the archive.

        Raises:
            DriverFailed: the archive is not what it was when it was written.
        """

        async def send(stream: LiveStream) -> None:
            digest = await self._workers.watched(watch, _send, stream, archive)
            if digest != sha256:
                raise DriverFailed(
                    f"{archive} has changed since it was written",
                    code="snapshot_damaged",
                    hint="Restore another snapshot; delete this one.",
                    retryable=False,
                )

        return await self._run(errand, _drop, send)

    async def carry_made(self, errand: Errand, make: Make, watch: Callable[[int], None]) -> Outcome:
        """Run a helper that reads what `make` writes, which runs in a thread and may raise to end it all."""

        async def send(stream: LiveStream) -> None:
            await self._workers.watched(watch, _feed, stream, make)

        return await self._run(errand, _drop, send)

    async def _run(self, errand: Errand, sink: Sink, send: Callable[[LiveStream], Awaitable[None]] | None) -> Outcome:
        container = await self._pool.run(_make, errand, self._hub_id)
        try:
            errors, lines = await self._exchange(container, sink, send)
            code = await self._pool.run(_exit_code, container)
        except BaseException:
            await self._try_remove(container, errand)
            raise
        await self._pool.run(steps.remove_container, container)
        return Outcome(code, errors, lines)

    async def _try_remove(self, container: str, errand: Errand) -> None:
        """What cannot be removed now is found by its label later."""
        try:
            await self._pool.run(steps.remove_container, container)
        except HubError as exc:
            _log.warning("helper_left", container=errand.name, error=exc.message)

    async def _exchange(
        self, container: str, sink: Sink, send: Callable[[LiveStream], Awaitable[None]] | None
    ) -> tuple[str, int]:
        params = {"stream": "1", "stdout": "1", "stderr": "1", **({"stdin": "1"} if send else {})}
        stream = await self._streams.open(Call("POST", f"/containers/{container}/attach", params))
        try:
            await self._pool.run(_start, container)
            if send is None:
                return await _read_all(stream, sink)
            try:
                async with asyncio.TaskGroup() as group:
                    reading = group.create_task(_read_all(stream, sink))
                    await send(stream)
            except BaseExceptionGroup as errors:
                raise errors.exceptions[0] from errors.exceptions[0].__cause__
            return reading.result()
        finally:
            await stream.close()


async def _drop(_data: bytes) -> None:
    """Nobody wants it."""


async def _read_all(stream: LiveStream, sink: Sink) -> tuple[str, int]:
    """Give `sink` what comes on stdout, in large pieces; return the beginning of stderr and how many lines it had."""
    waiting, pending, errors = bytearray(), bytearray(), bytearray()
    lines = 0
    while part := await stream.read():
        waiting += part
        position = 0
        while len(waiting) - position >= _FRAME.size:
            kind, length = _FRAME.unpack_from(waiting, position)
            if len(waiting) - position - _FRAME.size < length:
                break
            content = waiting[position + _FRAME.size : position + _FRAME.size + length]
            position += _FRAME.size + length
            if kind == 1:
                pending += content
                continue
            lines += content.count(b"\n")
            errors += content[: KEPT_ERRORS_BYTES - len(errors)]
        del waiting[:position]
        if len(pending) >= PIECE_BYTES:
            await sink(bytes(pending))
            pending.clear()
    if pending:
        await sink(bytes(pending))
    return errors.decode(errors="replace").strip(), lines


def _send(meter: Meter, stream: LiveStream, archive: Path) -> str:
    """Send the file and return its SHA-256; a helper that has ended already takes no more. Blocks."""
    meter.on_cancel = stream.cancel
    digest = hashlib.sha256()
    taken = True
    with archive.open("rb") as file:
        while data := file.read(PIECE_BYTES):
            digest.update(data)
            if taken:
                try:
                    stream.write(data)
                except HubError:
                    # It does not read after the end of the archive; why it ended before is in its exit code.
                    taken = False
            meter.advance(len(data))
    return digest.hexdigest()


def _feed(meter: Meter, stream: LiveStream, make: Make) -> None:
    """Send what `make` writes; a helper that has ended already takes no more. Blocks."""
    meter.on_cancel = stream.cancel
    taken = True

    def write(data: bytes) -> None:
        nonlocal taken
        if taken:
            try:
                stream.write(data)
            except HubError:
                # Why it ended before is in its exit code.
                taken = False

    make(meter, write)


# --- blocking steps ----------------------------------------------------------------------------


def _make(engine: Engine, errand: Errand, hub_id: str) -> str:
    body = {
        "Image": errand.image,
        "Entrypoint": list(errand.command),
        "Cmd": [],
        "User": "0:0",
        "WorkingDir": "/",
        "Env": ["LC_ALL=C"],
        "AttachStdin": errand.write,
        "OpenStdin": errand.write,
        "StdinOnce": errand.write,
        "AttachStdout": True,
        "AttachStderr": True,
        "Labels": {OWNER: OWNER_NAME, HUB: hub_id, HELPER: errand.operation},
        "Healthcheck": {"Test": ["NONE"]},
        "HostConfig": {
            "NetworkMode": "none",
            "CapDrop": ["ALL"],
            "CapAdd": list(WRITE_CAPABILITIES if errand.write else READ_CAPABILITIES),
            "SecurityOpt": ["no-new-privileges:true"],
            "ReadonlyRootfs": True,
            "PidsLimit": 16,
            "Memory": MEMORY_BYTES,
            "MemorySwap": MEMORY_BYTES,
            "LogConfig": {"Type": "none"},
            "RestartPolicy": {"Name": "no"},
            "Mounts": _mounts(errand),
        },
    }  # fmt: skip
    return decode(engine.call(Call("POST", "/containers/create", {"name": errand.name}, body=body)), Created).id


def _mounts(errand: Errand) -> list[dict[str, object]]:
    volume: dict[str, object] = {
        "Type": "volume", "Source": errand.volume, "Target": VOLUME, "ReadOnly": not errand.write,
        "VolumeOptions": {"NoCopy": True},
    }  # fmt: skip
    if errand.archive is None:
        return [volume]
    return [volume, {"Type": "bind", "Source": str(errand.archive), "Target": ARCHIVE}]


def _start(engine: Engine, container: str) -> None:
    engine.call(Call("POST", f"/containers/{container}/start", timeout_seconds=WAIT_SECONDS))


class _Ended(msgspec.Struct, rename="pascal"):
    status_code: int


def _exit_code(engine: Engine, container: str) -> int:
    call = Call("POST", f"/containers/{container}/wait", timeout_seconds=WAIT_SECONDS)
    return decode(engine.call(call), _Ended).status_code


def remove_helpers(engine: Engine, hub_id: str, keep: Callable[[str], bool]) -> None:
    """Remove this hub's helpers, other than those for operations that `keep` knows."""
    for entry in steps.containers(engine, {OWNER: OWNER_NAME, HUB: hub_id}):
        operation = (entry.labels or {}).get(HELPER)
        if operation is not None and not keep(operation):
            # The sweep at a start and a job that undoes may meet here: this step waits for the other one.
            steps.remove_container(engine, entry.id)


def failed(what: str, outcome: Outcome) -> DriverFailed:
    """Return the error for a helper that did not do its work."""
    last = outcome.errors.splitlines()[-1:] or ["it said nothing"]
    return DriverFailed(
        f"{what}: {last[0]}",
        hint="Is the engine's disk full? `docker system df` shows what it has." if "space" in outcome.errors else "",
        driver=NAME,
    )
