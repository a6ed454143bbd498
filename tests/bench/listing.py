"""`clawtui list` on a running hub: what a person waits for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.bench.hubs import HubProcess, hub_process
from tests.bench.report import Row
from tests.bench.timing import time_calls

SECTION = "command line"
BUDGET_MS = 250.0


async def listing(home: Path, count: int) -> list[Row]:
    async with hub_process(home) as hub:
        return [_measure(hub, count)]


def _measure(hub: HubProcess, count: int) -> Row:
    command = [sys.executable, "-m", "clawtui", "list"]
    environment = hub.environment()

    def call() -> None:
        subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=True)

    samples = time_calls(count, call, warm_up=2)
    return Row(
        section=SECTION,
        name="clawtui list, start of the program to its end, p50",
        unit="ms",
        measured=samples.p50_ms,
        budget=BUDGET_MS,
    )
