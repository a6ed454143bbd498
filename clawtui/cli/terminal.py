"""`shell`: this terminal becomes a terminal on an agent, and is given back as it was."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import termios
import tty
from collections.abc import AsyncGenerator, Iterator
from typing import Final, TextIO

from clawtui.cli import exits
from clawtui.cli.world import Ctx
from clawtui.errors import UsageError
from hub.control import ShellSession
from hub.errors import HubError

READ_BYTES: Final = 4096


async def shell(name: str, /, *, context: Ctx) -> int:
    """Open a terminal on an agent; ends with the shell's exit code.

    Args:
        name: The agent.
    """
    stdin = context.world.stdin
    if not stdin.isatty():
        raise UsageError("shell needs a terminal", hint=f"without one: {context.world.program} exec {name} COMMAND")
    async with context.control() as control:
        session = await control.open_shell(name, *size_of(stdin))
        try:
            with raw_terminal(stdin):
                await _join(session, stdin, context.world.stdout)
        except* HubError as group:
            raise group.exceptions[0] from None
        finally:
            await session.close()
    return exits.FAILED if session.exit_code is None else session.exit_code


def size_of(terminal: TextIO) -> tuple[int, int]:
    """Columns and rows; the usual 80x24 where the terminal does not know."""
    try:
        size = os.get_terminal_size(terminal.fileno())
    except OSError:
        return 80, 24
    return size.columns or 80, size.lines or 24


@contextlib.contextmanager
def raw_terminal(terminal: TextIO) -> Iterator[None]:
    """Keys go through as they are, Ctrl-C too; afterwards the terminal is as before, whatever happened."""
    before = termios.tcgetattr(terminal.fileno())
    tty.setraw(terminal.fileno())
    try:
        yield
    finally:
        termios.tcsetattr(terminal.fileno(), termios.TCSADRAIN, before)


async def _join(session: ShellSession, stdin: TextIO, stdout: TextIO) -> None:
    """Pass keys, sizes and the terminal's output on until the shell ends."""
    loop = asyncio.get_running_loop()
    resized = asyncio.Event()
    loop.add_signal_handler(signal.SIGWINCH, resized.set)
    try:
        async with asyncio.TaskGroup() as group:
            helpers = [
                group.create_task(_send_keys(session, stdin)),
                group.create_task(_send_sizes(session, stdin, resized)),
            ]
            async for data in session.output():
                await asyncio.to_thread(_write, stdout, data)
            for helper in helpers:
                helper.cancel()
    finally:
        loop.remove_signal_handler(signal.SIGWINCH)


def _write(stdout: TextIO, data: bytes) -> None:
    stdout.buffer.write(data)
    stdout.buffer.flush()


async def _send_keys(session: ShellSession, stdin: TextIO) -> None:
    async with contextlib.aclosing(_keys(stdin)) as keys:
        async for data in keys:
            await session.send(data)


async def _keys(stdin: TextIO) -> AsyncGenerator[bytes, None]:
    """What is typed, as it comes; ends with the terminal."""
    loop = asyncio.get_running_loop()
    descriptor = stdin.fileno()
    while True:
        ready = asyncio.Event()
        # Heard only while somebody waits: unread keys would wake the loop without end.
        loop.add_reader(descriptor, ready.set)
        try:
            await ready.wait()
        finally:
            loop.remove_reader(descriptor)
        data = os.read(descriptor, READ_BYTES)
        if not data:
            return
        yield data


async def _send_sizes(session: ShellSession, stdin: TextIO, resized: asyncio.Event) -> None:
    while True:
        await resized.wait()
        resized.clear()
        await session.resize(*size_of(stdin))
