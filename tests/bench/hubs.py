"""Hubs to measure: in this process, or as a user starts one; both with real process agents."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
import msgspec
import psutil

from clawtui.logs import hub_log
from hub.config import HubConfig
from hub.contract import CreateAgent
from hub.control import Control, Principal
from hub.core.model import JobState, Role
from hub.service import Hub

START_SECONDS = 60.0
JOB_SECONDS = 120.0
STOP_SECONDS = 60.0
CREATES_AT_ONCE = 8


class BenchError(Exception):
    """A measurement could not be made; the message says what went wrong."""


@contextlib.asynccontextmanager
async def hub_in_process(home: Path, agents: list[str]) -> AsyncIterator[Hub]:
    """A hub in this process with process agents, which are destroyed at the end."""
    config = HubConfig(state_folder=home, agents_port=None, api_port=None, drivers=("process",), version="bench")
    home.mkdir(mode=0o700, parents=True)
    with hub_log("warning", home / "hub.log"):
        async with Hub.open(config) as hub:
            control = local_control(hub)
            try:
                for name in agents:
                    job = await control.create_agent(CreateAgent(name=name, driver="process"))
                    await _wait_succeeded(control, job.id)
                yield hub
            finally:
                for name in agents:
                    await _wait_succeeded(control, (await control.destroy(name)).id)


def local_control(hub: Hub) -> Control:
    """The interface of every front end, as an admin."""
    return hub.control(Principal(name="bench", role=Role.ADMIN))


async def _wait_succeeded(control: Control, job_id: str) -> None:
    job = await control.job(job_id, JOB_SECONDS)
    if job.state != JobState.SUCCEEDED:
        raise BenchError(f"job {job.kind} of {job.agent_id}: {job.error.message if job.error else job.state}")


class HubProcess:
    """`clawtui --serve` on a state folder, as users run it, without the Docker driver."""

    drivers = "process"

    def __init__(self, home: Path) -> None:
        self.home = home
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        if self._process is None:
            raise BenchError("the hub has not been started")
        return self._process.pid

    @property
    def facts(self) -> dict[str, Any]:
        """What `hub.json` says."""
        return msgspec.json.decode((self.home / "hub.json").read_bytes())

    @property
    def resident_bytes(self) -> int:
        return psutil.Process(self.pid).memory_info().rss

    def start(self) -> None:
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self.home / "serve.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", *self.program(), "--serve", "--port-agents", "0", "--port-api", "0"],
                env=self.environment() | {"CLAWTUI_DRIVERS": self.drivers, "CLAWTUI_LOG_LEVEL": "warning"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C is for the benchmark, which needs the hub to remove what it made.
                start_new_session=True,
            )

    def program(self) -> list[str]:
        """The module that is run, and its own arguments."""
        return ["clawtui"]

    def environment(self) -> dict[str, str]:
        """Of programs that are to find this hub."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("CLAWTUI_")}
        return inherited | {"CLAWTUI_HOME": str(self.home)}

    async def wait_ready(self) -> None:
        """Wait until this process's API answers."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self._process is None or self._process.poll() is not None:
                raise BenchError(f"the hub ended: {(self.home / 'serve.log').read_text()[-2000:]}")
            with contextlib.suppress(OSError, msgspec.DecodeError, aiohttp.ClientError):
                if self.facts["pid"] == self.pid:
                    async with Api(self.home) as api:
                        await api.get("/health")
                    return
            await asyncio.sleep(0.01)
        raise BenchError(f"the hub did not answer within {START_SECONDS:.0f} s")

    def kill(self) -> None:
        """SIGKILL, as the end of a machine would be."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """SIGTERM; then SIGKILL for it and whatever it still has as children."""
        if self._process is None:
            return
        children = psutil.Process(self.pid).children() if self._process.poll() is None else []
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
        for child in children:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()


class Api:
    """The HTTP API over the hub's Unix socket: one connection that is kept, no retries."""

    def __init__(self, home: Path, connections: int = 1) -> None:
        self._home = home
        self._connections = connections
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        token = (self._home / "token").read_text().strip()
        self._session = aiohttp.ClientSession(
            base_url="http://localhost",
            connector=aiohttp.UnixConnector(str(self._home / "hub.sock"), limit=self._connections),
            headers={"Authorization": f"Bearer {token}"},
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def get(self, path: str) -> Any:
        return await self._call("GET", path, None)

    async def post(self, path: str, body: Any) -> Any:
        return await self._call("POST", path, body)

    async def delete(self, path: str) -> Any:
        return await self._call("DELETE", path, None)

    async def text(self, path: str) -> str:
        return (await self._bytes("GET", path, None)).decode()

    async def _call(self, method: str, path: str, body: Any) -> Any:
        return msgspec.json.decode(await self._bytes(method, path, body))

    async def _bytes(self, method: str, path: str, body: Any) -> bytes:
        assert self._session is not None
        data = None if body is None else msgspec.json.encode(body)
        async with self._session.request(method, path, data=data) as answer:
            raw = await answer.read()
            if answer.status >= 400:
                raise BenchError(f"{method} {path}: {answer.status} {raw[:300].decode(errors='replace')}")
            return raw


@contextlib.asynccontextmanager
async def hub_process(home: Path) -> AsyncIterator[HubProcess]:
    """A started hub that is stopped at the end."""
    hub = HubProcess(home)
    hub.start()
    try:
        await hub.wait_ready()
        yield hub
    finally:
        await asyncio.to_thread(hub.stop)


@contextlib.asynccontextmanager
async def process_agents(api: Api, names: list[str], say: Callable[[str], None]) -> AsyncIterator[None]:
    """Agents made by the hub's process driver; destroyed at the end."""
    limit = asyncio.Semaphore(CREATES_AT_ONCE)

    async def create(name: str) -> None:
        async with limit:
            await end_job(api, await api.post("/agents", {"name": name, "driver": "process"}))

    async def destroy(name: str) -> None:
        async with limit:
            await end_job(api, await api.delete(f"/agents/{name}"))

    try:
        say(f"starting {len(names)} agents")
        async with asyncio.TaskGroup() as group:
            for name in names:
                group.create_task(create(name))
        await _wait_online(api, len(names))
        yield
    finally:
        say(f"removing {len(names)} agents")
        async with asyncio.TaskGroup() as group:
            for name in [agent["id"] for agent in (await api.get("/agents"))["agents"]]:
                group.create_task(destroy(name))


async def end_job(api: Api, job: Any) -> Any:
    """Wait for a job's end and return it. Raises BenchError for another end than success."""
    deadline = time.monotonic() + JOB_SECONDS
    ended = job
    while ended["state"] == JobState.RUNNING.value and time.monotonic() < deadline:
        ended = await api.get(f"/jobs/{job['id']}?wait=30")
    if ended["state"] != JobState.SUCCEEDED.value:
        raise BenchError(f"job {ended['kind']} of {ended['agentId']}: {ended['state']} {ended['error']}")
    return ended


async def _wait_online(api: Api, count: int) -> None:
    deadline = time.monotonic() + JOB_SECONDS
    while (await api.get("/health"))["agents"].get("online", 0) < count:
        if time.monotonic() > deadline:
            raise BenchError(f"{count} agents were not online within {JOB_SECONDS:.0f} s")
        await asyncio.sleep(0.1)
