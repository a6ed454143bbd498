"""The part of the scripted hub that answers for disks and workspaces."""

from __future__ import annotations

from typing import Any, Final

from hub.contract import (
    DiskAgent,
    DiskObject,
    DiskQuery,
    DiskRow,
    DiskView,
    JobView,
    PruneExecute,
    PrunePlan,
    PruneRequest,
    RepairRequest,
)

AT: Final = "2026-01-02T03:04:05.000Z"
OBJECT: Final = DiskObject(
    kind="volumes", place="docker", id="openclaw-agent-old x", name="openclaw-agent-old", size_bytes=4096,
    frees_bytes=4096, agent_id="old", unused="agent old is not there any more", data=True,
)  # fmt: skip
DISK: Final = DiskView(
    at=AT,
    rows=[DiskRow(kind="volumes", place="docker", count=2, size_bytes=8192, unused_count=1, unused_bytes=4096)],
    agents=[DiskAgent(agent_id="a-1", size_bytes=4096, parts={"volumes": 4096})],
    objects=[OBJECT],
    disk_total_bytes=10**9,
    disk_used_bytes=10**8,
)
PLAN: Final = PrunePlan(id="prune_1", expires_at=AT, objects=[OBJECT], frees_bytes=4096, data=True, notes=["a note"])
PRUNING: Final = JobView(id="j_prune", kind="prune", state="running", started_at=AT)
REPAIRING: Final = JobView(id="j_repair", kind="repair", state="running", started_at=AT, agent_id="a-1")


def disk_answers() -> dict[str, Any]:
    return {"disk": DISK, "plan_prune": PLAN, "prune": PRUNING, "repair": REPAIRING}


class ScriptedDisk:
    """Answers out of `disk_answers`, and keeps what it was called with."""

    def _note(self, method: str, *given: Any) -> Any:
        raise NotImplementedError

    async def disk(self, query: DiskQuery) -> DiskView:
        return self._note("disk", query)

    async def plan_prune(self, request: PruneRequest) -> PrunePlan:
        return self._note("plan_prune", request)

    async def prune(self, plan_id: str, request: PruneExecute) -> JobView:
        return self._note("prune", plan_id, request)

    async def repair(self, agent_id: str, request: RepairRequest) -> JobView:
        return self._note("repair", agent_id, request)
