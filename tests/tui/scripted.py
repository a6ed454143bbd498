"""The scripted hub for tests of the screen, and how tests look at a screen and press its keys.

`ScriptedHub(*agents)` has those agents and nothing else; `tests.tui.fleet_script.hub()` has a fleet as one meets it.
`shown(hub)` is a running screen on it; `until`, `sees`, `wait_shown` wait for what it shows.
"""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import AsyncIterator, Callable, Iterable
from datetime import datetime
from typing import Any, Final

import msgspec
from textual.pilot import Pilot

from clawtui.tui.app import ClawtuiApp
from clawtui.tui.store import FleetStore
from hub.contract import (
    AgentList,
    AgentQuery,
    AgentView,
    CreateAgent,
    Event,
    JobView,
    Lifecycle,
    LogEntry,
    LogQuery,
    OutputChunk,
    OutputQuery,
    TaskList,
    TaskQuery,
    TaskView,
)
from hub.core.model import AgentStatus, Connection, Desired, Observed, TaskState
from hub.errors import NotFound, Unavailable
from tests.hub.api.scripted import TASK, WHEN, ScriptedControl, Stream
from tests.tui.sync_script import sync_answers

WAIT_SECONDS: Final = 20.0
"""How long a condition may take to come true; a failure waits so long, a success does not."""
DONE: Final = JobView(id="j-1", kind="act", state="succeeded", started_at=WHEN, finished_at=WHEN)
ADDRESS: Final = "hub.example:8080"


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


def stopped(agent: AgentView) -> AgentView:
    return msgspec.structs.replace(agent, status=AgentStatus.STOPPED)


class ScriptedHub(ScriptedControl):
    """Agents, tasks, logs and output that tests change while the screen looks; may go away and come back.

    `answers[method]` is what a method answers: a value, an exception that is raised, or a function of what it was
    given. `calls` are all calls, `called(method)` those of one method.
    """

    def __init__(self, *agents: AgentView, tasks: Iterable[TaskView] = ()) -> None:
        super().__init__()
        self.agents_by_id = {agent.id: agent for agent in agents}
        self.board = list(tasks)
        """All tasks, newest first."""
        self.logs: dict[str, list[LogEntry]] = {}
        self.log_of: Callable[[str], list[LogEntry]] = lambda _: [LogEntry(text="hello", source="runtime")]
        """The log of an agent that has none in `logs`."""
        self.output = "hi\n"
        self.now = datetime.fromisoformat(WHEN)
        """The screen's clock, which stands still: all ages are those at this time."""
        self.away: Exception | None = None
        self._listeners: list[Stream] = []
        self._numbers = itertools.count(1)
        self.answers |= {
            **sync_answers(),
            "agents": self._agents,
            "agent": self._agent,
            "tasks": self._tasks,
            "get_task": self._task,
            "task_output": self._output,
            "agent_logs": self._logs,
            "create_agent": self._create,
            "events": self._listen,
            "act": DONE,
            "destroy": DONE,
            "job": DONE,
        }

    # --- what tests do with it

    def change(self, *agents: AgentView) -> None:
        """New agents, or others in place of known ones, and a word about each."""
        for agent in agents:
            self.agents_by_id[agent.id] = agent
            self.tell("agent", agent.id)

    def remove(self, name: str) -> None:
        del self.agents_by_id[name]
        self.tell("agent", name)

    def tell(self, kind: str, id: str = "", agent: str = "") -> None:
        """Give one change to whoever listens; kind `gap`: everything may have changed. `agent`: of a task."""
        event = Event(seq=next(self._numbers), run="r", kind=kind, id=id, agent=agent)
        for stream in self._listeners:
            stream.give(event)

    def lose(self, error: Exception | None = None) -> None:
        """Answer nothing any more, until `come_back`."""
        self.away = error or Unavailable("no hub answers", hint="start it")
        for stream in self._listeners:
            stream.fail(self.away)
        self._listeners.clear()

    def come_back(self) -> None:
        self.away = None

    def called(self, method: str) -> list[tuple[Any, ...]]:
        return [given for name, given in self.calls if name == method]

    # --- what it answers

    def _note(self, method: str, *given: Any) -> Any:
        self.calls.append((method, given))
        if self.away is not None:
            raise self.away
        answer = self.answers[method]
        if callable(answer):
            answer = answer(*given)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _agents(self, query: AgentQuery) -> AgentList:
        """Pages of `query.limit` by name, as the hub's."""
        rest = sorted(name for name in self.agents_by_id if query.cursor is None or name > query.cursor)
        page = rest[: query.limit]
        more = page[-1] if len(rest) > len(page) else None
        return AgentList(agents=[self.agents_by_id[name] for name in page], next=more)

    def _agent(self, agent_id: str) -> AgentView:
        if agent_id not in self.agents_by_id:
            raise NotFound(f"there is no agent {agent_id}")
        return self.agents_by_id[agent_id]

    def _create(self, request: CreateAgent) -> JobView:
        self.change(an_agent(request.name, driver=request.driver))
        return DONE

    def _tasks(self, query: TaskQuery) -> TaskList:
        found = [task for task in self.board if query.agent in (None, task.agent_id)]
        return TaskList(tasks=found[: query.limit])

    def _task(self, task_id: str, _: float = 0.0) -> TaskView:
        """A task that is not on the board runs."""
        found = next((task for task in self.board if task.id == task_id), None)
        return found or msgspec.structs.replace(TASK, id=task_id)

    def _output(self, task_id: str, query: OutputQuery) -> Stream:
        end = len(self.output) if query.before is None else query.before
        start = query.offset if query.tail is None else max(0, end - query.tail)
        chunks = [OutputChunk(offset=start, data=self.output[start:end])] if start < end else []
        ended = self._task(task_id).terminal
        if ended and (query.tail is None or query.follow):
            chunks.append(OutputChunk(offset=max(start, len(self.output)), end=True))
        return Stream(chunks, ends=ended or not query.follow)

    def _logs(self, agent_id: str, query: LogQuery) -> Stream:
        """All of it is from before: nothing more comes to who follows from the end on."""
        lines = self.logs.get(agent_id) or self.log_of(agent_id)
        return Stream(lines if query.lines != 0 else [], ends=not query.follow)

    def _listen(self, since: int | None) -> Stream:
        stream = Stream()
        self._listeners.append(stream)
        return stream


