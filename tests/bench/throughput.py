"""Tasks per second: 50 agents, a stream of dispatches to all of them, until the last result is committed."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.bench.hubs import Api, BenchError, hub_process, process_agents
from tests.bench.latency import EXEC_TRUE, NOOP, SETTLE_SECONDS
from tests.bench.report import Row

AGENTS = 50
SUBMITTERS = 4
"""Connections that post dispatches, each one after the other."""
POLL_SECONDS = 0.05
OPEN_STATES = ("queued", "offered", "running")
SECTION = f"tasks per second, {AGENTS} agents, batched submission"
RUNS = 3
END_SECONDS = 300.0


async def throughput(home: Path, noop_tasks: int, exec_tasks: int, say: Callable[[str], None]) -> list[Row]:
    """Rows for no-op and `exec true`; each the median of three runs."""
    names = [f"bench-{number}" for number in range(1, AGENTS + 1)]
    async with (
        hub_process(home),
        Api(home, connections=SUBMITTERS + 1) as api,
        process_agents(api, names, say),
    ):
        await asyncio.sleep(SETTLE_SECONDS)
        return [
            await _row(api, "no-op", NOOP, noop_tasks, 2_500, say),
            await _row(api, "exec true", EXEC_TRUE, exec_tasks, 800, say),
        ]


async def _row(api: Api, name: str, spec: dict[str, Any], tasks: int, budget: float, say: Callable[[str], None]) -> Row:
    dispatches = max(tasks // AGENTS, 1)
    await tasks_per_second(api, spec, max(dispatches // 5, 1))
    runs: list[float] = []
    for _ in range(RUNS):
        runs.append(await tasks_per_second(api, spec, dispatches))
        say(f"{name}: {runs[-1]:,.0f} tasks per second")
    return Row(
        section=SECTION,
        name=name,
        unit="/s",
        measured=statistics.median(runs),
        budget=budget,
        higher_is_better=True,
        runs=runs,
        note=f"{dispatches} dispatches over HTTP, median of {RUNS} runs",
    )


async def tasks_per_second(api: Api, spec: dict[str, Any], dispatches: int) -> float:
    """Send `dispatches` times one task to every agent; from the first call to the last committed result.

    Raises:
        BenchError: a task did not succeed.
    """
    left = iter(range(dispatches))
    made: list[dict[str, Any]] = []

    async def submit() -> None:
        for _ in left:
            made.append(await api.post("/tasks", {"task": spec, "selector": "*"}))

    started = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(SUBMITTERS):
            group.create_task(submit())
    await _wait_no_open_task(api)
    # The answer to a wait comes after the commit of everything that was decided before it.
    await api.get(f"/tasks/{made[-1]['tasks'][0]['taskId']}?wait=60")
    seconds = time.perf_counter() - started
    for dispatch in made:
        counts = (await api.get(f"/dispatches/{dispatch['dispatchId']}"))["counts"]
        if counts != {"succeeded": AGENTS}:
            raise BenchError(f"dispatch {dispatch['dispatchId']} ended as {counts}")
    return dispatches * AGENTS / seconds


async def _wait_no_open_task(api: Api) -> None:
    deadline = time.monotonic() + END_SECONDS
    while True:
        tasks = (await api.get("/health"))["tasks"]
        if not any(tasks.get(state) for state in OPEN_STATES):
            return
        if time.monotonic() > deadline:
            raise BenchError(f"tasks are still open after {END_SECONDS:.0f} s: {tasks}")
        await asyncio.sleep(POLL_SECONDS)
