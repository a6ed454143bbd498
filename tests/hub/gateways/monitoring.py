"""A monitor with hands that tests play, on a hub that really looks at stand-in gateways."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec

from hub.config import Timing
from hub.contract import AddGateway
from hub.errors import HubError
from hub.gateways.monitor.hands import Charge, Vitals
from hub.gateways.monitor.monitor import Monitor
from hub.gateways.monitor.policy import Life, Rules
from hub.registry.metrics_store import MetricsStore
from tests.hub.gateways.flapping import FlappingGateway
from tests.hub.running import RunningHub, running_hub

TIMING = Timing(drain_seconds=1.0, gateway_seconds=0.1)
RULES = Rules(
    check_seconds=0.1, start_seconds=3.0, hung_seconds=0.1, stop_seconds=0.3, first_seconds=0.1, most_seconds=0.5,
    stable_seconds=30.0, limit=2, gap_seconds=20.0,
)  # fmt: skip


class PlayedHands:
    """`Hands` on stand-in gateways of this process."""

    def __init__(self) -> None:
        self.gateways: dict[str, FlappingGateway] = {}
        self.known: dict[str, Charge] = {}
        self.lives: dict[str, Life] = {}
        self.engine_restarts: dict[str, int] = {}
        self.restarted: list[tuple[str, float, str]] = []
        self.told: list[tuple[str, str, bool]] = []
        self.fails: HubError | None = None
        self.mute: HubError | None = None
        """The engine does not tell."""

    def have(self, name: str, gateway: FlappingGateway, **fields: object) -> None:
        self.gateways[name] = gateway
        charge = Charge(name=name, uid=f"uid-{name}")
        self.known[name] = msgspec.structs.replace(charge, **fields)

    def change(self, name: str, **fields: object) -> None:
        self.known[name] = msgspec.structs.replace(self.known[name], **fields)

    def charge(self, name: str) -> Charge | None:
        return self.known.get(name)

    def charges(self) -> list[Charge]:
        return list(self.known.values())

    async def vitals(self, charge: Charge) -> Vitals:
        if self.mute is not None:
            raise self.mute
        restarts = self.engine_restarts.get(charge.name, 0)
        return Vitals(life=self.lives.get(charge.name, Life.RUNNING), engine_restarts=restarts, ended="exit code 78")

    async def restart(self, charge: Charge, grace_seconds: float, reason: str) -> None:
        self.restarted.append((charge.name, grace_seconds, reason))
        if self.fails is not None:
            raise self.fails
        await self.gateways[charge.name].restart()

    async def give_up(self, charge: Charge, reason: str, *, stop: bool, grace_seconds: float) -> None:
        if self.fails is not None:
            raise self.fails
        self.told.append((charge.name, reason, stop))
        self.change(charge.name, given_up=True, reason=reason)

    async def recovered(self, charge: Charge) -> None:
        self.change(charge.name, given_up=False, reason="")


@contextlib.asynccontextmanager
async def monitored(
    hands: PlayedHands,
    folder: Path | None = None,
    rules: Rules = RULES,
    timing: Timing = TIMING,
    *,
    gateways: dict[str, FlappingGateway] | None = None,
    **more: FlappingGateway,
) -> AsyncIterator[tuple[RunningHub, Monitor]]:
    """A hub whose monitor has these hands; its gateways are served and added."""
    async with contextlib.AsyncExitStack() as stack:
        gateways = {**(gateways or {}), **more}
        for gateway in gateways.values():
            await stack.enter_async_context(gateway.serving())
        hub = await stack.enter_async_context(running_hub(folder, timing=timing))
        parts = hub.hub.gateways
        monitor = Monitor(
            hub.kernel, parts.book, parts.watch, parts.history, hands, rules=rules, poll_seconds=0.02
        )  # fmt: skip
        for name, gateway in gateways.items():
            hands.have(name, gateway)
            await hub.control.add_gateway(AddGateway(name=name, url=gateway.url))
        store = await MetricsStore.open(hub.folder / "patience.db")
        stack.push_async_callback(store.close)
        await monitor.open(store.checks)
        async with asyncio.TaskGroup() as group:
            running = group.create_task(monitor.run())
            try:
                yield hub, monitor
            finally:
                running.cancel()
