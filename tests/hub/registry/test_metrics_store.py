"""Agents' history on the disk: added to, read back, forgotten in time, and never a reason not to start."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from hub.core.stats import FIELDS, Sample
from hub.errors import StorageFull
from hub.registry.connection import connect
from hub.registry.metrics_store import CHUNK_MS, MetricsStore, Piece

HOUR_MS = CHUNK_MS[30]


def sample(at_ms: int, seconds: int = 30, value: float = 1.0) -> Sample:
    return Sample(at_ms, seconds, (value,) * len(FIELDS))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "metrics.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[MetricsStore]:
    opened = await MetricsStore.open(path)
    yield opened
    await opened.close()


async def test_what_is_added_is_read_in_order_of_time(store: MetricsStore) -> None:
    late, early, other = sample(HOUR_MS + 30_000), sample(30_000), sample(60_000, 600)
    await store.append([Piece("u", 30, [late]), Piece("v", 30, [sample(90_000)])])
    await store.append([Piece("u", 30, [early]), Piece("u", 600, [other])])
    assert await store.read("u", 30, 0) == [early, late]
    assert await store.read("u", 30, 30_001) == [late]
    assert await store.read("u", 600, 0) == [other]
    assert await store.read("nobody", 30, 0) == []


async def test_history_survives_a_restart_and_is_private(path: Path) -> None:
    first = await MetricsStore.open(path)
    await first.append([Piece("u", 30, [sample(30_000)])])
    await first.close()
    second = await MetricsStore.open(path)
    assert await second.read("u", 30, 0) == [sample(30_000)]
    await second.close()
    assert path.stat().st_mode & 0o777 == 0o600


async def test_the_old_and_the_gone_are_forgotten(store: MetricsStore) -> None:
    kept = [sample(5 * HOUR_MS), sample(5 * HOUR_MS, 600)]
    await store.append(
        [Piece("u", 30, [sample(HOUR_MS), kept[0]]), Piece("u", 600, [kept[1]]), Piece("v", 30, kept[:1])]
    )
    await store.purge({30: 2 * HOUR_MS, 600: 0}, {"u"})
    assert await store.read("u", 30, 0) == kept[:1]
    assert await store.read("u", 600, 0) == kept[1:]
    assert await store.read("v", 30, 0) == []


async def test_an_agents_history_is_removed(store: MetricsStore) -> None:
    await store.append([Piece(uid, seconds, [sample(30, seconds)]) for uid in "uv" for seconds in (30, 600)])
    await store.remove("u")
    assert [await store.read(uid, seconds, 0) for uid in "uv" for seconds in (30, 600)] == [
        [], [], [sample(30, 30)], [sample(30, 600)],
    ]  # fmt: skip


def foreign(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE chunks (x)")


@pytest.mark.parametrize("damage", [lambda path: path.write_bytes(b"no database " * 1_000), foreign])
async def test_a_file_that_is_not_usable_is_put_aside(path: Path, damage: object) -> None:
    assert callable(damage)
    damage(path)
    before = path.read_bytes()
    store = await MetricsStore.open(path)
    await store.append([Piece("u", 30, [sample(30)])])
    assert await store.read("u", 30, 0) == [sample(30)]
    await store.close()
    assert path.with_name("metrics.db.damaged").read_bytes() == before


async def test_a_damaged_chunk_is_a_gap(path: Path, store: MetricsStore) -> None:
    await store.append([Piece("u", 30, [sample(30), sample(HOUR_MS)])])
    with closing(connect(path)) as connection:
        connection.execute("UPDATE chunks SET data = x'00' WHERE chunk = 0")
    assert await store.read("u", 30, 0) == [sample(HOUR_MS)]
    await store.append([Piece("u", 30, [sample(60)])])
    assert await store.read("u", 30, 0) == [sample(60), sample(HOUR_MS)]


async def test_the_file_has_a_greatest_size(path: Path) -> None:
    store = await MetricsStore.open(path, most_bytes=64 * 1024)
    pieces = [Piece(f"u{number}", 30, [sample(at, value=at * number) for at in range(50)]) for number in range(1_000)]
    await store.append(pieces[:1])
    with pytest.raises(StorageFull):
        await store.append(pieces)
    assert await store.read("u0", 30, 0)
    await store.close()
    assert path.stat().st_size <= 64 * 1024


async def test_writing_does_not_wait_for_the_disk(store: MetricsStore) -> None:
    assert await store._connection.run(lambda one: one.execute("PRAGMA synchronous").fetchone()[0]) == 0
