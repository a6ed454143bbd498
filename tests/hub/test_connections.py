"""Connections: the outbox and its bounds, the table of links, and the handshake at the socket."""

from __future__ import annotations

import asyncio

import pytest
from websockets.exceptions import InvalidStatus

from hub.config import Timing
from hub.connections.outbox import (
    ACK_ENTRIES,
    BURST_FACTOR,
    MAX_ACK_ENTRIES,
    PATIENCE_SECONDS,
    Control,
    Outbox,
    OutboxFull,
)
from hub.connections.server import MAX_ERRORS
from hub.core.model import AgentId
from runtime import wire
from runtime.wire import Ack, AttemptId, Error, Goaway, GoawayReason, Welcome
from tests.hub.running import PlayedAgent, running_hub

# --- outbox


def test_frames_come_out_in_order_and_their_bytes_are_given_back() -> None:
    outbox = Outbox(10, 100)
    for text in ("one", "two"):
        outbox.put(text, 0.0)
    outbox.put(Control("ping", b"xy"), 0.0)
    assert [outbox.take(), outbox.take(), outbox.take(), outbox.take()] == ["one", "two", Control("ping", b"xy"), None]
    outbox.put("x" * 100, 0.0)


@pytest.mark.parametrize("frame", ["", "x" * 60])
def test_what_waits_too_long_beyond_the_bound_is_too_much(frame: str) -> None:
    outbox = Outbox(2, 100)
    for now in (0.0, 1.0, 5.0, PATIENCE_SECONDS):
        outbox.put(frame, now)
    outbox.put(frame, PATIENCE_SECONDS)
    with pytest.raises(OutboxFull):
        outbox.put(frame, 5.0 + 2 * PATIENCE_SECONDS)


def test_a_reader_that_catches_up_starts_afresh() -> None:
    outbox = Outbox(2, 100)
    for _ in range(10):
        outbox.put("x", 0.0)
    while outbox.take() is not None:
        pass
    for _ in range(10):
        outbox.put("x", 1_000.0)


def test_no_patience_beyond_the_burst() -> None:
    outbox = Outbox(2, 1_000_000)
    for _ in range(2 * BURST_FACTOR):
        outbox.put("x", 0.0)
    with pytest.raises(OutboxFull):
        outbox.put("x", 0.0)


def attempts(count: int, start: int = 0) -> list[AttemptId]:
    return [AttemptId(f"t{number}:1") for number in range(start, start + count)]


def test_acknowledgements_are_merged_and_split_into_frames_that_fit() -> None:
    outbox = Outbox(10, 100)
    for offset in (5, 9):
        outbox.acknowledge(Ack(output={AttemptId("t:1"): offset}))
    outbox.acknowledge(Ack(responses=attempts(700), messages=["m"]))
    first, second = outbox.take_ack(), outbox.take_ack()
    assert first is not None
    assert second is not None
    assert first.output == {"t:1": 9}
    assert len(first.responses) == ACK_ENTRIES - 1
    assert [*first.responses, *second.responses] == attempts(700)
    assert second.messages == ["m"]
    assert outbox.take_ack() is None


def test_the_longest_ids_fit_into_one_frame_of_acknowledgements() -> None:
    outbox = Outbox(10, 100)
    for number in range(ACK_ENTRIES + 5):
        outbox.acknowledge(Ack(responses=[AttemptId("\x01" * 120 + f"{number}:1")]))
    ack = outbox.take_ack()
    assert ack is not None
    wire.encode(ack, sender="hub", to="a" * 40, message_id="m" * 64, timestamp_ms=2**53)


def test_acknowledgements_are_bounded() -> None:
    outbox = Outbox(10, 100)
    for attempt in attempts(MAX_ACK_ENTRIES):
        outbox.acknowledge(Ack(responses=[attempt]))
    with pytest.raises(OutboxFull):
        outbox.acknowledge(Ack(messages=["one more"]))


async def test_waiting_ends_with_something_to_take_or_with_the_close() -> None:
    outbox = Outbox(10, 100)
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        waiting = group.create_task(outbox.wait_ready())
        await asyncio.sleep(0)
        outbox.put("x", 0.0)
    assert waiting.result() is True
    outbox.close()
    assert await outbox.wait_ready() is True
    outbox.take()
    assert await outbox.wait_ready() is False


# --- links and handshake, on real sockets


async def test_the_welcome_says_what_the_hub_expects() -> None:
    timing = Timing(health_interval_seconds=7, lease_seconds=8, drain_seconds=1.0)
    async with running_hub(timing=timing) as hub, hub.playing():
        agent = PlayedAgent(hub.url, "b", await hub.register("b"))
        welcome = await agent.connect()
        assert (welcome.protocol, welcome.health_interval_seconds, welcome.lease_seconds) == (1, 7, 8)
        assert welcome.reconnect_spread_seconds == 1.0
        assert len(hub.kernel.links) == 2
        await agent.close()


