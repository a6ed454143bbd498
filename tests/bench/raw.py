"""What this machine charges for the unavoidable: a sync, a commit, a process."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from pathlib import Path

from runtime.journal import sync
from tests.bench.report import Row
from tests.bench.timing import Samples, time_calls

SECTION = "raw costs of this machine"
RECORD = b"x" * 200
"""About one record of an attempt log."""


def raw_costs(folder: Path, count: int) -> list[Row]:
    """`folder` must be on the disk that the hub's state folder is on."""
    return [
        *_rows("append 200 bytes and sync the file", _syncs(folder, count)),
        *_rows("SQLite commit of one row, WAL, synchronous=FULL", _commits(folder, count)),
        *_rows("start /bin/sh -c true and wait for its end", _spawns(count)),
    ]


def _rows(name: str, samples: Samples) -> list[Row]:
    return [
        Row(section=SECTION, name=f"{name}, p50", unit="ms", measured=samples.p50_ms),
        Row(section=SECTION, name=f"{name}, p99", unit="ms", measured=samples.p99_ms),
    ]


def _syncs(folder: Path, count: int) -> Samples:
    fd = os.open(folder / "raw.log", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)

    def append() -> None:
        os.write(fd, RECORD)
        sync(fd)

    try:
        return time_calls(count, append)
    finally:
        os.close(fd)


def _commits(folder: Path, count: int) -> Samples:
    connection = sqlite3.connect(folder / "raw.db", isolation_level=None)

    def commit() -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO rows (body) VALUES (?)", (RECORD,))
        connection.execute("COMMIT")

    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA fullfsync = ON")
        connection.execute("CREATE TABLE rows (id INTEGER PRIMARY KEY, body BLOB)")
        return time_calls(count, commit)
    finally:
        connection.close()


def _spawns(count: int) -> Samples:
    def spawn() -> None:
        subprocess.Popen(["/bin/sh", "-c", "true"], stdin=subprocess.DEVNULL, start_new_session=True).wait()

    return time_calls(max(count // 2, 10), spawn)
