"""The part of `clawtui.remote.RemoteControl` that calls the routes of disks and workspaces."""

from __future__ import annotations

from clawtui.remote_calls import RemoteCalls, params, path
from hub.contract import DiskQuery, DiskView, JobView, PruneExecute, PrunePlan, PruneRequest, RepairRequest


class DiskCalls(RemoteCalls):
    """See `hub.control.Control`."""

    async def disk(self, query: DiskQuery) -> DiskView:
        return await self._get(DiskView, "/disk", params(query), DISK_SECONDS)

    async def plan_prune(self, request: PruneRequest) -> PrunePlan:
        return await self._post(PrunePlan, "/prune", request)

    async def prune(self, plan_id: str, request: PruneExecute) -> JobView:
        return await self._post(JobView, path("prune", plan_id), request)

    async def repair(self, agent_id: str, request: RepairRequest) -> JobView:
        return await self._post(JobView, path("agents", agent_id, "repair"), request)


DISK_SECONDS = 15.0
"""The hub looks around for up to ten."""
