"""Waiting for the hub's long work: a bar where a terminal is, lines where none is."""

from __future__ import annotations

import asyncio
import re
from typing import Final, Protocol

from clawtui.cli.output import Column, Mode, printable
from clawtui.cli.world import Context
from hub.contract import JobList, JobStepView, JobView
from hub.control import Control
from hub.core.model import JobState
from hub.errors import HubError

LOOK_SECONDS: Final = 1.0
"""How often a job that is not over is looked at for its progress."""

BAR_CELLS: Final = 20
NUMBERS: Final = re.compile(r"(?<!\S)\d+(?:\.\d+)?(?!\S)")
"""Those that stand alone: `web-1` and `web-2` are two agents."""

JOB_COLUMNS: Final = (
    Column("ID", lambda job: job.id),
    Column("KIND", lambda job: job.kind),
    Column("AGENT", lambda job: job.agent_id),
    Column("STATE", lambda job: job.state),
    Column("PROGRESS", lambda job: f"{job.progress:.0%}", right=True),
    Column("MESSAGE", lambda job: job.error.message if job.error else job.message),
    Column("STARTED", lambda job: job.started_at),
)
JOB_FIELDS: Final = (
    *JOB_COLUMNS,
    Column("FINISHED", lambda job: job.finished_at),
    Column("BY", lambda job: job.by),
)
"""Of one job; its steps follow."""


def job_fields(job: JobView) -> tuple[Column, ...]:
    """One job in full: also what it said on its way, which is the log of how an agent was made."""
    return (*JOB_FIELDS, *(Column("STEP", lambda _, step=step: f"{step.at} {step.message}") for step in job.steps))


class Narration:
    """What a job has said since it was last asked, each step once.

    Steps in a row that differ by their numbers only, such as MiB done, are one that moves on: of those of one look the
    last is told. `moves` False: it is told once, because a bar shows the rest.
    """

    def __init__(self, *, moves: bool) -> None:
        self._moves = moves
        self._last: JobStepView | None = None
        self._words = ""

    def news(self, job: JobView) -> list[str]:
        steps = job.steps or [JobStepView(at="", message=job.message)]
        known = max((index for index, step in enumerate(steps) if step == self._last), default=-1)
        self._last = steps[-1]
        told: list[str] = []
        for step in steps[known + 1 :]:
            words = NUMBERS.sub("", step.message)
            if words != self._words:
                told.append(step.message)
            elif self._moves:
                told[-1:] = [step.message]
            self._words = words
        return [line for line in told if line]


class Meter(Protocol):
    def show(self, job: JobView) -> None: ...

    def close(self) -> None: ...


class Lines:
    """One line of narration for each step."""

    def __init__(self, context: Context) -> None:
        self._out = context.out
        self._narration = Narration(moves=True)

    def show(self, job: JobView) -> None:
        for line in self._narration.news(job):
            self._out.say(line)

    def close(self) -> None:
        return


class Bar:
    """The same lines, with a progress bar below them that is gone when the work is done."""

    def __init__(self, context: Context) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        console = Console(
            file=context.world.stderr, no_color=not context.world.colour, markup=False, highlight=False, emoji=False
        )
        self._narration = Narration(moves=False)
        # The rest of the line; an elapsed time has 7 cells, and there is a space on each side of it.
        self._room = max(console.width - BAR_CELLS - 9, 8)
        self._progress = Progress(
            BarColumn(BAR_CELLS), TimeElapsedColumn(), TextColumn("{task.description}", markup=False),
            console=console, transient=True,
        )  # fmt: skip
        self._bar = self._progress.add_task("", total=1.0)
        self._progress.start()

    def show(self, job: JobView) -> None:
        for line in self._narration.news(job):
            self._progress.console.print(printable(line), soft_wrap=True)
        doing = printable(job.message or job.kind)
        shown = doing if len(doing) <= self._room else f"{doing[: self._room - 1]}…"
        self._progress.update(self._bar, completed=job.progress, description=shown)

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
        meter.show(job)
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
