"""The part of `clawtui.remote.RemoteControl` for OpenClaw gateways and messages to their personas."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator

from clawtui.remote_calls import RemoteCalls, path, plain
from hub.contract import AddGateway, GatewayList, GatewayView, MessageChunk, SendMessage, SyncSettings

LOOK_SECONDS = 15.0
"""The hub gives up a look at a gateway after twelve."""


class GatewayCalls(RemoteCalls):
    """See `hub.control.Control`."""

    async def gateways(self) -> GatewayList:
        return await self._get(GatewayList, "/gateways")

    async def gateway(self, name: str) -> GatewayView:
        return await self._get(GatewayView, path("gateways", name), wait_seconds=LOOK_SECONDS)

    async def add_gateway(self, request: AddGateway) -> GatewayView:
        body = await self._http.call("POST", "/gateways", body=plain(request), wait_seconds=LOOK_SECONDS)
        return self._read(body, GatewayView)

    async def remove_gateway(self, name: str) -> None:
        await self._http.call("DELETE", path("gateways", name))

    async def set_gateway_sync(self, name: str, settings: SyncSettings | None) -> GatewayView:
        where = path("gateways", name, "sync")
        if settings is None:
            return self._read(await self._http.call("DELETE", where), GatewayView)
        return self._read(await self._http.call("PUT", where, body=plain(settings)), GatewayView)

    async def message(self, request: SendMessage) -> AsyncGenerator[MessageChunk, None]:
        # The answer begins when the gateway has begun, which may be after other messages of the same session.
        lines = self._http.lines("/messages", body=plain(request), wait_seconds=request.timeout_seconds)
        async with contextlib.aclosing(lines):
            async for line in lines:
                yield self._read(line, MessageChunk)
