"""Fault 23: fuzzed and oversized frames: a typed error or a close, never a traceback in the hub's log; the hub
keeps serving and no task is stuck."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import random
import string
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import structlog.testing
from hypothesis import given
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from runtime import wire
from runtime.wire import AttemptId
from tests.hub.running import PlayedAgent, RunningHub, running_hub

SEEDS = 40
FRAMES_PER_SEED = 40
TOO_LARGE = 1009


@contextlib.contextmanager
def no_traceback(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Nothing that happens inside leaves a traceback in any log."""
    loop = asyncio.get_running_loop()
    unhandled: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: unhandled.append(context))
    with caplog.at_level(logging.INFO), structlog.testing.capture_logs() as events:
        yield
    loop.set_exception_handler(None)
    assert not unhandled, unhandled
    faults = [event for event in events if "exc_info" in event or "traceback" in event]
    assert not faults, faults
    # What HTTP peers break off is told in one line each, whatever the record carries.
    records = [record for record in caplog.records if record.exc_info and record.name != "hub.api.transport"]
    loud = [f"{record.name} {record.levelname}: {record.exc_text}" for record in records]
    assert not loud, loud


@contextlib.asynccontextmanager
async def attacked(caplog: pytest.LogCaptureFixture) -> AsyncIterator[tuple[RunningHub, PlayedAgent, AttemptId]]:
    """A hub with an agent in mid-task that is about to lose its mind, and a check that all is well afterwards."""
    async with running_hub() as hub:
        with no_traceback(caplog):
            async with hub.playing("b") as bystander:
                agent = PlayedAgent(hub.url, "a", await hub.register("a"))
                await agent.connect()
                task_id = await hub.ping()
                attempt = await agent.receive_task()
                await agent.accept(attempt)
                yield hub, agent, attempt
                other = await hub.ping("b")
                await bystander.respond(await bystander.receive_task())
                assert (await hub.ended(other)).status == "succeeded"
                await revive(hub, agent, attempt)
                assert (await hub.ended(task_id)).terminal
                await agent.close()


async def revive(hub: RunningHub, agent: PlayedAgent, attempt: AttemptId) -> None:
    """The agent comes to its senses: nothing that it said before has stuck its task."""
    await agent.close()
    await agent.connect([wire.HeldAttempt(attempt, wire.AttemptState.RUNNING)])
    await agent.respond(attempt)
    await agent.settle()


async def say(agent: PlayedAgent, frame: str | bytes) -> None:
    """Send a frame to a hub that may have had enough; then dial again."""
    try:
        await agent.raw(frame)
    except ConnectionClosed:
        with contextlib.suppress(InvalidHandshake):
            await agent.connect()


def envelope(**changes: Any) -> str:
    fields: dict[str, Any] = {"id": "x", "from": "a", "to": "hub", "type": "health", "timestamp": 1, "payload": {}}
    return json.dumps(fields | changes)


def response(**fields: Any) -> str:
    return envelope(type="response", payload={"status": "succeeded", **fields})


def log(**fields: Any) -> str:
    return envelope(type="log", payload={"data": "x", **fields})


