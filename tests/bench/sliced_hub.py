"""The hub's program on a loop that knows its slices: `python -m tests.bench.sliced_hub FILE WORDS...`.

On SIGUSR1 it writes what was counted since the last time to FILE, as JSON, and counts anew.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import msgspec

from clawtui.cli.app import main
from tests.bench.slices import SlicedLoop


class Slices(msgspec.Struct, frozen=True, rename="camel"):
    """Seconds that the hub's loop was busy, computed, and kept by one callback."""

    busy_seconds: float
    cpu_seconds: float
    longest_seconds: float
    longest_cpu_seconds: float


class SlicedPolicy(asyncio.DefaultEventLoopPolicy):
    """Makes counting loops only, and hands out what they counted."""

    def __init__(self, told: Path) -> None:
        super().__init__()
        self._told = told
        self._loops: list[SlicedLoop] = []

    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        loop = SlicedLoop()
        self._loops.append(loop)
        return loop

    def tell(self, *_signal: object) -> None:
        loop = self._loops[0]
        counted = Slices(loop.busy_seconds, loop.cpu_seconds, loop.longest_seconds, loop.longest_cpu_seconds)
        loop.start_counting()
        growing = self._told.with_suffix(".new")
        growing.write_bytes(msgspec.json.encode(counted))
        growing.replace(self._told)


if __name__ == "__main__":
    policy = SlicedPolicy(Path(sys.argv.pop(1)))
    asyncio.set_event_loop_policy(policy)
    signal.signal(signal.SIGUSR1, policy.tell)
    sys.exit(main())
