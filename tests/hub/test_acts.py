"""Acts: what is wanted is committed first, then done, and success is what was observed."""

from __future__ import annotations

import pytest

from hub.config import Timing
from hub.contract import AgentAct, CreateAgent
from hub.core.model import Desired, Observed
from hub.drivers.fake import Script, Step
from hub.errors import BadRequest, Conflict, NotAvailable, NotFound
from runtime.wire import Log
from tests.hub.running import RunningHub, running_hub
from tests.hub.test_jobs import made


async def acted(hub: RunningHub, act: AgentAct) -> str:
    job = await hub.job((await hub.control.act("a", act)).id)
    return job.state


async def test_a_created_agent_is_online_when_its_job_has_succeeded() -> None:
    async with running_hub() as hub:
        await made(hub)
        agent = await hub.control.agent("a")
        assert (agent.status, agent.lifecycle.observed, agent.driver) == ("online", Observed.RUNNING, "fake")
        assert await hub.audited("agent.create") == [("a", "ok")]
        assert await hub.audited("agent.join") == [("a", "ok")]


async def test_stop_start_pause_resume() -> None:
    async with running_hub() as hub:
        await made(hub)
        for act, status in (
            (AgentAct.PAUSE, "paused"),
            (AgentAct.RESUME, "online"),
            (AgentAct.STOP, "stopped"),
        ):
            assert await acted(hub, act) == "succeeded"
            assert (await hub.control.agent("a")).status == status
        agent = hub.created()
        agent.token, agent.credential = "cta_a", None
        job = await hub.control.act("a", AgentAct.START)
        await hub.until(lambda: hub.platform.agent("a").state is Observed.RUNNING)
        await agent.connect(instance="two")
        assert (await hub.job(job.id)).state == "succeeded"
        assert (await hub.control.agent("a")).status == "online"
        await agent.close()


async def test_a_restart_succeeds_only_when_a_new_connection_has_come() -> None:
    async with running_hub() as hub:
        await made(hub)
        epoch = (await hub.control.agent("a")).epoch
        job = await hub.control.act("a", AgentAct.RESTART)
        await hub.until(lambda: hub.platform.agent("a").starts == 2)
        assert (await hub.control.job(job.id)).state == "running"
        agent = hub.created()
        agent.token, agent.credential = "cta_a", None
        await agent.connect(instance="two")
        assert (await hub.job(job.id)).state == "succeeded"
        assert (await hub.control.agent("a")).epoch == epoch + 1
        await agent.close()


async def test_starting_what_runs_is_no_error() -> None:
    async with running_hub() as hub:
        await made(hub)
        assert await acted(hub, AgentAct.START) == "succeeded"
        assert hub.platform.agent("a").starts == 1


@pytest.mark.parametrize(
    ("act", "error"),
    [(AgentAct.RESUME, BadRequest), (AgentAct.UPGRADE, NotAvailable)],
)
async def test_what_makes_no_sense_is_refused_before_anything_is_decided(act: AgentAct, error: type[Exception]) -> None:
    async with running_hub() as hub:
        await made(hub)
        with pytest.raises(error):
            await hub.control.act("a", act)
        assert (await hub.control.agent("a")).lifecycle.desired is Desired.RUNNING


async def test_a_stopped_agent_cannot_be_paused() -> None:
    async with running_hub() as hub:
        await made(hub)
        await acted(hub, AgentAct.STOP)
        with pytest.raises(Conflict):
            await hub.control.act("a", AgentAct.PAUSE)


async def test_an_agent_registered_by_hand_cannot_be_driven() -> None:
    async with running_hub() as hub:
        await hub.register()
        with pytest.raises(Conflict, match="by hand"):
            await hub.control.act("a", AgentAct.STOP)
        job = await hub.job((await hub.control.destroy("a")).id)
        assert job.state == "succeeded"
        with pytest.raises(NotFound):
            await hub.control.agent("a")


