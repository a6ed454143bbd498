"""A hub that kills itself at a chosen moment: `python crashing_hub.py STATE_FOLDER MOMENT`.

MOMENT is `before-send` (a submission is committed, its frame not yet sent) or `reading:N` (the N-th
time that the hub reads its clock or makes an id after an agent's first handshake). The clock is the
one thing of the hub that is called everywhere, so it is where a test can stand and pull the plug.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sqlite3
import sys
from pathlib import Path

from hub.clock import SystemClock
from hub.config import HubConfig
from hub.core.model import Now, TokenKind
from hub.service import Hub


class FatalClock:
    """The machine's clock, which ends the process at its moment."""

    def __init__(self, moment: str, folder: Path) -> None:
        self._system = SystemClock()
        self._database = folder / "registry.db"
        self._task = ""
        self._kind, _, count = moment.partition(":")
        self._left = int(count or 0)
        self._armed = False

    def now(self) -> Now:
        self._count()
        return self._system.now()

    def new_id(self, prefix: str) -> str:
        if self._kind == "before-send":
            # The envelope of a frame gets its id right before it is sent; the frame may be another one than the task's.
            if self._task and prefix == "m" and self._committed():
                die()
            if prefix == "t":
                self._task = self._system.new_id(prefix)
                return self._task
        elif prefix == "tok":
            # An agent with a join token is at the door.
            self._armed = True
        self._count()
        return self._system.new_id(prefix)

    def new_secret(self, kind: TokenKind) -> str:
        return self._system.new_secret(kind)

    def _committed(self) -> bool:
        with contextlib.closing(sqlite3.connect(f"file:{self._database}?mode=ro", uri=True)) as reader:
            return reader.execute("SELECT 1 FROM tasks WHERE id = ?", (self._task,)).fetchone() is not None

    def _count(self) -> None:
        if self._kind == "reading" and self._armed:
            self._left -= 1
            if self._left < 0:
                die()


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


async def main(folder: Path, moment: str) -> None:
    config = HubConfig(state_folder=folder, agents_port=0, api_port=0, drivers=("process",))
    async with Hub.open(config, clock=FatalClock(moment, folder)) as hub:
        await hub.wait_stopped()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
