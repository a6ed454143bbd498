"""Connections of the registry: one hop per unit of work, and SQLite's errors in the hub's words."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

import aiosqlite
import msgspec

from hub.errors import HubError, StorageFull, Unavailable

T = TypeVar("T")

BUSY_SECONDS: Final = 5.0
"""How long a statement waits for a lock. Nobody but the hub writes, so a wait means a foreign program."""

STATEMENT_CACHE: Final = 256
"""Prepared statements per connection; the writer needs four lengths of each table's statements."""

_FULL: Final = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN})
_LOCKED: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_BROKEN: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})

RESTORE_HINT: Final = "Stop the hub and put a backup back with `clawtui backup restore FILE`."


class BatchConnection(aiosqlite.Connection):
    """A connection whose thread takes a whole unit of work at once.

    aiosqlite's own methods make one hop to the thread and back per statement; a commit of 300 rows
    would pay 300 hops, each of which waits for the interpreter lock and for the event loop. `run`
    makes one.
    """

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Call `work` on the connection's thread. A caller that is cancelled does not stop the work.

        Raises HubError for everything that SQLite can raise.
        """
        with translated():
            try:
                return await self._execute(work, self._conn)
            except ValueError as exc:
                if self._connection is not None and self._running:
                    raise
                raise Unavailable("The registry is closed.", retryable=False) from exc


@contextmanager
def translated() -> Iterator[None]:
    """Turn what SQLite raises into what the hub raises."""
    try:
        yield
    except sqlite3.Error as exc:
        raise translate(exc) from exc
    except msgspec.DecodeError as exc:
        raise _damaged(f"a record does not decode: {exc}") from exc
    except (UnicodeEncodeError, OverflowError) as exc:
        raise HubError(f"A value cannot be stored: {exc}.", code="unstorable") from exc


def translate(error: sqlite3.Error) -> HubError:
    """Return the hub's error for an error of SQLite; told apart by result code, never by text."""
    code = getattr(error, "sqlite_errorcode", None)
    primary = code & 0xFF if code is not None else None
    if primary in _FULL:
        return StorageFull(
            f"The registry cannot be written: {error}.",
            hint="Free space on the disk of the state folder; the hub continues without a restart.",
        )
    if primary in _LOCKED:
        return Unavailable(
            "Another program holds the registry locked.",
            code="registry_locked",
            hint="Close the program that has registry.db open for writing.",
        )
    if primary in _BROKEN:
        return _damaged(str(error))
    return HubError(f"The registry failed: {error}.", code="registry_failed")


def _damaged(reason: str) -> Unavailable:
    return Unavailable(
        f"The registry is damaged: {reason}.", code="registry_damaged", hint=RESTORE_HINT, retryable=False
    )


def connect(path: Path, *, read_only: bool = False, busy_seconds: float = BUSY_SECONDS) -> sqlite3.Connection:
    """Open a connection in autocommit mode; transactions are begun explicitly."""
    mode = "ro" if read_only else "rw"
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        timeout=busy_seconds,
        isolation_level=None,
        # aiosqlite opens on its own thread; start-up and backups hand a connection to one thread at a time.
        check_same_thread=False,
        cached_statements=STATEMENT_CACHE,
    )
    # Memory-mapped reads turn an I/O error into SIGBUS.
    connection.execute("PRAGMA mmap_size = 0")
    if read_only:
        connection.execute("PRAGMA query_only = ON")
    return connection


async def open_connection(connector: Callable[[], sqlite3.Connection]) -> BatchConnection:
    """Open a connection on a thread of its own. Raises HubError."""
    with translated():
        return await _started(connector)


async def _started(connector: Callable[[], sqlite3.Connection]) -> BatchConnection:
    connection = BatchConnection(connector, iter_chunk_size=64)
    await connection
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """One write transaction: all of it is committed, or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # A full disk may have ended the transaction already.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


@contextmanager
def reading(connection: sqlite3.Connection) -> Iterator[None]:
    """One read transaction, so that several statements see the same moment."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
