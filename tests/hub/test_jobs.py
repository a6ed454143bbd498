"""Jobs: a row before they start, an end that is kept, cancelled by people, left for the next start by a stop."""

from __future__ import annotations

import asyncio

import pytest

from hub.contract import AgentAct
from hub.core.effects import Kind
from hub.drivers.fake import FakePlatform, Script, Step
from hub.errors import BadRequest, Conflict, DriverFailed, NotFound
from hub.jobs import STEP_CHARACTERS, STEPS, JobHandle
from tests.hub.running import RunningHub, running_hub, short_folder


class Gate:
    """Holds a driver's step until the test opens it."""

    def __init__(self, step: Step) -> None:
        self.step = step
        self.reached = asyncio.Event()
        self.opened = asyncio.Event()

    async def __call__(self, step: Step, agent: str) -> None:
        if step is self.step:
            self.reached.set()
            await self.opened.wait()


async def test_a_job_is_a_row_before_its_work_begins_and_shows_its_progress() -> None:
    gate = Gate(Step.CREATE_START)
    async with running_hub(script=Script(before=gate)) as hub:
        job = await hub.create()
        assert job.state == "running"
        await gate.reached.wait()
        row = await hub.kernel.registry.job(job.id)
        assert row is not None
        assert (row.kind, row.state, row.by) == ("create", "running", "user:test")
        shown = await hub.control.job(job.id)
        assert (shown.progress, shown.message) == (0.5, "made")
        assert ([step.message for step in shown.steps], shown.by) == (["made"], "user:test")
        gate.opened.set()
        await hub.until(lambda: hub.platform.agents)
        await hub.created().connect()
        ended = await hub.job(job.id)
        assert (ended.state, ended.progress, ended.error) == ("succeeded", 1.0, None)
        assert ended.result["agentId"] == "a"
        assert ended.finished_at is not None
        assert [step.message for step in ended.steps] == ["made", "started", "waiting for a to connect"]
        assert sorted(step.at for step in ended.steps) == [step.at for step in ended.steps]
        assert await hub.audited("job.create") == [("a", "succeeded")]


async def test_a_failed_job_tells_why_and_leaves_nothing() -> None:
    async with running_hub(script=Script(failures={Step.CREATE_START: -1})) as hub:
        job = await hub.job((await hub.create()).id)
        assert (job.state, job.error is not None and job.error.code) == ("failed", "driver_failed")
        assert hub.platform.agents == {}
        with pytest.raises(NotFound):
            await hub.control.agent("a")
        assert await hub.audited("job.create") == [("a", "failed")]


async def test_a_cancelled_create_is_undone() -> None:
    gate = Gate(Step.CREATE_START)
    async with running_hub(script=Script(before=gate)) as hub:
        job = await hub.create()
        await gate.reached.wait()
        assert (await hub.control.cancel_job(job.id)).state == "cancelled"
        assert hub.platform.agents == {}
        with pytest.raises(NotFound):
            await hub.control.agent("a")
        with pytest.raises(Conflict):
            await hub.control.cancel_job(job.id)


async def test_a_destroy_cannot_be_cancelled_half_way() -> None:
    gate = Gate(Step.DESTROY)
    async with running_hub(script=Script(before=gate)) as hub:
        await made(hub)
        job = await hub.control.destroy("a")
        await gate.reached.wait()
        with pytest.raises(BadRequest):
            await hub.control.cancel_job(job.id)
        gate.opened.set()
        assert (await hub.job(job.id)).state == "succeeded"


async def made(hub: RunningHub, name: str = "a") -> None:
    """Create an agent and connect it."""
    job = await hub.create(name)
    await hub.until(lambda: any(key[0] == name for key in hub.platform.agents))
    await hub.created(name).connect()
    assert (await hub.job(job.id)).state == "succeeded"


async def test_waiting_for_a_job_ends_with_it_and_with_patience() -> None:
    gate = Gate(Step.CREATE_START)
    async with running_hub(script=Script(before=gate)) as hub:
        job = await hub.create()
        await gate.reached.wait()
        await hub.control.job(job.id, 0.01)
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(hub.control.job(job.id, 20))
            await asyncio.sleep(0)
            await hub.control.cancel_job(job.id)
        assert waiting.result().state == "cancelled"
        with pytest.raises(NotFound):
            await hub.control.job("j_none")


async def test_a_stopped_hub_leaves_its_jobs_and_the_next_one_undoes_a_create() -> None:
    platform, gate = FakePlatform(), Gate(Step.CREATE_START)
    with short_folder() as folder:
        async with running_hub(folder / "s", platform=platform, script=Script(before=gate)) as hub:
            job = await hub.create()
            await gate.reached.wait()
        async with running_hub(folder / "s", platform=platform) as hub:
            ended = await hub.job(job.id)
            assert ended.state == "failed"
            assert platform.agents == {}
            with pytest.raises(NotFound):
                await hub.control.agent("a")


