"""Upkeep: the hub's care of itself: lag, dead peers, platforms, retention."""

from __future__ import annotations

from hub.config import Retention, Timing
from hub.contract import CreateToken, PageQuery
from hub.drivers.fake import Script
from tests.end_to_end.harness import eventually
from tests.hub.running import running_hub

DAY_SECONDS = 86_400


async def test_the_loops_lag_is_measured_and_shown() -> None:
    async with running_hub() as hub:

        async def measured() -> bool:
            text = hub.kernel.metrics.exposition().decode()
            return "clawtui_loop_lag_seconds_count 0.0" not in text

        await eventually(measured, what="the lag is measured")
        assert 0 <= (await hub.control.health()).loop_lag_seconds < 5


async def test_platforms_are_asked_and_told_of() -> None:
    async with running_hub(script=Script(unusable="no engine")) as hub:

        async def told() -> bool:
            drivers = (await hub.control.health()).drivers
            return [(driver.name, driver.usable, driver.reason) for driver in drivers] == [("fake", False, "no engine")]

        await eventually(told, what="the platform's word is shown")


async def test_what_ended_long_ago_goes_and_what_is_open_stays() -> None:
    timing = Timing(retention_seconds=0.05, drain_seconds=1.0)
    async with running_hub(timing=timing, retention=Retention(task_days=1.0)) as hub, hub.playing() as agent:
        old = await hub.ping()
        attempt = await agent.receive_task()
        await agent.respond(attempt)
        await hub.ended(old)
        still_open = await hub.ping()
        hub.clock.wall_ahead_ms += 2 * DAY_SECONDS * 1000

        async def gone() -> bool:
            return await hub.kernel.registry.task(old) is None

        await eventually(gone, what="the old task is gone")
        assert await hub.kernel.registry.task(still_open) is not None


async def test_a_dead_peer_is_cut_off() -> None:
    timing = Timing(ping_seconds=0.1, pong_seconds=0.1, drain_seconds=1.0)
    async with running_hub(timing=timing) as hub, hub.playing() as agent:
        assert agent.socket is not None
        agent.socket.transport.pause_reading()  # pyright: ignore[reportAttributeAccessIssue]
        await hub.until(lambda: len(hub.kernel.links) == 0, "the peer that answers no ping is cut off")
        await hub.status("a", "unreachable")
        agent.abort()


async def test_void_tokens_go_with_time() -> None:
    timing = Timing(retention_seconds=0.05, drain_seconds=1.0)
    async with running_hub(timing=timing, retention=Retention(task_days=1.0)) as hub:
        made = await hub.control.create_token(CreateToken(name="short", expires_in_seconds=1))
        hub.clock.wall_ahead_ms += 2 * DAY_SECONDS * 1000

        async def gone() -> bool:
            return made.token.id not in {token.id for token in (await hub.control.tokens(PageQuery())).tokens}

        await eventually(gone, what="the void token is gone")
