"""Operations on tasks: once per key, read as committed, cancelled, retried, sent to many."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from hub.config import Limits
from hub.contract import DispatchRequest, OutputQuery, PageQuery, RolloutRequest, TaskQuery
from hub.errors import BadRequest, Conflict, NotFound, QueueFull
from runtime.wire import AttemptState, Cancel, Log
from tests.faults.test_full_disk import stuffed
from tests.hub.running import PlayedAgent, RunningHub, held, running_hub

PING: dict[str, Any] = {"type": "ping"}


async def finish(agent: PlayedAgent, status: str = "succeeded", **fields: Any) -> str:
    attempt = await agent.receive_task()
    await agent.accept(attempt)
    await agent.respond(attempt, status, **fields)
    return attempt.split(":")[0]


async def test_the_answer_says_whether_an_agent_has_been_offered_it() -> None:
    async with running_hub() as hub, hub.playing():
        assert (await hub.control.submit("a", PING)).status == "sent"
        assert (await hub.control.submit("a", PING)).status == "queued"
        with pytest.raises(NotFound):
            await hub.control.submit("b", PING)


async def test_a_key_makes_a_repetition_harmless() -> None:
    async with running_hub() as hub:
        await hub.register()
        async with asyncio.TaskGroup() as group:
            answers = [group.create_task(hub.control.submit("a", PING, "k")) for _ in range(10)]
        assert len({answer.result().task_id for answer in answers}) == 1
        assert (await hub.control.agent("a")).queued == 1
        with pytest.raises(Conflict) as refused:
            await hub.control.submit("a", {"type": "exec", "command": "x"}, "k")
        assert refused.value.code == "idempotency_key_reused"
        assert (await hub.control.submit("a", PING, "other")).task_id != answers[0].result().task_id
        for key in ("", "x" * 201, "a\nb"):
            with pytest.raises(BadRequest):
                await hub.control.submit("a", PING, key)


async def test_a_refused_submission_does_not_use_up_its_key() -> None:
    async with running_hub() as hub:
        with pytest.raises(NotFound):
            await hub.control.submit("a", PING, "k")
        await hub.register()
        assert (await hub.control.submit("a", PING, "k")).task_id


async def test_a_full_queue_is_told_with_a_time() -> None:
    async with running_hub(limits=Limits(queue_tasks=3)) as hub:
        await hub.register()
        for _ in range(3):
            await hub.ping()
        with pytest.raises(QueueFull) as refused:
            await hub.ping()
        assert refused.value.retry_after_seconds


async def test_waiting_for_the_end_and_not_longer() -> None:
    async with running_hub() as hub, hub.playing() as agent:
        task_id = await hub.ping()
        assert (await hub.control.get_task(task_id, 0.01)).status == "offered"
        async with asyncio.timeout(30), asyncio.TaskGroup() as group:
            waiting = group.create_task(hub.control.get_task(task_id, 60))
            await finish(agent)
        assert waiting.result().status == "succeeded"
        with pytest.raises(BadRequest):
            await hub.control.get_task(task_id, -1)
        with pytest.raises(NotFound):
            await hub.control.get_task("t_none", 1)


async def test_cancel_at_once_by_confirmation_and_too_late() -> None:
    async with running_hub() as hub, hub.playing() as agent:
        running, queued = await hub.ping(), await hub.ping()
        assert (await hub.control.cancel_task(queued)).status == "cancelled"
        attempt = await agent.receive_task()
        await agent.accept(attempt)
        shown = await hub.control.cancel_task(running)
        assert shown.cancelling
        assert (await hub.control.cancel_task(running)).cancelling
        await agent.respond(attempt, "cancelled")
        assert (await hub.ended(running)).status == "cancelled"
        with pytest.raises(Conflict) as refused:
            await hub.control.cancel_task(running)
        assert refused.value.code == "task_ended"
        with pytest.raises(NotFound):
            await hub.control.cancel_task("t_none")


async def test_a_retry_is_a_new_task() -> None:
    async with running_hub() as hub, hub.playing() as agent:
        first = await hub.ping(labels={"a": "b"}, priority=5)
        with pytest.raises(Conflict):
            await hub.control.retry_task(first)
        await finish(agent, "failed", exit_code=1)
        await hub.ended(first)
        again = await hub.control.retry_task(first)
        task = await hub.task(again.task_id)
        assert (task.retry_of, task.labels, task.priority, task.attempt) == (first, {"a": "b"}, 5, 1)


async def test_output_from_an_offset_and_over_a_new_attempt() -> None:
    async with running_hub() as hub, hub.playing() as agent:
        task_id = await hub.ping(maxAttempts=2, retryOn=["exit_code"])
        first = await agent.receive_task()
        await agent.accept(first)
        await agent.send(Log(attempt_id=first, data="one"))
        await agent.settle()
        async with asyncio.timeout(15), asyncio.TaskGroup() as group:
            follower = group.create_task(followed(hub, task_id))
            await agent.respond(first, "failed", exit_code=1)
            second = await agent.receive_task()
            await agent.accept(second)
            await agent.send(Log(attempt_id=second, data="two"))
            await agent.respond(second)
        assert "".join(follower.result()).endswith("two")
        chunks = [c async for c in hub.control.task_output(task_id, OutputQuery(offset=1))]
        assert [(c.offset, c.data, c.end) for c in chunks] == [(1, "wo", False), (3, "", True)]


async def test_output_from_its_end_in_pages() -> None:
    async with running_hub() as hub, hub.playing() as agent:
        task_id = await hub.ping()
        attempt = await agent.receive_task()
        await agent.accept(attempt)
        await agent.send(Log(attempt_id=attempt, data="0123456789"))
        await agent.settle()
        page = [c async for c in hub.control.task_output(task_id, OutputQuery(tail=4))]
        assert [(c.offset, c.data, c.end) for c in page] == [(6, "6789", False)]
        page = [c async for c in hub.control.task_output(task_id, OutputQuery(tail=4, before=6))]
        assert [(c.offset, c.data) for c in page] == [(2, "2345")]
        assert [c async for c in hub.control.task_output(task_id, OutputQuery(tail=4, before=0))] == []
        for wrong in (OutputQuery(before=4), OutputQuery(tail=4, before=4, follow=True), OutputQuery(tail=1, offset=1)):
            with pytest.raises(BadRequest):
                [c async for c in hub.control.task_output(task_id, wrong)]
        async with asyncio.timeout(15), asyncio.TaskGroup() as group:
            follower = group.create_task(followed(hub, task_id, tail=1))
            await agent.respond(attempt)
        assert follower.result() == ["9", ""]


@pytest.mark.parametrize("end", ["cancelled", "expired", "destroyed", "lost"])
async def test_a_follower_of_a_silent_task_hears_of_every_end(end: str) -> None:
    """None of these comes with a word of the agent about the attempt."""
    async with running_hub() as hub, hub.playing() as agent:
        busy = await hub.ping()
        attempt = await agent.receive_task()
        await agent.accept(attempt)
        await agent.settle()
        queued = await hub.ping(expiresInMs=60_000)
        watched = busy if end == "lost" else queued
        async with asyncio.timeout(15), asyncio.TaskGroup() as group:
            follower = group.create_task(followed(hub, watched))
            await hub.until(lambda: hub.kernel.output.readers == 1, "the follower waits")
            match end:
                case "cancelled":
                    await hub.control.cancel_task(queued)
                case "expired":
                    hub.move(61.0)
                case "destroyed":
                    await hub.control.destroy("a")
                case _:
                    agent.abort()
                    await hub.status("a", "unreachable")
                    hub.move(4_000.0)
        assert follower.result() == [""]
        assert hub.kernel.output.readers == 0


async def test_a_follower_outlives_an_end_that_could_not_be_kept() -> None:
    """The disk is full when the result comes: it is not told as an end, and the one that is kept is."""
    async with running_hub() as hub, hub.playing() as agent:
        task_id = await hub.ping()
        attempt = await agent.receive_task()
        await agent.accept(attempt)
        await agent.settle()
        async with asyncio.timeout(30), asyncio.TaskGroup() as group:
            follower = group.create_task(followed(hub, task_id))
            await hub.until(lambda: hub.kernel.output.readers == 1, "the follower waits")
            with stuffed(hub.folder):
                await agent.respond(attempt)
                await agent.wait_closed()
            await hub.until(lambda: hub.kernel.writable, "the hub has recovered")
            assert not follower.done()
            await agent.connect([held(attempt, AttemptState.FINISHED)])
            await agent.send(Log(attempt_id=attempt, data="end"))
            await agent.respond(attempt)
        assert follower.result() == ["end", ""]
        assert (await hub.task(task_id)).status == "succeeded"


async def test_no_follower_misses_an_end_that_comes_while_it_reads() -> None:
    async with running_hub() as hub, hub.playing() as agent:
        for _ in range(50):
            task_id = await hub.ping()
            attempt = await agent.receive_task()
            async with asyncio.timeout(15), asyncio.TaskGroup() as group:
                follower = group.create_task(followed(hub, task_id))
                await agent.respond(attempt)
            assert follower.result() == [""]


async def followed(hub: RunningHub, task_id: str, tail: int | None = None) -> list[str]:
    return [c.data async for c in hub.control.task_output(task_id, OutputQuery(tail=tail, follow=True))]


# --- dispatches


async def fleet(hub: RunningHub, *names: str) -> dict[str, PlayedAgent]:
    agents = {name: PlayedAgent(hub.url, name, await hub.register(name)) for name in names}
    for agent in agents.values():
        await agent.connect()
    return agents


async def dispatched(hub: RunningHub, **rollout: int) -> str:
    request = DispatchRequest(task=PING, selector="*", rollout=RolloutRequest(**rollout))
    return (await hub.control.dispatch(request)).dispatch_id


async def test_a_rollout_goes_by_canary_and_stops_on_failures_and_retries_the_failed_only() -> None:
    async with running_hub() as hub:
        agents = await fleet(hub, "a", "b", "c")
        dispatch_id = await dispatched(hub, canary=1, concurrency=1, stop_on_failures=1)
        view = await hub.control.dispatch_status(dispatch_id)
        assert (view.state, [(m.agent_id, m.held) for m in view.tasks]) == (
            "canary",
            [("a", False), ("b", True), ("c", True)],
        )
        with pytest.raises(Conflict):
            await hub.control.retry_dispatch(dispatch_id)
        await finish(agents["a"])
        await finish(agents["b"], "failed", exit_code=1)
        for member in view.tasks:
            await hub.ended(member.task_id)
        await hub.kernel.settle()
        view = await hub.control.dispatch_status(dispatch_id)
        assert (view.state, view.counts) == ("stopped", {"succeeded": 1, "failed": 1, "cancelled": 1})
        again = await hub.control.retry_dispatch(dispatch_id)
        assert [member.agent_id for member in again.tasks] == ["b", "c"]
        assert again.retry_of == dispatch_id
        for agent in agents.values():
            await agent.close()


async def test_a_dispatch_names_agents_or_selects_them() -> None:
    async with running_hub(limits=Limits(dispatch_agents=2)) as hub:
        for name in ("a", "b", "c"):
            await hub.register(name)
        named = await hub.control.dispatch(DispatchRequest(task=PING, agents=["b", "a", "b"]))
        assert [member.agent_id for member in named.tasks] == ["b", "a"]
        for request, error in (
            (DispatchRequest(task=PING), BadRequest),
            (DispatchRequest(task=PING, agents=["a"], selector="*"), BadRequest),
            (DispatchRequest(task=PING, agents=["nobody"]), NotFound),
            (DispatchRequest(task=PING, selector="type=none"), NotFound),
            (DispatchRequest(task=PING, selector="*"), QueueFull),
            (DispatchRequest(task={"type": "exec"}, selector="id=a"), BadRequest),
        ):
            with pytest.raises(error):
                await hub.control.dispatch(request)
        with pytest.raises(NotFound):
            await hub.control.dispatch_status("d_none")


async def test_tasks_are_listed_newest_first_in_pages() -> None:
    async with running_hub() as hub:
        await hub.register()
        tasks = [await hub.ping() for _ in range(5)]
        page = await hub.control.tasks(TaskQuery(limit=2))
        seen = [task.id for task in page.tasks]
        while page.next is not None:
            page = await hub.control.tasks(TaskQuery(limit=2, cursor=page.next))
            seen += [task.id for task in page.tasks]
        assert seen == tasks[::-1]
        assert (await hub.control.tasks(TaskQuery(status="ended"))).tasks == []


async def test_a_repeated_dispatch_is_answered_also_when_its_agents_have_gone() -> None:
    request = DispatchRequest(task=PING, selector="*")
    async with running_hub() as hub:
        await hub.register("a")
        first = await hub.control.dispatch(request, "k")
        await hub.job((await hub.control.destroy("a")).id)
        assert (await hub.control.dispatch(request, "k")).dispatch_id == first.dispatch_id
        with pytest.raises(NotFound):
            await hub.control.dispatch(request, "other")


async def test_a_dispatch_is_retried_on_the_agents_that_are_still_there() -> None:
    async with running_hub() as hub:
        await hub.register("a")
        await hub.register("b")
        first = await hub.control.dispatch(DispatchRequest(task=PING, selector="*"))
        for member in first.tasks:
            await hub.control.cancel_task(member.task_id)
        await hub.job((await hub.control.destroy("a")).id)
        again = await hub.control.retry_dispatch(first.dispatch_id)
        assert [member.agent_id for member in again.tasks] == ["b"]
        await hub.job((await hub.control.destroy("b")).id)
        with pytest.raises(NotFound):
            await hub.control.retry_dispatch(first.dispatch_id)


async def test_a_lost_task_that_still_runs_is_cancelled_and_its_end_recorded_late() -> None:
    async with running_hub() as hub, hub.playing() as agent:
        task_id = await hub.ping()
        attempt = await agent.receive_task()
        await agent.accept(attempt)
        await agent.settle()
        agent.abort()
        await hub.status("a", "unreachable")
        hub.move(4_000.0)
        assert (await hub.ended(task_id)).status == "lost"
        assert (await agent.connect([held(attempt)])).plan.keep == [attempt]
        asked = await hub.control.cancel_task(task_id)
        assert (asked.status, asked.cancelling) == ("lost", True)
        assert (await agent.receive(Cancel)).attempt_id == attempt
        await agent.respond(attempt, "cancelled")
        await agent.settle()
        task = await hub.task(task_id)
        assert (task.status, task.cancelling) == ("cancelled", False)
        assert "late" in task.note
        counted = hub.kernel.metrics.exposition().decode()
        assert 'clawtui_tasks_ended_total{state="lost"} 1.0' in counted
        with pytest.raises(Conflict) as refused:
            await hub.control.cancel_task(task_id)
        assert refused.value.code == "task_ended"


async def test_a_lost_task_that_runs_nowhere_has_ended() -> None:
    async with running_hub() as hub, hub.playing() as agent:
        task_id = await hub.ping()
        attempt = await agent.receive_task()
        await agent.accept(attempt)
        await agent.settle()
        agent.abort()
        await hub.status("a", "unreachable")
        await agent.connect()
        assert (await hub.ended(task_id)).status == "lost"
        with pytest.raises(Conflict, match="has ended: lost"):
            await hub.control.cancel_task(task_id)


async def test_the_audit_has_the_names_of_a_tasks_environment_and_no_values() -> None:
    async with running_hub() as hub:
        await hub.register()
        await hub.control.submit("a", {"type": "exec", "command": "make", "env": {"PLAIN": "v4lue"}})
        (told,) = [one for one in (await hub.control.audit(PageQuery())).audit if one.what == "task.exec"]
        assert '"env":["PLAIN"]' in told.detail
        assert "v4lue" not in told.detail
