"""Fault 30: the hub is replaced by a newer version while tasks run. Agents work on, the registry is migrated with what
is in it, results come in; and a migration that fails half way leaves everything as it was."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from hub.registry.connection import connect
from hub.registry.migrations import MIGRATIONS, version_of
from hub.registry.opening import prepare
from tests.end_to_end.harness import HubProcess, eventually
from tests.faults.checker import check_nobody_left, processes_of

OLD = 4
"""Schema of the version before: without gateways that the hub runs."""
NEWEST = MIGRATIONS[-1].number
WORK = "echo begun >> ran.txt; while [ ! -e go ]; do sleep 0.05; done; echo done"


def make_old(database: Path) -> None:
    """Replace a registry by one that only the older migrations made, with the same rows: what the older hub has."""
    newer = database.with_name("newer.db")
    with closing(connect(database)) as connection:
        connection.execute("VACUUM INTO ?", (str(newer),))
    for suffix in ("", "-wal", "-shm"):
        database.with_name(f"{database.name}{suffix}").unlink(missing_ok=True)
    prepare(database, MIGRATIONS[:OLD])
    with closing(connect(database)) as connection:
        connection.execute("ATTACH DATABASE ? AS newer", (str(newer),))
        for table in tables(connection):
            if table == "migrations":
                continue
            # The older schema's columns; what the newer one added is lost on the way back.
            names = ", ".join(f'"{row[1]}"' for row in connection.execute(f"PRAGMA main.table_info({table})"))
            connection.execute(f"INSERT OR REPLACE INTO main.{table} ({names}) SELECT {names} FROM newer.{table}")
        connection.commit()
        connection.execute("DETACH DATABASE newer")
    newer.unlink()


def tables(connection: sqlite3.Connection) -> list[str]:
    found = connection.execute("SELECT name FROM main.sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    return [str(row[0]) for row in found]


def content(database: Path) -> tuple[int, dict[str, list[tuple[object, ...]]]]:
    """The schema's number and every row."""
    with closing(connect(database, read_only=True)) as connection:
        rows = {table: sorted(connection.execute(f"SELECT * FROM {table}"), key=repr) for table in tables(connection)}
        return version_of(connection), rows


def runtime_of(hub: HubProcess) -> psutil.Process:
    (process,) = (one for one in processes_of(hub.home) if "runtime" in one.cmdline())
    return process


async def at_work(hub: HubProcess) -> str:
    """Start a hub with one agent whose task runs until `release`; returns the task's id."""
    await hub.start()
    await hub.create("a")
    task_id = await hub.submit("a", type="exec", command=WORK)

    async def begun() -> bool:
        return any((hub.home / "agents").rglob("ran.txt"))

    await eventually(begun, what="the task has begun")
    return task_id


def release(hub: HubProcess) -> None:
    """Let the task end."""
    (ran,) = (hub.home / "agents").rglob("ran.txt")
    (ran.parent / "go").touch()


async def result_is_taken(hub: HubProcess, task_id: str) -> None:
    task = await hub.ended_task(task_id)
    assert (task["status"], task["attempt"], task["stdout"]) == ("succeeded", 1, "done\n"), task
    (ran,) = (hub.home / "agents").rglob("ran.txt")
    assert ran.read_text() == "begun\n"
    assert (await hub.run("a", type="exec", command="echo again"))["stdout"] == "again\n"
    await hub.destroy("a")
    await check_nobody_left(hub.home / "agents")


@pytest.mark.parametrize("ends_meanwhile", [False, True])
async def test_a_running_task_goes_on_over_an_upgrade_of_the_hub(hub: HubProcess, ends_meanwhile: bool) -> None:
    task_id = await at_work(hub)
    agent = runtime_of(hub)
    assert hub.stop() == 0
    make_old(hub.home / "registry.db")
    before = content(hub.home / "registry.db")
    assert before[0] == OLD
    if ends_meanwhile:
        release(hub)
    await hub.start()
    assert content(hub.home / f"registry.db.before-{NEWEST}") == before
    assert runtime_of(hub) == agent
    if not ends_meanwhile:
        release(hub)
    await result_is_taken(hub, task_id)
    hub.stop()
    assert content(hub.home / "registry.db")[0] == NEWEST


async def test_a_migration_that_fails_half_way_changes_nothing_and_the_agent_works_on(hub: HubProcess) -> None:
    database = hub.home / "registry.db"
    task_id = await at_work(hub)
    agent = runtime_of(hub)
    assert hub.stop() == 0
    make_old(database)
    with closing(connect(database)) as connection:
        # The newer schema makes this table, after it has made another one.
        connection.execute("CREATE TABLE backups (theirs TEXT)")
        connection.commit()
    before = content(database)

    hub.launch()
    said = await eventually(lambda: refusal(hub), what="the newer hub gives up")
    assert "Migration 5 (instances)" in said
    assert "backups already exists" in said
    assert "Start the version of the program that you used until now" in said
    kept = hub.home / f"registry.db.before-{NEWEST}"
    assert str(kept) in said
    assert "Traceback" not in said
    assert content(database) == before == content(kept)
    assert runtime_of(hub) == agent

    # What the older version does at its start.
    prepare(database, MIGRATIONS[:OLD])
    assert content(database) == before
    with closing(connect(database)) as connection:
        connection.execute("DROP TABLE backups")
        connection.commit()
    await hub.start()
    assert runtime_of(hub) == agent
    release(hub)
    await result_is_taken(hub, task_id)


async def refusal(hub: HubProcess) -> str:
    """What the hub said when it did not start; empty while it tries."""
    if psutil.pid_exists(hub.pid) and psutil.Process(hub.pid).status() != psutil.STATUS_ZOMBIE:
        return ""
    assert hub.stop() != 0
    return hub.log
