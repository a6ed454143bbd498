"""The promises that every fault must leave standing, and how they are checked.

I1 each acknowledged submission ends in exactly one terminal state; I2 at most one side effect per
attempt (each task appends its attempt to a file); I3 no more attempts than the task allows; I4 no
unmarked gap or duplicate in the output; I5 no acknowledged result is lost; I6 after quiescence
nothing is left over; I7 the hub's loop stays responsive and its memory bounded.
"""

from __future__ import annotations

import base64
import collections
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from hub.core.model import TERMINAL, TRANSITIONS, TaskState
from hub.registry.store import Registry
from tests.end_to_end.harness import eventually

LOOP_LAG_SECONDS = 0.25
"""I7, 99th percentile."""


@dataclass
class Run:
    """What is known of one submission: `seen` holds the terminal states that anybody was ever shown."""

    task_id: str
    max_attempts: int = 1
    seen: list[str] = field(default_factory=list)
    result: Any = None


class History:
    """Acknowledged submissions and what became of them."""

    def __init__(self) -> None:
        self.runs: dict[str, Run] = {}

    def submitted(self, task_id: str, max_attempts: int = 1) -> str:
        assert task_id not in self.runs, f"{task_id} was acknowledged twice"
        self.runs[task_id] = Run(task_id, max_attempts)
        return task_id

    def shown(self, task: Mapping[str, Any]) -> None:
        """Note what a reader of the API saw; a terminal state that was shown may not go away (I1, I5)."""
        run = self.runs[task["id"]]
        assert 1 <= task["attempt"] <= run.max_attempts, f"I3: {task}"
        status = TaskState(task["status"])
        if run.seen and status.value != run.seen[-1]:
            before = TaskState(run.seen[-1])
            late = before is TaskState.LOST and status in TRANSITIONS[TaskState.LOST]
            assert late, f"I1: {run.task_id} went from {before} to {status}"
        if status in TERMINAL and (not run.seen or run.seen[-1] != status.value):
            run.seen.append(status.value)
            run.result = task.get("stdout")
        if run.seen and run.seen[-1] == status.value:
            assert task.get("stdout") == run.result, f"I5: the result of {run.task_id} changed: {task}"

    def check_ended(self) -> None:
        """I1, for all."""
        open_runs = [run.task_id for run in self.runs.values() if not run.seen]
        assert not open_runs, f"I1: these have not ended: {open_runs}"


def check_side_effects(files: Iterable[Path], *, most: int = 1) -> collections.Counter[str]:
    """I2: every line (an attempt's own) stands at most `most` times; returns the lines."""
    lines: collections.Counter[str] = collections.Counter()
    for file in files:
        if file.exists():
            lines.update(file.read_text().split())
    twice = {line: count for line, count in lines.items() if count > most}
    assert not twice, f"I2: ran more than once: {twice}"
    return lines


def check_output(pieces: Iterable[Mapping[str, Any]], wanted: bytes | None = None) -> bytes:
    """I4: pieces join without gap or overlap, except where a cut is marked; returns the bytes kept."""
    at, kept, marked = 0, b"", 0
    for piece in pieces:
        raw = piece.get("data", "")
        data = base64.b64decode(raw) if piece.get("encoding") == "base64" else raw.encode()
        if piece.get("end"):
            continue
        skipped = piece.get("skipped", 0)
        assert piece["offset"] - skipped == at, f"I4: {piece['offset']} - {skipped} follows {at}"
        at = piece["offset"] + len(data)
        kept += data
        marked += skipped
    if wanted is not None:
        assert marked == 0, f"I4: {marked} bytes were cut"
        assert kept == wanted, f"I4: {len(kept)} bytes came, {len(wanted)} were written"
    return kept


async def check_registry(path: Path) -> None:
    """I1 and I3 on the database itself, with no hub running."""
    registry = await Registry.open(path)
    try:
        for task in (await registry.load()).open_tasks:
            assert task.attempt <= task.max_attempts, f"I3: {task}"
            assert (task.state in TERMINAL) is (task.finished_at is not None), f"I1: {task}"
    finally:
        await registry.close()


async def check_nobody_left(folder: Path, seconds: float = 15.0) -> None:
    """I6: no process has anything to do with `folder` any more."""

    async def nobody() -> bool:
        return not processes_of(folder)

    await eventually(nobody, seconds=seconds, what=f"no process of {folder} is left: {processes_of(folder)}")


def processes_of(folder: Path) -> list[psutil.Process]:
    """Processes that run in `folder` or were started with it in their environment; never this one."""
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        try:
            if process.pid == psutil.Process().pid or process.status() == psutil.STATUS_ZOMBIE:
                continue
            belongs = str(folder) in process.cwd() or any(
                str(folder) in value for name, value in process.environ().items() if name.startswith(("AGENT_", "CLAW"))
            )
        except (psutil.Error, OSError):
            continue
        if belongs:
            found.append(process)
    return found


@dataclass
class Resources:
    """I6 and I7 for a hub in a process of its own."""

    process: psutil.Process
    descriptors: int = 0
    threads: int = 0
    resident_bytes: int = 0

    @classmethod
    def of(cls, pid: int) -> Resources:
        process = psutil.Process(pid)
        with process.oneshot():
            return cls(process, process.num_fds(), process.num_threads(), process.memory_info().rss)

    def check_not_grown(self, *, descriptors: int = 8, threads: int = 8, resident_bytes: int = 24 * 1024**2) -> None:
        """Compare with now; the allowances are for caches and pools that are filled once."""
        now = Resources.of(self.process.pid)
        assert now.descriptors <= self.descriptors + descriptors, f"I6: {self} -> {now}"
        assert now.threads <= self.threads + threads, f"I6: {self} -> {now}"
        assert now.resident_bytes <= self.resident_bytes + resident_bytes, f"I7: {self} -> {now}"


class Stopwatch:
    """Answers of a hub in seconds: I7 as its callers feel it."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self._started = 0.0

    def __enter__(self) -> None:
        self._started = time.monotonic()

    def __exit__(self, *error: object) -> None:
        self.seconds.append(time.monotonic() - self._started)
