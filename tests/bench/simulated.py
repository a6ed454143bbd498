"""Many agents in one process, as far as the hub can see: `python -m tests.bench.simulated URL TOKENS`.

Real frames over real sockets: the handshake with its token, hello, health at the interval that the
welcome names, pings and pongs, and the runtime's own backoff when the hub is gone. They run no
tasks. TOKENS is a JSON file {agent id: token}. Every second one line of JSON goes to stdout:
{"online": how many are welcomed, "welcomes": [monotonic seconds of each welcome since the last line]}.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
import uuid
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from runtime import wire
from runtime.backoff import Backoff

PING_SECONDS = 20.0
REPORT_SECONDS = 1.0
STARTS_PER_SECOND = 250.0
"""At the very start they come one after the other, as agents that are created do; later losses hit all at once."""
HEALTH = wire.Health(
    cpu=wire.Cpu(cores=0.31, limit=2.0),
    memory=wire.Memory(used=412_345_678, limit=4 * 1024**3),
    disk=wire.Disk(used=23_456_789_012, total=252_000_000_000),
    network=wire.Network(rx=123_456_789, tx=98_765_432),
    load=0.42,
    processes=17,
    uptime_seconds=4321.5,
)


class Fleet:
    """All agents of this process, and what is reported of them."""

    def __init__(self, url: str, chance: random.Random) -> None:
        parts = urlsplit(url)
        self.host, self.port = parts.hostname or "127.0.0.1", parts.port or 80
        self.url = url
        self.chance = chance
        self.online = 0
        self.welcomes: list[float] = []

    async def run(self, tokens: dict[str, str]) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._report())
            for agent_id, token in tokens.items():
                group.create_task(SimulatedAgent(self, agent_id, token).run())
                await asyncio.sleep(1 / STARTS_PER_SECOND)

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(REPORT_SECONDS)
            welcomes, self.welcomes = self.welcomes, []
            line = msgspec.json.encode({"online": self.online, "welcomes": welcomes})
            sys.stdout.buffer.write(line + b"\n")
            sys.stdout.buffer.flush()


class SimulatedAgent:
    """Dials, serves until the connection ends, waits as the runtime would, dials again."""

    def __init__(self, fleet: Fleet, agent_id: str, token: str) -> None:
        self.fleet = fleet
        self.agent_id = agent_id
        self.token = token
        self.instance = str(uuid.uuid4())
        self.backoff = Backoff(fleet.chance)

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                _, link = await loop.create_connection(lambda: Link(self), self.fleet.host, self.fleet.port)
                await link.ended
            except OSError as error:
                if error.errno is None:
                    raise
            await asyncio.sleep(self.backoff.next_delay())


class Link(asyncio.Protocol):
    """One connection of a simulated agent."""

    def __init__(self, agent: SimulatedAgent) -> None:
        self._agent = agent
        self._fleet = agent.fleet
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[None] = self._loop.create_future()
        self._socket = ClientProtocol(
            parse_uri(f"{self._fleet.url}/agent/{agent.agent_id}"),
            subprotocols=[Subprotocol(wire.SUBPROTOCOL)],
            max_size=wire.MAX_FRAME_BYTES,
        )
        self._welcomed_at: float | None = None
        self._interval_seconds = 30.0
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        request = self._socket.connect()
        request.headers["Authorization"] = f"Bearer {self._agent.token}"
        self._socket.send_request(request)
        self._flush()

    def data_received(self, data: bytes) -> None:
        self._socket.receive_data(data)
        for event in self._socket.events_received():
            if isinstance(event, Response):
                self._handshaken(event)
            elif isinstance(event, Frame) and event.opcode is Opcode.TEXT:
                self._received(bytes(event.data))
        self._flush()

    def eof_received(self) -> bool:
        self._socket.receive_eof()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in self._timers.values():
            timer.cancel()
        if self._welcomed_at is not None:
            self._fleet.online -= 1
            self._agent.backoff.lost(time.monotonic() - self._welcomed_at)
        if not self.ended.done():
            self.ended.set_result(None)

    def _handshaken(self, answer: Response) -> None:
        if self._socket.handshake_exc is not None:
            self._agent.backoff.hold_off(float(answer.headers.get("Retry-After", "0")))
            self._transport.close()
            return
        spoken = wire.ProtocolRange(wire.PROTOCOL_MIN, wire.PROTOCOL_MAX)
        self._send(wire.Hello(protocol=spoken, instance=self._agent.instance, version="bench", concurrency=4))

    def _received(self, frame: bytes) -> None:
        envelope = wire.decode_envelope(frame)
        payload = wire.decode_payload(envelope, wire.FROM_HUB)
        if isinstance(payload, wire.Welcome):
            self._welcomed_at = time.monotonic()
            self._fleet.online += 1
            self._fleet.welcomes.append(self._welcomed_at)
            self._agent.backoff.welcomed(payload.reconnect_spread_seconds)
            self._interval_seconds = payload.health_interval_seconds
            self._report_health()
            self._timers["ping"] = self._loop.call_later(PING_SECONDS, self._ping)
        elif isinstance(payload, wire.Goaway):
            self._agent.backoff.hold_off(payload.retry_after_ms / 1000)
        elif isinstance(payload, wire.Error):
            raise RuntimeError(f"the hub refused a frame of {self._agent.agent_id}: {payload.code} {payload.message}")

    def _report_health(self) -> None:
        self._send(HEALTH)
        pause = self._interval_seconds * self._fleet.chance.uniform(0.9, 1.1)
        self._timers["health"] = self._loop.call_later(pause, self._report_health)

    def _ping(self) -> None:
        self._socket.send_ping(b"")
        self._flush()
        self._timers["ping"] = self._loop.call_later(PING_SECONDS, self._ping)

    def _send(self, message: wire.Message) -> None:
        frame = wire.encode(
            message,
            sender=self._agent.agent_id,
            to=wire.HUB_ADDRESS,
            message_id=str(uuid.uuid4()),
            timestamp_ms=time.time_ns() // 1_000_000,
        )
        self._socket.send_text(frame.encode())
        self._flush()

    def _flush(self) -> None:
        for data in self._socket.data_to_send():
            if data:
                self._transport.write(data)
            elif self._transport.can_write_eof():
                self._transport.write_eof()


def main() -> None:
    url, tokens_file = sys.argv[1:3]
    tokens = msgspec.json.decode(Path(tokens_file).read_bytes(), type=dict[str, str])
    asyncio.run(Fleet(url, random.Random()).run(tokens))


if __name__ == "__main__":
    main()
