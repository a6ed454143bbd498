"""Schema changes: numbered, each whole or not at all, with the old database at hand."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from hub.core.model import Task, TaskState
from hub.errors import StartFailed
from hub.registry import Registry
from hub.registry.connection import connect
from hub.registry.migrations import MIGRATIONS, Migration, version_of
from hub.registry.opening import prepare
from hub.registry.rows import Table
from tests.hub.registry.factories import ended, saves, task


def add_column(connection: sqlite3.Connection) -> None:
    connection.execute("ALTER TABLE tasks ADD COLUMN extra TEXT")


def half(connection: sqlite3.Connection) -> None:
    connection.execute("DELETE FROM tasks")
    connection.execute("CREATE TABLE half (a)")
    raise RuntimeError("in the middle")


LATEST = len(MIGRATIONS)
GOOD = Migration(LATEST + 1, "extra", add_column)
BAD = Migration(LATEST + 2, "half", half)


async def filled(database: Path) -> None:
    registry = await Registry.open(database)
    await registry.commit(saves(task(1), task(2)))
    await registry.close()


def test_numbers_are_the_order() -> None:
    assert [step.number for step in MIGRATIONS] == list(range(1, len(MIGRATIONS) + 1))
    assert len({step.name for step in MIGRATIONS}) == len(MIGRATIONS)


def test_a_new_database_needs_no_backup(database: Path) -> None:
    prepare(database, (*MIGRATIONS, GOOD))
    assert [path.name for path in database.parent.iterdir()] == ["registry.db"]


async def test_a_migration_keeps_the_records_and_the_old_database(database: Path) -> None:
    await filled(database)
    registry = await Registry.open(database, migrations=(*MIGRATIONS, GOOD))
    assert (await registry.load()).open_tasks == [task(1), task(2)]
    await registry.close()
    with closing(connect(database)) as connection:
        assert version_of(connection) == LATEST + 1
        noted = connection.execute("SELECT number, name FROM migrations ORDER BY number").fetchall()
        assert noted == [(step.number, step.name) for step in (*MIGRATIONS, GOOD)]
    with closing(connect(database.with_name(f"registry.db.before-{LATEST + 1}"))) as connection:
        assert version_of(connection) == LATEST
        assert connection.execute("SELECT count(*) FROM tasks").fetchone() == (2,)


async def test_a_migration_that_fails_half_way_changes_nothing(database: Path) -> None:
    await filled(database)
    with pytest.raises(StartFailed) as caught:
        await Registry.open(database, migrations=(*MIGRATIONS, GOOD, BAD))
    assert f"{LATEST + 2} (half)" in caught.value.message
    assert "in the middle" in caught.value.message
    assert f"registry.db.before-{LATEST + 2}" in caught.value.hint
    registry = await Registry.open(database)
    assert (await registry.load()).open_tasks == [task(1), task(2)]
    await registry.close()
    with closing(connect(database)) as connection:
        assert version_of(connection) == LATEST
        assert "extra" not in {row[1] for row in connection.execute("PRAGMA table_info(tasks)")}


async def test_a_later_attempt_keeps_the_newer_copy(database: Path) -> None:
    await filled(database)
    with pytest.raises(StartFailed):
        prepare(database, (*MIGRATIONS, GOOD, BAD))
    registry = await Registry.open(database)
    await registry.commit(saves(task(3)))
    await registry.close()
    with pytest.raises(StartFailed):
        prepare(database, (*MIGRATIONS, GOOD, BAD))
    with closing(connect(database.with_name(f"registry.db.before-{LATEST + 2}"))) as connection:
        assert connection.execute("SELECT count(*) FROM tasks").fetchone() == (3,)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET outcome = 'refused'",
        "DELETE FROM audit",
        "INSERT OR REPLACE INTO audit VALUES (1, 1, 'x', 'x', 'x', 'x', '')",
    ],
)
def test_the_audit_only_grows(database: Path, statement: str) -> None:
    prepare(database)
    with closing(connect(database)) as connection:
        connection.execute("INSERT INTO audit VALUES (NULL, 5, 'me', 'what', 'target', 'ok', '')")
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            connection.execute(statement)
        assert connection.execute("SELECT at, who FROM audit").fetchall() == [(5, "me")]


async def test_tasks_from_before_attention_know_which_they_repeat(database: Path) -> None:
    """A registry of the first schema: failures that were submitted again are no failures any more."""
    prepare(database, MIGRATIONS[:1])
    old = Table(
        "tasks",
        Task,
        ("id",),
        lambda task: (task.id,),
        fixed=("type", "seq"),
        changing=("state", "ended_at"),
        columns=lambda task: (task.type, task.seq, task.state.value, task.finished_at),
    )
    failed, repeated = (ended(number, state=TaskState.FAILED) for number in (1, 2))
    again = ended(3, retry_of=repeated.id)
    with closing(connect(database)) as connection:
        for one in (failed, repeated, again):
            marks = ", ".join("?" * len(old.names))
            connection.execute(f"INSERT INTO tasks ({', '.join(old.names)}) VALUES ({marks})", old.row(one))
        connection.execute("UPDATE tasks SET agent_id = 'worker', agent_uid = 'u-worker'")
    registry = await Registry.open(database)
    assert [failure.task_id for failure in await registry.failures(2_000)] == [failed.id]
    assert await registry.task(again.id) == again
    await registry.close()
