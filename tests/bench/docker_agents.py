"""Docker agents: how long one takes to be online, what its runtime needs at rest, and many at once."""

from __future__ import annotations

import asyncio
import re
import statistics
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.bench import engine
from tests.bench.docker_hub import DockerFleet, container, docker_fleet
from tests.bench.engine import docker, together
from tests.bench.fleet import LAG_BUDGET_MS, lag_buckets, quantile
from tests.bench.hubs import BenchError
from tests.bench.report import Row, with_ratios
from tests.bench.sliced_hub import Slices

BEYOND_BUDGET_SECONDS = 1.0
MEMORY_BUDGET_MB = 40.0
IDLE_SECONDS = 15.0
"""After its start an agent's first reports and its first health checks are over."""
MB = 1e6
PYTHON = "/opt/clawtui/bin/python"
LIBRARIES = "websockets.asyncio.client, psutil, msgspec"
"""What the runtime stands on; imported by a Python that does nothing else they are the floor of its memory."""
IDLE_PYTHON = f"import {LIBRARIES}, time; time.sleep(3600)"
LOOK = r"""
for p in /proc/[0-9]*; do
  echo "process $(tr '\0' ' ' <$p/cmdline)"
  grep -E '^(Rss|Pss):' $p/smaps_rollup
done 2>/dev/null || true
"""
"""Run in the container by the agent's own user: it works without root, and where the engine is elsewhere."""


async def one_agent(home: Path, rounds: int, say: Callable[[str], None]) -> list[Row]:
    """Create to online against `docker run` of the same image, by turns, and the memory of an idle runtime."""
    create_section = "a Docker agent, from the call that creates it until it is online"
    memory_section = "memory of a Docker agent's runtime at rest"
    if reason := engine.missing():
        return [_skipped(create_section, reason), _skipped(memory_section, reason)]
    ours: list[float] = []
    theirs: list[float] = []
    async with docker_fleet(home) as fleet:
        say("a first agent, with its image where it is missing")
        resting = fleet.new_name()
        await fleet.create(resting)
        image = await fleet.image(resting)
        memory = await _memory_rows(memory_section, fleet, resting, image, say)
        await fleet.destroy(resting)
        say(f"{rounds} agents one after the other, and as many docker run")
        for _ in range(rounds):
            name = fleet.new_name()
            ours.append(await _timed(fleet.create(name)))
            await fleet.destroy(name)
            started = time.perf_counter()
            plain = await fleet.run_plain(image)
            theirs.append(time.perf_counter() - started)
            await fleet.remove(plain)
    return [*create_rows(create_section, ours, theirs), *memory]


def create_rows(section: str, ours: list[float], theirs: list[float]) -> list[Row]:
    """Seconds of each round: ours, and the peer's in the same round."""
    online = Row(section=section, name="create to online, median", unit="s", measured=_median(ours), runs=ours)
    plain = Row(
        section=section, name="docker run --detach of the same image, median", unit="s", measured=_median(theirs),
        runs=theirs, note="its program is sleep: no volumes, no runtime, nobody it reports to",
    )  # fmt: skip
    beyond = [mine - peer for mine, peer in zip(ours, theirs, strict=True)]
    return [
        with_ratios(online, {"docker run": plain}),
        Row(
            section=section, name="beyond docker run, median", unit="s", measured=_median(beyond),
            budget=BEYOND_BUDGET_SECONDS, runs=beyond,
        ),
        plain,
    ]  # fmt: skip


# --- memory ------------------------------------------------------------------------------------


async def _memory_rows(
    section: str, fleet: DockerFleet, agent: str, image: str, say: Callable[[str], None]
) -> list[Row]:
    words = ["--label", fleet.label, "--user", "1000:1000", "--entrypoint", PYTHON]
    plain = (await docker("run", "--detach", *words, image, "-c", IDLE_PYTHON)).strip()
    say(f"at rest for {IDLE_SECONDS:.0f} s")
    await asyncio.sleep(IDLE_SECONDS)
    ours = resident(await docker("exec", container(agent), "sh", "-c", LOOK), "-m runtime")
    theirs = resident(await docker("exec", plain, "sh", "-c", LOOK), IDLE_PYTHON)
    group = (await docker("stats", "--no-stream", "--format", "{{.MemUsage}}", container(agent))).partition(" / ")[0]
    await fleet.remove(plain)
    peer = Row(
        section=section, name="the same Python with the same libraries", unit="MB", measured=theirs["Rss"] / MB,
        note=f"it imports {LIBRARIES} and sleeps",
    )  # fmt: skip
    row = Row(
        section=section, name="resident memory of the runtime", unit="MB", measured=ours["Rss"] / MB,
        budget=MEMORY_BUDGET_MB,
        note=f"{ours['Pss'] / MB:.1f} MB where shared pages are divided; the whole container {group}",
    )  # fmt: skip
    return [with_ratios(row, {"bare Python": peer}), peer]


