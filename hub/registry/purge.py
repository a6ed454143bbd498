"""Retention: ended things go when they are old enough, a bounded piece at a time.

Each step is a transaction of its own, so that the hub's commits come in between.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Final

import msgspec

from hub.config import Retention
from hub.core.model import TaskId
from hub.registry.connection import transaction

STEP_ROWS: Final = 500
"""Rows in one transaction: a few milliseconds during which commits wait."""
RUN_ROWS: Final = 50_000
"""Rows of one kind in one run; the next run takes the rest."""

DAY_MS: Final = 86_400_000

_AUDIT_GUARD: Final = "audit_purge_before"
"""Key in `meta` that the trigger on the audit looks for; it exists inside a step only."""


class Purged(msgspec.Struct, frozen=True, kw_only=True):
    """What went. The output of `task_ids` has no owner any more. `more`: a bound was reached."""

    task_ids: list[TaskId]
    keys: int = 0
    jobs: int = 0
    dispatches: int = 0
    audit: int = 0
    snoozes: int = 0
    more: bool = False


Step = Callable[[sqlite3.Connection], list[str]]
"""Deletes up to STEP_ROWS rows and returns their ids."""


class Cutoffs(msgspec.Struct, frozen=True):
    """Ms since the epoch; what ended before goes."""

    tasks: int
    audit: int
    now: int


def cutoffs(now_ms: int, retention: Retention) -> Cutoffs:
    tasks, audit = (int(days * DAY_MS) for days in (retention.task_days, retention.audit_days))
    return Cutoffs(tasks=now_ms - tasks, audit=now_ms - audit, now=now_ms)


def steps(cut: Cutoffs) -> dict[str, Step]:
    """Return the steps in the order in which they must run: tasks before the dispatches they belong to."""
    return {
        "tasks": lambda connection: _tasks(connection, cut.tasks),
        "keys": lambda connection: _rows(connection, "idempotency", "key", "created_at < ?", (cut.tasks,)),
        "jobs": lambda connection: _rows(connection, "jobs", "id", "ended_at < ?", (cut.tasks,)),
        "dispatches": lambda connection: _rows(
            connection,
            "dispatches",
            "id",
            "ended = 1 AND created_at < ? AND NOT EXISTS (SELECT 1 FROM tasks WHERE tasks.dispatch_id = dispatches.id)",
            (cut.tasks,),
        ),
        "snoozes": lambda connection: _snoozes(connection, cut.now),
        "audit": lambda connection: _audit(connection, cut.audit),
    }


def _tasks(connection: sqlite3.Connection, before: int) -> list[str]:
    """A task of a rollout that still goes on stays: its end is part of the rollout's count."""
    with transaction(connection):
        rows = connection.execute(
            """SELECT n, id FROM tasks WHERE ended_at < ? AND (dispatch_id IS NULL OR dispatch_id NOT IN
            (SELECT id FROM dispatches WHERE ended = 0)) ORDER BY ended_at LIMIT ?""",
            (before, STEP_ROWS),
        ).fetchall()
        connection.executemany("DELETE FROM task_labels WHERE n = ?", [(n,) for n, _ in rows])
        connection.executemany("DELETE FROM tasks WHERE n = ?", [(n,) for n, _ in rows])
    return [str(task) for _, task in rows]


def _rows(connection: sqlite3.Connection, table: str, name: str, where: str, values: tuple[int, ...]) -> list[str]:
    with transaction(connection):
        rows = connection.execute(
            f"SELECT n, {name} FROM {table} WHERE {where} LIMIT ?", (*values, STEP_ROWS)
        ).fetchall()
        connection.executemany(f"DELETE FROM {table} WHERE n = ?", [(n,) for n, _ in rows])
    return [str(key) for _, key in rows]


def _snoozes(connection: sqlite3.Connection, before: int) -> list[str]:
    with transaction(connection):
        rows = connection.execute("SELECT id FROM snoozes WHERE until < ? LIMIT ?", (before, STEP_ROWS)).fetchall()
        connection.executemany("DELETE FROM snoozes WHERE id = ?", rows)
    return [str(name) for (name,) in rows]


def _audit(connection: sqlite3.Connection, before: int) -> list[str]:
    with transaction(connection):
        connection.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (_AUDIT_GUARD, str(before)))
        rows = connection.execute(
            "SELECT seq FROM audit WHERE at < ? ORDER BY at LIMIT ?", (before, STEP_ROWS)
        ).fetchall()
        connection.executemany("DELETE FROM audit WHERE seq = ?", rows)
        connection.execute("DELETE FROM meta WHERE key = ?", (_AUDIT_GUARD,))
    return [str(seq) for (seq,) in rows]
