"""OpenClaw gateways that somebody named."""

from __future__ import annotations

import sqlite3
from typing import Final

_STATEMENTS: Final = ("CREATE TABLE gateways (name TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID",)


def apply(connection: sqlite3.Connection) -> None:
    for statement in _STATEMENTS:
        connection.execute(statement)
