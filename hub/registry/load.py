"""What the hub reads at its start, and again after a commit that failed."""

from __future__ import annotations

import sqlite3
from typing import Any, TypeVar

import msgspec

from hub.core.model import (
    OPEN,
    Agent,
    Dispatch,
    Job,
    Policy,
    Record,
    StoredMessage,
    Task,
    TaskState,
    Token,
)
from hub.registry.connection import reading
from hub.registry.rows import AGENTS, DISPATCHES, JOBS, MESSAGES, POLICIES, TASKS, TOKENS, Table

R = TypeVar("R", bound=Record)

NEWEST_TASKS = 1_000
"""The greatest `seq` is among the rows added last: a commit never holds this many out of order."""


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """One moment of everything that is still alive.

    `open_tasks`: open tasks, lost tasks of living agents (their result may still come), and all
    tasks of dispatches that have not ended, in the order of submission. `dispatches` have not ended,
    `jobs` were running. `next_task_seq` is greater than every `seq` given out so far.
    """

    hub_id: str
    agents: list[Agent]
    open_tasks: list[Task]
    dispatches: list[Dispatch]
    tokens: list[Token]
    policies: list[Policy]
    messages: list[StoredMessage]
    jobs: list[Job]
    next_task_seq: int


def load(connection: sqlite3.Connection) -> Snapshot:
    """Read everything alive in one read transaction."""
    with reading(connection):
        tasks = _open_tasks(connection)
        return Snapshot(
            hub_id=meta(connection, "hub_id") or "",
            agents=everything(connection, AGENTS, "ORDER BY n"),
            open_tasks=tasks,
            dispatches=everything(connection, DISPATCHES, "WHERE ended = 0 ORDER BY n"),
            tokens=everything(connection, TOKENS, "ORDER BY n"),
            policies=everything(connection, POLICIES, "ORDER BY sender, receiver"),
            messages=sorted(everything(connection, MESSAGES, "ORDER BY n"), key=lambda message: message.seq),
            jobs=everything(connection, JOBS, "WHERE state = 'running' ORDER BY n"),
            next_task_seq=max([_newest_seq(connection), *(task.seq for task in tasks)]) + 1,
        )


def meta(connection: sqlite3.Connection, key: str) -> str | None:
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return None if row is None else str(row[0])


def everything(connection: sqlite3.Connection, table: Table[R], rest: str) -> list[R]:
    """Return the records of a table; `rest` is SQL after its name."""
    return [table.record(body) for (body,) in connection.execute(f"SELECT body FROM {table.name} {rest}")]


def _open_tasks(connection: sqlite3.Connection) -> list[Task]:
    states = sorted(state.value for state in OPEN)
    rows: list[Any] = connection.execute(
        f"""SELECT body FROM tasks WHERE n IN (
            SELECT n FROM tasks WHERE state IN ({", ".join("?" * len(states))})
            UNION SELECT n FROM tasks WHERE state = ? AND agent_uid IN (SELECT uid FROM agents)
            UNION SELECT n FROM tasks WHERE dispatch_id IN (SELECT id FROM dispatches WHERE ended = 0)
        ) ORDER BY n""",
        (*states, TaskState.LOST.value),
    ).fetchall()
    return [TASKS.record(body) for (body,) in rows]


def _newest_seq(connection: sqlite3.Connection) -> int:
    row = connection.execute(
        "SELECT max(seq) FROM (SELECT seq FROM tasks ORDER BY n DESC LIMIT ?)", (NEWEST_TASKS,)
    ).fetchone()
    return int(row[0] or 0)
