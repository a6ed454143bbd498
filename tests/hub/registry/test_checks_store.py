"""Checks of gateways on the disk: read back in order, bounded in number and age, beside the agents' history."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from hub.core.gateway_checks import Check, Deed
from hub.core.stats import FIELDS, Sample
from hub.registry import checks_store
from hub.registry.checks_store import MOST_ROWS, TABLES, ChecksStore
from hub.registry.metrics_store import MetricsStore, Piece


def check(gateway: str, at_ms: int, **fields: object) -> Check:
    return Check(gateway, at_ms, "ready", True, True, 4.5)._replace(**fields)  # pyright: ignore[reportArgumentType]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "metrics.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[ChecksStore]:
    opened = await MetricsStore.open(path)
    yield opened.checks
    await opened.close()


async def test_rows_come_back_as_they_were_the_newest_of_them_oldest_first(store: ChecksStore) -> None:
    checks = [check("g", 10), check("g", 20, state="down", healthy=False, counts=False, response_ms=None, reason="x")]
    deed = Deed("g", 15, "monitor", False, None, "it hangs")
    await store.append([*reversed(checks), check("h", 10)], [deed, Deed("g", 5, "engine", True, 3.0)])

    assert await store.checks("g", 0) == checks
    assert await store.checks("g", 11) == checks[1:]
    assert await store.checks("g", 0, most=1) == checks[1:]
    assert await store.deeds("g", 6) == [deed]
    assert await store.checks("nobody", 0) == []


async def test_a_gateway_that_is_gone_leaves_nothing(store: ChecksStore) -> None:
    for name in ("g", "h", "i"):
        await store.append([check(name, 10)], [Deed(name, 10, "monitor", True, 1.0)])
        await store.keep_patience(name, b"{}")
    await store.remove("g")
    await store.purge(0, ["h"])

    assert [await store.checks(name, 0) for name in ("g", "i")] == [[], []]
    assert [len(await store.deeds(name, 0)) for name in "ghi"] == [0, 1, 0]
    assert await store.patience() == {"h": b"{}"}
    await store.keep_patience("h", None)
    assert await store.patience() == {}


async def test_old_rows_and_too_many_rows_are_deleted(store: ChecksStore) -> None:
    await store.append([check("g", at) for at in range(MOST_ROWS + 10)], [])
    await store.purge(0, ["g"])
    kept = await store.checks("g", 0)
    assert (len(kept), kept[0].at_ms) == (MOST_ROWS, 10)
    await store.purge(MOST_ROWS, ["g"])
    assert [one.at_ms for one in await store.checks("g", 0)] == list(range(MOST_ROWS, MOST_ROWS + 10))


async def test_a_file_without_these_tables_gets_them_and_keeps_what_it_has(path: Path) -> None:
    sample = Sample(30_000, 30, (1.0,) * len(FIELDS))
    first = await MetricsStore.open(path)
    await first.append([Piece("u", 30, [sample])])
    await first.close()
    with closing(sqlite3.connect(path)) as connection:
        for table in TABLES:
            connection.execute(f"DROP TABLE {table}")
        connection.execute("PRAGMA user_version = 1")
        connection.commit()

    second = await MetricsStore.open(path)
    await second.checks.append([check("g", 1)], [])
    assert await second.read("u", 30, 0) == [sample]
    assert await second.checks.checks("g", 0) == [check("g", 1)]
    await second.close()
    assert not list(path.parent.glob("*.damaged"))


def test_every_table_of_the_schema_is_among_those_that_are_cleaned() -> None:
    made = [statement.split()[2] for statement in checks_store.SCHEMA if statement.startswith("CREATE TABLE")]
    assert sorted(made) == sorted(TABLES)
