"""What every driver must do, as one test class; `Bench` is what a platform supplies to be tested.

To test a driver, write a `Bench` for its platform and a subclass of `DriverContract`, whose name starts with `Test`
and whose fixture `bench` yields one:

    class TestDockerDriver(DriverContract):
        @pytest.fixture
        async def bench(self) -> AsyncIterator[Bench]:
            bench = DockerBench(...)
            yield bench
            await bench.close()

`Bench` has a docstring per hook. Two things are easily missed: a driver whose `watch` takes time to subscribe yields
once when it has, and a `create` that is cancelled at its last progress line must still notice (await once after it).

Nothing here knows a platform. Agents under test need not be our runtime: a small program is enough that runs until it
is told to end, ends at once on TERM with exit code 0, and does what `Bench.end_agent` and `Bench.say` ask.
"""

from __future__ import annotations

import abc
import asyncio
import contextlib
import itertools
import os
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from hub.core.model import AgentId, AgentUid, Observed
from hub.drivers.base import AgentGone, AgentHandle, AgentPlan, Driver, LogLine, LogRequest, Observation
from hub.errors import BadRequest, Conflict, HubError, NotAvailable

GRACE_SECONDS = 5.0
WAIT_SECONDS = 20.0
"""Longest wait for something that a platform does by itself."""

_numbers = itertools.count(1)


async def wait_until(condition: Callable[[], Awaitable[bool]], what: str, seconds: float = WAIT_SECONDS) -> None:
    """Ask until `condition` holds; fail with `what` after `seconds`."""
    try:
        async with asyncio.timeout(seconds):
            while not await condition():
                await asyncio.sleep(0.02)
    except TimeoutError:
        pytest.fail(f"not within {seconds:.0f} s: {what}")


def no_progress(_fraction: float, _line: str) -> None:
    """For creates whose progress nobody watches."""


class Bench(abc.ABC):
    """One platform with one driver under test. All abstract methods are hooks a platform supplies."""

    hub_id: str = "hub-contract"

    @property
    @abc.abstractmethod
    def driver(self) -> Driver:
        """The driver under test; it belongs to `hub_id`."""

    @abc.abstractmethod
    async def restarted_driver(self) -> Driver:
        """Another driver instance of the same hub, as a restarted hub makes it. The bench closes it."""

    @abc.abstractmethod
    async def other_hubs_driver(self) -> Driver:
        """A driver of a hub with another id that looks at the same platform. The bench closes it."""

    @abc.abstractmethod
    async def broken_driver(self) -> Driver:
        """A driver whose `create` fails as late as this platform can make it fail (a program that does not exist)."""

    @abc.abstractmethod
    async def end_agent(self, handle: AgentHandle, exit_code: int) -> None:
        """Make the agent's own process end by itself with this exit code."""

    @abc.abstractmethod
    async def say(self, handle: AgentHandle, text: str) -> None:
        """Make the agent write one line into its own log."""

    @abc.abstractmethod
    async def token(self, handle: AgentHandle) -> str:
        """The join token as the agent would read it now from its state folder."""

    @abc.abstractmethod
    async def make_foreign(self, plan: AgentPlan) -> None:
        """Put something that no hub made where `create(plan)` would put the agent."""

    @abc.abstractmethod
    async def foreign_intact(self, plan: AgentPlan) -> bool:
        """Whether what `make_foreign` made is still there, unchanged."""

    @abc.abstractmethod
    async def leftovers(self, plan: AgentPlan) -> list[str]:
        """Name everything on the platform that belongs to this incarnation: processes, containers, volumes, files."""

    @abc.abstractmethod
    async def close(self) -> None:
        """Remove everything that the tests made, and stop the drivers."""

    def plan(self) -> AgentPlan:
        """A plan with an id that no other test uses. Override to add what the platform needs."""
        number = next(_numbers)
        return AgentPlan(
            # Tests in several processes may share one platform.
            agent_id=AgentId(f"contract-{os.getpid()}-{number}"),
            uid=AgentUid(uuid.uuid4().hex),
            hub_id=self.hub_id,
            join_token=f"ctj_contract{number}",
        )


