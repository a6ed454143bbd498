"""What an instance printed, without its secrets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Final

from hub.contract import LogEntry
from hub.core.instances import StoredInstance
from hub.core.view import rfc3339
from hub.drivers.base import LogRequest
from hub.gateways.instances.room import InstanceRoom

SOURCE: Final = "gateway"


async def gateway_logs(
    room: InstanceRoom, instance: StoredInstance, request: LogRequest, until_ms: int | None = None
) -> AsyncGenerator[LogEntry]:
    """Yield lines, oldest first; `until_ms` ends them at a time. Raises Conflict (no container), CellGone."""
    handle = room.handle(instance)
    hide = await asyncio.to_thread(room.hider, instance)
    async for line in room.cells(instance).logs(handle, request):
        if until_ms is not None and line.at is not None and line.at > until_ms:
            return
        yield LogEntry(text=hide(line.text), source=SOURCE, at=rfc3339(line.at), stream=line.stream)
