"""Checks of OpenClaw gateways and what was done for them, beside the agents' history in its file and as lossy as that.

Rows are bounded in age and in number per gateway. Times are ms since the epoch.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Sequence
from typing import Final

from hub.core.gateway_checks import Check, Deed
from hub.registry.connection import BatchConnection, transaction

MOST_ROWS: Final = 50_000
"""Checks of one gateway: two weeks, one every 30 s, are 40,320."""
MOST_DEEDS: Final = 2_000
"""Restarts of one gateway."""

SCHEMA: Final = (
    """CREATE TABLE checks (n INTEGER PRIMARY KEY, gateway TEXT NOT NULL, at INTEGER NOT NULL, state TEXT NOT NULL,
        healthy INTEGER NOT NULL, counts INTEGER NOT NULL, response_ms REAL, reason TEXT NOT NULL,
        via TEXT NOT NULL)""",
    "CREATE INDEX checks_by_time ON checks (gateway, at)",
    """CREATE TABLE deeds (n INTEGER PRIMARY KEY, gateway TEXT NOT NULL, at INTEGER NOT NULL, by TEXT NOT NULL,
        worked INTEGER NOT NULL, seconds REAL, reason TEXT NOT NULL)""",
    "CREATE INDEX deeds_by_time ON deeds (gateway, at)",
    "CREATE TABLE patience (gateway TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID",
)
TABLES: Final = ("checks", "deeds", "patience")


class ChecksStore:
    """On a connection that somebody else opens and closes. All methods raise HubError."""

    def __init__(self, connection: BatchConnection) -> None:
        self._connection = connection

    async def append(self, checks: Sequence[Check], deeds: Sequence[Deed]) -> None:
        """Add rows, all in one transaction."""

        def work(connection: sqlite3.Connection) -> None:
            with transaction(connection):
                connection.executemany(
                    "INSERT INTO checks (gateway, at, state, healthy, counts, response_ms, reason, via)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    checks,
                )
                connection.executemany(
                    "INSERT INTO deeds (gateway, at, by, worked, seconds, reason) VALUES (?, ?, ?, ?, ?, ?)", deeds
                )

        await self._connection.run(work)

    async def checks(self, gateway: str, since_ms: int, most: int = MOST_ROWS) -> list[Check]:
        """Return the newest checks of a gateway since a moment, oldest first."""

        def work(connection: sqlite3.Connection) -> list[Check]:
            rows = connection.execute(
                "SELECT gateway, at, state, healthy, counts, response_ms, reason, via FROM checks"
                " WHERE gateway = ? AND at >= ? ORDER BY at DESC, n DESC LIMIT ?",
                (gateway, since_ms, most),
            ).fetchall()
            return [Check._make((*row[:3], bool(row[3]), bool(row[4]), *row[5:])) for row in reversed(rows)]

        return await self._connection.run(work)

    async def deeds(self, gateway: str, since_ms: int) -> list[Deed]:
        """Return what was done for a gateway since a moment, oldest first."""

        def work(connection: sqlite3.Connection) -> list[Deed]:
            rows = connection.execute(
                "SELECT gateway, at, by, worked, seconds, reason FROM deeds"
                " WHERE gateway = ? AND at >= ? ORDER BY at, n",
                (gateway, since_ms),
            )
            return [Deed._make((*row[:3], bool(row[3]), *row[4:])) for row in rows]

        return await self._connection.run(work)

    async def patience(self) -> dict[str, bytes]:
        """Return what the monitor wrote down, by gateway."""

        def work(connection: sqlite3.Connection) -> dict[str, bytes]:
            return dict(connection.execute("SELECT gateway, body FROM patience").fetchall())

        return await self._connection.run(work)

    async def keep_patience(self, gateway: str, body: bytes | None) -> None:
        """Write down what the monitor knows of a gateway; None forgets it."""

        def work(connection: sqlite3.Connection) -> None:
            if body is None:
                connection.execute("DELETE FROM patience WHERE gateway = ?", (gateway,))
            else:
                connection.execute("INSERT OR REPLACE INTO patience (gateway, body) VALUES (?, ?)", (gateway, body))

        await self._connection.run(work)

    async def remove(self, gateway: str) -> None:
        """Forget everything of a gateway."""
        await self._connection.run(lambda connection: _remove(connection, [gateway]))

    async def purge(self, before_ms: int, living: Collection[str]) -> None:
        """Delete what is older, what is more than is kept of one gateway, and all of gateways that are gone."""
        await self._connection.run(lambda connection: _purge(connection, before_ms, living))


def _remove(connection: sqlite3.Connection, gateways: Collection[str]) -> None:
    with transaction(connection):
        for table in TABLES:
            connection.executemany(f"DELETE FROM {table} WHERE gateway = ?", [(name,) for name in gateways])


def _purge(connection: sqlite3.Connection, before_ms: int, living: Collection[str]) -> None:
    known: set[str] = set()
    for table in TABLES:
        known |= {str(name) for (name,) in connection.execute(f"SELECT DISTINCT gateway FROM {table}")}
    _remove(connection, known - set(living))
    with transaction(connection):
        for table, most in (("checks", MOST_ROWS), ("deeds", MOST_DEEDS)):
            for name in known & set(living):
                connection.execute(f"DELETE FROM {table} WHERE gateway = ? AND at < ?", (name, before_ms))
                connection.execute(
                    f"DELETE FROM {table} WHERE gateway = ? AND n <= (SELECT n FROM {table} WHERE gateway = ?"
                    " ORDER BY n DESC LIMIT 1 OFFSET ?)",
                    (name, name, most),
                )
