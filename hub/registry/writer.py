"""The one connection that writes, and the bound of its write-ahead log."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, TypeVar

from hub.core.effects import Delete, Save
from hub.errors import Unavailable
from hub.registry.batch import write
from hub.registry.connection import BUSY_SECONDS, BatchConnection, connect, open_connection, transaction

T = TypeVar("T")

CHECKPOINT_PAGES: Final = 1_000
"""Pages in the log after which SQLite moves them into the database (its own default, 4 MiB)."""
LOG_LIMIT_BYTES: Final = 64 * 1024 * 1024
"""From here on the writer asks for the log to begin anew, and again after as much growth; a quarter
of it stays reserved on the disk."""
TRUNCATE_WAIT_MS: Final = 50
"""How long one such request waits for readers; commits wait with it."""


class Writer:
    """Commits in order. A reader elsewhere can make the log grow, but never make a commit fail:
    the log begins anew when that reader is done."""

    def __init__(self, path: Path, log_limit_bytes: int = LOG_LIMIT_BYTES) -> None:
        self._path = path
        self._limit = log_limit_bytes
        self._log = str(path.with_name(f"{path.name}-wal"))
        self._connection: BatchConnection | None = None
        self._truncate_at = log_limit_bytes
        self._checkpoint_error: str | None = None

    async def open(self) -> None:
        self._connection = await open_connection(self._connect)

    async def close(self) -> None:
        if self._connection is not None:
            await self._connection.close()

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        if self._connection is None:
            raise Unavailable("The registry is not open.")
        return await self._connection.run(work)

    async def write(self, effects: Sequence[Save | Delete]) -> None:
        def work(connection: sqlite3.Connection) -> None:
            write(connection, effects)
            self._bound_log(connection)

        await self.run(work)

    async def set_meta(self, key: str, value: str) -> None:
        def work(connection: sqlite3.Connection) -> None:
            with transaction(connection):
                connection.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (key, value))

        await self.run(work)

    def problems(self) -> list[str]:
        """Return what is wrong with the log, as sentences."""
        size = self._log_bytes()
        found = (
            [f"The registry's log cannot be moved into the database: {error}."]
            if (error := self._checkpoint_error)
            else []
        )
        if size > 2 * self._limit:
            found.append(
                f"The registry's log has grown to {size // 1024**2} MiB: another program is reading "
                "registry.db and does not end its transaction."
            )
        return found

    def sizes(self) -> tuple[int, int]:
        """Bytes of the database and of its log."""
        return self._path.stat().st_size if self._path.exists() else 0, self._log_bytes()

    def _connect(self) -> sqlite3.Connection:
        connection = connect(self._path)
        # FULL: the log is synced in every commit. fullfsync: on macOS only this reaches the disk.
        for pragma in (
            "synchronous = FULL",
            "fullfsync = ON",
            f"wal_autocheckpoint = {CHECKPOINT_PAGES}",
            f"journal_size_limit = {self._limit // 4}",
        ):
            connection.execute(f"PRAGMA {pragma}")
        return connection

    def _bound_log(self, connection: sqlite3.Connection) -> None:
        """Make the log begin anew when readers that follow one another have kept it from doing so.

        Runs after a commit that has succeeded: whatever fails here is a note, not an error.
        """
        size = self._log_bytes()
        if size < self._limit:
            self._truncate_at, self._checkpoint_error = self._limit, None
        if size < self._truncate_at:
            return
        try:
            connection.execute(f"PRAGMA busy_timeout = {TRUNCATE_WAIT_MS}")
            busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
            self._checkpoint_error = None
        except sqlite3.Error as exc:
            busy = True
            self._checkpoint_error = str(exc)
        finally:
            connection.execute(f"PRAGMA busy_timeout = {int(BUSY_SECONDS * 1000)}")
        self._truncate_at = size + self._limit if busy else self._limit

    def _log_bytes(self) -> int:
        try:
            return os.stat(self._log).st_size
        except FileNotFoundError:
            return 0
