"""The routes of OpenClaw gateways and of messages to their personas, and what each does. Part of the table in
`hub.api.routes`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from hub import contract
from hub.api.route import Call, Route, Streaming
from hub.contract import GatewayList, GatewayView, MessageChunk
from hub.control import Control
from hub.core.model import Role
from hub.errors import Conflict, DriverFailed, NotAvailable, NotFound, QueueFull, StorageFull

_VIEWER, _ADMIN = Role.VIEWER, Role.ADMIN


async def listed(control: Control, call: Call) -> GatewayList:
    return await control.gateways()


async def shown(control: Control, call: Call) -> GatewayView:
    return await control.gateway(call.path["name"])


async def add(control: Control, call: Call) -> GatewayView:
    return await control.add_gateway(call.body)


async def remove(control: Control, call: Call) -> None:
    await control.remove_gateway(call.path["name"])


async def sync_on(control: Control, call: Call) -> GatewayView:
    return await control.set_gateway_sync(call.path["name"], call.body)


async def sync_off(control: Control, call: Call) -> GatewayView:
    return await control.set_gateway_sync(call.path["name"], None)


async def message(control: Control, call: Call) -> AsyncIterator[MessageChunk]:
    return control.message(call.body)


GATEWAYS: Final = (
    Route(
        method="GET", path="/gateways", role=_VIEWER, tag="gateways", handler=listed, response=contract.GatewayList,
        summary="List OpenClaw gateways, as they were seen last",
    ),
    Route(
        method="POST", path="/gateways", role=_ADMIN, tag="gateways", handler=add, status=201,
        request=contract.AddGateway, response=contract.GatewayView, errors=(Conflict, StorageFull),
        summary="Name a gateway that runs already; the same one again is fine",
    ),
    Route(
        method="GET", path="/gateways/{name}", role=_VIEWER, tag="gateways", handler=shown,
        response=contract.GatewayView, summary="Look at a gateway now, and show it",
    ),
    Route(
        method="DELETE", path="/gateways/{name}", role=_ADMIN, tag="gateways", handler=remove, status=204,
        errors=(Conflict, StorageFull), summary="Forget a gateway; it and its files stay as they are",
    ),
    Route(
        method="PUT", path="/gateways/{name}/sync", role=_ADMIN, tag="gateways", handler=sync_on,
        request=contract.SyncSettings, response=contract.GatewayView, errors=(Conflict, StorageFull),
        summary="Keep a gateway's workspaces and config in step with a source of personas",
    ),
    Route(
        method="DELETE", path="/gateways/{name}/sync", role=_ADMIN, tag="gateways", handler=sync_off,
        response=contract.GatewayView, errors=(Conflict, StorageFull),
        summary="Leave a gateway's files as they are from now on",
    ),
    Route(
        method="POST", path="/messages", role=Role.OPERATOR, tag="gateways", handler=message,
        request=contract.SendMessage, response=contract.MessageChunk, streaming=Streaming.NDJSON,
        errors=(NotFound, Conflict, QueueFull, NotAvailable, DriverFailed, StorageFull),
        summary="Say something to a persona, and hear its answer piece by piece",
    ),
)  # fmt: skip
