"""The kernel on a real registry: decisions, deadlines, failed commits and the rebuild after them."""

from __future__ import annotations

import pytest

from hub.core.model import TaskId
from hub.errors import NotFound, StorageFull
from tests.faults.test_full_disk import stuffed
from tests.hub.running import running_hub


async def test_a_task_goes_its_whole_way() -> None:
    async with running_hub() as hub, hub.playing() as agent:
        task_id = await hub.ping()
        attempt = await agent.receive_task()
        assert attempt == f"{task_id}:1"
        await agent.accept(attempt)
        await agent.respond(attempt, exit_code=0)
        task = await hub.ended(task_id)
        assert (task.status, task.exit_code) == ("succeeded", 0)


async def test_the_clock_loop_wakes_for_a_deadline_that_time_has_reached() -> None:
    async with running_hub() as hub:
        await hub.register()
        task_id = await hub.ping(expiresInMs=3_600_000)
        hub.move(3_601)
        assert (await hub.ended(task_id)).status == "expired"


async def test_a_deadline_sooner_than_the_present_one_counts() -> None:
    async with running_hub() as hub:
        await hub.register()
        late = await hub.ping(expiresInMs=3_600_000)
        soon = await hub.ping(expiresInMs=50)
        assert (await hub.ended(soon)).status == "expired"
        assert (await hub.task(late)).status == "queued"


async def test_what_is_not_there_is_not_found() -> None:
    async with running_hub() as hub:
        with pytest.raises(NotFound):
            await hub.kernel.read_task("t_none")
        assert not hub.kernel.is_open(TaskId("t_none"))
        await hub.kernel.wait_task_ended("t_none", 60)


async def test_an_ended_task_can_be_waited_for_while_the_disk_is_full() -> None:
    """Reading goes on: what was committed is the truth."""
    async with running_hub() as hub, hub.playing() as agent:
        task_id = await hub.ping()
        await agent.respond(await agent.receive_task())
        await hub.ended(task_id)
        with stuffed(hub.folder):
            with pytest.raises(StorageFull):
                await hub.ping()
            await hub.until(lambda: not hub.kernel.writable)
            assert (await hub.control.get_task(task_id, 5)).status == "succeeded"
