"""A batch against a model: whatever the order of saves and deletes, the table ends like a dict."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.effects import Delete, Save
from hub.core.model import Record, Task, TaskState
from hub.registry import migrations
from hub.registry.batch import GROUPS, write
from hub.registry.migrations import MIGRATIONS
from hub.registry.rows import TABLES, TASKS
from tests.hub.registry.factories import audit, key, policy, task


@pytest.fixture
def memory() -> Iterator[sqlite3.Connection]:
    with fresh() as connection:
        yield connection


def fresh() -> closing[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    for step in MIGRATIONS:
        migrations.apply(connection, step)
    return closing(connection)


def stored(connection: sqlite3.Connection) -> dict[str, Task]:
    found = [TASKS.record(body) for (body,) in connection.execute("SELECT body FROM tasks ORDER BY n")]
    return {record.id: record for record in found}


effects = st.lists(
    st.tuples(st.booleans(), st.integers(0, 5), st.sampled_from(list(TaskState)), st.sampled_from(["", "x"])),
    max_size=30,
)


@given(st.lists(effects, max_size=4))
def test_batches_end_like_a_dict(batches: list[list[tuple[bool, int, TaskState, str]]]) -> None:
    model: dict[str, Task] = {}
    with fresh() as connection:
        for batch in batches:
            chosen: list[Save | Delete] = []
            for save, number, state, label in batch:
                record = task(number, state=state, labels={label: "1"} if label else {})
                if save:
                    model[record.id] = record
                else:
                    model.pop(record.id, None)
                chosen.append(Save(record) if save else Delete(record))
            write(connection, chosen)
        assert stored(connection) == model
        states = dict(connection.execute("SELECT id, state FROM tasks"))
        assert states == {name: record.state for name, record in model.items()}
        orphans = connection.execute("SELECT count(*) FROM task_labels WHERE n NOT IN (SELECT n FROM tasks)")
        assert orphans.fetchone() == (0,)


@pytest.mark.parametrize("count", [1, 3, 4, 63, 64, 65, 200])
def test_groups_lose_no_row(memory: sqlite3.Connection, count: int) -> None:
    records = [task(number, labels={"n": str(number)}) for number in range(count)]
    write(memory, [Save(record) for record in records])
    assert list(stored(memory).values()) == records
    assert memory.execute("SELECT count(*) FROM task_labels").fetchone() == (2 * count,)
    write(memory, [Delete(record) for record in records])
    assert memory.execute("SELECT (SELECT count(*) FROM tasks) + (SELECT count(*) FROM task_labels)").fetchone() == (0,)


def test_statements_fit_every_sqlite() -> None:
    """999 parameters was the bound before SQLite 3.32."""
    assert max(len(table.names) for table in TABLES.values()) * max(GROUPS) <= 999


def test_keys_of_two_columns(memory: sqlite3.Connection) -> None:
    write(memory, [Save(policy("a", "b")), Save(policy("b", "a")), Save(key("k")), Save(key("k", who="you"))])
    write(memory, [Delete(policy("a", "b")), Delete(key("k"))])
    assert memory.execute("SELECT sender, receiver FROM policies").fetchall() == [("b", "a")]
    assert memory.execute("SELECT who FROM idempotency").fetchall() == [("you",)]


def test_audit_is_appended_in_order_even_when_equal(memory: sqlite3.Connection) -> None:
    write(memory, [Save(audit(1)), Save(audit(1)), Save(audit(2))])
    assert memory.execute("SELECT seq, at FROM audit ORDER BY seq").fetchall() == [(1, 1), (2, 1), (3, 2)]


class Foreign(Record, frozen=True):
    id: str


@pytest.mark.parametrize("effect", [Delete(audit(1)), Save(Foreign(id="x"))])
def test_what_the_registry_does_not_keep_is_a_mistake(memory: sqlite3.Connection, effect: Save | Delete) -> None:
    with pytest.raises(TypeError):
        write(memory, [Save(task(1)), effect])
    assert stored(memory) == {}
    assert not memory.in_transaction


def test_every_record_type_has_a_table() -> None:
    kept = {kind.__name__ for kind in TABLES} | {"AuditEntry"}
    assert kept == {kind.__name__ for kind in Record.__subclasses__() if kind.__module__.startswith("hub.core.")}