@pytest.mark.parametrize("act", ["destroy", "stop"])
async def test_the_next_hub_finishes_what_was_begun(act: str) -> None:
    platform = FakePlatform()
    gate = Gate(Step.DESTROY if act == "destroy" else Step.STOP)
    with short_folder() as folder:
        async with running_hub(folder / "s", platform=platform, script=Script(before=gate)) as hub:
            await made(hub)
            begin = hub.control.destroy("a") if act == "destroy" else hub.control.act("a", AgentAct.STOP)
            job = await begin
            await gate.reached.wait()
        assert platform.agents
        async with running_hub(folder / "s", platform=platform) as hub:
            assert (await hub.job(job.id)).state == "succeeded"
            if act == "destroy":
                assert platform.agents == {}
            else:
                await hub.status("a", "stopped")


async def test_a_driver_that_is_switched_off_does_not_keep_the_hub_from_starting() -> None:
    """An act of an absent driver fails as a job; the hub itself is well."""
    platform, gate = FakePlatform(), Gate(Step.STOP)
    with short_folder() as folder:
        async with running_hub(folder / "s", platform=platform, script=Script(before=gate)) as hub:
            await made(hub)
            job = await hub.control.act("a", AgentAct.STOP)
            await gate.reached.wait()
        async with running_hub(folder / "s", drivers=lambda _: []) as hub:
            ended = await hub.job(job.id)
            assert ended.error is not None
            assert (ended.state, ended.error.code) == ("failed", "no_such_driver")
            assert (await hub.control.agent("a")).driver == "fake"


async def test_every_step_of_a_job_is_published() -> None:
    async with running_hub(script=Script(failures={Step.CREATE_FOLDER: 1})) as hub:
        async with hub.kernel.feed.subscribe() as changes:
            job = await hub.job((await hub.create()).id)
            seen = 0
            async for event in changes:
                seen += event.kind == Kind.JOB and event.id == job.id
                if seen >= 2:
                    break


async def test_a_cancel_that_is_repeated_does_not_tear_off_the_undoing_of_the_first() -> None:
    undoing = asyncio.Event()
    cleaned = asyncio.Event()
    may_end = asyncio.Event()

    async def work(handle: JobHandle) -> None:
        try:
            undoing.set()
            await asyncio.Event().wait()
        finally:
            await may_end.wait()
            cleaned.set()

    async with running_hub() as hub, asyncio.timeout(20):
        jobs = hub.hub._jobs
        job = await jobs.start("create", None, "user:test", work)
        await undoing.wait()
        jobs.cancel(job.id)
        await asyncio.sleep(0)
        jobs.cancel(job.id)
        may_end.set()
        await jobs.wait_ended(job.id, 20)
        assert cleaned.is_set()
        row = await hub.kernel.registry.job(job.id)
        assert row is not None
        assert row.state == "cancelled"


async def test_the_work_of_a_committed_job_is_done_when_its_caller_has_gone_away() -> None:
    done = asyncio.Event()

    async def work(handle: JobHandle) -> None:
        done.set()

    async with running_hub() as hub, asyncio.timeout(20), asyncio.TaskGroup() as group:
        caller = group.create_task(hub.hub._jobs.start("create", None, "user:test", work))
        await asyncio.sleep(0)
        assert not done.is_set()
        caller.cancel()
        await done.wait()


async def test_a_create_whose_agent_is_made_is_finished_by_the_next_hub() -> None:
    """It may have work already: what can be finished is not undone."""
    platform = FakePlatform()
    with short_folder() as folder:
        async with running_hub(folder / "s", platform=platform) as hub:
            job = await hub.create()
            await hub.until(lambda: hub.kernel.fleet.agent("a").handle is not None)
            token = hub.created().token
            task = await hub.ping()
        async with running_hub(folder / "s", platform=platform) as hub:
            agent = hub.created()
            agent.token = token
            await agent.connect()
            assert (await hub.job(job.id)).state == "succeeded"
            assert await agent.receive_task() == f"{task}:1"
            await agent.close()


async def test_a_job_that_says_its_last_word_during_a_stop_does_not_hold_the_hub_up() -> None:
    begun = asyncio.Event()

    async def work(handle: JobHandle) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError as exc:
            raise DriverFailed("undoing it failed too") from exc

    async with asyncio.timeout(20), running_hub() as hub:
        await hub.hub._jobs.start("create", None, "user:test", work)
        await begun.wait()


async def test_of_many_steps_the_last_are_kept_and_a_repeated_one_is_none() -> None:
    async with running_hub() as hub:

        async def work(job: JobHandle) -> dict[str, str]:
            for number in range(STEPS + 5):
                job.progress(0.5, f"step {number}")
                job.progress(0.6, f"step {number}")
            job.progress(0.9, "x" * 10_000)
            return {}

        job = await hub.hub._jobs.start("create", None, "user:test", work)
        ended = await hub.job(job.id)
        assert [step.message for step in ended.steps] == [
            *(f"step {number}" for number in range(6, STEPS + 5)),
            "x" * STEP_CHARACTERS,
        ]
