"""Lists and look-ups, always newest first, always by key and never by counting rows off.

Every function runs on a read-only connection's thread.
"""

from __future__ import annotations

import base64
import binascii
import sqlite3
from typing import Any, Final, TypeVar

from hub.contract import TaskQuery
from hub.core.model import OPEN, TERMINAL, AuditEntry, IdempotencyKey, Record, Snapshot, SnapshotLine, Task, TaskState
from hub.errors import BadRequest
from hub.registry.rows import AUDIT_NAMES, IDEMPOTENCY, SNAPSHOT_LINES, SNAPSHOTS, TASKS, Table

R = TypeVar("R", bound=Record)

MAX_PAGE: Final = 1_000
"""Rows in one answer, whatever the caller asks for."""

MAX_ROW: Final = 2**63 - 1

GROUPS: Final[dict[str, frozenset[TaskState]]] = {"open": OPEN, "ended": TERMINAL}


def encode_cursor(kind: str, row: int) -> str:
    return base64.urlsafe_b64encode(f"{kind}:{row}".encode()).decode().rstrip("=")


def decode_cursor(kind: str, cursor: str | None) -> int:
    """Return the row before which the next page begins. Raises BadRequest."""
    if not cursor:
        return MAX_ROW
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        name, _, row = base64.b64decode(padded, altchars=b"-_", validate=True).decode("ascii").partition(":")
    except (binascii.Error, ValueError) as exc:
        raise _bad_cursor() from exc
    if name != kind or not row.isdecimal() or not 0 < int(row[:20]) <= MAX_ROW:
        raise _bad_cursor()
    return int(row)


def _bad_cursor() -> BadRequest:
    return BadRequest(
        "This cursor is not one of ours, or belongs to another list.",
        code="bad_cursor",
        field="cursor",
        hint="Pass `next` of the last answer unchanged, or leave it out to begin again.",
    )


def page_size(limit: int) -> int:
    """Raises BadRequest when `limit` is not positive."""
    if limit < 1:
        raise BadRequest("`limit` must be at least 1.", field="limit")
    return min(limit, MAX_PAGE)


def by_id(connection: sqlite3.Connection, table: Table[R], key: str) -> R | None:
    row = connection.execute(f"SELECT body FROM {table.name} WHERE id = ?", (key,)).fetchone()
    return None if row is None else table.record(row[0])


def page(connection: sqlite3.Connection, table: Table[R], limit: int, cursor: str | None) -> tuple[list[R], str | None]:
    """Return one page of all rows of a table, and the cursor of the next page."""
    size, before = page_size(limit), decode_cursor(table.name, cursor)
    rows = connection.execute(
        f"SELECT n, body FROM {table.name} WHERE n < ? ORDER BY n DESC LIMIT ?", (before, size + 1)
    ).fetchall()
    return [table.record(body) for _, body in rows[:size]], _next(table.name, rows, size)


def tasks(connection: sqlite3.Connection, query: TaskQuery) -> tuple[list[Task], str | None]:
    """Return one page of the tasks that match every filter given. Raises BadRequest."""
    size, before = page_size(query.limit), decode_cursor("tasks", query.cursor)
    inner, values = matching(query, before, size + 1)
    rows = connection.execute(
        f"SELECT n, body FROM tasks WHERE n IN ({inner}) ORDER BY n DESC LIMIT ?", (*values, size + 1)
    ).fetchall()
    return [TASKS.record(body) for _, body in rows[:size]], _next("tasks", rows, size)


def _next(kind: str, rows: list[Any], size: int) -> str | None:
    return encode_cursor(kind, rows[size - 1][0]) if len(rows) > size else None


def _states(status: str | None) -> list[TaskState]:
    if not status:
        return []
    if status in GROUPS:
        return sorted(GROUPS[status])
    try:
        return [TaskState(status)]
    except ValueError:
        known = ", ".join([*GROUPS, *TaskState])
        raise BadRequest(f"{status!r} is no state of a task.", field="status", hint=f"One of: {known}.") from None


