"""Starting on what is on the disk: new, good, damaged, foreign, newer, unwritable."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from hub.errors import StartFailed
from hub.registry import Registry
from hub.registry.connection import connect
from hub.registry.migrations import MIGRATIONS
from hub.registry.opening import APPLICATION_ID, prepare, version_warnings
from tests.hub.registry.factories import saves, task


async def filled(database: Path, count: int = 300) -> None:
    registry = await Registry.open(database)
    await registry.commit(saves(*[task(number, stdout="x" * 500) for number in range(count)]))
    await registry.close()


def refused(database: Path) -> StartFailed:
    with pytest.raises(StartFailed) as caught:
        prepare(database)
    return caught.value


def test_a_new_registry_has_the_pragmas_it_needs(database: Path) -> None:
    prepare(database)
    with closing(connect(database)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)


async def test_a_damaged_page_stops_the_start_and_names_the_backups(database: Path) -> None:
    await filled(database)
    (database.parent / "backups").mkdir()
    (database.parent / "backups" / "registry-1.db").write_bytes(b"")
    with database.open("r+b") as file:
        file.seek(3 * 4096)
        file.write(os.urandom(4096 * 4))
    error = refused(database)
    assert error.code == "registry_unusable"
    assert "clawtui backup restore" in error.hint
    assert "registry-1.db" in error.hint


@pytest.mark.parametrize("content", [b"not a database at all" * 300, b"SQLite format 3\x00" + b"\xff" * 5_000])
def test_a_file_that_is_no_database_is_left_alone(database: Path, content: bytes) -> None:
    database.write_bytes(content)
    assert "no backup" in refused(database).hint
    assert database.read_bytes() == content


def test_a_database_of_another_program_is_left_alone(database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE theirs (a)")
    assert refused(database).code == "registry_foreign"
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("theirs",)]


def test_a_newer_schema_is_refused_with_both_versions(database: Path) -> None:
    prepare(database)
    with closing(connect(database)) as connection:
        connection.execute("PRAGMA user_version = 99")
    error = refused(database)
    assert error.code == "registry_newer"
    assert "99" in error.message
    assert f"up to {len(MIGRATIONS)}" in error.message


def test_a_folder_in_its_place(database: Path) -> None:
    database.mkdir()
    error = refused(database)
    assert error.code == "registry_unreadable"
    assert "permissions" in error.hint


def test_a_locked_registry_is_not_called_damaged(database: Path) -> None:
    prepare(database)
    with closing(connect(database)) as other:
        other.execute("PRAGMA journal_mode = DELETE")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StartFailed) as caught:
            prepare(database, busy_seconds=0.01)
    assert "Close the program" in caught.value.hint


@pytest.mark.parametrize(
    ("version", "warned"),
    [((3, 40, 1), True), ((3, 51, 2), True), ((3, 51, 3), False), ((3, 53, 0), False), ((4, 0, 0), False)],
)
def test_old_sqlite_is_a_warning(version: tuple[int, ...], warned: bool) -> None:
    assert bool(version_warnings(version)) is warned


async def test_the_warnings_reach_the_hub(registry: Registry) -> None:
    assert registry.warnings == version_warnings(sqlite3.sqlite_version_info)
