"""What is looked at inside of the throw-away agent: each thing is a task, as any other work of an agent."""

from __future__ import annotations

import contextlib
import shlex
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from clawtui.migration_check import plan
from clawtui.migration_check.model import Outcome, Step
from clawtui.migration_check.rows import Rows
from clawtui.migration_check.waiting import run_task
from hub.contract import LogQuery, TaskView
from hub.control import Control
from hub.core.model import TaskState
from hub.errors import HubError
from profiles.image import instructions
from profiles.migrate import Probe, Sidecar

REACH_SECONDS: Final = 60
"""A database that starts for the first time makes its files first."""
NOT_COMPARED: Final = "not compared: no agent in the VM was named (--against)"


class AgentChecks:
    """The rows of one agent.

    Args:
        against: an agent in the VM; empty = none.
    """

    def __init__(self, control: Control, agent: str, rows: Rows, against: str = "") -> None:
        self._control = control
        self._agent = agent
        self._rows = rows
        self._against = against

    async def reach(
        self, sidecars: Sequence[Sidecar], running: set[str], words_of: Callable[[str], Awaitable[str]]
    ) -> None:
        """Whether each side service that runs answers by its name. One that does not counts as not running."""
        for sidecar in sidecars:
            if sidecar.name not in running:
                continue
            knock = f"(exec 3<>/dev/tcp/{sidecar.name}/{sidecar.port}) 2>/dev/null"
            ended = await self._exec(Step.SIDECAR, f"{sidecar.name}:{sidecar.port}", _until(knock, REACH_SECONDS))
            if ended is None:
                continue
            good = ended.status == TaskState.SUCCEEDED
            detail = "answers by its name" if good else f"no answer: {await words_of(sidecar.name)}"
            self._rows.add(Step.SIDECAR, f"{sidecar.name}:{sidecar.port}", _outcome(good), detail)
            if not good:
                running.discard(sidecar.name)

    async def probe(self, probes: Sequence[Probe], running: set[str]) -> None:
        """Each package, setup task, file, variable and service."""
        compared = 0
        for probe in probes:
            step = plan.STEPS[probe.kind]
            if not probe.command:
                self._rows.add(step, probe.subject, Outcome.PASSED, "its work is part of the image", field=probe.field)
            elif probe.sidecar and probe.sidecar not in running:
                why = f"the side service {probe.sidecar} does not run here"
                self._rows.add(step, probe.subject, Outcome.NOT_RUN, why, field=probe.field)
            else:
                compared += await self._probe(probe, step)
        if not self._against:
            self._rows.add(Step.COMPARISON, "VM and container", Outcome.NOT_RUN, NOT_COMPARED)
        elif not compared:
            why = "no probe prints what could be compared"
            self._rows.add(Step.COMPARISON, f"agent {self._against}", Outcome.NOT_RUN, why)

    async def _probe(self, probe: Probe, step: Step) -> int:
        """Return how many comparisons that were."""
        began = time.monotonic()
        ended = await self._exec(step, probe.subject, probe.command)
        if ended is None:
            return 0
        good = ended.status == TaskState.SUCCEEDED
        words = plan.first_words(ended.stdout) if good else _why(ended)
        self._rows.add(
            step, probe.subject, _outcome(good), words, field=probe.field, seconds=time.monotonic() - began
        )  # fmt: skip
        if not (self._against and probe.compare):
            return 0
        await self._compare(probe, ended)
        return 1

    async def _compare(self, probe: Probe, here: TaskView) -> None:
        try:
            there = await run_task(self._control, self._against, {"type": "exec", "command": probe.command})
        except HubError as exc:
            self._rows.add(Step.COMPARISON, probe.subject, Outcome.NOT_RUN, f"agent {self._against}: {exc.message}")
            return
        works, worked = (one.status == TaskState.SUCCEEDED for one in (here, there))
        if works and worked and plan.same_words(here.stdout, there.stdout):
            outcome, detail = Outcome.PASSED, "the same"
        else:
            outcome = Outcome.FAILED if worked and not works else Outcome.DIFFERS
            detail = f"container: {_said(here)}, VM: {_said(there)}"
        self._rows.add(Step.COMPARISON, probe.subject, outcome, detail, field=probe.field)

    async def sample(self) -> None:
        """A file is written by one task and read, changed and removed by another."""
        began = time.monotonic()
        try:
            written = {"type": "file:write", "filePath": plan.SAMPLE_FILE, "content": plan.SAMPLE_TEXT}
            first = await run_task(self._control, self._agent, written)
            script = {"type": "script", "interpreter": "python", "script": plan.SAMPLE_SCRIPT}
            second = await run_task(self._control, self._agent, script)
        except HubError as exc:
            self._rows.add(Step.SAMPLE, "file and script", Outcome.FAILED, exc.message)
            return
        good = first.status == second.status == TaskState.SUCCEEDED
        good = good and (second.stdout or "").strip() == plan.SAMPLE_ANSWER
        detail = plan.last_words(second.stdout) if good else f"{_why(first)} {_why(second)}".strip()
        seconds = time.monotonic() - began
        self._rows.add(Step.SAMPLE, "file and script", _outcome(good), detail, seconds=seconds)

    async def resources(self, wanted: plan.Wanted, notes: Sequence[str]) -> None:
        """Limits as the container sees them, and as the hub says that they are."""
        ended = await self._exec(Step.RESOURCES, "limits", plan.RESOURCES_COMMAND)
        if ended is None:
            return
        try:
            seen = plan.parse_resources(ended.stdout or "")
        except (ValueError, KeyError) as exc:
            self._rows.add(Step.RESOURCES, "limits", Outcome.FAILED, f"cannot be read: {exc}; {_why(ended)}")
            return
        for row in plan.resource_rows(wanted, seen, notes):
            self._rows.take(row)
        try:
            shown = plan.wanted_of({"machine": (await self._control.agent(self._agent)).machine})
        except HubError as exc:
            self._rows.add(Step.RESOURCES, "as the hub shows them", Outcome.FAILED, exc.message)
            return
        same = (shown.cpus, shown.memory_bytes) == (wanted.cpus, wanted.memory_bytes)
        detail = "as the profile says" if same else f"{shown} instead of {wanted}"
        self._rows.add(Step.RESOURCES, "as the hub shows them", _outcome(same), detail)

    async def companion(self, dockerfile: str | None) -> None:
        """Whether the program in the image's CMD runs, as far as its agent tells."""
        program = _program(dockerfile or "")
        if not program:
            return
        lines: list[str] = []
        try:
            stream = self._control.agent_logs(self._agent, LogQuery(source="runtime", lines=400))
            async with contextlib.aclosing(stream) as entries:  # pyright: ignore[reportArgumentType]
                lines = [entry.text async for entry in entries]
        except HubError as exc:
            self._rows.add(Step.SERVICE, program, Outcome.FAILED, exc.message)
            return
        good, detail = plan.companion_words(lines)
        self._rows.add(Step.SERVICE, program, _outcome(good), detail)

    async def _exec(self, step: Step, subject: str, command: str) -> TaskView | None:
        """Run shell text; a task that cannot be given is a row of its own, and None."""
        try:
            return await run_task(self._control, self._agent, {"type": "exec", "command": command})
        except HubError as exc:
            self._rows.add(step, subject, Outcome.FAILED, exc.message)
            return None


def _until(test: str, seconds: int) -> str:
    """Try for a while: what has just been started answers a moment later."""
    return f"exec bash -c {shlex.quote(f'for _ in $(seq {seconds * 2}); do {test} && exit 0; sleep 0.5; done; exit 1')}"


def _outcome(good: bool) -> Outcome:
    return Outcome.PASSED if good else Outcome.FAILED


def _said(task: TaskView) -> str:
    """What a task answered, in a few words."""
    return _why(task) or plan.first_words(task.stdout)


def _why(task: TaskView) -> str:
    if task.status == TaskState.SUCCEEDED:
        return ""
    said = plan.last_words(task.stderr, task.stdout)
    code = f"exit code {task.exit_code}" if task.exit_code is not None else str(task.status)
    return f"{code}: {said}" if said else (task.error.message if task.error and task.exit_code is None else code)


def _program(dockerfile: str) -> str:
    """Return the words of the last CMD, empty = none."""
    said = [text for _, text in instructions(dockerfile) if text.split(None, 1)[0].upper() == "CMD"]
    return said[-1][:80] if said else ""
