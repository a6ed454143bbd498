"""The one writer: how its connection is set, and what it says about its log."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from hub.errors import Unavailable
from hub.registry.opening import prepare
from hub.registry.writer import Writer
from tests.hub.registry.factories import saves, task

LIMIT = 256 * 1024


@pytest.fixture
async def writer(database: Path) -> AsyncIterator[Writer]:
    prepare(database)
    opened = Writer(database, LIMIT)
    await opened.open()
    yield opened
    await opened.close()


@pytest.mark.parametrize(
    ("pragma", "value"),
    [("synchronous", 2), ("fullfsync", 1), ("journal_mode", "wal"), ("journal_size_limit", LIMIT // 4)],
)
async def test_every_commit_is_synced(writer: Writer, pragma: str, value: object) -> None:
    """2 is FULL: the log is synced before a commit returns."""
    found = await writer.run(lambda connection: connection.execute(f"PRAGMA {pragma}").fetchone())
    assert found == (value,)


async def test_a_writer_that_was_not_opened_says_so(database: Path) -> None:
    with pytest.raises(Unavailable):
        await Writer(database).write(saves(task(1)))
    assert Writer(database).problems() == []


async def test_a_reader_that_stays_is_named_and_forgotten_when_it_goes(writer: Writer, database: Path) -> None:
    await writer.write(saves(task(0)))
    with closing(sqlite3.connect(database, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM tasks").fetchone()
        for number in range(1, 20):
            await writer.write(saves(task(number, stdout="x" * 60_000)))
        assert "another program" in writer.problems()[0]
    for number in range(20, 40):
        await writer.write(saves(task(number, stdout="x" * 10_000)))
    assert writer.problems() == []
