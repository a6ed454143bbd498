"""A whole hub with agents that are not well: restarted, left to their work, given up, stopped in a crash loop."""

from __future__ import annotations

from hub.config import Timing
from hub.contract import AgentAct, AttentionQuery
from hub.core.model import CheckState, Observed
from hub.drivers.fake import Script, Step
from tests.end_to_end.harness import eventually
from tests.hub.running import PlayedAgent, RunningHub, running_hub
from tests.hub.test_jobs import made

OFTEN = Timing(reconcile_seconds=0.05, drain_seconds=1.0)
STEP_SECONDS = 5.0
"""So far the clock is moved at once: less than a gap in the looks."""


class Looks:
    """Counts how often the platform was asked for its agents."""

    def __init__(self) -> None:
        self.count = 0

    async def __call__(self, step: Step, agent: str) -> None:
        self.count += step is Step.LIST


def sicken(hub: RunningHub, check: CheckState = CheckState.UNHEALTHY, why: str = "no answer") -> None:
    agent = hub.platform.agent("a")
    agent.check, agent.check_why = check, why
    hub.platform.changed()


async def until_checked(hub: RunningHub, status: CheckState) -> None:
    async def shown() -> bool:
        check = (await hub.control.agent("a")).check
        return check is not None and check.status is status

    await eventually(shown, what=f"the check says {status}")


async def pass_time(hub: RunningHub, looks: Looks, seconds: float) -> None:
    """Let time pass with a look at the platform in every step of it."""
    for _ in range(round(seconds / STEP_SECONDS)):
        hub.move(STEP_SECONDS)
        seen = looks.count
        # The first of them may have begun before the clock was moved.
        await hub.until(lambda seen=seen: looks.count >= seen + 2, "the platform is looked at")


async def kinds(hub: RunningHub) -> list[str]:
    found = (await hub.control.attention(AttentionQuery())).attention
    return [view.kind for view in found if view.target == "a" and view.kind != "agent_silent"]


async def connected(hub: RunningHub) -> PlayedAgent:
    """Make an agent that stays connected."""
    job = await hub.create()
    await hub.until(lambda: hub.platform.agents)
    agent = hub.created()
    await agent.connect()
    await hub.job(job.id)
    return agent


async def test_an_unhealthy_agent_is_shown_restarted_and_given_up() -> None:
    looks = Looks()
    async with running_hub(timing=OFTEN, script=Script(before=looks)) as hub:
        await made(hub)
        sicken(hub, CheckState.HEALTHY, "healthy")
        await until_checked(hub, CheckState.HEALTHY)
        sicken(hub)
        await until_checked(hub, CheckState.UNHEALTHY)
        assert "unhealthy" in await kinds(hub)
        await pass_time(hub, looks, 300)
        # 10, 20 and 40 s after it was seen, and then no more.
        assert hub.platform.agent("a").starts == 4
        check = (await hub.control.agent("a")).check
        assert check is not None
        assert (check.restarts, check.given_up, check.why) == (3, True, "no answer")
        assert "given_up" in await kinds(hub)
        assert await hub.audited("agent.restart") == [("a", "ok")] * 3
        await hub.job((await hub.control.act("a", AgentAct.STOP)).id)
        assert (await hub.control.agent("a")).check is None
        assert await kinds(hub) == []


async def test_an_agent_that_works_is_not_interrupted_by_its_health_check() -> None:
    looks = Looks()
    timing = Timing(reconcile_seconds=0.05, drain_seconds=1.0, stale_after_seconds=3_600)
    async with running_hub(timing=timing, script=Script(before=looks)) as hub:
        agent = await connected(hub)
        await hub.ping()
        attempt = await agent.receive_task()
        await agent.accept(attempt)
        sicken(hub)
        await pass_time(hub, looks, 60)
        assert hub.platform.agent("a").starts == 1
        found = (await hub.control.attention(AttentionQuery())).attention
        assert any("when its tasks have ended" in view.text for view in found)
        await agent.respond(attempt)
        await hub.until(lambda: hub.platform.agent("a").starts == 2, "it is restarted after its work")
        await agent.close()


async def test_a_paused_agent_is_not_held_to_its_check() -> None:
    looks = Looks()
    async with running_hub(timing=OFTEN, script=Script(before=looks)) as hub:
        await made(hub)
        await hub.job((await hub.control.act("a", AgentAct.PAUSE)).id)
        sicken(hub)
        await pass_time(hub, looks, 60)
        assert (hub.platform.agent("a").starts, await kinds(hub)) == (1, [])


async def test_nobody_is_restarted_for_the_time_the_hub_was_away() -> None:
    """One long gap, as when the machine slept; afterwards the wait begins anew."""
    looks = Looks()
    async with running_hub(timing=OFTEN, script=Script(before=looks)) as hub:
        await made(hub)
        sicken(hub)
        await until_checked(hub, CheckState.UNHEALTHY)
        hub.move(3_600)
        seen = looks.count
        await hub.until(lambda: looks.count >= seen + 3, "the platform is looked at")
        assert hub.platform.agent("a").starts == 1
        await pass_time(hub, looks, 15)
        assert hub.platform.agent("a").starts == 2


async def test_a_crash_loop_of_the_platforms_own_restarts_is_ended() -> None:
    async with running_hub(timing=OFTEN) as hub:
        await made(hub)
        agent, wellness = hub.platform.agent("a"), hub.kernel.fleet.lifecycle.wellness
        name = hub.kernel.fleet.agent("a").id
        await hub.until(lambda: wellness.report(name), "it was seen as it was before its falls")
        for number in range(1, 6):
            agent.restarts, agent.state, agent.exit_code = number, Observed.UNKNOWN, 7
            hub.platform.changed()

            def noticed(number: int = number) -> bool:
                report = wellness.report(name)
                return report is not None and report.falls >= number

            await hub.until(noticed, f"fall {number} is noticed")
        await hub.status("a", "crashed")

        async def said() -> bool:
            reason = (await hub.control.agent("a")).reason or ""
            return "restarts were given up: crash loop" in reason and "5 times, last exit code 7" in reason

        await eventually(said, what="the crash loop is told of")
        assert ("a", "ok") in await hub.audited("agent.stop")
        assert "crash_loop" in await kinds(hub)
        hub.move(600)
        hub.platform.changed()
        await hub.kernel.settle()
        assert agent.starts == 1
        await hub.control.act("a", AgentAct.START)
        await hub.until(lambda: agent.starts == 2, "an operator starts it again")


async def test_want_of_memory_is_told_apart_from_other_ends() -> None:
    async with running_hub(timing=OFTEN) as hub:
        await made(hub)
        hub.platform.end("a", 137, out_of_memory=True)

        async def told() -> bool:
            return "out_of_memory" in await kinds(hub)

        await eventually(told, what="want of memory needs a person")
