"""Operations on OpenClaw gateways that exist."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator

from hub.contract import AddGateway, GatewayList, GatewayView, MessageChunk, SendMessage, SyncSettings
from hub.errors import HubError
from hub.gateways.book import Gateway
from hub.gateways.failures import not_sent
from hub.operations.base import Operations


class GatewayOperations(Operations):
    """See `hub.control.Control`. The book writes the audit, in one commit with the change."""

    async def gateways(self) -> GatewayList:
        instances = self._inside.instances
        known = {one.name: self._view(one) for one in self._inside.gateways.book.all()}
        # One that is being made is a gateway only when it runs.
        coming = {one.name: instances.coming(one) for one in instances.room.book.all() if one.name not in known}
        return GatewayList(gateways=[view for _, view in sorted({**known, **coming}.items())])

    async def gateway(self, name: str) -> GatewayView:
        instances = self._inside.instances
        instance = instances.room.book.find(name)
        if instance is not None:
            with contextlib.suppress(HubError):
                # How its engine is stands in the answer only as far as it can be asked.
                await instances.room.look(instance)
            if self._inside.gateways.book.find(name) is None:
                return instances.coming(instance)
        return await self._seen(self._inside.gateways.book.get(name))

    async def add_gateway(self, request: AddGateway) -> GatewayView:
        self._kernel.check_writable()
        return await self._seen(await self._inside.gateways.book.add(request, self._who))

    async def remove_gateway(self, name: str) -> None:
        self._kernel.check_writable()
        await self._inside.gateways.book.remove(name, self._who)

    async def set_gateway_sync(self, name: str, settings: SyncSettings | None) -> GatewayView:
        self._kernel.check_writable()
        gateways = self._inside.gateways
        gateway = await gateways.book.set_sync(name, settings, self._who)
        self._inside.sync.again(name)
        return self._view(gateway)

    async def message(self, request: SendMessage) -> AsyncGenerator[MessageChunk]:
        self._kernel.check_writable()
        deadline = asyncio.get_running_loop().time() + request.timeout_seconds
        # A persona answers as itself only when its gateway has its files.
        gateway = request.to.partition("/")[0]
        try:
            async with asyncio.timeout_at(deadline):
                await self._inside.sync.first_run(gateway)
        except TimeoutError as exc:
            raise not_sent(request.timeout_seconds, gateway, "was not synced for the first time") from exc
        async with contextlib.aclosing(self._inside.gateways.messenger.send(request, self._who, deadline)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def _seen(self, gateway: Gateway) -> GatewayView:
        """Look at it now, so that whoever asks is told how it is and not how it was."""
        await self._inside.gateways.watch.look(gateway)
        return self._view(gateway)

    def _view(self, gateway: Gateway) -> GatewayView:
        return self._inside.instances.shown(self._inside.gateways.watch.view(gateway))
