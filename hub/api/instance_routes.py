"""The routes of OpenClaw gateways that the hub runs, of the proxy in front of them and of Docker hosts, and what each
does. Part of the table in `hub.api.routes`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from hub import contract
from hub.api.route import DRIVES, Call, Handler, Route, Streaming
from hub.contract import (
    BackupList,
    DestroyPlan,
    GatewayAct,
    GatewayHealthList,
    GatewayImageList,
    GatewayInspection,
    HostList,
    HostView,
    IngressView,
    JobView,
    LogEntry,
    ProvisionedGateway,
    RestoredGateway,
    TierList,
)
from hub.control import Control
from hub.core.model import Role
from hub.errors import Conflict, DriverFailed, NotAvailable, NotFound, StorageFull

_VIEWER, _OPERATOR, _ADMIN = Role.VIEWER, Role.OPERATOR, Role.ADMIN


async def tiers(control: Control, call: Call) -> TierList:
    return await control.tiers()


async def provision(control: Control, call: Call) -> ProvisionedGateway:
    return await control.provision_gateway(call.body)


def act(what: GatewayAct) -> Handler:
    async def handle(control: Control, call: Call) -> JobView:
        return await control.act_on_gateway(call.path["name"], what)

    return handle


async def inspect(control: Control, call: Call) -> GatewayInspection:
    return await control.inspect_gateways()


async def plan_destroy(control: Control, call: Call) -> DestroyPlan:
    return await control.plan_destroy_gateway(call.path["name"])


async def destroy(control: Control, call: Call) -> JobView:
    return await control.destroy_gateway(call.path["name"], call.body)


async def logs(control: Control, call: Call) -> AsyncIterator[LogEntry]:
    return control.gateway_logs(call.path["name"], call.query)


async def health(control: Control, call: Call) -> GatewayHealthList:
    return await control.gateway_health(call.query)


async def upgrade(control: Control, call: Call) -> JobView:
    return await control.upgrade_gateway(call.path["name"], call.body)


async def upgrade_many(control: Control, call: Call) -> JobView:
    return await control.upgrade_gateways(call.body)


async def roll_back(control: Control, call: Call) -> JobView:
    return await control.roll_back_gateway(call.path["name"])


async def backup(control: Control, call: Call) -> JobView:
    return await control.backup_gateway(call.path["name"], call.body)


async def backups(control: Control, call: Call) -> BackupList:
    return await control.gateway_backups(call.path.get("name", ""))


async def delete_backup(control: Control, call: Call) -> None:
    await control.delete_gateway_backup(call.path["backup_id"])


async def restore(control: Control, call: Call) -> RestoredGateway:
    return await control.restore_gateway(call.body)


async def take_in(control: Control, call: Call) -> JobView:
    return await control.import_gateway(call.body)


async def images(control: Control, call: Call) -> GatewayImageList:
    return await control.gateway_images(call.query)


async def build_image(control: Control, call: Call) -> JobView:
    return await control.build_gateway_image(call.body)


async def ingress(control: Control, call: Call) -> IngressView:
    return await control.ingress()


async def apply_ingress(control: Control, call: Call) -> IngressView:
    return await control.apply_ingress()


async def hosts(control: Control, call: Call) -> HostList:
    return await control.hosts()


async def add_host(control: Control, call: Call) -> HostView:
    return await control.add_host(call.body)


async def remove_host(control: Control, call: Call) -> None:
    await control.remove_host(call.path["name"])


INSTANCES: Final = (
    Route(
        method="GET", path="/tiers", role=_VIEWER, tag="gateways", handler=tiers, response=contract.TierList,
        summary="List the tiers that a gateway can be provisioned with, right and wrong ones",
    ),
    Route(
        method="POST", path="/instances", role=_ADMIN, tag="gateways", handler=provision, status=202,
        request=contract.ProvisionGateway, response=contract.ProvisionedGateway, errors=DRIVES,
        summary="Make a gateway and start it; the credentials are in this answer only",
    ),
    Route(
        method="POST", path="/instances/import", role=_ADMIN, tag="gateways", handler=take_in, status=202,
        request=contract.ImportGateway, response=contract.JobView, errors=DRIVES,
        summary="Take in a gateway that exists: a container in place, or the state of one that runs from source",
    ),
    Route(
        method="POST", path="/instances/restore", role=_ADMIN, tag="gateways", handler=restore, status=202,
        request=contract.RestoreGateway, response=contract.RestoredGateway, errors=(*DRIVES, NotFound),
        summary="Make a gateway from a backup; its token is a new one, in this answer only",
    ),
    Route(
        method="POST", path="/instances/upgrade", role=_OPERATOR, tag="gateways", handler=upgrade_many, status=202,
        request=contract.UpgradeGateways, response=contract.JobView, errors=(*DRIVES, NotFound),
        summary="Upgrade many gateways, as a rollout",
    ),
    Route(
        method="GET", path="/instances/inspection", role=_VIEWER, tag="gateways", handler=inspect,
        response=contract.GatewayInspection,
        summary="Look at all gateways that the hub runs for what should be changed",
    ),
    Route(
        method="GET", path="/instances/backups", role=_VIEWER, tag="gateways", handler=backups,
        response=contract.BackupList, summary="List the backups of all gateways, newest first",
    ),
    Route(
        method="DELETE", path="/instances/backups/{backup_id}", role=_OPERATOR, tag="gateways",
        handler=delete_backup, status=204, errors=DRIVES, summary="Delete a backup",
    ),
    *(
        Route(
            method="POST", path=f"/gateways/{{name}}/{what.value}", role=_OPERATOR, tag="gateways", handler=act(what),
            status=202, response=contract.JobView, errors=DRIVES,
            summary=f"{what.value.capitalize()} a gateway that the hub runs; answers the job that does it",
        )
        for what in GatewayAct
    ),
    Route(
        method="GET", path="/gateways/{name}/destroy", role=_VIEWER, tag="gateways", handler=plan_destroy,
        response=contract.DestroyPlan, errors=DRIVES, summary="What destroying a gateway removes; nothing is",
    ),
    Route(
        method="POST", path="/gateways/{name}/destroy", role=_ADMIN, tag="gateways", handler=destroy, status=202,
        request=contract.DestroyGateway, body_optional=True, response=contract.JobView, errors=DRIVES,
        summary="Remove a gateway that the hub runs and everything that was made for it",
    ),
    Route(
        method="GET", path="/gateways/{name}/logs", role=_VIEWER, tag="gateways", handler=logs,
        query=contract.LogQuery, response=contract.LogEntry, streaming=Streaming.NDJSON,
        errors=(Conflict, NotAvailable, DriverFailed),
        summary="What a gateway printed, one entry per line; with `follow` it goes on",
    ),
    Route(
        method="POST", path="/gateways/{name}/upgrade", role=_OPERATOR, tag="gateways", handler=upgrade, status=202,
        request=contract.UpgradeGateway, response=contract.JobView, errors=DRIVES,
        summary="Upgrade a gateway; back to the old image by itself where the new one does not become ready",
    ),
    Route(
        method="POST", path="/gateways/{name}/rollback", role=_OPERATOR, tag="gateways", handler=roll_back,
        status=202, response=contract.JobView, errors=DRIVES, summary="Go back to what the last upgrade replaced",
    ),
    Route(
        method="GET", path="/gateways/{name}/backups", role=_VIEWER, tag="gateways", handler=backups,
        response=contract.BackupList, summary="List the backups of a gateway, newest first",
    ),
    Route(
        method="POST", path="/gateways/{name}/backups", role=_OPERATOR, tag="gateways", handler=backup, status=202,
        request=contract.BackupGateway, body_optional=True, response=contract.JobView, errors=DRIVES,
        summary="Save a gateway, stopped or frozen meanwhile",
    ),
    Route(
        method="GET", path="/health/gateways", role=_VIEWER, tag="gateways", handler=health,
        query=contract.GatewayHealthQuery, response=contract.GatewayHealthList, errors=(NotFound,),
        summary="Checks of gateways over time, and what they come to",
    ),
)  # fmt: skip

GATEWAY_IMAGES: Final = (
    Route(
        method="GET", path="/gateway-images", role=_VIEWER, tag="gateways", handler=images,
        query=contract.GatewayImageQuery, response=contract.GatewayImageList, errors=(NotAvailable, DriverFailed),
        summary="List the images that gateways are run from, newest first",
    ),
    Route(
        method="POST", path="/gateway-images", role=_OPERATOR, tag="gateways", handler=build_image, status=202,
        request=contract.BuildGatewayImage, body_optional=True, response=contract.JobView, errors=DRIVES,
        summary="Build an image of OpenClaw from npm; one that is there is not built again",
    ),
)  # fmt: skip

INGRESS: Final = (
    Route(
        method="GET", path="/ingress", role=_VIEWER, tag="gateways", handler=ingress, response=contract.IngressView,
        errors=(NotAvailable,), summary="The reverse proxy in front of gateways, and what it leads where",
    ),
    Route(
        method="POST", path="/ingress/apply", role=_OPERATOR, tag="gateways", handler=apply_ingress,
        response=contract.IngressView, errors=(Conflict, NotAvailable, DriverFailed, StorageFull),
        summary="Write the proxy's configuration and load it; the old one stays where it is refused",
    ),
)  # fmt: skip

HOSTS: Final = (
    Route(
        method="GET", path="/hosts", role=_VIEWER, tag="hosts", handler=hosts, response=contract.HostList,
        summary="List Docker hosts and what each has",
    ),
    Route(
        method="POST", path="/hosts", role=_ADMIN, tag="hosts", handler=add_host, status=201,
        request=contract.AddHost, response=contract.HostView, errors=DRIVES,
        summary="Name a Docker host over ssh or TLS",
    ),
    Route(
        method="DELETE", path="/hosts/{name}", role=_ADMIN, tag="hosts", handler=remove_host, status=204,
        errors=DRIVES, summary="Forget a Docker host; refused while something of ours is on it",
    ),
)  # fmt: skip