@pytest.mark.parametrize("path", ["/agent/a/TOKEN", "/agent/a"])
async def test_the_token_is_taken_from_the_header_or_the_path(path: str) -> None:
    async with running_hub() as hub:
        token = await hub.register()
        agent = PlayedAgent(hub.url, "a", token)
        if path.endswith("TOKEN"):
            agent.token, agent.name = "", f"a/{token}"
            await agent.dial()
            agent.name = "a"
            await agent.send(wire.Hello(protocol=wire.ProtocolRange(1, 1), instance="one"))
            await agent.receive(Welcome)
        else:
            await agent.connect()
        await agent.close()


async def test_a_newer_protocol_that_includes_ours_is_fine_and_a_foreign_one_is_told() -> None:
    async with running_hub() as hub:
        agent = PlayedAgent(hub.url, "a", await hub.register())
        await agent.dial()
        await agent.send(wire.Hello(protocol=wire.ProtocolRange(1, 9), instance="one"))
        await agent.receive(Welcome)
        await agent.close()
        await agent.dial()
        await agent.send(wire.Hello(protocol=wire.ProtocolRange(8, 9), instance="one"))
        assert (await agent.receive(wire.Error)).code == "unsupported_protocol"
        assert await agent.wait_closed() == 4005
        assert "8 to 9" in ((await hub.control.agent("a")).reason or "")


async def test_whoever_says_nothing_after_the_handshake_is_closed() -> None:
    async with running_hub(timing=Timing(handshake_seconds=0.1, drain_seconds=1.0)) as hub:
        agent = PlayedAgent(hub.url, "a", await hub.register())
        await agent.dial()
        assert await agent.wait_closed() == 4400
        assert 'refused_total{reason="timeout"} 1.0' in hub.kernel.metrics.exposition().decode()


async def test_a_stopping_hub_says_when_to_come_back() -> None:
    async with running_hub() as hub:
        agent = PlayedAgent(hub.url, "a", await hub.register())
        await agent.connect()
    goaway = await agent.receive(Goaway)
    assert goaway.reason is GoawayReason.DRAINING
    assert goaway.retry_after_ms > 0
    assert await agent.wait_closed() == 1001


async def test_a_clean_goodbye_is_offline_and_a_broken_connection_unreachable() -> None:
    async with running_hub() as hub:
        agent = PlayedAgent(hub.url, "a", await hub.register())
        for leave, status in (("close", "offline"), ("bye", "offline"), ("abort", "unreachable")):
            await agent.connect()
            await hub.status("a", "online")
            if leave == "bye":
                await agent.send(wire.Bye("done"))
                await agent.settle()
            if leave == "close":
                await agent.close()
            else:
                agent.abort()
            await hub.status("a", status)


async def test_every_ping_of_an_agent_is_answered() -> None:
    async with running_hub() as hub, hub.playing() as agent:
        assert agent.socket is not None
        async with asyncio.timeout(30):
            await (await agent.socket.ping(b"are you there"))


async def test_a_revoked_credential_ends_its_connection() -> None:
    async with running_hub() as hub, hub.playing() as agent:
        token = next(token for token in hub.kernel.fleet.identity.tokens if token.agent_id == AgentId("a"))
        await hub.control.revoke_token(token.id)
        assert await agent.wait_closed() == 4003
        with pytest.raises(InvalidStatus):
            await agent.dial()


@pytest.mark.parametrize("made_anew", [False, True])
async def test_a_door_that_was_shut_between_handshake_and_hello_stays_shut(made_anew: bool) -> None:
    """Else whoever has a handshake pending all the time would outlive every revocation."""
    async with running_hub() as hub:
        agent = PlayedAgent(hub.url, "a", await hub.register())
        await agent.dial()
        if made_anew:
            await hub.job((await hub.control.destroy("a")).id)
        await hub.register()
        await agent.send(wire.Hello(protocol=wire.ProtocolRange(1, 1), instance="one"))
        assert (await agent.receive(Error)).code == "revoked"
        await agent.wait_closed()
        assert (await hub.control.agent("a")).epoch == 0
        assert ("a", "revoked") in await hub.audited("agent.connect")


async def test_a_stopping_hub_lets_nobody_in() -> None:
    async with running_hub() as hub:
        early = PlayedAgent(hub.url, "a", await hub.register("a"))
        late = PlayedAgent(hub.url, "b", await hub.register("b"))
        await early.dial()
        hub.kernel.draining = True
        await early.send(wire.Hello(protocol=wire.ProtocolRange(1, 1), instance="one"))
        assert (await early.receive(Error)).code == "draining"
        with pytest.raises(InvalidStatus) as refused:
            await late.dial()
        assert (refused.value.response.status_code, refused.value.response.headers["Retry-After"]) == (503, "2")
        assert b'clawtui_handshakes_refused_total{reason="draining"} 1.0' in hub.kernel.metrics.exposition()


async def test_what_the_hub_understands_and_refuses_is_no_fault_of_the_peer() -> None:
    async with running_hub() as hub, hub.playing() as agent:
        await hub.register("b")
        for _ in range(MAX_ERRORS + 8):
            await agent.send({}, kind="message", to="b")
            assert (await agent.receive(Error)).code == "not_allowed"
        await agent.settle()
        assert (await hub.control.agent("a")).status == "online"
