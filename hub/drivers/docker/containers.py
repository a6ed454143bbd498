"""Containers of other people on this engine: what they mount, a program inside, a restart.

A program gets a stream with a thread of its own, so that one that hangs takes none of the threads of control calls; so
does a restart, which may last as long as a gateway lets its turns end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import Final

import structlog

from hub.drivers.containers import (
    MOST_OUTPUT_BYTES,
    ContainerSeen,
    Executed,
    Mounted,
    MountKind,
    container_gone,
    not_running,
)
from hub.drivers.docker import steps
from hub.drivers.docker.answers import Container, Created, ExecState, MountPoint, decode
from hub.drivers.docker.engine import NAME, Call, Engine, EngineConflict, EngineNotFound
from hub.drivers.docker.logs import HEADER
from hub.drivers.docker.pool import LiveStream, Pool, Streams
from hub.errors import BadRequest, HubError

LOOK_SECONDS: Final = 15.0
ENGINE_SECONDS: Final = 30.0
"""What the engine takes for a restart beside the grace."""
CANNOT_RUN: Final = 126
WRAPPER: Final = ("/bin/sh", "-c", 'echo "$$" >&2; exec "$@"', "sh")
"""The first line of stderr is the program's id inside; it is a session of its own there, so a group too."""
STDOUT: Final = 1

_log = structlog.get_logger(__name__)


class DockerContainers:
    """See `hub.drivers.containers.Containers`."""

    def __init__(self, pool: Pool, streams: Streams) -> None:
        self._pool = pool
        self._streams = streams

    async def look(self, name: str, variables: Collection[str] = ()) -> ContainerSeen:
        found = await self._pool.run_within(LOOK_SECONDS, _present, name)
        return seen_of(name, found, variables)

    async def execute(self, name: str, argv: Sequence[str], environment: Mapping[str, str], seconds: float) -> Executed:
        container = await self._pool.run_within(LOOK_SECONDS, _running, name)
        try:
            made = await self._pool.run_within(LOOK_SECONDS, _prepare, container.id, argv, environment)
            return await self._carry_out(container.id, made, seconds)
        except EngineNotFound as exc:
            raise container_gone(name, NAME) from exc
        except EngineConflict as exc:
            raise not_running(name, "paused or ended", NAME) from exc
        except BadRequest as exc:
            # Of a container that has no shell; some engines say so by an exit code.
            return Executed(code=CANNOT_RUN, errors=exc.message.encode())

    async def restart(self, name: str, grace_seconds: float, patience_seconds: float) -> bool:
        container = await self._pool.run_within(LOOK_SECONDS, _present, name)
        grace = max(0, round(grace_seconds + 0.49))
        call = Call(
            "POST", f"/containers/{container.id}/restart", {"t": str(grace)}, timeout_seconds=grace + ENGINE_SECONDS
        )
        try:
            async with asyncio.timeout(patience_seconds):
                stream = await self._streams.open(call)
        except TimeoutError:
            return False
        except EngineNotFound as exc:
            raise container_gone(name, NAME) from exc
        await stream.close()
        return True

    async def _carry_out(self, container: str, made: str, seconds: float) -> Executed:
        body = {"Detach": False, "Tty": False}
        call = Call("POST", f"/exec/{made}/start", body=body, timeout_seconds=seconds, live=True)
        stream = await self._streams.open(call)
        said = Said()
        over = False
        try:
            async with asyncio.timeout(seconds):
                over = await _hear(stream, said)
        except TimeoutError:
            over = True
        finally:
            await stream.close()
        output, errors = said.texts()
        if over:
            await self._end(container, said.pid)
            return Executed(code=None, output=output, errors=errors)
        ended = decode(await self._pool.run_within(LOOK_SECONDS, _get, f"/exec/{made}/json"), ExecState)
        return Executed(code=ended.exit_code, output=output, errors=errors)

    async def _end(self, container: str, pid: int | None) -> None:
        """End a program with everything of its group; that it ended meanwhile is fine."""
        if pid is None:
            return
        argv = ("/bin/sh", "-c", f"kill -s KILL -- -{pid} {pid} 2>/dev/null")
        try:
            made = await self._pool.run_within(LOOK_SECONDS, _prepare, container, argv, {}, ())
            await self._pool.run_within(LOOK_SECONDS, _start, made)
        except HubError as exc:
            _log.warning("program_left_in_container", container=container[:12], pid=pid, error=exc.message)


