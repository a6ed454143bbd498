"""The registry as the hub uses it: what was committed is there, also after the next start."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from hub.core.effects import Delete, Save
from hub.core.model import AgentUid, DispatchState, JobState, TaskState
from hub.errors import HubError, Unavailable
from hub.registry import Registry
from tests.hub.registry.factories import (
    agent,
    audit,
    dispatch,
    ended,
    job,
    key,
    message,
    policy,
    saves,
    task,
    token,
)


async def test_every_record_survives_a_restart(database: Path) -> None:
    records = [agent(), task(1), token(1), policy("a", "b"), message(1), job(1), dispatch(1, [task(1)])]
    first = await Registry.open(database)
    await first.commit(saves(*records, key("k"), audit(5)))
    await first.close()
    second = await Registry.open(database)
    found = await second.load()
    assert [
        *found.agents, *found.open_tasks, *found.tokens, *found.policies, *found.messages, *found.jobs,
        *found.dispatches,
    ] == records  # fmt: skip
    assert await second.idempotency("me", "k") == key("k")
    assert await second.idempotency("you", "k") is None
    assert (await second.audit())[0] == [(1, audit(5))]
    await second.close()


async def test_the_hub_id_is_made_once(database: Path) -> None:
    ids: set[str] = set()
    for _ in range(2):
        registry = await Registry.open(database)
        ids.add((await registry.load()).hub_id)
        await registry.close()
    assert len(ids) == 1
    assert len(ids.pop()) == 16


async def test_the_last_word_on_a_key_wins(registry: Registry) -> None:
    first, second = task(1), task(1, state=TaskState.RUNNING)
    await registry.commit([Save(first), Save(second), Save(task(2)), Delete(task(2)), Delete(task(3)), Save(task(3))])
    assert await registry.task(first.id) == second
    assert await registry.task(task(2).id) is None
    assert await registry.task(task(3).id) == task(3)


async def test_a_batch_that_fails_leaves_nothing(registry: Registry) -> None:
    unencodable = task(2, stdout="\ud800")
    with pytest.raises(HubError) as caught:
        await registry.commit([Save(task(1)), Save(unencodable)])
    assert caught.value.code == "unstorable"
    assert await registry.task(task(1).id) is None
    await registry.commit(saves(task(1)))
    assert await registry.task(task(1).id) == task(1)


async def test_load_returns_what_is_alive(registry: Registry) -> None:
    lost_here = ended(4, state=TaskState.LOST)
    lost_gone = ended(5, state=TaskState.LOST, agent_uid=AgentUid("u-gone"))
    rolling = dispatch(1, [ended(6)])
    over = dispatch(2, [ended(7)], state=DispatchState.DONE)
    members = [ended(6, dispatch_id=rolling.id), ended(7, dispatch_id=over.id)]
    await registry.commit(
        saves(agent(), task(1), task(2, state=TaskState.OFFERED), ended(3), lost_here, lost_gone, rolling, over)
        + saves(*members, job(1), job(2, state=JobState.FAILED, finished_at=3))
    )
    found = await registry.load()
    assert [member.seq for member in found.open_tasks] == [1, 2, 4, 6]
    assert found.dispatches == [rolling]
    assert found.jobs == [job(1)]
    assert found.next_task_seq == 8


async def test_a_record_that_does_not_decode_is_damage_with_a_remedy(registry: Registry) -> None:
    await registry.commit(saves(task(1, spec=msgspec.Raw(b"no json"))))
    with pytest.raises(Unavailable) as caught:
        await registry.task(task(1).id)
    assert caught.value.code == "registry_damaged"
    assert "clawtui backup restore" in caught.value.hint


async def test_meta_is_kept(registry: Registry) -> None:
    assert await registry.get_meta("port_api") is None
    await registry.set_meta("port_api", "9091")
    await registry.set_meta("port_api", "9092")
    assert await registry.get_meta("port_api") == "9092"


async def test_a_closed_registry_says_so_and_closes_twice(database: Path) -> None:
    registry = await Registry.open(database)
    await registry.close()
    await registry.close()
    with pytest.raises(Unavailable):
        await registry.commit(saves(task(1)))
    with pytest.raises(Unavailable):
        await registry.task("t")


async def test_more_readers_than_connections_all_get_their_turn(registry: Registry) -> None:
    await registry.commit(saves(*[task(number) for number in range(20)]))
    async with asyncio.TaskGroup() as group:
        reads = [group.create_task(registry.task(task(number).id)) for number in range(20)]
    assert [read.result() for read in reads] == [task(number) for number in range(20)]


async def test_a_cancelled_read_gives_its_connection_back(database: Path) -> None:
    registry = await Registry.open(database, read_connections=1)
    await registry.commit(saves(task(1)))
    async with asyncio.TaskGroup() as group:
        read = group.create_task(registry.load())
        await asyncio.sleep(0)
        read.cancel()
    assert await registry.task(task(1).id) == task(1)
    await registry.close()


async def test_files_are_for_the_owner_only(registry: Registry, database: Path) -> None:
    await registry.commit(saves(task(1)))
    modes = {path.name: path.stat().st_mode & 0o777 for path in database.parent.iterdir()}
    assert modes == dict.fromkeys(("registry.db", "registry.db-wal", "registry.db-shm"), 0o600)


async def test_a_probe_writes(registry: Registry) -> None:
    await registry.probe()
    assert await registry.get_meta("probe") == ""
    assert registry.problems() == []
