"""Backup while the hub works, and putting one back."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from hub.errors import BadRequest, Conflict
from hub.registry import Registry, backup, default_path, known_backups, restore_backup
from tests.hub.registry.factories import saves, task


async def test_a_backup_is_one_whole_file_of_one_moment(registry: Registry, tmp_path: Path) -> None:
    await registry.commit(saves(*[task(number) for number in range(500)]))
    target = tmp_path / "copies" / "a.db"
    size = await registry.backup(target)
    assert target.stat().st_size == size
    assert target.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in target.parent.iterdir()] == ["a.db"]
    with closing(sqlite3.connect(f"{target.as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
        assert connection.execute("SELECT count(*) FROM tasks").fetchone() == (500,)


async def test_commits_go_on_during_a_backup(registry: Registry, tmp_path: Path) -> None:
    await registry.commit(saves(*[task(number, stdout="x" * 2_000) for number in range(2_000)]))
    done = 0
    async with asyncio.TaskGroup() as group:
        copying = group.create_task(registry.backup(tmp_path / "a.db"))
        while not copying.done():
            await registry.commit(saves(task(10_000 + done)))
            done += 1
    assert done > 0
    with closing(sqlite3.connect(tmp_path / "a.db")) as connection:
        count = connection.execute("SELECT count(*) FROM tasks").fetchone()[0]
    assert 2_000 <= count <= 2_000 + done


async def test_an_existing_file_is_never_replaced(registry: Registry, tmp_path: Path) -> None:
    target = tmp_path / "mine.txt"
    target.write_text("mine")
    with pytest.raises(Conflict) as caught:
        await registry.backup(target)
    assert caught.value.field == "path"
    assert target.read_text() == "mine"


async def test_a_folder_that_cannot_be_made_is_the_callers_mistake(registry: Registry, tmp_path: Path) -> None:
    with pytest.raises(BadRequest):
        await registry.backup(tmp_path / "no" / "such" / "a.db")


async def test_a_failed_copy_leaves_no_file(registry: Registry, tmp_path: Path) -> None:
    """The name is taken between the check and the rename."""
    target = tmp_path / "copies" / "a.db"
    target.parent.mkdir()
    with closing(sqlite3.connect(registry.path)) as source:
        target.write_text("first")
        with pytest.raises(FileExistsError):
            backup.copy(source, target)
    assert [path.name for path in target.parent.iterdir()] == ["a.db"]
    assert target.read_text() == "first"


async def test_restore_puts_the_old_moment_back_and_keeps_the_present(database: Path, tmp_path: Path) -> None:
    copy = default_path(tmp_path, 1_767_225_600_000)
    assert copy.name == "registry-20260101T000000Z.db"
    first = await Registry.open(database)
    await first.commit(saves(task(1)))
    hub_id = (await first.load()).hub_id
    await first.backup(copy)
    await first.commit(saves(task(2)))
    await first.close()
    restored = restore_backup(copy, tmp_path)
    assert restored.kept is not None
    assert restored.kept.name.startswith("registry.db.replaced-")
    second = await Registry.open(database)
    found = await second.load()
    assert (found.open_tasks, found.hub_id) == ([task(1)], hub_id)
    await second.close()
    again = restore_backup(restored.kept, tmp_path)
    assert again.kept != restored.kept
    third = await Registry.open(database)
    assert (await third.load()).open_tasks == [task(1), task(2)]
    await third.close()
    assert copy in known_backups(tmp_path)


async def test_restore_over_a_killed_hub_keeps_its_log(database: Path, tmp_path: Path) -> None:
    """The files of a hub that was killed: the newest commits are in the log only."""
    registry = await Registry.open(database)
    await registry.commit(saves(task(1)))
    await registry.backup(tmp_path / "a.db")
    await registry.commit(saves(task(2)))
    killed = tmp_path / "killed"
    killed.mkdir()
    for path in (database, database.with_name("registry.db-wal")):
        (killed / path.name).write_bytes(path.read_bytes())
    await registry.close()
    restored = restore_backup(tmp_path / "a.db", killed)
    assert restored.kept is not None
    for path, expected in ((restored.database, [task(1)]), (restored.kept, [task(1), task(2)])):
        opened = await Registry.open(path)
        assert (await opened.load()).open_tasks == expected
        await opened.close()


@pytest.mark.parametrize("content", [None, b"", b"text", b"SQLite format 3\x00" + b"\x01" * 2_000])
async def test_what_is_no_registry_is_not_put_back(database: Path, tmp_path: Path, content: bytes | None) -> None:
    registry = await Registry.open(database)
    await registry.commit(saves(task(1)))
    await registry.close()
    before = database.read_bytes()
    bad = tmp_path / "bad.db"
    if content is not None:
        bad.write_bytes(content)
    with pytest.raises(BadRequest):
        restore_backup(bad, tmp_path)
    assert database.read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} - {"bad.db"} == {"registry.db"}


async def test_a_newer_backup_is_not_put_back(registry: Registry, tmp_path: Path) -> None:
    copy = tmp_path / "a.db"
    await registry.backup(copy)
    with closing(sqlite3.connect(copy)) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(BadRequest, match="99"):
        restore_backup(copy, tmp_path)
