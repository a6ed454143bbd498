"""The routes of snapshots, and what each does. Part of the table in `hub.api.routes`."""

from __future__ import annotations

from typing import Final

from hub import contract
from hub.api.route import DRIVES, Call, Route
from hub.contract import (
    JobView,
    SnapshotDiff,
    SnapshotEstimate,
    SnapshotList,
    SnapshotPlace,
    SnapshotQuery,
    SnapshotView,
)
from hub.control import Control
from hub.core.model import Role
from hub.errors import Conflict

_VIEWER, _OPERATOR = Role.VIEWER, Role.OPERATOR


async def listed(control: Control, call: Call) -> SnapshotList:
    return await control.snapshots(call.query)


async def of_agent(control: Control, call: Call) -> SnapshotList:
    page = call.query
    query = SnapshotQuery(agent=call.path["agent_id"], limit=page.limit, cursor=page.cursor)
    return await control.snapshots(query)


async def shown(control: Control, call: Call) -> SnapshotView:
    return await control.snapshot(call.path["snapshot_id"])


async def estimate(control: Control, call: Call) -> SnapshotEstimate:
    return await control.estimate_snapshot(call.path["agent_id"])


async def take(control: Control, call: Call) -> JobView:
    return await control.take_snapshot(call.path["agent_id"], call.body)


async def delete(control: Control, call: Call) -> JobView:
    return await control.delete_snapshot(call.path["snapshot_id"])


async def diff(control: Control, call: Call) -> SnapshotDiff:
    return await control.diff_snapshots(call.path["snapshot_id"], call.query)


async def restore(control: Control, call: Call) -> JobView:
    return await control.restore(call.path["snapshot_id"])


async def undo_restore(control: Control, call: Call) -> JobView:
    return await control.undo_restore(call.path["agent_id"])


async def fork(control: Control, call: Call) -> JobView:
    return await control.fork(call.path["snapshot_id"], call.body)


async def place(control: Control, call: Call) -> SnapshotPlace:
    return await control.snapshot_place(call.path["agent_id"])


async def schedule(control: Control, call: Call) -> SnapshotPlace:
    return await control.schedule_snapshots(call.path["agent_id"], call.body)


SNAPSHOTS: Final = (
    Route(
        method="GET", path="/snapshots", role=_VIEWER, tag="snapshots", handler=listed, query=contract.SnapshotQuery,
        response=contract.SnapshotList, summary="List snapshots of all agents, also destroyed ones, newest first",
    ),
    Route(
        method="GET", path="/agents/{agent_id}/snapshots", role=_VIEWER, tag="snapshots", handler=of_agent,
        query=contract.PageQuery, response=contract.SnapshotList,
        summary="List the snapshots of agents of this name, living or destroyed",
    ),
    Route(
        method="POST", path="/agents/{agent_id}/snapshots", role=_OPERATOR, tag="snapshots", handler=take, status=202,
        request=contract.TakeSnapshot, body_optional=True, response=contract.JobView, errors=DRIVES,
        summary="Save an agent; answers the job that does it",
    ),
    Route(
        method="GET", path="/agents/{agent_id}/snapshots/estimate", role=_VIEWER, tag="snapshots", handler=estimate,
        response=contract.SnapshotEstimate, errors=DRIVES, summary="What a snapshot of the agent would take now",
    ),
    Route(
        method="GET", path="/agents/{agent_id}/snapshots/place", role=_VIEWER, tag="snapshots", handler=place,
        response=contract.SnapshotPlace,
        summary="Where an agent stands among snapshots: parent, what can be undone, schedule",
    ),
    Route(
        method="PUT", path="/agents/{agent_id}/snapshots/schedule", role=_OPERATOR, tag="snapshots", handler=schedule,
        request=contract.SnapshotSchedule, response=contract.SnapshotPlace, errors=DRIVES,
        summary="Take snapshots of an agent by itself, and delete old ones of those; `intervalSeconds` 0 ends it",
    ),
    Route(
        method="POST", path="/agents/{agent_id}/restore/undo", role=_OPERATOR, tag="snapshots", handler=undo_restore,
        status=202, response=contract.JobView, errors=DRIVES,
        summary="Go back to what an agent's last restore replaced, within 24 hours",
    ),
    Route(
        method="GET", path="/snapshots/{snapshot_id}", role=_VIEWER, tag="snapshots", handler=shown,
        response=contract.SnapshotView, summary="Show a snapshot, by its id or as AGENT:NAME",
    ),
    Route(
        method="DELETE", path="/snapshots/{snapshot_id}", role=_OPERATOR, tag="snapshots", handler=delete, status=202,
        response=contract.JobView, errors=DRIVES,
        summary="Delete a snapshot; refused while something is built on its image",
    ),
    Route(
        method="GET", path="/snapshots/{snapshot_id}/diff", role=_VIEWER, tag="snapshots", handler=diff,
        query=contract.DiffQuery, response=contract.SnapshotDiff, errors=(Conflict,),
        summary="Which files are different in another snapshot, by content",
    ),
    Route(
        method="POST", path="/snapshots/{snapshot_id}/restore", role=_OPERATOR, tag="snapshots", handler=restore,
        status=202, response=contract.JobView, errors=DRIVES,
        summary="Put the snapshot's agent back to it, in place; a destroyed one is made again",
    ),
    Route(
        method="POST", path="/snapshots/{snapshot_id}/fork", role=_OPERATOR, tag="snapshots", handler=fork, status=202,
        request=contract.ForkRequest, body_optional=True, response=contract.JobView, errors=DRIVES,
        summary="Make new agents from a snapshot, each with its own identity and credential",
    ),
)  # fmt: skip
