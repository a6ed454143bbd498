"""A hub that shows a scripted fleet, and the screen on it with a clock that stands still."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterable
from datetime import datetime
from typing import Any

import msgspec
from textual.pilot import Pilot

from clawtui.tui.app import ClawtuiApp
from clawtui.tui.store import FleetStore
from hub.contract import (
    AgentList,
    AgentQuery,
    AgentView,
    AttentionList,
    AuditList,
    JobList,
    JournalList,
    LogEntry,
    LogQuery,
    OutputChunk,
    OutputQuery,
    TaskList,
    TaskQuery,
    TaskView,
    TokenList,
)
from hub.control import Control
from hub.errors import NotFound
from tests.hub.api.scripted import ScriptedControl, Stream
from tests.tui import fleet_script as script


class ScriptedHub(ScriptedControl):
    """Answers as a hub with the fleet would. An answer may be a function, or an exception that is raised.

    `feed` gives changes to whoever listens; `break_off` makes the hub go away, `come_back` return.
    """

    def __init__(self, agents: Iterable[AgentView] | None = None) -> None:
        super().__init__()
        known = list(agents) if agents is not None else script.fleet()
        self.agents_by_id = {agent.id: agent for agent in known}
        self.feed = Stream()
        self.logs: dict[str, list[LogEntry]] = {}
        self.output = script.OUTPUT
        self.away: Exception | None = None
        self.answers |= {
            "health": script.hub_health(known),
            "agents": self._agents,
            "agent": self._agent,
            "tasks": self._tasks,
            "get_task": self._task,
            "task_output": self._output,
            "agent_logs": self._logs,
            "dispatch_status": script.rollout(),
            "dispatch": script.rollout(),
            "audit": AuditList(audit=script.audit()),
            "journal": JournalList(journal=script.journal()),
            "attention": AttentionList(attention=script.attention()),
            "tokens": TokenList(tokens=script.tokens()),
            "jobs": JobList(jobs=script.jobs()),
            "agent_stats": lambda *_: Stream(),
            "events": lambda *_: self.feed,
        }

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

    def break_off(self, error: Exception) -> None:
        self.away = error
        self.feed.fail(error)

    def come_back(self) -> None:
        self.away, self.feed = None, Stream()

    def _agents(self, query: AgentQuery) -> AgentList:
        """Pages of `query.limit` by name, as the hub's."""
        names = sorted(self.agents_by_id)
        rest = [name for name in names if query.cursor is None or name > query.cursor]
        page = rest[: query.limit]
        more = page[-1] if len(rest) > len(page) else None
        return AgentList(agents=[self.agents_by_id[name] for name in page], next=more)

    def _agent(self, agent_id: str) -> AgentView:
        if agent_id not in self.agents_by_id:
            raise NotFound(f"there is no agent {agent_id}")
        return self.agents_by_id[agent_id]

    def _tasks(self, query: TaskQuery) -> TaskList:
        found = [task for task in script.tasks() if query.agent in (None, task.agent_id)]
        return TaskList(tasks=found[: query.limit])

    def _task(self, task_id: str, _: float) -> TaskView:
        found = next((task for task in script.tasks() if task.id == task_id), None)
        return found or msgspec.structs.replace(script.tasks()[0], id=task_id)

    def _output(self, _: str, query: OutputQuery) -> Stream:
        return Stream([OutputChunk(offset=query.offset, data=self.output[query.offset :])])

    def _logs(self, agent_id: str, query: LogQuery) -> Stream:
        lines = self.logs.get(agent_id)
        return Stream(script.log(agent_id) if lines is None else lines)

    def agent_stats(self, agent_id: str, query: Any) -> AsyncIterator[Any]:
        return aiter(self._note("agent_stats", agent_id, query))


class StandingStore(FleetStore):
    """All ages are those at `NOW`."""

    def now(self) -> datetime:
        return script.NOW


def screen_on(control: Control, *, read_only: bool = False, **more: Any) -> ClawtuiApp:
    """The screen on `control`, with the clock of the script."""
    app = ClawtuiApp(address="hub.example:8080", read_only=read_only, **more)
    app.store = StandingStore(control)
    return app


async def wait_until(pilot: Pilot[Any], condition: Callable[[], Any], what: str = "", seconds: float = 20.0) -> None:
    """Let the screen work until `condition` holds; fail after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what or condition}\n{picture(pilot.app)}"
        await pilot.pause(0.02)


def picture(app: Any) -> str:
    """What stands on the screen, as text."""
    strips = app.screen._compositor.render_strips()  # what the terminal gets; there is no public way to read it
    return "\n".join(strip.text.rstrip() for strip in strips)


async def wait_shown(pilot: Pilot[Any], *texts: str, seconds: float = 20.0) -> None:
    """Until all `texts` stand on the screen."""

    def missing() -> list[str]:
        shown = picture(pilot.app)
        return [text for text in texts if text not in shown]

    await wait_until(pilot, lambda: not missing(), f"{texts} on the screen", seconds)
