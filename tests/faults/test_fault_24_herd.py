"""Fault 24: a fleet dropped at once: all back within 60 s, no peak in the first second.

Fault 25: an agent that handshakes and dies in a loop: its waits grow, and a loop costs the hub nothing that stays.
"""

from __future__ import annotations

import asyncio
import collections
import random
import sqlite3

import pytest
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from hub.config import Limits, Timing
from runtime.backoff import MAX_DELAY_SECONDS, Backoff
from tests.hub.running import PlayedAgent, RunningHub, StillClock, running_hub

BACK_SECONDS = 60.0
PEAK = 3.0
"""The first second's attempts over the mean of the seconds in which agents return."""


class Returning(PlayedAgent):
    """A played agent that dials again as the runtime does, and notes when."""

    def __init__(self, url: str, name: str, token: str, dials: list[float]) -> None:
        super().__init__(url, name, token)
        self.backoff = Backoff(random.Random(name))
        self.dials = dials
        self.welcomes = 0
        self.welcomed_at = 0.0

    async def live(self) -> None:
        """Stay connected until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            self.dials.append(loop.time())
            try:
                welcome = await self.connect(instance=self.name)
                self.backoff.welcomed(welcome.reconnect_spread_seconds)
                self.welcomes, self.welcomed_at = self.welcomes + 1, loop.time()
                await self.wait_closed(3600)
                self.backoff.lost(3600)
            except (OSError, ConnectionClosed, InvalidHandshake, AssertionError):
                await self.close()
            await asyncio.sleep(self.backoff.next_delay())


def check_peak(times: list[float], start: float, window_seconds: float) -> None:
    """The first second after the drop has less than three times what an even spread would give."""
    first = sum(at - start < 1.0 for at in times)
    mean = len(times) / max(window_seconds, 1.0)
    assert first < PEAK * mean, f"{first} attempts in the first second, {mean:.0f} in the mean"


async def herd(agents: int, timing: Timing) -> None:
    spread = min(max(agents / 50, 1.0), 60.0)
    async with running_hub(timing=timing, limits=Limits(handshakes_per_second=10_000)) as hub:
        dials: list[float] = []
        async with asyncio.TaskGroup() as group:
            fleet = [Returning(hub.url, f"a{n}", await hub.register(f"a{n}"), dials) for n in range(agents)]
            lives = [group.create_task(agent.live()) for agent in fleet]
            await hub.until(lambda: all(a.welcomes == 1 for a in fleet), "everybody is connected", seconds=120)
            dials.clear()
            dropped_at = asyncio.get_running_loop().time()
            for link in hub.kernel.links:
                link.abort()
            await hub.until(lambda: all(a.welcomes >= 2 for a in fleet), "everybody is back", seconds=120)
            returned = max(agent.welcomed_at for agent in fleet) - dropped_at
            assert returned < BACK_SECONDS, returned
            check_peak(dials, dropped_at, spread)
            counts = await hub.control.health()
            assert counts.agents == {"online": agents}
            for life in lives:
                life.cancel()
        for agent in fleet:
            await agent.close()


async def test_a_hundred_agents_dropped_at_once_come_back_spread_out() -> None:
    await herd(100, Timing(drain_seconds=1.0))


@pytest.mark.soak
@pytest.mark.timeout(600)
async def test_a_thousand_agents_dropped_at_once() -> None:
    await herd(1_000, Timing(drain_seconds=5.0))


def test_the_waits_of_a_thousand_agents_are_spread_whatever_the_seed() -> None:
    """The agent's own arithmetic, without a network: the attempts per second after a drop."""
    for seed in range(20):
        chance = random.Random(seed)
        times: list[float] = []
        for _ in range(1_000):
            backoff = Backoff(chance)
            backoff.welcomed(1_000 / 50)
            backoff.lost(3_600)
            times.append(backoff.next_delay())
        check_peak(times, 0.0, 1_000 / 50)
        assert max(times) < BACK_SECONDS
        seconds = collections.Counter(int(at) for at in times)
        assert max(seconds.values()) < PEAK * 1_000 / 20


async def test_more_handshakes_than_the_hub_takes_are_told_to_come_later() -> None:
    """The hub's clock stands still meanwhile, so that a slow machine earns no further handshakes."""
    async with running_hub(limits=Limits(handshakes_per_second=5.0), clock=StillClock()) as hub:
        agent = PlayedAgent(hub.url, "a", await hub.register())
        refused = 0
        for _ in range(20):
            try:
                await agent.dial()
                await agent.close()
            except InvalidHandshake as exc:
                refused += 1
                answer = exc.response  # pyright: ignore[reportAttributeAccessIssue]
                assert (answer.status_code, float(answer.headers["Retry-After"]) >= 1) == (503, True)
        assert refused == 15
        hub.move(10.0)
        await agent.connect()
        await agent.close()


# --- 25


def test_the_waits_of_an_agent_that_dies_right_after_its_welcome_grow() -> None:
    backoff = Backoff(random.Random(1))
    waits: list[float] = []
    for _ in range(200):
        backoff.welcomed(1.0)
        backoff.lost(0.1)
        waits.append(backoff.next_delay())
    assert max(waits[:2]) <= 2.0
    assert sum(waits[100:]) / 100 > MAX_DELAY_SECONDS / 4
    assert max(waits) <= MAX_DELAY_SECONDS


def rows(hub: RunningHub) -> dict[str, int]:
    """Rows of every table."""
    with sqlite3.connect(f"file:{hub.folder / 'registry.db'}?mode=ro", uri=True) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        counts = {name: connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in names}
    connection.close()
    return counts


@pytest.mark.parametrize("hello", [True, False], ids=["after its welcome", "before its hello"])
async def test_a_loop_of_dying_agents_leaves_nothing_behind(hello: bool) -> None:
    limits = Limits(handshakes_per_second=100_000)
    async with running_hub(limits=limits) as hub:
        agent = PlayedAgent(hub.url, "a", await hub.register())
        task_id = await hub.ping()

        async def loop(times: int) -> None:
            for number in range(times):
                if hello:
                    await agent.connect(instance=f"process-{number}")
                else:
                    await agent.dial()
                agent.abort()
            await hub.until(lambda: len(hub.kernel.links) == 0)
            await hub.kernel.settle()

        await loop(30)
        before, tasks = rows(hub), len(asyncio.all_tasks())
        await loop(150)
        await hub.until(lambda: len(asyncio.all_tasks()) <= tasks + 2, "the connections' tasks have ended")
        assert rows(hub) == before
        presence = hub.kernel.fleet.presence(hub.kernel.fleet.agent("a").id)
        assert len(presence.instances) <= 16
        assert not (await hub.task(task_id)).terminal
