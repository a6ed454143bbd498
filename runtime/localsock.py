"""The agent's local socket: health for the container's check, messages from tasks.

One JSON object per line, one answer per line. Mode 0600: only the agent's own user.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final

import msgspec

from runtime.connection import LinkState, Phase
from runtime.localpath import local_socket_path
from runtime.messages import Mailbox, MessageRefused

MAX_REQUEST_BYTES: Final = 512 * 1024
MAX_WAIT_SECONDS: Final = 3600.0
LATE_SECONDS: Final = 10.0
"""Behind its own schedule by this much, a connection is stuck and the agent unhealthy."""


class HealthRequest(msgspec.Struct, frozen=True, tag_field="op", tag="health"):
    """Is the agent well?"""


class SendRequest(msgspec.Struct, frozen=True, tag_field="op", tag="send"):
    """Send `payload` to the agent `to`, and wait at most `wait_seconds` for the hub's word on it."""

    to: str
    payload: msgspec.Raw
    wait_seconds: Annotated[float, msgspec.Meta(ge=0, le=MAX_WAIT_SECONDS)] = 0.0


_requests: Final[msgspec.json.Decoder[HealthRequest | SendRequest]] = msgspec.json.Decoder(HealthRequest | SendRequest)


def is_on_schedule(state: LinkState, now: float) -> bool:
    """Return whether the connection is up, or is being tried as planned."""
    return state.phase is Phase.CONNECTED or now <= state.until + LATE_SECONDS


class LocalSocket:
    """Serves `health.sock`."""

    def __init__(self, state_dir: Path, link_state: Callable[[], LinkState], mailbox: Mailbox) -> None:
        self._path = local_socket_path(str(state_dir))
        self._link_state = link_state
        self._mailbox = mailbox
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen; whatever had the path before is replaced, because the state folder is locked."""
        self._remove()
        before = os.umask(0o177)
        try:
            self._server = await asyncio.start_unix_server(self._serve, self._path, limit=MAX_REQUEST_BYTES)
        finally:
            os.umask(before)

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._remove()

    def _remove(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                writer.write(msgspec.json.encode(await self._answer(line)) + b"\n")
                await writer.drain()
        except (OSError, ValueError):
            # The peer went away, or its line is longer than allowed: nobody is left to answer.
            return
        finally:
            writer.close()

    async def _answer(self, line: bytes) -> dict[str, object]:
        try:
            request = _requests.decode(line)
        except msgspec.MsgspecError as exc:
            return {"ok": False, "error": f"bad request: {exc}"}
        match request:
            case HealthRequest():
                state = self._link_state()
                healthy = is_on_schedule(state, time.monotonic())
                return {"ok": True, "healthy": healthy, "connection": state.phase.value, "reason": state.reason}
            case SendRequest():
                return await self._send(request)

    async def _send(self, request: SendRequest) -> dict[str, object]:
        try:
            message_id = self._mailbox.send(request.to, request.payload)
        except (MessageRefused, OSError) as exc:
            return {"ok": False, "error": str(exc)}
        try:
            refusal = await self._mailbox.wait_settled(message_id, request.wait_seconds)
        except TimeoutError:
            return {"ok": True, "id": message_id, "taken": False}
        if refusal is not None:
            return {"ok": False, "id": message_id, "code": refusal.code, "error": refusal.message}
        return {"ok": True, "id": message_id, "taken": True}
