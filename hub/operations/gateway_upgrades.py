"""Operations on upgrades, backups and imports of OpenClaw gateways that the hub runs."""

from __future__ import annotations

from hub.contract import (
    BackupGateway,
    BackupList,
    ImportGateway,
    JobView,
    RestoredGateway,
    RestoreGateway,
    UpgradeGateway,
    UpgradeGateways,
)
from hub.core.view import job_view
from hub.errors import NotAvailable
from hub.operations.base import Operations


class GatewayUpgradeOperations(Operations):
    """See `hub.control.Control`."""

    async def upgrade_gateway(self, name: str, request: UpgradeGateway) -> JobView:
        return job_view(await self._inside.upgrades.upgrading.upgrade(name, request, self._who))

    async def upgrade_gateways(self, request: UpgradeGateways) -> JobView:
        return job_view(await self._inside.upgrades.many.start(request, self._who))

    async def roll_back_gateway(self, name: str) -> JobView:
        self._kernel.check_writable()
        return job_view(await self._inside.upgrades.upgrading.roll_back(name, self._who))

    async def backup_gateway(self, name: str, request: BackupGateway) -> JobView:
        raise NotAvailable("this version does not have backing gateways up yet")

    async def gateway_backups(self, name: str) -> BackupList:
        raise NotAvailable("this version does not have backing gateways up yet")

    async def delete_gateway_backup(self, backup_id: str) -> None:
        raise NotAvailable("this version does not have backing gateways up yet")

    async def restore_gateway(self, request: RestoreGateway) -> RestoredGateway:
        raise NotAvailable("this version does not have restoring gateways yet")

    async def import_gateway(self, request: ImportGateway) -> JobView:
        raise NotAvailable("this version does not have importing gateways yet")
