"""What goes on with gateways while a hub runs: looks, sync, and everything about those that it runs itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from hub.acts import Acts
from hub.driverset import DriverSet
from hub.gateways.ingress.service import IngressDesk
from hub.gateways.instances.service import Instances
from hub.gateways.monitor.service import make_monitor
from hub.gateways.service import Gateways
from hub.gateways.upgrades.service import Upgrades
from hub.hosts.desk import HostDesk
from hub.jobs import Jobs
from hub.kernel import Kernel
from hub.metrics import Metrics
from hub.registry.checks_store import ChecksStore
from hub.sync.desk import SyncDesk


class Running:
    """Instances, the hosts they are on, their monitor, upgrades and ingress. Their unfinished jobs go on through
    `acts`."""

    def __init__(
        self, kernel: Kernel, drivers: DriverSet, jobs: Jobs, acts: Acts, gateways: Gateways, sync: SyncDesk,
        group: asyncio.TaskGroup,
    ) -> None:  # fmt: skip
        self._gateways, self._sync = gateways, sync
        self.instances = Instances(kernel, drivers, jobs, gateways)
        self.hosts = HostDesk(kernel, self.instances.room, group)
        self.upgrades = Upgrades(self.instances)
        self.monitor = make_monitor(kernel, gateways, self.instances)
        book = self.instances.room.book
        self.ingress = IngressDesk(kernel, gateways, book.all)
        book.on_change(self.ingress.changed)
        acts.resumers |= self.instances.resumers() | self.upgrades.resumers()

    @property
    def measures(self) -> tuple[Callable[[Metrics], None], ...]:
        gateways = self._gateways
        looks = (gateways.watch.measure, gateways.history.measure)
        return *looks, self._sync.measure, self.monitor.measure, self.ingress.measure

    async def open(self, checks: ChecksStore | None) -> None:
        """Read what the registry has. Raises HubError."""
        await self.instances.open()
        await self.hosts.open()
        await self.monitor.open(checks)

    def loops(self) -> dict[str, Coroutine[Any, Any, None]]:
        """What goes on until it is cancelled, by name."""
        return {
            "sync": self._sync.run(),
            "gateways": self._watch(),
            "checks": self._gateways.history.run(),
            "monitor": self.monitor.run(),
            "ingress": self.ingress.run(),
        }

    async def _watch(self) -> None:
        """A gateway has its files before anything of the hub but their sync talks to it."""
        await self._sync.first_runs()
        await self._gateways.run()

    async def close(self) -> None:
        self.upgrades.close()
        await self.hosts.close()
