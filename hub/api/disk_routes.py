"""The routes of disks and of workspaces' ownership, and what each does. Part of the table in `hub.api.routes`."""

from __future__ import annotations

from typing import Final

from hub import contract
from hub.api.route import DRIVES, Call, Route
from hub.contract import DiskView, JobView, PrunePlan
from hub.control import Control
from hub.core.model import Role
from hub.errors import Conflict, StorageFull


async def disk(control: Control, call: Call) -> DiskView:
    return await control.disk(call.query)


async def plan(control: Control, call: Call) -> PrunePlan:
    return await control.plan_prune(call.body)


async def execute(control: Control, call: Call) -> JobView:
    return await control.prune(call.path["plan_id"], call.body)


async def repair(control: Control, call: Call) -> JobView:
    return await control.repair(call.path["agent_id"], call.body)


DISK: Final = (
    Route(
        method="GET", path="/disk", role=Role.VIEWER, tag="disk", handler=disk, query=contract.DiskQuery,
        response=contract.DiskView, summary="What clawtui takes of disks, what of it is unused, and what is not known",
    ),
    Route(
        method="POST", path="/prune", role=Role.OPERATOR, tag="disk", handler=plan, request=contract.PruneRequest,
        body_optional=True, response=contract.PrunePlan,
        summary="Make a plan for a clean-up; nothing is removed",
    ),
    Route(
        method="POST", path="/prune/{plan_id}", role=Role.OPERATOR, tag="disk", handler=execute, status=202,
        request=contract.PruneExecute, body_optional=True, response=contract.JobView, errors=(Conflict, StorageFull),
        summary="Carry out a plan, each object judged once more; answers the job that does it",
    ),
    Route(
        method="POST", path="/agents/{agent_id}/repair", role=Role.OPERATOR, tag="disk", handler=repair, status=202,
        request=contract.RepairRequest, body_optional=True, response=contract.JobView,
        errors=DRIVES,
        summary="Give files of root in an agent's workspace back to its user; answers the job that does it",
    ),
)  # fmt: skip
