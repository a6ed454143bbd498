"""Waiting for what a hub does: jobs, agents, tasks."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeVar

from hub.contract import AgentView, JobView, PageQuery, TaskView
from hub.control import Control
from hub.core.model import AgentStatus, JobState
from hub.errors import Conflict, HubError, NotFound

T = TypeVar("T")

LOOK_SECONDS: Final = 1.0
ONLINE_SECONDS: Final = 60.0
"""An agent that runs dials in within a second or two; a busy machine takes longer."""
CANCELS: Final = 3
"""Somebody who presses Ctrl-C once more does not mean to leave things behind; who insists does."""
TASK_MS: Final = 120_000
TASK_WAIT_SECONDS: Final = 180.0


async def persistently(work: Callable[[], Awaitable[T]]) -> tuple[T, bool]:
    """Do work that can be done again; cancelled meanwhile, it begins anew, a few times.

    Returns what came of it, and whether that happened: then the caller is to end.
    """
    for attempt in itertools.count():
        try:
            return await work(), attempt > 0
        except asyncio.CancelledError:
            if attempt == CANCELS:
                raise
    raise AssertionError("the loop has no end")


async def end_of(control: Control, job: JobView, say: Callable[[str], None]) -> JobView:
    """Wait for a job's end, telling what it says meanwhile.

    Raises:
        HubError: it failed, with its own words.
    """
    said = ""
    while job.state == JobState.RUNNING:
        if job.message and job.message != said:
            said = job.message
            say(said)
        job = await control.job(job.id, wait_seconds=LOOK_SECONDS)
    if job.state != JobState.SUCCEEDED:
        message = job.error.message if job.error and job.error.message else f"{job.kind} ended {job.state}"
        raise HubError(message, code=job.error.code if job.error else "job_failed")
    return job


async def end_work_on(control: Control, name: str) -> None:
    """Cancel what still goes on for a profile or agent of this name, and wait until it has ended. Raises HubError."""
    for job in (await control.jobs(PageQuery())).jobs:
        if job.state != JobState.RUNNING or name not in (job.about, job.agent_id):
            continue
        with contextlib.suppress(Conflict, NotFound):
            # It may have ended by itself meanwhile.
            job = await control.cancel_job(job.id)
        while job.state == JobState.RUNNING:
            job = await control.job(job.id, wait_seconds=LOOK_SECONDS)


async def online(control: Control, agent: str, seconds: float) -> AgentView:
    """Wait until an agent is online; return it as it is then, or as it is when the time is over."""
    deadline = time.monotonic() + seconds
    while True:
        shown = await control.agent(agent)
        if shown.status == AgentStatus.ONLINE or time.monotonic() > deadline:
            return shown
        await asyncio.sleep(LOOK_SECONDS / 4)


async def run_task(control: Control, agent: str, task: Mapping[str, Any]) -> TaskView:
    """Submit a task and wait for its end. Raises HubError."""
    submitted = await control.submit(agent, {"timeoutMs": TASK_MS, **task})
    deadline = time.monotonic() + TASK_WAIT_SECONDS
    while True:
        view = await control.get_task(submitted.task_id, wait_seconds=LOOK_SECONDS * 10)
        if view.terminal or time.monotonic() > deadline:
            return view
