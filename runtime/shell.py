"""Terminals: several at once, each a login shell on a pseudo-terminal in the workspace."""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import fcntl
import os
import pty
import shutil
import signal
import struct
import subprocess
import termios
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from runtime.executors.inherited import marking_children
from runtime.executors.tree import Marks, TreeEnder, signal_directly
from runtime.reaper import Reaper
from runtime.wire import Shell, ShellOp

MAX_SHELLS: Final = 16
READ_BYTES: Final = 16 * 1024
MAX_INPUT_BYTES: Final = 256 * 1024
"""Typed but not taken by the program; more is a paste into something that does not read."""
MAX_QUEUED_BYTES: Final = 256 * 1024
"""While this much waits for the socket, terminals are not read: their programs wait."""
RETRY_SECONDS: Final = 0.02
HANG_UP_GRACE_SECONDS: Final = 1.0
LAST_OUTPUT_SECONDS: Final = 0.2
"""After the shell's end, how long a background program may keep the terminal open."""


class _Terminal:
    """One shell and its pseudo-terminal.

    Args:
        output: takes bytes from the terminal.
        ended: called once with the exit code, after the last output.
        blocked: whether output must wait.
    """

    def __init__(
        self,
        argv: list[str],
        cwd: Path,
        environment: Mapping[str, str],
        size: tuple[int, int],
        output: Callable[[bytes], None],
        ended: Callable[[int], None],
        blocked: Callable[[], bool],
    ) -> None:
        self._output = output
        self._ended = ended
        self._blocked = blocked
        self._input = bytearray()
        self._exit_code: int | None = None
        self._master, slave = pty.openpty()
        try:
            self.resize(*size)
            self.process = subprocess.Popen(
                argv,
                cwd=cwd,
                env=environment,
                stdin=slave,
                stdout=slave,
                stderr=slave,
                start_new_session=True,
                preexec_fn=_take_terminal,
            )
        except BaseException:
            os.close(self._master)
            raise
        finally:
            os.close(slave)
        os.set_blocking(self._master, False)
        asyncio.get_running_loop().add_reader(self._master, self._read)

    def resize(self, rows: int, columns: int) -> None:
        if self._master >= 0:
            packed = struct.pack("HHHH", min(max(rows, 1), 10_000), min(max(columns, 1), 10_000), 0, 0)
            fcntl.ioctl(self._master, termios.TIOCSWINSZ, packed)

    def type(self, data: bytes) -> bool:
        """Give input to the program; False when it has not read a whole buffer of it."""
        if len(self._input) + len(data) > MAX_INPUT_BYTES:
            return False
        self._input += data
        self._write()
        return True

    def hang_up(self) -> None:
        """Close the terminal: the kernel sends SIGHUP to its session."""
        if self._master >= 0:
            loop = asyncio.get_running_loop()
            loop.remove_reader(self._master)
            loop.remove_writer(self._master)
            os.close(self._master)
            self._master = -1
        if self._exit_code is not None:
            ended, self._ended = self._ended, _nobody
            ended(self._exit_code)

    def process_ended(self, exit_code: int) -> None:
        """Take the exit code; the last output may still come."""
        self.process.returncode = exit_code
        self._exit_code = exit_code
        if self._master < 0:
            self.hang_up()
        else:
            asyncio.get_running_loop().call_later(LAST_OUTPUT_SECONDS, self.hang_up)

    def _read(self) -> None:
        loop = asyncio.get_running_loop()
        if self._blocked():
            loop.remove_reader(self._master)
            loop.call_later(RETRY_SECONDS, self._read_again)
            return
        try:
            data = os.read(self._master, READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""  # EIO is the end of a pseudo-terminal
        if data:
            self._output(data)
        elif self._exit_code is not None:
            self.hang_up()
        else:
            # Nobody has the terminal open; the shell's end follows.
            loop.remove_reader(self._master)

    def _read_again(self) -> None:
        if self._master >= 0:
            asyncio.get_running_loop().add_reader(self._master, self._read)

    def _write(self) -> None:
        loop = asyncio.get_running_loop()
        if self._master < 0:
            return
        try:
            while self._input:
                written = os.write(self._master, self._input[:4096])
                del self._input[:written]
        except BlockingIOError:
            loop.add_writer(self._master, self._write)
            return
        except OSError:
            self._input.clear()  # the program is gone; its end is reported by itself
        loop.remove_writer(self._master)


class Shells:
    """All terminals of this agent; they belong to one connection and end with it.

    Args:
        send: queues a shell message.
        queued_bytes: what waits for the socket.
    """

    def __init__(
        self,
        tasks: asyncio.TaskGroup,
        workspace: Path,
        environment: Mapping[str, str],
        marks: Marks,
        reaper: Reaper,
        send: Callable[[Shell], None],
        queued_bytes: Callable[[], int],
    ) -> None:
        self._tasks = tasks
        self._workspace = workspace
        self._environment = environment
        self._marks = marks
        self._reaper = reaper
        self._send = send
        self._queued_bytes = queued_bytes
        self._terminals: dict[str, _Terminal] = {}

    def handle(self, message: Shell) -> None:
        """Take one step of a terminal from the hub."""
        terminal = self._terminals.get(message.shell_id)
        match message.op:
            case ShellOp.OPEN:
                if terminal is None:
                    self._open(message)
            case ShellOp.DATA:
                self._type(message, terminal)
            case ShellOp.RESIZE:
                if terminal is not None:
                    terminal.resize(message.rows or 24, message.cols or 80)
            case ShellOp.CLOSE | ShellOp.EXIT:
                self._close(message.shell_id)

    def close_all(self) -> None:
        """Hang up everything."""
        for shell_id in list(self._terminals):
            self._close(shell_id)

    def _open(self, message: Shell) -> None:
        shell_id = message.shell_id
        if len(self._terminals) >= MAX_SHELLS:
            self._refuse(shell_id, f"{MAX_SHELLS} shells are open already")
            return
        program = shutil.which("bash", path=self._environment.get("PATH")) or "/bin/sh"
        marks = self._marks.of(f"shell:{shell_id}")
        try:
            with marking_children(marks):
                terminal = _Terminal(
                    [program, "-l"],
                    self._workspace,
                    {**self._environment, "TERM": "xterm-256color", **marks},
                    (message.rows or 24, message.cols or 80),
                    lambda data: self._send_data(shell_id, data),
                    lambda exit_code: self._ended(shell_id, exit_code),
                    lambda: self._queued_bytes() > MAX_QUEUED_BYTES,
                )
        except (OSError, ValueError, subprocess.SubprocessError) as exc:
            self._refuse(shell_id, f"no shell can be started: {exc}")
            return
        self._terminals[shell_id] = terminal
        self._reaper.watch(terminal.process.pid, terminal.process_ended)

    def _type(self, message: Shell, terminal: _Terminal | None) -> None:
        if terminal is None:
            self._refuse(message.shell_id, "this shell is not open")
            return
        try:
            data = base64.b64decode(message.data or "", validate=True)
        except binascii.Error:
            self._refuse(message.shell_id, "data is not base64")
            self._close(message.shell_id)
            return
        if not terminal.type(data):
            self._refuse(message.shell_id, "the program does not read its input")
            self._close(message.shell_id)

    def _close(self, shell_id: str) -> None:
        terminal = self._terminals.pop(shell_id, None)
        if terminal is None:
            return
        terminal.hang_up()
        if terminal.process.returncode is None:
            signal_directly([terminal.process.pid], signal.SIGHUP)
            family = self._marks.family(f"shell:{shell_id}", terminal.process.pid)
            ending = TreeEnder(family, signal_directly, HANG_UP_GRACE_SECONDS).wait_ended()
            try:
                self._tasks.create_task(ending, name=f"hang up {shell_id}")
            except RuntimeError:
                # The agent is coming down after a fault and nobody can wait any more.
                ending.close()
                signal_directly([terminal.process.pid], signal.SIGKILL)

    def _ended(self, shell_id: str, exit_code: int) -> None:
        if self._terminals.pop(shell_id, None) is not None:
            self._send(Shell(op=ShellOp.EXIT, shell_id=shell_id, exit_code=exit_code))

    def _send_data(self, shell_id: str, data: bytes) -> None:
        self._send(Shell(op=ShellOp.DATA, shell_id=shell_id, data=base64.b64encode(data).decode("ascii")))

    def _refuse(self, shell_id: str, message: str) -> None:
        self._send(Shell(op=ShellOp.EXIT, shell_id=shell_id, exit_code=None, message=message))


def _take_terminal() -> None:
    """In the child: make stdin the controlling terminal of the new session."""
    with contextlib.suppress(OSError):
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _nobody(_exit_code: int) -> None:
    """Takes the place of a callback that has been called."""
