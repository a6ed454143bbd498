"""Reconcile: what is observed becomes what is wanted, with patience; a platform that is silent changes nothing."""

from __future__ import annotations

import asyncio

import pytest

from hub.config import Timing
from hub.contract import AgentAct
from hub.core.model import Observed
from hub.drivers.fake import Script, Step
from hub.errors import DriverFailed
from tests.end_to_end.harness import eventually
from tests.hub.running import RunningHub, StillClock, running_hub
from tests.hub.test_jobs import made

OFTEN = Timing(reconcile_seconds=0.05, drain_seconds=1.0)


class Looks:
    """Counts how often the platform was asked for its agents."""

    def __init__(self) -> None:
        self.count = 0

    async def __call__(self, step: Step, agent: str) -> None:
        self.count += step is Step.LIST


async def reason_of(hub: RunningHub) -> str:
    return (await hub.control.agent("a")).reason or ""


async def test_an_agent_that_ended_by_itself_is_started_again_after_a_wait() -> None:
    async with running_hub(clock=StillClock()) as hub:
        await made(hub)
        hub.platform.end("a", 3)
        await hub.status("a", "crashed")
        assert (await hub.control.agent("a")).exit_code == 3
        assert await reason_of(hub) == "exit code 3"
        hub.move(2.0)
        await hub.until(lambda: hub.platform.agent("a").starts == 2, "it is started again")


async def test_the_wait_before_a_restart_is_kept() -> None:
    """Sooner than the usual look, and not before its time."""
    looks = Looks()
    timing = Timing(reconcile_seconds=3_600, drain_seconds=1.0)
    async with running_hub(timing=timing, script=Script(before=looks), clock=StillClock()) as hub:
        await made(hub)
        hub.platform.end("a", 1)
        await hub.status("a", "crashed")
        enough = looks.count + 2
        hub.platform.changed()
        await hub.until(lambda: looks.count >= enough, "the platform is looked at again")
        assert hub.platform.agent("a").starts == 1
        hub.move(2.0)
        await hub.until(lambda: hub.platform.agent("a").starts == 2, "the wait is over")


async def test_a_crash_loop_is_given_up_and_an_operators_start_begins_anew() -> None:
    async with running_hub(timing=OFTEN, script=Script(crashes=0)) as hub:
        await made(hub)

        async def given_up() -> bool:
            if hub.platform.agent("a").state is Observed.RUNNING:
                hub.platform.end("a", 1)
            hub.move(30.0)
            return "given up" in await reason_of(hub)

        await eventually(given_up, what="restarts are given up")
        starts = hub.platform.agent("a").starts
        assert starts == 6  # the first, and five restarts
        hub.move(600.0)
        hub.platform.changed()
        await hub.kernel.settle()
        assert hub.platform.agent("a").starts == starts
        await hub.control.act("a", AgentAct.START)
        await hub.until(lambda: hub.platform.agent("a").starts == starts + 1)


async def test_out_of_memory_is_told() -> None:
    async with running_hub(clock=StillClock()) as hub:
        await made(hub)
        hub.platform.end("a", 137, out_of_memory=True)
        await hub.status("a", "crashed")
        assert await reason_of(hub) == "out of memory"


@pytest.mark.parametrize(
    ("policy", "code", "restarted"), [("no", 1, False), ("on-failure", 0, False), ("on-failure", 1, True)]
)
async def test_the_restart_policy_is_kept(policy: str, code: int, restarted: bool) -> None:
    looks = Looks()
    async with running_hub(timing=OFTEN, script=Script(before=looks), clock=StillClock()) as hub:
        job = await hub.create(restart=policy)
        await hub.until(lambda: hub.platform.agents)
        agent = hub.created()
        await agent.connect()
        await hub.job(job.id)
        hub.platform.end("a", code)
        await hub.status("a", "crashed")
        hub.move(120.0)
        if restarted:
            await hub.until(lambda: hub.platform.agent("a").starts == 2)
        else:
            enough = looks.count + 3
            await hub.until(lambda: looks.count >= enough, "the platform is looked at again")
            assert hub.platform.agent("a").starts == 1


