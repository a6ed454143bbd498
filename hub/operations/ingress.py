"""Operations on the reverse proxy in front of OpenClaw gateways."""

from __future__ import annotations

from hub.contract import IngressView
from hub.operations.base import Operations


class IngressOperations(Operations):
    """See `hub.control.Control`."""

    async def ingress(self) -> IngressView:
        return self._inside.ingress.view()

    async def apply_ingress(self) -> IngressView:
        async with self._audited("ingress.apply", self._inside.ingress.layout.settings.kind):
            return await self._inside.ingress.apply()
