"""Operations on OpenClaw gateways that the hub runs: tiers, provisioning, start, stop, restart, destroy, logs."""

from __future__ import annotations

from collections.abc import AsyncIterator

from hub.contract import (
    DestroyGateway,
    DestroyPlan,
    GatewayAct,
    JobView,
    LogEntry,
    LogQuery,
    ProvisionedGateway,
    ProvisionGateway,
    TierList,
)
from hub.errors import NotAvailable
from hub.operations.base import Operations

_NOT_YET = "this version does not run gateways yet"


class InstanceOperations(Operations):
    """See `hub.control.Control`."""

    async def tiers(self) -> TierList:
        raise NotAvailable(_NOT_YET)

    async def provision_gateway(self, request: ProvisionGateway) -> ProvisionedGateway:
        raise NotAvailable(_NOT_YET)

    async def act_on_gateway(self, name: str, act: GatewayAct) -> JobView:
        raise NotAvailable(_NOT_YET)

    async def plan_destroy_gateway(self, name: str) -> DestroyPlan:
        raise NotAvailable(_NOT_YET)

    async def destroy_gateway(self, name: str, request: DestroyGateway) -> JobView:
        raise NotAvailable(_NOT_YET)

    def gateway_logs(self, name: str, query: LogQuery) -> AsyncIterator[LogEntry]:
        raise NotAvailable(_NOT_YET)
