"""Saved agents, and where each agent stands among them."""

from __future__ import annotations

import sqlite3
from typing import Final

_STATEMENTS: Final = (
    """CREATE TABLE snapshots (
        n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE,
        agent_id TEXT NOT NULL, name TEXT NOT NULL, body BLOB NOT NULL)""",
    "CREATE INDEX snapshots_by_agent ON snapshots (agent_id, n)",
    "CREATE TABLE snapshot_lines (uid TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID",
)


def apply(connection: sqlite3.Connection) -> None:
    for statement in _STATEMENTS:
        connection.execute(statement)
