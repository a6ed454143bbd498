"""Jobs: long work of the hub itself, with progress, an end that is recorded, and a way to cancel.

A job is a row before it starts. A hub that was stopped or killed in the middle finds the row as
`running` at its next start, where `hub.acts` finishes or undoes it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec
import structlog
from msgspec.structs import replace

from hub.core.effects import Effect, Kind, Publish, Save
from hub.core.model import AgentId, Job, JobId, JobState, JobStep
from hub.errors import BadRequest, Conflict, HubError, NotFound
from hub.kernel import Kernel
from runtime.wire import TaskError

STEPS = 20
"""So many of the last steps of a job are kept: a build of an image says far more."""
STEP_CHARACTERS = 400
UNCANCELLED = frozenset({"destroy", "gateway.destroy"})
"""Kinds of jobs that are not ended half-way."""

log = structlog.get_logger("hub.jobs")


class JobHandle:
    """What the work of a job may do with it."""

    def __init__(self, jobs: Jobs, job: Job) -> None:
        self.job = job
        self._jobs = jobs

    @property
    def cancelled(self) -> bool:
        """Somebody wants it undone; a hub that stops wants it left for its next start."""
        return self._jobs.is_cancelled(self.job.id)

    def progress(self, fraction: float, message: str) -> None:
        """Show how far it is. Kept with the job's end only: after a restart the request is known, not this."""
        steps = self.job.steps
        if message and message != self.job.message:
            steps = (*steps, JobStep(at=self._jobs.now_ms(), message=message[:STEP_CHARACTERS]))[-STEPS:]
        self.job = replace(self.job, progress=min(max(fraction, 0.0), 1.0), message=message, steps=steps)
        self._jobs.changed(self.job)


Work = Callable[[JobHandle], Awaitable[dict[str, Any] | None]]
"""Does the job and returns its result. When cancelled it undoes what it did and re-raises."""


