"""Asks every driver and the state folder what takes room, each for a bounded time."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Final

import structlog

from hub.archives.work import Workers
from hub.attention import disk_of
from hub.contract import DiskView
from hub.core.model import AgentId, AgentUid, Snapshot, SnapshotState
from hub.core.view import rfc3339
from hub.disk.files import STEPS, Folder, Step
from hub.disk.things import HUB, Kind, Thing, by_agent, disk_object, rows, thing_of
from hub.drivers.base import Driver
from hub.drivers.upkeep import DiskKind, Holding
from hub.driverset import DriverSet
from hub.errors import HubError
from hub.kernel import Kernel

DEADLINE_SECONDS: Final = 10.0
"""For all of it: places are asked at the same time."""

log = structlog.get_logger("hub.disk")


class HubKnown:
    """See `hub.drivers.upkeep.Known`. Agents as they are now, snapshots as they were when it was made."""

    def __init__(self, kernel: Kernel, snapshots: Collection[str]) -> None:
        self._kernel = kernel
        self.snapshots = snapshots

    def agent(self, agent_id: AgentId, uid: AgentUid) -> bool:
        agent = self._kernel.fleet.agents.get(agent_id)
        return agent is not None and agent.uid == uid

    def snapshot(self, snapshot_id: str) -> bool:
        return snapshot_id in self.snapshots


class Survey:
    """What was found, and per place and kind why something of it is not known. `notes`: what has no row."""

    def __init__(self) -> None:
        self.things: list[Thing] = []
        self.unknown: dict[tuple[str, Kind], str] = {}
        self.notes: list[str] = []


class DiskDesk:
    """Answers what takes room."""

    def __init__(self, kernel: Kernel, drivers: DriverSet) -> None:
        self.kernel = kernel
        self.drivers = drivers
        self.workers = Workers("disk", 2)

    def close(self) -> None:
        self.workers.close()

    async def known(self) -> HubKnown:
        """What the hub knows now. Raises HubError when the registry cannot be read."""
        return HubKnown(self.kernel, {one.id for one in await self.kernel.registry.all_snapshots()})

    async def view(self, *, objects: bool) -> DiskView:
        kernel = self.kernel
        survey = await self.survey()
        disk = disk_of(kernel.config.state_folder)
        return DiskView(
            at=rfc3339(kernel.now().wall_ms) or "",
            rows=rows(survey.things, survey.unknown),
            agents=by_agent(survey.things, list(kernel.fleet.agents)),
            objects=[disk_object(thing) for thing in survey.things] if objects else [],
            disk_total_bytes=disk.total if disk is not None else None,
            disk_used_bytes=disk.used if disk is not None else None,
        )

    async def survey(self, deadline_seconds: float = DEADLINE_SECONDS) -> Survey:
        """Look everywhere at once. What fails or takes too long is not known; the rest is."""
        kernel, found = self.kernel, Survey()
        saved = await kernel.registry.all_snapshots()
        known = HubKnown(kernel, {one.id for one in saved})
        folder = Folder(kernel.config.state_folder, set(kernel.fleet.agents), known.snapshots)
        found.things += [_snapshot_thing(one) for one in saved]
        async with asyncio.TaskGroup() as group:
            for driver in self.drivers:
                group.create_task(self._ask(driver, known, found, deadline_seconds))
            for kind, step in STEPS.items():
                group.create_task(self._look(kind, step, folder, found, deadline_seconds))
        return found

    async def _ask(self, driver: Driver, known: HubKnown, found: Survey, deadline_seconds: float) -> None:
        if driver.disk is None:
            return
        try:
            survey = await driver.disk.survey(known, deadline_seconds)
        except HubError as exc:
            found.notes.append(f"driver {driver.name}: {exc.message}")
            return
        except Exception as exc:
            # A fault in one driver must not hide what the others have.
            log.exception("disk_survey_crashed", driver=driver.name)
            found.notes.append(f"driver {driver.name}: internal error: {type(exc).__name__}")
            return
        found.things += [thing_of(driver.name, holding) for holding in survey.holdings]
        found.unknown |= {(driver.name, Kind(kind.value)): why for kind, why in survey.unknown.items()}
        if survey.cache_bytes:
            found.things.append(Thing(driver.name, Kind.CACHE, _builders_cache(survey.cache_bytes)))

    async def _look(self, kind: Kind, step: Step, folder: Folder, found: Survey, deadline_seconds: float) -> None:
        try:
            async with asyncio.timeout(deadline_seconds):
                found.things += await self.workers.run(step, folder)
        except TimeoutError:
            found.unknown[HUB, kind] = f"not measured within {deadline_seconds:.0f} s"
        except HubError as exc:
            found.unknown[HUB, kind] = exc.message


def _builders_cache(size_bytes: int) -> Holding:
    return Holding(
        kind=DiskKind.CACHE, id="buildkit", name="BuildKit's cache", size_bytes=size_bytes,
        used_by="whoever builds on this engine; `docker builder prune` empties it",
    )  # fmt: skip


def _snapshot_thing(snapshot: Snapshot) -> Thing:
    broken = snapshot.state is SnapshotState.BROKEN
    holding = Holding(
        kind=DiskKind.FOLDERS, id=snapshot.id, name=f"{snapshot.agent_id}:{snapshot.name}",
        size_bytes=snapshot.volume_bytes, frees_bytes=snapshot.volume_bytes, agent_id=snapshot.agent_id,
        uid=snapshot.agent_uid, snapshot_id=snapshot.id, created_at=snapshot.created_at,
        used_by="" if broken else "clawtui snapshots delete removes it",
        unused=f"it is not complete: {snapshot.reason or 'it failed'}" if broken else "",
    )  # fmt: skip
    return Thing(HUB, Kind.SNAPSHOTS, holding)
