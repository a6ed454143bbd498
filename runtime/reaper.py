"""Collects ended children: known ones are reported, adopted orphans only buried."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys
from collections.abc import Callable
from typing import Final

_PR_SET_CHILD_SUBREAPER: Final = 36  # linux/prctl.h


def become_subreaper() -> bool:
    """Make orphaned descendants children of this process; False where the platform cannot."""
    if sys.platform != "linux":
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    return libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0


class Reaper:
    """Tells who ended. Every child of this process must be started and watched in one step.

    Args:
        adopts_orphans: bury unknown children too. Only for a process that is all ours: it takes
            the exit status away from anybody else who waits.
    """

    def __init__(self, *, adopts_orphans: bool) -> None:
        self._adopts_orphans = adopts_orphans
        self._watched: dict[int, Callable[[int], None]] = {}

    def install(self) -> None:
        """Begin to listen for ended children; only in the main thread's loop."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGCHLD, self.reap)

    def uninstall(self) -> None:
        asyncio.get_running_loop().remove_signal_handler(signal.SIGCHLD)

    def watch(self, pid: int, ended: Callable[[int], None]) -> None:
        """Call `ended` with the exit code, 128 + n for signal n, when the child has ended."""
        self._watched[pid] = ended

    def reap(self) -> None:
        """Bury everybody who has ended."""
        if self._adopts_orphans:
            while self._reap_one(-1):
                pass
        else:
            for pid in list(self._watched):
                self._reap_one(pid)

    def _reap_one(self, wanted: int) -> bool:
        try:
            pid, status = os.waitpid(wanted, os.WNOHANG)
        except ChildProcessError:
            return False
        if pid == 0:
            return False
        ended = self._watched.pop(pid, None)
        if ended is not None:
            code = os.waitstatus_to_exitcode(status)
            ended(code if code >= 0 else 128 - code)
        return True
