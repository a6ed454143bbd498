"""Which ended tasks are failures that nobody has dealt with, and that finding them reads nothing else."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from hub.config import Retention
from hub.core.model import AgentId, Job, JobId, JobState, TaskState
from hub.registry import Registry
from hub.registry.connection import connect
from hub.registry.failures import _QUERY
from runtime.wire import TaskError
from tests.hub.registry.factories import ended, saves, snooze, task

DAY_MS = 86_400_000


@pytest.mark.parametrize("state", list(TaskState))
async def test_failures_are_what_ended_badly(registry: Registry, state: TaskState) -> None:
    await registry.commit(saves(ended(1, state=state)))
    bad = state in {TaskState.FAILED, TaskState.LOST, TaskState.REJECTED, TaskState.TIMED_OUT}
    assert [failure.state for failure in await registry.failures(2_000)] == [state] * bad


async def test_they_say_why_and_come_newest_first(registry: Registry) -> None:
    why = TaskError("timeout", "took too long")
    older = ended(1, 2_000, state=TaskState.FAILED, exit_code=3)
    newer = ended(2, 3_000, state=TaskState.TIMED_OUT, error=why, dispatch_id="d_1")
    await registry.commit(saves(older, newer))
    first, second = await registry.failures(3_000)
    assert (first.task_id, first.code, first.message, first.dispatch_id) == (
        newer.id,
        "timeout",
        "took too long",
        "d_1",
    )
    assert (second.task_id, second.exit_code, second.ended_at, second.agent_id) == (older.id, 3, 2_000, "worker")


async def test_what_was_submitted_again_or_is_a_day_old_is_none(registry: Registry) -> None:
    failed = ended(1, state=TaskState.FAILED)
    await registry.commit(saves(failed))
    assert len(await registry.failures(2_000 + DAY_MS)) == 1
    assert await registry.failures(2_001 + DAY_MS) == []
    await registry.commit(saves(task(2, retry_of=failed.id)))
    assert await registry.failures(2_000) == []


async def test_a_late_result_of_a_lost_task_takes_it_out(registry: Registry) -> None:
    await registry.commit(saves(ended(1, state=TaskState.LOST)))
    assert len(await registry.failures(2_000)) == 1
    await registry.commit(saves(ended(1, state=TaskState.SUCCEEDED)))
    assert await registry.failures(2_000) == []


def test_only_failures_are_read(database: Path, registry: Registry) -> None:
    with closing(connect(database)) as connection:
        plan = " ".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {_QUERY}", (0, 1)))
    assert "USING INDEX tasks_failed (ended_at>?)" in plan
    assert "USING COVERING INDEX tasks_by_retry (retry_of=?)" in plan
    assert "TEMP B-TREE" not in plan


async def test_a_snooze_is_kept_changed_and_purged_when_over(registry: Registry) -> None:
    await registry.commit(saves(snooze("b", until=10), snooze("a", until=30)))
    await registry.commit(saves(snooze("b", until=20)))
    assert await registry.snoozes() == [snooze("a", until=30), snooze("b", until=20)]
    assert (await registry.purge(25, Retention())).snoozes == 1
    assert await registry.snoozes() == [snooze("a", until=30)]


# --- jobs -----------------------------------------------------------------------------------------


def job(number: int, state: JobState, kind: str = "restart", agent: str | None = "a", **fields: Any) -> Job:
    """Ended at `number` seconds."""
    return Job(
        id=JobId(f"j_{number}"), kind=kind, started_at=0, state=state, finished_at=number * 1_000,
        agent_id=AgentId(agent) if agent is not None else None, **fields,
    )  # fmt: skip


FAILED, SUCCEEDED = JobState.FAILED, JobState.SUCCEEDED


async def failed(registry: Registry, now_ms: int = 10_000) -> list[str]:
    return [one.job_id for one in await registry.failed_jobs(now_ms)]


@pytest.mark.parametrize("state", list(JobState))
async def test_only_jobs_that_failed_are_failures(registry: Registry, state: JobState) -> None:
    await registry.commit(saves(job(1, state)))
    assert await failed(registry) == ["j_1"] * (state is FAILED)


async def test_failed_jobs_say_why_and_come_newest_first(registry: Registry) -> None:
    why = TaskError("not_connected", "it has not connected")
    await registry.commit(saves(job(1, FAILED, error=why), job(2, FAILED, error=TaskError("internal", ""), agent=None)))
    newer, older = await registry.failed_jobs(10_000)
    assert (newer.job_id, newer.message, newer.agent_id) == ("j_2", "internal", None)
    assert (older.message, older.agent_id, older.kind, older.ended_at) == (
        "it has not connected",
        "a",
        "restart",
        1_000,
    )


async def test_a_later_success_of_the_same_kind_on_the_same_agent_makes_up_for_it(registry: Registry) -> None:
    await registry.commit(saves(job(1, SUCCEEDED), job(2, FAILED)))
    assert await failed(registry) == ["j_2"]
    await registry.commit(saves(job(3, SUCCEEDED, kind="stop"), job(4, SUCCEEDED, agent="b")))
    assert await failed(registry) == ["j_2"]
    await registry.commit(saves(job(5, SUCCEEDED)))
    assert await failed(registry) == []
    await registry.commit(saves(job(6, FAILED)))
    assert await failed(registry) == ["j_6"]


async def test_a_later_success_on_the_same_other_thing_makes_up_for_it(registry: Registry) -> None:
    """A build of a profile is on no agent."""
    build = {"kind": "profile.build", "agent": None}
    await registry.commit(saves(job(1, FAILED, about="web", **build), job(2, FAILED, about="a", **build)))
    await registry.commit(saves(job(3, SUCCEEDED, about="other", **build), job(4, SUCCEEDED, kind="profile.build")))
    newer, older = await registry.failed_jobs(10_000)
    assert (newer.about, older.about) == ("a", "web")
    await registry.commit(saves(job(5, SUCCEEDED, about="web", **build)))
    assert await failed(registry) == ["j_2"]


async def test_with_the_agent_go_its_failures(registry: Registry) -> None:
    await registry.commit(saves(job(1, FAILED), job(2, FAILED, kind="create"), job(3, FAILED, agent="b")))
    await registry.commit(saves(job(4, SUCCEEDED, kind="destroy")))
    assert await failed(registry) == ["j_3"]


async def test_a_job_that_failed_a_day_ago_is_forgotten(registry: Registry) -> None:
    await registry.commit(saves(job(1, FAILED)))
    assert await failed(registry, 1_000 + DAY_MS) == ["j_1"]
    assert await failed(registry, 1_001 + DAY_MS) == []