async def test_destroying_cancels_open_tasks_and_shuts_every_door() -> None:
    async with running_hub() as hub:
        await made(hub)
        task_id = await hub.ping()
        queued = await hub.ping()
        assert (await hub.job((await hub.control.destroy("a")).id)).state == "succeeded"
        for ended in (await hub.ended(task_id), await hub.ended(queued)):
            assert ended.error is not None
            assert (ended.status, ended.error.code) == ("cancelled", "agent_destroyed")
        assert hub.platform.agents == {}
        await made(hub)
        with pytest.raises(NotFound):
            await hub.ping("b")


async def test_a_destroy_ends_a_create_that_is_under_way() -> None:
    async with running_hub() as hub:
        create = await hub.create()
        await hub.until(lambda: hub.platform.agents)
        destroy = await hub.control.destroy("a")
        assert (await hub.job(destroy.id)).state == "succeeded"
        assert (await hub.job(create.id)).state in ("cancelled", "failed")
        assert hub.platform.agents == {}
        with pytest.raises(NotFound):
            await hub.control.agent("a")


async def test_a_name_is_taken_once() -> None:
    async with running_hub() as hub:
        await made(hub)
        with pytest.raises(Conflict) as refused:
            await hub.create()
        assert refused.value.code == "agent_exists"
        hub.platform.foreign.add(hub.kernel.fleet.agent("a").id)


async def test_a_failed_stop_is_told_and_the_agent_is_shown_as_it_is() -> None:
    # Reconcile looks only when the platform calls: else its stop could be the one that fails.
    seldom = Timing(reconcile_seconds=3_600, drain_seconds=1.0)
    async with running_hub(timing=seldom, script=Script(failures={Step.STOP: 1})) as hub:
        await made(hub)
        assert await acted(hub, AgentAct.STOP) == "failed"
        hub.platform.changed()
        await hub.until(lambda: hub.platform.agent("a").state is Observed.EXITED, "reconcile stops it all the same")
        await hub.status("a", "stopped")


async def test_an_unusable_driver_is_refused_with_its_reason() -> None:
    async with running_hub(script=Script(unusable="no engine")) as hub:
        with pytest.raises(NotAvailable, match="no engine"):
            await hub.control.create_agent(CreateAgent(name="a"))
        with pytest.raises(NotAvailable):
            await hub.control.create_agent(CreateAgent(name="a", driver="swarm"))


async def test_adopt_takes_back_what_the_registry_does_not_know() -> None:
    async with running_hub() as hub:
        await made(hub)
        orphan = hub.platform.agent("a")
        hub.kernel.push(hub.kernel.fleet.remove_agent(hub.kernel.fleet.agent("a").id, hub.kernel.now()))
        await hub.kernel.settle()
        answer = await hub.control.adopt()
        assert (answer.adopted, answer.skipped) == (["a"], {})
        assert orphan.token != ""
        agent = hub.created()
        agent.credential = "cta_new"
        await agent.connect()
        await hub.status("a", "online")
        assert (await hub.control.adopt()).adopted == []
        await agent.close()


async def test_a_frozen_agent_that_is_started_keeps_its_connection() -> None:
    async with running_hub() as hub:
        await made(hub)
        epoch = (await hub.control.agent("a")).epoch
        assert await acted(hub, AgentAct.PAUSE) == "succeeded"
        assert await acted(hub, AgentAct.START) == "succeeded"
        agent = await hub.control.agent("a")
        assert (agent.status, agent.epoch) == ("online", epoch)


async def test_nothing_is_kept_of_agents_that_are_gone() -> None:
    async with running_hub() as hub:
        for _ in range(2):
            await made(hub)
            hub.hub._logs.append(hub.kernel.fleet.agent("a").id, 1, b"hello\n", Log(data="hello\n"))
            jobs = [await hub.control.destroy("a"), await hub.control.destroy("a")]
            assert [(await hub.job(job.id)).state for job in jobs] == ["succeeded", "succeeded"]
        assert hub.hub._acts._turns == {}
        assert list((hub.folder / "logs" / "agents").iterdir()) == []
