"""Fault 26: the clock jumps an hour, forwards or back: nothing is lost, expired or shut out by that, and it is said."""

from __future__ import annotations

import pytest

from hub.contract import AttentionQuery
from hub.notices import SHOWN_SECONDS
from tests.end_to_end.harness import eventually
from tests.hub.running import MovedClock, held, running_hub, short_folder

HOUR_MS = 3_600_000
JUMPS = [HOUR_MS, -HOUR_MS, 400 * 24 * HOUR_MS]


@pytest.mark.parametrize("jump_ms", JUMPS)
async def test_a_jump_of_the_wall_clock_loses_nothing(jump_ms: int) -> None:
    """Deadlines go by the monotonic clock: only time that really passed counts."""
    async with running_hub() as hub, hub.playing() as agent:
        running = await hub.ping()
        attempt = await agent.receive_task()
        await agent.accept(attempt)
        await agent.settle()
        queued = await hub.ping(expiresInMs=60_000)
        hub.clock.wall_ahead_ms += jump_ms
        hub.move(1.0)
        await agent.report_health()
        await agent.settle()
        assert (await hub.control.agent("a")).status == "online"
        assert (await hub.task(running)).status == "running"
        assert (await hub.task(queued)).status == "queued"
        await agent.respond(attempt)
        second = await agent.receive_task()
        await agent.respond(second)
        for task_id in (running, queued):
            task = await hub.ended(task_id)
            assert task.status == "succeeded"
            assert task.started_at is not None
            assert task.finished_at is not None


@pytest.mark.parametrize("jump_ms", JUMPS)
async def test_a_jump_while_the_agent_is_away_loses_nothing(jump_ms: int) -> None:
    async with running_hub() as hub, hub.playing() as agent:
        task_id = await hub.ping()
        attempt = await agent.receive_task()
        await agent.accept(attempt)
        await agent.settle()
        agent.abort()
        await hub.status("a", "unreachable")
        hub.clock.wall_ahead_ms += jump_ms
        hub.move(60.0)
        welcome = await agent.connect([held(attempt)])
        assert welcome.plan.keep == [attempt]
        assert (await hub.task(task_id)).status == "running"


@pytest.mark.parametrize("jump_ms", JUMPS)
async def test_a_jump_between_two_hubs_loses_nothing(jump_ms: int) -> None:
    """Only the wall clock lasts over a restart; what it says is not believed beyond the task's own bounds."""
    clock = MovedClock()
    with short_folder() as folder:
        async with running_hub(folder / "s") as hub, hub.playing() as agent:
            task_id = await hub.ping(timeoutMs=7_200_000)
            attempt = await agent.receive_task()
            await agent.accept(attempt)
            await agent.settle()
        clock.wall_ahead_ms = jump_ms
        async with running_hub(folder / "s", clock=clock) as hub:
            hub.move(800.0)
            agent.url = hub.url
            assert (await hub.task(task_id)).status == "running"
            assert (await agent.connect([held(attempt)])).plan.keep == [attempt]
            await agent.respond(attempt)
            assert (await hub.ended(task_id)).status == "succeeded"
            await agent.close()


@pytest.mark.parametrize("skew_ms", [HOUR_MS, -HOUR_MS, -(2**50)])
async def test_an_agent_with_a_wrong_clock_is_believed_only_where_it_can_be_right(skew_ms: int) -> None:
    async with running_hub() as hub, hub.playing() as agent:
        task_id = await hub.ping()
        attempt = await agent.receive_task()
        now_ms = hub.clock.now().wall_ms
        await agent.respond(attempt, started_at=now_ms + skew_ms, finished_at=now_ms + skew_ms)
        task = await hub.ended(task_id)
        assert task.started_at is not None
        assert task.finished_at is not None
        assert task.created_at <= task.started_at <= task.finished_at


async def test_a_stall_of_the_hub_is_no_silence_of_its_agents() -> None:
    """A suspended machine: both clocks are ahead when it wakes. Agents are asked before they are judged."""
    async with running_hub() as hub, hub.playing() as agent:
        task_id = await hub.ping()
        attempt = await agent.receive_task()
        await agent.accept(attempt)
        await agent.settle()
        hub.move(600.0)
        await agent.report_health()
        await hub.status("a", "online")
        assert (await hub.task(task_id)).status == "running"


@pytest.mark.parametrize(("jump_ms", "said"), [(HOUR_MS, "3600 s ahead"), (-HOUR_MS, "3600 s back")])
async def test_a_jump_is_shown_counted_and_forgotten(jump_ms: int, said: str) -> None:
    async with running_hub() as hub, hub.playing() as agent:
        assert (await hub.hub.read()).problems == []
        hub.clock.wall_ahead_ms += jump_ms
        hub.move(0.0)

        async def shown() -> list[str]:
            return [text for text in (await hub.hub.read()).problems if said in text]

        assert len(await eventually(shown, what="the jump is shown")) == 1
        assert (await hub.hub.read()).status == "degraded"
        needed = [view.text for view in (await hub.control.attention(AttentionQuery())).attention]
        assert any(said in text for text in needed)
        assert "clawtui_clock_jumps_total 1.0" in hub.kernel.metrics.exposition().decode()
        hub.move(SHOWN_SECONDS)
        await agent.report_health()
        await agent.settle()
        assert (await hub.hub.read()).problems == []
        assert (await hub.control.agent("a")).status == "online"


async def test_time_that_passed_on_both_clocks_is_no_jump() -> None:
    async with running_hub() as hub:
        hub.move(3_600.0)
        # The clock loop has looked when it has ended a task that waited for exactly that.
        await hub.register()
        task_id = await hub.ping(expiresInMs=1_000)
        hub.move(2.0)
        assert (await hub.ended(task_id)).status == "expired"
        assert (await hub.hub.read()).problems == []
