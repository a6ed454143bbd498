"""PURE: one thing on a disk, from a platform or from the hub's own folder, and what may become of it."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import Final

import msgspec

from hub.contract import DiskAgent, DiskObject, DiskRow
from hub.core.view import rfc3339
from hub.drivers.upkeep import DiskKind, Holding

HUB: Final = "hub"
"""The place of what is in the state folder; other places are drivers."""


class Kind(enum.StrEnum):
    """What takes room, in the order in which it is shown, and in which it is removed."""

    CONTAINERS = DiskKind.CONTAINERS.value
    IMAGES = DiskKind.IMAGES.value
    CACHE = DiskKind.CACHE.value
    VOLUMES = DiskKind.VOLUMES.value
    FOLDERS = DiskKind.FOLDERS.value
    SNAPSHOTS = "snapshots"
    LOGS = "logs"
    OUTPUT = "output"
    REGISTRY = "registry"
    HISTORY = "history"
    BACKUPS = "backups"


ORDER: Final = {kind: place for place, kind in enumerate(Kind)}
DATA: Final = frozenset({Kind.CONTAINERS, Kind.VOLUMES, Kind.FOLDERS, Kind.SNAPSHOTS})
"""Work of agents: nobody can make it again."""
PRUNABLE: Final = (Kind.CONTAINERS, Kind.IMAGES, Kind.CACHE, Kind.VOLUMES, Kind.FOLDERS, Kind.SNAPSHOTS, Kind.LOGS)


class Thing(msgspec.Struct, frozen=True):
    """A holding at a place; `kind` and the place's own id together never mean another one."""

    place: str
    kind: Kind
    holding: Holding

    @property
    def is_data(self) -> bool:
        """Images of snapshots hold what agents have written, too."""
        return self.kind in DATA or bool(self.holding.snapshot_id)


def thing_of(place: str, holding: Holding) -> Thing:
    return Thing(place, Kind(holding.kind.value), holding)


def disk_object(thing: Thing) -> DiskObject:
    holding = thing.holding
    return DiskObject(
        kind=thing.kind.value,
        place=thing.place,
        id=holding.id,
        name=holding.name,
        size_bytes=holding.size_bytes,
        frees_bytes=holding.frees_bytes,
        agent_id=holding.agent_id,
        created_at=rfc3339(holding.created_at),
        used_by=holding.used_by,
        unused=holding.unused,
        data=thing.is_data,
    )


def total(sizes: Iterable[int | None]) -> int | None:
    """Return the sum, None when a part of it is not known."""
    known = list(sizes)
    return None if any(size is None for size in known) else sum(size for size in known if size is not None)


def rows(things: Iterable[Thing], unknown: dict[tuple[str, Kind], str]) -> list[DiskRow]:
    """Return one row per place and kind; a kind that could not be looked at has one that says why."""
    groups: dict[tuple[str, Kind], list[Thing]] = {key: [] for key in unknown}
    for thing in things:
        groups.setdefault((thing.place, thing.kind), []).append(thing)
    made = [_row(place, kind, of, unknown.get((place, kind), "")) for (place, kind), of in groups.items()]
    return sorted(made, key=lambda row: (row.place == HUB, row.place, ORDER[Kind(row.kind)]))


def _row(place: str, kind: Kind, things: list[Thing], note: str) -> DiskRow:
    unused = [thing for thing in things if thing.holding.unused]
    size = total(thing.holding.size_bytes for thing in things)
    if note and not things:
        size = None
    return DiskRow(
        kind=kind.value,
        place=place,
        count=len(things),
        size_bytes=size,
        unused_count=len(unused),
        unused_bytes=total(thing.holding.frees_bytes for thing in unused),
        note=note,
    )


def by_agent(things: Iterable[Thing], living: Iterable[str]) -> list[DiskAgent]:
    """Return what each living agent takes by kind; what is not known is not counted."""
    parts: dict[str, dict[str, int]] = {agent_id: {} for agent_id in living}
    for thing in things:
        agent_id, size = thing.holding.agent_id, thing.holding.size_bytes
        if agent_id is None or agent_id not in parts or size is None or thing.holding.unused:
            continue
        parts[agent_id][thing.kind.value] = parts[agent_id].get(thing.kind.value, 0) + size
    found = [DiskAgent(agent_id=name, size_bytes=sum(sizes.values()), parts=sizes) for name, sizes in parts.items()]
    return sorted(found, key=lambda agent: (-agent.size_bytes, agent.agent_id))
