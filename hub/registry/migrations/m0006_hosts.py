"""Docker hosts beside the hub's own engine."""

from __future__ import annotations

import sqlite3


def apply(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE hosts (name TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID")
