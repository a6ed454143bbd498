"""Agents' history in a whole hub: what is reported, kept, watched and removed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import cast

import pytest

from hub.contract import StatsPoint, StatsQuery
from hub.errors import BadRequest, NotFound
from hub.service import Hub
from hub.stats import Stats
from runtime import wire
from tests.hub.running import PlayedAgent, RunningHub, StillClock, running_hub

PERIOD_SECONDS = 30


def stats(hub: RunningHub) -> Stats:
    return cast(Hub, hub.hub)._stats


async def report(hub: RunningHub, agent: PlayedAgent, cores: float) -> None:
    await agent.send(wire.Health(cpu=wire.Cpu(cores=cores), memory=wire.Memory(used=1024)))
    await agent.settle()


async def history(hub: RunningHub, since: str = "1d") -> list[StatsPoint]:
    return [point async for point in hub.control.agent_stats("a", StatsQuery(since=since))]


@contextlib.asynccontextmanager
async def following(hub: RunningHub, since: str = "1h") -> AsyncIterator[AsyncIterator[StatsPoint]]:
    points = hub.control.agent_stats("a", StatsQuery(since=since, follow=True))
    async with contextlib.aclosing(cast(AsyncGenerator[StatsPoint, None], points)):
        yield points


async def coming(points: AsyncIterator[StatsPoint]) -> StatsPoint:
    async with asyncio.timeout(20):
        return await anext(points)


async def test_reports_become_history_that_survives_a_restart(tmp_path: Path) -> None:
    async with running_hub(tmp_path / "s") as hub, hub.playing() as agent:
        await report(hub, agent, 1.0)
        assert [point.cpu for point in await history(hub)] == [1.0]
        hub.move(PERIOD_SECONDS)
        await report(hub, agent, 3.0)
        assert [(point.cpu, point.seconds) for point in await history(hub)] == [(1.0, 30), (3.0, 30)]
    async with running_hub(tmp_path / "s") as hub:
        kept = await history(hub)
        assert kept[0].cpu == 1.0
        assert kept[0].memory_bytes == 1024


async def test_written_or_not_a_moment_is_told_once() -> None:
    async with running_hub() as hub, hub.playing() as agent:
        for cores in (1.0, 2.0, 3.0):
            await report(hub, agent, cores)
            hub.move(PERIOD_SECONDS)
            await stats(hub).flush()
            assert len(await history(hub)) == cores
        assert [point.cpu for point in await history(hub)] == [1.0, 2.0, 3.0]
        # The last moment is the end of its period, which may have been just now.
        hub.move(PERIOD_SECONDS)
        assert await history(hub, "1s") == []


async def test_beyond_a_day_there_is_a_point_per_ten_minutes_and_beyond_a_month_none() -> None:
    async with running_hub() as hub, hub.playing() as agent:
        await report(hub, agent, 1.0)
        hub.move(700)
        await report(hub, agent, 5.0)
        hub.move(86_400 + 1_200)
        await stats(hub).flush()
        await stats(hub).purge()
        assert [(point.cpu, point.seconds) for point in await history(hub, "2d")] == [(1.0, 600), (5.0, 600)]
        hub.move(31 * 86_400)
        assert await history(hub, "60d") == []


async def test_who_watches_makes_the_agent_report_every_second() -> None:
    async with running_hub(clock=StillClock()) as hub, hub.playing() as agent:
        await report(hub, agent, 1.0)
        async with following(hub) as points:
            assert (await coming(points)).cpu == 1.0
            watch = await agent.receive(wire.Watch)
            assert (watch.interval_seconds, watch.ttl_seconds) == (1.0, 15.0)
            hub.move(1)
            await report(hub, agent, 2.0)
            point = await coming(points)
            assert (point.cpu, point.seconds) == (2.0, 1)
            async with following(hub) as others:
                assert (await coming(others)).cpu == 2.0
            assert stats(hub).watched == 1
        assert stats(hub).watched == 0


async def test_an_agent_that_comes_back_is_asked_again() -> None:
    async with running_hub() as hub, hub.playing() as agent:
        await report(hub, agent, 1.0)
        async with following(hub) as points:
            await coming(points)
            await agent.receive(wire.Watch)
            await agent.close()
            await agent.connect()
            await agent.receive(wire.Watch)


async def test_a_stream_ends_with_its_agent_and_so_does_the_history() -> None:
    async with running_hub() as hub, hub.playing() as agent:
        await report(hub, agent, 1.0)
        hub.move(PERIOD_SECONDS)
        await stats(hub).flush()
        async with following(hub) as points:
            await coming(points)
            await hub.job((await hub.control.destroy("a")).id)
            with pytest.raises(StopAsyncIteration):
                await coming(points)
        with pytest.raises(NotFound):
            await history(hub)
        await hub.register("a")
        assert await history(hub) == []


async def test_a_stream_ends_with_the_hub() -> None:
    async with running_hub() as hub, hub.playing() as agent:
        await report(hub, agent, 1.0)
        async with following(hub) as points:
            await coming(points)
            await stats(hub).close()
            with pytest.raises(StopAsyncIteration):
                await coming(points)


async def test_a_history_that_cannot_be_kept_stops_nothing(tmp_path: Path) -> None:
    for name in ("metrics.db", "metrics.db.damaged"):
        # Folders that hold something can neither be opened as a database nor put aside.
        (tmp_path / "s" / name / "full").mkdir(parents=True)
    async with running_hub(tmp_path / "s") as hub, hub.playing() as agent:
        await report(hub, agent, 1.0)
        assert [point.cpu for point in await history(hub)] == [1.0]
        health = await hub.control.health()
        assert "history is not kept" in " ".join(health.problems)
        await stats(hub).flush()
        await hub.job((await hub.control.destroy("a")).id)


@pytest.mark.parametrize("since", ["yesterday", "2026-01-01T00:00:00", "-5m", ""])
async def test_a_time_that_is_none_is_refused(since: str) -> None:
    async with running_hub() as hub:
        await hub.register()
        with pytest.raises(BadRequest):
            await history(hub, since)
