"""The fake platform's disk, measurements and workspaces, as tests write them."""

from __future__ import annotations

import asyncio
from typing import Protocol

from hub.core.model import AgentId
from hub.drivers.base import AgentHandle
from hub.drivers.fake.platform import FakeAgent, FakePlatform
from hub.drivers.fake.steps import Step
from hub.drivers.upkeep import Holding, Known, Measured, Progress, Repaired, Survey
from hub.errors import Conflict, HubError


class Life(Protocol):
    """What of the driver is used here."""

    @property
    def name(self) -> str: ...

    def present(self, handle: AgentHandle) -> FakeAgent: ...

    async def step(self, step: Step, agent_id: AgentId) -> None: ...


class FakeUpkeep:
    """See `hub.drivers.upkeep`: all three parts."""

    def __init__(self, life: Life, platform: FakePlatform) -> None:
        self._life = life
        self._platform = platform

    async def measure(self, handle_ref: str) -> Measured:
        agent = self._life.present(AgentHandle(self._life.name, handle_ref))
        await self._life.step(Step.MEASURE, agent.plan.agent_id)
        return Measured(agent.use, self._platform.now_ms())

    async def survey(self, known: Known, deadline_seconds: float) -> Survey:
        try:
            async with asyncio.timeout(deadline_seconds):
                await self._life.step(Step.SURVEY, AgentId(""))
        except (HubError, TimeoutError) as exc:
            return Survey(unknown=dict.fromkeys({one.kind for one in self._platform.holdings}, str(exc) or "too slow"))
        return Survey(holdings=tuple(self._platform.holdings))

    async def remove(self, holding: Holding, known: Known) -> None:
        await self._life.step(Step.REMOVE, holding.agent_id or AgentId(""))
        for one in list(self._platform.holdings):
            if one.id == holding.id:
                if one.used_by:
                    raise Conflict(f"{one.name} is in use: {one.used_by}", driver=self._life.name)
                self._platform.holdings.remove(one)

    async def repair(self, handle_ref: str, *, everything: bool, progress: Progress) -> Repaired:
        agent = self._life.present(AgentHandle(self._life.name, handle_ref))
        await self._life.step(Step.REPAIR, agent.plan.agent_id)
        progress(0.5, "half of it")
        wrong, agent.wrong_owners = agent.wrong_owners, 0
        return Repaired(seen=len(agent.files) + wrong, changed=wrong)
