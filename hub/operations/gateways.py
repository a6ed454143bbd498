"""Operations on OpenClaw gateways that exist."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator

from hub.contract import AddGateway, GatewayList, GatewayView, MessageChunk, SendMessage, SyncSettings
from hub.gateways.book import Gateway
from hub.gateways.failures import not_sent
from hub.operations.base import Operations


class GatewayOperations(Operations):
    """See `hub.control.Control`. The book writes the audit, in one commit with the change."""

    async def gateways(self) -> GatewayList:
        gateways = self._inside.gateways
        return GatewayList(gateways=[gateways.watch.view(one) for one in gateways.book.all()])

    async def gateway(self, name: str) -> GatewayView:
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
        return gateways.watch.view(gateway)

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
        return self._inside.gateways.watch.view(gateway)
