"""The registry: one writer, a few read-only readers, and nothing between a commit and the disk.

The writer is the only connection that writes and the only one that checkpoints; readers open the
file read-only, so none of them can hold it up or race its log.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

from hub.config import Retention
from hub.contract import TaskQuery
from hub.core.attention_facts import FAILURES_MS, Failure, JobFailure
from hub.core.effects import Delete, Save
from hub.core.gateways import StoredGateway
from hub.core.hosts import StoredHost
from hub.core.instances import StoredBackup, StoredInstance
from hub.core.model import (
    AuditEntry,
    Dispatch,
    IdempotencyKey,
    Job,
    Snapshot,
    SnapshotLine,
    Snooze,
    Task,
    TaskId,
    Token,
)
from hub.registry import backup, failures, load, purge, queries
from hub.registry.connection import BatchConnection, connect, open_connection
from hub.registry.load import Snapshot as Loaded
from hub.registry.migrations import MIGRATIONS, Migration
from hub.registry.opening import prepare
from hub.registry.purge import Purged
from hub.registry.rows import (
    BACKUPS,
    DISPATCHES,
    GATEWAYS,
    HOSTS,
    INSTANCES,
    JOBS,
    SNAPSHOT_LINES,
    SNAPSHOTS,
    SNOOZES,
    TASKS,
    TOKENS,
)
from hub.registry.writer import LOG_LIMIT_BYTES, Writer

T = TypeVar("T")


class Registry:
    """Everything the hub must not forget. Made by `open`; all methods raise HubError."""

    def __init__(self, path: Path, writer: Writer, readers: list[BatchConnection], warnings: list[str]) -> None:
        """Private: use `open`."""
        self.path = path
        self.warnings = warnings
        """Sentences for people, found at the start."""
        self._writer = writer
        self._readers = readers
        self._free: asyncio.Queue[BatchConnection] = asyncio.Queue(len(readers))
        for reader in readers:
            self._free.put_nowait(reader)

    @classmethod
    async def open(
        cls,
        path: Path,
        *,
        read_connections: int = 2,
        migrations: Sequence[Migration] = MIGRATIONS,
        log_limit_bytes: int = LOG_LIMIT_BYTES,
    ) -> Registry:
        """Check, migrate and open the database, making it when it does not exist.

        The caller holds the state folder's lock. Raises StartFailed.
        """
        warnings = await asyncio.to_thread(prepare, path, migrations)
        writer = Writer(path, log_limit_bytes)
        await writer.open()
        readers: list[BatchConnection] = []
        try:
            for _ in range(max(1, read_connections)):
                readers.append(await open_connection(partial(connect, path, read_only=True)))
        except BaseException:
            await _close_all(writer, readers)
            raise
        return cls(path, writer, readers, warnings)

    async def close(self) -> None:
        """Let what is queued finish, then close. Calling it again does nothing."""
        await _close_all(self._writer, self._readers)

    # --- writing

    async def commit(self, effects: Sequence[Save | Delete]) -> None:
        """Commit all effects in one transaction; they are on the disk when this returns.

        The last effect on a key wins, an `AuditEntry` is appended. When it raises, nothing of
        the batch was kept; StorageFull may work later, without a restart.
        """
        if effects:
            await self._writer.write(effects)

    async def set_meta(self, key: str, value: str) -> None:
        """Keep a small fact of the hub itself, such as the port it picked."""
        await self._writer.set_meta(key, value)

    async def probe(self) -> None:
        """Make one small durable write: raises what a commit would raise now."""
        await self._writer.set_meta("probe", "")

    async def purge(self, now_ms: int, retention: Retention, *, run_rows: int = purge.RUN_ROWS) -> Purged:
        """Delete what ended longer ago than `retention` says, about `run_rows` of each kind at most."""
        gone: dict[str, list[str]] = {}
        more = False
        for name, step in purge.steps(purge.cutoffs(now_ms, retention)).items():
            gone[name] = []
            while len(gone[name]) < run_rows:
                ids = await self._writer.run(step)
                gone[name] += ids
                if len(ids) < purge.STEP_ROWS:
                    break
            else:
                more = True
        counts = {name: len(ids) for name, ids in gone.items() if name != "tasks"}
        return Purged(task_ids=[TaskId(task) for task in gone["tasks"]], **counts, more=more)

    # --- reading

    async def load(self) -> Loaded:
        """Read everything alive: at the start, and after a commit that failed."""
        return await self._read(load.load)

    async def get_meta(self, key: str) -> str | None:
        return await self._read(lambda connection: load.meta(connection, key))

    async def task(self, task_id: str) -> Task | None:
        return await self._read(lambda connection: queries.by_id(connection, TASKS, task_id))

    async def tasks(self, query: TaskQuery) -> tuple[list[Task], str | None]:
        """Return one page, newest first, and the cursor of the next. Raises BadRequest."""
        return await self._read(lambda connection: queries.tasks(connection, query))

    async def dispatch(self, dispatch_id: str) -> Dispatch | None:
        return await self._read(lambda connection: queries.by_id(connection, DISPATCHES, dispatch_id))

    async def dispatch_tasks(self, dispatch_id: str) -> list[Task]:
        """Return all tasks of a dispatch, in the order of submission."""
        return await self._read(lambda connection: queries.dispatch_tasks(connection, dispatch_id))

    async def job(self, job_id: str) -> Job | None:
        return await self._read(lambda connection: queries.by_id(connection, JOBS, job_id))

    async def jobs(self, limit: int = 100, cursor: str | None = None) -> tuple[list[Job], str | None]:
        return await self._read(lambda connection: queries.page(connection, JOBS, limit, cursor))

    async def tokens(self, limit: int = 100, cursor: str | None = None) -> tuple[list[Token], str | None]:
        return await self._read(lambda connection: queries.page(connection, TOKENS, limit, cursor))

    async def audit(
        self, limit: int = 100, cursor: str | None = None
    ) -> tuple[list[tuple[int, AuditEntry]], str | None]:
        """Return `(seq, entry)` pairs, newest first, and the cursor of the next page."""
        return await self._read(lambda connection: queries.audit(connection, limit, cursor))

    async def audit_entry(self, seq: int) -> AuditEntry | None:
        return await self._read(lambda connection: queries.audit_entry(connection, seq))

    async def failures(self, now_ms: int) -> list[Failure]:
        """Return the tasks that failed within a day and were not submitted again, newest first."""
        return await self._read(lambda connection: failures.failures(connection, now_ms - FAILURES_MS))

    async def failed_jobs(self, now_ms: int) -> list[JobFailure]:
        """Return the jobs that failed within a day and that nothing has made up for, newest first."""
        return await self._read(lambda connection: failures.failed_jobs(connection, now_ms - FAILURES_MS))

    async def snoozes(self) -> list[Snooze]:
        return await self._read(lambda connection: load.everything(connection, SNOOZES, "ORDER BY id"))

    async def snapshot(self, snapshot_id: str) -> Snapshot | None:
        return await self._read(lambda connection: queries.by_id(connection, SNAPSHOTS, snapshot_id))

    async def snapshots(
        self, agent_id: str | None = None, limit: int = 1000, cursor: str | None = None
    ) -> tuple[list[Snapshot], str | None]:
        """Return one page, newest first, of one agent's name or of all."""
        return await self._read(lambda connection: queries.snapshots(connection, agent_id, limit, cursor))

    async def all_snapshots(self) -> list[Snapshot]:
        """Return every snapshot, oldest first."""
        return await self._read(lambda connection: load.everything(connection, SNAPSHOTS, "ORDER BY n"))

    async def snapshot_line(self, uid: str) -> SnapshotLine | None:
        return await self._read(lambda connection: queries.snapshot_line(connection, uid))

    async def snapshot_lines(self) -> list[SnapshotLine]:
        return await self._read(lambda connection: load.everything(connection, SNAPSHOT_LINES, "ORDER BY uid"))

    async def gateways(self) -> list[StoredGateway]:
        """Return every gateway that was named, by name."""
        return await self._read(lambda connection: load.everything(connection, GATEWAYS, "ORDER BY name"))

    async def instances(self) -> list[StoredInstance]:
        """Return every gateway that this hub runs, by name."""
        return await self._read(lambda connection: load.everything(connection, INSTANCES, "ORDER BY name"))

    async def backups(self) -> list[StoredBackup]:
        """Return every backup of such a gateway, oldest first."""
        return await self._read(lambda connection: load.everything(connection, BACKUPS, "ORDER BY n"))

    async def hosts(self) -> list[StoredHost]:
        """Return every Docker host that was named, by name."""
        return await self._read(lambda connection: load.everything(connection, HOSTS, "ORDER BY name"))

    async def idempotency(self, who: str, key: str) -> IdempotencyKey | None:
        return await self._read(lambda connection: queries.idempotency(connection, who, key))

    # --- care

    async def backup(self, path: Path) -> int:
        """Write a copy of this moment to a new file; returns its size in bytes.

        Commits go on meanwhile. Raises Conflict when `path` exists, BadRequest, StorageFull.
        """
        return await asyncio.to_thread(backup.backup_file, self.path, path)

    def problems(self) -> list[str]:
        """Return what a person should know about the database file now, as sentences."""
        return self._writer.problems()

    def sizes(self) -> tuple[int, int]:
        """Return the bytes of the database and of its log."""
        return self._writer.sizes()

    async def _read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        async with self._reader() as connection:
            return await connection.run(query)

    @asynccontextmanager
    async def _reader(self) -> AsyncIterator[BatchConnection]:
        """Borrow a reader. One whose caller was cancelled may still be busy; its next work waits there."""
        connection = await self._free.get()
        try:
            yield connection
        finally:
            self._free.put_nowait(connection)


async def _close_all(writer: Writer, readers: Sequence[BatchConnection]) -> None:
    """Close the writer last: the last connection to close removes the log, and only it may."""
    for reader in readers:
        await reader.close()
    await writer.close()
