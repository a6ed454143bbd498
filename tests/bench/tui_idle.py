"""The screen at rest: what a real `clawtui` on a terminal costs while 100 agents report and nobody touches a key."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

import psutil

from tests.bench.fleet import connected_fleet, register
from tests.bench.hubs import BenchError, hub_process
from tests.bench.report import Row
from tests.bench.terminal import Terminal

SECTION = "screen at rest, 160 columns by 50 lines"
AGENTS = 100
SETTLE_SECONDS = 5.0
SECONDS = 20.0
BUDGET_PERCENT = 2.0
PAINT_SECONDS = 60.0
REPOSITORY = Path(__file__).parents[2]


async def idle(home: Path, say: Callable[[str], None]) -> list[Row]:
    """CPU of the screen's process, attached to a hub in a process of its own, in per cent of one core."""
    async with hub_process(home) as hub:
        tokens = await register(home, AGENTS, say)
        async with connected_fleet(hub, tokens, say):
            say(f"the screen at rest for {SECONDS:.0f} s")
            used = await asyncio.to_thread(_watch, hub.environment())
    return [
        Row(
            section=SECTION,
            name=f"CPU with {AGENTS} agents that report, nobody at the keys",
            unit="% of a core",
            measured=used,
            budget=BUDGET_PERCENT,
            note=f"processor time over {SECONDS:.0f} s",
        )
    ]


def _watch(environment: dict[str, str]) -> float:
    with Terminal([sys.executable, "-m", "clawtui"], environment, REPOSITORY) as terminal:
        if terminal.wait_first_frame(PAINT_SECONDS) is None:
            raise BenchError(f"the screen painted nothing: {terminal.output[-500:]!r}")
        terminal.wait_end(SETTLE_SECONDS)
        process = psutil.Process(terminal.pid)
        before = process.cpu_times()
        if terminal.wait_end(SECONDS) is not None:
            raise BenchError(f"the screen ended: {terminal.output[-500:]!r}")
        after = process.cpu_times()
        if b"sim-1" not in terminal.output:
            raise BenchError("the screen did not show the agents")
    return (after.user + after.system - before.user - before.system) / SECONDS * 100
