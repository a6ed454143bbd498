"""Showing a dispatch and waiting for it."""

from __future__ import annotations

import asyncio
from typing import Final

from clawtui.cli import exits
from clawtui.cli.output import Column
from clawtui.cli.world import Context
from hub.contract import DispatchView
from hub.control import Control
from hub.core.model import OPEN, TaskState

LOOK_SECONDS: Final = 2.0
"""How long one look at a dispatch waits for one of its tasks."""

MEMBER_COLUMNS: Final = (
    Column("AGENT", lambda member: member.agent_id),
    Column("TASK", lambda member: member.task_id),
    Column("STATUS", lambda member: f"{member.status.value}{' (held)' if member.held else ''}"),
)


def show_dispatch(context: Context, dispatch: DispatchView) -> None:
    context.out.listing(dispatch, MEMBER_COLUMNS, dispatch.tasks, "no agents were selected")
    context.out.say(summary(dispatch))


def summary(dispatch: DispatchView) -> str:
    counts = ", ".join(f"{count} {state}" for state, count in dispatch.counts.items() if count)
    return f"dispatch {dispatch.dispatch_id} is {dispatch.state}{f': {counts}' if counts else ''}"


async def wait_dispatch(context: Context, control: Control, dispatch: DispatchView) -> int:
    """Follow a dispatch to its end; 0 only when every task succeeded. Ctrl-C leaves it alone."""
    told = ""
    try:
        while not over(dispatch):
            if summary(dispatch) != told:
                told = summary(dispatch)
                context.out.say(told)
            # A task that can end is waited for; held ones cannot before others did.
            waiting = sorted((task for task in dispatch.tasks if task.status in OPEN), key=lambda task: task.held)
            await control.get_task(waiting[0].task_id, LOOK_SECONDS)
            dispatch = await control.dispatch_status(dispatch.dispatch_id)
    except asyncio.CancelledError:
        context.out.say(f"the dispatch goes on; end it with: clawtui tasks cancel --dispatch {dispatch.dispatch_id}")
        raise
    show_dispatch(context, dispatch)
    good = all(member.status is TaskState.SUCCEEDED for member in dispatch.tasks)
    return exits.DONE if good else exits.FAILED


def over(dispatch: DispatchView) -> bool:
    """Nothing of it runs or will run; a stopped rollout may still have running tasks."""
    return not any(member.status in OPEN for member in dispatch.tasks)
