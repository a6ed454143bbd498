"""One sync at a time works on a workspace root."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Generator
from pathlib import Path
from typing import Final

from profiles.sync.beneath import hint_for
from profiles.sync.errors import SyncError

NAME: Final = ".clawtui-sync.lock"
WAIT_SECONDS: Final = 10.0
"""A sync of hundreds of personas takes a few seconds."""
LOOK_AGAIN_SECONDS: Final = 0.05

_FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@contextlib.contextmanager
def locked(root: int, place: Path, wait_seconds: float = WAIT_SECONDS) -> Generator[None]:
    """Hold the lock of the open folder `root`, which is at `place`. The system frees it when the process ends.

    Raises SyncError when somebody else holds it for longer than `wait_seconds`, or the folder cannot be written.
    """
    try:
        lock = os.open(NAME, _FLAGS, 0o600, dir_fd=root)
    except OSError as exc:
        what = "is a symbolic link" if exc.errno == errno.ELOOP else f"cannot be written: {exc.strerror}"
        hint = "Remove it." if exc.errno == errno.ELOOP else hint_for(exc)
        raise SyncError(f"{place / NAME} {what}", hint) from exc
    try:
        _take(lock, place, wait_seconds)
        _sign(lock)
        yield
    finally:
        os.close(lock)


def _sign(lock: int) -> None:
    """Say in the file who holds it. A run that changes nothing writes nothing, not even this once more."""
    mine = f"{os.getpid()}\n".encode()
    if os.pread(lock, len(mine) + 1, 0) != mine:
        os.ftruncate(lock, 0)
        os.pwrite(lock, mine, 0)


def _take(lock: int, place: Path, wait_seconds: float) -> None:
    until = time.monotonic() + wait_seconds
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            if time.monotonic() >= until:
                who = os.pread(lock, 20, 0).decode(errors="replace").strip() or "unknown"
                message = f"another sync works on {place} (process {who})"
                raise SyncError(message, "Wait for it. Two hubs must not sync the same folder.") from exc
            time.sleep(LOOK_AGAIN_SECONDS)
        except OSError as exc:
            hint = "Put the workspace root on a file system that has locks."
            raise SyncError(f"{place} cannot be locked: {exc.strerror}", hint) from exc
        else:
            return
