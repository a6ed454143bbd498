"""A stand-in for an OpenClaw gateway that is ill in a way that is chosen: in a test's own loop, or as a program.

    python flapping.py --port 18789 --manner hangs --after 60

Only the standard library, so that it runs in any image that has Python. What it answers is what the real one answers.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import enum
import json
import signal
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

PAGE = "<!doctype html><html><title>Control</title></html>"


class Manner(enum.Enum):
    """How it is from `after` seconds on; before that it is well."""

    WELL = "well"
    FLAPS = "flaps"
    """Away and well in turn, `period` seconds each."""
    HANGS = "hangs"
    """Takes connections and answers nothing, until it is started again."""
    STUCK = "stuck"
    """Lives and is never ready, until it is started again."""
    DIES = "dies"
    """Nobody listens any more, until it is started again."""
    LIES = "lies"
    """Answers everything with a page, also when it is started again."""
    COVERED = "covered"
    """A proxy says for it that it starts; nobody is behind it, also when it is started again."""
    SLOW = "slow"
    """Well, and takes `delay` seconds for each answer."""


@dataclass(frozen=True)
class Ills:
    """Seconds since the (last) start, but for `period`, which is of the clock."""

    manner: Manner = Manner.WELL
    after: float = 0.0
    period: float = 60.0
    delay: float = 1.0
    start: float = 0.0
    """How long it takes to be ready after a start."""


LASTING = frozenset({Manner.WELL, Manner.FLAPS, Manner.LIES, Manner.COVERED, Manner.SLOW})
"""Manners that a restart does not mend."""


class FlappingGateway:
    """`clock` gives seconds; tests bring one that they turn themselves."""

    def __init__(self, ills: Ills, clock: Callable[[], float] = time.monotonic) -> None:
        self.ills = ills
        self.starts = 0
        self.asked = 0
        self.port = 0
        self._clock = clock
        self._began = clock()
        self._server: asyncio.Server | None = None
        self._held: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def manner(self) -> Manner:
        """What it does now."""
        age = self._clock() - self._began
        ill = age >= self.ills.after and (self.ills.manner in LASTING or self.starts <= 1)
        if not ill:
            return Manner.WELL
        if self.ills.manner is Manner.FLAPS:
            return Manner.DIES if int(self._clock() // self.ills.period) % 2 else Manner.WELL
        return self.ills.manner

    @property
    def starting(self) -> bool:
        return self._clock() - self._began < self.ills.start

    async def start(self, host: str = "127.0.0.1", port: int | None = None) -> None:
        """Listen, again on the same port."""
        self.starts += 1
        self._began = self._clock()
        self._server = await asyncio.start_server(self._serve, host, self.port if port is None else port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        server, self._server = self._server, None
        for writer in list(self._held):
            writer.close()
        if server is not None:
            server.close()
            await server.wait_closed()

    async def restart(self) -> None:
        await self.stop()
        await self.start()

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[FlappingGateway]:
        await self.start()
        try:
            yield self
        finally:
            await self.stop()

    # --- answering

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked += 1
        self._held.add(writer)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            path = head.split(b" ", 2)[1].decode("ascii", "replace")
            await self._answer(path, reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self._held.discard(writer)
            writer.close()

    async def _answer(self, path: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        manner = self.manner()
        if manner is Manner.DIES:
            return writer.transport.abort()
        if manner is Manner.HANGS:
            # Until whoever asks goes away.
            await reader.read()
            return None
        if manner is Manner.SLOW:
            await asyncio.sleep(self.ills.delay)
        status, kind, body = self._said(path, manner)
        text = body if isinstance(body, str) else json.dumps(body)
        writer.write(
            f"HTTP/1.1 {status} Whatever\r\nContent-Type: {kind}\r\nContent-Length: {len(text)}\r\n"
            f"Connection: close\r\n\r\n{text}".encode()
        )
        await writer.drain()

    def _said(self, path: str, manner: Manner) -> tuple[int, str, object]:
        json_type, page = "application/json", (200, "text/html; charset=utf-8", PAGE)
        if manner is Manner.LIES:
            return page
        if manner is Manner.COVERED:
            covered = path == "/healthz"
            return (200, json_type, {"ok": True, "gateway": "starting"}) if covered else (502, "text/html", PAGE)
        failing = ["startup-sidecars"] if self.starting else ["channels"] if manner is Manner.STUCK else []
        match path:
            case "/readyz":
                return 503 if failing else 200, json_type, {"ready": not failing, "failing": failing}
            case "/healthz":
                return 200, json_type, {"ok": True, "status": "live"}
            case "/startupz":
                return 200, json_type, {"ok": True, "status": "started", "version": "2026.9.6"}
            case "/v1/models":
                return 200, json_type, {"object": "list", "data": [{"id": "openclaw/main"}]}
        return page


async def main() -> None:
    """Serve until TERM."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=18789)
    parser.add_argument("--manner", choices=[one.value for one in Manner], default=Manner.WELL.value)
    parser.add_argument("--after", type=float, default=0.0)
    parser.add_argument("--period", type=float, default=60.0)
    parser.add_argument("--delay", type=float, default=1.0)
    parser.add_argument("--start", type=float, default=2.0)
    given = parser.parse_args()
    ills = Ills(Manner(given.manner), given.after, given.period, given.delay, given.start)
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    gateway = FlappingGateway(ills)
    await gateway.start("0.0.0.0", given.port)
    await stopped.wait()
    await gateway.stop()


if __name__ == "__main__":
    asyncio.run(main())
