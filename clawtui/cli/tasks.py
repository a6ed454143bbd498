"""Verbs for tasks: task (one agent or a rollout), tasks list|show|output|cancel|retry."""

from __future__ import annotations

from typing import Annotated, Final, NoReturn

import msgspec
from cyclopts import App, Parameter

from clawtui.cli import exits
from clawtui.cli.execute import Attended
from clawtui.cli.output import Column
from clawtui.cli.rollout import show_dispatch, wait_dispatch
from clawtui.cli.values import Streams, task_from, words
from clawtui.cli.world import Context, Ctx
from clawtui.errors import UsageError
from clawtui.follow import closed, follow_output, unseen
from hub.contract import DispatchRequest, OutputQuery, RolloutRequest, TaskQuery, TaskView
from hub.control import Control
from hub.core.model import OPEN, TaskState

WAIT_SECONDS: Final = 3600.0
"""One wait for a task's end; longer waits are several."""

TASK_COLUMNS: Final = (
    Column("ID", lambda task: task.id),
    Column("AGENT", lambda task: task.agent_id),
    Column("TYPE", lambda task: task.type),
    Column("STATUS", lambda task: task_status(task)),
    Column("ATTEMPT", lambda task: task.attempt, right=True),
    Column("EXIT", lambda task: task.exit_code, right=True),
    Column("CREATED", lambda task: task.created_at),
    Column("NOTE", lambda task: task.error.message or task.error.code if task.error else task.note),
)

TASK_FIELDS: Final = (
    *TASK_COLUMNS[:6],
    Column("ERROR", lambda task: f"{task.error.code}: {task.error.message}" if task.error else None),
    Column("NOTE", lambda task: task.note),
    Column("RESULT", lambda task: None if task.result is None else msgspec.json.encode(task.result).decode()),
    Column("SPEC", lambda task: msgspec.json.encode(task.spec).decode()),
    Column("LABELS", lambda task: task.labels),
    Column("BY", lambda task: task.by),
    Column("CREATED", lambda task: task.created_at),
    Column("STARTED", lambda task: task.started_at),
    Column("FINISHED", lambda task: task.finished_at),
    Column("TIMEOUT MS", lambda task: task.timeout_ms),
    Column("DISPATCH", lambda task: task.dispatch_id),
    Column("RETRY OF", lambda task: task.retry_of),
    Column("STDOUT", lambda task: task.stdout),
    Column("STDERR", lambda task: task.stderr),
)

SUBMITTED_COLUMNS: Final = (
    Column("TASK", lambda submitted: submitted.task_id),
    Column("STATUS", lambda submitted: submitted.status),
)

tasks = App(name="tasks", help="List, show, cancel and retry tasks.")
"""The group of verbs `tasks …`."""


def task_status(task: TaskView) -> str:
    if task.cancelling:
        return f"{task.status.value} (cancelling)"
    return f"{task.status.value} (held)" if task.held else task.status.value


async def task(
    name: str,
    json: str | None = None,
    /,
    *,
    select: str | None = None,
    agents: str | None = None,
    canary: int = 0,
    concurrency: int = 0,
    stop_on_failures: int = 0,
    wait: bool = False,
    idempotency_key: str | None = None,
    context: Ctx,
) -> int:
    """Give an agent a task as JSON, or - to read it from stdin; with --select or --agents, many agents.

    task NAME JSON|- [--wait] or task --select EXPR JSON|- [rollout options].

    Args:
        name: The agent; left out with --select and --agents.
        json: The task.
        select: Which agents, e.g. 'type=builder'.
        agents: Names of agents, with commas between them.
        canary: So many tasks first; the rest goes out when they succeeded.
        concurrency: At most so many at once.
        stop_on_failures: Stop the rollout after so many failed tasks.
        wait: Wait for the end and show the result.
        idempotency_key: The same key twice makes one task.
    """
    many = select is not None or agents is not None
    if many is (json is not None):
        raise UsageError(
            "this needs the task only" if many else "this needs the agent's name and the task",
            hint="task NAME JSON, or task --select EXPR JSON",
        )
    spec = task_from(name if json is None else json, context.world.stdin)
    rollout = RolloutRequest(canary=canary, concurrency=concurrency, stop_on_failures=stop_on_failures)
    async with context.control() as control:
        if not many:
            if rollout != RolloutRequest():
                raise UsageError("rollout options need --select or --agents")
            submitted = await control.submit(name, spec, idempotency_key)
            if wait:
                return await _show_end(context, control, submitted.task_id)
            context.out.record(submitted, SUBMITTED_COLUMNS, submitted)
            return exits.DONE
        named = None if agents is None else words(agents)
        request = DispatchRequest(task=spec, selector=select, agents=named, rollout=rollout)
        dispatch = await control.dispatch(request, idempotency_key)
        if wait:
            return await wait_dispatch(context, control, dispatch)
        show_dispatch(context, dispatch)
    return exits.DONE


