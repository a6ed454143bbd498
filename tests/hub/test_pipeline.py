"""The pipeline: nothing leaves before its commit, batches form by themselves, a failed commit drops everything."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from hub.core.effects import Delete, Effect, Kind, Publish, Save
from hub.core.model import AgentId, Policy
from hub.errors import HubError, StorageFull, Unavailable
from hub.pipeline import Pipeline


class Disk:
    """A registry whose commits end when the test says so."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.error: HubError | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.entered = asyncio.Event()

    async def commit(self, effects: Sequence[Save | Delete]) -> None:
        self.entered.set()
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        self.batches.append(len(effects))


class Desk:
    """A pipeline on a `Disk`, with everything that it did in order."""

    def __init__(self) -> None:
        self.disk = Disk()
        self.done: list[str] = []
        self.failures: list[HubError] = []
        self.pipeline = Pipeline(self.disk, self._perform, self.failures.append, lambda count, seconds: None)

    def _perform(self, effect: Effect) -> None:
        if isinstance(effect, Publish):
            self.done.append(effect.id)


@asynccontextmanager
async def running() -> AsyncIterator[Desk]:
    desk = Desk()
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        group.create_task(desk.pipeline.run())
        yield desk
        desk.pipeline.stop()


def save(name: str = "x") -> Save:
    return Save(Policy(sender=AgentId(name), receiver=AgentId(name)))


def note(name: str) -> Publish:
    return Publish(Kind.TASK, name)


async def test_what_follows_a_commit_waits_for_it() -> None:
    async with running() as desk:
        desk.disk.gate.clear()
        desk.pipeline.push([save(), note("one")])
        await desk.disk.entered.wait()
        assert desk.done == []
        desk.disk.gate.set()
        await desk.pipeline.settle()
        assert desk.done == ["one"]


async def test_an_answer_comes_after_the_commit_and_after_what_was_decided_before_it() -> None:
    async with running() as desk:
        desk.pipeline.push([note("first")])
        await desk.pipeline.commit([save(), note("second")])
        assert desk.done == ["first", "second"]
        assert desk.disk.batches == [1]


async def test_everything_that_arrives_during_a_commit_goes_into_the_next_one() -> None:
    async with running() as desk:
        desk.disk.gate.clear()
        desk.pipeline.push([save()])
        await desk.disk.entered.wait()
        for number in range(50):
            desk.pipeline.push([save(str(number)), save(str(number))])
        desk.disk.gate.set()
        await desk.pipeline.settle()
        assert desk.disk.batches == [1, 100]


async def test_effects_without_records_need_no_commit() -> None:
    async with running() as desk:
        await desk.pipeline.commit([note("only")])
        assert desk.disk.batches == []
        assert desk.done == ["only"]


async def test_a_failed_commit_fails_all_waiters_and_drops_what_was_decided_meanwhile() -> None:
    """Memory is ahead of the disk: nothing of it may be seen."""
    async with running() as desk:
        desk.disk.gate.clear()
        desk.disk.error = StorageFull("full")
        async with asyncio.TaskGroup() as group:
            waiters = [group.create_task(expect_full(desk))]
            await desk.disk.entered.wait()
            waiters += [group.create_task(expect_full(desk)) for _ in range(3)]
            desk.pipeline.push([note("never")])
            await asyncio.sleep(0)
            desk.disk.gate.set()
        assert all(waiter.result() for waiter in waiters)
        assert desk.done == []
        assert [error.code for error in desk.failures] == ["storage_full"]


async def expect_full(desk: Desk) -> bool:
    with pytest.raises(StorageFull):
        await desk.pipeline.commit([save(), note("never")])
    return True


async def test_after_a_failure_nothing_is_taken_until_it_is_opened_again() -> None:
    async with running() as desk:
        desk.disk.error = Unavailable("the disk is gone", hint="look at it")
        assert await expect_full(desk)
        desk.disk.error = None
        with pytest.raises(StorageFull, match="the disk is gone") as refused:
            await desk.pipeline.commit([save()])
        assert refused.value.hint == "look at it"
        desk.pipeline.push([save(), note("dropped")])
        desk.pipeline.reopen()
        await desk.pipeline.commit([save(), note("kept")])
        assert desk.done == ["kept"]


async def test_a_caller_that_goes_away_does_not_undo_what_was_decided() -> None:
    async with running() as desk:
        desk.disk.gate.clear()
        async with asyncio.TaskGroup() as group:
            caller = group.create_task(desk.pipeline.commit([save(), note("decided")]))
            await desk.disk.entered.wait()
            caller.cancel()
        desk.disk.gate.set()
        await desk.pipeline.settle()
        assert desk.done == ["decided"]


async def test_stop_finishes_what_is_pending() -> None:
    desk = Desk()
    desk.pipeline.push([save(), note("late")])
    desk.pipeline.stop()
    async with asyncio.timeout(30):
        await desk.pipeline.run()
    assert desk.done == ["late"]


async def test_nobody_waits_for_a_pipeline_that_has_ended() -> None:
    desk = Desk()
    desk.pipeline.stop()
    async with asyncio.timeout(30):
        await desk.pipeline.run()
        with pytest.raises(Unavailable) as refused:
            await desk.pipeline.commit([save()])
    assert refused.value.code == "stopping"


async def test_waiters_of_a_pipeline_that_breaks_are_told() -> None:
    """A batch under way and what came after it: nobody hangs, and nothing is performed."""
    desk = Desk()
    desk.disk.gate.clear()
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        run = group.create_task(desk.pipeline.run())
        waiters = [group.create_task(expect_stopped(desk))]
        await desk.disk.entered.wait()
        waiters.append(group.create_task(expect_stopped(desk)))
        await asyncio.sleep(0)
        run.cancel()
    assert all(waiter.result() for waiter in waiters)
    assert desk.done == []


async def expect_stopped(desk: Desk) -> bool:
    with pytest.raises(Unavailable):
        await desk.pipeline.commit([save(), note("never")])
    return True


async def test_a_long_failure_keeps_no_frames_of_those_who_met_it() -> None:
    """A full disk may last for days, and every request meets it."""
    async with running() as desk:
        desk.disk.error = StorageFull("full")
        assert await expect_full(desk)
        errors: list[StorageFull] = []
        for _ in range(2):
            with pytest.raises(StorageFull) as refused:
                await desk.pipeline.commit([save()])
            errors.append(refused.value)
        assert errors[0] is not errors[1]
