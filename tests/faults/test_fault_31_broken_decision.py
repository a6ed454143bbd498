"""A bug in a decision: what the hub knows is rebuilt from the registry, whoever asked is told, and all others go on.

The tests break the hub's memory where only a bug could: a part of it is taken away.
"""

from __future__ import annotations

import re

import pytest
from websockets.exceptions import InvalidStatus

from hub.contract import TaskQuery
from hub.core.model import AgentId
from hub.errors import DecisionFailed, Unavailable
from runtime.wire import Accepted
from tests.hub.running import RunningHub, held, running_hub


def failures(hub: RunningHub) -> int:
    text = hub.kernel.metrics.exposition().decode()
    found = re.search(r"^clawtui_decisions_failed_total (\S+)$", text, re.MULTILINE)
    assert found is not None
    return int(float(found[1]))


def spoil(hub: RunningHub, agent: str = "a") -> None:
    """Every decision about this agent's tasks breaks from now on, until memory is built anew."""
    slot = hub.kernel.fleet.dispatcher.book.slots[AgentId(agent)]
    del slot.bytes, slot.silences


async def recovered(hub: RunningHub) -> None:
    await hub.until(lambda: hub.kernel.writable, "the hub has recovered")


async def test_a_request_that_meets_it_is_told_and_nothing_of_it_is_kept() -> None:
    async with running_hub() as hub, hub.playing("a"), hub.playing("b") as other:
        kept = await hub.ping("b")
        attempt = await other.receive_task()
        await other.accept(attempt)
        await other.settle()
        spoil(hub)
        with pytest.raises(DecisionFailed, match=r"internal error e_\w+: nothing was changed") as told:
            await hub.ping("a")
        assert (told.value.status, told.value.code) == (500, "internal")
        with pytest.raises(Unavailable) as meanwhile:
            await hub.ping("b")
        assert (meanwhile.value.code, meanwhile.value.retryable) == ("rebuilding", True)
        await recovered(hub)
        assert failures(hub) == 1
        problems = (await hub.hub.read()).problems
        assert [text for text in problems if "internal error e_" in text]
        assert [task.id for task in (await hub.control.tasks(TaskQuery())).tasks] == [kept]
        assert await other.wait_closed() == 1012
        assert (await other.connect([held(attempt)])).plan.keep == [attempt]
        await other.respond(attempt)
        assert (await hub.ended(kept)).status == "succeeded"
        await hub.ping("a")
        hub.move(1_000.0)
        assert (await hub.hub.read()).status == "ok"


async def test_what_was_decided_before_it_is_kept() -> None:
    """Decided in the same moment, not yet committed, and sound."""
    async with running_hub() as hub, hub.playing("a"), hub.playing("b") as other:
        task_id = await hub.ping("b")
        attempt = await other.receive_task()
        kernel = hub.kernel
        now = kernel.now()
        presence = kernel.fleet.presence(AgentId("b"))
        kernel.push(kernel.fleet.frame(AgentId("b"), presence.epoch, Accepted(attempt), now))
        spoil(hub)
        with pytest.raises(DecisionFailed):
            kernel.fleet.disconnected(AgentId("a"), kernel.fleet.presence(AgentId("a")).epoch, now, clean=False)
        await recovered(hub)
        assert (await hub.task(task_id)).status == "running"


async def test_an_agent_whose_message_meets_it_waits_and_all_others_come_back() -> None:
    async with running_hub() as hub, hub.playing("a") as guilty, hub.playing("b") as other:
        task_id = await hub.ping("a")
        attempt = await guilty.receive_task()
        for seconds in (10, 20):
            spoil(hub)
            await guilty.respond(attempt)
            await hub.until(lambda: not hub.kernel.writable or not len(hub.kernel.links), "it broke")
            await recovered(hub)
            await other.connect()
            with pytest.raises(InvalidStatus) as refused:
                await guilty.connect()
            assert refused.value.response.status_code == 503
            assert 1 <= int(refused.value.response.headers["Retry-After"]) <= seconds
            assert b"held_off" in (refused.value.response.body or b"")
            assert "internal error" in ((await hub.control.agent("a")).reason or "")
            hub.move(float(seconds))
            await guilty.connect([held(attempt)])
        assert failures(hub) == 2
        await guilty.respond(attempt)
        assert (await hub.ended(task_id)).status == "succeeded"
        assert "internal error" not in ((await hub.control.agent("a")).reason or "")


async def test_a_deadline_that_meets_it_does_not_end_the_clock() -> None:
    async with running_hub() as hub, hub.playing("a") as agent:
        await hub.ping("a")
        attempt = await agent.receive_task()
        await agent.accept(attempt)
        await agent.settle()
        expiring = await hub.ping("a", expiresInMs=60_000)
        spoil(hub)
        hub.move(61.0)
        assert (await hub.ended(expiring)).status == "expired"
        assert failures(hub) == 1


async def test_an_end_of_a_connection_that_meets_it_is_no_crash() -> None:
    async with running_hub() as hub, hub.playing("a") as agent:
        spoil(hub)
        agent.abort()
        await hub.until(lambda: failures(hub) == 1, "it broke")
        await recovered(hub)
        await hub.ping("a")
