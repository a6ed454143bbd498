"""Waiting for the hub's long work: a bar where a terminal is, lines where none is."""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

from clawtui.cli.output import Column, Mode
from clawtui.cli.world import Context
from hub.contract import JobList, JobView
from hub.control import Control
from hub.core.model import JobState
from hub.errors import HubError

LOOK_SECONDS: Final = 1.0
"""How often a job that is not over is looked at for its progress."""

JOB_COLUMNS: Final = (
    Column("ID", lambda job: job.id),
    Column("KIND", lambda job: job.kind),
    Column("AGENT", lambda job: job.agent_id),
    Column("STATE", lambda job: job.state),
    Column("PROGRESS", lambda job: f"{job.progress:.0%}", right=True),
    Column("MESSAGE", lambda job: job.error.message if job.error else job.message),
    Column("STARTED", lambda job: job.started_at),
)


class Meter(Protocol):
    def show(self, job: JobView) -> None: ...

    def close(self) -> None: ...


class Lines:
    """One line of narration for each new message."""

    def __init__(self, context: Context) -> None:
        self._out = context.out
        self._shown = ""

    def show(self, job: JobView) -> None:
        if job.message and job.message != self._shown:
            self._shown = job.message
            self._out.say(job.message)

    def close(self) -> None:
        return


class Bar:
    """A progress bar on stderr, gone when the work is done."""

    def __init__(self, context: Context) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        console = Console(file=context.world.stderr, no_color=not context.world.colour, markup=False, highlight=False)
        self._progress = Progress(
            TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn(),
            console=console, transient=True,
        )  # fmt: skip
        self._bar = self._progress.add_task("", total=1.0)
        self._progress.start()

    def show(self, job: JobView) -> None:
        self._progress.update(self._bar, completed=job.progress, description=job.message or job.kind)

    def close(self) -> None:
        self._progress.stop()


async def finish_job(context: Context, control: Control, job: JobView, *, no_wait: bool) -> bool:
    """Wait for the job's end. False: the job itself was printed, as JSON or because nobody waits.

    Raises:
        HubError: the job failed or was cancelled, with its own code.
    """
    if no_wait:
        context.out.listing(job, JOB_COLUMNS, [job])
        return False
    quiet = context.out.mode is Mode.JSON
    meter: Meter = Bar(context) if context.world.stderr.isatty() and not quiet else Lines(context)
    try:
        while job.state == JobState.RUNNING:
            meter.show(job)
            job = await control.job(job.id, wait_seconds=LOOK_SECONDS)
    except asyncio.CancelledError:
        context.out.say(f"job {job.id} goes on; look at it with: clawtui jobs show {job.id}")
        raise
    finally:
        meter.close()
    if job.state != JobState.SUCCEEDED:
        failed = job.error
        raise HubError(
            failed.message if failed and failed.message else f"{job.kind} ended {job.state}",
            code=failed.code if failed else "job_failed",
            hint=f"clawtui jobs show {job.id}",
        )
    if quiet:
        context.out.body(job)
    return not quiet


def show_jobs(context: Context, body: JobList) -> None:
    context.out.listing(body, JOB_COLUMNS, body.jobs, "no jobs")
