"""How the agent is: from cgroup files in a container, else from its own process tree and the host."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

import psutil

from runtime import wire
from runtime.wire import AttemptId, Health

JITTER_FRACTION: Final = 0.1
"""Reports of a fleet must not fall into step (anchors: 30 s +- 10 %)."""
CONTAINER_SIGNS: Final = (Path("/.dockerenv"), Path("/run/.containerenv"))
"""Files that Docker and Podman put into every container."""
UNLIMITED_BYTES: Final = 1 << 60
"""cgroup v1 writes a huge number where there is no limit."""


class Source(Protocol):
    """Where processor, memory and process numbers come from."""

    def cpu_seconds(self) -> float: ...
    def cpu_limit(self) -> float | None: ...
    def memory(self) -> tuple[int, int | None]: ...
    def processes(self) -> int: ...


class CgroupV2:
    """A container's own cgroup, unified hierarchy."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def cpu_seconds(self) -> float:
        return _fields(self._root / "cpu.stat").get("usage_usec", 0) / 1e6

    def cpu_limit(self) -> float | None:
        quota, _, period = _text(self._root / "cpu.max").partition(" ")
        return int(quota) / int(period) if quota.isdigit() and period.isdigit() else None

    def memory(self) -> tuple[int, int | None]:
        # Inactive file cache is given back under pressure: what `docker stats` shows leaves it out.
        used = _number(self._root / "memory.current") or 0
        used -= _fields(self._root / "memory.stat").get("inactive_file", 0)
        return max(used, 0), _number(self._root / "memory.max")

    def processes(self) -> int:
        return _number(self._root / "pids.current") or 0


class CgroupV1:
    """A container's own cgroup, one hierarchy per controller."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def cpu_seconds(self) -> float:
        return (_number(self._root / "cpuacct/cpuacct.usage") or 0) / 1e9

    def cpu_limit(self) -> float | None:
        quota = _number(self._root / "cpu/cpu.cfs_quota_us")
        period = _number(self._root / "cpu/cpu.cfs_period_us")
        return quota / period if quota and period and quota > 0 else None

    def memory(self) -> tuple[int, int | None]:
        used = _number(self._root / "memory/memory.usage_in_bytes") or 0
        used -= _fields(self._root / "memory/memory.stat").get("total_inactive_file", 0)
        limit = _number(self._root / "memory/memory.limit_in_bytes")
        return max(used, 0), limit if limit is not None and limit < UNLIMITED_BYTES else None

    def processes(self) -> int:
        return _number(self._root / "pids/pids.current") or 0


class ProcessTree:
    """This process and its descendants, as psutil sees them; the limits are the host's."""

    def __init__(self) -> None:
        self._self = psutil.Process()
        self._ended_seconds = 0.0
        self._last: dict[psutil.Process, float] = {}

    def cpu_seconds(self) -> float:
        now: dict[psutil.Process, float] = {}
        for process in self._tree():
            try:
                times = process.cpu_times()
            except psutil.Error:
                continue
            now[process] = times.user + times.system
        # What an ended process used must not make the sum go back.
        self._ended_seconds += sum(used for process, used in self._last.items() if process not in now)
        self._last = now
        return self._ended_seconds + sum(now.values())

    def cpu_limit(self) -> float | None:
        return float(os.cpu_count() or 1)

    def memory(self) -> tuple[int, int | None]:
        used = 0
        for process in self._tree():
            try:
                used += process.memory_info().rss
            except psutil.Error:
                continue
        return used, psutil.virtual_memory().total

    def processes(self) -> int:
        return len(self._tree())

    def _tree(self) -> list[psutil.Process]:
        try:
            return [self._self, *self._self.children(recursive=True)]
        except psutil.Error:
            return [self._self]


def owns_container(signs: tuple[Path, ...] = CONTAINER_SIGNS, session: int | None = None) -> bool:
    """Return whether the container that this runs in is the agent's own.

    A container's first process leads session 1 and shares it with what its init starts; a process
    agent of a hub that itself lives in a container has a session of its own.
    """
    return any(sign.exists() for sign in signs) and (os.getsid(0) if session is None else session) == 1


