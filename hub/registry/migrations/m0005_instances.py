"""OpenClaw gateways that the hub runs, and their backups."""

from __future__ import annotations

import sqlite3
from typing import Final

_STATEMENTS: Final = (
    "CREATE TABLE instances (name TEXT PRIMARY KEY, uid TEXT NOT NULL, body BLOB NOT NULL) WITHOUT ROWID",
    """CREATE TABLE backups (
        n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, gateway TEXT NOT NULL, body BLOB NOT NULL)""",
    "CREATE INDEX backups_by_gateway ON backups (gateway, n)",
)


def apply(connection: sqlite3.Connection) -> None:
    for statement in _STATEMENTS:
        connection.execute(statement)
