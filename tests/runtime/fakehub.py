"""A small hub for tests of agents: one socket, configured answers, everything recorded.

It speaks the wire protocol and decides nothing: tests say what it sends and read what it got.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import http
import json
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from websockets.asyncio.server import ServerConnection, serve, unix_serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from runtime import wire
from runtime.wire import AttemptId
from tests.runtime.harness import PATIENCE_SECONDS

M = TypeVar("M", bound=wire.Message)


@dataclass
class Peer:
    """One agent's connection. `received` is every frame after the handshake, decoded."""

    socket: ServerConnection
    agent_id: str
    headers: Headers
    received: list[tuple[wire.Envelope, wire.Message | None]] = field(default_factory=list)
    closed: bool = False
    bytes_received: int = 0

    def of(self, kind: type[M]) -> list[M]:
        """Return the payloads of one type so far."""
        return [payload for _, payload in self.received if isinstance(payload, kind)]


@dataclass
class Door:
    """Who is let in, by token hash, as the protocol says of join tokens.

    `fail_after_bind`: crash (close without an answer) right after the next join token was bound.
    """

    tokens: set[str] = field(default_factory=set)
    join_tokens: dict[str, str | None] = field(default_factory=dict)
    fail_after_bind: bool = False
    refusals: int = 0
    refusal_headers: dict[str, str] = field(default_factory=dict)

    def admits(self, headers: Headers) -> bool:
        token = headers.get("Authorization", "").removeprefix("Bearer ")
        presented = headers.get(wire.CREDENTIAL_HEADER)
        if token in self.join_tokens and presented is not None:
            bound = self.join_tokens[token]
            if bound is None or bound == presented:
                self.join_tokens[token] = presented
                return True
            return False
        digest = hashlib.sha256(token.encode()).hexdigest()
        return token in self.tokens or digest in {bound for bound in self.join_tokens.values() if bound}


