"""Agents that report nothing are measured by their platform; those that do are left alone."""

from __future__ import annotations

from clawtui.follow import closed
from hub.config import Timing
from hub.contract import AgentAct, StatsQuery
from hub.core.view import rfc3339
from hub.drivers.fake import Script, Step
from hub.sampling import SILENT_REPORTS, Sampler
from runtime.wire import Cpu, Health, Memory
from tests.hub.running import RunningHub, running_hub
from tests.hub.test_jobs import made
from tests.hub.test_wellness import connected

USE = Health(cpu=Cpu(1.5, 2.0), memory=Memory(64 << 20, 128 << 20), processes=7)
TIMING = Timing(reconcile_seconds=3_600, drain_seconds=1.0, stale_after_seconds=3_600)
SILENCE_SECONDS = 30.0 * SILENT_REPORTS


class Readings:
    """Counts how often an agent was measured."""

    def __init__(self) -> None:
        self.count = 0

    async def __call__(self, step: Step, agent: str) -> None:
        self.count += step is Step.MEASURE


def sampler_of(hub: RunningHub) -> Sampler:
    return hub.hub._upkeep._sampler


async def test_an_agent_that_reports_is_not_measured() -> None:
    readings = Readings()
    async with running_hub(timing=TIMING, script=Script(before=readings)) as hub:
        agent = await connected(hub)
        await agent.report_health()
        await agent.settle()
        await sampler_of(hub).look()
        hub.move(SILENCE_SECONDS - 1)
        await sampler_of(hub).look()
        assert readings.count == 0
        assert (await hub.control.agent("a")).health_source == "agent"
        hub.move(2)
        await hub.until(lambda: readings.count, "its report is too old")
        await agent.close()


async def test_an_agent_that_stopped_reporting_is_measured_by_its_platform() -> None:
    """The numbers say where they come from and how old they are."""
    async with running_hub(timing=TIMING, script=Script(before=(readings := Readings()))) as hub:
        agent = await connected(hub)
        hub.platform.agent("a").use = USE
        measured_ms = hub.clock.now().wall_ms + 60_000
        hub.platform._now_ms = lambda: measured_ms
        await sampler_of(hub).look()
        assert readings.count == 0
        hub.move(SILENCE_SECONDS + 1)
        await hub.until(lambda: readings.count, "it is measured")
        await hub.until(lambda: hub.kernel.fleet.presence(hub.kernel.fleet.agent("a").id).health == USE)
        view = await hub.control.agent("a")
        assert (view.health, view.health_source) == (USE, "fake")
        assert view.health_at == rfc3339(measured_ms)
        points = [point async for point in hub.control.agent_stats("a", StatsQuery(since="1h"))]
        assert (points[-1].cpu, points[-1].memory_bytes) == (1.5, 64 << 20)
        await agent.report_health()
        await agent.settle()
        assert (await hub.control.agent("a")).health_source == "agent"
        await agent.close()


async def test_readings_keep_their_distance() -> None:
    readings = Readings()
    async with running_hub(timing=TIMING, script=Script(before=readings)) as hub:
        await made(hub)
        await sampler_of(hub).look()
        hub.move(SILENCE_SECONDS + 1)
        await hub.until(lambda: readings.count == 1)
        for _ in range(5):
            await sampler_of(hub).look()
        assert readings.count == 1
        hub.move(31)
        await hub.until(lambda: readings.count == 2)


async def test_a_watched_agent_is_measured_more_often() -> None:
    readings = Readings()
    async with running_hub(timing=TIMING, script=Script(before=readings)) as hub:
        await made(hub)
        await sampler_of(hub).look()
        hub.move(SILENCE_SECONDS + 1)
        stream = hub.control.agent_stats("a", StatsQuery(since="1s", follow=True))
        async with closed(stream) as points:
            async for _ in points:
                hub.move(3)
                if readings.count >= 4:
                    break


async def test_an_agent_that_cannot_be_measured_keeps_what_was_known() -> None:
    async with running_hub(timing=TIMING, script=Script(failures={Step.MEASURE: -1})) as hub:
        await made(hub)
        await sampler_of(hub).look()
        hub.move(SILENCE_SECONDS + 1)
        await sampler_of(hub).look()
        assert (await hub.control.agent("a")).health is None


async def test_an_agent_that_does_not_run_is_not_measured() -> None:
    readings = Readings()
    async with running_hub(timing=TIMING, script=Script(before=readings)) as hub:
        await made(hub)
        await hub.job((await hub.control.act("a", AgentAct.STOP)).id)
        await sampler_of(hub).look()
        hub.move(SILENCE_SECONDS + 1)
        await sampler_of(hub).look()
        assert readings.count == 0
