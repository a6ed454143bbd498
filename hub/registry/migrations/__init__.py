"""Numbered changes of the registry's schema, each in one transaction.

A migration is never edited after a release; a new one is added at the end. `PRAGMA user_version`
holds the number of the last one applied.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from hub.registry.connection import transaction
from hub.registry.migrations import (
    m0001_initial,
    m0002_attention,
    m0003_snapshots,
    m0004_gateways,
    m0005_instances,
    m0006_hosts,
)


class Migration(NamedTuple):
    """`apply` runs inside a transaction and must not commit."""

    number: int
    name: str
    apply: Callable[[sqlite3.Connection], None]


MIGRATIONS: Final[tuple[Migration, ...]] = (
    Migration(1, "initial", m0001_initial.apply),
    Migration(2, "attention", m0002_attention.apply),
    Migration(3, "snapshots", m0003_snapshots.apply),
    Migration(4, "gateways", m0004_gateways.apply),
    Migration(5, "instances", m0005_instances.apply),
    Migration(6, "hosts", m0006_hosts.apply),
)


def version_of(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def latest(migrations: Sequence[Migration]) -> int:
    return max((migration.number for migration in migrations), default=0)


def apply(connection: sqlite3.Connection, migration: Migration) -> None:
    """Apply one migration and note it. Raises what the migration raises; then nothing has changed."""
    with transaction(connection):
        migration.apply(connection)
        connection.execute(
            "INSERT INTO migrations (number, name, applied_at) VALUES (?, ?, ?)",
            (migration.number, migration.name, time.time_ns() // 1_000_000),
        )
        # A pragma takes no parameters; the number is ours.
        connection.execute(f"PRAGMA user_version = {migration.number:d}")
