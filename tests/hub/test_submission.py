"""Submissions: from JSON to a task record, with the place of every mistake."""

from __future__ import annotations

import contextlib
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.model import Agent, AgentId, AgentUid, DispatchId, Now, RetryOn, TaskId
from hub.errors import BadRequest, TooLarge
from hub.submission import check_labels, parse_submission
from runtime.wire import DEFAULT_TIMEOUT_MS, OnDisconnect

AGENT = Agent(id=AgentId("a"), uid=AgentUid("u"), created_at=0)
NOW = Now(1_000, 5.0)


def test_a_task_gets_its_fields_options_and_defaults() -> None:
    body = {
        "type": "exec",
        "command": "true",
        "expiresInMs": 10,
        "priority": -3,
        "maxAttempts": 4,
        "retryOn": ["lost", "interrupted"],
        "onDisconnect": "stop",
        "labels": {"a": "b"},
    }
    task = parse_submission(body).task(TaskId("t"), AGENT, NOW, "me", dispatch_id=DispatchId("d"), retry_of=TaskId("o"))
    assert (task.type, task.agent_uid, task.created_at, task.expires_at, task.by) == ("exec", "u", 1_000, 1_010, "me")
    assert (task.priority, task.max_attempts, task.timeout_ms) == (-3, 4, DEFAULT_TIMEOUT_MS)
    assert task.retry_on == {RetryOn.LOST, RetryOn.INTERRUPTED}
    assert (task.on_disconnect, task.labels) == (OnDisconnect.STOP, {"a": "b"})
    assert (task.dispatch_id, task.retry_of) == ("d", "o")
    assert msgspec.json.decode(task.spec) == {"type": "exec", "command": "true"}


@pytest.mark.parametrize(
    ("given_", "timeout_ms"), [({"timeout": 5}, 5), ({"timeoutMs": 6}, 6), ({"timeout": 7, "timeoutMs": 7}, 7)]
)
def test_timeout_is_an_alias(given_: dict[str, Any], timeout_ms: int) -> None:
    task = parse_submission({"type": "ping", **given_}).task(TaskId("t"), AGENT, NOW, "")
    assert task.timeout_ms == timeout_ms


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "type"),
        ({"type": 5}, "type"),
        ({"type": "dance"}, "type"),
        ({"type": "exec"}, None),
        ({"type": "exec", "command": 5}, "command"),
        ({"type": "exec", "command": "x", "env": {"A": 1}}, "env[...]"),
        ({"type": "ping", "command": "x"}, "command"),
        ({"type": "ping", "attemptId": "t:1"}, "attemptId"),
        ({"type": "ping", "taskId": "t"}, "taskId"),
        ({"type": "ping", "priority": "high"}, "priority"),
        ({"type": "ping", "priority": 10**7}, "priority"),
        ({"type": "ping", "maxAttempts": 0}, "maxAttempts"),
        ({"type": "ping", "timeout": 1, "timeoutMs": 2}, "timeoutMs"),
        ({"type": "ping", "timeoutMs": 0}, "timeoutMs"),
        ({"type": "ping", "timeoutMs": 10**12}, "timeoutMs"),
        ({"type": "ping", "expiresInMs": -1}, "expiresInMs"),
        ({"type": "ping", "retryOn": ["sometimes"]}, "retryOn[0]"),
        ({"type": "ping", "labels": {"": "x"}}, "labels"),
        ({"type": "ping", "labels": {str(n): "" for n in range(65)}}, "labels"),
        ({"type": "ping", "labels": {"x": "y" * 257}}, "labels"),
    ],
)
def test_each_mistake_is_named(body: dict[str, Any], field: str | None) -> None:
    with pytest.raises(BadRequest) as refused:
        parse_submission(body)
    assert refused.value.field == field


def test_size_is_measured_after_encoding() -> None:
    parse_submission({"type": "exec", "command": "x" * 440_000})
    with pytest.raises(TooLarge) as refused:
        parse_submission({"type": "exec", "command": "\x01" * 100_000})
    assert refused.value.hint


def test_labels_at_the_bound_are_fine() -> None:
    check_labels({str(n): "y" * 256 for n in range(64)})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from(["type", "command", "env", "timeout", "timeoutMs", "labels", "retryOn", "priority", "args"])


@given(st.dictionaries(NAMES, JSON), st.sampled_from(["exec", "script", "ping", "file:write", "git:clone"]))
def test_any_body_is_a_task_or_the_callers_mistake(body: dict[str, Any], kind: str) -> None:
    with contextlib.suppress(BadRequest, TooLarge):
        parse_submission(body | {"type": kind})
