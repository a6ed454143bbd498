"""Operations on upgrades, backups and imports of OpenClaw gateways that the hub runs."""

from __future__ import annotations

from hub.contract import (
    BackupGateway,
    BackupList,
    BackupView,
    ImportGateway,
    JobView,
    RestoredGateway,
    RestoreGateway,
    UpgradeGateway,
    UpgradeGateways,
)
from hub.core.instances import StoredBackup
from hub.core.view import job_view, rfc3339
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
        return job_view(await self._inside.upgrades.taking.start(name, pause=request.pause, by=self._who))

    async def gateway_backups(self, name: str) -> BackupList:
        found = await self._inside.upgrades.taking.listed(name)
        return BackupList(backups=[backup_view(one) for one in found])

    async def delete_gateway_backup(self, backup_id: str) -> None:
        await self._inside.upgrades.taking.delete(backup_id, self._who)

    async def restore_gateway(self, request: RestoreGateway) -> RestoredGateway:
        self._kernel.check_writable()
        job, credentials = await self._inside.upgrades.restoring.restore(request, self._who)
        return RestoredGateway(job=job_view(job), credentials=credentials)

    async def import_gateway(self, request: ImportGateway) -> JobView:
        return job_view(await self._inside.upgrades.restoring.take_in(request, self._who))


def backup_view(backup: StoredBackup) -> BackupView:
    """Return a backup as front ends show it."""
    return BackupView(
        id=backup.id,
        gateway=backup.gateway,
        created_at=rfc3339(backup.created_at) or "",
        size_bytes=backup.size_bytes,
        files=backup.files,
        image=backup.image,
        tier=backup.tier,
        consistency=backup.consistency,
        path=backup.path,
    )
