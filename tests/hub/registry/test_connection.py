"""SQLite's errors in the hub's words, by result code."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from hub.errors import HubError, StorageFull, Unavailable
from hub.registry.connection import connect, open_connection, translate, translated
from hub.registry.opening import prepare


@pytest.mark.parametrize(
    ("code", "kind", "name", "retryable"),
    [
        (sqlite3.SQLITE_FULL, StorageFull, "storage_full", True),
        (sqlite3.SQLITE_IOERR_WRITE, StorageFull, "storage_full", True),
        (sqlite3.SQLITE_IOERR_SHMSIZE, StorageFull, "storage_full", True),
        (sqlite3.SQLITE_READONLY_DIRECTORY, StorageFull, "storage_full", True),
        (sqlite3.SQLITE_CANTOPEN, StorageFull, "storage_full", True),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, Unavailable, "registry_locked", True),
        (sqlite3.SQLITE_CORRUPT, Unavailable, "registry_damaged", False),
        (sqlite3.SQLITE_NOTADB, Unavailable, "registry_damaged", False),
        (sqlite3.SQLITE_CONSTRAINT, HubError, "registry_failed", False),
        (None, HubError, "registry_failed", False),
    ],
)
def test_codes(code: int | None, kind: type[HubError], name: str, retryable: bool) -> None:
    error = sqlite3.OperationalError("some words")
    if code is not None:
        error.sqlite_errorcode = code
    found = translate(error)
    assert (type(found), found.code, found.retryable) == (kind, name, retryable)


def test_a_reader_cannot_write(tmp_path: Path) -> None:
    prepare(tmp_path / "r.db")
    with closing(connect(tmp_path / "r.db", read_only=True)) as reader:
        with pytest.raises(HubError), translated():
            reader.execute("DELETE FROM tasks")


def test_a_connection_makes_no_file(tmp_path: Path) -> None:
    with pytest.raises(StorageFull), translated():
        connect(tmp_path / "none.db")
    assert list(tmp_path.iterdir()) == []


def test_odd_file_names_are_only_names(tmp_path: Path) -> None:
    path = tmp_path / "a?mode=ro#%41.db"
    prepare(path)
    assert {found.name for found in tmp_path.iterdir()} == {path.name}


async def test_what_the_work_raises_comes_back(tmp_path: Path) -> None:
    prepare(tmp_path / "r.db")
    connection = await open_connection(lambda: connect(tmp_path / "r.db"))

    def work(_: sqlite3.Connection) -> None:
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        await connection.run(work)
    await connection.close()
    with pytest.raises(Unavailable):
        await connection.run(work)


async def test_a_connection_that_cannot_open_leaves_no_thread(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    with pytest.raises(StorageFull):
        await open_connection(lambda: connect(tmp_path / "none.db"))
    for left in set(threading.enumerate()) - before:
        left.join(timeout=10)
        assert not left.is_alive()
