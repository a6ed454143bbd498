"""One live WebSocket of an agent: reading, writing in order, and telling a dead peer from a slow one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiohttp import ClientConnectionResetError, WSCloseCode, WSMessage, WSMsgType, web

from hub.connections.outbox import Control, Outbox, OutboxFull
from hub.core.model import AgentId
from runtime.wire import Ack

CLEAN_CODES = frozenset({WSCloseCode.OK, WSCloseCode.GOING_AWAY})
PROTOCOL_ERROR = 4400


class Link:
    """A connection. `epoch` is 0 until the hub accepted it; `basic` agents speak no subprotocol."""

    def __init__(
        self,
        agent_id: AgentId,
        socket: web.WebSocketResponse,
        transport: asyncio.Transport | None,
        outbox: Outbox,
        now: Callable[[], float],
        goodbye_seconds: float,
    ) -> None:
        """A peer that has not taken its last frames and the close after `goodbye_seconds` is cut off."""
        self.agent_id = agent_id
        self.epoch = 0
        self.basic = False
        self.credential = ""
        """SHA-256 of the credential that opened the door; it is looked at again when the hello comes."""
        self.remote = self.via = ""
        """Who dialled, and at which of our addresses; a path for a Unix socket."""
        self.since_ms = 0
        """When it was let in, in ms since the epoch."""
        self.protocol: int | None = None
        """The version that both speak; None for basic agents."""
        self.latency_seconds: float | None = None
        """Of the last ping that was answered; only agents that are silent are pinged."""
        self.said_bye = False
        self.errors = 0
        self.heard_at = now()
        self.pinged_at: float | None = None
        self._socket = socket
        self._transport = transport
        self._outbox = outbox
        self._now = now
        self._goodbye_seconds = goodbye_seconds
        self._close_with: tuple[int, str] = (WSCloseCode.OK, "")
        self._closing = False
        self._aborted = False
        self._patience: asyncio.Timeout | None = None

    @property
    def outbox(self) -> Outbox:
        """What waits to be written, to look at."""
        return self._outbox

    @property
    def closed_cleanly(self) -> bool:
        """True when the agent ended the connection on purpose."""
        return not self._aborted and (self.said_bye or self._socket.close_code in CLEAN_CODES)

    # --- writing

    def send(self, frame: str | Control) -> bool:
        """Put a frame into the outbox; False when that was full and the link is closed."""
        try:
            self._outbox.put(frame, self._now())
        except OutboxFull:
            self.abort()
            return False
        return True

    def acknowledge(self, ack: Ack) -> None:
        """Tell the agent as soon as it reads; one that only sends is cut off."""
        try:
            self._outbox.acknowledge(ack)
        except OutboxFull:
            self.abort()

    def close(self, code: int, reason: str) -> None:
        """End the connection after what is in the outbox; the close frame carries the first `reason`."""
        if self._closing:
            return
        self._closing = True
        self._close_with = (code, reason)
        self._outbox.close()
        if self._patience is not None:
            self._patience.reschedule(asyncio.get_running_loop().time() + self._goodbye_seconds)

    def abort(self) -> None:
        """End the connection at once: the peer is dead or does not read."""
        self._aborted = True
        self._outbox.close()
        if self._transport is not None:
            self._transport.abort()

    async def write(self, encode_ack: Callable[[Ack], str]) -> None:
        """Write the outbox until the link is closed."""
        try:
            async with asyncio.timeout(self._goodbye_seconds if self._closing else None) as self._patience:
                await self._write_all(encode_ack)
        except (ClientConnectionResetError, ConnectionError):
            # The reader sees the same end and reports it.
            return
        except TimeoutError:
            self.abort()
        finally:
            self._patience = None

    async def _write_all(self, encode_ack: Callable[[Ack], str]) -> None:
        while await self._outbox.wait_ready():
            if (ack := self._outbox.take_ack()) is not None:
                await self._socket.send_str(encode_ack(ack))
            while (frame := self._outbox.take()) is not None:
                await self._write_one(frame)
        code, reason = self._close_with
        await self._socket.close(code=code, message=reason.encode()[:120])

    async def _write_one(self, frame: str | Control) -> None:
        if isinstance(frame, str):
            await self._socket.send_str(frame)
        elif frame.opcode == "ping":
            await self._socket.ping(frame.data)
        else:
            await self._socket.pong(frame.data)

    # --- reading

    async def receive(self) -> str | None:
        """The next text frame; None at the end. Pings are answered, pongs noted."""
        while True:
            message: WSMessage = await self._socket.receive()
            if message.type is WSMsgType.PONG and self.pinged_at is not None:
                self.latency_seconds = self._now() - self.pinged_at
            self.heard_at, self.pinged_at = self._now(), None
            match message.type:
                case WSMsgType.TEXT:
                    return message.data
                case WSMsgType.PONG:
                    return ""
                case WSMsgType.PING:
                    self.send(Control("pong", message.data))
                case WSMsgType.BINARY:
                    self.close(WSCloseCode.UNSUPPORTED_DATA, "frames are JSON text")
                    return None
                case _:
                    return None

    def check_alive(self, ping_seconds: float, pong_seconds: float) -> None:
        """Ping a silent peer, and abort one that did not answer the ping in time."""
        now = self._now()
        if self.pinged_at is not None:
            if now - self.pinged_at >= pong_seconds:
                self.abort()
        elif now - self.heard_at >= ping_seconds:
            self.pinged_at = now
            self.send(Control("ping"))
