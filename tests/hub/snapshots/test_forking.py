"""Forks: new agents with identities and credentials of their own, each with its own result."""

from __future__ import annotations

import pytest

from hub.contract import CreateAgent, ForkRequest
from hub.core.model import AgentId
from hub.drivers.fake import FakePlatform, Script, Step
from hub.errors import BadRequest, Conflict, NotFound
from tests.hub.running import MovedClock, short_folder
from tests.hub.snapshots.playing import saving_hub
from tests.hub.test_jobs import Gate


async def test_three_forks_are_three_new_agents() -> None:
    async with saving_hub() as saved:
        job = await saved.hub.create("a", environment={"MODE": "fast"}, labels={"team": "blue"}, type="builder")
        assert (await saved.hub.job(job.id)).state == "succeeded"
        saved.files("a", kept="as it was")
        view = await saved.saved()
        ended = await saved.done(await saved.hub.control.fork("a:s", ForkRequest(count=3)))
        names = ["a-fork-1", "a-fork-2", "a-fork-3"]
        assert [(fork["agentId"], fork["state"]) for fork in ended.result["forks"]] == [(n, "online") for n in names]
        agents = [await saved.hub.control.agent(name) for name in ["a", *names]]
        assert len({agent.uid for agent in agents}) == 4
        assert len({saved.hub.platform.agent(name).token for name in ["a", *names]}) == 4
        for name, agent in zip(names, agents[1:], strict=True):
            assert (agent.status, agent.type, agent.labels, agent.running) == (
                "online",
                "builder",
                {"team": "blue"},
                [],
            )
            assert saved.workspace(name) == {"kept": "as it was"}
            assert saved.hub.platform.agent(name).plan.environment == {"MODE": "fast"}
            assert (await saved.hub.control.snapshot_place(name)).parent == view.id
        assert await saved.hub.audited("agent.fork") == [("a:s", "ok")]


async def test_a_fork_leaves_open_where_the_agent_itself_stands() -> None:
    async with saving_hub() as saved:
        await saved.made()
        first = await saved.saved()
        second = await saved.saved("a", "later")
        await saved.done(await saved.hub.control.fork("a:s", ForkRequest(count=1)))
        assert (await saved.hub.control.snapshot_place("a-fork-1")).parent == first.id
        assert not (await saved.hub.control.snapshot(first.id)).current
        assert (await saved.hub.control.snapshot(second.id)).current


async def test_forks_have_the_names_they_are_given() -> None:
    async with saving_hub() as saved:
        await saved.made()
        await saved.saved()
        await saved.done(await saved.hub.control.fork("a:s", ForkRequest(names=["x", "y"])))
        await saved.hub.status("x", "online")
        await saved.done(await saved.hub.control.fork("a:s", ForkRequest(count=1)))
        await saved.hub.status("a-fork-1", "online")


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        (ForkRequest(names=["x", "x"]), BadRequest),
        (ForkRequest(names=["Not A Name"]), BadRequest),
        (ForkRequest(names=["a"]), Conflict),
        (ForkRequest(names=["x"], count=2), BadRequest),
    ],
)
async def test_a_fork_that_cannot_be_is_refused_before_it_begins(request_: ForkRequest, error: type[Exception]) -> None:
    async with saving_hub() as saved:
        await saved.made()
        await saved.saved()
        with pytest.raises(error):
            await saved.hub.control.fork("a:s", request_)
        with pytest.raises(NotFound):
            await saved.hub.control.fork("a:other", ForkRequest(count=1))
        assert len(saved.hub.platform.agents) == 1


async def test_one_fork_that_fails_does_not_take_the_others_along() -> None:
    async with saving_hub() as saved:
        await saved.made()
        await saved.saved()
        saved.hub.platform.foreign.add(AgentId("y"))
        ended = await saved.hub.job((await saved.hub.control.fork("a:s", ForkRequest(names=["x", "y", "z"]))).id)
        assert ended.state == "succeeded"
        assert [(fork["agentId"], fork["state"]) for fork in ended.result["forks"]] == [
            ("x", "online"),
            ("y", "failed"),
            ("z", "online"),
        ]
        assert ended.result["failed"] == 1
        assert "y" not in saved.hub.kernel.fleet.agents


async def test_when_no_fork_can_be_made_the_job_fails() -> None:
    async with saving_hub() as saved:
        await saved.made()
        await saved.saved()
        saved.hub.platform.foreign.add(AgentId("x"))
        ended = await saved.hub.job((await saved.hub.control.fork("a:s", ForkRequest(names=["x"]))).id)
        assert (ended.state, ended.error and ended.error.code) == ("failed", "fork_failed")


async def test_a_fork_that_is_cancelled_takes_back_what_is_not_finished() -> None:
    async with saving_hub() as saved:
        await saved.made()
        await saved.saved()
        saved.silent.update({"x", "y"})
        job = await saved.hub.control.fork("a:s", ForkRequest(names=["x", "y"]))
        await saved.hub.until(lambda: len(saved.hub.platform.agents) == 3)
        assert (await saved.hub.control.cancel_job(job.id)).state == "cancelled"


async def test_forks_that_a_stopped_hub_left_are_finished_or_undone() -> None:
    platform, gate, clock = FakePlatform(), Gate(Step.CREATE_START), MovedClock()
    with short_folder() as folder:
        async with saving_hub(folder / "s", platform=platform, clock=clock) as saved:
            await saved.made()
            await saved.saved()
        async with saving_hub(folder / "s", platform=platform, script=Script(before=gate), clock=clock) as saved:
            job = await saved.hub.control.fork("a:s", ForkRequest(names=["x", "y"]))
            await gate.reached.wait()
        async with saving_hub(folder / "s", platform=platform, clock=clock) as saved:
            ended = await saved.hub.job(job.id)
            assert (ended.state, ended.error and ended.error.code) == ("failed", "interrupted")
            assert [str(name) for name, _ in platform.agents] == ["a"]
            assert set(saved.hub.kernel.fleet.agents) == {"a"}
            made = await saved.hub.control.create_agent(CreateAgent(name="x", driver="fake"))
            assert (await saved.hub.job(made.id)).state == "succeeded"
