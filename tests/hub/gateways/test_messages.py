"""Messages through a running hub to a gateway over real HTTP: the answer, its turn, and every way to fail."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from hub.config import Openclaw
from hub.contract import AddGateway, MessageChunk, PageQuery, SendMessage
from hub.errors import BadRequest, Conflict, DriverFailed, HubError, NotAvailable, NotFound, QueueFull, Unavailable
from hub.gateways.turns import MOST_IN_SESSION
from tests.end_to_end.harness import eventually
from tests.hub.gateways.fake_gateway import INTERNAL, Condition, FakeGateway, Turn, failed, refused
from tests.hub.running import RunningHub, running_hub

TOKEN = "gateway-token"


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text(TOKEN)
    file.chmod(0o600)
    return file


@contextlib.asynccontextmanager
async def together(token_file: Path) -> AsyncIterator[tuple[RunningHub, FakeGateway]]:
    """A hub that knows one gateway, `main`."""
    async with FakeGateway(token=TOKEN).serving() as gateway, running_hub() as hub:
        await hub.control.add_gateway(AddGateway(name="main", url=gateway.url, token_file=str(token_file)))
        yield hub, gateway


async def said(hub: RunningHub, text: str = "hi", to: str = "main/engineer", **more: Any) -> list[MessageChunk]:
    return [chunk async for chunk in hub.control.message(SendMessage(to=to, text=text, **more))]


async def failure(hub: RunningHub, **more: Any) -> HubError:
    with pytest.raises(HubError) as caught:
        await said(hub, **more)
    return caught.value


async def sent(hub: RunningHub) -> list[tuple[str, str, str]]:
    await hub.kernel.settle()
    entries = (await hub.control.audit(PageQuery())).audit
    return [(one.target, one.outcome, one.detail) for one in entries if one.what == "message.send"]


async def test_an_answer_comes_in_pieces_and_ends_with_what_it_took(token_file: Path) -> None:
    async with together(token_file) as (hub, gateway):
        first, *pieces, last = await said(hub, session="Acct1")

        assert (first.text, first.end) == ("", False)
        assert [piece.text for piece in pieces] == ["Hello", " there"]
        assert last == MessageChunk(
            end=True, status="completed", response_id="resp_1", session_key="agent:engineer:acct1",
            usage={"input_tokens": 11, "output_tokens": 7, "total_tokens": 18},
        )  # fmt: skip
        (call,) = gateway.calls
        assert (call.model, call.key, call.text, call.stream) == (
            "openclaw:engineer", "agent:engineer:acct1", "hi", True,
        )  # fmt: skip


async def test_the_audit_says_that_something_was_said_and_not_what(token_file: Path) -> None:
    async with together(token_file) as (hub, gateway):
        await said(hub, text="the launch code is 0000")
        gateway.turns = [failed(401, "authentication_error", "key")]
        await failure(hub, text="the launch code is 0000")

        assert await sent(hub) == [
            ("main/engineer", "failed", "provider_refused"),
            ("main/engineer", "ok", "agent:engineer:clawtui"),
            ("main/engineer", "ok", "agent:engineer:clawtui"),
        ]
        for path in hub.folder.rglob("*"):
            assert not path.is_file() or b"launch code" not in path.read_bytes()
        text = hub.kernel.metrics.exposition().decode()
        assert 'clawtui_persona_messages_total{outcome="completed"} 1.0' in text
        assert 'clawtui_persona_messages_total{outcome="failed"} 1.0' in text


BEFORE = [
    (failed(401, "authentication_error", "bad key"), DriverFailed, "provider_refused"),
    (failed(502, "api_error", "upstream provider error"), DriverFailed, "provider_failed"),
    (failed(400, "invalid_request_error", "Unknown model: nope/none"), DriverFailed, "unknown_model"),
    (failed(503, "service_unavailable", "gateway is draining"), Unavailable, "gateway_not_ready"),
    (failed(418, "odd", "a teapot"), DriverFailed, "message_failed"),
    (refused(401, "unauthorized", "Unauthorized"), DriverFailed, "gateway_refused"),
    (refused(401, "authentication_error", "bad key"), DriverFailed, "provider_refused"),
    (refused(403, "proxy_attribution_required", "untrusted"), DriverFailed, "gateway_proxy"),
    (refused(403, "forbidden", "no"), DriverFailed, "gateway_refused"),
    (refused(400, "invalid_request_error", "Unknown agent 'engineer'."), NotFound, "unknown_persona"),
    (refused(400, "invalid_request_error", "Unknown model: x"), DriverFailed, "unknown_model"),
    (refused(400, "invalid_request_error", "input is required"), BadRequest, "message_refused"),
    (refused(429, "rate_limit", "slow down"), QueueFull, "gateway_busy"),
    (refused(502, "api_error", "upstream provider error"), DriverFailed, "provider_failed"),
    (refused(503, "service_unavailable", "draining"), Unavailable, "gateway_not_ready"),
    (Turn(status=404, body=b"Not Found", content_type="text/plain"), NotAvailable, "responses_disabled"),
    (Turn(status=502, body=b"<html>Bad Gateway", content_type="text/html"), Unavailable, "gateway_down"),
    (Turn(status=504, body=b"<html>", content_type="text/html"), Unavailable, "gateway_down"),
    (Turn(status=418, body=b"?", content_type="text/plain"), DriverFailed, "gateway_odd_answer"),
]


@pytest.mark.parametrize(("turn", "kind", "code"), BEFORE, ids=lambda value: getattr(value, "code", None))
async def test_what_fails_before_the_stream_is_raised_with_its_own_code(
    token_file: Path, turn: Turn, kind: type[HubError], code: str
) -> None:
    async with together(token_file) as (hub, gateway):
        gateway.turns = [turn]
        error = await failure(hub)

        assert (type(error), error.code) == (kind, code)
        assert error.hint or code == "message_refused"
        assert len(gateway.calls) == 1, "it was not asked again"
        assert (await said(hub))[-1].status == "completed", "and the next one is answered"


@pytest.mark.parametrize(
    ("turn", "code", "text"),
    [
        (Turn(end="failed", error={"code": "api_error", "message": "internal error"}), "gateway_internal",
         "Hello there"),
        (Turn(end="failed", error={"code": "authentication_error", "message": "k"}, pieces=()), "provider_refused", ""),
        (Turn(end="failed", error={"code": "api_error", "message": "upstream provider error"}), "provider_failed",
         "Hello there"),
        (Turn(end="failed", error={"code": "x", "message": "tool broke"}), "message_failed", "Hello there"),
        (Turn(end="failed"), "message_failed", "Hello there"),
        (Turn(end=None), "stream_cut", "Hello there"),
        (Turn(end=None, pieces=()), "stream_cut", ""),
        (Turn(end=None, abort=True), "stream_cut", "Hello there"),
        (Turn(raw=b"data: [DONE]\n\n"), "stream_cut", ""),
        (Turn(raw=b"data: nonsense\n\n"), "gateway_odd_answer", ""),
        (Turn(raw=b"data: [1]\n\n"), "gateway_odd_answer", ""),
        (Turn(raw=b'event: error\ndata: {"type":"error","error":{"message":"tool broke"}}\n\n'), "message_failed", ""),
    ],
)  # fmt: skip
async def test_what_fails_in_the_stream_is_its_last_chunk(token_file: Path, turn: Turn, code: str, text: str) -> None:
    async with together(token_file) as (hub, gateway):
        gateway.turns = [turn]
        chunks = await said(hub)

        last = chunks[-1]
        assert (last.end, last.status) == (True, "failed")
        assert last.error is not None
        assert last.error.code == code
        assert last.error.hint
        assert "".join(chunk.text for chunk in chunks) == text
        assert len(gateway.calls) == 1
        assert (await sent(hub))[0] == ("main/engineer", "failed", code)


async def test_an_answer_that_stops_early_is_said_to_be_incomplete(token_file: Path) -> None:
    async with together(token_file) as (hub, gateway):
        gateway.turns = [Turn(end="incomplete", reason="max_output_tokens")]
        last = (await said(hub))[-1]

        assert last.status == "incomplete"
        assert last.error is not None
        assert last.error.code == "message_incomplete"
        assert "max_output_tokens" in last.error.message


async def test_a_whole_answer_instead_of_a_stream_is_one_too(token_file: Path) -> None:
    async with together(token_file) as (hub, gateway):
        gateway.turns = [Turn(whole=True), Turn(whole=True, end="failed", error={"code": "x", "message": "broke"})]
        chunks = await said(hub)
        assert [chunk.text for chunk in chunks] == ["Hello there", ""]
        assert chunks[-1].status == "completed"
        assert (await said(hub))[-1].status == "failed"


async def test_a_stream_without_pieces_still_has_its_text(token_file: Path) -> None:
    message = {"type": "message", "content": [{"type": "output_text", "text": "all at once"}]}
    completed = {"id": "resp_9", "status": "completed", "output": [message, {"type": "function_call"}]}
    raw = b"data: " + msgspec.json.encode({"type": "response.completed", "response": completed}) + b"\n\n"
    async with together(token_file) as (hub, gateway):
        # Without [DONE] too: the end of the answer was told.
        gateway.turns = [Turn(raw=raw)]
        chunks = await said(hub)
        assert "".join(chunk.text for chunk in chunks) == "all at once"
        assert (chunks[-1].status, chunks[-1].response_id) == ("completed", "resp_9")


STREAMED_INTERNAL = Turn(end="failed", pieces=(), error={"code": "api_error", "message": "internal error"})


@pytest.mark.parametrize("race", [INTERNAL, refused(500, "api_error", "internal error"), STREAMED_INTERNAL])
async def test_a_lost_race_for_a_new_session_is_tried_once_more(token_file: Path, race: Turn) -> None:
    async with together(token_file) as (hub, gateway):
        gateway.turns = [race]
        chunks = await said(hub)
        assert "".join(chunk.text for chunk in chunks) == "Hello there"
        assert len(gateway.calls) == 2

        gateway.turns = [race, race]
        if race.status == 200:
            error = (await said(hub))[-1].error
            assert error is not None
            assert error.code == "gateway_internal"
        else:
            error = await failure(hub)
            assert error.code == "gateway_internal"
        assert "provider refused its key" in error.hint
        assert len(gateway.calls) == 4


async def test_what_an_agent_has_worked_at_is_not_done_twice(token_file: Path) -> None:
    async with together(token_file) as (hub, gateway):
        worked = Turn(end="failed", pieces=(), worked=True, error={"code": "api_error", "message": "internal error"})
        gateway.turns = [worked]
        assert (await said(hub))[-1].status == "failed"
        assert len(gateway.calls) == 1


async def test_the_conditions_of_the_gateway(token_file: Path) -> None:
    async with together(token_file) as (hub, gateway):
        gateway.condition = Condition.DRAINING
        assert (await failure(hub)).code == "gateway_not_ready"
        gateway.condition = Condition.PROXY
        assert (await failure(hub)).code == "gateway_proxy"
        gateway.condition = Condition.PAGES
        assert (await failure(hub)).code == "gateway_odd_answer"
        gateway.condition = Condition.ENDLESS
        assert (await failure(hub)).code == "stream_cut"
        gateway.condition = Condition.READY
        gateway.responses_enabled = False
        error = await failure(hub)
        assert error.code == "responses_disabled"
        assert "gateway.http.endpoints.responses.enabled" in error.hint
        gateway.responses_enabled = True
        gateway.token = "changed"
        assert (await failure(hub)).code == "gateway_refused"
        await gateway.stop()
        error = await failure(hub)
        assert (error.code, error.retryable) == ("gateway_down", True)
        assert "Connection refused" in error.message


async def test_who_is_not_in_the_roster_is_named_with_those_that_are(token_file: Path) -> None:
    async with together(token_file) as (hub, gateway):
        error = await failure(hub, to="main/writer")
        assert (type(error), error.code) == (NotFound, "unknown_persona")
        assert error.hint == "there is engineer, qa"
        assert gateway.calls == []
        # One that was added a moment ago is found by a second look.
        gateway.roster.append("writer")
        assert (await said(hub, to="main/writer"))[-1].status == "completed"


async def test_what_cannot_be_sent(token_file: Path) -> None:
    async with together(token_file) as (hub, gateway):
        for more, field in (({"text": " \n"}, "text"), ({"to": "engineer"}, "to"), ({"session": "a b"}, "session")):
            error = await failure(hub, **more)
            assert (type(error), error.field) == (BadRequest, field)
        assert (await failure(hub, session="cron:x")).code == "refused_session"
        assert (await failure(hub, to="other/engineer")).code == "unknown_gateway"
        token_file.unlink()
        error = await failure(hub)
        assert (type(error), error.code) == (DriverFailed, "token_file")
        assert gateway.calls == []
        assert await sent(hub) == []


async def test_a_gateway_without_an_address_is_not_called() -> None:
    async with running_hub(openclaw=Openclaw(profile_sync=True)) as hub:
        error = await failure(hub, to="openclaw/engineer")
        assert (type(error), error.code) == (Conflict, "no_address")


async def test_one_at_a_time_in_a_session_and_others_beside(token_file: Path) -> None:
    async with together(token_file) as (hub, gateway), asyncio.TaskGroup() as group:
        hold = asyncio.Event()
        gateway.turns = [Turn(hold=hold)]
        first = group.create_task(said(hub, "1"))

        async def asked() -> bool:
            return bool(gateway.calls)

        await eventually(asked)
        later = [group.create_task(said(hub, str(number))) for number in range(2, 6)]
        assert (await said(hub, "beside", session="other"))[-1].status == "completed"
        assert (await said(hub, "beside", to="main/qa"))[-1].status == "completed"
        assert not first.done()
        hold.set()
        for task in (first, *later):
            assert (await task)[-1].status == "completed"
        assert [call.text for call in gateway.calls if call.text != "beside"] == ["1", "2", "3", "4", "5"]
        assert gateway.most_at_once["agent:engineer:clawtui"] == 1


async def test_too_many_in_a_session_are_refused(token_file: Path) -> None:
    async with together(token_file) as (hub, gateway), asyncio.TaskGroup() as group:
        hold = asyncio.Event()
        gateway.turns = [Turn(hold=hold)]
        tasks = [group.create_task(said(hub)) for _ in range(MOST_IN_SESSION)]

        async def all_there() -> bool:
            return hub.hub.gateways.messenger.open == MOST_IN_SESSION

        await eventually(all_there)
        error = await failure(hub)
        assert (type(error), error.code) == (QueueFull, "session_busy")
        hold.set()
        for task in tasks:
            assert (await task)[-1].status == "completed"


async def test_time_is_over_before_its_turn_in_its_run_and_in_its_stream(token_file: Path) -> None:
    async with together(token_file) as (hub, gateway), asyncio.TaskGroup() as group:
        hold = asyncio.Event()
        gateway.turns = [Turn(hold=hold), Turn(before=asyncio.Event()), Turn(hold=asyncio.Event())]
        first = group.create_task(said(hub))

        async def asked() -> bool:
            return bool(gateway.calls)

        await eventually(asked)
        waited = await failure(hub, timeout_seconds=1)
        assert waited.code == "message_timeout"
        assert "was not sent" in waited.message
        hold.set()
        await first

        silent = await failure(hub, timeout_seconds=1)
        assert silent.code == "message_timeout"
        assert "was cancelled" in silent.message
        slow = await said(hub, timeout_seconds=1)
        assert slow[-1].error is not None
        assert slow[-1].error.code == "message_timeout"
        assert "".join(chunk.text for chunk in slow) == "Hello"

        async def all_left() -> bool:
            return gateway.left == 2 and gateway.at_once == 0

        await eventually(all_left)


async def test_whoever_leaves_cancels_the_run(token_file: Path) -> None:
    async with together(token_file) as (hub, gateway):
        gateway.turns = [Turn(hold=asyncio.Event())]
        chunks = hub.control.message(SendMessage(to="main/engineer", text="hi"))
        async with contextlib.aclosing(chunks) as answer:  # pyright: ignore[reportArgumentType]
            async for chunk in answer:
                if chunk.text:
                    break

        async def left() -> bool:
            return gateway.left == 1

        await eventually(left)
        assert (await sent(hub))[0] == ("main/engineer", "failed", "whoever asked left")
        assert (await said(hub))[-1].status == "completed"


def api(hub: RunningHub) -> httpx.AsyncClient:
    token = (hub.folder / "token").read_text().strip()
    transport = httpx.AsyncHTTPTransport(uds=str(hub.folder / "hub.sock"), verify=False)
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.AsyncClient(base_url="http://hub", transport=transport, headers=headers, timeout=20.0)


async def test_over_http_an_answer_is_lines_and_an_error_has_its_status(token_file: Path) -> None:
    async with together(token_file) as (hub, gateway), api(hub) as client:
        answer = await client.post("/messages", json={"to": "main/engineer", "text": "hi"})
        assert answer.status_code == 200
        assert answer.headers["Content-Type"] == "application/x-ndjson"
        lines = [msgspec.json.decode(line, type=MessageChunk) for line in answer.text.splitlines()]
        assert "".join(line.text for line in lines) == "Hello there"
        assert lines[-1].end

        for turn, kind, code in BEFORE:
            gateway.turns = [turn]
            answer = await client.post("/messages", json={"to": "main/engineer", "text": "hi"})
            assert (answer.status_code, answer.json()["error"]["code"]) == (kind.status, code)
        assert (await client.post("/messages", json={"to": "main/nobody", "text": "hi"})).status_code == 404
        assert (await client.post("/messages", json={"to": "main/qa", "text": ""})).status_code == 400


@pytest.mark.parametrize("where", ["before", "hold"])
async def test_a_client_that_hangs_up_cancels_the_run_at_the_gateway(token_file: Path, where: str) -> None:
    """Also before the first word: nothing was answered then."""
    async with together(token_file) as (hub, gateway), api(hub) as client:
        gateway.turns = [Turn(before=asyncio.Event()) if where == "before" else Turn(hold=asyncio.Event())]
        body = {"to": "main/engineer", "text": "hi"}
        with contextlib.suppress(httpx.ReadTimeout):
            async with client.stream("POST", "/messages", json=body, timeout=httpx.Timeout(0.5)) as answer:
                async for line in answer.aiter_lines():
                    if "Hello" in line:
                        break

        async def left() -> bool:
            return gateway.left == 1 and gateway.at_once == 0

        await eventually(left)
