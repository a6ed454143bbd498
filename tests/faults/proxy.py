"""A network between agent and hub that can be cut, frozen or made one-way, without either side being told."""

from __future__ import annotations

import asyncio
import contextlib
import enum
from collections.abc import AsyncIterator

CHUNK_BYTES = 64 * 1024


class Side(enum.Enum):
    """A direction of traffic."""

    UP = "agent to hub"
    DOWN = "hub to agent"


class FaultProxy:
    """Forwards TCP to `port` on loopback. Each direction flows until `hold`; what is held is kept in
    the sender's buffers, as packets that are sent again and again are."""

    def __init__(self, port: int) -> None:
        self.port = port
        """Where the hub listens now; a restarted hub may be elsewhere."""
        self.url = ""
        self.accepted = 0
        self._flows = {side: asyncio.Event() for side in Side}
        self._pairs: set[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = set()
        for flow in self._flows.values():
            flow.set()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[FaultProxy]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()
            self.heal()
            self.cut()
            while self._pairs:
                await asyncio.sleep(0.01)
            await server.wait_closed()

    def hold(self, *sides: Side) -> None:
        """Let nothing pass any more in these directions (both, when none is named): no bytes, no end."""
        for side in sides or tuple(Side):
            self._flows[side].clear()

    def heal(self) -> None:
        """Let everything pass, what was held first."""
        for flow in self._flows.values():
            flow.set()

    def cut(self) -> None:
        """Reset every connection."""
        for pair in self._pairs:
            for writer in pair:
                writer.transport.abort()

    @property
    def connections(self) -> int:
        return len(self._pairs)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        try:
            # A held network does not even let a connection come about.
            await self._flows[Side.UP].wait()
            hub_reader, hub_writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            writer.transport.abort()
            return
        pair = (writer, hub_writer)
        self._pairs.add(pair)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._carry(reader, hub_writer, Side.UP))
                group.create_task(self._carry(hub_reader, writer, Side.DOWN))
        finally:
            self._pairs.discard(pair)
            for end in pair:
                end.transport.abort()

    async def _carry(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, side: Side) -> None:
        try:
            while data := await source.read(CHUNK_BYTES):
                await self._flows[side].wait()
                target.write(data)
                await target.drain()
            await self._flows[side].wait()
            target.write_eof()
        except OSError:
            # A reset: whoever is on the other side learns of it when the network lets it through.
            await self._flows[side].wait()
            target.transport.abort()


@contextlib.asynccontextmanager
async def proxied(port: int) -> AsyncIterator[FaultProxy]:
    async with FaultProxy(port).running() as proxy:
        yield proxy
