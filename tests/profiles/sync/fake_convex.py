"""A Convex deployment for tests: real HTTP on loopback, written from the documented request and answers.

It takes `POST /api/action` with path, args and format, as the real one does, and knows one function. What else may
come back, or not, is set by `answers`: each is used up by one request, then the function answers again.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
from collections.abc import AsyncIterator
from typing import Any

import msgspec

FUNCTION = "service/actions:listAgentsForRuntime"
PAGE = b"<!DOCTYPE html><html><body>It is not here</body></html>"


class Fault(enum.Enum):
    """What goes wrong on the way."""

    NONE = "none"
    DROPPED = "dropped"
    """The connection ends before anything is answered."""
    CUT_OFF = "cut-off"
    """It ends in the middle of the answer."""
    HANGING = "hanging"
    """Nothing is answered until the test ends."""
    DRIPPING = "dripping"
    """The answer comes, a blank at a time, and never ends."""
    ENDLESS = "endless"
    """The answer comes as fast as it is read, and never ends."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One answer instead of the function's own."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"
    fault: Fault = Fault.NONE


def json_answer(body: object, status: int = 200) -> Answer:
    return Answer(status=status, body=msgspec.json.encode(body))


def function_error(message: str, data: object = None, status: int = 200) -> Answer:
    """A function that threw; `data` only where it threw a ConvexError."""
    body: dict[str, object] = {"status": "error", "errorMessage": message, "logLines": []}
    return json_answer(body if data is None else {**body, "errorData": data}, status)


class Call(msgspec.Struct, frozen=True):
    """A request as it came."""

    method: str
    target: str
    headers: dict[str, str]
    body: Any


class FakeConvex:
    """`agents` are what the function answers to those who know account and token."""

    def __init__(self, agents: list[Any] | None = None, *, account: str = "acct1", token: str = "s3cret") -> None:
        self.agents: list[Any] = agents or []
        self.account = account
        self.token = token
        self.answers: list[Answer] = []
        self.calls: list[Call] = []
        self.url = ""
        self._ended = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._open = 0

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[FakeConvex]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            self._ended.set()
            server.close()
            await server.wait_closed()
            await self._idle.wait()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open += 1
        self._idle.clear()
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            self.calls.append(await _read(reader))
            answer = self.answers.pop(0) if self.answers else self._answer(self.calls[-1])
            await self._write(writer, answer)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        self._open -= 1
        if not self._open:
            self._idle.set()

    def _answer(self, call: Call) -> Answer:
        if call.method != "POST" or call.target != "/api/action":
            return Answer(status=404, body=b"No matching routes found", content_type="text/plain")
        given = call.body if isinstance(call.body, dict) else {}
        if set(given) != {"path", "args", "format"} or given["format"] != "json":
            return json_answer({"code": "InvalidArguments", "message": "Expected path, args and format"}, 400)
        if given["path"] != FUNCTION:
            return function_error(f"Could not find public function for '{given['path']}'")
        if set(given["args"]) != {"accountId", "serviceToken"}:
            return function_error(f"ArgumentValidationError: Value: {msgspec.json.encode(given['args']).decode()}")
        if given["args"] != {"accountId": self.account, "serviceToken": self.token}:
            return function_error("Uncaught ConvexError", {"code": "UNAUTHORIZED", "message": "Unknown service token"})
        return json_answer({"status": "success", "value": self.agents, "logLines": []})

    async def _write(self, writer: asyncio.StreamWriter, answer: Answer) -> None:
        if answer.fault is Fault.DROPPED:
            return
        if answer.fault is Fault.HANGING:
            await self._ended.wait()
            return
        length = {Fault.NONE: len(answer.body), Fault.CUT_OFF: len(answer.body) + 100}.get(answer.fault, 1 << 40)
        head = f"HTTP/1.1 {answer.status} X\r\nContent-Type: {answer.content_type}\r\nContent-Length: {length}\r\n"
        writer.write(f"{head}Connection: close\r\n\r\n".encode() + answer.body)
        await writer.drain()
        while answer.fault in (Fault.ENDLESS, Fault.DRIPPING) and not self._ended.is_set():
            writer.write(b" " * (1 << 16 if answer.fault is Fault.ENDLESS else 1))
            await writer.drain()
            if answer.fault is Fault.DRIPPING:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._ended.wait(), 0.02)


async def _read(reader: asyncio.StreamReader) -> Call:
    lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    method, target, _ = lines[0].split(" ", 2)
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:] if line)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Call(method, target, headers, msgspec.json.decode(body) if body else None)
