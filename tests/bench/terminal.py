"""Runs a program on a terminal of its own and notices when it painted its first frame."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

COLUMNS, LINES = 160, 50
FIRST_FRAME_CHARACTERS = 20
"""A frame is painted when so many visible characters came: a program that only clears the screen has shown nothing."""
_SEQUENCE = re.compile(rb"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]P][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b.")
_VISIBLE = re.compile(rb"[!-~]")


class Terminal:
    """A program on a pseudo-terminal of 160 columns and 50 lines. Close it, or use it in a `with`."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str], folder: Path) -> None:
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
        self._fd = ours
        self.started = time.perf_counter()
        self._process = subprocess.Popen(
            command,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            cwd=folder,
            env={**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", **env},
            start_new_session=True,
        )
        os.close(theirs)
        self.output = b""

    @property
    def pid(self) -> int:
        return self._process.pid

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._read_until(lambda: self._process.poll() is not None, 10.0)
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        os.close(self._fd)

    def wait_first_frame(self, timeout: float) -> float | None:
        """Seconds from the start to the first frame; None when none came."""
        if self._read_until(self._painted, timeout):
            return time.perf_counter() - self.started
        return None

    def wait_end(self, timeout: float) -> int | None:
        """The exit code, or None when it still runs."""
        self._read_until(lambda: self._process.poll() is not None, timeout)
        return self._process.poll()

    def _painted(self) -> bool:
        at = self.output.find(b"\x1b[?1049h")
        end = self.output.find(b"\x1b[?1049l")
        # What follows the full screen is how a program that failed says so.
        return (
            at >= 0
            and end < 0
            and len(_VISIBLE.findall(_SEQUENCE.sub(b"", self.output[at:]))) >= FIRST_FRAME_CHARACTERS
        )

    def _read_until(self, done: Callable[[], bool], timeout: float) -> bool:
        deadline = time.monotonic() + timeout
        while not done():
            if time.monotonic() > deadline:
                return False
            ready, _, _ = select.select([self._fd], [], [], 0.01)
            if ready:
                # A terminal whose program ended answers with an error.
                with contextlib.suppress(OSError):
                    self.output = (self.output + os.read(self._fd, 65536))[-1_000_000:]
        return True
