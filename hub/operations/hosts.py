"""Operations on Docker hosts."""

from __future__ import annotations

from hub.contract import AddHost, HostList, HostView
from hub.operations.base import Operations


class HostOperations(Operations):
    """See `hub.control.Control`."""

    async def hosts(self) -> HostList:
        return HostList(hosts=await self._inside.hosts.views())

    async def add_host(self, request: AddHost) -> HostView:
        return await self._inside.hosts.add(request, self._who)

    async def remove_host(self, name: str) -> None:
        await self._inside.hosts.remove(name, self._who)
