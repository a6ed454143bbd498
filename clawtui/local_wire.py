"""HTTP/1.1 to a hub on this machine: one connection per request, no TLS, no proxies, quick to load."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from typing import Final
from urllib.parse import urlsplit

import h11

from clawtui.address import START_HINT, Address
from clawtui.errors import ConnectionLost, NoHub
from clawtui.exchange import Answer, Ask
from hub.errors import Unavailable

READ_BYTES: Final = 64 * 1024


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except TimeoutError as exc:
        raise Unavailable("the hub did not answer in time", code="timeout") from exc
    except (OSError, h11.ProtocolError) as exc:
        raise ConnectionLost(f"the hub went away in the middle: {exc or type(exc).__name__}") from exc


class LocalWire:
    """To one address; see `clawtui.exchange.Wire`."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._url = urlsplit(address.url)

    async def close(self) -> None:
        """Every exchange closes its own connection."""

    @contextlib.asynccontextmanager
    async def exchange(self, ask: Ask) -> AsyncIterator[Answer]:
        reader, writer = await self._connect(ask.timeout_seconds)
        http = h11.Connection(h11.CLIENT)
        try:
            with _translated():
                async with asyncio.timeout(ask.timeout_seconds):
                    await self._send(http, writer, ask)
                    head = await _next_event(http, reader)
                    while isinstance(head, h11.InformationalResponse):
                        head = await _next_event(http, reader)
            if not isinstance(head, h11.Response):
                raise ConnectionLost("the hub closed the connection without an answer")
            headers = dict(head.headers)
            retry_after = headers.get(b"retry-after", b"").decode("latin-1") or None
            async with contextlib.aclosing(_body(http, reader, ask)) as pieces:
                yield Answer(head.status_code, retry_after, pieces)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _connect(self, timeout_seconds: float) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        try:
            async with asyncio.timeout(timeout_seconds):
                if self._address.socket is not None:
                    return await asyncio.open_unix_connection(self._address.socket)
                return await asyncio.open_connection(self._url.hostname, self._url.port or 80)
        except OSError as exc:
            where = self._address.socket or self._address.url
            raise NoHub(f"no hub answers on {where}: {exc.strerror or exc}", hint=START_HINT) from exc

    async def _send(self, http: h11.Connection, writer: asyncio.StreamWriter, ask: Ask) -> None:
        headers = {
            "Host": self._url.netloc,
            "Connection": "close",
            "Content-Length": str(len(ask.content)),
            **self._address.headers,
            **ask.headers,
        }
        target = self._url.path.rstrip("/") + ask.path
        request = h11.Request(method=ask.method, target=target, headers=list(headers.items()))
        for event in (request, h11.Data(data=ask.content), h11.EndOfMessage()):
            if data := http.send(event):
                writer.write(data)
        await writer.drain()


async def _next_event(http: h11.Connection, reader: asyncio.StreamReader) -> object:
    """The next event that is not `NEED_DATA`."""
    while (event := http.next_event()) is h11.NEED_DATA:
        http.receive_data(await reader.read(READ_BYTES))
    return event


async def _body(http: h11.Connection, reader: asyncio.StreamReader, ask: Ask) -> AsyncGenerator[bytes, None]:
    while True:
        with _translated():
            async with asyncio.timeout(None if ask.endless else ask.timeout_seconds):
                event = await _next_event(http, reader)
        if not isinstance(event, h11.Data):
            return
        yield bytes(event.data)
