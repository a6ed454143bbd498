"""Reconcile: look at every platform again and again, and make what is seen what is wanted.

One loop per driver. It looks when the platform says that something changed, and every
`reconcile_seconds` anyway, because events get lost. A platform that does not answer changes
nothing: what was observed stays, and the hub's health says that the source is gone.
"""

from __future__ import annotations

import asyncio

import structlog

from hub.acts import Acts
from hub.core.lifecycle import Step
from hub.core.model import Agent, Observed
from hub.drivers.base import AgentHandle, Driver, Observation, RestartPolicy
from hub.errors import HubError
from hub.kernel import Kernel

AT_ONCE = 8
"""Steps carried out at the same time per driver."""
WATCH_RETRY_SECONDS = 2.0

log = structlog.get_logger("hub.reconcile")


class Reconciler:
    """Keeps one driver's agents as they should be."""

    def __init__(self, kernel: Kernel, acts: Acts, driver: Driver) -> None:
        self._kernel = kernel
        self._acts = acts
        self._driver = driver
        self._changed = asyncio.Event()
        self._look_again_at: float | None = None
        self.problem = ""

    @property
    def driver_name(self) -> str:
        return self._driver.name

    async def run(self) -> None:
        """Look until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch())
            while True:
                self._changed.clear()
                await self._look_safely()
                try:
                    async with asyncio.timeout(self._pause_seconds()):
                        await self._changed.wait()
                except TimeoutError:
                    continue

    def _pause_seconds(self) -> float:
        """Until the next look: sooner than usual when a restart becomes due before that."""
        usual = self._kernel.config.timing.reconcile_seconds
        if self._look_again_at is None:
            return usual
        return min(usual, max(0.0, self._look_again_at - self._kernel.now().mono))

    async def _watch(self) -> None:
        while True:
            try:
                async for _ in self._driver.watch():
                    self._changed.set()
            except HubError as exc:
                log.info("watch_ended", driver=self._driver.name, error=exc.message)
            except Exception:
                log.exception("watch_crashed", driver=self._driver.name)
            await asyncio.sleep(WATCH_RETRY_SECONDS)

    async def _look_safely(self) -> None:
        """A fault in one driver is no reason to end the hub, and with it all others: it is shown and tried again."""
        try:
            await self._look()
        except Exception as exc:
            log.exception("reconcile_crashed", driver=self._driver.name)
            self.problem = f"internal error: {type(exc).__name__}; the hub's log has the details"

    async def _look(self) -> None:
        self._look_again_at = None
        mine = [a for a in self._kernel.fleet.agents.values() if a.driver == self._driver.name]
        if not mine:
            # Nothing to compare; the platform is not asked for nothing.
            self.problem = ""
            return
        turns = {agent.uid: self._acts.turn(agent.uid) for agent in mine}
        try:
            seen = {found.uid: found for found in await self._driver.list_agents()}
        except HubError as exc:
            self.problem = exc.message
            return
        self.problem = ""
        steps: list[tuple[Agent, Step]] = []
        for agent in mine:
            if self._acts.turn(agent.uid) != turns[agent.uid]:
                # Somebody acted on it while the platform was asked: what was seen is old.
                self._changed.set()
                continue
            if (step := self._judge(agent, seen.get(agent.uid))) is not None:
                steps.append((agent, step))
        await self._carry_out(steps)

    def _present(self, known: Agent) -> Agent | None:
        """The same incarnation as it is now."""
        agent = self._kernel.fleet.agents.get(known.id)
        return agent if agent is not None and agent.uid == known.uid else None

    def _judge(self, known: Agent, found: Observation | None) -> Step | None:
        """Take note of what was seen and return what must be done."""
        kernel, agent = self._kernel, self._present(known)
        if agent is None or agent.observed is Observed.CREATING or self._acts.is_busy(agent.uid):
            return None
        if found is None:
            state, code, reason = Observed.ABSENT, None, "removed from outside"
        else:
            state, code, reason = found.state, found.exit_code, _reason(found)
        if kernel.fleet.lifecycle.is_looping(agent.id) and state is Observed.EXITED:
            reason = f"restarts were given up: {reason}"
        kernel.push(kernel.fleet.observe(agent.id, state, code, reason))
        agent = kernel.fleet.agents[agent.id]
        now = kernel.now()
        step = kernel.fleet.lifecycle.step(agent, now)
        if agent.observed is Observed.EXITED and not _may_restart(agent):
            return None
        at = kernel.fleet.lifecycle.restart_at(agent.id) if step is None else None
        if at is not None and at > now.mono:
            self._look_again_at = min(at, self._look_again_at or at)
        return step

    async def _carry_out(self, steps: list[tuple[Agent, Step]]) -> None:
        room = asyncio.Semaphore(AT_ONCE)
        async with asyncio.TaskGroup() as group:
            for agent, step in steps:
                group.create_task(self._do(agent, step, room))

    async def _do(self, agent: Agent, step: Step, room: asyncio.Semaphore) -> None:
        handle = AgentHandle(self._driver.name, agent.handle or "")
        grace = self._kernel.config.timing.stop_grace_seconds
        async with room, self._acts.hold(agent.uid):
            present = self._present(agent)
            if present is None:
                self._acts.forget(agent.uid)
                return
            if present.desired is not agent.desired:
                # Somebody acted on it while this step waited for its turn; the next look decides anew.
                self._changed.set()
                return
            log.info("reconcile_step", agent=agent.id, step=step.value)
            try:
                match step:
                    case Step.START:
                        await self._driver.start(handle)
                    case Step.STOP:
                        await self._driver.stop(handle, grace)
                    case Step.PAUSE:
                        await self._driver.pause(handle)
                    case Step.RESUME:
                        await self._driver.resume(handle)
                    case Step.DESTROY:
                        # The job that should have done it failed, for instance because the platform was away.
                        await self._acts.remove(present, "hub")
                        return
                await self._acts.look(self._driver, agent)
            except HubError as exc:
                log.warning("reconcile_failed", agent=agent.id, step=step.value, error=exc.message)
            except Exception:
                log.exception("reconcile_step_crashed", agent=agent.id, step=step.value)


def _reason(found: Observation) -> str:
    if found.out_of_memory:
        return "out of memory" + (f": {found.reason}" if found.reason else "")
    if found.state is Observed.EXITED and found.exit_code is not None and not found.reason:
        return f"exit code {found.exit_code}"
    return found.reason


def _may_restart(agent: Agent) -> bool:
    policy = RestartPolicy(agent.restart)
    if policy is RestartPolicy.ON_FAILURE:
        return agent.exit_code != 0
    return policy is not RestartPolicy.NO