def choose_source(cgroup: Path = Path("/sys/fs/cgroup"), *, in_container: bool | None = None) -> Source:
    """Return the cgroup of the agent's own container, or its process tree outside of one."""
    if owns_container() if in_container is None else in_container:
        if (cgroup / "memory.current").exists():
            return CgroupV2(cgroup)
        if (cgroup / "memory/memory.usage_in_bytes").exists():
            return CgroupV1(cgroup)
    return ProcessTree()


class Sampler:
    """Takes health samples. Blocking (files, process table): for a worker thread, one at a time."""

    def __init__(self, workspace: Path, source: Source | None = None) -> None:
        self._workspace = workspace
        self._source = source if source is not None else choose_source()
        self._started = time.monotonic()
        self._network_base = _network()
        self._cpu_at: tuple[float, float] | None = None

    def sample(self, running: list[AttemptId]) -> Health:
        """Return the numbers of now; processor use is the mean since the last sample."""
        used, limit = self._source.memory()
        now, cpu_seconds = time.monotonic(), self._source.cpu_seconds()
        cores = 0.0
        if self._cpu_at is not None and now > self._cpu_at[0]:
            cores = max(cpu_seconds - self._cpu_at[1], 0.0) / (now - self._cpu_at[0])
        self._cpu_at = (now, cpu_seconds)
        received, sent = _network()
        return Health(
            cpu=wire.Cpu(round(cores, 3), self._source.cpu_limit()),
            memory=wire.Memory(used, limit),
            disk=self._disk(),
            network=wire.Network(max(received - self._network_base[0], 0), max(sent - self._network_base[1], 0)),
            load=round(os.getloadavg()[0], 2),
            processes=self._source.processes(),
            uptime_seconds=round(now - self._started, 1),
            running=running,
        )

    def _disk(self) -> wire.Disk | None:
        try:
            usage = shutil.disk_usage(self._workspace)
        except OSError:
            return None
        return wire.Disk(usage.used, usage.total)


class HealthReporter:
    """Sends health: after a welcome, at the hub's interval, and more often while somebody looks.

    Args:
        send: queues a health message if the hub has welcomed us.
        running: the attempts that execute now.
    """

    def __init__(
        self,
        sampler: Sampler,
        send: Callable[[Health], None],
        running: Callable[[], list[AttemptId]],
        chance: random.Random,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sampler = sampler
        self._send = send
        self._running = running
        self._chance = chance
        self._clock = clock
        self._interval_seconds = wire.Welcome().health_interval_seconds
        self._watch_seconds: float | None = None
        self._watch_until = 0.0
        self._wake = asyncio.Event()

    def welcomed(self, interval_seconds: float) -> None:
        """Report now, and then every `interval_seconds` +-10 %."""
        self._interval_seconds = max(interval_seconds, 0.05)
        self._wake.set()

    def watched(self, watch: wire.Watch) -> None:
        """Report more often for a while."""
        self._watch_seconds = max(watch.interval_seconds, 0.2)
        self._watch_until = self._clock() + watch.ttl_seconds
        self._wake.set()

    def next_pause(self) -> float:
        """Return the seconds until the next report."""
        if self._watch_seconds is not None and self._clock() < self._watch_until:
            return min(self._watch_seconds, self._interval_seconds)
        return self._interval_seconds * self._chance.uniform(1 - JITTER_FRACTION, 1 + JITTER_FRACTION)

    async def run(self) -> None:
        """Report until cancelled."""
        await self._wake.wait()
        while True:
            self._wake.clear()
            self._send(await asyncio.to_thread(self._sampler.sample, self._running()))
            try:
                async with asyncio.timeout(self.next_pause()):
                    await self._wake.wait()
            except TimeoutError:
                continue


def _network() -> tuple[int, int]:
    """Return bytes received and sent by this network namespace, without loopback."""
    received = sent = 0
    for name, counters in psutil.net_io_counters(pernic=True).items():
        if not name.startswith("lo"):
            received += counters.bytes_recv
            sent += counters.bytes_sent
    return received, sent


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _number(path: Path) -> int | None:
    text = _text(path)
    return int(text) if text.lstrip("-").isdigit() else None


def _fields(path: Path) -> dict[str, int]:
    pairs = (line.split() for line in _text(path).splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}