DEEP = "[" * 100_000
HUGE = "9" * 5_000
HAND_MADE: dict[str, str | bytes] = {
    "empty": "",
    "nothing": "null",
    "no json": "hello?",
    "a list": "[]",
    "deep": DEEP,
    "deep in the payload": '{"from":"a","type":"health","payload":' + '{"a":' * 50_000 + "1" + "}" * 50_000 + "}",
    "deep in an unknown field": envelope()[:-1] + ',"more":' + DEEP + "]" * 100_000 + "}",
    "deep in a message": envelope(to="b", type="message")[:-1] + ',"payload":' + DEEP + "]" * 100_000 + "}",
    "not the sender": envelope(**{"from": "b"}),
    "from the hub": envelope(**{"from": "hub", "type": "cancel"}),
    "no type": '{"from":"a"}',
    "unknown type": envelope(type="x" * 1_000),
    "type of the hub": envelope(type="task", payload={"taskId": "t", "attemptId": "t:1"}),
    "second hello": envelope(type="hello", payload={"protocol": {"min": 1, "max": 1}, "instance": "two"}),
    "huge timestamp": envelope().replace('"timestamp": 1', f'"timestamp": {HUGE}'),
    "negative timestamp": envelope(timestamp=-(2**63)),
    "float timestamp": envelope(timestamp=1.5),
    "lone surrogate": '{"from":"a","type":"log","payload":{"data":"\\ud800"}}',
    "lone surrogate as type": '{"from":"a","type":"\\udfff","payload":{}}',
    "nul": envelope(id="\0", type="log", payload={"data": "\0"}),
    "long id": envelope(id="i" * 900_000, type="nope"),
    "long id with escapes": envelope(id="\x01" * 100_000, type="nope"),
    "wrong status": response(status="won"),
    "no attempt": response(),
    "attempt without number": response(attemptId="t"),
    "attempt number zero": response(attemptId="t:0"),
    "attempt number negative": response(attemptId="t:-1"),
    "attempt number huge": response(attemptId=f"t:{HUGE}"),
    "attempt number arabic": response(attemptId="t:\u0661"),
    "attempt is a path": log(attemptId="../../../etc/passwd:1"),
    "attempt has a nul": log(attemptId="t\0:1"),
    "attempt is long": log(attemptId="t" * 100_000 + ":1"),
    "attempt of nobody": response(attemptId="t_none:1", stdout="x" * 900_000),
    "task is a number": response(taskId=5),
    "exit code huge": response(attemptId="t_none:1").replace('"succeeded"', f'"failed", "exitCode": {HUGE}'),
    "times huge": response(attemptId="t_none:1", startedAt=2**70, finishedAt=-(2**70)),
    "offset negative": log(attemptId="t_none:1", offset=-1),
    "offset huge": log(attemptId="t_none:1", offset=2**62),
    "skipped negative": log(attemptId="t_none:1", skipped=-(2**40)),
    "no base64": log(encoding="base64", data="****"),
    "wrong encoding": log(encoding="latin-1"),
    "accepted nothing": envelope(type="accepted"),
    "health of the wrong types": envelope(payload={"cpu": "much", "memory": []}),
    "health not finite": '{"from":"a","type":"health","payload":{"load":1e999}}',
    "shell of nobody": envelope(type="shell", payload={"op": "data", "shellId": "s", "data": "*"}),
    "shell op unknown": envelope(type="shell", payload={"op": "dance", "shellId": "s"}),
    "message to nobody": envelope(type="message", to="nobody"),
    "message to the hub": envelope(type="message", to="hub"),
    "message without policy": envelope(type="message", to="b"),
    "ack of anything": envelope(type="ack", payload={"messages": ["x"] * 10_000, "output": {"t:1": -5}}),
    "error": envelope(type="error", payload={"code": "x" * 10_000}),
    "error of the wrong types": envelope(type="error", payload=5),
    "bye and on": envelope(type="bye"),
    "binary": b"\x00\x01",
    "binary json": envelope().encode(),
}


@pytest.mark.parametrize("name", HAND_MADE)
async def test_hand_made(name: str, caplog: pytest.LogCaptureFixture) -> None:
    async with attacked(caplog) as (_, agent, _attempt):
        for _ in range(3):
            await say(agent, HAND_MADE[name])
        with contextlib.suppress(ConnectionClosed):
            await agent.settle()


@pytest.mark.parametrize("field", ["offset", "skipped"])
@pytest.mark.parametrize("value", [-1, -(2**63), 2**53, 2**63 - 1, 2**70])
async def test_numbers_in_the_output_of_its_own_task(caplog: pytest.LogCaptureFixture, field: str, value: int) -> None:
    async with attacked(caplog) as (_, agent, attempt):
        await say(agent, log(attemptId=attempt, **{field: value}))
        await say(agent, log(attemptId=attempt, offset=0))
        await agent.settle()


async def test_a_frame_beyond_the_limit_closes_the_connection(caplog: pytest.LogCaptureFixture) -> None:
    async with attacked(caplog) as (_, agent, _attempt):
        await agent.raw(envelope(type="log", payload={"data": "x" * wire.MAX_FRAME_BYTES}))
        assert await agent.wait_closed() == TOO_LARGE


async def test_text_that_is_no_utf_8_closes_the_connection(caplog: pytest.LogCaptureFixture) -> None:
    async with attacked(caplog) as (_, agent, _attempt):
        assert agent.socket is not None
        # A text frame, final, masked with zeros, of two bytes that are no UTF-8.
        agent.socket.transport.write(b"\x81\x82\0\0\0\0\xff\xfe")  # pyright: ignore[reportAttributeAccessIssue]
        await agent.wait_closed()


@pytest.mark.parametrize(
    "raw",
    [b"\xff" * 64, b"\x81\xff" + b"\xff" * 8, b"\x89\xff", b"\x83\x80\0\0\0\0", b"\x88\x81\0\0\0\0\x01"],
    ids=["all ones", "endless", "long ping", "reserved opcode", "short close"],
)
async def test_bytes_that_are_no_frames_close_the_connection(caplog: pytest.LogCaptureFixture, raw: bytes) -> None:
    async with attacked(caplog) as (_, agent, _attempt):
        assert agent.socket is not None
        agent.socket.transport.write(raw)  # pyright: ignore[reportAttributeAccessIssue]
        agent.socket.transport.write_eof()  # pyright: ignore[reportAttributeAccessIssue]
        await agent.wait_closed()