async def test_an_agent_removed_from_outside_is_shown_and_not_made_again() -> None:
    async with running_hub() as hub:
        await made(hub)
        hub.platform.vanish("a")
        await hub.status("a", "crashed")
        assert await reason_of(hub) == "removed from outside"
        assert hub.platform.agents == {}
        assert (await hub.job((await hub.control.destroy("a")).id)).state == "succeeded"


async def test_what_should_be_stopped_or_paused_is_put_back() -> None:
    async with running_hub(timing=OFTEN) as hub:
        await made(hub)
        for act, wanted in ((AgentAct.PAUSE, Observed.PAUSED), (AgentAct.STOP, Observed.EXITED)):
            await hub.job((await hub.control.act("a", act)).id)
            hub.platform.agent("a").state = Observed.RUNNING
            hub.platform.changed()
            await hub.until(lambda wanted=wanted: hub.platform.agent("a").state is wanted)


async def test_a_platform_that_does_not_answer_changes_nothing_and_is_shown() -> None:
    silent = asyncio.Event()

    async def answer(step: Step, agent: str) -> None:
        if step is Step.LIST and silent.is_set():
            raise DriverFailed("list fails")

    async with running_hub(timing=OFTEN, script=Script(before=answer)) as hub:
        await made(hub)
        silent.set()

        async def problem() -> bool:
            health = await hub.control.health()
            return any("list fails" in text for text in health.problems)

        await eventually(problem, what="the silent platform is told of")
        agent = await hub.control.agent("a")
        assert (agent.status, agent.lifecycle.observed) == ("online", Observed.RUNNING)
        silent.clear()

        async def well() -> bool:
            return (await hub.control.health()).status == "ok"

        await eventually(well, what="the platform answers again")
        assert (await hub.control.agent("a")).status == "online"


async def test_a_restart_that_fails_is_tried_again() -> None:
    async with running_hub(timing=OFTEN, script=Script(failures={Step.START: 2})) as hub:
        await made(hub)
        hub.platform.end("a", 1)

        async def running() -> bool:
            hub.move(5.0)
            return hub.platform.agent("a").starts == 2

        await eventually(running, what="it runs again")


async def test_a_destroy_that_failed_is_done_when_the_platform_can_again() -> None:
    async with running_hub(timing=OFTEN, script=Script(failures={Step.DESTROY: 2})) as hub:
        await made(hub)
        assert (await hub.job((await hub.control.destroy("a")).id)).state == "failed"
        await hub.until(lambda: not hub.kernel.fleet.agents and not hub.platform.agents)
        # Memory forgets the agent first; its acts are forgotten after the commit.
        await hub.until(lambda: hub.hub._acts._turns == {}, "nothing is kept of it")
        assert ("a", "ok") in await hub.audited("agent.destroy")


async def test_a_fault_in_a_driver_is_shown_and_does_not_end_the_hub() -> None:
    async def faulty(step: Step, agent: str) -> None:
        if step in broken:
            raise RuntimeError("a fault in the driver")

    broken: set[Step] = set()
    async with running_hub(timing=OFTEN, script=Script(before=faulty)) as hub:
        await made(hub)

        async def problem() -> bool:
            return any("internal error: RuntimeError" in text for text in (await hub.control.health()).problems)

        broken |= {Step.LIST, Step.START}
        await eventually(problem, what="the fault is shown")
        broken.discard(Step.LIST)
        hub.platform.end("a", 1)

        async def well() -> bool:
            return not await problem()

        await eventually(well, what="the platform is looked at again")
        broken.clear()
        await hub.until(lambda: hub.platform.agent("a").starts == 2, "the agent is started again")
