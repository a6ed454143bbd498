"""Copies of the registry: online backup, the copy before a migration, and putting one back."""

from __future__ import annotations

import os
import secrets
import shutil
import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

import msgspec

from hub.errors import BadRequest, Conflict, StorageFull
from hub.registry import migrations
from hub.registry.connection import connect, translated

DATABASE: Final = "registry.db"
BACKUPS: Final = "backups"
"""Folder inside the state folder where backups go that name no path."""
SIDE_FILES: Final = ("-wal", "-shm")


class Restored(msgspec.Struct, frozen=True):
    """`kept`: where the database that was replaced is now, None when there was none."""

    database: Path
    kept: Path | None


def default_path(state_folder: Path, now_ms: int) -> Path:
    """Return where a backup goes when the caller names no path."""
    return state_folder / BACKUPS / f"registry-{_stamp(now_ms)}.db"


def known_backups(state_folder: Path) -> list[Path]:
    """Return backups in the state folder, newest first; files elsewhere are not known."""
    found = [*state_folder.glob(f"{BACKUPS}/*.db"), *state_folder.glob(f"{DATABASE}.before-*")]
    return sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)


def hint(database: Path) -> str:
    """Say how to get a registry back, with the newest backups there are."""
    names = ", ".join(str(path) for path in known_backups(database.parent)[:3])
    found = f"Backups here: {names}." if names else "There is no backup in the state folder."
    return f"Put a backup back with `clawtui backup restore FILE`. {found}"


def backup_file(database: Path, target: Path) -> int:
    """Copy the running database to `target`; returns its size in bytes.

    Reads through a read-only connection of its own, in one read transaction: the copy is one
    moment, the writer is never held up, and only the writer checkpoints. Raises BadRequest,
    Conflict when `target` exists, StorageFull.
    """
    if target.exists() or target.is_symlink():
        raise Conflict(f"{target} exists.", code="exists", field="path", hint="Choose a new file name.")
    try:
        target.parent.mkdir(mode=0o700, exist_ok=True)
    except OSError as exc:
        raise BadRequest(f"{target.parent}: {exc.strerror}.", field="path") from exc
    with translated(), closing(connect(database, read_only=True)) as source:
        try:
            copy(source, target)
        except FileExistsError as exc:
            raise Conflict(f"{target} exists.", code="exists", field="path") from exc
        except OSError as exc:
            raise StorageFull(f"The backup cannot be written to {target}: {exc.strerror}.", retryable=False) from exc
    return target.stat().st_size


def copy(source: sqlite3.Connection, target: Path, *, replace: bool = False) -> None:
    """Copy `source` into a new file: temporary name, checked, synced, renamed.

    Raises sqlite3.Error, OSError; FileExistsError unless `replace`.
    """
    partial = target.with_name(f".{target.name}.{secrets.token_hex(4)}.partial")
    os.close(os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        with closing(connect(partial)) as destination:
            source.backup(destination)
            # One file without side files, so that it can be carried around.
            destination.execute("PRAGMA journal_mode = DELETE")
            verify(destination)
        sync(partial)
        _rename(partial, target, replace)
    finally:
        for name in (partial, *side_files(partial)):
            name.unlink(missing_ok=True)


def verify(connection: sqlite3.Connection) -> None:
    """Raises sqlite3.DatabaseError when the database is not sound."""
    verdict = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    if verdict != "ok":
        raise sqlite3.DatabaseError(verdict)


def restore_backup(backup: Path, state_folder: Path) -> Restored:
    """Make `backup` the registry of `state_folder`; the present one stays under another name.

    The caller holds the state folder's lock: no hub may run. Raises BadRequest when `backup` is not
    a sound registry that this program understands; then nothing has changed. StorageFull.
    """
    database = state_folder / DATABASE
    copied = database.with_name(f".{DATABASE}.{secrets.token_hex(4)}.restoring")
    try:
        _fetch(backup, copied)
        kept = set_aside(database)
        _rename(copied, database, replace=True)
    except OSError as exc:
        raise StorageFull(f"The backup cannot be put back: {exc.strerror}.", retryable=False) from exc
    finally:
        for name in (copied, *side_files(copied)):
            name.unlink(missing_ok=True)
    return Restored(database, kept)


def _fetch(backup: Path, copied: Path) -> None:
    """Copy the backup beside the database and check the copy, so that what is checked is what is used."""
    if not backup.is_file():
        raise BadRequest(f"{backup} is not a file.", field="path")
    shutil.copyfile(backup, copied)
    copied.chmod(0o600)
    # A database that was copied by hand while it was in use is only whole with its log.
    if (log := backup.with_name(f"{backup.name}-wal")).is_file():
        shutil.copyfile(log, copied.with_name(f"{copied.name}-wal"))
    try:
        with closing(connect(copied)) as connection:
            verify(connection)
            version = migrations.version_of(connection)
            connection.execute("SELECT value FROM meta WHERE key = 'hub_id'").fetchone()
            connection.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.Error as exc:
        raise BadRequest(f"{backup} is not a sound registry: {exc}.", code="bad_backup", field="path") from exc
    if not 0 < version <= migrations.latest(migrations.MIGRATIONS):
        raise BadRequest(
            f"{backup} has schema version {version}; this program knows versions up to "
            f"{migrations.latest(migrations.MIGRATIONS)}.",
            code="bad_backup",
            field="path",
        )
    sync(copied)


def set_aside(database: Path) -> Path | None:
    """Rename the database and its side files to a name that says when it was replaced."""
    if not database.exists():
        return None
    kept = database.with_name(f"{database.name}.replaced-{_stamp(time.time_ns() // 1_000_000)}")
    number = 1
    while kept.exists():
        number += 1
        kept = kept.with_name(f"{kept.name.partition('~')[0]}~{number}")
    # The log first: a database without its log is an older whole one, a log beside another database
    # would be read as that database's.
    for suffix in SIDE_FILES:
        with suppress(FileNotFoundError):
            database.with_name(f"{database.name}{suffix}").rename(kept.with_name(f"{kept.name}{suffix}"))
    database.rename(kept)
    return kept


def put_in_place(kept: Path, database: Path) -> None:
    """Replace `database` by a copy of `kept`, which stays. Nobody may have the database open."""
    copied = database.with_name(f".{database.name}.{secrets.token_hex(4)}.restoring")
    try:
        shutil.copyfile(kept, copied)
        copied.chmod(0o600)
        sync(copied)
        for name in side_files(database):
            name.unlink(missing_ok=True)
        _rename(copied, database, replace=True)
    finally:
        copied.unlink(missing_ok=True)


def side_files(database: Path) -> list[Path]:
    return [database.with_name(f"{database.name}{suffix}") for suffix in (*SIDE_FILES, "-journal")]


def sync(path: Path) -> None:
    """Force a file or a folder's entries to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _rename(source: Path, target: Path, replace: bool) -> None:
    if replace:
        source.replace(target)
    else:
        _rename_new(source, target)
    sync(target.parent)


def _rename_new(source: Path, target: Path) -> None:
    """Rename without ever replacing; a plain rename would."""
    try:
        os.link(source, target)
    except FileExistsError:
        raise
    except OSError:
        # No hard links here (FAT on a memory stick): the check and the rename are two steps.
        if target.exists():
            raise FileExistsError(target) from None
        source.rename(target)


def _stamp(now_ms: int) -> str:
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now_ms / 1000))
