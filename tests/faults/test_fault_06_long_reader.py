"""Fault 6: somebody reads the registry for a long time. No lock reaches a user, and the log of the
database stays bounded."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

from hub.contract import TaskQuery
from hub.registry import Registry
from hub.registry.connection import connect
from hub.registry.writer import CHECKPOINT_PAGES
from tests.hub.registry.factories import ended, saves, task

CHECKPOINT_BYTES = CHECKPOINT_PAGES * 4_120
LIMIT = 6 * 1024 * 1024
BATCH = 20
TEXT = "x" * 4_000


def log_bytes(database: Path) -> int:
    return database.with_name("registry.db-wal").stat().st_size


async def write(registry: Registry, batches: int, first: int = 0) -> None:
    """Each batch writes about 200 KB into the log."""
    for number in range(first, first + batches * BATCH, BATCH):
        await registry.commit(saves(*[task(number + extra, stdout=TEXT) for extra in range(BATCH)]))


def foreign(database: Path) -> sqlite3.Connection:
    """What a person's SQLite shell does: an ordinary connection that waits for no lock."""
    connection = sqlite3.connect(database, timeout=0, isolation_level=None)
    begin(connection)
    return connection


def begin(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN")
    connection.execute("SELECT count(*) FROM meta").fetchone()


async def test_a_long_foreign_read_holds_nobody_up_and_its_log_goes_afterwards(tmp_path: Path) -> None:
    database = tmp_path / "registry.db"
    registry = await Registry.open(database, log_limit_bytes=LIMIT)
    await write(registry, 1)
    with closing(foreign(database)) as reader:
        await write(registry, 200, BATCH)
        assert reader.execute("SELECT count(*) FROM tasks").fetchone() == (BATCH,)
        newest, _ = await registry.tasks(TaskQuery(limit=1))
        assert newest[0].seq == 201 * BATCH - 1
        assert log_bytes(database) > 4 * LIMIT
        assert "another program" in registry.problems()[0]
        reader.execute("ROLLBACK")
    await write(registry, 30, 201 * BATCH)
    assert log_bytes(database) <= LIMIT
    assert registry.problems() == []
    await registry.close()


async def test_the_log_of_a_hub_that_is_left_alone_stays_small(tmp_path: Path) -> None:
    database = tmp_path / "registry.db"
    registry = await Registry.open(database)
    await write(registry, 200)
    assert log_bytes(database) < 2 * CHECKPOINT_BYTES
    await registry.close()


async def test_backups_reads_and_commits_together(tmp_path: Path) -> None:
    database = tmp_path / "registry.db"
    registry = await Registry.open(database)
    await write(registry, 100)
    done = asyncio.Event()
    counts = {"reads": 0, "commits": 0}

    async def read() -> None:
        while not done.is_set():
            page, cursor = await registry.tasks(TaskQuery(status="open", limit=100))
            assert cursor is not None
            assert len(page) == 100
            counts["reads"] += 1

    async def change() -> None:
        while not done.is_set():
            number = 10_000 + counts["commits"]
            await registry.commit(saves(task(number, stdout=TEXT), ended(number - 1, stdout=TEXT)))
            counts["commits"] += 1

    async with asyncio.TaskGroup() as group:
        group.create_task(read())
        group.create_task(read())
        group.create_task(change())
        for copy in range(4):
            await registry.backup(tmp_path / f"copy-{copy}.db")
        done.set()
    assert min(counts.values()) > 10
    assert log_bytes(database) < 4 * CHECKPOINT_BYTES
    await registry.close()


async def test_readers_that_overlap_without_end_do_not_keep_the_log_growing(tmp_path: Path) -> None:
    """There is never a moment without a reader, so the log would never begin anew by itself."""
    database = tmp_path / "registry.db"
    registry = await Registry.open(database, log_limit_bytes=LIMIT)
    stop = threading.Event()

    def read() -> None:
        """Always begin the next transaction before the one before ends."""
        with closing(connect(database, read_only=True)) as one, closing(connect(database, read_only=True)) as other:
            begin(one)
            while not stop.is_set():
                begin(other)
                one.execute("ROLLBACK")
                one, other = other, one

    reader = threading.Thread(target=read)
    reader.start()
    largest = 0
    for number in range(180):
        await write(registry, 1, number * BATCH)
        largest = max(largest, log_bytes(database))
    stop.set()
    await asyncio.to_thread(reader.join)
    await registry.close()
    assert largest < 3 * LIMIT
