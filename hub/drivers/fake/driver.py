"""The fake driver, and the script that says what goes wrong and when."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

import msgspec

from hub.core.model import AgentId, AgentUid, Observed
from hub.drivers.base import (
    AgentGone,
    AgentHandle,
    AgentPlan,
    Features,
    Fingerprint,
    LogLine,
    LogRequest,
    Observation,
    Progress,
)
from hub.drivers.compose import Composer
from hub.drivers.fake.cells import FakeCells
from hub.drivers.fake.containers import FakeContainers
from hub.drivers.fake.platform import FakeAgent, FakePlatform
from hub.drivers.fake.snapshots import FakeSnapshots, read_files
from hub.drivers.fake.steps import Step
from hub.drivers.fake.upkeep import FakeUpkeep
from hub.drivers.networks import NetworkAdmin
from hub.drivers.snapshots import Seed
from hub.errors import BadRequest, Conflict, DriverFailed, NotAvailable

NAME: Final = "fake"
ALL_FEATURES: Final = Features(
    isolated=True,
    pause=True,
    logs=True,
    shell=False,
    snapshot=True,
    cpu_limit=True,
    memory_limit=True,
    disk_limit=True,
)
FROM_TERM: Final = 0
"""Exit code of an agent that was asked to end."""


class Script(msgspec.Struct, frozen=True, kw_only=True):
    """What the platform does. `crashes`: so many first starts of an agent end at once with
    `crash_exit_code`. `failures`: how often each step fails before it works; -1 is always.
    `before`: awaited at each step, to delay or to observe; give one that waits for an event."""

    unusable: str = ""
    crashes: int = 0
    crash_exit_code: int = 1
    failures: dict[Step, int] = {}
    before: Callable[[Step, AgentId], Awaitable[None]] | None = None


class FakeDriver:
    """See `hub.drivers.base.Driver`."""

    def __init__(
        self,
        hub_id: str,
        platform: FakePlatform,
        *,
        script: Script | None = None,
        features: Features = ALL_FEATURES,
        name: str = NAME,
        cells: FakeCells | None = None,
    ) -> None:
        self._hub_id = hub_id
        self._platform = platform
        self._script = script or Script()
        self._features = features
        self._name = name
        self._failed: dict[Step, int] = {}
        self._stopped = False
        self.cells = cells
        self._snapshots = FakeSnapshots(self, platform)
        self.usage = self.disk = self.repairs = FakeUpkeep(self, platform)
        self.containers = FakeContainers(platform, name)

    @property
    def snapshots(self) -> FakeSnapshots | None:
        return self._snapshots if self._features.snapshot else None

    @property
    def networks(self) -> NetworkAdmin | None:
        """Agents have this machine's."""

    @property
    def compose(self) -> Composer | None:
        """No Compose file can make such agents."""

    @property
    def images(self) -> None:
        """Agents run on this machine as it is."""

    @property
    def name(self) -> str:
        return self._name

    @property
    def features(self) -> Features:
        return self._features

    async def fingerprint(self) -> Fingerprint:
        reason = self._script.unusable
        return Fingerprint(usable=not reason, version="1", reason=reason, hint="Use another script." if reason else "")

    async def create(self, plan: AgentPlan, progress: Progress, seed: Seed | None = None) -> AgentHandle:
        key = (plan.agent_id, plan.uid)
        handle = self._handle(*key)
        if self._own(*key) is not None:
            await self.start(handle)
            return handle
        try:
            await self._make(plan, progress, seed)
        except BaseException:
            self._platform.agents.pop(key, None)
            raise
        return handle

    async def _make(self, plan: AgentPlan, progress: Progress, seed: Seed | None) -> None:
        await self.step(Step.CREATE_FOLDER, plan.agent_id)
        agent = FakeAgent(plan, self._platform.now_ms())
        self._platform.agents[plan.agent_id, plan.uid] = agent
        if seed is not None:
            agent.files = read_files(seed)
        progress(0.5, "made")
        await self.step(Step.CREATE_START, plan.agent_id)
        self.begin(agent)
        progress(1.0, "started")
        await asyncio.sleep(0)  # the last chance to notice a cancel

    async def start(self, handle: AgentHandle) -> None:
        agent = self.present(handle)
        await self.step(Step.START, agent.plan.agent_id)
        if agent.state is Observed.PAUSED:
            agent.state = Observed.RUNNING
        elif agent.state is not Observed.RUNNING:
            self.begin(agent)

    async def stop(self, handle: AgentHandle, grace_seconds: float) -> None:
        agent = self.present(handle)
        await self.step(Step.STOP, agent.plan.agent_id)
        if agent.state is not Observed.EXITED:
            self._platform.end(agent.plan.agent_id, FROM_TERM)

    async def restart(self, handle: AgentHandle, grace_seconds: float) -> None:
        await self.stop(handle, grace_seconds)
        await self.start(handle)

    async def pause(self, handle: AgentHandle) -> None:
        await self._freeze(handle, Step.PAUSE, Observed.PAUSED)

    async def resume(self, handle: AgentHandle) -> None:
        await self._freeze(handle, Step.RESUME, Observed.RUNNING)

    async def _freeze(self, handle: AgentHandle, step: Step, state: Observed) -> None:
        if not self._features.pause:
            raise NotAvailable("this driver cannot pause", driver=self._name)
        agent = self.present(handle)
        await self.step(step, agent.plan.agent_id)
        if agent.state not in {Observed.RUNNING, Observed.PAUSED}:
            raise Conflict(f"{agent.plan.agent_id} does not run", hint="Start it first.", driver=self._name)
        agent.state = state
        self._platform.changed()

    async def destroy(self, handle: AgentHandle) -> None:
        agent_id, uid = self._names(handle)
        await self.step(Step.DESTROY, agent_id)
        await self.undo_create(agent_id, uid)

    async def undo_create(self, agent_id: AgentId, uid: AgentUid) -> None:
        if self._own(agent_id, uid) is not None:
            del self._platform.agents[agent_id, uid]
            self._platform.changed()

    async def renew_token(self, handle: AgentHandle, join_token: str) -> None:
        self.present(handle).token = join_token

    async def inspect(self, handle: AgentHandle) -> Observation:
        agent = self.present(handle)
        await self.step(Step.INSPECT, agent.plan.agent_id)
        return self._observation(agent)

    async def list_agents(self) -> list[Observation]:
        await self.step(Step.LIST, AgentId(""))
        agents = self._platform.agents.values()
        return [self._observation(agent) for agent in agents if agent.plan.hub_id == self._hub_id]

    async def watch(self) -> AsyncIterator[None]:
        async for _ in self._platform.wait_changes():
            if self._stopped:
                return
            yield

    async def logs(self, handle: AgentHandle, request: LogRequest) -> AsyncIterator[LogLine]:
        agent = self.present(handle)
        position = 0 if request.lines is None else max(0, len(agent.log) - request.lines)
        async for _ in self._platform.wait_changes():
            while position < len(agent.log):
                line = agent.log[position]
                position += 1
                if request.since_ms is None or line.at is None or line.at >= request.since_ms:
                    yield line
            if not request.follow or self._stopped or agent not in self._platform.agents.values():
                return

    async def stop_driver(self) -> None:
        self._stopped = True
        self._platform.changed()

    # --- inside ----------------------------------------------------------------------------------

    def begin(self, agent: FakeAgent) -> None:
        agent.starts += 1
        agent.started_at, agent.exit_code, agent.out_of_memory = self._platform.now_ms(), None, False
        agent.state = Observed.RUNNING
        if agent.starts <= self._script.crashes:
            agent.state, agent.exit_code = Observed.EXITED, self._script.crash_exit_code
        self._platform.changed()

    async def step(self, step: Step, agent_id: AgentId) -> None:
        if self._script.before is not None:
            await self._script.before(step, agent_id)
        wanted, failed = self._script.failures.get(step, 0), self._failed.get(step, 0)
        if wanted < 0 or failed < wanted:
            self._failed[step] = failed + 1
            raise DriverFailed(f"{step} fails as scripted", agent=agent_id or None, driver=self._name)

    def _handle(self, agent_id: AgentId, uid: AgentUid) -> AgentHandle:
        return AgentHandle(self._name, msgspec.json.encode([agent_id, uid]).decode())

    def _names(self, handle: AgentHandle) -> tuple[AgentId, AgentUid]:
        try:
            if handle.driver != self._name:
                raise BadRequest(f"a handle of driver {handle.driver!r} came to {self._name}", driver=self._name)
            return msgspec.json.decode(handle.ref, type=tuple[AgentId, AgentUid])
        except msgspec.MsgspecError as exc:
            raise BadRequest(f"not a handle of the {self._name} driver: {exc}", driver=self._name) from exc

    def _own(self, agent_id: AgentId, uid: AgentUid) -> FakeAgent | None:
        agent = self._platform.agents.get((agent_id, uid))
        if agent_id in self._platform.foreign or (agent is not None and agent.plan.hub_id != self._hub_id):
            raise Conflict(f"{agent_id} is not of this hub", hint="Choose another name.", driver=self._name)
        return agent

    def present(self, handle: AgentHandle) -> FakeAgent:
        agent_id, uid = self._names(handle)
        agent = self._own(agent_id, uid)
        if agent is None:
            raise AgentGone(f"there is no {agent_id}", agent=agent_id, driver=self._name)
        return agent

    def _observation(self, agent: FakeAgent) -> Observation:
        return Observation(
            agent_id=agent.plan.agent_id,
            uid=agent.plan.uid,
            handle=self._handle(agent.plan.agent_id, agent.plan.uid),
            state=agent.state,
            exit_code=agent.exit_code,
            out_of_memory=agent.out_of_memory,
            started_at=agent.started_at,
            check=agent.check if agent.state is Observed.RUNNING else None,
            check_why=agent.check_why,
            restarts=agent.restarts,
        )
