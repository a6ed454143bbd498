"""Operations on Docker hosts."""

from __future__ import annotations

from hub.contract import AddHost, HostList, HostView
from hub.errors import NotAvailable
from hub.operations.base import Operations


class HostOperations(Operations):
    """See `hub.control.Control`."""

    async def hosts(self) -> HostList:
        raise NotAvailable("this version does not have further Docker hosts yet")

    async def add_host(self, request: AddHost) -> HostView:
        raise NotAvailable("this version does not have further Docker hosts yet")

    async def remove_host(self, name: str) -> None:
        raise NotAvailable("this version does not have further Docker hosts yet")
