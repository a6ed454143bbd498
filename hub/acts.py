"""What an operator does to an agent: create, start, stop, restart, pause, resume, destroy.

The wish is committed first, then carried out as a job, and success is reported only after the new
state was observed. A job that a killed hub left behind is finished (or, for a create, undone) at
the next start.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from msgspec.structs import replace

from hub.agentlog import AgentLogs
from hub.contract import AgentAct, CreateAgent
from hub.core.effects import Effect, Kind, Save
from hub.core.model import (
    Agent,
    AgentId,
    AgentUid,
    Connection,
    Desired,
    Job,
    JobState,
    Observed,
    Token,
    TokenKind,
)
from hub.drivers.base import AgentGone, AgentHandle, Driver
from hub.drivers.snapshots import Seed
from hub.driverset import DriverSet
from hub.errors import BadRequest, Conflict, DriverFailed, NotAvailable
from hub.jobs import JobHandle, Jobs, Work
from hub.kernel import Kernel
from hub.keylock import KeyLocks
from hub.planning import machine_of, make_plan, new_agent, spoken, stop_grace
from hub.profiles import ProfileBook
from hub.stats import Stats
from hub.tokens import agent_token
from hub.undo import change
from profiles.image import Recipe
from runtime.wire import TaskError

ONLINE_SECONDS: Final = 60.0
"""How long a started agent may take to connect before its job fails."""

_DESIRED: Final = {
    AgentAct.START: Desired.RUNNING,
    AgentAct.RESTART: Desired.RUNNING,
    AgentAct.RESUME: Desired.RUNNING,
    AgentAct.STOP: Desired.STOPPED,
    AgentAct.PAUSE: Desired.PAUSED,
}


class Acts:
    """Carries out acts, one at a time per agent."""

    def __init__(
        self, kernel: Kernel, drivers: DriverSet, jobs: Jobs, logs: AgentLogs, stats: Stats, profiles: ProfileBook
    ) -> None:
        self._kernel = kernel
        self._drivers = drivers
        self._jobs = jobs
        self._logs = logs
        self._stats = stats
        self._profiles = profiles
        self._locks = KeyLocks()
        self._turns: Counter[AgentUid] = Counter()
        self.resumers: dict[str, Callable[[Job], Work]] = {}
        """Who goes on with jobs of other kinds that a killed hub left, by kind."""

    def turn(self, uid: AgentUid) -> int:
        """A number that grows with every act on the agent: what was seen before the last one is old."""
        return self._turns[uid]

    def is_busy(self, uid: AgentUid) -> bool:
        """True while an act on the agent runs; reconcile leaves it alone then."""
        return self._locks.is_held(uid)

    @asynccontextmanager
    async def hold(self, uid: AgentUid) -> AsyncIterator[None]:
        """Keep everybody else from acting on the agent."""
        async with self._locks.hold(uid):
            self._turns[uid] += 1
            yield

    def forget(self, uid: AgentUid) -> None:
        """The agent is gone; nobody asks for its turn any more."""
        self._turns.pop(uid, None)

    # --- the operator's side

    async def create(self, request: CreateAgent, by: str) -> Job:
        """Commit the new agent and start making it."""
        kernel = self._kernel
        driver = await self._drivers.choose(request.driver)
        uid = AgentUid(kernel.clock.new_id("u"))
        profile = await self._profiles.usable(request.profile) if request.profile else None
        machine = machine_of(request, profile.valid().machine if profile else None)
        agent = new_agent(request, uid, driver.name, driver.features, kernel.now(), machine)
        audit = kernel.audited(by, "agent.create", agent.id, detail=spoken(request))
        return await self.make(driver, agent, by, [audit], recipe=profile.recipe() if profile else None)

    async def make(
        self,
        driver: Driver,
        agent: Agent,
        by: str,
        effects: Sequence[Effect],
        seed: Seed | None = None,
        recipe: Recipe | None = None,
    ) -> Job:
        """Commit a new agent's record with `effects` and start making it, from a snapshot with a `seed`.

        `recipe` is what its image is made from; None = the base image.
        """
        added = self._kernel.fleet.add_agent(agent, self._kernel.now())
        work: Work = lambda job: self._create(driver, agent, job, seed, recipe)  # noqa: E731
        return await self._jobs.start("create", agent.id, by, work, effects=[*added, *effects])

    async def act(self, agent_id: str, act: AgentAct, by: str) -> Job:
        """Commit what is wanted and start doing it."""
        kernel = self._kernel
        agent = kernel.fleet.agent(agent_id)
        if act is AgentAct.UPGRADE:
            raise NotAvailable("upgrade is not available in this version", agent=agent_id)
        driver, handle = self.driver_of(agent)
        if act in {AgentAct.PAUSE, AgentAct.RESUME} and not driver.features.pause:
            raise NotAvailable(f"driver {driver.name} cannot pause agents", driver=driver.name)
        _check_possible(agent, act)
        changed = change(agent.desired, _DESIRED[act])
        effects = kernel.fleet.desire(agent.id, _DESIRED[act], kernel.now())
        effects.append(kernel.audited(by, f"agent.{act.value}", agent.id, detail=changed))
        return await self._jobs.start(
            act.value,
            agent.id,
            by,
            lambda job: self._act(driver, handle, agent.uid, act, job),
            effects=effects,
        )

    async def destroy(self, agent_id: str, by: str) -> Job:
        """Commit the end of an agent and start removing it."""
        kernel = self._kernel
        agent = kernel.fleet.agent(agent_id)
        effects = kernel.fleet.desire(agent.id, Desired.ABSENT, kernel.now())
        effects.append(kernel.audited(by, "agent.destroy", agent.id))
        job = await self._jobs.start("destroy", agent.id, by, lambda job: self._destroy(agent, job), effects=effects)
        # Committed first: a create must not be undone for a destroy that could not be kept.
        for kind in ("create", "snapshot"):
            self._jobs.cancel_of(agent.id, kind)
        return job

    async def release(self, agent_id: str, by: str) -> None:
        """Lift quarantine; the agent gets a new join token and makes a new credential.

        One that was registered by hand has no credential then, until it is registered again.
        """
        kernel = self._kernel
        agent = kernel.fleet.agent(agent_id)
        if not agent.driver:
            lifted = kernel.fleet.release(agent.id, kernel.now())
            await kernel.commit([*lifted, kernel.audited(by, "agent.release", agent.id)])
            return
        driver, handle = self.driver_of(agent)
        effects = kernel.fleet.release(agent.id, kernel.now())
        token, secret = self.join_token(agent)
        effects += kernel.fleet.identity.add(token)
        await kernel.commit([*effects, kernel.audited(by, "agent.release", agent.id)])
        await driver.renew_token(handle, secret)

    # --- after a restart

    async def resume_jobs(self, unfinished: list[Job]) -> None:
        """Finish what a stopped or killed hub, or a full disk, left running.

        A create that has no agent to show for it yet is undone.
        """
        # Those that wait for others' ends come last, when the others run again.
        for job in sorted(unfinished, key=lambda job: job.kind in self.resumers):
            if self._jobs.running(job.id) is not None:
                continue
            if (resumer := self.resumers.get(job.kind)) is not None:
                self._jobs.resume(job, resumer(job))
                continue
            agent = self._kernel.fleet.agents.get(job.agent_id) if job.agent_id else None
            if agent is None:
                # The agent is gone, so a destroy is done and anything else has no object.
                state = JobState.SUCCEEDED if job.kind == "destroy" else JobState.FAILED
                await self._close_job(job, state, "its agent is gone")
            elif job.kind == "create" and agent.handle is None:
                self._jobs.resume(job, lambda _, a=agent: self._undo_create(a))
            elif job.kind == "create":
                self._jobs.resume(job, lambda handle, a=agent: self._finish_create(a, handle))
            elif job.kind == "destroy":
                self._jobs.resume(job, lambda handle, a=agent: self._destroy(a, handle))
            else:
                self._jobs.resume(job, lambda handle, a=agent: self._resume_act(a, handle))

    async def _resume_act(self, agent: Agent, job: JobHandle) -> dict[str, Any]:
        # In the job and not before it: a driver that is switched off now must not keep the hub from starting.
        driver, handle = self.driver_of(agent)
        return await self._act(driver, handle, agent.uid, AgentAct(job.job.kind), job)

    async def _close_job(self, job: Job, state: JobState, why: str) -> None:
        error = None if state is JobState.SUCCEEDED else TaskError("interrupted", why)
        ended = replace(job, state=state, message=why, finished_at=self._kernel.now().wall_ms, error=error)
        await self._kernel.commit([Save(ended)])

    async def _undo_create(self, agent: Agent) -> dict[str, Any]:
        async with self.hold(agent.uid):
            await self.remove(agent)
        raise DriverFailed(
            f"agent {agent.id} was not finished; everything of it was removed",
            code="interrupted",
            agent=agent.id,
        )

    # --- the work

    async def _create(
        self, driver: Driver, agent: Agent, job: JobHandle, seed: Seed | None, recipe: Recipe | None
    ) -> dict[str, Any]:
        kernel = self._kernel
        async with self.hold(agent.uid):
            token, secret = self.join_token(agent)
            await kernel.commit(kernel.fleet.identity.add(token))
            try:
                plan = replace(make_plan(agent, kernel.feed.hub_id, secret), recipe=recipe)
                if driver.images is None and recipe is not None and (left := recipe.installs()):
                    job.progress(0.0, f"driver {driver.name} installs nothing: {left} of the profile stay out")
                handle = await driver.create(plan, job.progress, seed)
            except BaseException:
                kernel.push(kernel.fleet.remove_agent(agent.id, kernel.now()))
                self.forget(agent.uid)
                raise
            made = replace(kernel.fleet.agents[agent.id], handle=handle.ref, observed=Observed.RUNNING)
            await kernel.commit(kernel.fleet.change_agent(made))
        return await self._finish_create(agent, job)

    async def _finish_create(self, agent: Agent, job: JobHandle) -> dict[str, Any]:
        """The agent is made; it may have connected already, to this hub or to the one before."""
        await self.wait_online(agent, job, after_epoch=0)
        return {"agentId": agent.id, "uid": agent.uid}

    async def _act(
        self, driver: Driver, handle: AgentHandle, uid: AgentUid, act: AgentAct, job: JobHandle
    ) -> dict[str, Any]:
        async with self.hold(uid):
            agent = self.present(job.job.agent_id, uid)
            grace = stop_grace(agent, self._kernel.config.timing.stop_grace_seconds)
            job.progress(0.2, f"{act.value} {agent.id}")
            match act:
                case AgentAct.START:
                    await driver.start(handle)
                case AgentAct.STOP:
                    await driver.stop(handle, grace)
                case AgentAct.RESTART:
                    await driver.restart(handle, grace)
                case AgentAct.PAUSE:
                    await driver.pause(handle)
                case AgentAct.RESUME:
                    await driver.resume(handle)
                case AgentAct.UPGRADE:
                    raise NotAvailable("upgrade is not available in this version")
            seen = await self.look(driver, agent)
        if act in {AgentAct.START, AgentAct.RESTART}:
            # An agent that ran, or was frozen, keeps its connection when it is started once more.
            kept = act is AgentAct.START and agent.observed in {Observed.RUNNING, Observed.PAUSED}
            await self.wait_online(agent, job, agent.epoch - 1 if kept else agent.epoch)
        return {"agentId": agent.id, "observed": seen.value}

    async def look(self, driver: Driver, agent: Agent) -> Observed:
        """Ask the driver for one agent and take note of the answer."""
        handle = AgentHandle(driver.name, agent.handle or "")
        try:
            seen = await driver.inspect(handle)
            effects = self._kernel.fleet.observe(agent.id, seen.state, seen.exit_code, seen.reason)
            observed = seen.state
        except AgentGone:
            reason = f"driver {driver.name} does not know it any more"
            effects = self._kernel.fleet.observe(agent.id, Observed.ABSENT, None, reason)
            observed = Observed.ABSENT
        await self._kernel.commit(effects)
        return observed

    async def _destroy(self, agent: Agent, job: JobHandle) -> dict[str, Any]:
        async with self.hold(agent.uid):
            present = self._kernel.fleet.agents.get(agent.id)
            if present is None or present.uid != agent.uid:
                self.forget(agent.uid)
                return {"agentId": agent.id}
            job.progress(0.3, f"removing {agent.id}")
            await self.remove(present)
        return {"agentId": agent.id}

    async def remove(self, agent: Agent, by: str = "") -> None:
        """Remove an agent and everything of it; the caller holds it. `by` puts it into the audit."""
        if agent.driver:
            driver = self._drivers.get(agent.driver)
            if agent.handle is None:
                await driver.undo_create(agent.id, agent.uid)
            else:
                await driver.destroy(AgentHandle(driver.name, agent.handle))
        effects = self._kernel.fleet.remove_agent(agent.id, self._kernel.now())
        if by:
            effects.append(self._kernel.audited(by, "agent.destroy", agent.id))
        await self._kernel.commit(effects)
        # Last, because until then its connection may have had a line to add.
        self._logs.remove(agent.id)
        await self._stats.remove(agent)
        self.forget(agent.uid)

    async def wait_online(self, agent: Agent, job: JobHandle, after_epoch: int) -> None:
        """Success is what was observed: wait until the agent has connected."""
        job.progress(0.8, f"waiting for {agent.id} to connect")
        try:
            async with asyncio.timeout(ONLINE_SECONDS):
                while not self._is_online(agent, after_epoch):
                    await self._kernel.feed.wait_for(Kind.AGENT, agent.id)
        except TimeoutError as exc:
            raise DriverFailed(
                f"agent {agent.id} runs but has not connected within {ONLINE_SECONDS:.0f} s",
                code="not_connected",
                hint=f"clawtui logs {agent.id}",
                agent=agent.id,
            ) from exc
        await self._kernel.settle()

    def _is_online(self, agent: Agent, after_epoch: int) -> bool:
        present = self.present(agent.id, agent.uid)
        presence = self._kernel.fleet.presence(agent.id)
        return presence.connection is Connection.ONLINE and present.epoch > after_epoch

    # --- parts

    def present(self, agent_id: AgentId | None, uid: AgentUid) -> Agent:
        """Return this very incarnation as it is now. Raises Conflict."""
        agent = self._kernel.fleet.agents.get(agent_id) if agent_id is not None else None
        if agent is None or agent.uid != uid:
            raise Conflict("the agent was destroyed meanwhile", code="agent_gone")
        return agent

    def driver_of(self, agent: Agent) -> tuple[Driver, AgentHandle]:
        """Raises Conflict for agents that no driver made."""
        if not agent.driver or agent.handle is None:
            state = "is still being made" if agent.driver else "was registered by hand"
            raise Conflict(
                f"agent {agent.id} {state}: there is nothing that could be driven",
                code="no_driver",
                agent=agent.id,
            )
        return self._drivers.get(agent.driver), AgentHandle(agent.driver, agent.handle)

    def join_token(self, agent: Agent) -> tuple[Token, str]:
        kernel = self._kernel
        return agent_token(kernel.clock, agent, TokenKind.JOIN, kernel.config.timing.join_token_seconds)


def _check_possible(agent: Agent, act: AgentAct) -> None:
    if agent.desired is Desired.ABSENT:
        raise Conflict(f"agent {agent.id} is being destroyed", agent=agent.id)
    if agent.observed is Observed.CREATING:
        raise Conflict(f"agent {agent.id} is not there yet: {agent.reason or 'it is being made'}", agent=agent.id)
    if act is AgentAct.RESUME and agent.desired is not Desired.PAUSED:
        raise BadRequest(f"agent {agent.id} is not paused", agent=agent.id)
    if act is AgentAct.PAUSE and agent.observed is not Observed.RUNNING:
        raise Conflict(f"agent {agent.id} does not run", agent=agent.id)
