"""The routes of networks, Compose export and monitoring, and what each does. Part of the table in `hub.api.routes`."""

from __future__ import annotations

from typing import Final

from hub import contract
from hub.api.route import DRIVES, Call, Route
from hub.contract import ComposeExport, MonitoringFiles, NetworkList, NetworkView
from hub.control import Control
from hub.core.model import Role
from hub.errors import Conflict, DriverFailed, NotAvailable, NotFound

_VIEWER, _OPERATOR = Role.VIEWER, Role.OPERATOR


async def listed(control: Control, call: Call) -> NetworkList:
    return await control.networks(call.query)


async def create(control: Control, call: Call) -> NetworkView:
    return await control.create_network(call.body)


async def remove(control: Control, call: Call) -> None:
    await control.remove_network(call.path["name"])


async def connect(control: Control, call: Call) -> NetworkView:
    return await control.connect_network(call.path["name"], call.body.agent_id)


async def disconnect(control: Control, call: Call) -> NetworkView:
    return await control.disconnect_network(call.path["name"], call.body.agent_id)


async def export(control: Control, call: Call) -> ComposeExport:
    return await control.export_compose(call.body)


async def monitoring(control: Control, call: Call) -> MonitoringFiles:
    return await control.monitoring(call.query)


NETWORKS: Final = (
    Route(
        method="GET", path="/networks", role=_VIEWER, tag="networks", handler=listed, query=contract.NetworkQuery,
        response=contract.NetworkList, errors=(NotAvailable, DriverFailed),
        summary="List the networks that agents can be in, with who is in them",
    ),
    Route(
        method="POST", path="/networks", role=_OPERATOR, tag="networks", handler=create, status=201,
        request=contract.CreateNetwork, response=contract.NetworkView, errors=DRIVES,
        summary="Make a network for agents; the same one again is fine",
    ),
    Route(
        method="DELETE", path="/networks/{name}", role=_OPERATOR, tag="networks", handler=remove, status=204,
        errors=DRIVES, summary="Remove a network that a hub made and nobody uses",
    ),
    Route(
        method="POST", path="/networks/{name}/connect", role=_OPERATOR, tag="networks", handler=connect,
        request=contract.NetworkMember, response=contract.NetworkView, errors=(*DRIVES, NotFound),
        summary="Put an agent into one more network",
    ),
    Route(
        method="POST", path="/networks/{name}/disconnect", role=_OPERATOR, tag="networks", handler=disconnect,
        request=contract.NetworkMember, response=contract.NetworkView, errors=(*DRIVES, NotFound),
        summary="Take an agent out of a network; refused for the one through which it reaches its hub",
    ),
    Route(
        method="POST", path="/compose", role=_OPERATOR, tag="compose", handler=export,
        request=contract.ExportCompose, response=contract.ComposeExport, errors=(*DRIVES, NotFound),
        summary="Agents, living or planned, as a Compose file; with a join token each, shown once",
    ),
    Route(
        method="GET", path="/monitoring", role=_VIEWER, tag="compose", handler=monitoring,
        query=contract.MonitoringQuery, response=contract.MonitoringFiles, errors=(Conflict,),
        summary="Prometheus, Grafana and cAdvisor for this hub, as the files of a Compose folder",
    ),
)  # fmt: skip
