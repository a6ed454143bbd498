"""HTTP/1.1 to a hub on this machine, against servers that answer as they like."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from clawtui.address import Address
from clawtui.errors import ConnectionLost, NoHub
from clawtui.exchange import Ask
from clawtui.local_wire import LocalWire
from hub.errors import Unavailable

ASK = Ask("GET", "/x?a=b", {"X-Mine": "1"}, b"", timeout_seconds=5.0)


@pytest.fixture
def socket() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="wire-") as folder:
        yield Path(folder) / "hub.sock"


class Server:
    """Reads a request's head, says `answer`, and closes unless it `hangs`."""

    def __init__(self, answer: bytes, *, hangs: bool = False) -> None:
        self.answer = answer
        self.hangs = hangs
        self.heard = b""
        self.left = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heard = await reader.readuntil(b"\r\n\r\n")
        writer.write(self.answer)
        await writer.drain()
        if self.hangs:
            await reader.read()
        self.left.set()
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


@contextlib.asynccontextmanager
async def serving(server: Server, socket: Path) -> AsyncIterator[LocalWire]:
    async with await asyncio.start_unix_server(server.serve, socket):
        yield LocalWire(Address("http://hub", socket, "ctu_x"))


async def exchanged(server: Server, socket: Path, ask: Ask = ASK) -> tuple[int, str | None, bytes]:
    async with serving(server, socket) as wire, wire.exchange(ask) as answer:
        return answer.status, answer.retry_after, b"".join([piece async for piece in answer.pieces])


OK = b"HTTP/1.1 200 OK\r\n"


async def test_the_request_is_what_was_asked(socket: Path) -> None:
    server = Server(OK + b"Content-Length: 2\r\n\r\nhi")
    assert await exchanged(server, socket) == (200, None, b"hi")
    head = server.heard.decode().splitlines()
    assert head[0] == "GET /x?a=b HTTP/1.1"
    assert {"Host: hub", "Authorization: Bearer ctu_x", "X-Mine: 1", "Connection: close"} <= set(head)


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n", b"abc"),
        (b"\r\nuntil the end", b"until the end"),
        (b"Content-Length: 0\r\n\r\n", b""),
    ],
)
async def test_a_body_may_come_in_every_form(socket: Path, answer: bytes, body: bytes) -> None:
    assert (await exchanged(Server(OK + answer), socket))[2] == body


async def test_what_comes_before_the_answer_is_passed_over(socket: Path) -> None:
    answer = b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 429 No\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n"
    assert await exchanged(Server(answer), socket) == (429, "7", b"")


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"garbage\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Len",
        OK + b"Content-Length: 10\r\n\r\nhalf",
        OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab",
        OK + b"X: " + b"y" * 200_000,
    ],
)
async def test_a_server_that_breaks_off_or_talks_nonsense_is_a_lost_connection(socket: Path, answer: bytes) -> None:
    with pytest.raises(ConnectionLost):
        await exchanged(Server(answer), socket)


@pytest.mark.parametrize("answer", [b"", OK + b"Content-Length: 10\r\n\r\nhalf"])
async def test_a_server_that_falls_silent_is_not_waited_for_for_ever(socket: Path, answer: bytes) -> None:
    with pytest.raises(Unavailable, match="in time"):
        await exchanged(Server(answer, hangs=True), socket, ASK._replace(timeout_seconds=0.05))


async def test_a_reader_that_leaves_closes_the_connection(socket: Path) -> None:
    server = Server(OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n", hangs=True)
    async with serving(server, socket) as wire:
        async with wire.exchange(ASK._replace(endless=True)) as answer:
            assert await anext(aiter(answer.pieces)) == b"ab"
        await server.left.wait()


async def test_nobody_there_is_no_hub(socket: Path) -> None:
    socket.write_text("not a socket")
    for address in (Address("http://hub", socket, ""), Address("http://127.0.0.1:1", None, "")):
        with pytest.raises(NoHub, match="no hub answers on"):
            async with LocalWire(address).exchange(ASK):
                pass
