"""Repeating calls over a hub's absence, and what failures mean."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import httpx
import pytest

from clawtui.errors import ConnectionLost, NoHub, UsageError
from clawtui.httpx_wire import HttpxWire
from clawtui.settings import Settings
from clawtui.transport import Transport, decoded, error_from
from hub.contract import AgentView
from hub.errors import Forbidden, HubError, StorageFull, Unavailable

Handler = Callable[[httpx.Request], httpx.Response]
REFUSED = httpx.ConnectError("refused")
LOST = httpx.ReadError("gone")


class Hub:
    """Answers with what it is given, in order; an exception stands for what the network does."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []
        self.pauses: list[float] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)

    def transport(self, **settings: object) -> Transport:
        pause: Callable[[float], Awaitable[None]] = self.pause
        return Transport(
            Settings(hub="http://hub.example:9091", token="ctu_x", **settings),  # pyright: ignore[reportArgumentType]
            make_wire=lambda address, settings: HttpxWire(address, settings, httpx.MockTransport(self)),
            pause=pause,
        )


def ok(body: bytes = b"{}") -> httpx.Response:
    return httpx.Response(200, content=body)


async def test_a_hub_that_never_answered_is_not_waited_for() -> None:
    hub = Hub(REFUSED)
    with pytest.raises(NoHub, match="refused") as raised:
        await hub.transport().call("GET", "/agents")
    assert "clawtui --serve" in raised.value.hint
    assert hub.pauses == []


async def test_a_submission_is_repeated_with_its_key_while_the_hub_restarts() -> None:
    hub = Hub(LOST, REFUSED, REFUSED, ok(b'{"a":1}'))
    answer = await hub.transport().call("POST", "/agents/a/task", body={"type": "ping"}, key="k-1")
    assert answer == b'{"a":1}'
    assert [request.headers["Idempotency-Key"] for request in hub.requests] == ["k-1"] * 4
    assert len({request.content for request in hub.requests}) == 1
    assert len(hub.pauses) == 3
    assert hub.pauses[-1] <= 0.4


async def test_what_may_not_happen_twice_is_not_repeated() -> None:
    hub = Hub(LOST)
    with pytest.raises(ConnectionLost):
        await hub.transport().call("POST", "/agents", body={})
    assert len(hub.requests) == 1


async def test_a_read_is_repeated_when_the_hub_was_there_before() -> None:
    hub = Hub(ok(), REFUSED, ok(b"2"))
    transport = hub.transport()
    await transport.call("GET", "/agents")
    assert await transport.call("GET", "/agents") == b"2"


async def test_patience_ends() -> None:
    hub = Hub(LOST, REFUSED, REFUSED)
    with pytest.raises(ConnectionLost):
        await hub.transport(hub_return_seconds=0.0).call("GET", "/agents")


async def test_an_error_of_the_hub_is_not_repeated() -> None:
    body = b'{"error":{"code":"storage_full","message":"full","hint":"h","retryable":true,"field":"f"}}'
    hub = Hub(httpx.Response(507, content=body, headers={"Retry-After": "3"}))
    with pytest.raises(StorageFull, match="full") as raised:
        await hub.transport().call("POST", "/agents/a/task", body={}, key="k")
    error = raised.value
    assert (error.hint, error.field, error.retryable, error.retry_after_seconds) == ("h", "f", True, 3.0)
    assert len(hub.requests) == 1


async def test_slowness_is_told_apart_from_absence() -> None:
    hub = Hub(httpx.ReadTimeout("slow"))
    with pytest.raises(Unavailable, match="in time") as raised:
        await hub.transport().call("GET", "/agents")
    assert not isinstance(raised.value, NoHub)


async def test_the_token_is_sent_and_unset_parameters_are_not() -> None:
    hub = Hub(ok())
    await hub.transport().call("GET", "/agents", params={"status": None, "follow": True, "label": "a=b&c"})
    assert hub.requests[0].headers["Authorization"] == "Bearer ctu_x"
    assert dict(hub.requests[0].url.params) == {"follow": "true", "label": "a=b&c"}


async def test_lines_are_split_at_line_feeds_only_wherever_pieces_end() -> None:
    async def body() -> AsyncIterator[bytes]:
        for piece in (b'{"a":"\xe2\x80', b'\xa8"}\n\n{"b"', b":1}\n", b"3"):
            yield piece

    hub = Hub(httpx.Response(200, content=body()))
    assert [line async for line in hub.transport().lines("/x")] == [b'{"a":"\xe2\x80\xa8"}', b'{"b":1}', b"3"]


async def test_a_stream_that_is_refused_says_why() -> None:
    hub = Hub(httpx.Response(403, content=b'{"error":{"code":"forbidden","message":"no"}}'))
    with pytest.raises(Forbidden, match="no"):
        [line async for line in hub.transport().lines("/x")]


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"error":1}', b"\xff", b'{"error":{}}'])
def test_an_answer_that_is_not_the_hubs_keeps_its_status(body: bytes) -> None:
    error = error_from(503, body)
    assert isinstance(error, Unavailable)
    assert "503" in error.message
    assert type(error_from(418, body)) is HubError


def test_an_answer_of_another_version_is_an_error_with_a_hint() -> None:
    with pytest.raises(HubError, match="cannot be understood") as raised:
        decoded(b'{"id": 1}', AgentView)
    assert "version" in raised.value.hint


async def test_certificates_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    transport = Transport(Settings(hub="https://hub.example", ca_file=tmp_path / "none.pem"))
    with pytest.raises(UsageError, match=r"none\.pem"):
        await transport.call("GET", "/health")
