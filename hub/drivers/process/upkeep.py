"""What the process driver can do beside running agents: sizes of their folders, clean-up, ownership of workspaces."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from hub.archives.unpack import open_below
from hub.archives.work import Meter, Workers
from hub.core.model import Observed
from hub.drivers.base import AgentHandle, Observation
from hub.drivers.process.folder import AgentFolder
from hub.drivers.upkeep import DiskKind, Holding, Known, Progress, Repaired, Survey
from hub.errors import Conflict

NAME = "process"


class Life(Protocol):
    """What of the driver is used here."""

    def folder_of(self, handle: AgentHandle) -> AgentFolder: ...

    async def list_agents(self) -> list[Observation]: ...

    async def destroy(self, handle: AgentHandle) -> None: ...


class ProcessUpkeep:
    """See `hub.drivers.upkeep.DiskKeeper` and `Repairs`."""

    def __init__(self, life: Life) -> None:
        self._life = life
        self._workers = Workers("process-upkeep", 2)

    def close(self) -> None:
        self._workers.close()

    # --- disk

    async def survey(self, known: Known, deadline_seconds: float) -> Survey:
        holdings: list[Holding] = []
        unknown: dict[DiskKind, str] = {}
        deadline = asyncio.get_running_loop().time() + deadline_seconds
        for found in await self._life.list_agents():
            folder = self._life.folder_of(found.handle).path
            size: int | None = None
            try:
                async with asyncio.timeout_at(deadline):
                    size = await self._workers.run(used_bytes, folder)
            except TimeoutError:
                unknown[DiskKind.FOLDERS] = f"not measured within {deadline_seconds:.0f} s"
            holdings.append(_holding(found, known, folder, size))
        return Survey(holdings=tuple(holdings), unknown=unknown)

    async def remove(self, holding: Holding, known: Known) -> None:
        for found in await self._life.list_agents():
            if (found.agent_id, found.uid) == (holding.agent_id, holding.uid):
                present = _holding(found, known, self._life.folder_of(found.handle).path, None)
                if present.used_by:
                    raise Conflict(f"{holding.name} is in use: {present.used_by}", driver=NAME)
                await self._life.destroy(found.handle)

    # --- ownership

    async def repair(self, handle_ref: str, *, everything: bool, progress: Progress) -> Repaired:
        folder = self._life.folder_of(AgentHandle(NAME, handle_ref))
        progress(0.05, f"looking through {folder.workspace}")
        return await self._workers.run(give_back, folder.workspace, everything=everything)


def _holding(found: Observation, known: Known, folder: Path, size: int | None) -> Holding:
    used_by, unused = "", ""
    if known.agent(found.agent_id, found.uid):
        used_by = f"agent {found.agent_id}"
    elif found.state in (Observed.RUNNING, Observed.PAUSED):
        used_by = "its process runs; clawtui adopt takes it back"
    else:
        unused = "no agent of this hub has it; clawtui adopt would take it back"
    return Holding(
        kind=DiskKind.FOLDERS, id=str(folder), name=folder.name, size_bytes=size, frees_bytes=size,
        agent_id=found.agent_id, uid=found.uid, used_by=used_by, unused=unused,
    )  # fmt: skip


# --- blocking ----------------------------------------------------------------------------------


def used_bytes(meter: Meter, folder: Path) -> int:
    """Return what the folder takes on its disk; files with several names count once. What goes away meanwhile is 0."""
    seen: set[tuple[int, int]] = set()
    total = 0
    for _, entry in walk(folder):
        key = (entry.st_dev, entry.st_ino)
        if entry.st_nlink > 1 and not stat.S_ISDIR(entry.st_mode):
            if key in seen:
                continue
            seen.add(key)
        total += entry.st_blocks * 512
        meter.advance(0)
    return total


def walk(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Yield everything at and below `folder` without following links, on this file system only."""
    try:
        top = os.lstat(folder)
    except FileNotFoundError:
        return
    yield str(folder), top
    waiting = [str(folder)]
    while waiting:
        try:
            entries = list(os.scandir(waiting.pop()))
        except OSError:
            # Gone meanwhile, or nobody may look into it.
            continue
        for entry in entries:
            try:
                found = entry.stat(follow_symlinks=False)
            except OSError:
                continue
            if found.st_dev != top.st_dev:
                continue
            yield entry.path, found
            if stat.S_ISDIR(found.st_mode):
                waiting.append(entry.path)


def give_back(meter: Meter, folder: Path, *, everything: bool) -> Repaired:
    """Give what root (or, with `everything`, anybody else) owns in the folder to the user whose hub this is.

    Raises:
        OSError: the folder cannot be opened.
    """
    user = os.geteuid()
    seen = changed = left = 0
    first = ""
    root = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        for path, entry in walk(folder):
            meter.advance(0)
            seen += 1
            foreign = entry.st_uid != user if everything else entry.st_uid == 0 != user
            if not foreign:
                continue
            try:
                take_over(root, Path(path).relative_to(folder).parts)
                changed += 1
            except OSError as exc:
                left += 1
                first = first or f"{path}: {exc.strerror}"
    finally:
        os.close(root)
    return Repaired(seen=seen, changed=changed, left=left, first=first)


def take_over(root: int, parts: tuple[str, ...]) -> None:
    """Make this process's user the owner of an entry below the folder `root`, a link's own. Raises OSError.

    The agent may have made a folder on the way into a link since it was looked at: that is an error.
    """
    user, group = os.geteuid(), os.getegid()
    if not parts:
        os.fchown(root, user, group)
        return
    parent = open_below(root, parts[:-1])
    try:
        os.chown(parts[-1], user, group, dir_fd=parent, follow_symlinks=False)
    finally:
        os.close(parent)
