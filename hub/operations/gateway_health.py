"""Operations on the health of OpenClaw gateways."""

from __future__ import annotations

from hub.contract import GatewayHealthList, GatewayHealthQuery
from hub.errors import NotAvailable
from hub.operations.base import Operations


class GatewayHealthOperations(Operations):
    """See `hub.control.Control`."""

    async def gateway_health(self, query: GatewayHealthQuery) -> GatewayHealthList:
        raise NotAvailable("this version does not have the health of gateways over time yet")
