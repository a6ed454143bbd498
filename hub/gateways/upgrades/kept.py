"""What a gateway shares with the hub (its configuration and workspaces), kept as it was beside what is in use.

STATE/gateways/NAME/kept/<last 12 of a container's id>/    complete, as that container had it
STATE/gateways/NAME/kept/.<…>.new                     being written

Everything here blocks. Links are copied as links and never followed; sockets and pipes are left out.
"""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path
from typing import Final

from hub.archives.work import Meter
from hub.gateways.instances.model import Paths

KEPT: Final = "kept"
LOGS: Final = "upgrade-logs"
MOST_LOGS: Final = 20
CHARS: Final = 12


def kept_path(paths: Paths, container: str) -> Path:
    return paths.folder / KEPT / container[-CHARS:]


def keep(meter: Meter, paths: Paths, container: str) -> None:
    """Copy what is shared; fine when it is kept already. Raises OSError, Abandoned."""
    target = kept_path(paths, container)
    if target.exists() or not paths.shared.is_dir():
        return
    target.parent.mkdir(mode=0o700, exist_ok=True)
    copy(meter, paths.shared, target)


def give_back(meter: Meter, paths: Paths, container: str) -> bool:
    """Put a copy of what was kept in the place of what is shared now, which goes; False when nothing was kept.

    No container may run meanwhile: it would go on with the folder that goes. The same again ends in the same.
    """
    source = kept_path(paths, container)
    if not source.exists():
        return False
    fresh, old = paths.folder / f"{KEPT}/.shared.new", paths.folder / f"{KEPT}/.shared.old"
    remove(fresh)
    copy(meter, source, fresh)
    remove(old)
    if paths.shared.exists():
        paths.shared.rename(old)
    fresh.rename(paths.shared)
    remove(old)
    return True


def sweep(meter: Meter, paths: Paths, living: frozenset[str]) -> None:
    """Remove what is kept of containers that are not `living`, and what was half written."""
    folder = paths.folder / KEPT
    names = {one[-CHARS:] for one in living}
    if folder.is_dir():
        for entry in list(folder.iterdir()):
            if entry.name not in names:
                remove(entry)


def copy(meter: Meter, source: Path, target: Path) -> None:
    """Copy a folder with modes, times and, for root, owners; it gets its name when it is complete."""
    growing = target.with_name(f".{target.name}.growing")
    remove(growing)

    def strange(folder: str, names: list[str]) -> set[str]:
        return {name for name in names if _strange(os.path.join(folder, name))}

    def one(from_path: str, to_path: str) -> str:
        found = os.lstat(from_path)
        meter.advance(found.st_size)
        made = shutil.copy2(from_path, to_path, follow_symlinks=False)
        return str(made)

    shutil.copytree(source, growing, symlinks=True, ignore=strange, copy_function=one)
    if os.geteuid() == 0:
        _owners(source, growing)
    growing.rename(target)


def write_log(meter: Meter, paths: Paths, name: str, lines: list[str]) -> Path:
    """Keep what a container printed that is removed; of many such files the newest stay."""
    folder = paths.folder / LOGS
    folder.mkdir(mode=0o700, exist_ok=True)
    for old in sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime)[: -MOST_LOGS + 1]:
        old.unlink()
    path = folder / f"{name}.log"
    path.write_text("".join(f"{line}\n" for line in lines))
    path.chmod(0o600)
    return path


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)


def _strange(path: str) -> bool:
    mode = os.lstat(path).st_mode
    return not (stat.S_ISDIR(mode) or stat.S_ISREG(mode) or stat.S_ISLNK(mode))


def _owners(source: Path, target: Path) -> None:
    for folder, folders, files in os.walk(target):
        below = os.path.relpath(folder, target)
        for name in (".", *folders, *files):
            found = os.lstat(os.path.join(source, below, name))
            os.chown(os.path.join(folder, name), found.st_uid, found.st_gid, follow_symlinks=False)
