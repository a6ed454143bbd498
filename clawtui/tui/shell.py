"""A terminal on an agent, or an editor: the screen steps aside for a child process, the hub in this process goes on."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from textual.app import SuspendNotSupported

if TYPE_CHECKING:
    from clawtui.tui.app import ClawtuiApp

AT_ONCE_SECONDS: Final = 3.0
"""A shell that failed sooner never was one: its words are shown before the screen covers them."""
PAUSE_WORD: Final = "\r\n[clawtui] the shell did not open; press Enter to go back to the screen "


async def run_shell(app: ClawtuiApp, command: tuple[str, ...]) -> None:
    """Run `command` in the foreground of the terminal; afterwards the screen is back, whatever happened."""
    code = await run_aside(app, command, PAUSE_WORD)
    if code is None:
        app.copy_to_clipboard(shlex.join(command))
        app.say(f"no shell from here; copied: {shlex.join(command)}", "warn")
        return
    app.say(f"the shell ended with {code}", "ok" if code == 0 else "warn")


async def run_aside(app: ClawtuiApp, command: tuple[str, ...], pause_word: str) -> int | None:
    """Give the terminal to `command` until it ends; return how. None: there is no terminal to give away.

    `pause_word` is said, and Enter waited for, when it failed so soon that nobody could read why.
    """
    try:
        with app.suspend():
            app.aside = True
            try:
                return await _foreground(command, pause_word)
            finally:
                app.aside = False
    except SuspendNotSupported:
        return None


async def _foreground(command: tuple[str, ...], pause_word: str) -> int:
    """Give the terminal to a child in its own process group: its Ctrl-C and Ctrl-Z are its own."""
    terminal = sys.__stdin__
    if terminal is None or not terminal.isatty():
        return 1
    descriptor = terminal.fileno()
    with _kept(descriptor):
        started = time.monotonic()
        child = await asyncio.create_subprocess_exec(*command, process_group=0)
        try:
            os.tcsetpgrp(descriptor, child.pid)
            # It stopped when it asked for the terminal before it had it.
            os.killpg(child.pid, signal.SIGCONT)
        except ProcessLookupError:
            pass  # it ended already
        code = await child.wait()
    if code and time.monotonic() - started < AT_ONCE_SECONDS:
        await asyncio.to_thread(_wait_enter, descriptor, pause_word)
    return code


@contextmanager
def _kept(descriptor: int) -> Iterator[None]:
    """The terminal's modes and its foreground group are as before at the end."""
    modes = termios.tcgetattr(descriptor)
    before = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    try:
        yield
    finally:
        os.tcsetpgrp(descriptor, os.getpgrp())
        termios.tcsetattr(descriptor, termios.TCSADRAIN, modes)
        signal.signal(signal.SIGTTOU, before)


def _wait_enter(descriptor: int, word: str) -> None:
    """Let the reason be read before the screen covers it."""
    os.write(descriptor, word.encode())
    os.read(descriptor, 1)
