"""Operations on disks and on the ownership of workspaces."""

from __future__ import annotations

from hub.contract import DiskQuery, DiskView, JobView, PruneExecute, PrunePlan, PruneRequest, RepairRequest
from hub.core.view import job_view
from hub.operations.base import Operations


class DiskOperations(Operations):
    """See `hub.control.Control`."""

    async def disk(self, query: DiskQuery) -> DiskView:
        return await self._inside.care.desk.view(objects=query.objects)

    async def plan_prune(self, request: PruneRequest) -> PrunePlan:
        return await self._inside.care.prune.plan(request)

    async def prune(self, plan_id: str, request: PruneExecute) -> JobView:
        self._kernel.check_writable()
        return job_view(await self._inside.care.prune.start(plan_id, data=request.data, by=self._who))

    async def repair(self, agent_id: str, request: RepairRequest) -> JobView:
        self._kernel.check_writable()
        job = await self._inside.care.repair.start(agent_id, everything=request.everything, by=self._who)
        return job_view(job)
