"""Upgrades of a running hub, put together."""

from __future__ import annotations

from collections.abc import Callable

from hub.archives.work import Workers
from hub.contract import GatewayState
from hub.core.instances import StoredInstance
from hub.core.model import Job
from hub.drivers.cells import Bounds
from hub.errors import BadRequest
from hub.gateways.backups.filling import Filling
from hub.gateways.backups.restoring import IMPORT, Restoring
from hub.gateways.backups.shelf import BackupShelf
from hub.gateways.backups.taking import KIND as BACKUP
from hub.gateways.backups.taking import Taking
from hub.gateways.instances.service import Instances
from hub.gateways.looks import Seen
from hub.gateways.upgrades.many import KIND as MANY
from hub.gateways.upgrades.many import Many
from hub.gateways.upgrades.policy import Patience
from hub.gateways.upgrades.swap import Swap
from hub.gateways.upgrades.upgrading import ROLLBACK, UPGRADE, Upgrading
from hub.jobs import Work


class Upgrades:
    """Also backups and what is made from them. Threads of its own: copying a state takes long, and nobody else shall
    wait for it."""

    def __init__(self, instances: Instances) -> None:
        self._room = room = instances.room
        self._workers = Workers("upgrades")
        timing = room.kernel.config.timing
        patience = Patience(
            ready_seconds=timing.instance_ready_seconds,
            steady_seconds=timing.instance_steady_seconds,
            look_seconds=timing.instance_poll_seconds,
        )
        bounds = Bounds()
        shelf = BackupShelf(room.kernel.config.state_folder)
        self.taking = Taking(room, shelf, self._workers, bounds)
        self.restoring = Restoring(room, instances.provisioning, self.taking, shelf, self._workers)
        instances.provisioning.fill = Filling(room, shelf, self._workers, bounds).fill
        swap = Swap(room, self._workers, patience, self._ask, bounds)
        self.upgrading = Upgrading(room, swap, self.taking)
        self.many = Many(room, self.upgrading)

    def close(self) -> None:
        self._workers.close()

    def resumers(self) -> dict[str, Callable[[Job], Work]]:
        """Who goes on with jobs that a killed hub left, by kind."""
        return {
            UPGRADE: self.upgrading.again,
            ROLLBACK: self.upgrading.again,
            MANY: self.many.again,
            BACKUP: self.taking.again,
            IMPORT: self.restoring.again,
        }

    async def _ask(self, instance: StoredInstance) -> Seen:
        """Look at the gateway beside the watch: what is tried out does not count for its figures."""
        gateways = self._room.gateways
        gateway = gateways.book.get(instance.name)
        try:
            token = await gateway.read_token()
        except BadRequest as exc:
            return Seen(state=GatewayState.REFUSED, reason=exc.message)
        return await gateways.client.probe(gateway.url, token, gateway.user)
