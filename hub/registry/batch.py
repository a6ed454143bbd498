"""The write side: a batch of saves and deletes as few, large statements in one transaction.

A statement holds up to 64 rows, not one: SQLite lets the interpreter lock go around every
statement, and taking it back from a busy event loop costs up to a switch interval each time.
Measured with a busy loop on two cores, 100 rows per commit: 25 ms row by row, 7 ms in groups.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, Final

from hub.core.effects import Delete, Save
from hub.core.model import AuditEntry, Record
from hub.registry.connection import transaction
from hub.registry.rows import AUDIT_NAMES, TABLES, TASKS, Row, Table, audit_row, task_labels

GROUPS: Final = (64, 16, 4, 1)
"""Rows per statement. Few lengths keep all statements prepared; 64 rows of the widest table stay
below the 999 parameters that every SQLite takes."""


class Batch:
    """What remains of a list of effects: the last word on each key, in order of first mention."""

    def __init__(self, effects: Sequence[Save | Delete]) -> None:
        """Raises TypeError for a record that the registry does not keep, and for deleting audit."""
        self.saves: dict[Table[Any], list[Record]] = {}
        self.deletes: dict[Table[Any], list[Row]] = {}
        self.audit: list[AuditEntry] = []
        last: dict[tuple[Table[Any], Row], Save | Delete] = {}
        for effect in effects:
            record = effect.record
            if isinstance(record, AuditEntry):
                if isinstance(effect, Delete):
                    raise TypeError("The audit is append-only.")
                self.audit.append(record)
                continue
            table = TABLES.get(type(record))
            if table is None:
                raise TypeError(f"The registry keeps no {type(record).__name__}.")
            last[table, table.key(record)] = effect
        for (table, key), effect in last.items():
            if isinstance(effect, Save):
                self.saves.setdefault(table, []).append(effect.record)
            else:
                self.deletes.setdefault(table, []).append(key)


def write(connection: sqlite3.Connection, effects: Sequence[Save | Delete]) -> None:
    """Commit all effects in one transaction. Runs on the writer's thread."""
    batch = Batch(effects)
    with transaction(connection):
        for table, keys in batch.deletes.items():
            _delete(connection, table, keys)
        for table, records in batch.saves.items():
            _run(connection, _upsert_sql, table, [table.row(record) for record in records])
        _save_labels(connection, batch.saves.get(TASKS, []))
        _run(connection, _audit_sql, None, [audit_row(entry) for entry in batch.audit])


def _save_labels(connection: sqlite3.Connection, tasks: Sequence[Any]) -> None:
    rows = [(task.id, label) for task in tasks if task.labels for label in task_labels(task)]
    _run(connection, _labels_sql, None, rows)


def _delete(connection: sqlite3.Connection, table: Table[Any], keys: list[Row]) -> None:
    if table is TASKS:
        _run(connection, _unlabel_sql, None, keys)
    _run(connection, _delete_sql, table, keys)


def _run(connection: sqlite3.Connection, sql: Any, table: Table[Any] | None, rows: list[Row]) -> None:
    for group in _groups(rows):
        connection.execute(sql(table, len(group)), [value for row in group for value in row])


def _groups(rows: list[Row]) -> Iterator[list[Row]]:
    start = 0
    while start < len(rows):
        size = next(size for size in GROUPS if len(rows) - start >= size)
        yield rows[start : start + size]
        start += size


def _values(columns: int, rows: int) -> str:
    row = f"({', '.join('?' * columns)})"
    return f"VALUES {', '.join([row] * rows)}"


@cache
def _upsert_sql(table: Table[Any], rows: int) -> str:
    updates = ", ".join(f"{name} = excluded.{name}" for name in table.changing)
    return (
        f"INSERT INTO {table.name} ({', '.join(table.names)}) {_values(len(table.names), rows)} "
        f"ON CONFLICT ({', '.join(table.key_names)}) DO UPDATE SET {updates}"
    )


@cache
def _delete_sql(table: Table[Any], rows: int) -> str:
    names = ", ".join(table.key_names)
    return f"DELETE FROM {table.name} WHERE ({names}) IN ({_values(len(table.key_names), rows)})"


@cache
def _labels_sql(table: None, rows: int) -> str:
    return (
        "INSERT OR IGNORE INTO task_labels (n, label) "
        f"SELECT tasks.n, wanted.column2 FROM ({_values(2, rows)}) AS wanted JOIN tasks ON tasks.id = wanted.column1"
    )


@cache
def _unlabel_sql(table: None, rows: int) -> str:
    return f"DELETE FROM task_labels WHERE n IN (SELECT n FROM tasks WHERE id IN ({_values(1, rows)}))"


@cache
def _audit_sql(table: None, rows: int) -> str:
    return f"INSERT INTO audit ({', '.join(AUDIT_NAMES)}) {_values(len(AUDIT_NAMES), rows)}"
