"""Retention: what is old and over goes, everything else stays."""

from __future__ import annotations

from msgspec.structs import replace

from hub.config import Retention
from hub.contract import TaskQuery
from hub.core.model import DispatchState, Job, JobState
from hub.registry import Registry
from hub.registry.purge import DAY_MS, STEP_ROWS
from tests.hub.registry.factories import audit, dispatch, ended, job, key, saves, task

NOW = 1_000 * DAY_MS
OLD = NOW - 31 * DAY_MS
YOUNG = NOW - 29 * DAY_MS


def failed(number: int, at: int) -> Job:
    return job(number, state=JobState.FAILED, finished_at=at)


async def ids(registry: Registry) -> list[int]:
    return sorted(found.seq for found in (await registry.tasks(TaskQuery(limit=1_000)))[0])


async def test_old_and_ended_goes_the_rest_stays(registry: Registry) -> None:
    await registry.commit(
        saves(ended(1, OLD, labels={"a": "b"}), ended(2, YOUNG), task(3), key("old", OLD), key("young", YOUNG))
        + saves(failed(1, OLD), job(2), failed(3, YOUNG))
    )
    gone = await registry.purge(NOW, Retention())
    assert (gone.task_ids, gone.keys, gone.jobs, gone.more) == ([ended(1).id], 1, 1, False)
    assert await ids(registry) == [2, 3]
    assert (await registry.tasks(TaskQuery(label="a")))[0] == []
    assert await registry.idempotency("me", "old") is None
    assert await registry.idempotency("me", "young") is not None
    assert [found.id for found in (await registry.jobs())[0]] == ["j_3", "j_2"]


async def test_tasks_of_a_rollout_stay_until_it_ends_and_then_both_go(registry: Registry) -> None:
    going = dispatch(1, [ended(1)])
    await registry.commit(saves(going, ended(1, OLD, dispatch_id=going.id)))
    assert (await registry.purge(NOW, Retention())).task_ids == []
    await registry.commit(saves(replace(going, state=DispatchState.DONE)))
    gone = await registry.purge(NOW, Retention())
    assert (gone.task_ids, gone.dispatches) == ([ended(1).id], 1)
    assert await registry.dispatch(going.id) is None


async def test_audit_older_than_a_year_goes_and_the_guard_with_it(registry: Registry) -> None:
    await registry.commit(saves(audit(NOW - 366 * DAY_MS), audit(NOW - 364 * DAY_MS)))
    assert (await registry.purge(NOW, Retention())).audit == 1
    await registry.commit(saves(audit(NOW)))
    assert [(seq, entry.at) for seq, entry in (await registry.audit())[0]] == [(3, NOW), (2, NOW - 364 * DAY_MS)]
    assert await registry.get_meta("audit_purge_before") is None


async def test_one_run_is_bounded_and_says_so(registry: Registry) -> None:
    await registry.commit(saves(*[ended(number, OLD + number) for number in range(1_300)]))
    first = await registry.purge(NOW, Retention(), run_rows=2 * STEP_ROWS)
    assert (len(first.task_ids), first.more) == (1_000, True)
    assert await ids(registry) == list(range(1_000, 1_300))
    second = await registry.purge(NOW, Retention())
    assert (len(second.task_ids), second.more) == (300, False)