def resident(told: str, command: str) -> dict[str, int]:
    """Return bytes by kind (Rss, Pss) of the one Python process in `told` whose command line has `command`."""
    found = [
        {kind: int(kib) * 1024 for kind, kib in re.findall(r"^(Rss|Pss): +(\d+) kB$", part, re.MULTILINE)}
        for part in told.split("process ")
        if part.startswith(PYTHON) and command in part
    ]
    if len(found) != 1 or found[0].keys() != {"Rss", "Pss"}:
        raise BenchError(f"the memory of {command[:40]!r} cannot be read: {told[:300]!r}")
    return found[0]


# --- many at once ------------------------------------------------------------------------------


async def at_once(home: Path, agents: int, rounds: int, say: Callable[[str], None]) -> list[Row]:
    """From no agent to all online, all asked for in one moment, against as many `docker run`."""
    section = f"{agents} Docker agents started at once"
    if reason := engine.missing():
        return [_skipped(section, reason)]
    ours: list[float] = []
    theirs: list[float] = []
    slices: list[Slices] = []
    async with docker_fleet(home) as fleet:
        first = fleet.new_name()
        await fleet.create(first)
        image = await fleet.image(first)
        await fleet.destroy(first)
        before = lag_buckets(await fleet.api.text("/metrics"))
        for number in range(rounds):
            say(f"{agents} agents at once, and as many docker run ({number + 1} of {rounds})")
            names = [fleet.new_name() for _ in range(agents)]
            await fleet.hub.take_slices()
            ours.append(await _timed(together([fleet.create(name) for name in names])))
            slices.append(await fleet.hub.take_slices())
            await together([fleet.destroy(name) for name in names])
            started = time.perf_counter()
            plain = await together([fleet.run_plain(image) for _ in range(agents)])
            theirs.append(time.perf_counter() - started)
            await fleet.remove(*plain)
        after = lag_buckets(await fleet.api.text("/metrics"))
    lags = {bound: after[bound] - before[bound] for bound in after}
    return [*at_once_rows(section, agents, ours, theirs), *_loop_rows(section, slices, lags)]


def at_once_rows(section: str, agents: int, ours: list[float], theirs: list[float]) -> list[Row]:
    """Seconds of each round until all were there: ours, and the peer's."""
    all_online = Row(
        section=section, name="from zero until all are online, median", unit="s", measured=_median(ours), runs=ours
    )
    plain = Row(
        section=section, name=f"{agents} docker run --detach at once of the same image, median", unit="s",
        measured=_median(theirs), runs=theirs, note="their program is sleep",
    )  # fmt: skip
    beyond = [(mine - peer) / agents for mine, peer in zip(ours, theirs, strict=True)]
    return [
        with_ratios(all_online, {f"{agents} docker run": plain}),
        Row(
            section=section, name="beyond docker run, per agent, median", unit="s", measured=_median(beyond),
            budget=BEYOND_BUDGET_SECONDS, runs=beyond,
        ),
        plain,
    ]  # fmt: skip


def _loop_rows(section: str, slices: list[Slices], lags: dict[float, float]) -> list[Row]:
    wall = [one.longest_seconds * 1000 for one in slices]
    return [
        Row(
            section=section, name="longest slice of the hub's loop meanwhile", unit="ms",
            measured=max(one.longest_cpu_seconds for one in slices) * 1000, budget=LAG_BUDGET_MS,
            runs=[one.longest_cpu_seconds * 1000 for one in slices],
            note=f"what it computed; {max(wall):.0f} ms by the clock, in which others had the cores",
        ),
        Row(
            section=section, name="lateness of the hub's event loop, p99", unit="ms",
            measured=quantile(lags, 0.99) * 1000, note="from the hub's own metric, creating and destroying",
        ),
    ]  # fmt: skip


async def _timed(call: Awaitable[object]) -> float:
    started = time.perf_counter()
    await call
    return time.perf_counter() - started


def _median(seconds: list[float]) -> float:
    return statistics.median(seconds)


def _skipped(section: str, reason: str) -> Row:
    return Row(section=section, name="Docker agents", unit="s", note=f"skipped: {reason}")