async def test_a_peer_that_keeps_talking_nonsense_is_closed(caplog: pytest.LogCaptureFixture) -> None:
    async with attacked(caplog) as (_, agent, _attempt):
        for _ in range(200):
            with contextlib.suppress(ConnectionClosed):
                await agent.raw("nonsense")
        assert await agent.wait_closed() == 4400


HELLOS = {
    "no hello": envelope(),
    "nonsense": "nonsense",
    "no protocol": envelope(type="hello", payload={"instance": "x"}),
    "protocol backwards": envelope(type="hello", payload={"protocol": {"min": 5, "max": 1}, "instance": "x"}),
    "protocol huge": envelope(type="hello", payload={"protocol": {"min": 2**62, "max": 2**62}, "instance": "x"}),
    "words too many": envelope(
        type="hello",
        payload={
            "protocol": {"min": 1, "max": 1},
            "instance": "\0" * 100_000,
            "capabilities": ["c" * 100] * 5_000,
            "concurrency": -5,
        },
    ),
    "attempts absurd": envelope(
        type="hello",
        payload={
            "protocol": {"min": 1, "max": 1},
            "instance": "x",
            "concurrency": 2**62,
            "attempts": [
                {"attemptId": text, "state": "running", "outputOffset": -1}
                for text in (
                    "",
                    ":",
                    "t:0",
                    "t_1:1",
                    "t_1:1",
                    "../x:1",
                    "\0:1",
                    "x" * 10_000 + ":1",
                    *map(str, range(5_000)),
                )
            ],
        },
    ),
}


@pytest.mark.parametrize("name", HELLOS)
async def test_hellos(name: str, caplog: pytest.LogCaptureFixture) -> None:
    async with attacked(caplog) as (hub, _, _attempt):
        other = PlayedAgent(hub.url, "c", await hub.register("c"))
        await other.dial()
        await other.raw(HELLOS[name].replace('"from": "a"', '"from": "c"'))
        with contextlib.suppress(ConnectionClosed):
            await other.settle()
        await other.close()
        await hub.until(lambda: len(hub.kernel.links) == 2)


async def test_a_connection_cut_in_every_phase_of_its_handshake(caplog: pytest.LogCaptureFixture) -> None:
    request = (
        b"GET /agent/a HTTP/1.1\r\nHost: hub\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Protocol: clawtui.v1\r\nAuthorization: Bearer %s\r\n\r\n"
    )
    async with attacked(caplog) as (hub, agent, _attempt):
        whole = request % agent.token.encode()
        for length in [*range(0, len(whole), 37), len(whole)]:
            _, writer = await asyncio.open_connection("127.0.0.1", hub.port)
            writer.write(whole[:length])
            await writer.drain()
            writer.transport.abort()


def garbled(chance: random.Random) -> str | bytes:
    """A frame near enough to a good one to get far: one good frame with something wrong in it."""
    payloads: list[Any] = [{}, [], None, 5, "x", {"attemptId": "t:1"}, {"status": "failed"}, {"data": "y"}]
    frame = envelope(
        type=chance.choice([*wire.FROM_AGENT, *wire.FROM_HUB, "message"]),
        payload=chance.choice(payloads),
        to=chance.choice(["hub", "b", "a", ""]),
    )
    for _ in range(chance.randrange(4)):
        at = chance.randrange(len(frame))
        piece = chance.choice(['"', "{", "}", "\\u0000", "-", HUGE[:40], "\\", chance.choice(string.printable), ""])
        frame = frame[:at] + piece + frame[at + chance.randrange(3) :]
    return frame if chance.random() < 0.95 else frame.encode()


@pytest.mark.parametrize(
    "first", [0, *(pytest.param(n * SEEDS, marks=[pytest.mark.soak, pytest.mark.timeout(600)]) for n in range(1, 20))]
)
async def test_garbled_frames(first: int, caplog: pytest.LogCaptureFixture) -> None:
    async with attacked(caplog) as (_, agent, _attempt):
        for seed in range(first, first + SEEDS):
            chance = random.Random(seed)
            for _ in range(FRAMES_PER_SEED):
                await say(agent, garbled(chance))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(st.binary() | st.text() | JSON.map(json.dumps))
def test_whatever_is_decoded_is_an_envelope_or_a_wire_error(frame: str | bytes) -> None:
    with contextlib.suppress(wire.WireError):
        wire.decode_envelope(frame)


@given(st.sampled_from(sorted(wire.FROM_AGENT)), st.dictionaries(st.sampled_from(sorted(
    {"attemptId", "taskId", "status", "data", "offset", "stdout", "error", "protocol", "instance", "attempts", "result"}
)), JSON))  # fmt: skip
def test_whatever_the_payload_is_a_message_or_a_wire_error(kind: str, payload: dict[str, Any]) -> None:
    with contextlib.suppress(wire.WireError):
        wire.decode_payload(wire.decode_envelope(envelope(type=kind, payload=payload)), wire.FROM_AGENT)
