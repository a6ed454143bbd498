"""The hub's own periodic care: loop lag, dead peers, platforms' answers, retention."""

from __future__ import annotations

import asyncio
import resource
from contextlib import AbstractContextManager

import structlog

from hub.core.model import TERMINAL
from hub.driverset import DriverSet
from hub.errors import HubError
from hub.kernel import Kernel
from hub.sampling import Sampler
from hub.stats import Stats
from hub.surviving import surviving

LAG_SECONDS = 0.1
"""How often the loop's lateness is measured."""
LAG_MEMORY = 0.9
"""Weight of the past in the lag that is shown: a stall stays visible for about a second."""
PEER_SECONDS = 1.0
PROBE_SECONDS = 30.0
DAY_MS = 86_400_000
MOST_FILES = 65_536
"""Enough for several times the agents that one hub serves."""

log = structlog.get_logger("hub.upkeep")


def raise_file_limit() -> int:
    """Let this process open as many files as its agents need; returns how many that is.

    The usual soft limit of 1,024 is used up by as many agents. Programs that still use `select`
    are the reason for that default; the hub does not, and agents' tasks are bounded by `MOST_FILES`.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return soft
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted


class Upkeep:
    """Loops that run as long as the hub. Each ends by cancellation."""

    def __init__(self, kernel: Kernel, drivers: DriverSet, stats: Stats) -> None:
        self._kernel = kernel
        self._drivers = drivers
        self._sampler = Sampler(kernel, drivers, stats)
        self._measured = False
        """How much output there is has been found out."""
        self.loop_lag_seconds = 0.0

    def start(self, group: asyncio.TaskGroup) -> list[asyncio.Task[None]]:
        loops = (self._lag, self._peers, self._platforms, self._retention, self._sampler.run)
        return [group.create_task(loop(), name=loop.__name__) for loop in loops]

    def _surviving(self, event: str, harm: str) -> AbstractContextManager[None]:
        return surviving(self._kernel.notices, self._kernel.now, event, harm)

    async def _lag(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            expected = loop.time() + LAG_SECONDS
            await asyncio.sleep(LAG_SECONDS)
            lag = max(0.0, loop.time() - expected)
            self._kernel.metrics.loop_lag(lag)
            self.loop_lag_seconds = max(lag, self.loop_lag_seconds * LAG_MEMORY)

    async def _peers(self) -> None:
        timing = self._kernel.config.timing
        while True:
            await asyncio.sleep(PEER_SECONDS)
            with self._surviving("peers_broken", "dead connections are not noticed"):
                self._kernel.links.check_alive(timing.ping_seconds, timing.pong_seconds)

    async def _platforms(self) -> None:
        while True:
            with self._surviving("probe_broken", "platforms are not asked whether they can be used"):
                await self._drivers.probe()
            await asyncio.sleep(PROBE_SECONDS)

    async def _retention(self) -> None:
        while True:
            with self._surviving("retention_broken", "old tasks and output are not removed"):
                await self._tidy()
            await asyncio.sleep(self._kernel.config.timing.retention_seconds)

    async def _tidy(self) -> None:
        try:
            if not self._measured:
                await self._kernel.output.measure()
                self._measured = True
            await self._purge()
        except HubError as exc:
            log.warning("retention_failed", error=exc.message)

    async def _purge(self) -> None:
        kernel = self._kernel
        retention, now_ms = kernel.config.retention, kernel.now().wall_ms
        purged = await kernel.registry.purge(now_ms, retention)
        kernel.fleet.dispatcher.forget(purged.task_ids)
        kernel.push(kernel.fleet.identity.purge(now_ms - int(retention.task_days * DAY_MS)))
        await kernel.output.remove(purged.task_ids)
        book = kernel.fleet.dispatcher.book.tasks
        still_open = {task.id for task in book.values() if task.state not in TERMINAL}
        before = now_ms - int(retention.output_days * DAY_MS)
        await kernel.output.purge(before, retention.output_bytes, still_open)
