"""The WebSocket endpoint of the agents: handshake, then frames until the link ends."""

from __future__ import annotations

import asyncio
from typing import NamedTuple, Protocol

from aiohttp import web

from hub.allowance import Allowance
from hub.clock import Clock
from hub.config import Limits, Timing
from hub.connections.link import PROTOCOL_ERROR, Link
from hub.connections.outbox import Outbox
from hub.connections.table import LinkTable
from hub.core.model import AgentId
from hub.errors import HubError, Unavailable
from hub.metrics import Metrics, Refusal
from runtime.wire import (
    CREDENTIAL_HEADER,
    FROM_AGENT,
    MAX_FRAME_BYTES,
    PROTOCOL_MAX,
    PROTOCOL_MIN,
    SUBPROTOCOL,
    Ack,
    Envelope,
    Error,
    Hello,
    Message,
    WireError,
    decode_envelope,
    decode_payload,
)

MAX_ERRORS = 32
"""Frames a peer may send that are not understood before the connection is closed."""
UNSUPPORTED_PROTOCOL = 4005


class Admission(NamedTuple):
    """Who was let in, and the SHA-256 of the credential that opened the door."""

    agent_id: AgentId
    credential: str


class Receiver(Protocol):
    """What the endpoint needs of the hub. Decisions are synchronous; only admission commits."""

    async def admit_agent(
        self, agent_id: str, secret: str | None, credential_sha256: str | None, remote: str
    ) -> Admission:
        """Let an agent in or raise Unauthorized, Forbidden, Unavailable; audits a refusal."""
        ...

    def agent_connected(self, link: Link, hello: Hello | None) -> None:
        """Give the link its epoch, register it and start what follows. May raise HubError."""
        ...

    def agent_unsupported(self, agent_id: AgentId, hello: Hello) -> None: ...

    def agent_heard(self, link: Link) -> None: ...

    def agent_frame(self, link: Link, envelope: Envelope, message: Message | None) -> None:
        """`message` is None for an application message. May raise HubError: told to the agent."""
        ...

    def agent_disconnected(self, link: Link) -> None: ...


