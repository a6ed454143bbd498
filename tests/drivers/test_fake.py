"""The fake driver: the contract like every other driver, and what only it can be told to do."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from hub.core.model import AgentId, Observed
from hub.drivers.base import AgentHandle, AgentPlan, Features
from hub.drivers.fake import ALL_FEATURES, FakeDriver, FakePlatform, Script, Step
from hub.errors import DriverFailed
from tests.drivers.contract import Bench, DriverContract, no_progress


class FakeBench(Bench):
    def __init__(self, features: Features = ALL_FEATURES) -> None:
        self.platform = FakePlatform()
        self.features = features
        self._driver = self.make_driver()

    def make_driver(self, hub_id: str = Bench.hub_id, script: Script | None = None) -> FakeDriver:
        return FakeDriver(hub_id, self.platform, script=script, features=self.features)

    @property
    def driver(self) -> FakeDriver:
        return self._driver

    async def restarted_driver(self) -> FakeDriver:
        return self.make_driver()

    async def other_hubs_driver(self) -> FakeDriver:
        return self.make_driver(hub_id="hub-other")

    async def broken_driver(self) -> FakeDriver:
        return self.make_driver(script=Script(failures={Step.CREATE_START: -1}))

    async def end_agent(self, handle: AgentHandle, exit_code: int) -> None:
        self.platform.end(name_of(handle), exit_code)

    async def say(self, handle: AgentHandle, text: str) -> None:
        self.platform.say(name_of(handle), text)

    async def token(self, handle: AgentHandle) -> str:
        return self.platform.agent(name_of(handle)).token

    async def make_foreign(self, plan: AgentPlan) -> None:
        self.platform.foreign.add(plan.agent_id)

    async def foreign_intact(self, plan: AgentPlan) -> bool:
        return plan.agent_id in self.platform.foreign

    async def leftovers(self, plan: AgentPlan) -> list[str]:
        return [str(key) for key in self.platform.agents if key == (plan.agent_id, plan.uid)]

    async def close(self) -> None:
        await self._driver.stop_driver()


def name_of(handle: AgentHandle) -> AgentId:
    return AgentId(json.loads(handle.ref)[0])


class TestFakeDriver(DriverContract):
    @pytest.fixture
    async def bench(self) -> AsyncIterator[FakeBench]:
        bench = FakeBench()
        yield bench
        await bench.close()


class TestFakeDriverWithFewFeatures(DriverContract):
    @pytest.fixture
    async def bench(self) -> AsyncIterator[FakeBench]:
        bench = FakeBench(Features(isolated=False, pause=False, logs=True, shell=False))
        yield bench
        await bench.close()


async def test_a_scripted_failure_ends_after_its_count() -> None:
    bench = FakeBench()
    driver, plan = bench.make_driver(script=Script(failures={Step.CREATE_START: 2})), bench.plan()
    for _ in range(2):
        with pytest.raises(DriverFailed):
            await driver.create(plan, no_progress)
        assert bench.platform.agents == {}
    handle = await driver.create(plan, no_progress)
    assert (await driver.inspect(handle)).state is Observed.RUNNING


async def test_an_agent_crashes_as_often_as_scripted() -> None:
    bench = FakeBench()
    driver = bench.make_driver(script=Script(crashes=2, crash_exit_code=9))
    handle = await driver.create(bench.plan(), no_progress)
    for _ in range(2):
        seen = await driver.inspect(handle)
        assert (seen.state, seen.exit_code) == (Observed.EXITED, 9)
        await driver.start(handle)
    assert (await driver.inspect(handle)).state is Observed.RUNNING


async def test_a_step_waits_as_long_as_its_hook() -> None:
    bench, gate, reached = FakeBench(), asyncio.Event(), asyncio.Event()

    async def before(step: Step, _agent: AgentId) -> None:
        if step is Step.CREATE_START:
            reached.set()
            await gate.wait()

    driver, plan = bench.make_driver(script=Script(before=before)), bench.plan()
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        creating = group.create_task(driver.create(plan, no_progress))
        await reached.wait()
        assert [seen.state for seen in await driver.list_agents()] == [Observed.CREATING]
        gate.set()
        assert (await driver.inspect(await creating)).state is Observed.RUNNING


async def test_an_agent_can_vanish_or_run_out_of_memory() -> None:
    bench = FakeBench()
    plan, other = bench.plan(), bench.plan()
    await bench.driver.create(plan, no_progress)
    handle = await bench.driver.create(other, no_progress)
    bench.platform.vanish(plan.agent_id)
    bench.platform.end(other.agent_id, 137, out_of_memory=True)
    (seen,) = await bench.driver.list_agents()
    assert (seen.handle, seen.out_of_memory, seen.exit_code) == (handle, True, 137)


async def test_an_unusable_platform_says_why() -> None:
    fingerprint = await FakeBench().make_driver(script=Script(unusable="no engine")).fingerprint()
    assert (fingerprint.usable, fingerprint.reason) == (False, "no engine")
    assert fingerprint.hint
