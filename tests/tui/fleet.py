"""A scripted hub with a fleet that changes as tests tell it, and helpers to look at the screen."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import msgspec
from textual.pilot import Pilot

from clawtui.tui.app import ClawtuiApp
from hub.contract import (
    AgentAct,
    AgentList,
    AgentQuery,
    AgentView,
    CreateAgent,
    Event,
    JobView,
    Lifecycle,
    TaskList,
    TaskQuery,
    TaskView,
)
from hub.core.model import AgentStatus, Connection, Desired, Observed, TaskState
from hub.errors import NotFound, Unavailable
from tests.hub.api.scripted import HEALTH, WHEN, ScriptedControl, Stream

WAIT_SECONDS: Final = 5.0
DONE: Final = JobView(id="j-1", kind="act", state="succeeded", started_at=WHEN, finished_at=WHEN)


def an_agent(name: str, status: AgentStatus = AgentStatus.ONLINE, **fields: Any) -> AgentView:
    known: dict[str, Any] = {
        "uid": f"u-{name}",
        "lifecycle": Lifecycle(desired=Desired.RUNNING, observed=Observed.RUNNING),
        "connection": Connection.ONLINE,
        "driver": "process",
        "last_seen_at": WHEN,
    }
    return AgentView(id=name, status=status, **(known | fields))


def a_task(task_id: str, agent: str, status: TaskState = TaskState.SUCCEEDED, **fields: Any) -> TaskView:
    known: dict[str, Any] = {
        "type": "exec", "attempt": 1, "created_at": WHEN, "spec": {"type": "exec", "command": f"echo {task_id}"},
        "terminal": True,
    }  # fmt: skip
    return TaskView(id=task_id, agent_id=agent, status=status, **(known | fields))


class Fleet(ScriptedControl):
    """Agents and tasks that can change; a hub that can go away and come back."""

    def __init__(self, *agents: AgentView) -> None:
        super().__init__()
        self.fleet = {agent.id: agent for agent in agents}
        self.board: list[TaskView] = []
        self.away = False
        self.streams: list[Stream] = []
        self.answers |= {"act": DONE, "create_agent": DONE, "destroy": DONE, "job": DONE}

    def change(self, agent: AgentView) -> None:
        self.fleet[agent.id] = agent
        self.tell("agent", agent.id)

    def tell(self, kind: str, id: str) -> None:
        for stream in self.streams:
            stream.give(Event(seq=1, run="r", kind=kind, id=id))

    def lose(self) -> None:
        self.away = True
        for stream in self.streams:
            stream.fail(Unavailable("the hub went away"))
        self.streams.clear()

    def called(self, method: str) -> list[tuple[Any, ...]]:
        return [given for name, given in self.calls if name == method]

    def _there(self) -> None:
        if self.away:
            raise Unavailable("no hub answers", hint="start it")

    async def health(self) -> Any:
        self._there()
        return HEALTH

    async def agents(self, query: AgentQuery) -> AgentList:
        self._there()
        return AgentList(agents=list(self.fleet.values()))

    async def agent(self, agent_id: str) -> AgentView:
        self._there()
        if agent_id not in self.fleet:
            raise NotFound(f"there is no agent {agent_id}")
        return self.fleet[agent_id]

    async def tasks(self, query: TaskQuery) -> TaskList:
        self._there()
        return TaskList(tasks=[task for task in self.board if query.agent in (None, task.agent_id)])

    async def create_agent(self, request: CreateAgent) -> JobView:
        self._note("create_agent", request)
        self.change(an_agent(request.name, driver=request.driver))
        return DONE

    async def act(self, agent_id: str, act: AgentAct) -> JobView:
        return self._note("act", agent_id, act)

    def events(self, since: int | None = None) -> AsyncIterator[Event]:
        self._there()
        stream = Stream()
        self.streams.append(stream)
        return aiter(stream)


@contextlib.asynccontextmanager
async def shown(
    fleet: Fleet, size: tuple[int, int] = (120, 40), **options: Any
) -> AsyncIterator[tuple[ClawtuiApp, Pilot[Any]]]:
    """The screen on a scripted hub, up to its first live picture."""
    app = ClawtuiApp(address="test", **options)
    async with app.run_test(size=size) as pilot:
        app.connect(fleet)
        await until(pilot, lambda: app.store is not None and app.store.live)
        app.refresh_now()
        await pilot.pause()
        yield app, pilot


async def until(pilot: Pilot[Any], holds: Callable[[], object]) -> None:
    """Let the screen work until `holds`."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not holds():
        assert time.monotonic() < deadline, f"did not come to pass; the screen:\n{text_of(pilot.app)}"
        await pilot.pause(0.02)


async def typed(pilot: Pilot[Any], text: str) -> None:
    """Type `text` as one paste would not: key by key."""
    names = {" ": "space", "-": "minus", "=": "equals_sign", ":": "colon", "/": "slash", "!": "exclamation_mark"}
    await pilot.press(*(names.get(letter, letter) for letter in text))


def text_of(app: Any) -> str:
    """What the screen shows, as text."""
    height = app.size.height
    lines = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip).rstrip() for strip in lines[:height])


def sees(app: Any, *words: str) -> Callable[[], bool]:
    return lambda: all(word in text_of(app) for word in words)


def stopped(agent: AgentView) -> AgentView:
    return msgspec.structs.replace(agent, status=AgentStatus.STOPPED)