class DriverContract:
    """The tests. See the module's docstring for how to use them."""

    @pytest.fixture
    def bench(self) -> AsyncIterator[Bench]:
        raise NotImplementedError("a subclass supplies the bench")

    @pytest.fixture
    def driver(self, bench: Bench) -> Driver:
        return bench.driver

    # --- whole lives -----------------------------------------------------------------------------

    async def test_the_driver_says_that_it_works_here(self, driver: Driver) -> None:
        fingerprint = await driver.fingerprint()
        assert (fingerprint.usable, fingerprint.reason) == (True, "")

    async def test_a_whole_life_leaves_nothing(self, bench: Bench, driver: Driver) -> None:
        plan = bench.plan()
        handle = await driver.create(plan, no_progress)
        assert handle.driver == driver.name
        created = await driver.inspect(handle)
        assert (created.agent_id, created.uid, created.handle) == (plan.agent_id, plan.uid, handle)
        assert created.state is Observed.RUNNING
        assert created.started_at is not None
        await driver.stop(handle, GRACE_SECONDS)
        assert (await driver.inspect(handle)).state is Observed.EXITED
        await driver.start(handle)
        assert (await driver.inspect(handle)).state is Observed.RUNNING
        await driver.destroy(handle)
        with pytest.raises(AgentGone):
            await driver.inspect(handle)
        assert await bench.leftovers(plan) == []

    async def test_progress_goes_up_to_one(self, bench: Bench, driver: Driver) -> None:
        told: list[tuple[float, str]] = []
        await driver.create(bench.plan(), lambda fraction, line: told.append((fraction, line)))
        fractions = [fraction for fraction, _ in told]
        assert fractions == sorted(fractions)
        assert fractions[-1] == 1.0
        assert all(line for _, line in told)

    async def test_repeated_calls_succeed(self, bench: Bench, driver: Driver) -> None:
        plan = bench.plan()
        handle = await driver.create(plan, no_progress)
        first = await driver.inspect(handle)
        await driver.start(handle)
        again = await driver.inspect(handle)
        assert (again.state, again.started_at) == (Observed.RUNNING, first.started_at)
        await driver.stop(handle, GRACE_SECONDS)
        await driver.stop(handle, GRACE_SECONDS)
        assert (await driver.inspect(handle)).state is Observed.EXITED
        await driver.destroy(handle)
        await driver.destroy(handle)
        await driver.undo_create(plan.agent_id, plan.uid)

    async def test_create_of_the_same_incarnation_gives_the_same_agent(self, bench: Bench, driver: Driver) -> None:
        plan = bench.plan()
        handle = await driver.create(plan, no_progress)
        first = await driver.inspect(handle)
        assert await driver.create(plan, no_progress) == handle
        assert (await driver.inspect(handle)).started_at == first.started_at

    async def test_restart_starts_anew(self, bench: Bench, driver: Driver) -> None:
        handle = await driver.create(bench.plan(), no_progress)
        first = await driver.inspect(handle)
        await driver.restart(handle, GRACE_SECONDS)
        second = await driver.inspect(handle)
        assert second.state is Observed.RUNNING
        assert (second.started_at or 0) > (first.started_at or 0)
        await driver.stop(handle, GRACE_SECONDS)
        await driver.restart(handle, GRACE_SECONDS)
        assert (await driver.inspect(handle)).state is Observed.RUNNING

    async def test_destroy_needs_no_stop_before(self, bench: Bench, driver: Driver) -> None:
        plan = bench.plan()
        handle = await driver.create(plan, no_progress)
        await driver.destroy(handle)
        assert await bench.leftovers(plan) == []

    async def test_pause_and_resume(self, bench: Bench, driver: Driver) -> None:
        handle = await driver.create(bench.plan(), no_progress)
        if not driver.features.pause:
            with pytest.raises(NotAvailable):
                await driver.pause(handle)
            return
        await driver.pause(handle)
        await driver.pause(handle)
        assert (await driver.inspect(handle)).state is Observed.PAUSED
        await driver.resume(handle)
        await driver.resume(handle)
        assert (await driver.inspect(handle)).state is Observed.RUNNING
        await driver.pause(handle)
        await driver.stop(handle, GRACE_SECONDS)
        assert (await driver.inspect(handle)).state is Observed.EXITED
        with pytest.raises(Conflict):
            await driver.pause(handle)

    # --- what is observed --------------------------------------------------------------------------

    async def test_an_exit_code_is_data(self, bench: Bench, driver: Driver) -> None:
        handle = await driver.create(bench.plan(), no_progress)
        assert (await driver.inspect(handle)).exit_code is None
        await bench.end_agent(handle, 7)
        assert (await wait_for_state(driver, handle, Observed.EXITED)).exit_code == 7
        await driver.start(handle)
        assert (await driver.inspect(handle)).exit_code is None

    async def test_the_list_has_living_and_stopped_agents_and_omits_destroyed_ones(
        self, bench: Bench, driver: Driver
    ) -> None:
        living, stopped, destroyed = [await driver.create(bench.plan(), no_progress) for _ in range(3)]
        await driver.stop(stopped, GRACE_SECONDS)
        await driver.destroy(destroyed)
        listed = {seen.handle: seen for seen in await driver.list_agents()}
        assert listed[living] == await driver.inspect(living)
        assert listed[stopped].state is Observed.EXITED
        assert destroyed not in listed

    async def test_a_watcher_hears_of_an_end(self, bench: Bench, driver: Driver) -> None:
        handle = await driver.create(bench.plan(), no_progress)
        heard = 0
        seen: list[Observed] = []

        async def listen() -> None:
            nonlocal heard
            async for _ in driver.watch():
                heard += 1
                seen.append((await driver.inspect(handle)).state)
                if seen[-1] is Observed.EXITED:
                    return

        async with asyncio.timeout(WAIT_SECONDS), asyncio.TaskGroup() as group:
            group.create_task(listen())
            await asyncio.sleep(0)
            await bench.end_agent(handle, 0)
        assert heard >= 1

    async def test_an_unknown_agent_is_gone(self, bench: Bench, driver: Driver) -> None:
        handle = await driver.create(bench.plan(), no_progress)
        await driver.destroy(handle)
        with pytest.raises(AgentGone):
            await driver.start(handle)
        with pytest.raises(AgentGone):
            await driver.stop(handle, GRACE_SECONDS)
        with pytest.raises(AgentGone):
            await driver.renew_token(handle, "ctj_new")
        with pytest.raises(AgentGone):
            await collect(driver, handle, LogRequest())

    async def test_a_handle_that_is_none_is_refused(self, driver: Driver) -> None:
        for handle in (
            AgentHandle(driver.name, "not JSON"),
            AgentHandle(driver.name, "{}"),
            AgentHandle("other", "{}"),
        ):
            with pytest.raises(BadRequest):
                await driver.inspect(handle)

    # --- failures leave nothing ------------------------------------------------------------------

    async def test_a_failed_create_leaves_nothing_and_says_why(self, bench: Bench) -> None:
        broken, plan = await bench.broken_driver(), bench.plan()
        with pytest.raises(HubError) as caught:
            await broken.create(plan, no_progress)
        assert caught.value.message
        assert await bench.leftovers(plan) == []

    async def test_a_create_that_ends_at_any_step_leaves_nothing(self, bench: Bench, driver: Driver) -> None:
        """Whoever watches the progress can end the create: by an error, or by cancelling it."""
        for end in (interrupt_by_error, interrupt_by_cancelling):
            steps = 0
            while await end(driver, plan := bench.plan(), steps):
                assert await bench.leftovers(plan) == [], f"after step {steps}"
                assert plan.agent_id not in {seen.agent_id for seen in await driver.list_agents()}
                steps += 1
            assert steps >= 2, "a create tells of its steps"

    async def test_undo_create_removes_exactly_one_incarnation(self, bench: Bench, driver: Driver) -> None:
        plan, other = bench.plan(), bench.plan()
        await driver.create(plan, no_progress)
        kept = await driver.create(other, no_progress)
        await driver.undo_create(plan.agent_id, plan.uid)
        assert await bench.leftovers(plan) == []
        await driver.undo_create(other.agent_id, AgentUid(f"{other.uid}x"))
        assert (await driver.inspect(kept)).state is Observed.RUNNING

    # --- others' things --------------------------------------------------------------------------

    async def test_a_foreign_object_of_the_same_name_is_left_alone(self, bench: Bench, driver: Driver) -> None:
        plan = bench.plan()
        await bench.make_foreign(plan)
        with pytest.raises(Conflict) as caught:
            await driver.create(plan, no_progress)
        assert caught.value.hint
        assert await bench.foreign_intact(plan)
        with contextlib.suppress(Conflict):  # refusing and finding nothing of ours are both right
            await driver.undo_create(plan.agent_id, plan.uid)
        assert await bench.foreign_intact(plan)
        assert plan.agent_id not in {seen.agent_id for seen in await driver.list_agents()}

    async def test_another_hubs_agent_is_left_alone(self, bench: Bench, driver: Driver) -> None:
        plan = bench.plan()
        handle = await driver.create(plan, no_progress)
        other = await bench.other_hubs_driver()
        assert handle not in {seen.handle for seen in await other.list_agents()}
        for change in (
            other.destroy(handle),
            other.stop(handle, GRACE_SECONDS),
            other.undo_create(plan.agent_id, plan.uid),
        ):
            with contextlib.suppress(AgentGone, Conflict):  # not there, or somebody else's: both are right
                await change
        assert (await driver.inspect(handle)).state is Observed.RUNNING

    # --- a hub that comes back -------------------------------------------------------------------

    async def test_agents_outlive_the_driver_and_are_found_again(self, bench: Bench, driver: Driver) -> None:
        handle = await driver.create(bench.plan(), no_progress)
        before = await driver.inspect(handle)
        await driver.stop_driver()
        fresh = await bench.restarted_driver()
        assert await fresh.inspect(handle) == before
        assert before in await fresh.list_agents()
        await bench.say(handle, "still here")
        await wait_for_line(fresh, handle, "still here")
        await fresh.stop(handle, GRACE_SECONDS)
        assert (await fresh.inspect(handle)).state is Observed.EXITED
        await fresh.destroy(handle)

    async def test_an_interrupted_create_is_undone_by_the_next_driver(self, bench: Bench, driver: Driver) -> None:
        plan = bench.plan()
        await driver.create(plan, no_progress)
        await driver.stop_driver()
        fresh = await bench.restarted_driver()
        await fresh.undo_create(plan.agent_id, plan.uid)
        assert await bench.leftovers(plan) == []

    # --- token and log ---------------------------------------------------------------------------

    async def test_a_new_token_replaces_the_old_one(self, bench: Bench, driver: Driver) -> None:
        plan = bench.plan()
        handle = await driver.create(plan, no_progress)
        assert await bench.token(handle) == plan.join_token
        await driver.renew_token(handle, "ctj_second")
        assert await bench.token(handle) == "ctj_second"
        await driver.stop(handle, GRACE_SECONDS)
        await driver.renew_token(handle, "ctj_third")
        assert await bench.token(handle) == "ctj_third"

    async def test_the_last_lines_of_the_log(self, bench: Bench, driver: Driver) -> None:
        handle = await driver.create(bench.plan(), no_progress)
        for number in range(5):
            await bench.say(handle, f"line {number}")
        await wait_for_line(driver, handle, "line 4")
        assert texts(await collect(driver, handle, LogRequest(lines=2))) == ["line 3", "line 4"]
        assert texts(await collect(driver, handle, LogRequest(lines=0))) == []
        assert texts(await collect(driver, handle, LogRequest()))[-5:] == [f"line {number}" for number in range(5)]

    async def test_a_followed_log_goes_on(self, bench: Bench, driver: Driver) -> None:
        handle = await driver.create(bench.plan(), no_progress)
        await bench.say(handle, "before")
        await wait_for_line(driver, handle, "before")
        stream = driver.logs(handle, LogRequest(lines=1, follow=True))
        async with asyncio.timeout(WAIT_SECONDS):
            assert (await anext(stream)).text == "before"
            await bench.say(handle, "after")
            assert (await anext(stream)).text == "after"
        await close_stream(stream)


