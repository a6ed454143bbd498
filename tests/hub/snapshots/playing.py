"""Fake agents that connect by themselves whenever the platform runs them, so that tests see whole snapshots."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from hub.config import Timing
from hub.contract import JobView, SnapshotQuery, SnapshotView, TakeSnapshot
from hub.core.model import Observed
from hub.drivers.fake import FakePlatform, Script
from tests.hub.running import MovedClock, PlayedAgent, RunningHub, running_hub


class Saved:
    """A hub whose fake agents play along; `silent` names those that do not connect any more."""

    def __init__(self, hub: RunningHub) -> None:
        self.hub = hub
        self.silent: set[str] = set()
        self._connected: dict[tuple[str, str], tuple[int, PlayedAgent]] = {}

    async def play(self) -> None:
        """Connect whoever was started since the last look, until cancelled."""
        while True:
            for (name, uid), agent in list(self.hub.platform.agents.items()):
                known = self._connected.get((name, uid))
                fresh = known is None or known[0] != agent.starts
                if agent.state is Observed.RUNNING and fresh and name not in self.silent:
                    played = PlayedAgent(self.hub.url, name, agent.token, credential=f"cta_{uid}")
                    await played.connect(instance=f"{uid}-{agent.starts}")
                    if known is not None:
                        await known[1].close()
                    self._connected[name, uid] = (agent.starts, played)
            await asyncio.sleep(0.02)

    async def close(self) -> None:
        for _, played in self._connected.values():
            await played.close()

    async def made(self, name: str = "a", **files: str) -> None:
        """Create an agent that is online and has these files."""
        job = await self.hub.job((await self.hub.create(name)).id)
        assert job.state == "succeeded", job
        self.files(name, **files)

    def files(self, name: str, **files: str) -> None:
        """Change an agent's workspace."""
        self.hub.platform.agent(name).files.update({file: text.encode() for file, text in files.items()})

    def workspace(self, name: str) -> dict[str, str]:
        return {file: text.decode() for file, text in self.hub.platform.agent(name).files.items()}

    async def take(self, agent: str = "a", name: str = "", **fields: Any) -> JobView:
        return await self.hub.job((await self.hub.control.take_snapshot(agent, TakeSnapshot(name=name, **fields))).id)

    async def saved(self, agent: str = "a", name: str = "s") -> SnapshotView:
        job = await self.take(agent, name)
        assert job.state == "succeeded", job
        return await self.hub.control.snapshot(f"{agent}:{name}")

    async def done(self, job: JobView) -> JobView:
        ended = await self.hub.job(job.id)
        assert ended.state == "succeeded", ended
        return ended

    async def names(self, agent: str | None = None) -> list[str]:
        found = await self.hub.control.snapshots(SnapshotQuery(agent=agent))
        return [f"{one.agent_id}:{one.name}" for one in found.snapshots]

    @property
    def shelf(self) -> Path:
        return self.hub.folder / "snapshots"

    def shelved(self) -> list[str]:
        """Names of everything on the shelf, half-made or complete."""
        return sorted(path.name for path in self.shelf.iterdir()) if self.shelf.exists() else []


@contextlib.asynccontextmanager
async def saving_hub(
    folder: Path | None = None,
    *,
    platform: FakePlatform | None = None,
    script: Script | None = None,
    clock: MovedClock | None = None,
    **config: Any,
) -> AsyncIterator[Saved]:
    # Tests look themselves, when they want to.
    timing = Timing(drain_seconds=1.0, snapshots_seconds=3_600.0)
    async with running_hub(folder, platform=platform, script=script, clock=clock, timing=timing, **config) as hub:
        saved = Saved(hub)
        async with asyncio.TaskGroup() as group:
            player = group.create_task(saved.play())
            try:
                yield saved
            finally:
                player.cancel()
                await saved.close()
