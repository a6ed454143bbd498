"""The routes of the profile sync, and what each does. Part of the table in `hub.api.routes`."""

from __future__ import annotations

from typing import Final

from hub import contract
from hub.api.route import Call, Route
from hub.contract import PersonaDifference, PersonaSync, SyncReports, SyncStatus
from hub.control import Control
from hub.core.model import Role
from hub.errors import Conflict, DriverFailed, NotFound, StorageFull


async def status(control: Control, call: Call) -> SyncStatus:
    return await control.sync_status(call.query)


async def run(control: Control, call: Call) -> SyncReports:
    return await control.sync_run(call.body)


async def diff(control: Control, call: Call) -> PersonaDifference:
    return await control.sync_diff(call.path["gateway"], call.path["slug"])


async def resolve(control: Control, call: Call) -> PersonaSync:
    return await control.sync_resolve(call.path["gateway"], call.path["slug"], call.body)


SYNC: Final = (
    Route(
        method="GET", path="/sync", role=Role.VIEWER, tag="sync", handler=status, query=contract.SyncQuery,
        response=contract.SyncStatus, errors=(NotFound,),
        summary="Every gateway whose files are kept in step, and its personas, with what is wrong",
    ),
    Route(
        method="POST", path="/sync/run", role=Role.OPERATOR, tag="sync", handler=run, request=contract.SyncRun,
        body_optional=True, response=contract.SyncReports, errors=(Conflict, NotFound, StorageFull),
        summary="Sync now, one gateway or all; with `dryRun` only say what would be done",
    ),
    Route(
        method="GET", path="/sync/{gateway}/{slug}", role=Role.VIEWER, tag="sync", handler=diff,
        response=contract.PersonaDifference, errors=(Conflict, DriverFailed),
        summary="The files of a persona that are not as its source says, with both texts",
    ),
    Route(
        method="POST", path="/sync/{gateway}/{slug}/resolve", role=Role.OPERATOR, tag="sync", handler=resolve,
        request=contract.ResolveSync, response=contract.PersonaSync, errors=(Conflict, DriverFailed, StorageFull),
        summary="Decide what becomes of files that somebody changed, and sync",
    ),
)  # fmt: skip
