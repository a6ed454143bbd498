"""The part of `clawtui.remote.RemoteControl` for OpenClaw gateways that the hub runs, the proxy and Docker hosts."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator
from typing import Final

from msgspec.structs import replace

from clawtui.remote_calls import RemoteCalls, params, path, plain
from hub.contract import (
    AddHost,
    BackupGateway,
    BackupList,
    BuildGatewayImage,
    DestroyGateway,
    DestroyPlan,
    GatewayAct,
    GatewayHealthList,
    GatewayHealthQuery,
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

ALL_LINES: Final = 2**31 - 1
"""More than any log keeps, and what every part on the way takes for a number."""
LOOKS_SECONDS: Final = 60.0
"""A look at many gateways now: each of them may take twelve seconds, some at a time."""


class InstanceCalls(RemoteCalls):
    """See `hub.control.Control`."""

    async def tiers(self) -> TierList:
        return await self._get(TierList, "/tiers")

    async def provision_gateway(self, request: ProvisionGateway) -> ProvisionedGateway:
        return await self._post(ProvisionedGateway, "/instances", request)

    async def act_on_gateway(self, name: str, act: GatewayAct) -> JobView:
        return await self._post(JobView, path("gateways", name, act.value))

    async def inspect_gateways(self) -> GatewayInspection:
        return await self._get(GatewayInspection, "/instances/inspection", wait_seconds=LOOKS_SECONDS)

    async def plan_destroy_gateway(self, name: str) -> DestroyPlan:
        return await self._get(DestroyPlan, path("gateways", name, "destroy"))

    async def destroy_gateway(self, name: str, request: DestroyGateway) -> JobView:
        return await self._post(JobView, path("gateways", name, "destroy"), request)

    async def gateway_logs(self, name: str, query: LogQuery) -> AsyncGenerator[LogEntry, None]:
        if query.lines is None:
            # A parameter that is left out means its default, which is not "all".
            query = replace(query, lines=ALL_LINES)
        async with contextlib.aclosing(self._http.lines(path("gateways", name, "logs"), params(query))) as lines:
            async for line in lines:
                yield self._read(line, LogEntry)

    async def gateway_health(self, query: GatewayHealthQuery) -> GatewayHealthList:
        wait_seconds = LOOKS_SECONDS if query.now else 0.0
        return await self._get(GatewayHealthList, "/health/gateways", params(query), wait_seconds=wait_seconds)

    async def upgrade_gateway(self, name: str, request: UpgradeGateway) -> JobView:
        return await self._post(JobView, path("gateways", name, "upgrade"), request)

    async def upgrade_gateways(self, request: UpgradeGateways) -> JobView:
        return await self._post(JobView, "/instances/upgrade", request)

    async def roll_back_gateway(self, name: str) -> JobView:
        return await self._post(JobView, path("gateways", name, "rollback"))

    async def backup_gateway(self, name: str, request: BackupGateway) -> JobView:
        return await self._post(JobView, path("gateways", name, "backups"), request)

    async def gateway_backups(self, name: str) -> BackupList:
        return await self._get(BackupList, path("gateways", name, "backups") if name else "/instances/backups")

    async def delete_gateway_backup(self, backup_id: str) -> None:
        await self._http.call("DELETE", path("instances", "backups", backup_id))

    async def restore_gateway(self, request: RestoreGateway) -> RestoredGateway:
        return await self._post(RestoredGateway, "/instances/restore", request)

    async def import_gateway(self, request: ImportGateway) -> JobView:
        return await self._post(JobView, "/instances/import", request)

    async def gateway_images(self, query: GatewayImageQuery) -> GatewayImageList:
        return await self._get(GatewayImageList, "/gateway-images", params(query))

    async def build_gateway_image(self, request: BuildGatewayImage) -> JobView:
        return await self._post(JobView, "/gateway-images", request)

    async def ingress(self) -> IngressView:
        return await self._get(IngressView, "/ingress")

    async def apply_ingress(self) -> IngressView:
        body = await self._http.call("POST", "/ingress/apply", wait_seconds=LOOKS_SECONDS)
        return self._read(body, IngressView)

    async def hosts(self) -> HostList:
        return await self._get(HostList, "/hosts")

    async def add_host(self, request: AddHost) -> HostView:
        body = await self._http.call("POST", "/hosts", body=plain(request), wait_seconds=LOOKS_SECONDS)
        return self._read(body, HostView)

    async def remove_host(self, name: str) -> None:
        await self._http.call("DELETE", path("hosts", name))