async def wait_for_state(driver: Driver, handle: AgentHandle, state: Observed) -> Observation:
    async def reached() -> bool:
        return (await driver.inspect(handle)).state is state

    await wait_until(reached, f"the agent is {state}")
    return await driver.inspect(handle)


async def collect(driver: Driver, handle: AgentHandle, request: LogRequest) -> list[LogLine]:
    return [line async for line in driver.logs(handle, request)]


def texts(lines: list[LogLine]) -> list[str]:
    return [line.text for line in lines]


async def wait_for_line(driver: Driver, handle: AgentHandle, text: str) -> None:
    async def written() -> bool:
        return text in texts(await collect(driver, handle, LogRequest(lines=10)))

    await wait_until(written, f"{text!r} is in the log")


async def close_stream(stream: AsyncIterator[LogLine]) -> None:
    close = getattr(stream, "aclose", None)
    assert close is not None, "a log that is left early must be closable"
    await close()


class Interrupted(Exception):
    """Raised by a watcher of the progress."""


async def interrupt_by_error(driver: Driver, plan: AgentPlan, after_steps: int) -> bool:
    """Create; raise at the given step's progress. Return False when the create had no such step."""
    steps = itertools.count()

    def interrupt(_fraction: float, _line: str) -> None:
        if next(steps) == after_steps:
            raise Interrupted

    try:
        await driver.create(plan, interrupt)
    except Interrupted:
        return True
    return False


async def interrupt_by_cancelling(driver: Driver, plan: AgentPlan, after_steps: int) -> bool:
    """Create; cancel it at the given step's progress. Return False when it ended before that took effect."""
    steps = itertools.count()
    reached = False

    async with asyncio.TaskGroup() as group:

        def interrupt(_fraction: float, _line: str) -> None:
            nonlocal reached
            if next(steps) == after_steps:
                reached = True
                create.cancel()

        create = group.create_task(driver.create(plan, interrupt))
        await asyncio.wait([create])
    return reached and create.cancelled()


__all__ = [
    "GRACE_SECONDS",
    "WAIT_SECONDS",
    "Bench",
    "DriverContract",
    "collect",
    "no_progress",
    "texts",
    "wait_for_line",
    "wait_for_state",
    "wait_until",
]
