"""A terminal over a WebSocket: bytes in binary frames, everything else in JSON text frames."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Annotated, Final

import msgspec
from aiohttp import WSCloseCode, WSMsgType, web
from msgspec import Meta

from hub.api.answers import error_body
from hub.api.streams import HEARTBEAT_SECONDS, attended, bug
from hub.contract import ErrorBody
from hub.control import ShellSession
from hub.errors import BadRequest, HubError

INPUT_FRAME_BYTES: Final = 64 * 1024
"""More than anybody types or pastes at once; a larger frame closes the connection with 1009."""


class Resize(msgspec.Struct, frozen=True, tag="resize", tag_field="type"):
    """client -> hub: the terminal's size in characters."""

    cols: Annotated[int, Meta(ge=1, le=1000)]
    rows: Annotated[int, Meta(ge=1, le=1000)]


class Exit(msgspec.Struct, frozen=True, tag="exit", tag_field="type", rename="camel"):
    """hub -> client: the shell ended; None when its exit code is not known. The hub closes the connection."""

    exit_code: int | None


class Problem(msgspec.Struct, frozen=True, tag="error", tag_field="type"):
    """hub -> client: the terminal cannot go on. The hub closes the connection."""

    error: ErrorBody


_resizes: Final = msgspec.json.Decoder(Resize)


async def serve_shell(request: web.Request, session: ShellSession, leaving: asyncio.Event) -> web.WebSocketResponse:
    """Join a WebSocket and a shell until one of them ends; the shell ends with its connection."""
    socket = web.WebSocketResponse(heartbeat=HEARTBEAT_SECONDS, compress=False, max_msg_size=INPUT_FRAME_BYTES)
    terminal = _Terminal(socket, session)
    try:
        await socket.prepare(request)
        async with attended(terminal.forward_input, leaving.wait):
            await terminal.forward_output()
    finally:
        await session.close()
    with contextlib.suppress(ConnectionError):
        await terminal.finish(leaving)
    return socket


class _Terminal:
    def __init__(self, socket: web.WebSocketResponse, session: ShellSession) -> None:
        self._socket = socket
        self._session = session
        self._failure: HubError | None = None
        self._ended = False

    async def forward_output(self) -> None:
        try:
            async for data in self._session.output():
                await self._socket.send_bytes(data)
            self._ended = True
        except ConnectionError:
            raise
        except HubError as error:
            self._failure = error
        except Exception as error:  # noqa: BLE001
            self._failure = bug(error)

    async def forward_input(self) -> None:
        """Return when the client leaves or sends what cannot be understood."""
        try:
            async for message in self._socket:
                if message.type is WSMsgType.BINARY:
                    await self._session.send(message.data)
                elif message.type is WSMsgType.TEXT:
                    size = _resizes.decode(message.data)
                    await self._session.resize(size.cols, size.rows)
        except (msgspec.DecodeError, UnicodeError) as error:
            self._failure = BadRequest(f"text frames are `resize` messages: {error}", code="malformed_frame")
        except HubError as error:
            self._failure = error
        except Exception as error:  # noqa: BLE001
            self._failure = bug(error)

    async def finish(self, leaving: asyncio.Event) -> None:
        """Say how it ended, then close."""
        if self._failure is not None:
            await self._say(Problem(error_body(self._failure).error))
            code = WSCloseCode.INTERNAL_ERROR if self._failure.status >= 500 else WSCloseCode.POLICY_VIOLATION
        elif self._ended:
            await self._say(Exit(self._session.exit_code))
            code = WSCloseCode.OK
        else:
            code = WSCloseCode.GOING_AWAY if leaving.is_set() else WSCloseCode.OK
        await self._socket.close(code=code)

    async def _say(self, message: Exit | Problem) -> None:
        if not self._socket.closed:
            await self._socket.send_str(msgspec.json.encode(message).decode())
