"""What every part of snapshots stands on: finding them, their drivers, and where an agent stands among them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from hub.acts import Acts
from hub.archives.work import Workers
from hub.core.effects import Delete, Effect, Kind, Publish, Save
from hub.core.model import Agent, Snapshot, SnapshotLine, SnapshotState
from hub.drivers.base import AgentHandle, AgentPlan, Driver
from hub.drivers.snapshots import Seed, Snapshotter
from hub.driverset import DriverSet
from hub.errors import BadRequest, Conflict, NotAvailable, NotFound
from hub.jobs import Jobs
from hub.kernel import Kernel
from hub.keylock import KeyLocks
from hub.planning import make_plan
from hub.snapshots.shelf import Shelf

NAME: Final = re.compile(r"[a-z0-9][a-z0-9.-]{0,63}")
"""No underscore, which every id has: a name is never taken for one."""
OF_NO_PROFILE: Final = ("agent_id", "uid", "hub_id", "join_token", "labels")
LIST: Final = "clawtui snapshots list shows all"


@dataclass(frozen=True, slots=True)
class Room:
    """The parts of a running hub that snapshots use."""

    kernel: Kernel
    drivers: DriverSet
    jobs: Jobs
    acts: Acts
    shelf: Shelf
    workers: Workers
    names: KeyLocks
    sizes: dict[str, int] = field(default_factory=dict[str, int])
    """Bytes of every snapshot by its id, for the metrics."""

    # --- finding

    async def find(self, reference: str) -> Snapshot:
        """Return the snapshot of an id or of `AGENT:NAME`. Raises NotFound."""
        agent_id, colon, name = reference.partition(":")
        if colon:
            return await self.find_named(agent_id, name)
        snapshot = await self.kernel.registry.snapshot(reference)
        if snapshot is None:
            raise NotFound(
                f"there is no snapshot {reference[:80]}", hint=f"{LIST}; name one as AGENT:NAME or by its id"
            )
        return snapshot

    async def find_named(self, agent_id: str, name: str) -> Snapshot:
        """Return the snapshot of this name among those of all agents called so. Raises NotFound."""
        for snapshot in await self.of_agent(agent_id):
            if snapshot.name == name:
                return snapshot
        raise NotFound(f"agent {agent_id[:64]} has no snapshot {name[:80]}", hint=f"clawtui snapshots list {agent_id}")

    async def of_agent(self, agent_id: str) -> list[Snapshot]:
        """Return every snapshot of agents called so, newest first."""
        found: list[Snapshot] = []
        cursor: str | None = None
        while True:
            page, cursor = await self.kernel.registry.snapshots(agent_id, 1000, cursor)
            found += page
            if cursor is None:
                return found

    async def ready(self, reference: str) -> Snapshot:
        """Return a snapshot that can be used. Raises NotFound, Conflict."""
        snapshot = await self.find(reference)
        if snapshot.state is not SnapshotState.READY:
            why = "is still being made" if snapshot.state is SnapshotState.CREATING else "is not complete"
            raise Conflict(f"snapshot {snapshot.agent_id}:{snapshot.name} {why}", code="snapshot_not_ready")
        return snapshot

    def part(self, driver_name: str) -> tuple[Driver, Snapshotter]:
        """Return a driver and its part for snapshots. Raises NotAvailable."""
        driver = self.drivers.get(driver_name)
        snapshotter = driver.snapshots if driver.features.snapshot else None
        if snapshotter is None:
            raise NotAvailable(f"driver {driver_name} cannot save agents", driver=driver_name)
        return driver, snapshotter

    def part_of(self, agent: Agent) -> tuple[Snapshotter, AgentHandle]:
        """Raises Conflict for agents that no driver made, NotAvailable."""
        _, handle = self.acts.driver_of(agent)
        return self.part(agent.driver)[1], handle

    # --- where an agent stands

    async def line(self, agent: Agent) -> SnapshotLine:
        return await self.kernel.registry.snapshot_line(agent.uid) or SnapshotLine(uid=agent.uid, agent_id=agent.id)

    async def change_line(
        self, agent: Agent, change: Callable[[SnapshotLine], SnapshotLine], *effects: Effect
    ) -> SnapshotLine:
        """Commit a change of where the agent stands, with `effects`; one at a time, so that none is lost."""
        async with self.names.hold(("line", agent.uid)):
            line = change(await self.line(agent))
            await self.kernel.commit([*effects, Save(line), Publish(Kind.AGENT, agent.id)])
        return line

    async def keep(self, snapshot: Snapshot, *effects: Effect) -> None:
        self.sizes[snapshot.id] = snapshot.size_bytes
        await self.kernel.commit([*effects, Save(snapshot), Publish(Kind.SNAPSHOT, snapshot.id)])

    async def forget(self, snapshot: Snapshot, *effects: Effect) -> None:
        self.sizes.pop(snapshot.id, None)
        await self.kernel.commit([*effects, Delete(snapshot), Publish(Kind.SNAPSHOT, snapshot.id, gone=True)])

    # --- making

    def plan(self, agent: Agent) -> AgentPlan:
        """Return the plan by which the agent is made, without a token."""
        return make_plan(agent, self.kernel.feed.hub_id, "")

    async def seed(self, snapshot: Snapshot) -> Seed:
        """Return what an agent is made from. Raises Conflict when its files are not there."""
        manifest = await self.workers.run(self.shelf.read, snapshot.id)
        if manifest is None or not manifest.volumes:
            raise Conflict(
                f"the files of snapshot {snapshot.agent_id}:{snapshot.name} are not there or cannot be read",
                code="snapshot_damaged",
                hint=f"They belong into {self.shelf.path(snapshot.id)}.",
            )
        volume = manifest.volumes[0]
        return Seed(
            snapshot_id=snapshot.id,
            archive=self.shelf.path(snapshot.id) / volume.file,
            sha256=volume.sha256,
            size_bytes=volume.size_bytes,
            image=snapshot.image,
            devices=volume.devices,
        )

    @asynccontextmanager
    async def held_still(self, agent: Agent) -> AsyncIterator[None]:
        """Nobody else acts on the agent, and its silence means nothing, while it is frozen or stopped by us."""
        kernel = self.kernel
        async with self.acts.hold(agent.uid):
            self.acts.present(agent.id, agent.uid)
            kernel.push(kernel.fleet.hold_still(agent.id, True, kernel.now()))
            try:
                yield
            finally:
                present = kernel.fleet.agents.get(agent.id)
                if present is not None and present.uid == agent.uid:
                    wanted = present.desired.value == "paused"
                    kernel.push(kernel.fleet.hold_still(agent.id, wanted, kernel.now()))


def check_name(name: str) -> str:
    """Return a snapshot's name. Raises BadRequest."""
    if NAME.fullmatch(name) is None:
        raise BadRequest(
            f"{name[:80]!r} is not a name for a snapshot",
            field="name",
            hint="1 to 64 characters: a-z, 0-9, - and ., not starting with - or .",
        )
    return name


def shown_plan(plan: AgentPlan) -> dict[str, Any]:
    """Return the plan as a manifest keeps it: no token, and of the environment the names only."""
    shown = msgspec.to_builtins(plan)
    del shown["join_token"]
    shown["environment"] = sorted(plan.environment)
    return shown


def profile_hash(plan: AgentPlan) -> str:
    """Return what tells whether two agents were made alike, whatever they are called."""
    shown = {name: value for name, value in msgspec.to_builtins(plan).items() if name not in OF_NO_PROFILE}
    return hashlib.sha256(msgspec.json.encode(shown, order="sorted")).hexdigest()
