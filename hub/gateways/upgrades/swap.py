"""One container in the place of another, and back: the steps of an upgrade that touch the engine and the disk.

Every step may be done again after the hub was killed in it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path

from msgspec.structs import replace

from hub.archives.work import Workers
from hub.core.instances import Change, ChangeKind, StoredInstance, Wanted
from hub.drivers.cells import STOP_GRACE_SECONDS, Bounds, CellGone, CellHandle, CellPlan, CellSeen
from hub.errors import HubError
from hub.gateways.instances.model import cell_of
from hub.gateways.instances.plan import cell_plan
from hub.gateways.instances.room import InstanceRoom
from hub.gateways.looks import Seen
from hub.gateways.upgrades import kept
from hub.gateways.upgrades.policy import Judgement, Patience, Trial, Verdict, judge, kept_name, next_trial

Told = Callable[[float, str], None]
"""Called with a fraction 0..1 and a line."""
Probe = Callable[[StoredInstance], Awaitable[Seen]]


class Swap:
    """Does the steps. `probe` asks a gateway how it is."""

    def __init__(self, room: InstanceRoom, workers: Workers, patience: Patience, probe: Probe, bounds: Bounds) -> None:
        self._room = room
        self._workers = workers
        self._patience = patience
        self._probe = probe
        self._bounds = bounds

    # --- there

    async def stop_old(self, instance: StoredInstance, told: Told) -> None:
        """Stop the container that serves, with time for running turns, and give its name away."""
        cells, handle = self._room.cells(instance), self._room.handle(instance)
        told(0.0, f"stopping {instance.name}; running turns get {STOP_GRACE_SECONDS} s")
        await cells.stop(handle, STOP_GRACE_SECONDS)
        await cells.rename(handle, kept_name(instance.container_name, instance.container))

    async def forget_kept(self, instance: StoredInstance) -> None:
        """Remove what earlier attempts have kept: from here on, what is kept is of this one."""
        living = frozenset({instance.previous_container} - {""})
        await self._workers.run(kept.sweep, self._room.folders.paths(instance.name), living)

    async def keep_shared(self, instance: StoredInstance) -> None:
        """Copy configuration and workspaces, for the way back."""
        await self._workers.run(kept.keep, self._room.folders.paths(instance.name), instance.container)

    async def copy_volumes(self, instance: StoredInstance, change: Change, told: Told) -> None:
        """Fill new volumes with what the old ones have; those are only read."""
        cells, cell = self._room.cells(instance), cell_of(instance)
        folder = self._room.folders.paths(instance.name).folder
        share = 1 / max(len(change.volumes), 1)
        for number, (old, new) in enumerate(zip(instance.volumes, change.volumes, strict=True)):
            part = _part(told, number * share, share / 2)
            archive = folder / f".copy-{new}.tar"
            await self._workers.run(_unlink, archive)
            try:
                packed = await cells.archive(cell, old, archive, self._bounds, part)
                await cells.remove_volume(cell, new)
                await cells.ensure_volume(cell, new)
                part = _part(told, (number + 0.5) * share, share / 2)
                for line in await cells.unarchive(cell, new, archive, packed.sha256, self._bounds, part):
                    told((number + 1) * share, f"{old}: {line}")
            finally:
                await self._workers.run(_unlink, archive)

    async def make(self, instance: StoredInstance, change: Change, told: Told) -> CellHandle:
        """Make the container of the new image, on the new volumes."""
        made = await self._room.cells(instance).create(await self.plan(instance, change), told)
        return made.handle

    async def plan(self, instance: StoredInstance, change: Change) -> CellPlan:
        """What the new container is made by: as the old one, but for image and volumes."""
        future = replace(instance, image=change.image, version=change.version, volumes=change.volumes, adopted=False)
        order = await asyncio.to_thread(self._room.load, future)
        return cell_plan(order, self._room.folders.paths(instance.name))

    async def put_previous(self, instance: StoredInstance, change: Change) -> None:
        """Give the container that was kept its name and its files; it is started by the caller."""
        handle = self.handle(instance, change.container)
        await self._room.cells(instance).rename(handle, instance.container_name)
        await self._workers.run(kept.give_back, self._room.folders.paths(instance.name), change.container)

    async def try_out(self, instance: StoredInstance, container: str, told: Told) -> Judgement:
        """Look at a container that was started until it is good or bad."""
        handle = self.handle(instance, container)
        began = self._room.kernel.now().mono
        trial = Trial(seconds=0.0)
        while True:
            cell = await self.look(instance, handle)
            seen = await self._probe(instance) if cell is not None and cell.runs else Seen()
            trial = next_trial(trial, self._room.kernel.now().mono - began, cell, seen)
            judged = judge(trial, self._patience)
            if judged.verdict is not Verdict.WAIT:
                return judged
            told(min(trial.seconds / self._patience.ready_seconds, 1.0), f"{instance.name}: {judged.reason}"[:300])
            await asyncio.sleep(self._patience.look_seconds)

    # --- back

    async def take_away(self, instance: StoredInstance, change: Change) -> None:
        """Remove the new container and its volumes, or put the kept one of a rollback back to where it was kept."""
        cells, cell = self._room.cells(instance), cell_of(instance)
        if change.kind is ChangeKind.ROLLBACK:
            handle = self.handle(instance, change.container)
            await cells.stop(handle, STOP_GRACE_SECONDS)
            await cells.rename(handle, kept_name(instance.container_name, change.container))
            return
        known = {instance.container, instance.previous_container}
        for seen in await cells.cells(cell):
            # Also what was made by a hub that was killed before it wrote down which container that is.
            if seen.handle is not None and seen.container not in known:
                await cells.kill(seen.handle)
                await cells.remove(seen.handle)
        for volume in change.volumes:
            await cells.remove_volume(cell, volume)

    async def put_back(self, instance: StoredInstance) -> None:
        """Give the old container its name and its files again; it is not started."""
        cells, handle = self._room.cells(instance), self._room.handle(instance)
        seen = await cells.inspect(handle)
        if seen.name == instance.container_name and seen.runs:
            # It was never stopped, so that nothing of it has changed.
            return
        await self._workers.run(kept.give_back, self._room.folders.paths(instance.name), instance.container)
        await cells.rename(handle, instance.container_name)

    async def start(self, instance: StoredInstance, container: str) -> None:
        await self._room.cells(instance).start(self.handle(instance, container))

    async def write_run(self, instance: StoredInstance) -> None:
        """Write the Compose file anew, as the instance is now."""
        order = await asyncio.to_thread(self._room.load, instance)
        plan = cell_plan(order, self._room.folders.paths(instance.name))
        await asyncio.to_thread(self._room.folders.write_run, order, plan, {})

    async def settle(self, instance: StoredInstance) -> None:
        """Leave the container as the operator wants it."""
        cells, handle = self._room.cells(instance), self._room.handle(instance)
        if instance.wanted is Wanted.RUNNING:
            await cells.start(handle)
        else:
            await cells.stop(handle, STOP_GRACE_SECONDS)

    async def clear(self, instance: StoredInstance) -> list[str]:
        """Remove containers and volumes of the instance that neither serve nor wait for a rollback, and what was kept
        of them; returns what could not be removed."""
        cells, cell = self._room.cells(instance), cell_of(instance)
        left: list[str] = []
        living = {instance.container, instance.previous_container}
        for seen in await cells.cells(cell):
            if seen.handle is not None and seen.container not in living:
                with _noting(left, seen.name):
                    await cells.remove(seen.handle)
        for volume in await cells.volumes(cell):
            if volume not in (*instance.volumes, *instance.previous_volumes):
                with _noting(left, volume):
                    await cells.remove_volume(cell, volume)
        paths = self._room.folders.paths(instance.name)
        with _noting(left, str(paths.folder / kept.KEPT)):
            await self._workers.run(kept.sweep, paths, frozenset({instance.previous_container} - {""}))
        return left

    async def look(self, instance: StoredInstance, handle: CellHandle) -> CellSeen | None:
        try:
            return await self._room.cells(instance).inspect(handle)
        except CellGone:
            return None

    async def keep_log(self, instance: StoredInstance, change: Change) -> str:
        """Write down what the container that is about to be removed printed; returns the file, "" where it printed
        nothing that can be read."""
        if not change.container:
            return ""
        lines = await self._room.tail(replace(instance, container=change.container))
        if not lines:
            return ""
        paths = self._room.folders.paths(instance.name)
        return str(await self._workers.run(kept.write_log, paths, change.id, lines))

    def handle(self, instance: StoredInstance, container: str) -> CellHandle:
        return CellHandle(instance.name, instance.uid, container)


@contextlib.contextmanager
def _noting(left: list[str], what: str):
    try:
        yield
    except HubError as exc:
        left.append(f"{what} ({exc.message})")


def _part(told: Told, begin: float, share: float) -> Told:
    return lambda done, line: told(begin + done * share, line)


def _unlink(meter: object, path: Path) -> None:
    path.unlink(missing_ok=True)
