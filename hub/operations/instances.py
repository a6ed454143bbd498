"""Operations on OpenClaw gateways that the hub runs: tiers, provisioning, start, stop, restart, destroy, logs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from hub.contract import (
    DestroyGateway,
    DestroyPlan,
    GatewayAct,
    GatewayInspection,
    JobView,
    LogEntry,
    LogQuery,
    ProvisionedGateway,
    ProvisionGateway,
    TierList,
)
from hub.core.view import job_view
from hub.drivers.base import LogRequest
from hub.errors import BadRequest
from hub.gateways.instances.inspection import inspect_all
from hub.gateways.instances.logs import SOURCE, gateway_logs
from hub.operations.base import Operations, parse_since


class InstanceOperations(Operations):
    """See `hub.control.Control`. The audit's entry is in one commit with the change."""

    async def tiers(self) -> TierList:
        found = await asyncio.to_thread(self._inside.instances.room.tiers.all)
        return TierList(tiers=[one.view() for one in found])

    async def provision_gateway(self, request: ProvisionGateway) -> ProvisionedGateway:
        job, credentials = await self._inside.instances.provisioning.start(request, self._who)
        return ProvisionedGateway(job=job_view(job), credentials=credentials)

    async def act_on_gateway(self, name: str, act: GatewayAct) -> JobView:
        return job_view(await self._inside.instances.lifecycle.act(name, act, self._who))

    async def inspect_gateways(self) -> GatewayInspection:
        return await inspect_all(self._inside.instances.room)

    async def plan_destroy_gateway(self, name: str) -> DestroyPlan:
        return await self._inside.instances.lifecycle.plan(name)

    async def destroy_gateway(self, name: str, request: DestroyGateway) -> JobView:
        return job_view(await self._inside.instances.lifecycle.destroy(name, request, self._who))

    def gateway_logs(self, name: str, query: LogQuery) -> AsyncIterator[LogEntry]:
        # Looked for at once: what is not there is an answer and no broken stream.
        room = self._inside.instances.room
        instance = room.book.get(name)
        now_ms = self._kernel.now().wall_ms
        since_ms, until_ms = parse_since(query.since, now_ms), parse_since(query.until, now_ms, "until")
        if until_ms is not None and query.follow:
            raise BadRequest("a log up to a time cannot be followed", field="until")
        if query.source not in ("", SOURCE):
            raise BadRequest(f"a gateway has no log source {query.source[:40]!r}", field="source", hint=SOURCE)
        room.handle(instance)
        request = LogRequest(lines=query.lines, since_ms=since_ms, follow=query.follow)
        return gateway_logs(room, instance, request, until_ms)