class StandingStore(FleetStore):
    """The time is the hub's `now`."""

    control: ScriptedHub

    def now(self) -> datetime:
        return self.control.now


# --- a screen on it


def screen_on(hub: ScriptedHub, *, read_only: bool = False, **more: Any) -> ClawtuiApp:
    """A screen that is not running yet."""
    app = ClawtuiApp(address=ADDRESS, read_only=read_only, **more)
    app.store = StandingStore(hub)
    return app


@contextlib.asynccontextmanager
async def shown(
    hub: ScriptedHub, size: tuple[int, int] = (120, 40), **options: Any
) -> AsyncIterator[tuple[ClawtuiApp, Pilot[Any]]]:
    """A running screen, from its first live picture on."""
    app = screen_on(hub, **options)
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: app.store is not None and app.store.live)
        app.refresh_now()
        await pilot.pause()
        yield app, pilot


async def until(pilot: Pilot[Any], holds: Callable[[], object], what: str = "", seconds: float = WAIT_SECONDS) -> None:
    """Let the screen work until `holds`; fail with its picture after `seconds`."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, (
            f"not within {seconds} s: {what or holds}; the screen:\n{text_of(pilot.app)}"
        )
        await pilot.pause(0.02)


async def wait_shown(pilot: Pilot[Any], *texts: str, seconds: float = WAIT_SECONDS) -> None:
    """Until all `texts` stand on the screen."""
    await until(pilot, sees(pilot.app, *texts), f"{texts} on the screen", seconds)


def sees(app: Any, *texts: str) -> Callable[[], bool]:
    """A condition: all `texts` stand on the screen."""
    return lambda: all(text in shown for shown in (text_of(app),) for text in texts)


def text_of(app: Any) -> str:
    """What the terminal shows, as text."""
    strips = app.screen._compositor.render_strips()  # there is no public way to read it
    return "\n".join(strip.text.rstrip() for strip in strips[: app.size.height])


async def typed(pilot: Pilot[Any], text: str) -> None:
    """Type `text` key by key, which is not what a paste does."""
    await pilot.press(*text)
