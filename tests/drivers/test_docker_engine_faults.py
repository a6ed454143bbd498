"""An engine that is killed, restarted, hidden, or whose containers somebody ends: the hub's view becomes true again."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from hub.config import Timing
from hub.contract import AttentionQuery, CreateAgent, PruneExecute, PruneRequest, TaskView
from hub.drivers.docker import DockerDriver
from hub.drivers.docker.docker_py import Connector
from hub.drivers.docker.images import DockerImages
from hub.drivers.docker.pool import Pool, Streams
from hub.drivers.images import ImageOrder
from tests.drivers import second_engine
from tests.drivers.docker_bench import build_options
from tests.drivers.second_engine import SecondEngine
from tests.end_to_end.harness import eventually
from tests.hub.running import RunningHub, running_hub

NO_ENGINE = second_engine.missing()
pytestmark = [pytest.mark.docker, pytest.mark.skipif(NO_ENGINE is not None, reason=NO_ENGINE or "")]

OFTEN = Timing(reconcile_seconds=1.0, drain_seconds=2.0)
PATIENCE_SECONDS = 90.0
WAITS = "echo began >> began; while [ ! -e go ]; do sleep 0.1; done; echo done"
"""Shows how often it was begun, and ends when told to."""


async def base_image(folder: Path) -> str:
    """The agents' image, on this machine's engine."""
    connector = Connector(None, os.environ)
    pool, streams = Pool(connector), Streams(connector)
    try:
        images = DockerImages(pool, streams, build_options(), folder, connector.url, {})
        return (await images.ensure(ImageOrder(), lambda _done, _line: None)).image
    finally:
        await streams.close()
        await pool.close()


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecondEngine]:
    image = asyncio.run(base_image(tmp_path_factory.mktemp("builds")))
    with second_engine.second_engine([image]) as made:
        yield made


@asynccontextmanager
async def hub_on(engine: SecondEngine, folder: Path | None = None) -> AsyncIterator[RunningHub]:
    def drivers(reach: Any) -> list[Any]:
        return [DockerDriver(reach, base_url=engine.url, build=build_options())]

    async with running_hub(folder, drivers=drivers, timing=OFTEN) as hub:
        yield hub


async def make(hub: RunningHub, names: list[str]) -> None:
    jobs = [
        await hub.control.create_agent(CreateAgent(name=name, driver="docker", network="none", concurrency=3))
        for name in names
    ]
    for job in jobs:
        ended = await hub.control.job(job.id, PATIENCE_SECONDS)
        assert ended.state == "succeeded", ended


async def make_fails(hub: RunningHub) -> None:
    """A create without an engine says so, and nothing of it stays."""
    request = CreateAgent(name="late", driver="docker", network="none")
    job = await hub.control.job((await hub.control.create_agent(request)).id, PATIENCE_SECONDS)
    assert (job.state, job.error and job.error.code) == ("failed", "engine_unreachable")


async def begin(hub: RunningHub, names: list[str]) -> dict[str, str]:
    """Give each agent a task that waits, and return when all have begun."""
    tasks = {
        name: (await hub.control.submit(name, {"type": "exec", "command": WAITS})).task_id for name in names
    }  # fmt: skip

    async def begun() -> bool:
        views = [await hub.control.get_task(task) for task in tasks.values()]
        return all(view.status == "running" for view in views)

    await eventually(begun, seconds=PATIENCE_SECONDS, what="all tasks run")
    for name in names:
        await said(hub, name, "until [ -s began ]; do sleep 0.05; done")
    return tasks


async def said(hub: RunningHub, name: str, command: str) -> str:
    task = await hub.control.submit(name, {"type": "exec", "command": command})
    view = await hub.ended(task.task_id, seconds=PATIENCE_SECONDS)
    assert view.status == "succeeded", view
    return view.stdout or ""


async def all_run_again(hub: RunningHub, engine: SecondEngine, names: list[str]) -> None:
    async def true() -> bool:
        running = {one["Names"][0] for one in engine.get("/containers/json")}
        views = [await hub.control.agent(name) for name in names]
        shown = all((view.status, view.lifecycle.observed) == ("online", "running") for view in views)
        well = (await hub.control.health()).status == "ok"
        return well and shown and running == {f"/openclaw-agent-{name}" for name in names}

    await eventually(true, seconds=PATIENCE_SECONDS, what="every agent runs and is shown so")


async def ends(hub: RunningHub, tasks: dict[str, str]) -> list[TaskView]:
    return [await hub.ended(task, seconds=PATIENCE_SECONDS) for task in tasks.values()]


async def clear(hub: RunningHub, names: list[str]) -> None:
    jobs = [await hub.control.destroy(name) for name in names]
    for job in jobs:
        assert (await hub.control.job(job.id, PATIENCE_SECONDS)).state == "succeeded"


async def gone(hub: RunningHub) -> bool:
    return "driver_gone:docker" in [view.id for view in (await hub.control.attention(AttentionQuery())).attention]


def survivors(engine: SecondEngine) -> list[str]:
    volumes = engine.get("/volumes")["Volumes"] or []
    return [*(one["Names"][0] for one in engine.get("/containers/json", all="1")), *(one["Name"] for one in volumes)]


@pytest.mark.parametrize(
    "count", [3, pytest.param(10, marks=[pytest.mark.soak, pytest.mark.timeout(600)])], ids=["three", "ten"]
)
async def test_agents_of_an_engine_that_was_killed_run_again(engine: SecondEngine, count: int) -> None:
    """Each task ends once, as interrupted, and none is begun twice."""
    names = [f"a{number}" for number in range(count)]
    async with hub_on(engine) as hub:
        await make(hub, names)
        tasks = await begin(hub, names)
        await asyncio.to_thread(engine.again, signal.SIGKILL)
        views = await ends(hub, tasks)
        assert [(view.status, view.error and view.error.code, view.attempt) for view in views] == [
            ("failed", "interrupted", 1)
        ] * count
        await all_run_again(hub, engine, names)
        assert [await said(hub, name, "cat began") for name in names] == ["began\n"] * count
        await clear(hub, names)
    assert survivors(engine) == []


async def test_with_live_restore_the_tasks_finish(engine: SecondEngine) -> None:
    engine.live_restore = True
    await asyncio.to_thread(engine.again, signal.SIGTERM)
    names = ["one", "two", "three"]
    try:
        async with hub_on(engine) as hub:
            await make(hub, names)
            tasks = await begin(hub, names)
            await asyncio.to_thread(engine.end, signal.SIGKILL)
            await eventually(lambda: gone(hub), seconds=PATIENCE_SECONDS, what="the engine is missed")
            assert [(await hub.control.agent(name)).status for name in names] == ["online"] * 3
            await make_fails(hub)
            job = await hub.control.job((await hub.control.destroy(names.pop())).id, PATIENCE_SECONDS)
            assert (job.state, job.error and job.error.code) == ("failed", "engine_unreachable")
            await asyncio.to_thread(engine.start)
            # The wish to destroy was committed: it is carried out as soon as the engine is there again.
            await all_run_again(hub, engine, names)
            await hub.until(lambda: len(hub.kernel.fleet.agents) == 2, "three is destroyed", seconds=PATIENCE_SECONDS)
            for name in names:
                await said(hub, name, "touch go")
            views = await ends(hub, {name: tasks[name] for name in names})
            assert [(view.status, view.stdout, view.attempt) for view in views] == [("succeeded", "done\n", 1)] * 2
            await clear(hub, names)
    finally:
        engine.live_restore = False
        await asyncio.to_thread(engine.again, signal.SIGTERM)
    assert survivors(engine) == []


async def test_what_somebody_does_by_hand_is_seen_and_put_right(engine: SecondEngine) -> None:
    async with hub_on(engine) as hub:
        await make(hub, ["one"])
        engine.call("POST", "/containers/openclaw-agent-one/kill")
        await eventually(lambda: audited_start(hub, engine), seconds=PATIENCE_SECONDS, what="it is started again")
        engine.call("DELETE", "/containers/openclaw-agent-one", force="1")
        await hub.status("one", "crashed")
        assert (await hub.control.agent("one")).reason == "removed from outside"
        await clear(hub, ["one"])
    assert survivors(engine) == []


async def audited_start(hub: RunningHub, engine: SecondEngine) -> bool:
    """The container that was killed by hand runs again, and its agent is back."""
    state = engine.get("/containers/openclaw-agent-one/json")["State"]
    return state["Running"] and (await hub.control.agent("one")).status == "online" and state["ExitCode"] == 0


async def test_a_hub_that_was_away_meanwhile_finds_the_truth(engine: SecondEngine) -> None:
    names = ["one", "two", "three"]
    folder = engine.folder / "h"
    async with hub_on(engine, folder) as hub:
        await make(hub, names)
        tasks = await begin(hub, names)
    await asyncio.to_thread(engine.again, signal.SIGTERM)
    engine.call("DELETE", "/containers/openclaw-agent-three", force="1")
    async with hub_on(engine, folder) as hub:
        views = await ends(hub, {name: tasks[name] for name in ("one", "two")})
        assert [view.error and view.error.code for view in views] == ["interrupted"] * 2
        await hub.status("three", "crashed")
        await all_run_again(hub, engine, ["one", "two"])
        await clear(hub, names)
        assert (await hub.control.get_task(tasks["three"])).status == "cancelled"
    assert survivors(engine) == []


async def test_an_engine_that_goes_away_in_the_middle_of_creates_leaves_nothing(engine: SecondEngine) -> None:
    """Each create succeeds or fails; what a failed one could not remove is found by the clean-up."""
    async with hub_on(engine) as hub:
        names = ["one", "two", "three"]
        jobs = [
            await hub.control.create_agent(CreateAgent(name=name, driver="docker", network="none")) for name in names
        ]
        await eventually(lambda: something_is_on(engine), seconds=PATIENCE_SECONDS, what="something of them is there")
        await asyncio.to_thread(engine.again, signal.SIGKILL)
        ended = [await hub.control.job(job.id, PATIENCE_SECONDS) for job in jobs]
        assert {job.state for job in ended} <= {"succeeded", "failed"}
        living = [name for name in names if name in hub.kernel.fleet.agents]
        await all_run_again(hub, engine, living)
        await clear(hub, living)
        for _ in range(2):
            # A volume whose container is in the plan, too, is in use until that is gone.
            plan = await hub.control.plan_prune(PruneRequest(kinds=["containers", "volumes"]))
            if plan.objects:
                job = await hub.control.prune(plan.id, PruneExecute(data=True))
                assert (await hub.control.job(job.id, PATIENCE_SECONDS)).state == "succeeded"
    assert survivors(engine) == []


async def something_is_on(engine: SecondEngine) -> bool:
    return bool(survivors(engine))
