"""What a client keeps open to a hub: the feed of changes and terminals, over WebSockets."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from typing import Any

import msgspec
from websockets.asyncio.client import ClientConnection, connect, unix_connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, WebSocketException

from clawtui.errors import ConnectionLost, NoHub
from clawtui.settings import Settings
from clawtui.transport import START_HINT, decoded, error_from, find_hub, on_loopback, trusted
from hub.contract import Event
from hub.control import ShellSession
from hub.errors import HubError, Unavailable

PING_SECONDS = 20.0
"""Both ways, as between hub and agents: a dead connection is noticed after two of these."""
FRAME_BYTES_MAX = 16 * 1024 * 1024


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


class ShellFrame(msgspec.Struct, rename="camel", omit_defaults=True, kw_only=True):
    """A text frame of a terminal's socket; what is typed and shown goes in binary frames."""

    op: str
    cols: int | None = None
    rows: int | None = None
    exit_code: int | None = None
    message: str = ""


class RemoteShell:
    """One terminal on an agent, on its own WebSocket."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self.exit_code: int | None = None

    async def send(self, data: bytes) -> None:
        with _translated():
            await self._connection.send(data)

    async def resize(self, cols: int, rows: int) -> None:
        frame = ShellFrame(op="resize", cols=cols, rows=rows)
        with _translated():
            await self._connection.send(msgspec.json.encode(frame).decode())

    async def output(self) -> AsyncIterator[bytes]:
        """What the terminal shows; at its end `exit_code` is set where the shell ended by itself.

        Raises:
            HubError: the shell could not be opened, or the agent went away.
        """
        async with contextlib.aclosing(_frames(self._connection)) as frames:
            async for frame in frames:
                if isinstance(frame, bytes):
                    yield frame
                    continue
                told = decoded(frame, ShellFrame)
                if told.op != "exit":
                    continue
                self.exit_code = told.exit_code
                if told.exit_code is None:
                    raise HubError(told.message or "the terminal ended", code="shell_ended")
                return

    async def close(self) -> None:
        await self._connection.close()


async def open_shell(settings: Settings, path: str, cols: int, rows: int) -> ShellSession:
    return RemoteShell(await _open(settings, f"{path}?cols={cols}&rows={rows}"))