def matching(query: TaskQuery, before: int, count: int) -> tuple[str, list[Any]]:
    """Return a query for the `n` of at least the newest `count` matches, and its parameters.

    The narrowest filter picks the index. States become one range of an index each, because an index
    yields rows newest first only inside one state.
    """
    where, values = ["n < ?"], [before]
    filters: list[tuple[str, Any]] = [
        ("dispatch_id = ?", query.dispatch),
        ("n IN (SELECT n FROM task_labels WHERE label = ?)", query.label),
        ("agent_id = ?", query.agent),
        ("type = ?", query.type),
    ]
    for text, value in filters:
        if value:
            where.append(text)
            values.append(value)
    states = _states(query.status)
    if query.agent and not states and not query.dispatch and not query.label:
        states = sorted(TaskState)
    if not states:
        return _range(where), [*values, count]
    # `+` keeps SQLite from using that column's index: a dispatch or a label is narrower than a state.
    column = "+state" if query.dispatch or query.label else "state"
    parts = [f"SELECT * FROM ({_range([*where, f'{column} = ?'])})"] * len(states)
    return " UNION ALL ".join(parts), [value for state in states for value in (*values, state.value, count)]


def _range(where: list[str]) -> str:
    return f"SELECT n FROM tasks WHERE {' AND '.join(where)} ORDER BY n DESC LIMIT ?"


def dispatch_tasks(connection: sqlite3.Connection, dispatch_id: str) -> list[Task]:
    """Return all tasks of a dispatch in the order of submission (bounded by what a dispatch may hold)."""
    rows = connection.execute("SELECT body FROM tasks WHERE dispatch_id = ? ORDER BY n", (dispatch_id,))
    return [TASKS.record(body) for (body,) in rows]


def snapshots(
    connection: sqlite3.Connection, agent_id: str | None, limit: int, cursor: str | None
) -> tuple[list[Snapshot], str | None]:
    size, before = page_size(limit), decode_cursor("snapshots", cursor)
    where, values = ("n < ? AND agent_id = ?", [before, agent_id]) if agent_id else ("n < ?", [before])
    rows = connection.execute(
        f"SELECT n, body FROM snapshots WHERE {where} ORDER BY n DESC LIMIT ?", (*values, size + 1)
    ).fetchall()
    return [SNAPSHOTS.record(body) for _, body in rows[:size]], _next("snapshots", rows, size)


def snapshot_line(connection: sqlite3.Connection, uid: str) -> SnapshotLine | None:
    row = connection.execute("SELECT body FROM snapshot_lines WHERE uid = ?", (uid,)).fetchone()
    return None if row is None else SNAPSHOT_LINES.record(row[0])


def idempotency(connection: sqlite3.Connection, who: str, key: str) -> IdempotencyKey | None:
    row = connection.execute("SELECT body FROM idempotency WHERE who = ? AND key = ?", (who, key)).fetchone()
    return None if row is None else IDEMPOTENCY.record(row[0])


def audit(
    connection: sqlite3.Connection, limit: int, cursor: str | None
) -> tuple[list[tuple[int, AuditEntry]], str | None]:
    """Return `(seq, entry)` pairs; `seq` counts entries from 1 and is never used again."""
    size, before = page_size(limit), decode_cursor("audit", cursor)
    rows = connection.execute(
        f"SELECT seq, {', '.join(AUDIT_NAMES)} FROM audit WHERE seq < ? ORDER BY seq DESC LIMIT ?",
        (before, size + 1),
    ).fetchall()
    entries = [(seq, AuditEntry(**dict(zip(AUDIT_NAMES, rest, strict=True)))) for seq, *rest in rows[:size]]
    return entries, _next("audit", rows, size)


def audit_entry(connection: sqlite3.Connection, seq: int) -> AuditEntry | None:
    row = connection.execute(f"SELECT {', '.join(AUDIT_NAMES)} FROM audit WHERE seq = ?", (seq,)).fetchone()
    return None if row is None else AuditEntry(**dict(zip(AUDIT_NAMES, row, strict=True)))
