"""A hub that kills itself at a chosen moment: `python crashing_hub.py STATE_FOLDER MOMENT`.

MOMENT is `before-send` (a submission is committed, its frame not yet sent) or `reading:N` (the N-th
time that the hub reads its clock or makes an id after an agent's first handshake). The clock is the
one thing of the hub that is called everywhere, so it is where a test can stand and pull the plug.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from hub.clock import SystemClock
from hub.config import HubConfig
from hub.core.model import Now, TokenKind
from hub.service import Hub


class FatalClock:
    """The machine's clock, which ends the process at its moment."""

    def __init__(self, moment: str) -> None:
        self._system = SystemClock()
        self._kind, _, count = moment.partition(":")
        self._left = int(count or 0)
        self._armed = False

    def now(self) -> Now:
        self._count()
        return self._system.now()

    def new_id(self, prefix: str) -> str:
        if self._kind == "before-send":
            # The envelope of a frame gets its id right before it is sent, and after the commit.
            if self._armed and prefix == "m":
                die()
            self._armed |= prefix == "t"
        elif prefix == "tok":
            # An agent with a join token is at the door.
            self._armed = True
        self._count()
        return self._system.new_id(prefix)

    def new_secret(self, kind: TokenKind) -> str:
        return self._system.new_secret(kind)

    def _count(self) -> None:
        if self._kind == "reading" and self._armed:
            self._left -= 1
            if self._left < 0:
                die()


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


async def main(folder: Path, moment: str) -> None:
    config = HubConfig(state_folder=folder, agents_port=0, api_port=0, drivers=("process",))
    async with Hub.open(config, clock=FatalClock(moment)) as hub:
        await hub.wait_stopped()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
