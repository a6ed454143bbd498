"""The hub's own long work: what runs first, and of each job everything that is known."""

from __future__ import annotations

from collections.abc import Mapping

from clawtui.tui.actions import Where
from clawtui.tui.jobs import JOB_COLUMNS, JOB_KEYS, job_detail, job_row, running_first
from clawtui.tui.presenters import job_target
from clawtui.tui.screens.detailed import DetailedListing
from clawtui.tui.screens.pane import Subject
from clawtui.tui.store import FleetStore
from clawtui.tui.widgets.dialogs import ConfirmDialog
from clawtui.tui.widgets.fields import Field
from clawtui.tui.widgets.table_layout import Row
from hub.contract import JobView, PageQuery

JOBS = 300
FINAL = "destroy"
"""The job that goes on to its end."""


class JobsPane(DetailedListing):
    place = Where.JOBS
    title = "Jobs"
    columns = JOB_COLUMNS
    kinds = ("job",)
    keys = JOB_KEYS
    empty = "No jobs yet.\n\nMaking, starting, stopping and destroying agents is long work of the hub: it appears here."

    def __init__(self, id: str) -> None:
        super().__init__(id=id)
        self._jobs: dict[str, JobView] = {}
        self._pointed = self._about = ""
        """The job that somebody came for: to put the cursor on, and to keep in the list."""

    async def read(self, store: FleetStore) -> None:
        page = await store.control.jobs(PageQuery(limit=JOBS))
        listed = {job.id: job for job in running_first(page.jobs)}
        if self._about and self._about not in listed:
            # An older one: it stands below those that are listed.
            listed[self._about] = await store.control.job(self._about)
        self._jobs = listed
        self.changed()

    def show(self) -> None:
        super().show()
        if self.ui.store is not None:
            self.ui.main.job_watch.see(self.ui.store.jobs)
        if self.is_mounted and any(row.key == self._pointed for row in self.table.rows):
            self.table.cursor_key, self._pointed = self._pointed, ""

    def rows(self, store: FleetStore) -> list[tuple[Mapping[str, str], Row]]:
        now, stale = store.now(), not store.live
        return [job_row(job, now, stale) for job in self._jobs.values()]

    def notes(self) -> tuple[str, ...]:
        running = sum(job.finished_at is None for job in self._jobs.values())
        return (f"{running} running",)

    def fields(self, store: FleetStore, key: str) -> list[Field]:
        job = self._jobs.get(key)
        cancel = self.ui.keymap.first("job.cancel") if job is not None and job.kind != FINAL else ""
        return job_detail(job, store.now(), cancel) if job is not None else []

    def point_at(self, key: str) -> None:
        self._pointed = self._about = key
        self._reads = ()
        self.ui.refresh_now()

    def subject(self) -> Subject:
        agents = (self._jobs[job].agent_id for job in self.meant() if job in self._jobs)
        return Subject(tuple(dict.fromkeys(agent for agent in agents if agent)))

    def has(self, needs: str) -> bool:
        return needs == "job" and bool(self._known()) and not _why_not(self._known())

    def why_not(self, needs: str) -> str:
        return _why_not(self._known()) if needs == "job" and self._known() else ""

    def _known(self) -> list[JobView]:
        return [self._jobs[job] for job in self.meant() if job in self._jobs]

    def copied(self) -> str:
        job = self._jobs.get(self.table.cursor_key or "")
        if job is None:
            return ""
        return self.detail.plain if self.detail.has_focus else f"clawtui jobs show {job.id}"

    async def do_job_cancel(self, job_id: str) -> None:
        jobs = (job_id,) if job_id else self.meant()
        known = [self._jobs[job] for job in jobs if job in self._jobs]
        if known and (why := _why_not(known)):
            self.ui.say(why, "warn")
            return
        named = [f"{job.kind} {job_target(job)}".strip() for job in known] or list(jobs)

        async def cancel() -> None:
            for job in jobs:
                ended = await self.ui.acting.control.cancel_job(job)
                self.ui.say(f"√ {ended.kind} {job_target(ended)} is {ended.state} — clawtui jobs cancel {job}", "ok")

        def answered(yes: bool | None) -> None:
            if yes:
                self.ui.acting.work(lambda: cancel())

        lines = [", ".join(named), "It is ended, and what it did so far is undone."]
        title = "Cancel the job?" if len(jobs) == 1 else f"Cancel {len(jobs)} jobs?"
        self.ui.push_screen(ConfirmDialog(title, lines, "Cancel job"), answered)


def _why_not(jobs: list[JobView]) -> str:
    """Why none of these can be cancelled; empty when one can."""
    running = [job for job in jobs if job.finished_at is None]
    if not running:
        return f"{jobs[0].kind} {job_target(jobs[0])} has ended: {jobs[0].state}"
    if all(job.kind == FINAL for job in running):
        return "a destroy goes on to its end: half an agent would be left"
    return ""
