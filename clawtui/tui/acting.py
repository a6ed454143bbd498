"""Acts on agents and tasks: who is meant, whether to ask first, doing it, and seeing what came of it."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Awaitable, Callable, Collection, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from clawtui.tui.actions import Where
from clawtui.tui.possible import Split, split
from clawtui.tui.saving import OFFER
from clawtui.tui.screens.pane import Work
from clawtui.tui.shell import run_shell
from clawtui.tui.widgets.command_line import CommandLine
from clawtui.tui.widgets.create_form import NOTHING, CreateDialog, create_words
from clawtui.tui.widgets.dialogs import ConfirmDialog
from clawtui.tui.widgets.forms import TaskDialog, TaskOrder
from clawtui.tui.widgets.losing import LossDialog
from hub.contract import (
    AgentAct,
    AgentView,
    CreateAgent,
    DispatchRequest,
    DispatchView,
    JobView,
    ProfileQuery,
    ProfileView,
    Submitted,
    TakeSnapshot,
)
from hub.control import Control
from hub.core.model import JobState
from hub.errors import HubError, Unavailable

if TYPE_CHECKING:
    from clawtui.tui.app import ClawtuiApp

WAIT_SECONDS: Final = 120.0
ASK_AGAIN_SECONDS: Final = 0.5
"""Between two questions to a hub that answers at once although the job runs."""
NOBODY: Final = "no agent is meant: put the cursor on one, or mark some"
FIRST_NAME: Final = "worker"
NAMED: Final = 6
"""So many names stand in a question; the rest is counted."""

Start = Callable[[str], Awaitable[JobView]]


class Acting:
    """Handlers of actions that change something."""

    def __init__(self, app: ClawtuiApp) -> None:
        self.app = app
        self._failed = NOTHING
        """The last agent that could not be made."""

    @property
    def control(self) -> Control:
        if self.app.store is None:
            raise Unavailable("the hub is not there yet")
        return self.app.store.control

    def meant(self, argument: str = "") -> tuple[str, ...]:
        """The named agents, else the marked ones, else the one under the cursor."""
        return tuple(argument.replace(",", " ").split()) or self.app.main.pane.subject().agents

    def work(self, work: Work) -> None:
        """Carry something out beside the handlers; failures are said."""
        self.app.run_worker(partial(self._told, work), group="acts", exit_on_error=False)

    async def _told(self, work: Work) -> None:
        try:
            await work()
        except HubError as error:
            self.app.problem(error)
        except Exception as error:  # noqa: BLE001 - shown instead of lost
            self.app.problem(HubError(f"a defect: {error!r}", code="defect"))

    def equivalent(self, *words: str) -> str:
        """The command that does the same."""
        return shlex.join(("clawtui", *words))

    # --- life of agents

    async def do_agent_start(self, agents: str) -> None:
        self._act(AgentAct.START, self.meant(agents))

    async def do_agent_stop(self, agents: str) -> None:
        self._ask(AgentAct.STOP, self.meant(agents), "Running tasks are interrupted; queued ones wait.")

    async def do_agent_restart(self, agents: str) -> None:
        self._ask(AgentAct.RESTART, self.meant(agents), "Running tasks are interrupted; queued ones go on afterwards.")

    async def do_agent_pause(self, agents: str) -> None:
        self._act(AgentAct.PAUSE, self.meant(agents))

    async def do_agent_resume(self, agents: str) -> None:
        self._act(AgentAct.RESUME, self.meant(agents))

    async def do_agent_release(self, agents: str) -> None:
        async def release(names: tuple[str, ...]) -> None:
            for name in names:
                await self.control.release(name)
                self.app.say(f"√ {name} is released — {self.equivalent('release', name)}", "ok")

        chosen = self.possible("release", self.meant(agents)).names
        self.work(lambda: release(chosen))

    async def do_agent_destroy(self, agents: str) -> None:
        names = self.possible("destroy", self.meant(agents)).names
        if not names:
            return
        lines = [_losses(self.app.store.agents.get(name), name) for name in names[:NAMED]] if self.app.store else []
        if len(names) > NAMED:
            lines.append(f"… and {len(names) - NAMED} more")
        lines.append("Workspaces, logs and queued tasks go with them; snapshots stay. This cannot be undone.")
        expected = names[0] if len(names) == 1 else f"destroy {len(names)}"
        title = f"Destroy {names[0]}?" if len(names) == 1 else f"Destroy {len(names)} agents?"

        saved, why = self._can_save(names)
        offer = OFFER if len(saved) == len(names) else f"{OFFER} of {_listed(saved)}"
        dialog = LossDialog(
            title, lines, expected, "Destroy", measure=partial(self.app.saving.loss, saved[:NAMED]) if saved else None,
            offer=offer if saved else "", why_none=why,
        )  # fmt: skip

        def answered(yes: bool | None) -> None:
            if yes:
                first = saved if dialog.save_first else ()
                self.work(lambda: self._destroy(names, first))

        self.app.push_screen(dialog, answered)

    def _can_save(self, names: tuple[str, ...]) -> Split:
        """Of which of `names` a snapshot can be taken, and why not of the others."""
        store = self.app.store
        if store is None or store.health is None:
            return Split(names)
        return split("save", names, store.agents, store.health.drivers)

    async def _destroy(self, names: tuple[str, ...], first: tuple[str, ...]) -> None:
        """With snapshots of `first` before: when one fails, nothing is destroyed."""
        if first:
            await self.app.saving.take(first, TakeSnapshot())
        await self._many("destroy", names, lambda name: self.control.destroy(name))

    def possible(self, act: str, names: tuple[str, ...]) -> Split:
        """Those of `names` that `act` can be done to; says why when it can be done to none of them."""
        store = self.app.store
        if not names:
            self.app.say(NOBODY, "warn")
        elif store is not None and store.live and store.health is not None:
            found = split(act, names, store.agents, store.health.drivers)
            if not found.names:
                self.app.say(f"nothing to {act}: {found.why}", "warn")
            return found
        return Split(names)

    def _ask(self, act: AgentAct, meant: tuple[str, ...], effect: str) -> None:
        names, why = self.possible(act.value, meant)
        if not names:
            return
        busy = sum(len(agent.running) for agent in self._known(names))
        lines = [_listed(names), f"Running there now: {busy}. {effect}", *([f"Left out: {why}."] if why else [])]

        def answered(yes: bool | None) -> None:
            if yes:
                self._act(act, names)

        title = f"{act.value.capitalize()} {names[0]}?" if len(names) == 1 else (
            f"{act.value.capitalize()} {len(names)} agents?")  # fmt: skip
        self.app.push_screen(ConfirmDialog(title, lines, act.value.capitalize()), answered)

    def _known(self, names: Sequence[str]) -> list[AgentView]:
        agents = self.app.store.agents if self.app.store is not None else {}
        return [agents[name] for name in names if name in agents]

    def _act(self, act: AgentAct, meant: tuple[str, ...]) -> None:
        names, why = self.possible(act.value, meant)
        if names:
            self.work(lambda: self._many(act.value, names, lambda name: self.control.act(name, act), why))

    async def _many(self, verb: str, names: tuple[str, ...], start: Start, left_out: str = "") -> None:
        """Start all, then see each to its end: success is said only after the hub observed it."""
        self.app.say(f"▶ {verb} {_listed(names)} …", "accent")
        jobs = [await start(name) for name in names]
        failed: list[str] = []
        for name, job in zip(names, jobs, strict=True):
            ended = await self.control.job(job.id, WAIT_SECONDS)
            if ended.state != JobState.SUCCEEDED:
                failed.append(f"{name}: {ended.error.message if ended.error else ended.state}")
        if failed:
            raise HubError(f"{verb} failed: {'; '.join(failed)}", code="act_failed")
        but = f"; left out: {left_out}" if left_out else ""
        self.app.say(f"√ {verb} {_listed(names)} — {self.equivalent(verb, names[0])}{but}", "ok")
        await self.app.undoing.after(f"agent.{verb}", names)

    # --- new agents

    async def do_agent_first(self, _: str) -> None:
        """One key on an empty registry."""
        agents = self.app.store.agents if self.app.store is not None else {}
        number = next(n for n in range(1, len(agents) + 2) if f"{FIRST_NAME}-{n}" not in agents)
        health = self.app.store.health if self.app.store is not None else None
        unusable = health is not None and any(one.name == "process" and not one.usable for one in health.drivers)
        request = CreateAgent(name=f"{FIRST_NAME}-{number}", driver="" if unusable else "process")
        self.work(lambda: self._create(request))

    async def do_agent_create(self, words: str) -> None:
        self.ask_create(words)

    def ask_create(self, name: str = "", *, profile: str = "") -> None:
        """The form of a new agent, with what is known already; without that, with what came to nothing last."""
        health = self.app.store.health if self.app.store is not None else None
        drivers = health.drivers if health is not None else []
        filled = replace(NOTHING, name=name, profile=profile) if name or profile else self._failed
        if not name and profile and self._failed.profile == profile:
            filled = self._failed

        async def profiles() -> list[ProfileView]:
            return (await self.control.profiles(ProfileQuery())).profiles

        async def send(request: CreateAgent) -> None:
            job = await self.control.create_agent(request)
            self.work(lambda: self._made(request, job))

        def taken() -> Collection[str]:
            return self.app.store.agents if self.app.store is not None else ()

        self.app.push_screen(CreateDialog(drivers, self.equivalent, filled, profiles, taken, send))

    async def _create(self, request: CreateAgent) -> None:
        await self._made(request, await self.control.create_agent(request))

    async def _made(self, request: CreateAgent, job: JobView) -> None:
        """See the agent to its first connection; what came to nothing can be mended in the form."""
        self.app.say(f"▶ create {request.name} …", "accent")
        # The first agent of a profile waits for its image.
        ended = await self.ended(job)
        if ended.state != JobState.SUCCEEDED:
            self._failed = request
            why, key = ended.error.message if ended.error else ended.state, self.app.keymap.first("agent.create")
            hint = f"{key} opens the form with what was typed" if key else ""
            raise HubError(f"create {request.name} failed: {why}", code="act_failed", hint=hint)
        self._failed = NOTHING
        self.app.say(f"√ {request.name} is there — {self.equivalent(*create_words(request))}", "ok")

    async def ended(self, job: JobView) -> JobView:
        """The job when it has ended, however long that takes."""
        while job.finished_at is None:
            job = await self.control.job(job.id, WAIT_SECONDS)
            if job.finished_at is None:
                await asyncio.sleep(ASK_AGAIN_SECONDS)
        return job

    # --- shell

    async def do_agent_shell(self, agent: str) -> None:
        names = self.possible("shell", self.meant(agent)).names
        if names:
            await run_shell(self.app, (*self.app.shell_command, "shell", names[0]))

    # --- tasks

    async def do_task_exec(self, command: str) -> None:
        if not command:
            if self.meant():
                self.app.main.query_one(CommandLine).ask(":", "exec ")
            else:
                self.app.say(NOBODY, "warn")
            return
        self._send({"type": "exec", "command": command}, self.meant())

    def _send(self, task: dict[str, Any], names: tuple[str, ...]) -> None:
        if not names:
            self.app.say(NOBODY, "warn")
            return
        order = TaskOrder(task, DispatchRequest(task=task, agents=list(names)))
        self.work(lambda: self._submit(order, names))

    async def _submit(self, order: TaskOrder, names: tuple[str, ...]) -> None:
        await (await self._given(order, names))()

    async def _given(self, order: TaskOrder, names: tuple[str, ...]) -> Work:
        """Give it to one agent as a task, to several or to a selector as a dispatch; returns what shows it then."""
        if order.dispatch.selector is None and len(names) == 1:
            submitted = await self.control.submit(names[0], order.task)
            return partial(self._show_task, submitted, names[0])
        return partial(self._show_rollout, await self.control.dispatch(order.dispatch))

    async def _show_task(self, submitted: Submitted, name: str) -> None:
        self.app.say(f"√ {submitted.status}: task {submitted.task_id} to {name}", "ok")
        self._follow_task(submitted.task_id)

    async def _show_rollout(self, dispatch: DispatchView) -> None:
        self.app.say(f"√ rollout {dispatch.dispatch_id} to {len(dispatch.tasks)} agents", "ok")
        pane = await self.app.main.go(Where.ROLLOUT)
        pane.point_at(dispatch.dispatch_id)

    def _follow_task(self, task_id: str) -> None:
        if self.app.store is not None:
            self.app.store.touch("task")
        self.app.main.pane.submitted(task_id)

    async def do_task_form(self, words: str) -> None:
        async def send(order: TaskOrder) -> None:
            self.work(await self._given(order, tuple(order.dispatch.agents or ())))

        self.app.push_screen(TaskDialog(self.meant(), words, send))

    async def do_task_open(self, task_id: str) -> None:
        tasks = (task_id,) if task_id else self.app.main.pane.subject().tasks
        if tasks:
            pane = await self.app.main.go(Where.OUTPUT)
            pane.point_at(tasks[0])

    async def do_task_cancel(self, task_id: str) -> None:
        tasks = (task_id,) if task_id else self.app.main.pane.subject().tasks
        if not tasks:
            return

        async def cancel() -> None:
            for task in tasks:
                await self.control.cancel_task(task)
            self.app.say(f"√ cancel {_listed(tasks)} — {self.equivalent('tasks', 'cancel', *tasks[:NAMED])}", "ok")

        def answered(yes: bool | None) -> None:
            if yes:
                self.work(lambda: cancel())

        title = "Cancel the task?" if len(tasks) == 1 else f"Cancel {len(tasks)} tasks?"
        self.app.push_screen(ConfirmDialog(title, [_listed(tasks), "What runs is ended."], "Cancel task"), answered)

    async def do_task_retry(self, task_id: str) -> None:
        tasks = (task_id,) if task_id else self.app.main.pane.subject().tasks

        async def retry() -> None:
            for task in tasks:
                submitted = await self.control.retry_task(task)
                self.app.say(f"√ again as {submitted.task_id} — {self.equivalent('tasks', 'retry', task)}", "ok")

        if tasks:
            self.work(lambda: retry())

    async def do_rollout_retry(self, dispatch_id: str) -> None:
        async def retry(rollout: str) -> None:
            dispatch = await self.control.retry_dispatch(rollout)
            self.app.say(f"√ again as rollout {dispatch.dispatch_id}, {len(dispatch.tasks)} tasks", "ok")
            pane = await self.app.main.go(Where.ROLLOUT)
            pane.point_at(dispatch.dispatch_id)

        chosen = dispatch_id or self.app.main.pane.rollout()
        if chosen:
            self.work(lambda: retry(chosen))
        else:
            self.app.say("this task belongs to no rollout", "warn")

    async def do_rollout_open(self, dispatch_id: str) -> None:
        chosen = dispatch_id or self.app.main.pane.rollout()
        if chosen:
            pane = await self.app.main.go(Where.ROLLOUT)
            pane.point_at(chosen)
        else:
            self.app.say("this task belongs to no rollout", "warn")


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _losses(agent: AgentView | None, name: str) -> str:
    if agent is None:
        return name
    return f"{name}: {agent.status.value}, running {len(agent.running)}, waiting {agent.queued}"
