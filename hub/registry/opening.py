"""What happens to the database file before the hub uses it: checks, backup, migrations.

All of it is synchronous and owns the only connection; `prepare` leaves none open.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from hub.errors import StartFailed
from hub.registry import backup, migrations
from hub.registry.connection import BUSY_SECONDS, connect, transaction, translate
from hub.registry.migrations import MIGRATIONS, Migration

SQLITE_VERSION: Final = sqlite3.sqlite_version
"""The library that this Python brings, e.g. `3.51.3`."""
APPLICATION_ID: Final = 0x636C6177
"""`claw`, in the header of every registry: tells it from other programs' SQLite files."""

SAFE_SQLITE: Final = (3, 51, 3)
"""First SQLite without the WAL-reset bug (https://sqlite.org/wal.html#walresetbug)."""


def prepare(path: Path, steps: Sequence[Migration] = MIGRATIONS, *, busy_seconds: float = BUSY_SECONDS) -> list[str]:
    """Make the file at `path` a sound registry of the newest schema; returns warnings for people.

    Raises StartFailed: unreadable, damaged, foreign or newer file, failed migration, no space.
    """
    try:
        _create(path)
        _check_and_migrate(path, steps, busy_seconds)
    except sqlite3.Error as exc:
        known = translate(exc)
        raise _unusable(path, str(exc), known.hint if known.retryable else "") from exc
    except OSError as exc:
        raise StartFailed(
            f"The registry {path} cannot be opened: {exc.strerror}.",
            code="registry_unreadable",
            hint="Check owner and permissions of the state folder, and that its disk is writable.",
        ) from exc
    return version_warnings(sqlite3.sqlite_version_info)


def version_warnings(version: tuple[int, ...]) -> list[str]:
    if version >= SAFE_SQLITE:
        return []
    numbers = ".".join(map(str, version))
    return [
        f"SQLite {numbers} has a rare fault in its write-ahead log that 3.51.3 fixes. The hub's way of writing "
        "(one writer, which alone checkpoints) keeps clear of it; do not open registry.db for writing with "
        "other programs while the hub runs."
    ]


def _create(path: Path) -> None:
    """Make an empty file that only the owner can read; SQLite gives its side files the same mode."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))


def _check_and_migrate(path: Path, steps: Sequence[Migration], busy_seconds: float) -> None:
    with closing(connect(path, busy_seconds=busy_seconds)) as connection:
        fresh = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
        if not fresh:
            _check(connection, path, steps)
        version = migrations.version_of(connection)
        pending = [step for step in steps if step.number > version]
        kept = None
        if pending and not fresh:
            kept = path.with_name(f"{path.name}.before-{pending[-1].number}")
            backup.copy(connection, kept, replace=True)
        failed = _migrate(connection, pending)
    if failed is not None:
        _give_back(path, kept, *failed)
    with closing(connect(path)) as connection:
        _finish(connection, path)


def _check(connection: sqlite3.Connection, path: Path, steps: Sequence[Migration]) -> None:
    if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise StartFailed(
            f"{path} is a database of another program.",
            code="registry_foreign",
            hint="Choose another state folder with CLAWTUI_HOME, or move the file away.",
        )
    newer = migrations.version_of(connection)
    if newer > migrations.latest(steps):
        raise StartFailed(
            f"The registry {path} has schema version {newer}; this program knows versions up to "
            f"{migrations.latest(steps)}.",
            code="registry_newer",
            hint="Start the newer version of the program that wrote it. To go back, use its backup from before "
            f"the upgrade. {backup.hint(path)}",
        )
    verdict = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    if verdict != "ok":
        raise _unusable(path, verdict)


def _migrate(connection: sqlite3.Connection, pending: Sequence[Migration]) -> tuple[Migration, Exception] | None:
    """Apply what is pending; returns the step that failed and why."""
    for step in pending:
        try:
            migrations.apply(connection, step)
        # A migration is code of its own that may raise anything; the database goes back whatever it was.
        except Exception as exc:  # noqa: BLE001
            return step, exc
    return None


def _give_back(path: Path, kept: Path | None, step: Migration, error: Exception) -> None:
    """Put the database from before the migrations back, then raise StartFailed."""
    if kept is not None:
        backup.put_in_place(kept, path)
    raise StartFailed(
        f"Migration {step.number} ({step.name}) of the registry failed: {error}.",
        code="migration_failed",
        hint="The registry is as it was before. Start the version of the program that you used until now, and "
        "report this message." + (f" A copy from before the migration is {kept}." if kept is not None else ""),
    ) from error


def _finish(connection: sqlite3.Connection, path: Path) -> None:
    with transaction(connection):
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("INSERT OR IGNORE INTO meta (key, value) VALUES ('hub_id', ?)", (secrets.token_hex(8),))
    mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    if mode != "wal":
        raise StartFailed(
            f"The file system of {path} does not support SQLite's write-ahead log.",
            code="registry_unusable",
            hint="Put the state folder on a local disk with CLAWTUI_HOME; network file systems do not work.",
        )


def _unusable(path: Path, reason: str, remedy: str = "") -> StartFailed:
    return StartFailed(
        f"The registry {path} cannot be used: {reason}.",
        code="registry_unusable",
        hint=remedy or backup.hint(path),
    )
