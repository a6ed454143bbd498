"""Removing everything of an instance, each step as often as need be."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

from hub.core.effects import Delete, Effect
from hub.core.instances import StoredInstance
from hub.gateways.instances.model import cell_of
from hub.gateways.instances.room import InstanceRoom

GRACE_SECONDS: Final = 15.0
"""What is destroyed is not drained: its turns are lost with its data."""


def _silent(line: str) -> None:
    return


async def remove_everything(
    room: InstanceRoom,
    instance: StoredInstance,
    by: str,
    told: Callable[[str], None] = _silent,
    *,
    backups: bool = False,
) -> None:
    """Remove container, network, volumes, folder, gateway and row, in this order: what is left after a kill is still
    found by the row. Volumes that were there before us (an import) stay. The caller holds the instance."""
    cells, cell = room.cells(instance), cell_of(instance)
    await room.gateways.book.drop_instance(instance.name, by)
    for seen in await cells.cells(cell):
        if seen.handle is not None:
            told(f"removing {seen.name}")
            if seen.runs:
                await cells.stop(seen.handle, GRACE_SECONDS)
            await cells.remove(seen.handle)
    if instance.network:
        told(f"removing the network {instance.network}")
        await cells.remove_network(cell, instance.network)
    for volume in await cells.volumes(cell):
        told(f"removing the volume {volume}")
        await cells.remove_volume(cell, volume)
    gone: list[Effect] = []
    if backups:
        for backup in await room.kernel.registry.backups():
            if backup.gateway == instance.name:
                await asyncio.to_thread(_remove_backup, backup.path)
                gone.append(Delete(backup))
    await asyncio.to_thread(room.folders.remove, instance)
    room.seen.pop(instance.name, None)
    await room.book.forget(instance, *gone)


def _remove_backup(path: str) -> None:
    if path and Path(path).is_absolute():
        shutil.rmtree(path, ignore_errors=True)
