"""The hub's jobs in words: as a table, one in full, and the line that says what was done and what is going on. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from rich.cells import cell_len

from clawtui.cli.output import age_text, printable
from clawtui.tui.journal import moment
from clawtui.tui.presenters import age_cell, bar, job_line, job_target, reason
from clawtui.tui.theme import Piece
from clawtui.tui.widgets.fields import Field
from clawtui.tui.widgets.table_layout import Cell, Column, Row
from clawtui.tui.widgets.text import clean, truncate
from clawtui.tui.words import job_sign
from hub.contract import JobView
from hub.core.model import JobState

JOB_COLUMNS: Final = (
    Column("state", "STATE", 12, "left"),
    Column("kind", "JOB", 9, "left"),
    Column("agent", "TARGET", 15, "left"),
    Column("progress", "PROGRESS", 11, "left"),
    Column("took", "TOOK", 6, "right"),
    Column("age", "AGE", 6, "right"),
    Column("what", "WHAT", 12, "left", True),
)
JOB_KEYS: Final = frozenset({"state", "job", "agent", "target", "what", "id", "by"})
SHORT_KINDS: Final = {
    "restore-undo": "unrestore", "snapshot-delete": "delete", "profile.build": "build", "image.build": "build",
    "image.push": "push", "image.pull": "pull",
}  # fmt: skip
"""Kinds that are too long for the column; in full they stand in the detail."""
SAID_LEAST_CELLS: Final = 24
"""What was said last keeps at least so much of the line, whatever else there is to tell."""


def running_first(jobs: Iterable[JobView]) -> list[JobView]:
    """Running ones first, then as the hub gave them: newest first."""
    return sorted(jobs, key=lambda job: job.finished_at is not None)


def job_took(job: JobView, now: datetime) -> str:
    end = datetime.fromisoformat(job.finished_at) if job.finished_at else now
    seconds = max((end - datetime.fromisoformat(job.started_at)).total_seconds(), 0.0)
    return f"{seconds:.1f}s" if seconds < 10 else age_text(seconds)


def job_what(job: JobView) -> str:
    """Why it failed, else what it does or did last."""
    if job.error is not None:
        return reason(job.error.message or job.error.code)
    return printable(job.message)


def job_fields(job: JobView) -> dict[str, str]:
    """What the filter looks at."""
    return {
        "state": job.state, "job": job.kind, "agent": job.agent_id or "", "target": job_target(job),
        "what": job_what(job), "id": job.id, "by": job.by.removeprefix("user:"),
    }  # fmt: skip


def job_row(job: JobView, now: datetime, stale: bool) -> tuple[Mapping[str, str], Row]:
    sign = job_sign(job.state)
    runs = job.finished_at is None
    cells = (
        Cell(f"{sign.glyph} {job.state}{'?' if runs and stale else ''}", sign.style),
        Cell(_verb(job)),
        Cell(job_target(job) or "the hub"),
        Cell(f"{bar(job.progress)} {job.progress:>4.0%}" if runs else "", "accent"),
        Cell(job_took(job, now)),
        Cell(age_cell(job.started_at, now), "dim"),
        Cell(job_what(job), "bad" if job.error is not None else "dim"),
    )
    return job_fields(job), Row(job.id, cells, stale)


def job_detail(job: JobView, now: datetime, cancel_key: str) -> list[Field]:
    """Everything, the error in full."""
    sign = job_sign(job.state)
    runs = job.finished_at is None
    fields = [
        Field("Job", f"{job.kind} {job_target(job) or 'the hub'}", "bold", job.id),
        Field(
            "State", f"{sign.glyph} {job.state}", sign.style, f"{cancel_key} cancels it" if runs and cancel_key else ""
        ),
    ]
    if runs:
        fields.append(Field("Progress", f"{bar(job.progress, 16)} {job.progress:.0%}", "accent"))
    if job.error is not None:
        fields += [Field("Error", job.error.message or job.error.code, "bad", job.error.code)]
    fields.append(Field("Started", moment(job.started_at), "", f"{age_cell(job.started_at, now)} ago"))
    if job.finished_at:
        fields.append(Field("Ended", moment(job.finished_at), "", f"after {job_took(job, now)}"))
    if job.by:
        fields.append(Field("Who", job.by.removeprefix("user:")))
    fields += _steps(job)
    forks: list[dict[str, Any]] = (job.result or {}).get("forks", [])
    if forks:
        lines = [printable(f"{one.get('agentId')}: {one.get('error') or one.get('state')}") for one in forks]
        failed = bool((job.result or {}).get("failed"))
        fields.append(Field("Forks", "\n".join(lines), "warn" if failed else "ok"))
    elif job.result is not None:
        fields.append(Field("Result", msgspec.json.encode(job.result).decode()))
    fields.append(Field("Command", f"clawtui jobs show {job.id}", "", "y copies it"))
    return fields


def _steps(job: JobView) -> list[Field]:
    """When it began with what; an older hub tells the last one only."""
    if not job.steps:
        return [Field("Step", printable(job.message))] if job.message else []
    begun = datetime.fromisoformat(job.started_at)
    lines = [
        f"{max((datetime.fromisoformat(step.at) - begun).total_seconds(), 0.0):6.1f}s  {printable(step.message)}"
        for step in job.steps
    ]
    return [Field("Steps", "\n".join(lines))]


# --- the line


class JobWatch:
    """Which failed jobs nobody has looked at yet. What had failed before the first look needs no line: it is
    among what needs a person."""

    def __init__(self) -> None:
        self._seen: set[str] | None = None

    def see(self, jobs: Collection[JobView]) -> None:
        """All of these have been looked at."""
        self._seen = {job.id for job in jobs if job.finished_at is not None}

    def news(self, jobs: Sequence[JobView]) -> JobView | None:
        """The last failed job that nobody has seen, and that no later one of `jobs` (newest first) made up for."""
        if self._seen is None:
            self.see(jobs)
        seen, done = self._seen or set(), set[tuple[str, str]]()
        for job in jobs:
            what = (job.kind, job_target(job))
            if job.state == JobState.FAILED and job.id not in seen and what not in done:
                return job
            if job.state == JobState.SUCCEEDED:
                done.add(what)
        return None


def jobs_line(
    said: Sequence[Piece],
    offer: str,
    jobs: Sequence[JobView],
    failed: JobView | None,
    key: str,
    now: datetime,
    width: int,
) -> list[Piece]:
    """What was said last, then the way back, what runs, and what failed, in `width` cells.

    What was said gives way first, down to `SAID_LEAST_CELLS`. `key` shows all jobs.
    """
    told = clean("".join(text for text, _ in said))
    if any(told == f"▶ {_verb(job)} {job_target(job)} …" for job in jobs if job.finished_at is None):
        told = ""  # the job itself says more: how far it is, and with what
    tail: list[Piece] = [(f"  {offer}", "accent")] if offer else []
    if failed is not None and not (_verb(failed) in told and job_target(failed) in told):
        about = f"{_verb(failed)} {job_target(failed)}".strip()
        tail.append((f"  × {about} failed: {key} says why" if key else f"  × {about} failed", "bad"))
    room = width - 1 - sum(cell_len(text) for text, _ in tail)
    running = _running(jobs, key, now, room - cell_len(told))
    room -= sum(cell_len(text) for text, _ in running)
    style = said[0][1] if said else ""
    return [(" ", ""), (truncate(told, max(room, min(SAID_LEAST_CELLS, width))), style), *tail, *running]


def _verb(job: JobView) -> str:
    return SHORT_KINDS.get(job.kind, job.kind)


def _running(jobs: Sequence[JobView], key: str, now: datetime, cells: int) -> list[Piece]:
    """The first job that runs in full and how many more there are; only how many where `cells` are too few."""
    running = [job for job in jobs if job.finished_at is None]
    if not running:
        return []
    text, style = job_line(running[0], now)
    more = f" (+{len(running) - 1} more, {key})" if len(running) > 1 else ""
    whole = f"  {text}{more}"
    return [(whole if cell_len(whole) <= cells else f"  ▶ {len(running)} running", style)]
