"""The agent's one WebSocket: dial, prove, greet, carry frames, dial again.

The connection knows nothing of tasks. It tells its handler when a socket is open (the handler
sends `hello`), hands it every frame, and tells it when the socket is gone. Frames are sent in the
order they were queued by one sender; nothing waits for a round trip.
"""

from __future__ import annotations

import asyncio
import enum
import time
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

import msgspec
from websockets.asyncio.client import ClientConnection, connect, unix_connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI
from websockets.typing import Subprotocol

from runtime import wire
from runtime.address import Address, AddressError, find_address
from runtime.backoff import SUPERSEDED_SECONDS, Backoff
from runtime.credentials import CredentialError, Credentials, Presentation
from runtime.logs import AgentLog
from runtime.settings import Settings

OPEN_SECONDS: Final = 10.0
"""From dialling to the end of the WebSocket handshake."""
WELCOME_SECONDS: Final = 15.0
"""From `hello` to `welcome`."""
PING_SECONDS: Final = 20.0
"""Between pings, and for each pong (protocol, rule 6)."""
CLOSE_SECONDS: Final = 3.0
REFUSED_STATUSES: Final = (401, 403)
"""The hub does not believe who we are; another proof may help."""


class Phase(enum.Enum):
    """Where the connection is. `since` and `until` in `LinkState` are monotonic seconds."""

    DIALLING = "dialling"
    CONNECTED = "connected"
    WAITING = "waiting"


@dataclass(frozen=True, slots=True)
class LinkState:
    phase: Phase
    since: float
    until: float
    reason: str = ""


class Handler(Protocol):
    """What the connection reports to; called in the event loop, must not block."""

    def opened(self) -> None: ...
    def received(self, frame: bytes) -> None: ...
    def lost(self) -> None: ...


class Refused(Exception):
    """The hub did not take the connection. `retry_after_seconds` as it asked."""

    def __init__(self, message: str, *, unproven: bool, retry_after_seconds: float) -> None:
        super().__init__(message)
        self.unproven = unproven
        self.retry_after_seconds = retry_after_seconds


