"""The part of the scripted hub that answers for snapshots."""

from __future__ import annotations

from typing import Any, Final

from hub.contract import (
    DiffEntry,
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
from hub.core.model import Consistency

SNAPSHOT: Final = SnapshotView(
    id="sn_1",
    agent_id="a-1",
    name="before",
    consistency=Consistency.CRASH,
    created_at="2026-01-02T03:04:05.000Z",
    size_bytes=3 * 1024 * 1024,
    current=True,
)
DIFF: Final = SnapshotDiff(
    before="sn_1",
    after="sn_2",
    entries=[
        DiffEntry(path="/workspace/a", change="changed", kind="file", what="content", before_bytes=1, after_bytes=2)
    ],
    counts={"added": 0, "removed": 0, "changed": 1},
    bytes_added=1,
)
PLACE: Final = SnapshotPlace(agent_id="a-1", parent="sn_1", schedule=SnapshotSchedule(interval_seconds=3600))


def answers(job: JobView) -> dict[str, Any]:
    return {
        "snapshots": SnapshotList(snapshots=[SNAPSHOT]),
        "snapshot": SNAPSHOT,
        "estimate_snapshot": SnapshotEstimate(agent_id="a-1", volume_bytes=1, image_bytes=2, free_bytes=3),
        "take_snapshot": job,
        "delete_snapshot": job,
        "diff_snapshots": DIFF,
        "restore": job,
        "undo_restore": job,
        "fork": job,
        "snapshot_place": PLACE,
        "schedule_snapshots": PLACE,
    }


class ScriptedSnapshots:
    """See `hub.control.Control`."""

    def _note(self, method: str, *given: Any) -> Any:
        raise NotImplementedError

    async def snapshots(self, query: SnapshotQuery) -> SnapshotList:
        return self._note("snapshots", query)

    async def snapshot(self, reference: str) -> SnapshotView:
        return self._note("snapshot", reference)

    async def estimate_snapshot(self, agent_id: str) -> SnapshotEstimate:
        return self._note("estimate_snapshot", agent_id)

    async def take_snapshot(self, agent_id: str, request: TakeSnapshot) -> JobView:
        return self._note("take_snapshot", agent_id, request)

    async def delete_snapshot(self, reference: str) -> JobView:
        return self._note("delete_snapshot", reference)

    async def diff_snapshots(self, reference: str, query: DiffQuery) -> SnapshotDiff:
        return self._note("diff_snapshots", reference, query)

    async def restore(self, reference: str) -> JobView:
        return self._note("restore", reference)

    async def undo_restore(self, agent_id: str) -> JobView:
        return self._note("undo_restore", agent_id)

    async def fork(self, reference: str, request: ForkRequest) -> JobView:
        return self._note("fork", reference, request)

    async def snapshot_place(self, agent_id: str) -> SnapshotPlace:
        return self._note("snapshot_place", agent_id)

    async def schedule_snapshots(self, agent_id: str, schedule: SnapshotSchedule) -> SnapshotPlace:
        return self._note("schedule_snapshots", agent_id, schedule)
