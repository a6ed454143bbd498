"""Errors in our form, requests in metrics and log, and no secret in either."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs
from websockets.asyncio.client import connect

from hub import errors
from tests.hub.api.conftest import Served
from tests.hub.api.scripted import ADMIN, VIEWER

REFUSED: list[tuple[errors.HubError, int, str | None]] = [
    (errors.BadRequest("x", field="task.type"), 400, None),
    (errors.NotFound("x"), 404, None),
    (errors.Conflict("x", code="idempotency_mismatch", hint="h"), 409, None),
    (errors.TooLarge("x"), 413, None),
    (errors.QueueFull("x", retry_after_seconds=2.1), 429, "3"),
    (errors.QueueFull("x"), 429, "1"),
    (errors.NotAvailable("x"), 501, None),
    (errors.DriverFailed("x"), 502, None),
    (errors.Unavailable("x", retry_after_seconds=0.0), 503, "1"),
    (errors.StorageFull("x"), 507, "1"),
]


@pytest.mark.parametrize(("error", "status", "retry_after"), REFUSED, ids=lambda value: str(value))
async def test_an_error_of_the_hub_is_answered_in_full(
    error: errors.HubError, status: int, retry_after: str | None, served: Served, client: httpx.AsyncClient
) -> None:
    served.control.answers["submit"] = error
    answer = await client.post("/agents/a-1/task", json={"type": "ping"})
    assert answer.status_code == status
    assert answer.headers.get("Retry-After") == retry_after
    assert answer.json() == {
        "error": {
            "code": error.code,
            "message": "x",
            "hint": error.hint,
            "retryable": error.retryable,
            "field": error.field,
            "problems": [],
        }
    }


async def test_a_bug_gets_an_id_that_the_log_has_too_and_tells_nothing(
    served: Served, client: httpx.AsyncClient
) -> None:
    served.control.answers["agents"] = ZeroDivisionError("/home/me/secret.py")
    with capture_logs() as log:
        answer = await client.get("/agents")
    error = answer.json()["error"]
    (entry,) = [entry for entry in log if entry["event"] == "internal_error"]
    assert (answer.status_code, error["code"]) == (500, "internal")
    assert entry["error_id"] in error["message"]
    assert "ZeroDivisionError" in entry["traceback"]
    for told in ("ZeroDivisionError", "secret.py", "Traceback"):
        assert told not in answer.text


def requests_of(served: Served, **labels: str) -> float | None:
    return served.metrics.registry.get_sample_value("clawtui_http_requests_total", labels)


async def test_requests_are_counted_by_template(served: Served, client: httpx.AsyncClient) -> None:
    await client.get("/tasks/t-1")
    await client.get("/tasks/t-2")
    await client.get("/no/such/path")
    await client.request("PURGE", "/no/such/path")
    assert requests_of(served, method="GET", route="/tasks/{task_id}", status="200") == 2
    assert requests_of(served, method="GET", route="unmatched", status="404") == 1
    assert requests_of(served, method="other", route="unmatched", status="404") == 1


async def test_long_polls_do_not_count_as_slow_answers(served: Served, client: httpx.AsyncClient) -> None:
    await client.get("/tasks/t-1?wait=5")
    assert served.metrics.registry.get_sample_value("clawtui_http_request_seconds_count") == 0
    await client.get("/tasks/t-1")
    assert served.metrics.registry.get_sample_value("clawtui_http_request_seconds_count") == 1


async def test_the_log_says_who_called_what_and_never_the_token(served: Served) -> None:
    with capture_logs() as log:
        async with served.client(VIEWER) as client:
            await client.get("/agents/a-1?x=ctu_in_query")
        async with served.client("ctu_wrong_secret") as client:
            await client.get("/agents")
            await client.get("/no/ctu_path_secret")
    requests = [entry for entry in log if entry["event"] == "http_request"]
    assert [(entry["route"], entry["status"], entry["caller"]) for entry in requests] == [
        ("/agents/{agent_id}", 400, "viewer-person"),
        ("/agents", 401, None),
        ("unmatched", 404, None),
    ]
    assert "ctu_" not in json.dumps(log)


async def test_the_token_in_an_agents_path_is_in_no_log_metric_or_refusal(served: Served) -> None:
    assert served.listeners.agents_url is not None
    with capture_logs() as log:
        async with connect(f"{served.listeners.agents_url}/agent/a-1/cta_path_secret", proxy=None) as socket:
            await socket.send("hello")
            assert await socket.recv() == "hello"
        async with httpx.AsyncClient(base_url=served.listeners.agents_url.replace("ws", "http", 1)) as client:
            await client.get("/agent/a-1/cta_path_secret", headers={"Origin": "https://example.org"})
            await client.post("/agent/a-1/cta_path_secret")
        await served.listeners.stop()
    assert "/agent/{id}/{token}" in {entry.get("route") for entry in log}
    everything: list[Any] = [log, served.door.refusals, served.metrics.exposition().decode()]
    assert "cta_path_secret" not in json.dumps(everything)


async def test_what_is_not_http_is_refused_without_its_text_in_the_log(served: Served) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", served.listeners.api_port)
    with capture_logs() as log:
        writer.write(f"GET /agent/a-1/{ADMIN} NONSENSE\r\n\r\n".encode())
        async with asyncio.timeout(30):
            answer = await reader.read()
    writer.close()
    assert answer.startswith(b"HTTP/1.0 400") or answer.startswith(b"HTTP/1.1 400")
    assert b"Traceback" not in answer
    assert [entry["event"] for entry in log] == ["http_peer_fault"]
    assert ADMIN not in json.dumps(log)