class AgentServer:
    """Serves `/agent/{id}` on every listener."""

    def __init__(
        self,
        receiver: Receiver,
        table: LinkTable,
        clock: Clock,
        metrics: Metrics,
        limits: Limits,
        timing: Timing,
    ) -> None:
        self._receiver = receiver
        self._table = table
        self._clock = clock
        self._metrics = metrics
        self._limits = limits
        self._timing = timing
        self._unauthenticated = 0
        rate = limits.handshakes_per_second
        self._handshakes = Allowance(rate, rate, clock.now().mono)

    async def handle(self, request: web.Request, only_agent: str | None) -> web.StreamResponse:
        """Serve one connection from handshake to end. `only_agent` was checked by the listener.

        Raises HubError before the handshake: an HTTP answer.
        """
        self._check_load()
        admission = await self._admit(request)
        socket = web.WebSocketResponse(
            protocols=(SUBPROTOCOL,), compress=False, autoping=False, max_msg_size=MAX_FRAME_BYTES
        )
        await socket.prepare(request)
        link = Link(
            admission.agent_id,
            socket,
            request.transport,  # pyright: ignore[reportArgumentType] - a TCP or Unix transport
            Outbox(self._limits.outbox_frames, self._limits.outbox_bytes),
            lambda: self._clock.now().mono,
            self._timing.drain_seconds,
        )
        link.credential = admission.credential
        link.basic = socket.ws_protocol != SUBPROTOCOL
        link.remote, link.via = _ends(request)
        link.since_ms = self._clock.now().wall_ms
        async with asyncio.TaskGroup() as group:
            group.create_task(link.write(lambda ack: self._encode_ack(link, ack)))
            try:
                await self._serve(link)
            finally:
                link.close(1000, "")
        return socket

    async def _admit(self, request: web.Request) -> Admission:
        agent_id = request.match_info["id"]
        scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
        token = secret.strip() if scheme.lower() == "bearer" else request.match_info.get("token")
        self._unauthenticated += 1
        try:
            return await self._receiver.admit_agent(
                agent_id, token, request.headers.get(CREDENTIAL_HEADER), request.remote or "unix"
            )
        finally:
            self._unauthenticated -= 1

    def _check_load(self) -> None:
        """Refuse handshakes beyond the rate: a whole fleet may come back in one second."""
        crowded = self._unauthenticated >= self._limits.unauthenticated_sockets
        if crowded or not self._handshakes.take(self._clock.now().mono):
            self._metrics.handshake_refused(Refusal.OVERLOADED)
            raise Unavailable("too many agents connect at once", code="overloaded", retry_after_seconds=2.0)

    async def _serve(self, link: Link) -> None:
        hello: Hello | None = None
        if not link.basic and (hello := await self._hello(link)) is None:
            return
        try:
            self._receiver.agent_connected(link, hello)
        except HubError as exc:
            self._tell(link, exc.code, exc.message, None)
            link.close(PROTOCOL_ERROR, exc.code)
            return
        try:
            while (frame := await link.receive()) is not None:
                self._receiver.agent_heard(link)
                if frame:
                    self._on_frame(link, frame)
        finally:
            self._receiver.agent_disconnected(link)

    async def _hello(self, link: Link) -> Hello | None:
        """Wait for the first message, which must be a hello of a version that we speak."""
        try:
            async with asyncio.timeout(self._timing.handshake_seconds):
                frame = await link.receive()
                while frame == "":
                    frame = await link.receive()
        except TimeoutError:
            self._metrics.handshake_refused(Refusal.TIMEOUT)
            link.close(PROTOCOL_ERROR, "no hello")
            return None
        if frame is None:
            return None
        try:
            hello = decode_payload(self._open(link, frame), FROM_AGENT)
        except WireError as exc:
            self._tell(link, exc.code, exc.message, None)
            link.close(PROTOCOL_ERROR, exc.code)
            return None
        if not isinstance(hello, Hello):
            self._tell(link, "hello_expected", "the first message must be a hello", None)
            link.close(PROTOCOL_ERROR, "hello_expected")
            return None
        if hello.protocol.min > PROTOCOL_MAX or hello.protocol.max < PROTOCOL_MIN:
            spoken = f"this hub speaks protocol {PROTOCOL_MIN} to {PROTOCOL_MAX}"
            self._metrics.handshake_refused(Refusal.PROTOCOL)
            self._receiver.agent_unsupported(link.agent_id, hello)
            self._tell(link, "unsupported_protocol", spoken, None)
            link.close(UNSUPPORTED_PROTOCOL, "unsupported_protocol")
            return None
        link.protocol = min(hello.protocol.max, PROTOCOL_MAX)
        return hello

    def _on_frame(self, link: Link, frame: str) -> None:
        envelope: Envelope | None = None
        try:
            envelope = self._open(link, frame)
            message = None
            if envelope.type != "message":
                message = decode_payload(envelope, FROM_AGENT)
            self._receiver.agent_frame(link, envelope, message)
        except (WireError, HubError) as exc:
            # What is understood and refused, like a message that no policy allows, is no fault of the peer.
            link.errors += isinstance(exc, WireError)
            if envelope is None or envelope.type != "error":
                self._tell(link, exc.code, exc.message, envelope.id if envelope else None)
            if link.errors > MAX_ERRORS:
                link.close(PROTOCOL_ERROR, "too many errors")

    def _open(self, link: Link, frame: str) -> Envelope:
        self._metrics.message()
        envelope = decode_envelope(frame)
        if envelope.sender != link.agent_id:
            raise WireError("wrong_sender", f"`from` must be {link.agent_id}")
        return envelope

    def _tell(self, link: Link, code: str, message: str, reply_to: str | None) -> None:
        self._table.put(link, Error(code=code, message=message[:1000], reply_to=reply_to))

    def _encode_ack(self, link: Link, ack: Ack) -> str:
        return self._table.encode_ack(link, ack)


def _ends(request: web.Request) -> tuple[str, str]:
    """Return the other side's address and ours; a Unix socket has a path on our side only."""
    if request.transport is None:
        return "", ""
    remote, ours = (_address(request.transport.get_extra_info(name)) for name in ("peername", "sockname"))
    return remote or "unix socket", ours


def _address(name: object) -> str:
    """What the system calls one end: `(host, port, …)` or a path."""
    match name:
        case (str() as host, int() as port, *_):
            return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        case str():
            return name
        case _:
            return ""
