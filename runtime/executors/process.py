"""Runs one command: its pipes, its end, its tails.

The end of the process ends the run, after a short drain, even if a grandchild keeps stdout open.
Everything is callbacks of the event loop: a run costs no thread and no coroutine.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec

from runtime.executors.inherited import marking_children
from runtime.reaper import Reaper
from runtime.wire import MAX_TAIL_BYTES, Stream

READ_BYTES: Final = 64 * 1024
"""One read; the default capacity of a Linux pipe."""
DRAIN_SECONDS: Final = 0.25
"""After the end of the process, output of whoever else holds its pipes still counts this long."""
FINAL_READS: Final = 32
"""Reads per pipe when the process has ended: what was in the pipe, not what a grandchild floods."""
MAX_LINGERING_PIPES: Final = 128
"""Pipes of ended runs that background processes still hold; they are read and thrown away, so
that a server left running does not die of its first log line. Beyond this the oldest is closed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What to run. `stdin_fd` is closed by the run; None means /dev/null. `cleanup` comes after it."""

    argv: list[str]
    cwd: str
    environment: Mapping[str, str] = field(repr=False)
    stdin_fd: int | None = None
    cleanup: Callable[[], None] | None = None


class Tail:
    """The last bytes of a stream."""

    def __init__(self, keep_bytes: int = MAX_TAIL_BYTES) -> None:
        self._keep_bytes = keep_bytes
        self._data = bytearray()
        self.total_bytes = 0

    def add(self, data: bytes) -> None:
        self.total_bytes += len(data)
        self._data += data
        if len(self._data) > 2 * self._keep_bytes:
            del self._data[: -self._keep_bytes]

    def text(self) -> str:
        """Return all that is kept as text."""
        return self._data[-self._keep_bytes :].decode(errors="replace")

    def fitting(self, encoded_bytes: int = MAX_TAIL_BYTES) -> tuple[str, bool]:
        """Return the longest end whose JSON encoding fits, and whether something was cut."""
        text = self.text()
        cut = self.total_bytes > self._keep_bytes
        size = len(msgspec.json.encode(text)) - 2
        while size > encoded_bytes:
            # Escapes are spread unevenly, so this may need a few rounds.
            drop = max(len(text) * (size - encoded_bytes) // size, 1)
            text, cut = text[drop:], True
            size = len(msgspec.json.encode(text)) - 2
        return text, cut


class Lingering:
    """Reads pipes that outlive their run, and throws away what comes."""

    def __init__(self) -> None:
        self._pipes: deque[int] = deque()

    def add(self, fd: int) -> None:
        if len(self._pipes) >= MAX_LINGERING_PIPES:
            self._close(self._pipes.popleft())
        self._pipes.append(fd)
        asyncio.get_running_loop().add_reader(fd, self._discard, fd)

    def close(self) -> None:
        while self._pipes:
            self._close(self._pipes.popleft())

    def _discard(self, fd: int) -> None:
        try:
            data = os.read(fd, READ_BYTES)
        except BlockingIOError:
            return
        if not data:
            self._pipes.remove(fd)
            self._close(fd)

    def _close(self, fd: int) -> None:
        asyncio.get_running_loop().remove_reader(fd)
        os.close(fd)


class Run:
    """One running command.

    Args:
        sink: takes output as it comes.
        ended: called once with the exit code (128 + n for signal n).
        marks: what its processes shall be known by; the environment has them already.

    Raises:
        OSError, ValueError: the command cannot be started; nothing is left behind.
    """

    def __init__(
        self,
        command: Command,
        reaper: Reaper,
        lingering: Lingering,
        sink: Callable[[Stream, bytes], None],
        ended: Callable[[int], None],
        marks: Mapping[str, str],
    ) -> None:
        self._command = command
        self._marks = marks
        self._lingering = lingering
        self._sink = sink
        self._ended = ended
        self._exit_code: int | None = None
        self._pipes: dict[int, Stream] = {}
        self._paused: set[int] = set()
        self._process = self._spawn()
        self.pid = self._process.pid
        reaper.watch(self.pid, self._process_ended)
        loop = asyncio.get_running_loop()
        for fd in self._pipes:
            loop.add_reader(fd, self._read, fd)

    def _spawn(self) -> subprocess.Popen[bytes]:
        command = self._command
        out_read, out_write = os.pipe()
        err_read, err_write = os.pipe()
        try:
            with marking_children(self._marks):
                process = subprocess.Popen(
                    command.argv,
                    cwd=command.cwd,
                    env=command.environment,
                    stdin=subprocess.DEVNULL if command.stdin_fd is None else command.stdin_fd,
                    stdout=out_write,
                    stderr=err_write,
                    start_new_session=True,
                )
        except BaseException:
            os.close(out_read)
            os.close(err_read)
            self._cleanup()
            raise
        finally:
            os.close(out_write)
            os.close(err_write)
            if command.stdin_fd is not None:
                os.close(command.stdin_fd)
        os.set_blocking(out_read, False)
        os.set_blocking(err_read, False)
        self._pipes = {out_read: Stream.STDOUT, err_read: Stream.STDERR}
        return process

    def pause(self, seconds: float) -> None:
        """Read nothing for a while: the pipe fills and the process waits."""
        loop = asyncio.get_running_loop()
        for fd in self._pipes:
            if fd not in self._paused:
                self._paused.add(fd)
                loop.remove_reader(fd)
                loop.call_later(seconds, self._unpause, fd)

    def _unpause(self, fd: int) -> None:
        if fd in self._paused:
            self._paused.discard(fd)
            if fd in self._pipes:
                asyncio.get_running_loop().add_reader(fd, self._read, fd)

    def _read(self, fd: int) -> bool:
        """Read once; return whether there may be more now."""
        try:
            data = os.read(fd, READ_BYTES)
        except BlockingIOError:
            return False
        if not data:
            del self._pipes[fd]
            self._paused.discard(fd)
            asyncio.get_running_loop().remove_reader(fd)
            os.close(fd)
            if self._exit_code is not None and not self._pipes:
                self._end()
            return False
        self._sink(self._pipes[fd], data)
        return True

    def _process_ended(self, exit_code: int) -> None:
        # The agent's reaper has taken the status, so Popen must not look for it.
        self._process.returncode = exit_code
        self._final_reads()
        self._exit_code = exit_code
        if self._pipes:
            asyncio.get_running_loop().call_later(DRAIN_SECONDS, self._drain_over)
        else:
            self._end()

    def _final_reads(self) -> None:
        for fd in list(self._pipes):
            for _ in range(FINAL_READS):
                if not self._read(fd):
                    break

    def _drain_over(self) -> None:
        if self._pipes:
            self._final_reads()
        if self._pipes:
            self._end()

    def _end(self) -> None:
        loop = asyncio.get_running_loop()
        for fd in self._pipes:
            loop.remove_reader(fd)
            self._lingering.add(fd)
        self._pipes.clear()
        self._paused.clear()
        self._cleanup()
        ended, self._ended = self._ended, _nobody
        assert self._exit_code is not None
        ended(self._exit_code)

    def _cleanup(self) -> None:
        if self._command.cleanup is not None:
            self._command.cleanup()


def _nobody(_exit_code: int) -> None:
    """Takes the place of a callback that has been called."""