class Connection:
    """Keeps one WebSocket to the hub alive until it is cancelled."""

    def __init__(
        self,
        settings: Settings,
        credentials: Credentials,
        backoff: Backoff,
        handler: Handler,
        log: AgentLog,
        clock: Callable[[], float] = time.monotonic,
        ping_seconds: float | None = None,
    ) -> None:
        self._settings = settings
        self._credentials = credentials
        self._backoff = backoff
        self._handler = handler
        self._log = log
        self._clock = clock
        self._ping_seconds = PING_SECONDS if ping_seconds is None else ping_seconds
        self._outbox: deque[str] = deque()
        self._outbox_bytes = 0
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._open = False
        self._socket: ClientConnection | None = None
        self._welcomed_at: float | None = None
        self.state = LinkState(Phase.DIALLING, clock(), clock() + OPEN_SECONDS)

    # --- for the agent ---

    @property
    def welcomed(self) -> bool:
        """Whether the hub has taken this connection's `hello`."""
        return self._welcomed_at is not None

    @property
    def queued_bytes(self) -> int:
        """Bytes that wait for the socket."""
        return self._outbox_bytes

    def send(
        self,
        payload: wire.Message | msgspec.Raw | dict[str, Any],
        *,
        kind: str | None = None,
        to: str = wire.HUB_ADDRESS,
        message_id: str | None = None,
    ) -> None:
        """Queue a frame for the open socket; without one it is dropped, and resent by its owner.

        Raises:
            WireError: `too_large`.
        """
        if not self._open:
            return
        frame = wire.encode(
            payload,
            sender=self._settings.agent_id,
            to=to,
            message_id=message_id or str(uuid.uuid4()),
            timestamp_ms=time.time_ns() // 1_000_000,
            kind=kind,
        )
        self._outbox.append(frame)
        self._outbox_bytes += len(frame)
        self._wake.set()

    def welcome_received(self, welcome: wire.Welcome) -> None:
        """Note that the hub has taken us."""
        self._welcomed_at = self._clock()
        self._backoff.welcomed(welcome.reconnect_spread_seconds)
        self._set(Phase.CONNECTED, 0.0)

    def goaway_received(self, goaway: wire.Goaway) -> None:
        """Note that the hub will close, and how long to stay away."""
        seconds = goaway.retry_after_ms / 1000
        if goaway.reason is wire.GoawayReason.SUPERSEDED:
            seconds = max(seconds, SUPERSEDED_SECONDS)
        self._backoff.hold_off(seconds)
        self._log.info("goaway", reason=goaway.reason.value, retry_after_ms=goaway.retry_after_ms)

    async def leave(self, reason: str) -> None:
        """Say goodbye, give everything queued to the socket, and close it cleanly."""
        self.send(wire.Bye(reason))
        while self._outbox and self._open:
            self._room.clear()
            await self._room.wait()
        if self._socket is not None:
            await self._socket.close(1000, reason)

    # --- the loop ---

    async def run(self) -> None:
        """Dial, serve, wait, dial again; until cancelled."""
        while True:
            again_at_once = await self._dial_once()
            if again_at_once:
                continue
            delay = self._backoff.next_delay()
            self._set(Phase.WAITING, delay, self.state.reason)
            await asyncio.sleep(delay)

    async def _dial_once(self) -> bool:
        """Make one connection and serve it to its end; return whether to dial again without a wait."""
        self._set(Phase.DIALLING, OPEN_SECONDS + WELCOME_SECONDS)
        presentation: Presentation | None = None
        try:
            presentation = self._credentials.present()
            async with self._connector(find_address(self._settings), presentation) as socket:
                self._credentials.accepted(presentation)
                await self._serve(socket)
        except InvalidStatus as exc:
            refusal = _refusal(exc)
            self._backoff.hold_off(refusal.retry_after_seconds)
            self._note_failure(str(refusal))
            return refusal.unproven and presentation is not None and self._credentials.refused(presentation)
        except (OSError, TimeoutError, InvalidHandshake, InvalidURI, ConnectionClosed) as exc:
            self._note_failure(f"{type(exc).__name__}: {exc}")
        except (AddressError, CredentialError) as exc:
            self._note_failure(str(exc))
        return False

    def _connector(self, address: Address, presentation: Presentation) -> connect:
        options: dict[str, Any] = {
            "additional_headers": presentation.headers(),
            "subprotocols": [Subprotocol(wire.SUBPROTOCOL)],
            "compression": None,
            "max_size": wire.MAX_FRAME_BYTES,
            "open_timeout": OPEN_SECONDS,
            "close_timeout": CLOSE_SECONDS,
            "ping_interval": self._ping_seconds,
            "ping_timeout": self._ping_seconds,
            # The hub is dialled directly: a proxy in the environment is for the tasks.
            "proxy": None,
            "ssl": address.context,
        }
        if address.socket is not None:
            return unix_connect(address.socket, address.url, **options)
        return connect(address.url, **options)

    async def _serve(self, socket: ClientConnection) -> None:
        """Carry frames until the socket closes."""
        if socket.subprotocol != wire.SUBPROTOCOL:
            raise InvalidHandshake(f"the server does not speak {wire.SUBPROTOCOL}")
        self._outbox.clear()
        self._outbox_bytes = 0
        self._open = True
        self._socket = socket
        try:
            async with asyncio.TaskGroup() as group:
                sender = group.create_task(self._send_all(socket), name="sender")
                watchdog = group.create_task(self._close_without_welcome(socket), name="watchdog")
                self._handler.opened()
                await self._receive_all(socket)
                sender.cancel()
                watchdog.cancel()
        finally:
            self._open = False
            self._socket = None
            self._room.set()
            welcomed_at, self._welcomed_at = self._welcomed_at, None
            if welcomed_at is not None:
                self._backoff.lost(self._clock() - welcomed_at)
                self._log.info("disconnected", code=socket.close_code, reason=socket.close_reason)
            self._handler.lost()

    async def _receive_all(self, socket: ClientConnection) -> None:
        try:
            while True:
                self._handler.received(await socket.recv(decode=False))
        except ConnectionClosed:
            return

    async def _send_all(self, socket: ClientConnection) -> None:
        outbox = self._outbox
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while outbox:
                    frame = outbox.popleft()
                    self._outbox_bytes -= len(frame)
                    await socket.send(frame)
                self._room.set()
        except ConnectionClosed:
            return

    async def _close_without_welcome(self, socket: ClientConnection) -> None:
        await asyncio.sleep(WELCOME_SECONDS)
        if not self.welcomed:
            self._log.warning("no_welcome", seconds=WELCOME_SECONDS)
            await socket.close(1002, "no welcome")

    def _set(self, phase: Phase, seconds: float, reason: str = "") -> None:
        now = self._clock()
        self.state = LinkState(phase, now, now + seconds, reason)

    def _note_failure(self, reason: str) -> None:
        if reason != self.state.reason:
            self._log.warning("connect_failed", reason=reason)
        self._set(Phase.WAITING, 0.0, reason)


def _refusal(error: InvalidStatus) -> Refused:
    status = error.response.status_code
    body = (error.response.body or b"")[:200].decode(errors="replace").strip()
    try:
        retry_after = float(error.response.headers.get("Retry-After", "0"))
    except ValueError:
        retry_after = 0.0  # an HTTP date; our hub sends seconds
    message = f"the hub answered {status}" + (f": {body}" if body else "")
    return Refused(message, unproven=status in REFUSED_STATUSES, retry_after_seconds=max(retry_after, 0.0))
