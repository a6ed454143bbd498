"""The part of the scripted hub that answers for the profile sync."""

from __future__ import annotations

from typing import Any, Final

from hub.contract import (
    FileDifference,
    PersonaDifference,
    PersonaSync,
    ResolveSync,
    SyncQuery,
    SyncReport,
    SyncReports,
    SyncRun,
    SyncState,
    SyncStatus,
    SyncStep,
    SyncTarget,
)

AT: Final = "2026-01-02T03:04:05.000Z"
DRIFTED: Final = PersonaSync(
    gateway="prod", slug="ann", name="Ann", state=SyncState.DRIFTED, reason="SOUL.md was changed", hash="0123456789ab",
    at=AT, model="anthropic/claude-sonnet-4-5", workspace="/w/ann", files=["SOUL.md"],
)  # fmt: skip
IN_STEP: Final = PersonaSync(gateway="prod", slug="bob", name="Bob", state=SyncState.IN_STEP, at=AT)
TARGET: Final = SyncTarget(
    gateway="prod", source="folder", workspace_root="/w", config_path="/c/openclaw.json", last_run_at=AT,
    proof="the gateway shows the roster that was written", counts={"in-step": 1, "drifted": 1},
)  # fmt: skip
STATUS: Final = SyncStatus(enabled=True, targets=[TARGET], personas=[DRIFTED, IN_STEP])
SOUL: Final = FileDifference(
    path="SOUL.md", action="drift", reason="somebody changed it", on_disk="I am\nmine\n", wanted="I am\nAnn\n",
    can_adopt=True,
)  # fmt: skip
DIFFERENCE: Final = PersonaDifference(persona=DRIFTED, files=[SOUL])
REPORT: Final = SyncReport(
    gateway="prod", dry_run=False, steps=[SyncStep(slug="ann", path="SOUL.md", action="write")], archived=["zoe"],
    config_changed=True, restarted=True, seconds=0.25,
)  # fmt: skip
REPORTS: Final = SyncReports(reports=[REPORT])


def sync_answers() -> dict[str, Any]:
    return {"sync_status": STATUS, "sync_run": REPORTS, "sync_diff": DIFFERENCE, "sync_resolve": IN_STEP}


class ScriptedSync:
    """Answers out of `sync_answers`, and keeps what it was called with."""

    def _note(self, method: str, *given: Any) -> Any:
        raise NotImplementedError

    async def sync_status(self, query: SyncQuery) -> SyncStatus:
        return self._note("sync_status", query)

    async def sync_run(self, request: SyncRun) -> SyncReports:
        return self._note("sync_run", request)

    async def sync_diff(self, gateway: str, slug: str) -> PersonaDifference:
        return self._note("sync_diff", gateway, slug)

    async def sync_resolve(self, gateway: str, slug: str, request: ResolveSync) -> PersonaSync:
        return self._note("sync_resolve", gateway, slug, request)