class Jobs:
    """Running jobs. `group` waits for them; at a stop they are cancelled and stay `running` rows."""

    def __init__(self, kernel: Kernel, group: asyncio.TaskGroup) -> None:
        self._kernel = kernel
        self._group = group
        self._running: dict[JobId, tuple[Job, asyncio.Task[None]]] = {}
        self._cancelled: set[JobId] = set()
        self._stopping = False

    async def start(
        self,
        kind: str,
        agent_id: AgentId | None,
        by: str,
        work: Work,
        *,
        effects: Sequence[Effect] = (),
        request: str = "",
        about: str = "",
    ) -> Job:
        """Commit the job together with `effects` and start its work.

        Raises:
            StorageFull, Unavailable: nothing was kept, the work is not done.
        """
        job = Job(
            id=JobId(self._kernel.clock.new_id("j")),
            kind=kind,
            started_at=self._kernel.now().wall_ms,
            agent_id=agent_id,
            about=about,
            request=request,
            by=by,
        )
        try:
            await self._kernel.commit([*effects, Save(job), Publish(Kind.JOB, job.id)])
        except asyncio.CancelledError:
            # The caller went away, but what was decided is decided: once the row is there, its work is done.
            self.resume(job, lambda handle: self._after_commit(handle, work))
            raise
        self.resume(job, work)
        return job

    async def _after_commit(self, handle: JobHandle, work: Work) -> dict[str, Any] | None:
        await self._kernel.settle()
        return await work(handle)

    def resume(self, job: Job, work: Work) -> None:
        """Run the work of a job whose row exists; a hub that stops leaves it to the next start."""
        if self._stopping:
            return
        handle = JobHandle(self, job)
        runner = self._group.create_task(self._run(handle, work), name=f"job-{job.id}")
        self._running[job.id] = (job, runner)

    def changed(self, job: Job) -> None:
        running = self._running.get(job.id)
        if running is not None:
            self._running[job.id] = (job, running[1])
            self._kernel.push([Publish(Kind.JOB, job.id)])

    def now_ms(self) -> int:
        return self._kernel.now().wall_ms

    def running(self, job_id: str) -> Job | None:
        entry = self._running.get(JobId(job_id))
        return entry[0] if entry is not None else None

    def running_of(self, agent_id: AgentId, kind: str) -> JobId | None:
        """Return the agent's running job of a kind."""
        found = (job.id for job, _ in self._running.values() if job.agent_id == agent_id and job.kind == kind)
        return next(found, None)

    async def read(self, job_id: str) -> Job:
        """Return a job, running or ended. Raises NotFound."""
        job = self.running(job_id) or await self._kernel.registry.job(job_id)
        if job is None:
            raise NotFound(f"there is no job {job_id[:64]}")
        return job

    async def wait_ended(self, job_id: str, seconds: float) -> None:
        """Wait for a job's end, at most `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                while self.running(job_id) is not None:
                    await self._kernel.feed.wait_for(Kind.JOB, job_id)
        except TimeoutError:
            return

    def check_cancel(self, job_id: str) -> None:
        """Raises Conflict or BadRequest for a job that `cancel` would refuse."""
        job = self.running(job_id)
        if job is None:
            raise Conflict(f"job {job_id[:64]} is not running")
        if job.kind in UNCANCELLED:
            raise BadRequest("a destroy cannot be cancelled half-way")

    def cancel(self, job_id: str) -> None:
        """Cancel a running job; its work undoes what it did. Raises as `check_cancel`."""
        self.check_cancel(job_id)
        job, runner = self._running[JobId(job_id)]
        if job.id in self._cancelled:
            # Asked again: the first one is being undone, and must not be torn off in that.
            return
        self._cancelled.add(job.id)
        runner.cancel()

    def cancel_of(self, agent_id: AgentId, kind: str) -> None:
        """Cancel the agent's running jobs of a kind, if there are any."""
        for job, _ in list(self._running.values()):
            if job.agent_id == agent_id and job.kind == kind:
                self.cancel(job.id)

    def cancel_about(self, about: str, kind: str) -> None:
        """Cancel the running jobs of a kind that are about the same."""
        for job, _ in list(self._running.values()):
            if job.about == about and job.kind == kind:
                self.cancel(job.id)

    def is_cancelled(self, job_id: JobId) -> bool:
        """Whether somebody cancelled this running job."""
        return job_id in self._cancelled

    def stop(self) -> None:
        """The hub stops: end all work, and leave the rows for the next start."""
        self._stopping = True
        for _, runner in list(self._running.values()):
            runner.cancel()

    async def wait_stopped(self, seconds: float) -> None:
        """Wait until nothing runs any more, at most `seconds`: drivers undo what was half done."""
        if self._running:
            await asyncio.wait([runner for _, runner in self._running.values()], timeout=seconds)

    async def _run(self, handle: JobHandle, work: Work) -> None:
        job_id = handle.job.id
        try:
            result = await work(handle)
            raw = None if result is None else msgspec.Raw(msgspec.json.encode(result))
            await self._end(handle.job, JobState.SUCCEEDED, result=raw)
        except asyncio.CancelledError:
            if self._stopping or job_id not in self._cancelled:
                raise
            await self._end(handle.job, JobState.CANCELLED)
        except HubError as exc:
            # After a message of several lines, which ends with some program's output, on a line of its own.
            hint = f"\n{exc.hint}" if exc.hint and "\n" in exc.message else f" ({exc.hint})" if exc.hint else ""
            error = TaskError(exc.code, exc.message + hint)
            log.warning("job_failed", job=job_id, kind=handle.job.kind, error=exc.message)
            await self._end(handle.job, JobState.FAILED, error=error)
        except Exception as exc:
            log.exception("job_crashed", job=job_id, kind=handle.job.kind)
            error = TaskError("internal", f"{type(exc).__name__}: {exc}")
            await self._end(handle.job, JobState.FAILED, error=error)
        finally:
            self._running.pop(job_id, None)
            self._cancelled.discard(job_id)
            self._kernel.push([Publish(Kind.JOB, job_id)])

    async def _end(
        self,
        job: Job,
        state: JobState,
        *,
        result: msgspec.Raw | None = None,
        error: TaskError | None = None,
    ) -> None:
        ended = replace(
            job,
            state=state,
            progress=1.0 if state is JobState.SUCCEEDED else job.progress,
            finished_at=self._kernel.now().wall_ms,
            result=result,
            error=error,
        )
        audit = self._kernel.audited(
            job.by, f"job.{job.kind}", job.agent_id or "", state, error.message if error else ""
        )
        try:
            await self._kernel.commit([Save(ended), audit])
        except HubError as exc:
            # The disk is full: the row stays `running`, and the next start looks at it again.
            log.error("job_end_not_kept", job=job.id, error=exc.message)  # noqa: TRY400
