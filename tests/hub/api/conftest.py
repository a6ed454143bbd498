"""The HTTP layer on real sockets, in front of a scripted hub."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from aiohttp import web

from hub.api.app import Parts
from hub.api.server import Listeners
from hub.config import HubConfig, Timing
from hub.metrics import Metrics
from tests.hub.api.scripted import ADMIN, ScriptedControl, ScriptedDoor


class Served:
    """One scripted hub and its listeners; `client` talks to the API over TCP, `local` over the Unix socket."""

    def __init__(self, folder: Path, **config: object) -> None:
        self.door = ScriptedDoor()
        self.metrics = Metrics("1.2.3")
        self.agent_calls: list[tuple[str, str | None]] = []
        settings: dict[str, object] = {"agents_port": 0, "api_port": 0, "timing": Timing(drain_seconds=20.0), **config}
        self.config = HubConfig(state_folder=folder, **settings)  # pyright: ignore[reportArgumentType]
        self.listeners = Listeners(self.config, Parts(self.door, self.metrics, self.serve_agent, "1.2.3"))

    @property
    def control(self) -> ScriptedControl:
        return self.door.scripted

    async def serve_agent(self, request: web.Request, only_agent: str | None) -> web.StreamResponse:
        """Echo one frame, and note who came through which socket."""
        self.agent_calls.append((request.match_info["id"], only_agent))
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            await socket.send_str(message.data)
        return socket

    def client(self, token: str | None = ADMIN) -> httpx.AsyncClient:
        assert self.listeners.api_url is not None
        return httpx.AsyncClient(base_url=self.listeners.api_url, headers=bearer(token), trust_env=False, verify=False)

    def local(self, token: str | None = ADMIN, path: Path | None = None) -> httpx.AsyncClient:
        # Reading all certificates of this machine costs a tenth of a second of CPU, and nothing here needs them.
        transport = httpx.AsyncHTTPTransport(uds=str(path or self.listeners.socket_path), verify=False)
        return httpx.AsyncClient(base_url="http://hub", transport=transport, headers=bearer(token), trust_env=False)

    def websocket_url(self, path: str) -> str:
        assert self.listeners.api_url is not None
        return self.listeners.api_url.replace("http", "ws", 1) + path


def bearer(token: str | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token is not None else {}


@contextlib.asynccontextmanager
async def serving(folder: Path, **config: object) -> AsyncIterator[Served]:
    served = Served(folder, **config)
    await served.listeners.start()
    try:
        yield served
    finally:
        await served.listeners.stop()


@pytest.fixture
def state_folder() -> Iterator[Path]:
    """A short path: sockets inside have 107 bytes for theirs, which pytest's own folders use up."""
    folder = Path(tempfile.mkdtemp(prefix="hub-"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
async def served(state_folder: Path) -> AsyncIterator[Served]:
    async with serving(state_folder) as running:
        yield running


@pytest.fixture
async def client(served: Served) -> AsyncIterator[httpx.AsyncClient]:
    async with served.client() as open_client:
        yield open_client
