"""A hub with thousands of connected agents, and a hub that is killed under a thousand of them."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import math
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec

from tests.bench.hubs import Api, BenchError, HubProcess, hub_process
from tests.bench.report import Row

REGISTRATIONS_AT_ONCE = 32
CONNECT_SECONDS = 180.0
SETTLE_SECONDS = 5.0
BACK_SECONDS = 180.0
LAG_METRIC = "clawtui_loop_lag_seconds"
LAG_BUDGET_MS = 16.0
MEMORY_BUDGET_KIB = 60.0
BACK_BUDGET_SECONDS = 60.0
PEAK_BUDGET = 3.0


class SimulatedFleet:
    """The process with the simulated agents, and what it says."""

    def __init__(self, url: str, tokens: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.simulated", url, str(tokens)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
        )
        self.online = 0
        self.welcomes: list[float] = []
        self._reader = threading.Thread(target=self._read, name="simulated", daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            told = msgspec.json.decode(line)
            self.welcomes += told["welcomes"]
            self.online = told["online"]

    async def wait_online(self, count: int, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while self.online < count:
            if self._process.poll() is not None:
                raise BenchError("the process of the simulated agents ended")
            if time.monotonic() > deadline:
                raise BenchError(f"{self.online} of {count} agents were online after {seconds:.0f} s")
            await asyncio.sleep(0.1)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()
        self._reader.join()


@contextlib.asynccontextmanager
async def connected_fleet(
    hub: HubProcess, tokens: dict[str, str], say: Callable[[str], None]
) -> AsyncIterator[SimulatedFleet]:
    path = hub.home / "bench-tokens.json"
    path.touch(mode=0o600)
    path.write_bytes(msgspec.json.encode(tokens))
    fleet = SimulatedFleet(hub.facts["agents"]["url"], path)
    try:
        say(f"connecting {len(tokens)} simulated agents")
        await fleet.wait_online(len(tokens), CONNECT_SECONDS)
        yield fleet
    finally:
        await asyncio.to_thread(fleet.stop)


async def register(home: Path, count: int, say: Callable[[str], None]) -> dict[str, str]:
    """Register agents as a user's own script would; return their tokens."""
    say(f"registering {count} agents")
    tokens: dict[str, str] = {}
    names = iter([f"sim-{number}" for number in range(count)])
    async with Api(home, connections=REGISTRATIONS_AT_ONCE) as api:

        async def register() -> None:
            for name in names:
                tokens[name] = (await api.post("/agents/register", {"agentId": name}))["token"]

        async with asyncio.TaskGroup() as group:
            for _ in range(REGISTRATIONS_AT_ONCE):
                group.create_task(register())
    return tokens


# --- connected and reporting ---------------------------------------------------------------------


async def reporting(home: Path, agents: int, seconds: float, say: Callable[[str], None]) -> list[Row]:
    """Loop lag and memory with `agents` connected agents that report health."""
    section = f"{agents:,} connected agents that report health"
    async with hub_process(home) as hub:
        empty_bytes = hub.resident_bytes
        tokens = await register(home, agents, say)
        async with connected_fleet(hub, tokens, say) as fleet, Api(home) as api:
            await asyncio.sleep(SETTLE_SECONDS)
            before = lag_buckets(await api.text("/metrics"))
            say(f"watching the hub's loop for {seconds:.0f} s")
            await asyncio.sleep(seconds)
            after = lag_buckets(await api.text("/metrics"))
            memory_bytes = hub.resident_bytes - empty_bytes
            if fleet.online != agents:
                raise BenchError(f"only {fleet.online} of {agents} agents are online at the end")
    lags = {bound: after[bound] - before[bound] for bound in after}
    return [
        Row(
            section=section,
            name="lateness of the hub's event loop, p99",
            unit="ms",
            measured=quantile(lags, 0.99) * 1000,
            budget=LAG_BUDGET_MS,
            note=f"{lags[math.inf]:.0f} looks in {seconds:.0f} s, from the hub's own metric",
        ),
        Row(
            section=section,
            name="memory of the hub per agent",
            unit="KiB",
            measured=memory_bytes / agents / 1024,
            budget=MEMORY_BUDGET_KIB,
            note="resident memory beyond the same hub without any agent",
        ),
    ]


def lag_buckets(exposition: str) -> dict[float, float]:
    """Return the cumulative counts of the lag histogram by upper bound in seconds."""
    found: dict[float, float] = {}
    for line in exposition.splitlines():
        name, _, count = line.partition("} ")
        if name.startswith(f"{LAG_METRIC}_bucket{{"):
            bound = name.partition('le="')[2].rstrip('"')
            found[math.inf if bound == "+Inf" else float(bound)] = float(count)
    return found


def quantile(cumulative: dict[float, float], fraction: float) -> float:
    """Return the quantile of a histogram, interpolated inside its bucket as Prometheus does."""
    bounds = sorted(cumulative)
    rank = fraction * cumulative[bounds[-1]]
    below, lower = 0.0, 0.0
    for bound in bounds:
        if cumulative[bound] >= rank:
            inside = cumulative[bound] - below
            share = (rank - below) / inside if inside else 1.0
            return lower if math.isinf(bound) else lower + (bound - lower) * share
        below, lower = cumulative[bound], bound
    return lower


# --- dropped at once -----------------------------------------------------------------------------


async def reconnect(home: Path, agents: int, say: Callable[[str], None]) -> list[Row]:
    """SIGKILL the hub under `agents` agents and start it again at once."""
    section = f"{agents:,} agents dropped at once (hub killed and started again)"
    async with hub_process(home) as hub:
        tokens = await register(home, agents, say)
        async with connected_fleet(hub, tokens, say) as fleet:
            await asyncio.sleep(SETTLE_SECONDS)
            say("killing the hub")
            killed_at = time.monotonic()
            hub.kill()
            fleet.welcomes.clear()
            hub.start()
            await hub.wait_ready()
            ready_at = time.monotonic()
            while len(fleet.welcomes) < agents:
                if time.monotonic() > killed_at + BACK_SECONDS:
                    raise BenchError(f"{len(fleet.welcomes)} of {agents} agents came back in {BACK_SECONDS:.0f} s")
                await asyncio.sleep(0.2)
            welcomes = sorted(fleet.welcomes)
    return _reconnect_rows(section, killed_at, ready_at, welcomes)


def _reconnect_rows(section: str, killed_at: float, ready_at: float, welcomes: list[float]) -> list[Row]:
    took = welcomes[-1] - welcomes[0]
    mean = len(welcomes) / max(took, 1.0)
    seconds = collections.Counter(int(at - welcomes[0]) for at in welcomes)
    first, busiest = seconds[0], max(seconds.values())
    note = f"{mean:.0f}/s on average, {first} in the first second, {busiest} in the busiest"
    parts: dict[str, Any] = {"section": section}
    return [
        Row(
            **parts,
            name="until all are back, from the kill on",
            unit="s",
            measured=welcomes[-1] - killed_at,
            budget=BACK_BUDGET_SECONDS,
            note=f"the hub itself answered again after {ready_at - killed_at:.1f} s",
        ),
        Row(
            **parts,
            name="handshakes in the first second, against the mean",
            unit="x",
            measured=first / mean,
            budget=PEAK_BUDGET,
            note=note,
        ),
        Row(**parts, name="handshakes in the busiest second, against the mean", unit="x", measured=busiest / mean),
    ]
