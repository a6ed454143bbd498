"""Fault 15: two agents with one credential (a cloned state folder): takeover, then quarantine and alert;
no task executed by both; `release` heals.

Fault 16: the result of attempt 1 arrives after attempt 2 was offered: the state is untouched, the audit knows.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from hub.contract import AgentQuery
from runtime.wire import Ack, Goaway, GoawayReason
from tests.end_to_end.harness import eventually
from tests.faults.checker import check_side_effects
from tests.hub.running import PlayedAgent, RunningHub, held, running_hub
from tests.runtime.harness import agent_process

SUPERSEDED = 4001
QUARANTINED = 4002


async def clones(hub: RunningHub) -> tuple[PlayedAgent, PlayedAgent]:
    """A driver's agent that has joined, and a copy of it that knows the same credential."""
    job = await hub.create()
    await hub.until(lambda: hub.platform.agents)
    first = hub.created()
    await first.connect(instance="first")
    await hub.job(job.id)
    return first, PlayedAgent(hub.url, "a", "cta_a")


async def take_over(newer: PlayedAgent, older: PlayedAgent, instance: str) -> None:
    await newer.connect(instance=instance)
    goaway = await older.receive(Goaway)
    assert goaway.reason is GoawayReason.SUPERSEDED
    assert goaway.retry_after_ms >= 5_000
    assert await older.wait_closed() == SUPERSEDED


async def drive_each_other_out(one: PlayedAgent, two: PlayedAgent) -> None:
    """Take over in turn until the door is shut."""
    for number in range(20):
        newer, older = (one, two) if number % 2 else (two, one)
        instance = "first" if newer is one else "second"
        try:
            await newer.connect(instance=instance)
        except (InvalidStatus, ConnectionClosed):
            return
        with contextlib.suppress(ConnectionClosed):
            await older.wait_closed()
    raise AssertionError("nobody was shut out")


async def test_a_takeover_tells_the_older_one_to_stay_away() -> None:
    async with running_hub() as hub:
        first, second = await clones(hub)
        await take_over(second, first, "second")
        task_id = await hub.ping()
        assert await second.receive_task() == f"{task_id}:1"
        assert (await hub.control.agent("a")).status == "online"
        await second.close()


async def test_instances_that_drive_each_other_out_are_quarantined_until_released() -> None:
    async with running_hub() as hub:
        first, second = await clones(hub)
        await drive_each_other_out(first, second)
        await hub.status("a", "quarantined")
        view = await hub.control.agent("a")
        assert "two instances" in (view.reason or "")
        assert [agent.id for agent in (await hub.control.agents(AgentQuery(status=view.status))).agents] == ["a"]
        assert await hub.audited("agent.quarantine") == [("a", "quarantined")]
        for agent in (first, second):
            with pytest.raises(InvalidStatus) as refused:
                await agent.dial()
            assert refused.value.response.status_code in (401, 403)
            assert float(refused.value.response.headers["Retry-After"]) >= 1

        task_id = await hub.ping()
        await hub.control.release("a")
        healed = PlayedAgent(hub.url, "a", hub.platform.agent("a").token, credential="cta_new")
        await healed.connect(instance="third")
        assert await healed.receive_task() == f"{task_id}:1"
        await hub.status("a", "online")
        for agent in (first, second):
            with pytest.raises(InvalidStatus) as refused:
                await agent.dial()
            assert refused.value.response.status_code == 401
        await healed.close()


async def test_quarantine_survives_a_restart_of_the_hub(tmp_path: Path) -> None:
    async with running_hub() as hub:
        agents = await clones(hub)
        await drive_each_other_out(*agents)
        await hub.status("a", "quarantined")
        await hub.kernel.settle()
        shutil.copytree(hub.folder, tmp_path / "s", ignore=shutil.ignore_patterns("*.sock", "hub.lock", "run"))
    async with running_hub(tmp_path / "s") as hub:
        await hub.status("a", "quarantined")


async def test_an_agent_registered_by_hand_is_released_and_registered_again() -> None:
    async with running_hub() as hub:
        token = await hub.register()
        one, two = PlayedAgent(hub.url, "a", token), PlayedAgent(hub.url, "a", token)
        await one.connect(instance="first")
        await drive_each_other_out(one, two)
        await hub.status("a", "quarantined")
        assert (await hub.control.release("a")).status == "offline"
        with pytest.raises(InvalidStatus):
            await one.dial()
        async with hub.playing() as agent:
            assert agent.token != token
            await hub.status("a", "online")


