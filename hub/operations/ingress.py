"""Operations on the reverse proxy in front of OpenClaw gateways."""

from __future__ import annotations

from hub.contract import IngressView
from hub.errors import NotAvailable
from hub.operations.base import Operations


class IngressOperations(Operations):
    """See `hub.control.Control`."""

    async def ingress(self) -> IngressView:
        raise NotAvailable("this version does not have the ingress yet")

    async def apply_ingress(self) -> IngressView:
        raise NotAvailable("this version does not have the ingress yet")
