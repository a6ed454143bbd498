"""The read model: the documented table of states, and what front ends are shown."""

from __future__ import annotations

import itertools
import re

import msgspec
import pytest

from hub.core import view
from hub.core.health import Presence
from hub.core.model import (
    AgentStatus,
    Connection,
    Desired,
    Dispatch,
    DispatchId,
    Job,
    JobId,
    Observed,
    Role,
    Rollout,
    TaskState,
    Token,
    TokenId,
    TokenKind,
)
from hub.core.view import agent_view, derive_status, dispatch_view, job_view, rfc3339, task_view, token_view
from runtime.wire import Health, TaskError
from tests.core.support import SPEC, WALL_MS, make_agent, make_task

ROW = re.compile(r"^\| (?P<q>\w+) +\| (?P<d>[^|]+?) +\| (?P<o>[^|]+?) +\| (?P<c>\w+) +\| (?P<s>\w+) +\|$", re.MULTILINE)


def fits(cell: str, value: str) -> bool:
    return cell in ("any", "else", "X") or value in cell.split(", ")


def rows() -> list[dict[str, str]]:
    found = [match.groupdict() for match in ROW.finditer(view.__doc__ or "")]
    return [row for row in found if row["q"] != "quarantined"]


def expected(quarantined: bool, desired: Desired, observed: Observed, connection: Connection) -> str:
    for row in rows():
        cells = ((row["q"], "yes" if quarantined else "no"), (row["d"], desired), (row["o"], observed))
        if all(fits(cell, value) for cell, value in cells):
            return connection if row["s"] == "X" else row["s"]
    raise AssertionError("no row fits")


def test_every_combination_has_the_status_of_its_row() -> None:
    """Agent `status` is derived by one pure table from lifecycle and connection."""
    assert len(rows()) == 8
    for combination in itertools.product((False, True), Desired, Observed, Connection):
        assert derive_status(*combination) == expected(*combination), combination


def test_every_row_and_every_status_is_reached() -> None:
    found = {derive_status(*given) for given in itertools.product((False, True), Desired, Observed, Connection)}
    assert found == set(AgentStatus)


def test_times_are_rfc_3339_utc() -> None:
    assert rfc3339(None) is None
    assert rfc3339(WALL_MS + 5) == "2023-11-14T22:13:20.005Z"
    assert rfc3339(0) == "1970-01-01T00:00:00.000Z"


@pytest.mark.parametrize(
    ("observed", "driver", "source"),
    [
        (Observed.RUNNING, "process", "hub"),
        (Observed.EXITED, "process", "driver:process"),
        (Observed.PAUSED, "process", "driver:process"),
        (Observed.EXITED, "", "hub"),
    ],
)
def test_an_agents_state_says_who_said_it(observed: Observed, driver: str, source: str) -> None:
    """Source (who said it)."""
    agent = make_agent(observed=observed, driver=driver)
    assert agent_view(agent, Presence(), queued=0, running=[]).source == source


def test_an_agent_is_shown_with_what_is_known_now() -> None:
    presence = Presence()
    presence.connection, presence.health, presence.health_ms = Connection.STALE, Health(load=2.0), WALL_MS
    agent = make_agent(last_seen_at=WALL_MS - 1_000, capabilities=("gpu",), labels={"k": "v"}, epoch=3)
    shown = agent_view(agent, presence, queued=2, running=["t"])
    assert (shown.status, shown.connection, shown.queued, shown.running) == ("stale", "stale", 2, ["t"])
    assert (shown.health, shown.health_at) == (Health(load=2.0), "2023-11-14T22:13:20.000Z")
    assert (shown.last_seen_at, shown.reason) == ("2023-11-14T22:13:19.000Z", None)
    assert (shown.capabilities, shown.labels, shown.epoch) == (["gpu"], {"k": "v"}, 3)
    presence.last_seen_ms = WALL_MS
    assert agent_view(agent, presence, queued=0, running=[]).last_seen_at == "2023-11-14T22:13:20.000Z"


def test_a_task_is_shown_with_its_own_fields_and_result() -> None:
    task = make_task(
        state=TaskState.FAILED, result=msgspec.Raw(b'{"passed":3}'), error=TaskError("exit_code"), attempt=2
    )
    shown = task_view(task)
    assert (shown.status, shown.attempt, shown.result, shown.terminal) == ("failed", 2, {"passed": 3}, True)
    assert (shown.spec, shown.error) == ({"type": "ping"}, TaskError("exit_code"))
    assert (task_view(make_task()).terminal, task_view(make_task()).result) == (False, None)


def test_a_stored_result_is_read_back_as_it_was() -> None:
    task = make_task(result=msgspec.Raw(b'{"passed":3}'))
    assert msgspec.json.decode(msgspec.json.encode(task), type=type(task)) == task


def test_a_dispatch_is_shown_in_the_order_in_which_it_goes_out() -> None:
    tasks = [make_task(f"d{n}", state=state) for n, state in enumerate((TaskState.SUCCEEDED, TaskState.QUEUED))]
    dispatch = Dispatch(
        id=DispatchId("d"),
        created_at=WALL_MS,
        spec=SPEC,
        rollout=Rollout(canary=1),
        tasks=(tasks[1].id, tasks[0].id, make_task("gone").id),
    )
    shown = dispatch_view(dispatch, tasks)
    assert [member.task_id for member in shown.tasks] == ["d1", "d0"]
    assert (shown.counts, shown.rollout.canary) == ({"queued": 1, "succeeded": 1}, 1)


def test_a_job_is_shown_with_its_result() -> None:
    job = Job(id=JobId("j"), kind="create", started_at=WALL_MS, result=msgspec.Raw(b"[1]"), progress=0.5)
    shown = job_view(job)
    assert (shown.state, shown.result, shown.progress, shown.finished_at) == ("running", [1], 0.5, None)


def test_a_token_is_shown_without_anything_that_opens_a_door() -> None:
    token = Token(
        id=TokenId("k"), kind=TokenKind.JOIN, sha256="5" * 64, created_at=WALL_MS, role=Role.ADMIN, bound="6" * 64
    )
    shown = token_view(token)
    text = msgspec.json.encode(shown).decode()
    assert "5" * 8 not in text
    assert "6" * 8 not in text
    assert (shown.used, shown.role) == (True, None)
    assert token_view(msgspec.structs.replace(token, kind=TokenKind.USER)).role is Role.ADMIN