class FakeHub:
    """A configured hub; see the fields. Use `running()`.

    Args:
        auto_ack: acknowledge output and responses as they come.
    """

    def __init__(self, *, auto_ack: bool = True, door: Door | None = None) -> None:
        self.auto_ack = auto_ack
        self.door = door if door is not None else Door(tokens={"ctu_test"})
        self.welcome: Callable[[wire.Hello], wire.Welcome | None] = lambda _hello: wire.Welcome(
            reconnect_spread_seconds=0.01
        )
        self.refuse_with: tuple[int, dict[str, str]] | None = None
        self.peers: list[Peer] = []
        self.handshakes: list[Headers] = []
        self.output: dict[AttemptId, bytearray] = {}
        self.skipped: dict[AttemptId, int] = {}
        self._changed = asyncio.Condition()
        self._count = 0

    # --- life ---

    @contextlib.asynccontextmanager
    async def running(
        self, socket_path: Path | None = None, *, ssl_context: ssl.SSLContext | None = None
    ) -> AsyncIterator[str]:
        """Serve on a Unix socket, or on a free loopback port; yields the HUB_URL."""
        options: dict[str, Any] = {
            "process_request": self._process_request,
            "subprotocols": [Subprotocol(wire.SUBPROTOCOL)],
            "compression": None,
            "max_size": wire.MAX_FRAME_BYTES,
            "close_timeout": 0.5,
        }
        if socket_path is not None:
            async with unix_serve(self._serve, str(socket_path), **options):
                yield f"unix:{socket_path}"
        else:
            async with serve(self._serve, "127.0.0.1", 0, ssl=ssl_context, **options) as server:
                port = next(iter(server.sockets)).getsockname()[1]
                yield f"{'ws' if ssl_context is None else 'wss'}://127.0.0.1:{port}"

    def drop(self) -> None:
        """Break every connection without a close frame, as a killed hub does."""
        for peer in self.peers:
            peer.socket.transport.abort()

    # --- what a test does ---

    @property
    def peer(self) -> Peer:
        """The newest connection."""
        return self.peers[-1]

    async def send(
        self, payload: wire.Message | dict[str, Any], *, kind: str | None = None, sender: str = "hub"
    ) -> str:
        """Send to the newest connection and return the envelope id."""
        self._count += 1
        message_id = f"hub-{self._count}"
        frame = wire.encode(
            payload, sender=sender, to=self.peer.agent_id, message_id=message_id, timestamp_ms=0, kind=kind
        )
        await self.peer.socket.send(frame)
        return message_id

    async def submit(self, attempt: str, spec: wire.TaskSpec | dict[str, Any], **options: Any) -> AttemptId:
        """Send a task; `attempt` is `task:n`."""
        attempt_id = AttemptId(attempt)
        frame = wire.TaskFrame(task_id=attempt.split(":")[0], attempt_id=attempt_id, **options)
        await self.send(msgspec.to_builtins(spec) | msgspec.to_builtins(frame), kind="task")
        return attempt_id

    async def run(self, attempt: str, spec: wire.TaskSpec | dict[str, Any], **options: Any) -> wire.Response:
        """Send a task and wait for its response."""
        return await self.wait_response(await self.submit(attempt, spec, **options))

    async def wait_until(self, condition: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> None:
        """Wait until something the hub saw makes the condition true."""
        async with asyncio.timeout(seconds), self._changed:
            await self._changed.wait_for(condition)

    async def wait_connected(self, count: int = 1, seconds: float = PATIENCE_SECONDS) -> Peer:
        """Wait for the `count`-th welcomed connection."""
        await self.wait_until(lambda: len(self.peers) >= count and bool(self.peers[count - 1].of(wire.Hello)), seconds)
        return self.peers[count - 1]

    async def wait_response(self, attempt_id: AttemptId, seconds: float = PATIENCE_SECONDS) -> wire.Response:
        """Wait for the response of an attempt, on any connection."""
        await self.wait_until(lambda: bool(self.responses(attempt_id)), seconds)
        return self.responses(attempt_id)[0]

    def responses(self, attempt_id: AttemptId) -> list[wire.Response]:
        """Return all responses of an attempt that have come so far."""
        return [r for peer in self.peers for r in peer.of(wire.Response) if r.attempt_id == attempt_id]

    def accepted(self, attempt_id: AttemptId) -> int:
        """Return how often the attempt was reported accepted."""
        return sum(a.attempt_id == attempt_id for peer in self.peers for a in peer.of(wire.Accepted))

    def agent_log(self) -> list[wire.Log]:
        """Return the agent's own log lines."""
        return [log for peer in self.peers for log in peer.of(wire.Log) if log.attempt_id is None]

    # --- inside ---

    def _process_request(self, _socket: ServerConnection, request: Request) -> Response | None:
        self.handshakes.append(request.headers)
        if self.refuse_with is not None:
            status, headers = self.refuse_with
            return _answer(status, headers)
        if not self.door.admits(request.headers):
            self.door.refusals += 1
            return _answer(401, self.door.refusal_headers)
        if self.door.fail_after_bind and wire.CREDENTIAL_HEADER in request.headers:
            self.door.fail_after_bind = False
            return _answer(503, {})
        return None

    async def _serve(self, socket: ServerConnection) -> None:
        assert socket.request is not None
        agent_id = socket.request.path.rsplit("/", 1)[-1]
        peer = Peer(socket, agent_id, socket.request.headers)
        self.peers.append(peer)
        try:
            async for text in socket:
                await self._take(peer, text)
        except ConnectionClosed:
            pass
        finally:
            peer.closed = True
            await self._notify()

    async def _take(self, peer: Peer, text: str | bytes) -> None:
        peer.bytes_received += len(text)
        assert len(text) <= wire.MAX_SENT_FRAME_BYTES
        envelope = wire.decode_envelope(text)
        assert envelope.sender == peer.agent_id
        known = envelope.type in wire.FROM_AGENT
        payload = wire.decode_payload(envelope, wire.FROM_AGENT) if known else None
        if isinstance(payload, wire.Log) and payload.attempt_id is not None:
            self._store(payload)
        peer.received.append((envelope, payload))
        if isinstance(payload, wire.Hello):
            welcome = self.welcome(payload)
            if welcome is not None:
                await self.send(welcome)
        elif self.auto_ack:
            await self._ack(peer, envelope, payload)
        await self._notify()

    def _store(self, log: wire.Log) -> None:
        """Keep output as a hub does: overlaps ignored, a gap only where the agent says so."""
        assert log.attempt_id is not None
        raw = base64.b64decode(log.data) if log.encoding is wire.Encoding.BASE64 else log.data.encode()
        assert len(raw) <= wire.MAX_LOG_CHUNK_BYTES
        kept = self.output.setdefault(log.attempt_id, bytearray())
        end = len(kept) + self.skipped.get(log.attempt_id, 0)
        if log.offset + len(raw) <= end:
            return
        if log.offset > end:
            assert log.skipped == log.offset - end, f"unmarked gap at {end}: {log.offset}, {log.skipped}"
            self.skipped[log.attempt_id] = self.skipped.get(log.attempt_id, 0) + log.skipped
            end = log.offset
        kept += raw[end - log.offset :]

    async def _ack(self, peer: Peer, envelope: wire.Envelope, payload: wire.Message | None) -> None:
        with contextlib.suppress(ConnectionClosed):
            if isinstance(payload, wire.Response) and payload.attempt_id is not None:
                await self.send(wire.Ack(responses=[payload.attempt_id]))
            elif isinstance(payload, wire.Log) and payload.attempt_id is not None:
                await self.send(wire.Ack(output={payload.attempt_id: self.offset(payload.attempt_id)}))
            elif envelope.type == "message":
                await self.send(wire.Ack(messages=[envelope.id]))

    def offset(self, attempt_id: AttemptId) -> int:
        """Return how far the hub holds an attempt's output."""
        return len(self.output.get(attempt_id, b"")) + self.skipped.get(attempt_id, 0)

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()


def _answer(status: int, headers: dict[str, str]) -> Response:
    body = json.dumps({"error": {"code": "refused"}}).encode()
    fields = Headers({"Content-Type": "application/json", "Content-Length": str(len(body)), **headers})
    return Response(status, http.HTTPStatus(status).phrase, fields, body)
