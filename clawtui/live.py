"""What a client keeps open to a hub: the feed of changes and terminals, over WebSockets."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncGenerator, Iterator
from typing import Any, cast

import msgspec
from websockets.asyncio.client import ClientConnection, connect, unix_connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, WebSocketException

from clawtui.address import START_HINT, find_hub, on_loopback, trusted
from clawtui.errors import ConnectionLost, NoHub
from clawtui.settings import Settings
from clawtui.transport import decoded, error_from, told_error
from hub.contract import ErrorBody, Event
from hub.control import ShellSession
from hub.errors import Unavailable

PING_SECONDS = 20.0
"""Both ways, as between hub and agents: a dead connection is noticed after two of these."""
FRAME_BYTES_MAX = 16 * 1024 * 1024
INPUT_BYTES = 32 * 1024
"""What is typed or pasted goes in frames of at most this; the hub closes at twice as much."""


async def _open(settings: Settings, path: str) -> ClientConnection:
    """Raises NoHub, or the error with which the hub refuses."""
    address = find_hub(settings)
    uri = f"ws{address.url.removeprefix('http')}{path}"
    options: dict[str, Any] = {
        "additional_headers": address.headers,
        "compression": None,
        "max_size": FRAME_BYTES_MAX,
        "open_timeout": settings.request_timeout_seconds,
        "ping_interval": PING_SECONDS,
        "ping_timeout": PING_SECONDS,
        "user_agent_header": None,
    }
    try:
        if address.socket is not None:
            return await unix_connect(os.fspath(address.socket), uri, **options)
        if uri.startswith("wss:"):
            options["ssl"] = trusted(settings)
        if on_loopback(address.url):
            options["proxy"] = None
        return await connect(uri, **options)
    except InvalidStatus as exc:
        raise error_from(exc.response.status_code, bytes(exc.response.body)) from exc
    except TimeoutError as exc:
        raise Unavailable("the hub did not answer in time", code="timeout") from exc
    except OSError as exc:
        raise NoHub(f"no hub answers: {exc}", hint=START_HINT) from exc
    except InvalidHandshake as exc:
        raise Unavailable(f"the hub's address speaks no WebSocket: {exc}") from exc


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except ConnectionClosed as exc:
        raise ConnectionLost("the hub went away in the middle") from exc
    except WebSocketException as exc:
        raise Unavailable(f"the connection to the hub broke: {exc}") from exc


async def events(settings: Settings, since: int | None) -> AsyncGenerator[Event, None]:
    """Changes as the hub tells them, until the hub goes away (`ConnectionLost`)."""
    connection = await _open(settings, "/events" if since is None else f"/events?since={since}")
    async with contextlib.aclosing(_frames(connection)) as frames:
        async for frame in frames:
            yield decoded(frame, Event)
    raise ConnectionLost("the hub closed the feed of changes")


async def _frames(connection: ClientConnection) -> AsyncGenerator[str | bytes, None]:
    try:
        with _translated():
            async for frame in connection:
                yield frame
    finally:
        await connection.close()


class Resize(msgspec.Struct, tag="resize", tag_field="type"):
    """client -> hub, in a text frame: the terminal's size in characters."""

    cols: int
    rows: int


class Exit(msgspec.Struct, tag="exit", tag_field="type", rename="camel"):
    """hub -> client: the shell ended; None when its exit code is not known."""

    exit_code: int | None = None


class Problem(msgspec.Struct, tag="error", tag_field="type"):
    """hub -> client: the terminal cannot go on."""

    error: ErrorBody


class RemoteShell:
    """One terminal on an agent, on its own WebSocket."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self.exit_code: int | None = None

    async def send(self, data: bytes) -> None:
        with _translated():
            for start in range(0, len(data), INPUT_BYTES):
                await self._connection.send(data[start : start + INPUT_BYTES])

    async def resize(self, cols: int, rows: int) -> None:
        with _translated():
            await self._connection.send(msgspec.json.encode(Resize(cols, rows)).decode())

    async def output(self) -> AsyncGenerator[bytes, None]:
        """What the terminal shows; at its end `exit_code` is set where it is known.

        Raises:
            HubError: the terminal could not go on, and why.
            ConnectionLost: the hub or the agent went away.
        """
        async with contextlib.aclosing(_frames(self._connection)) as frames:
            async for frame in frames:
                if isinstance(frame, bytes):
                    yield frame
                    continue
                told: Exit | Problem = decoded(frame, cast(Any, Exit | Problem))
                if isinstance(told, Problem):
                    raise told_error(told.error)
                self.exit_code = told.exit_code
                return
        raise ConnectionLost("the hub closed the terminal")

    async def close(self) -> None:
        await self._connection.close()


async def open_shell(settings: Settings, path: str, cols: int, rows: int) -> ShellSession:
    return RemoteShell(await _open(settings, f"{path}?cols={cols}&rows={rows}"))