class Said:
    """What a program says, taken apart: the engine's frames, and the program's id before all else on stderr."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._output = bytearray()
        self._errors = bytearray()
        self.too_much = False

    def feed(self, part: bytes) -> None:
        self._data += part
        while len(self._data) >= HEADER.size:
            number, length = HEADER.unpack_from(self._data)
            end = HEADER.size + length
            if len(self._data) < end:
                break
            kept = self._output if number == STDOUT else self._errors
            kept += self._data[HEADER.size : end]
            del self._data[:end]
        self.too_much = any(len(kept) > MOST_OUTPUT_BYTES for kept in (self._data, self._output, self._errors))

    @property
    def pid(self) -> int | None:
        first, end, _ = self._errors.partition(b"\n")
        return int(first) if end and first.isdigit() else None

    def texts(self) -> tuple[bytes, bytes]:
        """Return stdout and stderr, at most so much of each."""
        errors = self._errors.partition(b"\n")[2] if self.pid is not None else self._errors
        return bytes(self._output[:MOST_OUTPUT_BYTES]), bytes(errors[:MOST_OUTPUT_BYTES])


async def _hear(stream: LiveStream, said: Said) -> bool:
    """Read to the end; return whether it was left before, because there was too much."""
    while part := await stream.read():
        said.feed(part)
        if said.too_much:
            return True
    return False


def seen_of(name: str, found: Container, variables: Collection[str]) -> ContainerSeen:
    """PURE: return a container as the contract has it."""
    pairs = (entry.partition("=") for entry in found.config.env or [])
    return ContainerSeen(
        name=name,
        running=found.state.status == "running",
        state=found.state.status,
        mounts=tuple(map(_mounted, found.mounts or [])),
        variables={key: value for key, _, value in pairs if key in variables},
    )


def _mounted(mount: MountPoint) -> Mounted:
    kinds = {"bind": MountKind.BIND, "volume": MountKind.VOLUME}
    kind = kinds.get(mount.type, MountKind.OTHER)
    return Mounted(
        kind=kind,
        source=mount.source if kind is not MountKind.OTHER else "",
        destination=mount.destination,
        volume=mount.name,
        writable=mount.writable,
    )


# --- blocking steps ----------------------------------------------------------------------------


def _present(engine: Engine, name: str) -> Container:
    found = steps.find_container(engine, name)
    if found is None:
        raise container_gone(name, NAME)
    return found


def _running(engine: Engine, name: str) -> Container:
    found = _present(engine, name)
    if found.state.status != "running":
        raise not_running(name, found.state.status, NAME)
    return found


def _prepare(
    engine: Engine, container: str, argv: Sequence[str], environment: Mapping[str, str],
    wrapper: Sequence[str] = WRAPPER,
) -> str:  # fmt: skip
    """Return the id of a program that has not begun."""
    body = {
        "AttachStdout": True,
        "AttachStderr": True,
        "Cmd": [*wrapper, *argv],
        "Env": [f"{key}={value}" for key, value in environment.items()],
    }
    return decode(engine.call(Call("POST", f"/containers/{container}/exec", body=body)), Created).id


def _start(engine: Engine, made: str) -> None:
    engine.call(Call("POST", f"/exec/{made}/start", body={"Detach": True}))


def _get(engine: Engine, path: str) -> bytes:
    return engine.call(Call("GET", path))
