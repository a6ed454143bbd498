"""`exec`: a command on an agent, as if it ran here: its streams, its exit code, Ctrl-C."""

from __future__ import annotations

import asyncio
import shlex
import signal
from collections.abc import Coroutine
from typing import Annotated, Any, Final

from cyclopts import Parameter

from clawtui.cli import exits
from clawtui.cli.values import Streams, pairs
from clawtui.cli.world import Context, Ctx
from clawtui.errors import UsageError
from clawtui.follow import closed, follow_output
from hub.contract import TaskView
from hub.control import Control
from hub.core.model import Connection, TaskState
from hub.errors import HubError

SETTLE_SECONDS: Final = 30.0
"""How long the end of a task may follow the end of its output."""


async def execute(
    name: str,
    /,
    *command: str,
    sudo: bool = False,
    timeout: int | None = None,
    cwd: str | None = None,
    env: Annotated[list[str] | None, Parameter(alias="-e")] = None,
    context: Ctx,
) -> int:
    """Run a command on an agent, stream its output and end with its exit code.

    exec [options] NAME [--] COMMAND…: one word after NAME is shell text, several are quoted and joined.

    Args:
        name: The agent.
        command: The command.
        sudo: Run it as root, where the profile allows that.
        timeout: End it after so many milliseconds.
        cwd: Folder to run it in, relative to the workspace.
        env: KEY=VALUE for the command; may be repeated.
    """
    if not command:
        raise UsageError("exec needs a command", hint=f"{context.world.program} exec {name} 'uname -a'")
    text = command[0] if len(command) == 1 else shlex.join(command)
    spec: dict[str, Any] = {"type": "exec", "command": text}
    spec |= {"sudo": True} if sudo else {}
    spec |= {"cwd": cwd} if cwd is not None else {}
    spec |= {"env": pairs(env, "--env")} if env else {}
    spec |= {"timeoutMs": timeout} if timeout is not None else {}
    async with context.control() as control:
        submitted = await control.submit(name, spec)
        if submitted.status == "queued":
            await _say_why_it_waits(context, control, name)
        run = Attended(context, control, submitted.task_id)
        await run.attend(run.stream())
        return exit_code(run.ended(await control.get_task(submitted.task_id, SETTLE_SECONDS)))


async def _say_why_it_waits(context: Context, control: Control, name: str) -> None:
    agent = await control.agent(name)
    if agent.connection is not Connection.ONLINE:
        context.out.say(f"agent {name} is {agent.status.value}; the task waits for it (Ctrl-C cancels)")


class _Left(Exception):
    """The second Ctrl-C: leave, whatever the task does."""


class Attended:
    """A task that somebody watches: Ctrl-C cancels it, a second one leaves it alone."""

    def __init__(self, context: Context, control: Control, task_id: str) -> None:
        self._context = context
        self._control = control
        self._task_id = task_id
        self._interrupts: asyncio.Queue[None] = asyncio.Queue(maxsize=2)
        self._streamed = False

    async def attend(self, work: Coroutine[Any, Any, None]) -> None:
        """Do `work` while interrupts are heard.

        Raises:
            HubError: `work` failed, or somebody pressed Ctrl-C twice.
        """
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, self._interrupted)
        try:
            async with asyncio.TaskGroup() as group:
                listener = group.create_task(self._listen())
                try:
                    await work
                finally:
                    listener.cancel()
        except* _Left:
            raise HubError(
                f"left task {self._task_id}, which may still be running",
                code="left",
                hint=f"clawtui tasks show {self._task_id}",
            ) from None
        except* (HubError, BrokenPipeError) as group:
            raise group.exceptions[0] from None
        finally:
            loop.remove_signal_handler(signal.SIGINT)

    async def stream(self) -> None:
        """Pass the task's output on until its end; a reader of stdout that leaves cancels the task."""
        streams = Streams(self._context.world.stdout, self._context.world.stderr)
        output = follow_output(
            self._control,
            self._task_id,
            patience_seconds=self._context.settings.hub_return_seconds,
            say=self._context.out.say,
        )
        try:
            async with closed(output) as pieces:
                async for piece in pieces:
                    if piece.skipped:
                        self._context.out.say(f"[{piece.skipped} bytes of output were cut here]")
                    self._streamed = True
                    streams.write(piece)
        except BrokenPipeError:
            await self._control.cancel_task(self._task_id)
            raise

    def ended(self, task: TaskView) -> TaskView:
        """Say how the task ended where its exit code does not."""
        out = self._context.out
        if not self._streamed:
            # A basic agent may give its output with the result only.
            self._context.world.stdout.write(task.stdout or "")
            self._context.world.stderr.write(task.stderr or "")
        if task.status is TaskState.CANCELLED:
            out.say(f"task {task.id} is cancelled")
        elif task.error is not None and task.error.code != "exit_code":
            out.say(f"task {task.id} {task.status.value}: {task.error.message or task.error.code}")
        elif task.status is not TaskState.SUCCEEDED and task.exit_code is None:
            out.say(f"task {task.id} {task.status.value}{f': {task.note}' if task.note else ''}")
        return task

    def _interrupted(self) -> None:
        if not self._interrupts.full():
            self._interrupts.put_nowait(None)

    async def _listen(self) -> None:
        await self._interrupts.get()
        self._context.out.say(f"cancelling task {self._task_id} (Ctrl-C again leaves it)")
        async with asyncio.TaskGroup() as group:
            cancel = group.create_task(self._control.cancel_task(self._task_id))
            await self._interrupts.get()
            cancel.cancel()
        raise _Left


def exit_code(task: TaskView) -> int:
    """The command's own code; 124 timed out; 125 where the command has none to give."""
    if task.status is TaskState.TIMED_OUT:
        return exits.TIMED_OUT
    if task.status in {TaskState.SUCCEEDED, TaskState.FAILED} and task.exit_code is not None:
        # A process killed by signal N has the code -N; shells say 128 + N.
        return task.exit_code if task.exit_code >= 0 else 128 - task.exit_code
    return exits.EXEC_FAILED
