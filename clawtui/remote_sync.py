"""The part of `clawtui.remote.RemoteControl` that calls the routes of the profile sync."""

from __future__ import annotations

from typing import Final

from clawtui.remote_calls import RemoteCalls, params, path, plain
from hub.contract import PersonaDifference, PersonaSync, ResolveSync, SyncQuery, SyncReports, SyncRun, SyncStatus

RUN_SECONDS: Final = 120.0
"""A run of many personas on a slow disk, or of a source that does not answer, takes longer than any other call."""


class SyncCalls(RemoteCalls):
    """See `hub.control.Control`."""

    async def sync_status(self, query: SyncQuery) -> SyncStatus:
        return await self._get(SyncStatus, "/sync", params(query))

    async def sync_run(self, request: SyncRun) -> SyncReports:
        answer = await self._http.call("POST", "/sync/run", body=plain(request), wait_seconds=RUN_SECONDS)
        return self._read(answer, SyncReports)

    async def sync_diff(self, gateway: str, slug: str) -> PersonaDifference:
        return await self._get(PersonaDifference, path("sync", gateway, slug), wait_seconds=RUN_SECONDS)

    async def sync_resolve(self, gateway: str, slug: str, request: ResolveSync) -> PersonaSync:
        where = path("sync", gateway, slug, "resolve")
        answer = await self._http.call("POST", where, body=plain(request), wait_seconds=RUN_SECONDS)
        return self._read(answer, PersonaSync)
