"""The screen for a long time: thousands of agents that change all the time, and nothing that grows."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import time
from collections.abc import AsyncIterator

import msgspec
import psutil
import pytest

from clawtui.tui.app import ClawtuiApp
from runtime.wire import Cpu
from tests.tui import fleet_script as script
from tests.tui.scripted import ScriptedHub, screen_on, until, wait_shown

AGENTS = 3_000
CHANGED = 60
"""Agents that change between two looks of the screen."""
LAG_SECONDS = 0.25
"""How long the hub's loop may wait for the screen at the worst: a bound against freezes, not the budget of a slice,
which `make bench` measures; other programs on the machine are in this number."""
PROBE_SECONDS = 0.02
GROWTH_BYTES = 24 * 2**20
"""What the process may grow by in the last three quarters: caches fill slowly, 3 MiB in 1,500 looks were seen."""
SOAK_VARIABLE = "CLAWTUI_SOAK_TUI_TICKS"


class Fleet:
    """Changes agents and tells the feed, as health reports do."""

    def __init__(self, hub: ScriptedHub) -> None:
        self.hub = hub
        self.chance = random.Random(20_260_314)
        self.names = sorted(hub.agents_by_id)

    def change(self, count: int) -> None:
        for name in self.chance.sample(self.names, count):
            agent = self.hub.agents_by_id[name]
            if agent.health is not None:
                health = msgspec.structs.replace(agent.health, cpu=Cpu(cores=self.chance.random() * 2, limit=2.0))
                agent = msgspec.structs.replace(agent, health=health, queued=self.chance.randrange(40))
            self.hub.change(agent)


def widgets(app: ClawtuiApp) -> int:
    return sum(1 for screen in app.screen_stack for _ in screen.walk_children())


def memory_bytes() -> int:
    return psutil.Process().memory_info().rss


@contextlib.asynccontextmanager
async def lag_probe() -> AsyncIterator[list[float]]:
    """How much later than asked for the loop came back, in seconds, again and again."""
    lags: list[float] = []

    async def probe() -> None:
        while True:
            asked = time.perf_counter()
            await asyncio.sleep(PROBE_SECONDS)
            lags.append(time.perf_counter() - asked - PROBE_SECONDS)

    async with asyncio.TaskGroup() as group:
        probing = group.create_task(probe())
        yield lags
        probing.cancel()


async def run(ticks: int) -> None:
    hub = script.hub(script.many(AGENTS))
    app = screen_on(hub)
    async with app.run_test(size=(160, 45)) as pilot:
        await wait_shown(pilot, "3000 agents", "builder-1-0000", seconds=60)
        fleet, keys = Fleet(hub), ("down", "pagedown", "f2", "f1", "3", "1", "s", "end", "home")
        for key in keys:  # each place is made when it is first gone to
            await pilot.press(key)
        first_widgets, first_tasks, warm_bytes = widgets(app), len(asyncio.all_tasks()), memory_bytes()
        async with lag_probe() as lags:
            store = app.store
            assert store is not None
            for tick in range(ticks):
                if tick == ticks // 4:
                    warm_bytes = memory_bytes()
                # Before the change: the screen may have read it when the key is through.
                seen = store.revision
                fleet.change(CHANGED)
                await pilot.press(keys[tick % len(keys)])
                await until(pilot, lambda seen=seen: store.revision > seen, "the screen reads", 30)
        # Workers of places that were left have to end first.
        await pilot.press("f1", "1")
        await until(pilot, lambda: len(asyncio.all_tasks()) <= first_tasks + 2, "tasks end", 30)
        assert widgets(app) <= first_widgets
        assert memory_bytes() - warm_bytes < GROWTH_BYTES
        assert sorted(lags)[int(len(lags) * 0.95)] < LAG_SECONDS
        assert app.is_running
        assert not app.last_problem


@pytest.mark.timeout(240)
async def test_thousands_of_agents_change_and_nothing_grows() -> None:
    await run(60)


@pytest.mark.soak
@pytest.mark.timeout(5_400)
async def test_for_a_long_time() -> None:
    """About an hour; `CLAWTUI_SOAK_TUI_TICKS` says how many looks of the screen instead of 4,000."""
    await run(int(os.environ.get(SOAK_VARIABLE, "4000")))
