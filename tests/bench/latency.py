"""One task at a time on one agent: from the call that submits it to its committed result."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from hub.core.model import TaskState
from tests.bench.hubs import Api, BenchError, hub_in_process, hub_process, local_control, process_agents
from tests.bench.report import Row
from tests.bench.timing import Samples, time_awaits

AGENT = "bench-1"
NOOP = {"type": "ping"}
EXEC_TRUE = {"type": "exec", "command": "true"}
WAIT_SECONDS = 30.0
SETTLE_SECONDS = 1.5
"""After an agent's start its own first health samples and imports are over."""


async def time_in_process(home: Path, tasks: dict[str, tuple[dict[str, Any], int]]) -> dict[str, Samples]:
    """Through `Control` in the hub's own process, as the terminal interface uses it."""
    found: dict[str, Samples] = {}
    async with hub_in_process(home, [AGENT]) as hub:
        control = local_control(hub)

        async def run(spec: dict[str, Any]) -> None:
            submitted = await control.submit(AGENT, spec)
            task = await control.get_task(submitted.task_id, WAIT_SECONDS)
            _check(task.status, task.error)

        await asyncio.sleep(SETTLE_SECONDS)
        for name, (spec, count) in tasks.items():
            found[name] = await time_awaits(count, _bound(run, spec))
    return found


async def time_over_http(home: Path, tasks: dict[str, tuple[dict[str, Any], int]]) -> dict[str, Samples]:
    """Through the HTTP API on the Unix socket of a hub in a process of its own."""
    found: dict[str, Samples] = {}
    async with hub_process(home), Api(home) as api, process_agents(api, [AGENT], lambda _: None):

        async def run(spec: dict[str, Any]) -> None:
            submitted = await api.post(f"/agents/{AGENT}/task", spec)
            task = await api.get(f"/tasks/{submitted['taskId']}?wait={WAIT_SECONDS:.0f}")
            _check(task["status"], task.get("error"))

        await asyncio.sleep(SETTLE_SECONDS)
        for name, (spec, count) in tasks.items():
            found[name] = await time_awaits(count, _bound(run, spec))
    return found


def rows(section: str, how: str, samples: Samples, p50_budget: float | None, p99_budget: float | None) -> list[Row]:
    """`how`: through which interface."""
    return [
        Row(section=section, name=f"{how}, p50", unit="ms", measured=samples.p50_ms, budget=p50_budget),
        Row(section=section, name=f"{how}, p99", unit="ms", measured=samples.p99_ms, budget=p99_budget),
    ]


def _bound(run: Callable[[dict[str, Any]], Awaitable[None]], spec: dict[str, Any]) -> Callable[[], Awaitable[None]]:
    return lambda: run(spec)


def _check(status: str, error: object) -> None:
    if status != TaskState.SUCCEEDED.value:
        raise BenchError(f"a task ended {status}: {error}")