async def test_a_task_of_the_superseded_instance_is_not_given_to_the_other() -> None:
    """The first one has it and may be running it: it is lost, not repeated; the late result counts."""
    async with running_hub() as hub:
        first, second = await clones(hub)
        task_id = await hub.ping()
        attempt = await first.receive_task()
        await first.accept(attempt)
        await first.settle()
        await take_over(second, first, "second")
        assert (await hub.ended(task_id)).status == "lost"
        other = await hub.ping()
        assert await second.receive_task() == f"{other}:1"
        welcome = await first.connect([held(attempt)], instance="first")
        assert welcome.plan.keep == [attempt]
        await first.respond(attempt)
        assert attempt in (await first.receive(Ack)).responses
        assert (await hub.task(task_id)).status == "succeeded"
        await first.close()
        await second.close()


async def test_what_was_offered_to_one_instance_is_not_offered_to_the_one_that_takes_its_place() -> None:
    """Nobody knows whether the first has begun it; only a task that may be repeated is, as a new attempt."""
    async with running_hub() as hub:
        first, second = await clones(hub)
        task_id = await hub.ping()
        await first.receive_task()
        await take_over(second, first, "second")
        assert (await hub.ended(task_id)).status == "lost"
        repeated = await hub.ping(maxAttempts=2, retryOn=["lost"])
        assert await second.receive_task() == f"{repeated}:1"
        await take_over(first, second, "first")
        assert await first.receive_task() == f"{repeated}:2"
        await first.close()


async def test_a_restarted_agent_gets_again_what_it_never_took() -> None:
    """Its old connection has ended, so nobody else can have it: the same attempt."""
    async with running_hub() as hub:
        first, _ = await clones(hub)
        task_id = await hub.ping()
        await first.receive_task()
        first.abort()
        await hub.status("a", "unreachable")
        await first.connect(instance="restarted")
        assert await first.receive_task() == f"{task_id}:1"
        await first.close()


@pytest.mark.soak
@pytest.mark.timeout(300)
async def test_two_real_agents_with_one_state_folder_copied(tmp_path: Path) -> None:
    """Real runtimes: each task runs at most once, and within a minute the pair is found out."""
    async with running_hub() as hub:
        token = await hub.register()
        folders = [tmp_path / "one", tmp_path / "two"]
        for folder in folders:
            folder.mkdir()
        with (
            agent_process(folders[0], hub.url, AGENT_ID="a", AGENT_TOKEN=token),
            agent_process(folders[1], hub.url, AGENT_ID="a", AGENT_TOKEN=token),
        ):

            async def found_out() -> bool:
                await hub.control.submit("a", {"type": "exec", "command": "echo $CLAWTUI_ATTEMPT >> ran.txt"})
                await asyncio.sleep(0.05)
                return (await hub.control.agent("a")).status == "quarantined"

            await eventually(found_out, seconds=90, what="the pair is found out")
        check_side_effects([folder / "work" / "ran.txt" for folder in folders])


async def test_a_result_of_attempt_1_after_attempt_2_was_offered_changes_nothing() -> None:
    async with running_hub() as hub, hub.playing() as agent:
        task_id = await hub.ping(maxAttempts=2, retryOn=["lost"])
        first = await agent.receive_task()
        await agent.accept(first)
        await agent.settle()
        await agent.connect([])
        second = await agent.receive_task()
        assert second == f"{task_id}:2"
        before = await hub.task(task_id)
        await agent.respond(first, "failed", exit_code=9, stdout="old")
        assert first in (await agent.receive(Ack)).responses
        assert await hub.task(task_id) == before
        assert await hub.audited("task.result") == [(task_id, "superseded")]

        await agent.accept(second)
        await agent.respond(second, stdout="new")
        ended = await hub.ended(task_id)
        assert (ended.status, ended.attempt, ended.stdout) == ("succeeded", 2, "new")
        await agent.respond(first, "failed", stdout="again")
        await agent.respond(second, "failed", stdout="again")
        await agent.settle()
        assert await hub.task(task_id) == ended
