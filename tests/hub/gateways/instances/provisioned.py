"""A hub with an engine in memory, and gateways that really answer on the ports of its instances."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from hub.config import Timing
from hub.contract import JobView, ProvisionedGateway, ProvisionGateway
from hub.drivers.base import Driver
from hub.drivers.fake import FakeDriver, FakePlatform
from hub.drivers.fake.cells import FakeCells
from hub.drivers.fake.cells_engine import CellStep, FakeEngine
from tests.hub.gateways.fake_gateway import FakeGateway
from tests.hub.running import RunningHub, running_hub

TOKEN = "token-of-the-gateway-1"
IMAGE = "ghcr.io/openclaw/openclaw:2026.9.6"
KEY = "sk-ant-abcdefghijklmnopqrstuvwxyz0123456789"
FAST = Timing(drain_seconds=1.0, instance_ready_seconds=5.0, instance_poll_seconds=0.02, gateway_seconds=3600.0)


def order(name: str = "acme", **fields: Any) -> ProvisionGateway:
    """A right request for a gateway whose token is TOKEN."""
    given: dict[str, Any] = {
        "image": IMAGE, "gateway_token": TOKEN, "keys": {"ANTHROPIC_API_KEY": KEY}, "subdomain": f"{name}.example.com",
    }  # fmt: skip
    return ProvisionGateway(name=name, **{**given, **fields})


@contextlib.asynccontextmanager
async def engine_hub(
    engine: FakeEngine, folder: Path | None = None, *, timing: Timing = FAST
) -> AsyncIterator[RunningHub]:
    """A hub whose gateways run on this engine."""
    platform = FakePlatform()

    def drivers(reach: Any) -> list[Driver]:
        return [FakeDriver(reach.hub_id, platform, cells=FakeCells(reach.hub_id, engine))]

    async with running_hub(folder, drivers=drivers, platform=platform, timing=timing) as hub:
        yield hub


def new_engine() -> FakeEngine:
    """With the image of `order` in its registry."""
    engine = FakeEngine()
    engine.offer(IMAGE)
    return engine


class Answering:
    """A gateway that begins to answer on `port` when the engine starts the instance's container."""

    def __init__(self, engine: FakeEngine) -> None:
        self.port = _free_port()
        self.gateway = FakeGateway(token=TOKEN, port=self.port)
        self._engine = engine
        self._serving = False

    async def before(self, step: CellStep, instance: str) -> None:
        """For `FakeEngine.before`."""
        if step is CellStep.START and not self._serving:
            self._serving = True
            await self.gateway.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextlib.asynccontextmanager
async def answering(engine: FakeEngine) -> AsyncIterator[Answering]:
    """What answers on an instance's port, as its container would: ask for `port`."""
    one = Answering(engine)
    engine.before = one.before
    try:
        yield one
    finally:
        await one.gateway.stop()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


async def provisioned(hub: RunningHub, request: ProvisionGateway) -> tuple[ProvisionedGateway, JobView]:
    """Provision and wait for the job's end, however it ends."""
    made = await hub.control.provision_gateway(request)
    return made, await hub.job(made.job.id)
