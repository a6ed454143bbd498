"""What is in the state folder. Everything here blocks; a `Meter` lets whoever waits give up."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Final

from hub.archives.work import Meter
from hub.core.model import AgentId
from hub.disk.things import HUB, Kind, Thing
from hub.drivers.upkeep import DiskKind, Holding
from hub.output import retention
from hub.registry.backup import DATABASE, known_backups

HISTORY: Final = "metrics.db"
AGENT_LOGS: Final = ("logs", "agents")
LOG_ENDINGS: Final = frozenset({".jsonl", ".old"})
KEEPS_ITSELF: Final = "the hub's own"


class Folder:
    """What the hub knows, for judging its own files. `snapshots`: the ids of the registry's."""

    def __init__(self, path: Path, agents: Collection[str], snapshots: Collection[str]) -> None:
        self.path = path
        self.agents = agents
        self.snapshots = snapshots


Step = Callable[[Meter, Folder], list[Thing]]


def registry(meter: Meter, folder: Folder) -> list[Thing]:
    return _database(folder.path, DATABASE, Kind.REGISTRY)


def history(meter: Meter, folder: Folder) -> list[Thing]:
    return _database(folder.path, HISTORY, Kind.HISTORY)


def _database(folder: Path, name: str, kind: Kind) -> list[Thing]:
    size = sum(size_of(folder / f"{name}{ending}") for ending in ("", "-wal", "-shm"))
    return [_thing(kind, folder / name, size, used_by=KEEPS_ITSELF)]


def backups(meter: Meter, folder: Folder) -> list[Thing]:
    keep = "a copy that somebody asked for, or of before an upgrade; remove it by hand"
    return [_thing(Kind.BACKUPS, path, size_of(path), used_by=keep) for path in known_backups(folder.path)]


def output(meter: Meter, folder: Folder) -> list[Thing]:
    place = folder.path / "output"
    return [_thing(Kind.OUTPUT, place, retention.measure(place), used_by="kept as long as the settings say")]


def logs(meter: Meter, folder: Folder) -> list[Thing]:
    """Agents' logs, and everything else below `logs` in one."""
    place = folder.path.joinpath(*AGENT_LOGS)
    found: list[Thing] = []
    for path in sorted(place.iterdir()) if place.is_dir() else []:
        if path.suffix in LOG_ENDINGS:
            found.append(_agent_log(folder, path))
    rest = sum(size_of(path) for path in files(meter, folder.path / "logs") if path.parent != place)
    return [*found, _thing(Kind.LOGS, folder.path / "logs", rest, used_by=KEEPS_ITSELF)]


def _agent_log(folder: Folder, path: Path) -> Thing:
    known = path.stem in folder.agents
    return _thing(
        Kind.LOGS, path, size_of(path), agent_id=path.stem, used_by=f"agent {path.stem}" if known else "",
        unused="" if known else f"agent {path.stem} is not there any more",
    )  # fmt: skip


def snapshots(meter: Meter, folder: Folder) -> list[Thing]:
    """Folders of snapshots; of those in the registry the registry says more, so only others are returned."""
    place = folder.path / "snapshots"
    found: list[Thing] = []
    for path in sorted(place.iterdir()) if place.is_dir() else []:
        if not path.is_dir() or path.name in folder.snapshots:
            continue
        size = sum(size_of(file) for file in files(meter, path))
        hidden = path.name.startswith(".")
        found.append(
            _thing(
                Kind.SNAPSHOTS,
                path,
                size,
                used_by="work that goes on" if hidden else "",
                snapshot_id=path.name,
                unused="" if hidden else "no snapshot of this hub has it",
            )
        )
    return found


STEPS: Final[dict[Kind, Step]] = {
    Kind.SNAPSHOTS: snapshots,
    Kind.LOGS: logs,
    Kind.OUTPUT: output,
    Kind.REGISTRY: registry,
    Kind.HISTORY: history,
    Kind.BACKUPS: backups,
}


def size_of(path: Path) -> int:
    """What the file takes on the disk; 0 when it is gone."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return 0
    return found.st_blocks * 512


def files(meter: Meter, folder: Path) -> Iterator[Path]:
    """Yield everything below without following links. Raises Abandoned."""
    # One after the other and not one in the other: folders may be deeper than Python's stack.
    waiting = [folder]
    while waiting:
        found = waiting.pop()
        if not found.is_dir() or found.is_symlink():
            continue
        try:
            names = os.listdir(found)
        except (FileNotFoundError, NotADirectoryError):
            # Removed meanwhile: what is left is still to be told.
            continue
        for name in names:
            meter.advance(0)
            yield (path := found / name)
            waiting.append(path)


def remove_log(meter: Meter, state_folder: Path, thing: Thing) -> None:
    """Remove an agent's log; fine when it is gone. Anything else than a file there is left alone."""
    path = state_folder.joinpath(*AGENT_LOGS) / Path(thing.holding.id).name
    if path.is_file() and path.suffix in LOG_ENDINGS:
        path.unlink(missing_ok=True)


def _thing(
    kind: Kind, path: Path, size: int, *, agent_id: str = "", used_by: str = "", unused: str = "", snapshot_id: str = ""
) -> Thing:
    # The kinds of drivers and of the hub are one vocabulary; a holding's own is not looked at for the hub's.
    holding = Holding(
        kind=DiskKind.FOLDERS, id=str(path), name=path.name, size_bytes=size, frees_bytes=size,
        agent_id=AgentId(agent_id) if agent_id else None, snapshot_id=snapshot_id, used_by=used_by, unused=unused,
    )  # fmt: skip
    return Thing(HUB, kind, holding)
