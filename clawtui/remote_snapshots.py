"""The part of `clawtui.remote.RemoteControl` that calls the routes of snapshots."""

from __future__ import annotations

from clawtui.remote_calls import RemoteCalls, params, path, plain
from hub.contract import (
    DiffQuery,
    ForkRequest,
    JobView,
    SnapshotDiff,
    SnapshotEstimate,
    SnapshotList,
    SnapshotPlace,
    SnapshotQuery,
    SnapshotSchedule,
    SnapshotView,
    TakeSnapshot,
)


class SnapshotCalls(RemoteCalls):
    """See `hub.control.Control`."""

    async def snapshots(self, query: SnapshotQuery) -> SnapshotList:
        return await self._get(SnapshotList, "/snapshots", params(query))

    async def snapshot(self, reference: str) -> SnapshotView:
        return await self._get(SnapshotView, path("snapshots", reference))

    async def estimate_snapshot(self, agent_id: str) -> SnapshotEstimate:
        return await self._get(SnapshotEstimate, path("agents", agent_id, "snapshots", "estimate"))

    async def take_snapshot(self, agent_id: str, request: TakeSnapshot) -> JobView:
        return await self._post(JobView, path("agents", agent_id, "snapshots"), request)

    async def delete_snapshot(self, reference: str) -> JobView:
        return self._read(await self._http.call("DELETE", path("snapshots", reference)), JobView)

    async def diff_snapshots(self, reference: str, query: DiffQuery) -> SnapshotDiff:
        return await self._get(SnapshotDiff, path("snapshots", reference, "diff"), params(query))

    async def restore(self, reference: str) -> JobView:
        return await self._post(JobView, path("snapshots", reference, "restore"))

    async def undo_restore(self, agent_id: str) -> JobView:
        return await self._post(JobView, path("agents", agent_id, "restore", "undo"))

    async def fork(self, reference: str, request: ForkRequest) -> JobView:
        return await self._post(JobView, path("snapshots", reference, "fork"), request)

    async def snapshot_place(self, agent_id: str) -> SnapshotPlace:
        return await self._get(SnapshotPlace, path("agents", agent_id, "snapshots", "place"))

    async def schedule_snapshots(self, agent_id: str, schedule: SnapshotSchedule) -> SnapshotPlace:
        body = await self._http.call("PUT", path("agents", agent_id, "snapshots", "schedule"), body=plain(schedule))
        return self._read(body, SnapshotPlace)
