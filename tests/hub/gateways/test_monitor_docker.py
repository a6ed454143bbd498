"""The monitor on a real engine: a stand-in gateway in a container is killed, frozen, loops, and what becomes of it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import socket
import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from hub.config import Timing
from hub.contract import AddGateway, AttentionQuery, GatewayHealth, GatewayHealthQuery, GatewayState, InstancePhase
from hub.core.instances import StoredInstance
from hub.drivers.cells import CellId, CellPlan, CellPort, CellRecipe, CellState
from hub.drivers.docker import DockerDriver
from hub.drivers.docker.docker_py import Connector
from hub.drivers.docker.images import DockerImages
from hub.drivers.docker.pool import Pool, Streams
from hub.drivers.images import ImageOrder
from tests.drivers.docker_bench import build_options
from tests.end_to_end.harness import eventually
from tests.hub.gateways import flapping
from tests.hub.running import RunningHub, running_hub

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]

OFTEN = Timing(drain_seconds=2.0, gateway_seconds=2.0, reconcile_seconds=3_600.0)
BACK_SECONDS = 120.0
DOCKERFILE = """\
FROM {base}
COPY flapping.py /flapping.py
ENTRYPOINT ["python3", "/flapping.py"]
"""


def nothing(fraction: float, line: str) -> None:
    """Progress that nobody reads."""


async def stand_in(folder: Path, driver: Any) -> str:
    """Build the image: the agents' base, which has Python, and the stand-in gateway."""
    connector = Connector(None, os.environ)
    pool, streams = Pool(connector), Streams(connector)
    try:
        images = DockerImages(pool, streams, build_options(), folder, connector.url, {})
        base = (await images.ensure(ImageOrder(), nothing)).image
    finally:
        await streams.close()
        await pool.close()
    program = await asyncio.to_thread(Path(flapping.__file__).read_bytes)
    recipe = CellRecipe(
        repository="clawtui-test-gateway", version="1",
        files={"Dockerfile": DOCKERFILE.format(base=base).encode(), "flapping.py": program},
    )  # fmt: skip
    return (await driver.cells.build(recipe, nothing)).reference


class Kept:
    """A hub, the engine, and one instance in a container of it."""

    def __init__(self, hub: RunningHub, name: str) -> None:
        self.hub = hub
        self.name = name

    @property
    def instance(self) -> StoredInstance:
        return self.hub.hub.running.instances.room.book.get(self.name)

    async def send(self, signal: str) -> None:
        """A signal to every process of the container but its init."""
        command = ["docker", "exec", self.instance.container, "sh", "-c", f"kill -s {signal} -- -1"]
        done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=60, check=False)
        # The shell may be gone with what it killed.
        assert done.returncode in (0, 137), done.stderr

    async def health(self) -> GatewayHealth:
        query = GatewayHealthQuery(names=self.name, checks=100)
        return (await self.hub.control.gateway_health(query)).gateways[0]

    async def back(self, restarts: int) -> float:
        """Wait until so many restarts are counted and it is ready; returns the seconds."""
        began = time.monotonic()

        async def there() -> bool:
            one = await self.health()
            return one.figures.restarts == restarts and one.state is GatewayState.READY

        await eventually(there, seconds=BACK_SECONDS, what=f"{self.name} is back")
        return time.monotonic() - began


@contextlib.asynccontextmanager
async def kept(tmp_path: Path, *words: str) -> AsyncIterator[Kept]:
    """An instance whose container runs the stand-in with these words."""
    name = f"stand-in-{secrets.token_hex(3)}"
    made: list[DockerDriver] = []

    def drivers(reach: Any) -> list[Any]:
        made.append(DockerDriver(reach, build=build_options()))
        return list(made)

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    async with running_hub(drivers=drivers, timing=OFTEN) as hub:
        cells, cell = made[0].cells, CellId(name, secrets.token_hex(8))
        image = await stand_in(tmp_path, made[0])
        plan = CellPlan(
            cell=cell, name=f"openclaw-cell-{name}", image=image, command=words,
            ports=(CellPort(port=port, container_port=18789),),
        )  # fmt: skip
        handle = (await cells.create(plan, nothing)).handle
        try:
            await cells.start(handle)
            stored = StoredInstance(
                name=name, uid=cell.uid, tier="pro", image_kind="npm", image=image, port=port,
                phase=InstancePhase.RUNNING, container=handle.container, deploy_seconds=3.0,
            )  # fmt: skip
            await hub.hub.running.instances.room.book.save(stored)
            await hub.control.add_gateway(AddGateway(name=name, url=f"http://127.0.0.1:{port}"))
            yield Kept(hub, name)
        finally:
            await cells.remove(handle)
            await asyncio.to_thread(subprocess.run, ["docker", "image", "rm", image], capture_output=True, check=True)


async def test_killed_then_frozen_it_comes_back_each_time(tmp_path: Path) -> None:
    async with kept(tmp_path, "--start", "2") as one:
        await eventually(lambda: ready(one), seconds=BACK_SECONDS, what="ready")
        await one.send("KILL")
        await one.back(1)
        await one.send("STOP")
        await one.back(2)

        told = await one.health()
        assert "wedged" in {check.state.value for check in told.checks}
        assert told.figures.restart_success_rate == 1.0
        assert told.figures.deploy_seconds == 3.0
        assert one.instance.restarts == 1, "the engine itself made the other"
        assert [found.kind for found in (await one.hub.control.attention(AttentionQuery())).attention] == []


async def test_a_crash_loop_of_the_engine_is_stopped(tmp_path: Path) -> None:
    async with kept(tmp_path, "--no-such-option") as one:
        await one.hub.until(lambda: one.instance.given_up, "given up", seconds=BACK_SECONDS)
        assert "exit code 2" in one.instance.reason
        seen = await one.hub.hub.running.instances.room.look(one.instance)
        assert seen is not None
        assert seen.state is CellState.EXITED
        (found,) = (await one.hub.control.attention(AttentionQuery())).attention
        assert (found.kind, found.target) == ("gateway_given_up", one.name)


async def ready(one: Kept) -> bool:
    return (await one.health()).state is GatewayState.READY
