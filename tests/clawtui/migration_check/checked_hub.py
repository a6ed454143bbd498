"""A hub that keeps what a check makes, fails where it is told to, and answers tasks from a table."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

from msgspec.structs import replace

from clawtui.migration_check.model import CheckReport, CheckRow
from clawtui.migration_check.plan import RESOURCES_COMMAND, SAMPLE_ANSWER
from hub.contract import (
    AgentView,
    BuildImage,
    CreateAgent,
    ImageList,
    JobList,
    JobStepView,
    JobView,
    LogEntry,
    LogQuery,
    NetworkView,
    PageQuery,
    ProfileText,
    ProfileView,
    Submitted,
    TaskView,
)
from hub.core.model import AgentStatus, TaskState
from hub.errors import HubError, NotFound
from tests.clawtui.conftest import Hub
from tests.hub.api.scripted import AGENT, IMAGE, PROFILE, WHEN

LIMITS = "cpu_max=100000 100000\nquota=\nperiod=\nmemory=1073741824\nhost_cpus=4\nhost_memory=8589934592\n"
MACHINE = {"machine": {"resources": {"cpus": 1.0, "memory_bytes": 1 << 30, "disk_bytes": None}}}
DONE = JobView(id="j-1", kind="x", state="succeeded", started_at=WHEN)

Answer = tuple[int, str]
"""Exit code and stdout of a command."""


class CheckedHub(Hub):
    """`failing`: what a method raises, `failing_once` at its first call only; `tasks`: how commands end, all others
    with 0; `stuck`: these never return."""

    def __init__(
        self,
        failing: Mapping[str, HubError] = {},
        tasks: Mapping[str, Answer] = {},
        stuck: tuple[str, ...] = (),
        failing_once: Mapping[str, HubError] = {},
        log: tuple[str, ...] = (),
        status: AgentStatus = AgentStatus.ONLINE,
    ) -> None:
        super().__init__()
        self._failing, self._tasks, self._stuck, self._log, self._status = failing, dict(tasks), stuck, log, status
        self._failing_once = dict(failing_once)
        self.things: set[str] = set()
        self.saved: ProfileText | None = None
        self.reached = asyncio.Event()
        self.gone: list[str] = []

    async def _do(self, method: str, adds: str = "", removes: str = "") -> None:
        if adds:
            self.things.add(adds)
        if method in self._stuck:
            self.reached.set()
            await asyncio.Event().wait()
        if method in self._failing_once:
            raise self._failing_once.pop(method)
        if method in self._failing:
            raise self._failing[method]
        if removes:
            if removes not in self.things:
                raise NotFound(f"there is no {removes}")
            self.things.discard(removes)
            self.gone.append(removes)

    def unstick(self) -> None:
        """From now on every call returns."""
        self._stuck = ()

    async def save_profile(self, name: str, request: ProfileText) -> ProfileView:
        self.saved = request
        await self._do("save_profile", adds=f"profile {name}")
        return PROFILE

    async def profile(self, name: str) -> ProfileView:
        return replace(PROFILE, effective=MACHINE)

    async def delete_profile(self, name: str) -> None:
        await self._do("delete_profile", removes=f"profile {name}")

    async def build_profile(self, name: str, request: BuildImage) -> JobView:
        await self._do("build_profile", adds=f"image {name}")
        return replace(DONE, result={"image": "openclaw-agent-builder:abc"})

    async def images(self) -> ImageList:
        return ImageList(images=[IMAGE])

    async def remove_image(self, name: str) -> None:
        await self._do("remove_image", removes=f"image {name}")

    async def jobs(self, query: PageQuery) -> JobList:
        return JobList(jobs=[])

    async def create_agent(self, request: CreateAgent) -> JobView:
        await self._do("create_agent", adds=f"agent {request.name}")
        return replace(DONE, steps=[JobStepView(at=WHEN, message="made")])

    async def agent(self, agent_id: str) -> AgentView:
        return replace(AGENT, id=agent_id, status=self._status, machine=MACHINE["machine"], reason="it fell over")

    async def destroy(self, agent_id: str) -> JobView:
        await self._do("destroy", removes=f"agent {agent_id}")
        return DONE

    async def connect_network(self, name: str, agent_id: str) -> NetworkView:
        await self._do("connect_network")
        return await super().connect_network(name, agent_id)

    async def submit(self, agent_id: str, task: dict[str, Any], idempotency_key: str | None = None) -> Submitted:
        await self._do("submit")
        self.calls.append(("submit", (agent_id, task)))
        return Submitted(task_id=f"t-{len(self.calls) - 1}", status="sent")

    async def get_task(self, task_id: str, wait_seconds: float = 0.0) -> TaskView:
        agent, task = self.calls[int(task_id[2:])][1]
        code, stdout = self._answer(agent, task)
        return TaskView(
            id=task_id, agent_id=agent, type=task["type"], attempt=1, created_at=WHEN, spec=task, exit_code=code,
            status=TaskState.SUCCEEDED if code == 0 else TaskState.FAILED, stdout=stdout, terminal=True,
            stderr="" if code == 0 else "no such thing",
        )  # fmt: skip

    def _answer(self, agent: str, task: Mapping[str, Any]) -> Answer:
        command = task.get("command", task["type"])
        if command == RESOURCES_COMMAND:
            return self._tasks.get("resources", (0, LIMITS))
        if command == "script":
            return self._tasks.get("sample", (0, f"{SAMPLE_ANSWER}\n"))
        fits = (answer for words, answer in self._tasks.items() if words in (f"{agent}: {command}", command))
        inside = (answer for words, answer in self._tasks.items() if words in command)
        return next(fits, next(inside, (0, "")))

    def agent_logs(self, agent_id: str, query: LogQuery) -> AsyncIterator[LogEntry]:
        async def lines() -> AsyncIterator[LogEntry]:
            for text in self._log:
                yield LogEntry(text=text, source="runtime")

        return lines()


class Heard:
    """Keeps what a check tells."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.said: list[str] = []
        self.rows: list[CheckRow] = []
        self.reports: list[CheckReport] = []

    def begin(self, profile: str) -> None:
        self.begun.append(profile)

    def say(self, text: str) -> None:
        self.said.append(text)

    def row(self, row: CheckRow) -> None:
        self.rows.append(row)

    def end(self, report: CheckReport) -> None:
        self.reports.append(report)
