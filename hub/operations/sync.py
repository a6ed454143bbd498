"""Operations on the profile sync."""

from __future__ import annotations

from typing import Final

from hub.contract import PersonaDifference, PersonaSync, ResolveSync, SyncQuery, SyncReports, SyncRun, SyncStatus
from hub.operations.base import Operations
from hub.undo import ARROW

ALL: Final = "all"
"""The target in the audit of a run for every gateway."""


class SyncOperations(Operations):
    """See `hub.control.Control`."""

    async def sync_status(self, query: SyncQuery) -> SyncStatus:
        return self._inside.sync.status(query)

    async def sync_run(self, request: SyncRun) -> SyncReports:
        sync = self._inside.sync
        if request.dry_run:
            return await sync.run_now(request)
        self._kernel.check_writable()
        sync.check(request.gateway)
        async with self._audited("sync.run", request.gateway or ALL):
            return await sync.run_now(request)

    async def sync_diff(self, gateway: str, slug: str) -> PersonaDifference:
        return await self._inside.sync.diff(gateway, slug)

    async def sync_resolve(self, gateway: str, slug: str, request: ResolveSync) -> PersonaSync:
        self._kernel.check_writable()
        sync = self._inside.sync
        paths = await sync.to_decide(gateway, slug, request)
        target = f"{gateway}/{slug}" + (f"{ARROW}{request.path}" if request.path else "")
        async with self._audited(f"sync.{request.decision}", target):
            return await sync.resolve(gateway, slug, request, paths)
