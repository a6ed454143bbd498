"""What needs a person: snoozes, and the failures of the last hours without reading every task.

A task that was submitted again names the one before in `retry_of`, as its record does.
"""

from __future__ import annotations

import sqlite3
from typing import Final

_STATEMENTS: Final = (
    "CREATE TABLE snoozes (id TEXT PRIMARY KEY, until INTEGER NOT NULL, body BLOB NOT NULL) WITHOUT ROWID",
    "ALTER TABLE tasks ADD COLUMN retry_of TEXT",
    # A body is JSON in a blob, which newer versions of SQLite would take for their own binary JSON.
    """UPDATE tasks SET retry_of = json_extract(CAST(body AS TEXT), '$.retry_of')
        WHERE instr(body, CAST('"retry_of":"' AS BLOB)) > 0""",
    "CREATE INDEX tasks_by_retry ON tasks (retry_of) WHERE retry_of IS NOT NULL",
    # The states are written out as the query writes them, or SQLite would not use the index.
    "CREATE INDEX tasks_failed ON tasks (ended_at) WHERE state IN ('failed', 'lost', 'rejected', 'timed_out')",
)


def apply(connection: sqlite3.Connection) -> None:
    for statement in _STATEMENTS:
        connection.execute(statement)
