"""Fault 14: a half-open connection in each direction (packets vanish, no reset): noticed on both sides."""

from __future__ import annotations

import asyncio
import contextlib
import io
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hub.config import Timing
from runtime import wire
from runtime.backoff import Backoff
from runtime.connection import Connection
from runtime.credentials import Credentials
from runtime.logs import AgentLog
from runtime.settings import Settings
from tests.faults.proxy import FaultProxy, Side, proxied
from tests.hub.running import RunningHub, running_hub
from tests.runtime.harness import environment

FAST = Timing(ping_seconds=0.3, pong_seconds=1.0, drain_seconds=1.0)
AGENT_PING_SECONDS = 0.5
"""Hub and agent share this process: a ping must outlast a moment in which the machine is busy elsewhere."""
CONTRACT_SECONDS = 42.0
"""20 s without a sign of life, 20 s for a pong, and how often the hub looks."""

DIRECTIONS = [
    pytest.param([Side.UP], id="up"),
    pytest.param([Side.DOWN], id="down"),
    pytest.param(list(Side), id="both", marks=pytest.mark.soak),
]


class Ends:
    """What the agent's connection reports."""

    def __init__(self) -> None:
        self.connection: Connection | None = None
        self.welcomes = 0
        self.losses = 0
        self.changed = asyncio.Event()

    def opened(self) -> None:
        assert self.connection is not None
        self.connection.send(wire.Hello(protocol=wire.ProtocolRange(1, 1), instance="one"))

    def received(self, frame: bytes) -> None:
        payload = wire.decode_payload(wire.decode_envelope(frame), wire.FROM_HUB)
        if isinstance(payload, wire.Welcome):
            assert self.connection is not None
            self.connection.welcome_received(payload)
            self.welcomes += 1
        self.changed.set()

    def lost(self) -> None:
        self.losses += 1
        self.changed.set()


@contextlib.asynccontextmanager
async def connected(
    folder: Path, timing: Timing, ping_seconds: float
) -> AsyncIterator[tuple[RunningHub, FaultProxy, Ends]]:
    """A hub and the runtime's own connection, with a network between them."""
    async with running_hub(timing=timing) as hub:
        token = await hub.register()
        async with proxied(hub.port) as proxy, asyncio.TaskGroup() as group:
            settings = Settings.from_environment(environment(folder, proxy.url, AGENT_ID="a", AGENT_TOKEN=token))
            settings.state_dir.mkdir()
            ends = Ends()
            ends.connection = Connection(
                settings,
                Credentials(settings.state_dir / "credential", token=token, token_file=None),
                Backoff(random.Random(1)),
                ends,
                AgentLog(io.StringIO()),
                ping_seconds=ping_seconds,
            )
            dialling = group.create_task(ends.connection.run())
            try:
                await hub.status("a", "online")
                await hub.until(lambda: ends.welcomes, "the agent has its welcome")
                yield hub, proxy, ends
            finally:
                proxy.heal()
                proxy.cut()
                dialling.cancel()


@pytest.mark.parametrize("sides", DIRECTIONS)
async def test_the_hub_notices(tmp_path: Path, sides: list[Side]) -> None:
    async with connected(tmp_path, FAST, 20.0) as (hub, proxy, _):
        proxy.hold(*sides)
        await hub.status("a", "unreachable")
        assert len(hub.kernel.links) == 0


@pytest.mark.parametrize("sides", DIRECTIONS)
async def test_the_agent_notices_and_comes_back_when_it_can(tmp_path: Path, sides: list[Side]) -> None:
    async with connected(tmp_path, Timing(drain_seconds=1.0), AGENT_PING_SECONDS) as (hub, proxy, ends):
        losses = ends.losses
        proxy.hold(*sides)
        await hub.until(lambda: ends.losses > losses, "the agent notices")
        welcomes = ends.welcomes
        proxy.heal()
        await hub.until(lambda: ends.welcomes > welcomes, "the agent is back")
        await hub.status("a", "online")


async def test_a_quiet_but_living_connection_is_left_alone(tmp_path: Path) -> None:
    """Pings are answered on both sides: nobody takes silence of the application for a dead network."""
    async with connected(tmp_path, FAST, AGENT_PING_SECONDS) as (hub, _, ends):
        heard: set[float] = set()

        def enough() -> bool:
            heard.update(link.heard_at for link in hub.kernel.links)
            return len(heard) > 10

        await hub.until(enough, "ten signs of life")
        assert (ends.welcomes, ends.losses) == (1, 0)
        assert (await hub.control.agent("a")).status == "online"


@pytest.mark.soak
@pytest.mark.timeout(180)
@pytest.mark.parametrize("side", list(Side))
async def test_both_sides_notice_within_the_time_of_the_contract(tmp_path: Path, side: Side) -> None:
    """With the real periods."""
    async with connected(tmp_path, Timing(drain_seconds=1.0), 20.0) as (hub, proxy, ends):
        loop = asyncio.get_running_loop()
        proxy.hold(side)
        started = loop.time()
        while ends.losses == 0 or len(hub.kernel.links):
            assert loop.time() - started < CONTRACT_SECONDS + 2
            await asyncio.sleep(0.05)
