"""Agents' history on the disk, in a file of its own: nothing in it is worth a wait, or a start that fails.

It is written without waiting for the disk (`synchronous = OFF`): after a power loss the file may be
damaged, and is then put aside. Its size is bounded by what is kept and by `MOST_BYTES`.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final, NamedTuple

import structlog

from hub.core.stats import COARSE_SECONDS, FINE_SECONDS, Sample
from hub.registry import checks_store
from hub.registry.chunks import extend, pack, unpack
from hub.registry.connection import BatchConnection, connect, open_connection, transaction

APPLICATION_ID: Final = 0x636C7374
"""`clst`, in the header of the file."""
VERSION: Final = 2
"""1 had no tables for the checks of gateways."""
MOST_BYTES: Final = 4 * 1024**3
"""About ten times what 3,000 agents take."""
CHUNK_MS: Final[Mapping[int, int]] = {FINE_SECONDS: 3_600_000, COARSE_SECONDS: 24 * 3_600_000}

_SCHEMA: Final = (
    """CREATE TABLE chunks (uid TEXT NOT NULL, seconds INTEGER NOT NULL, chunk INTEGER NOT NULL, data BLOB NOT NULL,
        PRIMARY KEY (uid, seconds, chunk))""",
    "CREATE INDEX chunks_by_age ON chunks (seconds, chunk)",
    f"PRAGMA application_id = {APPLICATION_ID}",
    *checks_store.SCHEMA,
    f"PRAGMA user_version = {VERSION}",
)
_SECOND: Final = (*checks_store.SCHEMA, f"PRAGMA user_version = {VERSION}")
"""What brings a file of version 1 to the second."""

log = structlog.get_logger("hub.history")


class Piece(NamedTuple):
    """New samples of one agent, each of `seconds` (30 or 600)."""

    uid: str
    seconds: int
    samples: Sequence[Sample]


class MetricsStore:
    """Made by `open`. All methods raise HubError."""

    def __init__(self, connection: BatchConnection) -> None:
        """Private: use `open`."""
        self._connection = connection
        self.checks = checks_store.ChecksStore(connection)
        """The gateways' part of the same file."""

    @classmethod
    async def open(cls, path: Path, *, most_bytes: int = MOST_BYTES) -> MetricsStore:
        """Open the file, or begin a new one beside one that is not usable. Raises HubError, OSError."""
        await asyncio.to_thread(_prepare, path)
        return cls(await open_connection(lambda: _connect(path, most_bytes)))

    async def close(self) -> None:
        await self._connection.close()

    async def append(self, pieces: Sequence[Piece]) -> None:
        """Add samples to the chunks they belong to, all in one transaction."""
        await self._connection.run(lambda connection: _append(connection, pieces))

    async def read(self, uid: str, seconds: int, since_ms: int) -> list[Sample]:
        """Return an agent's samples since a moment (ms since the epoch), in order of time."""
        return await self._connection.run(lambda connection: _read(connection, uid, seconds, since_ms))

    async def remove(self, uid: str) -> None:
        def work(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM chunks WHERE uid = ?", (uid,))

        await self._connection.run(work)

    async def purge(self, before_ms: Mapping[int, int], living: Collection[str]) -> None:
        """Delete chunks that ended before `before_ms` of their seconds, and all of agents that are gone."""
        await self._connection.run(lambda connection: _purge(connection, before_ms, living))


def _prepare(path: Path) -> None:
    """Make the file, putting one that cannot be read out of the way."""
    if path.exists():
        why = _fault(path)
        if why is None:
            _upgrade(path)
            return
        log.warning("history_put_aside", path=str(path), why=why)
        for suffix in ("", "-wal", "-shm"):
            old = path.with_name(path.name + suffix)
            if old.exists():
                old.replace(path.with_name(f"{path.name}.damaged{suffix}"))
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    with closing(connect(path)) as connection, transaction(connection):
        for statement in _SCHEMA:
            connection.execute(statement)


def _upgrade(path: Path) -> None:
    with closing(connect(path)) as connection:
        if connection.execute("PRAGMA user_version").fetchone()[0] == VERSION:
            return
        with transaction(connection):
            for statement in _SECOND:
                connection.execute(statement)


def _fault(path: Path) -> str | None:
    """Return what makes a file not usable, or None."""
    try:
        with closing(connect(path)) as connection:
            found = tuple(
                connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")
            )
            if found[0] != APPLICATION_ID or not 1 <= found[1] <= VERSION:
                return "it is of another version or another program"
            verdict = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
            return None if verdict == "ok" else verdict
    except sqlite3.DatabaseError as exc:
        return str(exc)


def _connect(path: Path, most_bytes: int) -> sqlite3.Connection:
    connection = connect(path)
    size = int(connection.execute("PRAGMA page_size").fetchone()[0])
    for pragma in ("journal_mode = WAL", "synchronous = OFF", f"max_page_count = {max(1, most_bytes // size)}"):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def _append(connection: sqlite3.Connection, pieces: Iterable[Piece]) -> None:
    with transaction(connection):
        for piece in pieces:
            for chunk, samples in _by_chunk(piece).items():
                key = (piece.uid, piece.seconds, chunk)
                row = connection.execute(
                    "SELECT data FROM chunks WHERE uid = ? AND seconds = ? AND chunk = ?", key
                ).fetchone()
                connection.execute(
                    "INSERT OR REPLACE INTO chunks (uid, seconds, chunk, data) VALUES (?, ?, ?, ?)",
                    (*key, _extended(row[0], samples) if row is not None else pack(samples)),
                )


def _by_chunk(piece: Piece) -> dict[int, list[Sample]]:
    chunks: dict[int, list[Sample]] = {}
    for sample in piece.samples:
        chunks.setdefault(sample.at_ms // CHUNK_MS[piece.seconds], []).append(sample)
    return chunks


def _read(connection: sqlite3.Connection, uid: str, seconds: int, since_ms: int) -> list[Sample]:
    rows = connection.execute(
        "SELECT data FROM chunks WHERE uid = ? AND seconds = ? AND chunk >= ? ORDER BY chunk",
        (uid, seconds, max(0, since_ms) // CHUNK_MS[seconds]),
    )
    samples = [sample for (data,) in rows for sample in _unpacked(data, seconds) if sample.at_ms >= since_ms]
    return sorted(samples, key=lambda sample: sample.at_ms)


def _extended(data: bytes, samples: Sequence[Sample]) -> bytes:
    try:
        return extend(data, samples)
    except ValueError as exc:
        log.warning("history_chunk_damaged", why=str(exc))
        return pack(samples)


def _unpacked(data: bytes, seconds: int) -> list[Sample]:
    """A chunk that does not open is one hour or day less of a graph."""
    try:
        return unpack(data, seconds)
    except ValueError as exc:
        log.warning("history_chunk_damaged", why=str(exc))
        return []


def _purge(connection: sqlite3.Connection, before_ms: Mapping[int, int], living: Collection[str]) -> None:
    with transaction(connection):
        for seconds, before in before_ms.items():
            connection.execute(
                "DELETE FROM chunks WHERE seconds = ? AND chunk < ?", (seconds, before // CHUNK_MS[seconds])
            )
        known = {str(uid) for (uid,) in connection.execute("SELECT DISTINCT uid FROM chunks")}
        connection.executemany("DELETE FROM chunks WHERE uid = ?", [(uid,) for uid in known - set(living)])
