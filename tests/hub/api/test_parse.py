"""Bad bodies and query strings are refused with the place named, whatever is in them."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from hub.api.parse import MAX_DEPTH, parse_body, parse_idempotency_key, parse_query
from hub.contract import AgentQuery, BackupRequest, CreateAgent, LogQuery, PageQuery, TaskQuery
from hub.errors import BadRequest
from tests.hub.api.conftest import Served

FREE = dict[str, Any]


def nested(depth: int) -> bytes:
    """An object that holds `depth` lists in each other."""
    return b'{"type":' + b"[" * depth + b"]" * depth + b"}"


BAD_BODIES: list[tuple[str, Any, bytes, str, str | None]] = [
    ("empty", FREE, b"", "malformed_json", None),
    ("blank", FREE, b" \n", "malformed_json", None),
    ("cut", FREE, b'{"a": ', "malformed_json", None),
    ("two values", FREE, b"{} {}", "malformed_json", None),
    ("not a number", FREE, b'{"a": NaN}', "malformed_json", None),
    ("not UTF-8", FREE, b'{"a": "\xff"}', "malformed_json", None),
    ("a key that is not UTF-8", FREE, b'{"\xff": 1}', "malformed_json", None),
    ("half a surrogate pair", FREE, b'{"a": "\\ud800"}', "malformed_json", None),
    ("a byte order mark", FREE, b"\xef\xbb\xbf{}", "malformed_json", None),
    ("a list", FREE, b"[]", "bad_request", None),
    ("null", FREE, b"null", "bad_request", None),
    ("text", FREE, b'"exec"', "bad_request", None),
    ("a huge number", FREE, b'{"a": 1e999}', "bad_request", "[...]"),
    ("a number of 5000 digits", FREE, b'{"a": ' + b"9" * 5000 + b"}", "bad_request", "[...]"),
    ("deep", FREE, nested(MAX_DEPTH + 1), "too_deep", None),
    ("deep enough to exhaust a stack", FREE, nested(100_000), "too_deep", None),
    ("deep and cut", FREE, b'{"a":' + b"[" * 100_000, "too_deep", None),
    ("an unknown field", CreateAgent, b'{"name": "a", "colour": 1}', "bad_request", "colour"),
    ("a missing field", CreateAgent, b"{}", "bad_request", "name"),
    ("a wrong type", CreateAgent, b'{"name": 1}', "bad_request", "name"),
    ("a wrong type inside", CreateAgent, b'{"name": "a", "resources": {"cpus": "2"}}', "bad_request", "resources.cpus"),
    ("an unknown field inside", CreateAgent, b'{"name":"a","resources":{"gpus":1}}', "bad_request", "resources.gpus"),
    ("a wrong item", CreateAgent, b'{"name": "a", "tmpfs": ["/a", 2]}', "bad_request", "tmpfs[1]"),
    ("a number out of bounds", CreateAgent, b'{"name": "a", "concurrency": 0}', "bad_request", "concurrency"),
]


@pytest.mark.parametrize(("what", "kind", "raw", "code", "field"), BAD_BODIES, ids=[row[0] for row in BAD_BODIES])
def test_a_bad_body_names_the_place(what: str, kind: Any, raw: bytes, code: str, field: str | None) -> None:
    with pytest.raises(BadRequest) as refused:
        parse_body(raw, kind, optional=False)
    assert (refused.value.code, refused.value.field) == (code, field)
    assert "$" not in refused.value.message


def test_nesting_up_to_the_limit_passes() -> None:
    body = nested(MAX_DEPTH - 1)
    assert parse_body(body, FREE, optional=False) == json.loads(body)


def test_many_brackets_are_no_depth() -> None:
    body = json.dumps({"args": [{}] * 500, "text": "[[[[" * 500}).encode()
    assert len(parse_body(body, FREE, optional=False)["args"]) == 500


def test_an_optional_body_may_be_empty() -> None:
    assert parse_body(b"", BackupRequest, optional=True) == BackupRequest()


def test_names_of_values_pass_unharmed() -> None:
    assert parse_body('{"a": "\\u0000 ä 𝄞"}'.encode(), FREE, optional=False) == {"a": "\x00 ä 𝄞"}


@pytest.mark.parametrize(
    ("kind", "pairs", "field"),
    [
        (PageQuery, [("limit", "x")], "limit"),
        (PageQuery, [("limit", "0")], "limit"),
        (PageQuery, [("limit", "-1")], "limit"),
        (PageQuery, [("limit", "9" * 30)], "limit"),
        (PageQuery, [("limit", "9" * 5000)], "limit"),
        (PageQuery, [("limit", "")], "limit"),
        (PageQuery, [("limit", "1"), ("limit", "2")], "limit"),
        (PageQuery, [("colour", "1")], "colour"),
        (AgentQuery, [("status", "happy")], "status"),
        (AgentQuery, [("status", "null")], "status"),
        (LogQuery, [("lines", "null")], "lines"),
        (LogQuery, [("follow", "perhaps")], "follow"),
        (LogQuery, [("lines", "-5")], "lines"),
    ],
)
def test_a_bad_query_names_the_parameter(kind: Any, pairs: list[tuple[str, str]], field: str) -> None:
    with pytest.raises(BadRequest) as refused:
        parse_query(pairs, kind)
    assert refused.value.field == field


def test_a_query_is_converted() -> None:
    assert parse_query([("limit", "7"), ("status", "open")], TaskQuery) == TaskQuery(limit=7, status="open")
    assert parse_query([("follow", "true"), ("lines", "0")], LogQuery) == LogQuery(follow=True, lines=0)
    assert parse_query([("label", "null")], AgentQuery) == AgentQuery(label="null")


@pytest.mark.parametrize("key", ["", "x" * 201, "ä", "a\tb", "a\x7f"])
def test_a_bad_idempotency_key_is_refused(key: str) -> None:
    with pytest.raises(BadRequest) as refused:
        parse_idempotency_key({"Idempotency-Key": key})
    assert refused.value.field == "Idempotency-Key"


def test_an_idempotency_key_is_optional() -> None:
    assert parse_idempotency_key({}) is None
    assert parse_idempotency_key({"Idempotency-Key": "x" * 200}) == "x" * 200


# --- the same over HTTP ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "code"), [pytest.param(raw, code, id=what) for what, kind, raw, code, _ in BAD_BODIES if kind is FREE]
)
async def test_bad_bodies_over_http(raw: bytes, code: str, served: Served, client: httpx.AsyncClient) -> None:
    answer = await client.post("/agents/a-1/task", content=raw)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)
    assert served.control.calls == []


async def test_a_submission_over_the_limit_is_413_and_one_at_the_limit_passes(
    served: Served, client: httpx.AsyncClient
) -> None:
    frame = len(b'{"type":"exec","command":""}')
    limit = 448 * 1024
    for size, status in ((limit, 202), (limit + 1, 413), (1024 * 1024 + 1, 413)):
        body = b'{"type":"exec","command":"' + b"x" * (size - frame) + b'"}'
        assert len(body) == size
        assert (await client.post("/agents/a-1/task", content=body)).status_code == status


async def test_a_dispatch_bounds_the_task_and_not_the_list_of_agents(served: Served, client: httpx.AsyncClient) -> None:
    agents = [f"agent-{number:033}" for number in range(10_000)]
    assert (await client.post("/tasks", json={"task": {"type": "ping"}, "agents": agents})).status_code == 202
    task = {"type": "exec", "command": "x" * 448 * 1024}
    answer = await client.post("/tasks", json={"task": task, "agents": ["a-1"]})
    assert (answer.status_code, answer.json()["error"]["field"]) == (413, "task")


async def test_a_body_without_a_length_is_bounded_too(served: Served, client: httpx.AsyncClient) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b" " * 32 * 1024

    answer = await client.post("/tokens", content=pieces())
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")


async def test_a_packed_body_is_bounded_by_what_it_unpacks_to(served: Served, client: httpx.AsyncClient) -> None:
    packed = gzip.compress(b" " * 8_000_000)
    answer = await client.post("/tokens", content=packed, headers={"Content-Encoding": "gzip"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")


async def test_a_body_that_is_not_packed_as_it_says_is_refused(served: Served, client: httpx.AsyncClient) -> None:
    answer = await client.post("/tokens", content=b"{}", headers={"Content-Encoding": "gzip"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "malformed_body")


@pytest.mark.parametrize("query", ["?colour=1", "?limit=x", "?limit=1&limit=2", "?%ff=1", "?limit=%00"])
async def test_bad_queries_over_http(query: str, client: httpx.AsyncClient) -> None:
    answer = await client.get(f"/tasks{query}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_request")


@pytest.mark.parametrize("wait", ["-1", "nan", "inf", "301", "x"])
async def test_a_long_poll_is_bounded(wait: str, client: httpx.AsyncClient) -> None:
    answer = await client.get(f"/tasks/t-1?wait={wait}")
    assert (answer.status_code, answer.json()["error"]["field"]) == (400, "wait")
