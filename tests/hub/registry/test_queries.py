"""Lists: every filter against a plain loop over the same tasks, page by page."""

from __future__ import annotations

import base64
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from hub.contract import TaskQuery
from hub.core.model import OPEN, TERMINAL, DispatchId, Task, TaskState
from hub.errors import BadRequest
from hub.registry import Registry
from hub.registry.connection import connect
from hub.registry.opening import prepare
from hub.registry.queries import matching
from tests.hub.registry.factories import audit, dispatch, job, saves, task, token

STATES = list(TaskState)


def fleet(count: int = 60) -> list[Task]:
    """Tasks whose agent, type, state, label and dispatch vary independently of one another."""
    return [
        task(
            number,
            agent_id=f"a-{number % 3}",
            type=("exec", "build")[number % 2],
            state=STATES[(number * 7) % len(STATES)],
            labels={"team": f"t{number % 4}"} if number % 5 else {},
            dispatch_id=DispatchId(f"d_{number % 2}") if number % 3 == 0 else None,
        )
        for number in range(count)
    ]


def matches(candidate: Task, query: TaskQuery) -> bool:
    labels = {text for name, value in candidate.labels.items() for text in (name, f"{name}={value}")}
    states = {"open": OPEN, "ended": TERMINAL}.get(query.status or "") or frozenset({query.status})
    return (
        query.agent in (None, candidate.agent_id)
        and query.type in (None, candidate.type)
        and query.dispatch in (None, candidate.dispatch_id)
        and (query.label is None or query.label in labels)
        and (query.status is None or candidate.state in states)
    )


queries = st.builds(
    TaskQuery,
    agent=st.sampled_from([None, "a-0", "a-1", "nobody"]),
    type=st.sampled_from([None, "exec", "build"]),
    status=st.sampled_from([None, "open", "ended", "queued", "failed", "lost"]),
    label=st.sampled_from([None, "team", "team=t1", "team=", "other"]),
    dispatch=st.sampled_from([None, "d_0", "d_1"]),
    limit=st.integers(1, 25),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(queries)
async def test_pages_hold_every_match_once_newest_first(registry: Registry, query: TaskQuery) -> None:
    await registry.commit(saves(*fleet()))
    found: list[Task] = []
    cursor = None
    while True:
        page, cursor = await registry.tasks(replace(query, cursor=cursor))
        assert len(page) <= query.limit
        found += page
        if cursor is None:
            break
        assert len(page) == query.limit
    assert found == [candidate for candidate in reversed(fleet()) if matches(candidate, query)]


async def test_a_task_that_changes_keeps_its_place_and_its_filters_follow(registry: Registry) -> None:
    await registry.commit(saves(*[task(number) for number in range(3)]))
    await registry.commit(saves(task(0, state=TaskState.RUNNING)))
    newest, cursor = await registry.tasks(TaskQuery(limit=2))
    assert [found.seq for found in newest] == [2, 1]
    rest, end = await registry.tasks(TaskQuery(limit=2, cursor=cursor))
    assert ([found.seq for found in rest], end) == ([0], None)
    running, _ = await registry.tasks(TaskQuery(status="running"))
    assert [found.seq for found in running] == [0]


async def test_new_tasks_do_not_shift_later_pages(registry: Registry) -> None:
    await registry.commit(saves(*[task(number) for number in range(4)]))
    _, cursor = await registry.tasks(TaskQuery(limit=2))
    await registry.commit(saves(task(9)))
    page, _ = await registry.tasks(TaskQuery(limit=2, cursor=cursor))
    assert [found.seq for found in page] == [1, 0]


async def test_a_page_is_bounded_whatever_is_asked(registry: Registry) -> None:
    await registry.commit(saves(*[task(number) for number in range(1_010)]))
    page, cursor = await registry.tasks(TaskQuery(limit=10**6))
    assert len(page) == 1_000
    assert cursor is not None


def cursor_of(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "cursor",
    ["x", "****", "é", cursor_of("tasks:"), cursor_of("tasks:-1"), cursor_of("tasks:0"), cursor_of("jobs:3"),
     cursor_of(f"tasks:{10**30}"), cursor_of(f"tasks:{2**63}"), cursor_of("tasks:\u0663"), "A" * 10_000],
)  # fmt: skip
async def test_a_foreign_cursor_is_the_callers_mistake(registry: Registry, cursor: str) -> None:
    with pytest.raises(BadRequest) as caught:
        await registry.tasks(TaskQuery(cursor=cursor))
    assert caught.value.field == "cursor"


@given(st.text(max_size=30))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_any_text_as_cursor_is_answered(registry: Registry, cursor: str) -> None:
    field = "cursor"
    try:
        await registry.jobs(cursor=cursor)
    except BadRequest as refused:
        field = refused.field
    assert field == "cursor"


@pytest.mark.parametrize(("query", "field"), [(TaskQuery(status="done"), "status"), (TaskQuery(limit=0), "limit")])
async def test_mistakes_name_their_field(registry: Registry, query: TaskQuery, field: str) -> None:
    with pytest.raises(BadRequest) as caught:
        await registry.tasks(query)
    assert caught.value.field == field


async def test_other_lists_page_the_same_way(registry: Registry) -> None:
    for n in range(5):
        await registry.commit(saves(job(n), token(n), audit(n)))
    jobs, cursor = await registry.jobs(3)
    assert [found.started_at for found in jobs] == [4, 3, 2]
    assert [found.started_at for found in (await registry.jobs(3, cursor))[0]] == [1, 0]
    tokens, cursor = await registry.tokens(5)
    assert ([found.created_at for found in tokens], cursor) == ([4, 3, 2, 1, 0], None)
    entries, cursor = await registry.audit(2)
    assert [(seq, entry.at) for seq, entry in entries] == [(5, 4), (4, 3)]
    assert [seq for seq, _ in (await registry.audit(9, cursor))[0]] == [3, 2, 1]
    assert await registry.job("j_3") == job(3)
    assert await registry.job("none") is None


async def test_a_dispatch_and_its_tasks(registry: Registry) -> None:
    made = dispatch(1, [task(1), task(2)])
    members = [task(number, dispatch_id=made.id) for number in (1, 2)]
    await registry.commit(saves(made, *members, task(3)))
    assert await registry.dispatch(made.id) == made
    assert await registry.dispatch_tasks(made.id) == members
    assert await registry.dispatch("d_9") is None


@pytest.mark.parametrize(
    "query",
    [TaskQuery(agent="a-1"), TaskQuery(agent="a-1", status="open"), TaskQuery(status="failed"),
     TaskQuery(type="none"), TaskQuery(dispatch="d_1", status="open"), TaskQuery(label="x", status="open"),
     TaskQuery()],
)  # fmt: skip
def test_no_filter_reads_or_sorts_the_whole_table(database: Path, query: TaskQuery) -> None:
    """SQLite's own plan: only searches of an index, which come out newest first."""
    prepare(database)
    inner, values = matching(query, 10**9, 10)
    with closing(connect(database, read_only=True)) as connection:
        plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {inner}", values)]
    assert plan
    assert [step for step in plan if step.startswith("SCAN tasks") or "TEMP B-TREE" in step] == []
