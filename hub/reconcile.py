"""Reconcile: look at every platform again and again, and make what is seen what is wanted.

One loop per driver. It looks when the platform says that something changed, and every
`reconcile_seconds` anyway, because events get lost. A platform that does not answer changes
nothing: what was observed stays, and the hub's health says that the source is gone.
"""

from __future__ import annotations

import asyncio

import structlog

from hub.acts import Acts
from hub.core.effects import Kind, Publish
from hub.core.lifecycle import Step
from hub.core.model import Agent, Connection, Desired, Observed
from hub.core.wellness import Report, Seen
from hub.drivers.base import AgentHandle, Driver, Observation, RestartPolicy
from hub.errors import HubError
from hub.kernel import Kernel
from hub.planning import WAITS, is_composed

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
        if agent is None or self._acts.is_busy(agent.uid) or _is_awaited(agent, found):
            return None
        lifecycle, now = kernel.fleet.lifecycle, kernel.now()
        if found is None:
            waits = is_composed(agent)
            state, code = (Observed.CREATING if waits else Observed.ABSENT), None
            reason = WAITS if waits else "removed from outside"
        else:
            state, code, reason = found.state, found.exit_code, _reason(found)
            if lifecycle.wellness.see(agent.id, _seen(found), now):
                kernel.push([Publish(Kind.AGENT, agent.id)])
        if lifecycle.is_looping(agent.id) and state is Observed.EXITED:
            reason = f"restarts were given up: {lifecycle.gave_up_because(agent.id) or reason}"
        kernel.push(kernel.fleet.observe(agent.id, state, code, reason))
        agent = kernel.fleet.agents[agent.id]
        step = lifecycle.step(agent, now)
        if agent.observed is Observed.EXITED and not _may_restart(agent):
            return None
        if step is None:
            step = self._step_of_the_unwell(agent)
        at = lifecycle.restart_at(agent.id) if step is None else None
        self._look_again(at, lifecycle.wellness.restart_at(agent.id))
        return step

    def _step_of_the_unwell(self, agent: Agent) -> Step | None:
        """What is done for an agent that runs and is not well; see `hub.core.wellness`."""
        fleet, now = self._kernel.fleet, self._kernel.now()
        wellness = fleet.lifecycle.wellness
        if wellness.is_looping(agent):
            return Step.STOP
        online = fleet.presence(agent.id).connection is Connection.ONLINE
        busy = online and bool(fleet.dispatcher.book.slots[agent.id].held)
        before = wellness.report(agent.id)
        restart = wellness.must_restart(agent, now, busy=busy)
        if wellness.report(agent.id) != before:
            self._kernel.push([Publish(Kind.AGENT, agent.id)])
        return Step.RESTART if restart else None

    def _look_again(self, *times: float | None) -> None:
        now = self._kernel.now().mono
        for at in times:
            if at is not None and at > now:
                self._look_again_at = min(at, self._look_again_at or at)

    async def _carry_out(self, steps: list[tuple[Agent, Step]]) -> None:
        room = asyncio.Semaphore(AT_ONCE)
        async with asyncio.TaskGroup() as group:
            for agent, step in steps:
                group.create_task(self._do(agent, step, room))

    async def _do(self, agent: Agent, step: Step, room: asyncio.Semaphore) -> None:
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
                await self._take(present, step)
                if step is not Step.DESTROY:
                    await self._acts.look(self._driver, agent)
            except HubError as exc:
                log.warning("reconcile_failed", agent=agent.id, step=step.value, error=exc.message)
            except Exception:
                log.exception("reconcile_step_crashed", agent=agent.id, step=step.value)

    async def _take(self, agent: Agent, step: Step) -> None:
        handle = AgentHandle(self._driver.name, agent.handle or "")
        grace = self._kernel.config.timing.stop_grace_seconds
        match step:
            case Step.START:
                await self._driver.start(handle)
            case Step.STOP:
                await self._driver.stop(handle, grace)
                self._ended_loop(agent)
            case Step.PAUSE:
                await self._driver.pause(handle)
            case Step.RESUME:
                await self._driver.resume(handle)
            case Step.RESTART:
                self._tell_restart(agent)
                await self._driver.restart(handle, grace)
            case Step.DESTROY:
                # The job that should have done it failed, for instance because the platform was away.
                await self._acts.remove(agent, "hub")

    def _ended_loop(self, agent: Agent) -> None:
        """An agent that should run was stopped only because its platform started it again and again."""
        if agent.desired is not Desired.RUNNING:
            return
        lifecycle = self._kernel.fleet.lifecycle
        why = _loop_text(self._driver.name, lifecycle.wellness.report(agent.id))
        lifecycle.give_up(agent.id, why)
        # The driver's word for a container that was stopped says nothing of the reason: the next look has it.
        self._changed.set()
        self._kernel.push([self._kernel.audited("hub", "agent.stop", agent.id, detail=why)])

    def _tell_restart(self, agent: Agent) -> None:
        report = self._kernel.fleet.lifecycle.wellness.report(agent.id)
        why = f"unhealthy: {report.why}" if report is not None and report.why else "unhealthy"
        log.warning("unhealthy_restarted", agent=agent.id, why=why)
        self._kernel.push([self._kernel.audited("hub", "agent.restart", agent.id, detail=why)])


def _seen(found: Observation) -> Seen:
    return Seen(
        observed=found.state,
        check=found.check,
        why=found.check_why,
        restarts=found.restarts,
        exit_code=found.exit_code,
        out_of_memory=found.out_of_memory,
        started_at=found.started_at,
    )


def _loop_text(driver: str, report: Report | None) -> str:
    times = report.falls if report is not None else 0
    text = f"crash loop, driver {driver} started it again {times} times"
    if report is not None and report.out_of_memory:
        return f"{text}, out of memory"
    code = report.last_exit if report is not None else None
    return text if code is None else f"{text}, last exit code {code}"


def _is_awaited(agent: Agent, found: Observation | None) -> bool:
    """Whether a create goes on, which has no handle yet, or a Compose file has not made the agent so far."""
    if agent.observed is not Observed.CREATING:
        return False
    return agent.handle is None or (found is None and agent.desired is not Desired.ABSENT)


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
