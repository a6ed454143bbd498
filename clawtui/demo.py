"""`clawtui demo`: a hub, two agents on this machine, real tasks with live output, a result table, nothing left.

Everything goes through `Control`, as from any other front end.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import secrets
import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from clawtui.cli import exits
from clawtui.cli.output import Column, Mode, Output, printable
from clawtui.demo_steps import Step, lanes
from clawtui.errors import NoHub
from clawtui.follow import Piece, closed, follow_output
from clawtui.settings import Settings
from hub.contract import AgentQuery, CreateAgent, DispatchRequest, DispatchView, JobView, RolloutRequest, TaskView
from hub.control import Control
from hub.core.model import JobState, TaskState
from hub.errors import HubError

PINGS: Final = 100
"""No-op tasks per agent, for the way a task goes without the work."""
WAIT_SECONDS: Final = 120.0
"""Longest for one job or task of the demo; all of them take seconds."""
COLOURS: Final = ("cyan", "magenta")


class Outcome(msgspec.Struct, frozen=True, rename="camel"):
    """One row of the table. `misses` is empty when everything was as expected."""

    title: str
    agent: str
    status: str
    exit_code: int | None
    seconds: float
    says: str
    misses: str


COLUMNS: Final = (
    Column("TASK", lambda row: row.title),
    Column("AGENT", lambda row: row.agent),
    Column("STATUS", lambda row: row.status),
    Column("EXIT", lambda row: row.exit_code, right=True),
    Column("SECONDS", lambda row: f"{row.seconds:.3f}", right=True),
    Column("SAYS", lambda row: row.says),
    Column("AS EXPECTED", lambda row: f"no: {row.misses}" if row.misses else "yes"),
)


async def run_demo(settings: Settings, out: Output) -> int:
    """0 only when every task ended as expected and nothing is left.

    Raises:
        HubError: the hub did not start, or an agent could not be made or removed.
    """
    async with _hub(settings, out) as control:
        demo = Demo(control, out, settings.hub_return_seconds)
        async with demo.agents():
            await demo.work()
    rows = demo.outcomes
    out.listing({"tasks": rows}, COLUMNS, rows)
    wrong = sum(bool(row.misses) for row in rows)
    out.say(f"{len(rows)} results, {wrong} not as expected; nothing is left")
    return exits.FAILED if wrong or not rows else exits.DONE


@contextlib.asynccontextmanager
async def _hub(settings: Settings, out: Output) -> AsyncIterator[Control]:
    """The hub that the settings name where it runs, else one inside this process.

    Without a state folder of their own the demo's things are in a temporary one.
    """
    if settings.hub or settings.home is not None:
        from clawtui.remote import open_remote

        async with open_remote(settings) as control:
            with contextlib.suppress(NoHub):
                health = await control.health()
                out.say(f"using the hub {health.hub_id}, which is running")
                yield control
                return
    folder = None if settings.home is not None else Path(tempfile.mkdtemp(prefix="clawtui-demo-"))
    own = settings if folder is None else replace(settings, home=folder)
    try:
        async with _embedded(own, out) as control:
            yield control
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.asynccontextmanager
async def _embedded(settings: Settings, out: Output) -> AsyncIterator[Control]:
    from clawtui.logs import hub_log
    from clawtui.root import LOCAL, embedded

    with hub_log("warning", settings.log_file or settings.state_folder / "logs" / "hub.log"):
        async with embedded(settings) as hub:
            control = hub.control(LOCAL)
            health = await control.health()
            out.say(f"hub {health.hub_id} is ready: {', '.join(health.addresses.values())}")
            out.say(f"look at it from another terminal: clawtui --home {settings.state_folder} list")
            yield control


class Demo:
    """Two agents and their tasks on one hub."""

    def __init__(self, control: Control, out: Output, patience_seconds: float) -> None:
        self._control = control
        self._out = out
        self._patience_seconds = patience_seconds
        # A running hub may have agents and types of any name.
        mark = secrets.token_hex(2)
        self.kind = f"demo-{mark}"
        self.names = (f"demo-{mark}-1", f"demo-{mark}-2")
        self.outcomes: list[Outcome] = []
        self._console = out.console() if out.mode is Mode.TABLE else None

    @contextlib.asynccontextmanager
    async def agents(self) -> AsyncIterator[None]:
        """Both agents; removed at the end, whatever happened."""
        try:
            jobs = [
                await self._control.create_agent(CreateAgent(name=name, driver="process", type=self.kind))
                for name in self.names
            ]
            for job in jobs:
                await self._finished(job)
                self._out.say(f"agent {job.agent_id} is there")
            yield
        finally:
            await self._destroy()

    async def work(self) -> None:
        async with asyncio.TaskGroup() as group:
            for name, steps in zip(self.names, lanes(git=shutil.which("git") is not None), strict=True):
                group.create_task(self._lane(name, steps))
        await self._rollout()
        await self._pings()

    async def _lane(self, agent: str, steps: list[Step]) -> None:
        for step in steps:
            started = time.monotonic()
            task, output = await self._carry_out(agent, step)
            self._record(step.title, agent, task, started, step.misses(task, output), output)

    async def _carry_out(self, agent: str, step: Step) -> tuple[TaskView, str]:
        submitted = await self._control.submit(agent, step.spec)
        lines = Lines(self, agent, step.title)
        cancel = step.cancel
        output = follow_output(
            self._control, submitted.task_id, patience_seconds=self._patience_seconds, say=self._out.say
        )
        async with closed(output) as pieces:
            async for piece in pieces:
                lines.take(piece)
                if cancel:
                    cancel = False
                    await self._control.cancel_task(submitted.task_id)
        lines.close()
        return await self._control.get_task(submitted.task_id, WAIT_SECONDS), lines.text

    async def _rollout(self) -> None:
        """The same task to both by a selector: one first as the canary, then the other."""
        started = time.monotonic()
        request = DispatchRequest(
            task={"type": "exec", "command": "echo rolled out"},
            selector=f"type={self.kind}",
            rollout=RolloutRequest(canary=1, concurrency=1, stop_on_failures=1),
        )
        dispatch: DispatchView = await self._control.dispatch(request)
        order = [member.task_id for member in dispatch.tasks]
        self._out.say(f"rollout {dispatch.dispatch_id}: {len(order)} agents, one of them first")
        ended = [await self._control.get_task(task_id, WAIT_SECONDS) for task_id in order]
        in_order = all(_one_after_the_other(*pair) for pair in itertools.pairwise(ended))
        for task in ended:
            good = task.status is TaskState.SUCCEEDED and in_order and len(ended) == len(self.names)
            misses = "" if good else f"{task.status.value}, canary first: {in_order}"
            self._record("rollout", task.agent_id, task, started, misses, task.stdout or "")

    async def _pings(self) -> None:
        started = time.monotonic()
        ended: list[TaskView] = []

        async def ping(agent: str) -> None:
            submitted = await self._control.submit(agent, {"type": "ping"})
            ended.append(await self._control.get_task(submitted.task_id, WAIT_SECONDS))

        async with asyncio.TaskGroup() as group:
            for agent in self.names:
                for _ in range(PINGS):
                    group.create_task(ping(agent))
        seconds = time.monotonic() - started
        good = sum(task.status is TaskState.SUCCEEDED for task in ended)
        says = f"{len(ended) / seconds:.0f} tasks per second, each stored before and after"
        misses = "" if good == len(ended) else f"{len(ended) - good} did not succeed"
        state = TaskState.SUCCEEDED if not misses else TaskState.FAILED
        self.outcomes.append(Outcome(f"ping x {len(ended)}", "both", state.value, None, seconds, says, misses))

    async def _destroy(self) -> None:
        present = {agent.id for agent in (await self._control.agents(AgentQuery(type=self.kind))).agents}
        jobs = [await self._control.destroy(name) for name in self.names if name in present]
        for job in jobs:
            await self._finished(job)
        left = (await self._control.agents(AgentQuery(type=self.kind))).agents
        if left:
            raise HubError(f"agents are left: {', '.join(agent.id for agent in left)}", code="left_behind")

    async def _finished(self, job: JobView) -> None:
        ended = await self._control.job(job.id, WAIT_SECONDS)
        if ended.state != JobState.SUCCEEDED:
            why = ended.error.message if ended.error else ended.message
            raise HubError(f"{ended.kind} {ended.agent_id}: {why or ended.state}", code="job_failed")

    def _record(self, title: str, agent: str, task: TaskView, started: float, misses: str, output: str) -> None:
        says = next((line for line in reversed(output.splitlines()) if line.strip()), "")
        if isinstance(task.result, dict) and task.result:
            says = ", ".join(f"{name} {_short(value)}" for name, value in task.result.items())
        seconds = time.monotonic() - started
        self.outcomes.append(Outcome(title, agent, task.status.value, task.exit_code, seconds, says[:60], misses))

    def show(self, agent: str, title: str, text: str, *, error: bool) -> None:
        """One line of live output, as it comes."""
        line = printable(text)
        if self._console is None:
            self._out.say(f"{agent}  {title:<16} {line}")
            return
        from rich.text import Text

        colour = COLOURS[self.names.index(agent)]
        parts = ((f"{agent}  {title:<16} ", colour), (line, "red" if error else ""))
        self._console.print(Text.assemble(*parts), soft_wrap=True)


def _short(value: object) -> str:
    """A value of a result in few letters: of a path its name, of a number no more than it needs."""
    if isinstance(value, float):
        return f"{value:g}"
    return str(value).rsplit("/", 1)[-1]


def _one_after_the_other(before: TaskView, after: TaskView) -> bool:
    if before.finished_at is None or after.started_at is None:
        return False
    return datetime.fromisoformat(before.finished_at) <= datetime.fromisoformat(after.started_at)


class Lines:
    """Makes lines of output that comes in pieces, one line buffer per stream."""

    def __init__(self, demo: Demo, agent: str, title: str) -> None:
        self._demo = demo
        self._agent = agent
        self._title = title
        self._open: dict[str, bytes] = {}
        self.text = ""

    def take(self, piece: Piece) -> None:
        self.text += piece.data.decode(errors="replace")
        *whole, self._open[piece.stream] = (self._open.get(piece.stream, b"") + piece.data).split(b"\n")
        for line in whole:
            self._show(piece.stream, line)

    def close(self) -> None:
        for stream, line in self._open.items():
            if line:
                self._show(stream, line)

    def _show(self, stream: str, line: bytes) -> None:
        text = line.decode(errors="replace")
        self._demo.show(self._agent, self._title, text, error=stream != "stdout")