async def _show_end(context: Context, control: Control, task_id: str) -> int:
    run = Attended(context, control, task_id)
    ended: list[TaskView] = []

    async def wait_end() -> None:
        view = await control.get_task(task_id, WAIT_SECONDS)
        while not view.terminal:
            view = await control.get_task(task_id, WAIT_SECONDS)
        ended.append(view)

    await run.attend(wait_end())
    context.out.record(ended[0], TASK_FIELDS, ended[0])
    return end_code(ended[0])


def end_code(task: TaskView) -> int:
    if task.status is TaskState.TIMED_OUT:
        return exits.TIMED_OUT
    return exits.DONE if task.status is TaskState.SUCCEEDED else exits.FAILED


@tasks.command(name="list")
async def list_tasks(
    *,
    agent: str | None = None,
    status: str | None = None,
    type: str | None = None,
    label: str | None = None,
    dispatch: str | None = None,
    limit: Annotated[int, Parameter(alias="-n")] = 100,
    cursor: str | None = None,
    context: Ctx,
) -> int:
    """List tasks, newest first.

    Args:
        agent: Only tasks of this agent.
        status: A state of tasks, open or ended.
        type: Only tasks of this type, e.g. exec.
        label: KEY or KEY=VALUE.
        dispatch: Only tasks of this dispatch.
        limit: How many.
        cursor: Where the page before ended.
    """
    query = TaskQuery(agent=agent, status=status, type=type, label=label, dispatch=dispatch, limit=limit, cursor=cursor)
    async with context.control() as control:
        page = await control.tasks(query)
    context.out.listing(page, TASK_COLUMNS, page.tasks, "no tasks")
    if page.next is not None:
        context.out.say(f"there are more: --cursor {page.next}")
    return exits.DONE


def _needs_one() -> NoReturn:
    raise UsageError("this needs the id of a task, or --dispatch ID")


@tasks.command
async def show(task_id: str = "", /, *, dispatch: str | None = None, context: Ctx) -> int:
    """Show a task, or a dispatch with its tasks.

    Args:
        task_id: The task.
        dispatch: The dispatch.
    """
    async with context.control() as control:
        if dispatch is not None:
            show_dispatch(context, await control.dispatch_status(dispatch))
        elif task_id:
            view = await control.get_task(task_id)
            context.out.record(view, TASK_FIELDS, view)
        else:
            _needs_one()
    return exits.DONE


@tasks.command
async def output(
    task_id: str,
    /,
    *,
    follow: Annotated[bool, Parameter(alias="-f")] = False,
    offset: int = 0,
    context: Ctx,
) -> int:
    """Print a task's output as it was.

    Args:
        task_id: The task.
        follow: Go on until the task's end.
        offset: Leave out so many bytes.
    """
    streams = Streams(context.world.stdout, context.world.stderr)
    async with context.control() as control:
        if follow:
            patience = context.settings.hub_return_seconds
            output = follow_output(control, task_id, offset=offset, patience_seconds=patience, say=context.out.say)
            async with closed(output) as pieces:
                async for piece in pieces:
                    streams.write(piece)
            return exits.DONE
        async with closed(control.task_output(task_id, OutputQuery(offset=offset))) as chunks:
            async for chunk in chunks:
                streams.write(unseen(chunk, offset)[0])
    return exits.DONE


@tasks.command
async def cancel(*task_ids: str, dispatch: str | None = None, context: Ctx) -> int:
    """Cancel tasks, or the open tasks of a dispatch.

    Args:
        task_ids: The tasks.
        dispatch: The dispatch.
    """
    async with context.control() as control:
        named = list(task_ids)
        if dispatch is not None:
            members = (await control.dispatch_status(dispatch)).tasks
            named += [member.task_id for member in members if member.status in OPEN]
        elif not named:
            _needs_one()
        views = [await control.cancel_task(task_id) for task_id in named]
    body = views[0] if len(views) == 1 and dispatch is None else {"tasks": views}
    context.out.listing(body, TASK_COLUMNS, views, "no open tasks")
    return exits.DONE


@tasks.command
async def retry(task_id: str = "", /, *, dispatch: str | None = None, context: Ctx) -> int:
    """Submit an ended task again as a new one, or what failed of a dispatch.

    Args:
        task_id: The task.
        dispatch: The dispatch.
    """
    async with context.control() as control:
        if dispatch is not None:
            show_dispatch(context, await control.retry_dispatch(dispatch))
        elif task_id:
            submitted = await control.retry_task(task_id)
            context.out.record(submitted, SUBMITTED_COLUMNS, submitted)
        else:
            _needs_one()
    return exits.DONE
