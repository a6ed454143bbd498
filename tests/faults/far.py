"""A real agent behind a network that the test controls, and a hub, all in one event loop."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec

from hub.contract import OutputQuery
from tests.faults.checker import check_output
from tests.faults.proxy import FaultProxy, proxied
from tests.hub.running import RunningHub, running_hub
from tests.runtime.harness import running_agent

MARK = "echo $CLAWTUI_ATTEMPT >> ran.txt"


@contextlib.asynccontextmanager
async def far_agent(folder: Path, **changes: str) -> AsyncIterator[tuple[RunningHub, FaultProxy]]:
    """A hub, and a real agent `a` behind a network that the test controls."""
    async with running_hub() as hub:
        token = await hub.register()
        async with proxied(hub.port) as proxy:
            async with running_agent(folder, proxy.url, AGENT_ID="a", AGENT_TOKEN=token, **changes):
                await hub.status("a", "online")
                yield hub, proxy


async def run(hub: RunningHub, command: str, **options: object) -> str:
    return (await hub.control.submit("a", {"type": "exec", "command": command} | options)).task_id


async def output_of(hub: RunningHub, task_id: str) -> bytes:
    pieces = [msgspec.to_builtins(p) async for p in hub.control.task_output(task_id, OutputQuery())]
    return check_output(pieces)
