"""Streams come as they happen, end for a reason the reader learns, and leave nothing running."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from hub.contract import Event, LogEntry, LogQuery, OutputChunk, OutputQuery
from hub.errors import DriverFailed, NotFound, Unavailable
from tests.hub.api.conftest import Served, bearer
from tests.hub.api.scripted import VIEWER, Stream


def lines(answer: httpx.Response) -> list[dict[str, object]]:
    return [json.loads(line) for line in answer.text.splitlines()]


async def test_output_comes_as_one_document_per_line(served: Served, client: httpx.AsyncClient) -> None:
    answer = await client.get("/tasks/t-1/output", params={"offset": "3"})
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    assert [(line["offset"], line["data"], line["end"]) for line in lines(answer)] == [
        (0, "hi\n", False),
        (3, "", True),
    ]
    assert served.control.last == ("task_output", ("t-1", OutputQuery(offset=3)))


async def test_an_empty_stream_is_no_line(served: Served, client: httpx.AsyncClient) -> None:
    served.control.answers["agent_logs"] = Stream(ends=True)
    answer = await client.get("/agents/a-1/logs", params={"since": "10m", "source": "docker"})
    assert (answer.status_code, answer.text) == (200, "")
    assert served.control.last == ("agent_logs", ("a-1", LogQuery(since="10m", source="docker")))


async def test_following_shows_each_line_when_it_happens(served: Served, client: httpx.AsyncClient) -> None:
    stream = served.control.answers["task_output"] = Stream()
    async with asyncio.timeout(30), client.stream("GET", "/tasks/t-1/output?follow=true") as answer:
        assert answer.status_code == 200
        received = answer.aiter_lines()
        for offset in (0, 1):
            stream.give(OutputChunk(offset=offset, data="x"))
            assert json.loads(await anext(received))["offset"] == offset
        stream.end()
        assert [line async for line in received] == []
        await stream.closed.wait()


@pytest.mark.parametrize("follow", ["false", "true"])
@pytest.mark.parametrize(("path", "first"), [("/tasks/t-1/output", "get_task"), ("/agents/a-1/logs", "agent")])
async def test_what_is_not_there_is_a_plain_error(
    path: str, first: str, follow: str, served: Served, client: httpx.AsyncClient
) -> None:
    served.control.answers[first] = NotFound("no such thing")
    answer = await client.get(path, params={"follow": follow})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")


async def test_a_stream_that_fails_at_once_is_a_plain_error(served: Served, client: httpx.AsyncClient) -> None:
    served.control.answers["agent_logs"] = Stream(error=DriverFailed("no engine", hint="start it"))
    answer = await client.get("/agents/a-1/logs")
    assert (answer.status_code, answer.json()["error"]["hint"]) == (502, "start it")


async def test_an_error_in_mid_stream_is_the_last_line(served: Served, client: httpx.AsyncClient) -> None:
    first = LogEntry(text="one", source="docker")
    served.control.answers["agent_logs"] = Stream([first], error=DriverFailed("the engine went away"))
    one, error = lines(await client.get("/agents/a-1/logs"))
    assert one["text"] == "one"
    assert error == {
        "error": {
            "code": "driver_failed",
            "message": "the engine went away",
            "hint": "",
            "retryable": True,
            "field": None,
            "problems": [],
        }
    }


async def test_a_bug_in_mid_stream_is_told_without_its_text(served: Served, client: httpx.AsyncClient) -> None:
    served.control.answers["agent_logs"] = Stream([LogEntry(text="one", source="x")], error=KeyError("secret"))
    answer = await client.get("/agents/a-1/logs")
    assert '"code":"internal"' in answer.text
    assert "secret" not in answer.text


async def test_a_quiet_stream_ends_when_its_reader_leaves(served: Served, client: httpx.AsyncClient) -> None:
    stream = served.control.answers["task_output"] = Stream()
    async with asyncio.timeout(30):
        async with client.stream("GET", "/tasks/t-1/output?follow=true") as answer:
            assert answer.status_code == 200
            assert not stream.closed.is_set()
        await stream.closed.wait()


async def test_a_stopping_hub_says_so_in_the_stream(served: Served, client: httpx.AsyncClient) -> None:
    stream = served.control.answers["task_output"] = Stream([OutputChunk(offset=0, data="x")])
    async with asyncio.timeout(30), client.stream("GET", "/tasks/t-1/output?follow=true") as answer:
        received = answer.aiter_lines()
        await anext(received)
        async with asyncio.TaskGroup() as group:
            group.create_task(served.listeners.stop())
            (last,) = [json.loads(line) async for line in received]
    assert last["error"]["code"] == "stopping"
    assert stream.closed.is_set()


async def test_a_reader_that_leaves_before_the_first_line_ends_the_stream(
    served: Served, client: httpx.AsyncClient
) -> None:
    """Nothing was answered yet, so nothing that is written could tell."""
    stream = served.control.answers["message"] = Stream()
    async with asyncio.timeout(30):
        with pytest.raises(httpx.ReadTimeout):
            await client.post("/messages", json={"to": "main/qa", "text": "hi"}, timeout=httpx.Timeout(0.2))
        await stream.closed.wait()


async def test_a_stopping_hub_says_so_before_the_first_line_too(served: Served, client: httpx.AsyncClient) -> None:
    stream = served.control.answers["message"] = Stream()
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        asking = group.create_task(client.post("/messages", json={"to": "main/qa", "text": "hi"}))
        while not served.control.calls:
            await asyncio.sleep(0.01)
        await served.listeners.stop()
        answer = await asking
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "stopping")
    assert stream.closed.is_set()


# --- the feed ----------------------------------------------------------------------------------


async def test_the_feed_sends_events_as_text_frames(served: Served) -> None:
    stream = served.control.answers["events"] = Stream()
    url = served.websocket_url("/events?since=7")
    async with asyncio.timeout(30), connect(url, additional_headers=bearer(VIEWER), proxy=None) as socket:
        for seq, kind in ((8, "agent"), (9, "gap")):
            stream.give(Event(seq=seq, run="r", kind=kind, id="x"))
            frame = await socket.recv()
            assert isinstance(frame, str)
            assert (json.loads(frame)["seq"], json.loads(frame)["kind"]) == (seq, kind)
    assert served.control.last == ("events", (7,))
    async with asyncio.timeout(30):
        await stream.closed.wait()


async def test_the_feed_closes_when_its_source_ends(served: Served) -> None:
    async with (
        asyncio.timeout(30),
        connect(served.websocket_url("/events"), additional_headers=bearer(VIEWER), proxy=None) as socket,
    ):
        await socket.recv()
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1001


@pytest.mark.parametrize(("error", "code"), [(Unavailable("stopping"), 1001), (KeyError("bug"), 1011)])
async def test_a_feed_that_fails_closes_with_a_fitting_code(error: Exception, code: int, served: Served) -> None:
    served.control.answers["events"] = Stream(error=error)
    async with (
        asyncio.timeout(30),
        connect(served.websocket_url("/events"), additional_headers=bearer(VIEWER), proxy=None) as socket,
    ):
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == code


async def test_a_stopping_hub_closes_the_feed(served: Served) -> None:
    stream = served.control.answers["events"] = Stream()
    async with (
        asyncio.timeout(30),
        connect(served.websocket_url("/events"), additional_headers=bearer(VIEWER), proxy=None) as socket,
    ):
        async with asyncio.TaskGroup() as group:
            group.create_task(served.listeners.stop())
            with pytest.raises(ConnectionClosed) as closed:
                await socket.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1001
    assert stream.closed.is_set()


async def test_an_observer_has_nothing_to_say_at_length(served: Served) -> None:
    served.control.answers["events"] = Stream()
    async with (
        asyncio.timeout(30),
        connect(served.websocket_url("/events"), additional_headers=bearer(VIEWER), proxy=None) as socket,
    ):
        await socket.send("x" * 5000)
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1009


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/events", {}, 401),
        ("/events?since=x", bearer(VIEWER), 400),
        ("/events", bearer(VIEWER) | {"Origin": "https://example.org"}, 403),
        ("/agents/a-1/shell", bearer(VIEWER), 403),
    ],
)
async def test_a_socket_is_refused_in_the_handshake(
    path: str, headers: dict[str, str], status: int, served: Served
) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with connect(served.websocket_url(path), additional_headers=headers, proxy=None):
            pass
    assert refused.value.response.status_code == status
    assert "error" in json.loads(refused.value.response.body)


async def test_a_plain_request_is_told_that_it_needs_a_websocket(client: httpx.AsyncClient) -> None:
    answer = await client.get("/events")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "needs_websocket")
