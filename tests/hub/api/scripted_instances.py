"""The part of the scripted hub that answers for gateways that the hub runs, their ingress, images and hosts."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator
from typing import Any, Final

from hub.contract import (
    AddHost,
    BackupGateway,
    BackupList,
    BuildGatewayImage,
    Credentials,
    DestroyGateway,
    DestroyPlan,
    GatewayAct,
    GatewayImageList,
    GatewayImageQuery,
    GatewayInspection,
    HostList,
    HostView,
    ImportGateway,
    IngressView,
    JobView,
    LogEntry,
    LogQuery,
    ProvisionedGateway,
    ProvisionGateway,
    RestoredGateway,
    RestoreGateway,
    TierList,
    UpgradeGateway,
    UpgradeGateways,
)

CREDENTIALS: Final = Credentials(url="http://127.0.0.1:19100", token="once-only-token")


def instance_answers(job: JobView, log: AsyncIterable[LogEntry]) -> dict[str, Any]:
    """A hub that could run gateways and has none yet. `job`: what every act answers."""
    acts = (
        "act_on_gateway", "destroy_gateway", "upgrade_gateway", "upgrade_gateways", "roll_back_gateway",
        "backup_gateway", "import_gateway", "build_gateway_image",
    )  # fmt: skip
    return {
        **dict.fromkeys(acts, job),
        "tiers": TierList(tiers=[]),
        "provision_gateway": ProvisionedGateway(job=job, credentials=CREDENTIALS),
        "inspect_gateways": GatewayInspection(gateways=[], findings=[]),
        "plan_destroy_gateway": DestroyPlan(name="main", objects=["container openclaw-cell-main"]),
        "gateway_logs": log,
        "gateway_backups": BackupList(backups=[]),
        "delete_gateway_backup": None,
        "restore_gateway": RestoredGateway(job=job, credentials=CREDENTIALS),
        "ingress": IngressView(),
        "apply_ingress": IngressView(),
        "gateway_images": GatewayImageList(images=[]),
        "hosts": HostList(hosts=[]),
        "add_host": HostView(name="far", url="ssh://me@far", usable=True),
        "remove_host": None,
    }


class ScriptedInstances:
    """Answers out of `instance_answers`, and keeps what it was called with."""

    def _note(self, method: str, *given: Any) -> Any:
        raise NotImplementedError

    async def tiers(self) -> TierList:
        return self._note("tiers")

    async def provision_gateway(self, request: ProvisionGateway) -> ProvisionedGateway:
        return self._note("provision_gateway", request)

    async def act_on_gateway(self, name: str, act: GatewayAct) -> JobView:
        return self._note("act_on_gateway", name, act)

    async def inspect_gateways(self) -> GatewayInspection:
        return self._note("inspect_gateways")

    async def plan_destroy_gateway(self, name: str) -> DestroyPlan:
        return self._note("plan_destroy_gateway", name)

    async def destroy_gateway(self, name: str, request: DestroyGateway) -> JobView:
        return self._note("destroy_gateway", name, request)

    def gateway_logs(self, name: str, query: LogQuery) -> AsyncIterator[LogEntry]:
        return aiter(self._note("gateway_logs", name, query))

    async def upgrade_gateway(self, name: str, request: UpgradeGateway) -> JobView:
        return self._note("upgrade_gateway", name, request)

    async def upgrade_gateways(self, request: UpgradeGateways) -> JobView:
        return self._note("upgrade_gateways", request)

    async def roll_back_gateway(self, name: str) -> JobView:
        return self._note("roll_back_gateway", name)

    async def backup_gateway(self, name: str, request: BackupGateway) -> JobView:
        return self._note("backup_gateway", name, request)

    async def gateway_backups(self, name: str) -> BackupList:
        return self._note("gateway_backups", name)

    async def delete_gateway_backup(self, backup_id: str) -> None:
        return self._note("delete_gateway_backup", backup_id)

    async def restore_gateway(self, request: RestoreGateway) -> RestoredGateway:
        return self._note("restore_gateway", request)

    async def import_gateway(self, request: ImportGateway) -> JobView:
        return self._note("import_gateway", request)

    async def ingress(self) -> IngressView:
        return self._note("ingress")

    async def apply_ingress(self) -> IngressView:
        return self._note("apply_ingress")

    async def gateway_images(self, query: GatewayImageQuery) -> GatewayImageList:
        return self._note("gateway_images", query)

    async def build_gateway_image(self, request: BuildGatewayImage) -> JobView:
        return self._note("build_gateway_image", request)

    async def hosts(self) -> HostList:
        return self._note("hosts")

    async def add_host(self, request: AddHost) -> HostView:
        return self._note("add_host", request)

    async def remove_host(self, name: str) -> None:
        return self._note("remove_host", name)
