"""A hub with the Docker driver and what a benchmark does with it: agents that are made and destroyed over the API."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec

from hub.core.model import AgentId
from hub.drivers.docker.labels import container_name
from tests.bench.engine import Traces, docker, together, traces
from tests.bench.hubs import Api, BenchError, HubProcess, end_job
from tests.bench.sliced_hub import Slices

CONNECTIONS = 64
TELL_SECONDS = 10.0


class DockerHub(HubProcess):
    """`clawtui --serve` with the Docker driver only, on a loop that knows its slices."""

    drivers = "docker"

    def program(self) -> list[str]:
        return ["tests.bench.sliced_hub", str(self._told)]

    @property
    def _told(self) -> Path:
        return self.home / "slices.json"

    async def take_slices(self) -> Slices:
        """Return what the hub's loop counted since the last call, and begin anew."""
        self._told.unlink(missing_ok=True)
        os.kill(self.pid, signal.SIGUSR1)
        deadline = time.monotonic() + TELL_SECONDS
        while not self._told.exists():
            if time.monotonic() > deadline:
                raise BenchError("the hub did not say how long its slices were")
            await asyncio.sleep(0.02)
        return msgspec.json.decode(self._told.read_bytes(), type=Slices)


class DockerFleet:
    """Agents of one hub. Names carry the run's mark: an engine is shared."""

    def __init__(self, hub: DockerHub, api: Api, made: Traces) -> None:
        self.hub = hub
        self.api = api
        self.label = made.label
        self._mark = made.label.partition("=")[2]
        self._number = 0

    def new_name(self) -> str:
        self._number += 1
        return f"bench-{self._mark}-{self._number}"

    async def create(self, name: str) -> None:
        """Return when the agent is online."""
        await end_job(self.api, await self.api.post("/agents", {"name": name, "driver": "docker"}))

    async def destroy(self, name: str) -> None:
        await end_job(self.api, await self.api.delete(f"/agents/{name}"))

    async def destroy_all(self) -> None:
        """Destroy the agents, and the snapshots that they leave."""
        agents = (await self.api.get("/agents?limit=1000"))["agents"]
        await together([self.destroy(agent["id"]) for agent in agents])
        for snapshot in (await self.api.get("/snapshots"))["snapshots"]:
            await self.job(await self.api.delete(f"/snapshots/{snapshot['id']}"))

    async def job(self, job: Any) -> Any:
        """Wait until it has succeeded and return it. Raises BenchError."""
        return await end_job(self.api, job)

    async def image(self, name: str) -> str:
        """Return the image that an agent runs."""
        return (await docker("inspect", "--format", "{{.Config.Image}}", container(name))).strip()

    async def run_plain(self, image: str, *words: str) -> str:
        """`docker run --detach` of an image with nothing but a program that sleeps; return the container."""
        options = ["--detach", "--label", self.label, *words, "--entrypoint", "sleep"]
        return (await docker("run", *options, image, "infinity")).strip()

    async def remove(self, *containers: str) -> None:
        await docker("rm", "--force", "--volumes", *containers)


def container(name: str) -> str:
    return container_name(AgentId(name))


@contextlib.asynccontextmanager
async def docker_fleet(home: Path) -> AsyncIterator[DockerFleet]:
    """A started hub with no agents; everything that was made with it is gone at the end."""
    with traces() as made:
        hub = DockerHub(home)
        hub.start()
        try:
            await hub.wait_ready()
            made.hub_id = hub.facts["hubId"]
            async with Api(home, connections=CONNECTIONS) as api:
                fleet = DockerFleet(hub, api, made)
                try:
                    yield fleet
                finally:
                    await fleet.destroy_all()
        finally:
            await asyncio.to_thread(hub.stop)
