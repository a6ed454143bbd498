"""Sending output: chunks, window, resend, characters, and responses behind their output."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from runtime import streaming
from runtime.streaming import OutputSender
from runtime.wire import MAX_LOG_CHUNK_BYTES, AttemptId, Encoding, Log, Response, ResponseStatus, Stream

ONE, TWO = AttemptId("a:1"), AttemptId("b:1")
KIB = 1024


@dataclass
class Hub:
    """Collects what is sent, as raw bytes."""

    sent: list[Log | Response] = field(default_factory=list)

    def logs(self, attempt_id: AttemptId = ONE) -> list[Log]:
        return [m for m in self.sent if isinstance(m, Log) and m.attempt_id == attempt_id]

    def raw(self, attempt_id: AttemptId = ONE) -> bytes:
        return b"".join(raw_of(log) for log in self.logs(attempt_id))

    def responses(self) -> list[Response]:
        return [m for m in self.sent if isinstance(m, Response)]


def raw_of(log: Log) -> bytes:
    return base64.b64decode(log.data) if log.encoding is Encoding.BASE64 else log.data.encode()


@pytest.fixture
def hub() -> Hub:
    return Hub()


Make = Callable[..., OutputSender]


@pytest.fixture
def make(tmp_path: Path, hub: Hub) -> Make:
    def make(**options: int) -> OutputSender:
        sender = OutputSender(tmp_path / "output", hub.sent.append, hub.sent.append, **options)
        sender.connected()
        return sender

    return make


def response(attempt_id: AttemptId = ONE) -> Response:
    return Response(status=ResponseStatus.SUCCEEDED, attempt_id=attempt_id)


async def wait_for(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.005)


async def test_short_output_is_flushed_by_itself(make: Make, hub: Hub) -> None:
    sender = make()
    sender.write(ONE, Stream.STDOUT, b"a line\n")
    assert hub.sent == []
    await wait_for(lambda: bool(hub.sent))
    assert hub.logs() == [Log(data="a line\n", attempt_id=ONE, stream=Stream.STDOUT, offset=0)]
    sender.close()


async def test_the_rest_behind_a_full_chunk_is_flushed_too(make: Make, hub: Hub) -> None:
    sender = make()
    sender.write(ONE, Stream.STDOUT, b"x" * (MAX_LOG_CHUNK_BYTES + 10))
    assert [len(log.data) for log in hub.logs()] == [MAX_LOG_CHUNK_BYTES]
    await wait_for(lambda: len(hub.raw()) == MAX_LOG_CHUNK_BYTES + 10)
    sender.close()


async def test_the_end_flushes_at_once_and_the_response_comes_behind(make: Make, hub: Hub) -> None:
    sender = make()
    sender.write(ONE, Stream.STDOUT, b"x" * 100_000)
    sender.write(ONE, Stream.STDERR, b"y")
    assert sender.finish(ONE)
    sender.report(response())
    assert hub.raw() == b"x" * 100_000 + b"y"
    assert isinstance(hub.sent[-1], Response)
    sender.close()


async def test_the_window_bounds_what_is_unacknowledged(make: Make, hub: Hub) -> None:
    sender = make(window_bytes=100 * KIB)
    sender.write(ONE, Stream.STDOUT, b"x" * 300 * KIB)
    sender.write(TWO, Stream.STDOUT, b"y" * 300 * KIB)
    sender.finish(ONE)
    sender.finish(TWO)
    acked = {ONE: 0, TWO: 0}
    while sum(acked.values()) < 600 * KIB:
        for attempt_id in (ONE, TWO):
            sent = {a: len(hub.raw(a)) for a in acked}
            assert sum(sent.values()) - sum(acked.values()) in (100 * KIB, 600 * KIB - sum(acked.values()))
            acked[attempt_id] = sent[attempt_id]
            sender.ack(attempt_id, acked[attempt_id])
    assert len(hub.raw(ONE)) + len(hub.raw(TWO)) == 600 * KIB
    sender.close()


async def test_attempts_share_the_window_fairly(make: Make, hub: Hub) -> None:
    sender = make(window_bytes=128 * KIB)
    sender.write(ONE, Stream.STDOUT, b"x" * 500 * KIB)
    sender.write(TWO, Stream.STDOUT, b"y" * 500 * KIB)
    for _ in range(6):
        sender.ack(ONE, len(hub.raw(ONE)))
    sender.ack(TWO, len(hub.raw(TWO)))
    assert len(hub.raw(TWO)) >= 64 * KIB
    sender.close()


async def test_after_a_reconnection_output_goes_on_from_the_hubs_offset(make: Make, hub: Hub) -> None:
    sender = make()
    sender.write(ONE, Stream.STDOUT, b"0123456789")
    sender.finish(ONE)
    hub.sent.clear()
    sender.disconnected()
    sender.connected()
    sender.resume(ONE, 4)
    assert hub.logs() == [Log(data="456789", attempt_id=ONE, offset=4)]
    sender.close()


async def test_without_an_offset_it_goes_on_from_the_last_acknowledgement(make: Make, hub: Hub) -> None:
    sender = make()
    sender.write(ONE, Stream.STDOUT, b"0123456789")
    sender.finish(ONE)
    sender.ack(ONE, 7)
    hub.sent.clear()
    sender.disconnected()
    sender.connected()
    sender.resume(ONE, None)
    assert hub.raw() == b"789"
    sender.close()


async def test_without_a_hub_output_is_kept_and_sent_later(make: Make, hub: Hub) -> None:
    sender = make()
    sender.disconnected()
    sender.write(ONE, Stream.STDOUT, b"x" * 200 * KIB)
    sender.finish(ONE)
    sender.report(response())
    assert hub.sent == []
    sender.connected()
    sender.resume(ONE, 0)
    assert hub.raw() == b"x" * 200 * KIB
    sender.close()


async def test_a_restart_sends_what_the_spool_kept(make: Make, hub: Hub) -> None:
    first = make()
    first.write(ONE, Stream.STDOUT, b"before the crash")
    first.write(TWO, Stream.STDOUT, b"nobody wants this")
    first.close()
    hub.sent.clear()
    second = make()
    second.recover(ONE)
    second.discard_unknown()
    assert second.end_offset(ONE) == 16
    second.resume(ONE, 7)
    assert hub.raw() == b"the crash"
    second.recover(TWO)
    assert second.end_offset(TWO) == 0
    second.close()


async def test_a_cut_is_marked_by_skipped(make: Make, hub: Hub) -> None:
    sender = make(segment_bytes=1000, window_bytes=100 * KIB)
    sender.write(ONE, Stream.STDOUT, b"h" * 8_000)
    sender.write(ONE, Stream.STDOUT, b"x" * 50_000)
    sender.write(ONE, Stream.STDOUT, b"t" * 7_000)
    assert not sender.finish(ONE)
    logs = hub.logs()
    end = 0
    for log in logs:
        assert log.offset == end + log.skipped
        end = log.offset + len(raw_of(log))
    assert end == 65_000
    assert sum(log.skipped for log in logs) >= 49_000
    assert hub.raw().startswith(b"h" * 8_000)
    assert hub.raw().endswith(b"t" * 7_000)
    sender.close()


async def test_chunks_end_at_characters(make: Make, hub: Hub) -> None:
    sender = make()
    text = "aé€😀" * 20_000
    sender.write(ONE, Stream.STDOUT, text.encode())
    sender.finish(ONE)
    assert {log.encoding for log in hub.logs()} == {Encoding.UTF8}
    assert hub.raw().decode() == text
    assert all(len(raw_of(log)) <= MAX_LOG_CHUNK_BYTES for log in hub.logs())
    sender.close()


async def test_half_a_character_waits_for_its_other_half(make: Make, hub: Hub) -> None:
    sender = make()
    euro = "€".encode()
    sender.write(ONE, Stream.STDOUT, b"12" + euro[:2])
    await wait_for(lambda: hub.raw() == b"12")
    sender.write(ONE, Stream.STDOUT, euro[2:])
    await wait_for(lambda: hub.raw() == b"12" + euro)
    assert {log.encoding for log in hub.logs()} == {Encoding.UTF8}
    sender.close()


@pytest.mark.parametrize("follows", [None, Stream.STDERR])
async def test_half_a_character_at_the_end_is_sent_as_bytes(make: Make, hub: Hub, follows: Stream | None) -> None:
    sender = make()
    sender.write(ONE, Stream.STDOUT, b"12\xe2\x82")
    if follows is not None:
        sender.write(ONE, follows, b"z")
    sender.finish(ONE)
    assert hub.raw() == b"12\xe2\x82" + (b"z" if follows else b"")
    sender.close()


async def test_binary_output_is_base64(make: Make, hub: Hub) -> None:
    sender = make()
    data = bytes(range(256)) * 500
    sender.write(ONE, Stream.STDOUT, data)
    sender.finish(ONE)
    assert Encoding.BASE64 in {log.encoding for log in hub.logs()}
    assert hub.raw() == data
    sender.close()


async def test_a_response_does_not_wait_for_output_for_ever(
    make: Make, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "RESPONSE_PATIENCE_SECONDS", 0.01)
    sender = make(window_bytes=10)
    sender.write(ONE, Stream.STDOUT, b"x" * 1000)
    sender.finish(ONE)
    sender.report(response())
    assert hub.responses() == []
    await wait_for(lambda: bool(hub.responses()))
    sender.close()


async def test_a_held_response_goes_out_when_the_window_opens(make: Make, hub: Hub) -> None:
    sender = make(window_bytes=10)
    sender.write(ONE, Stream.STDOUT, b"x" * 15)
    sender.finish(ONE)
    sender.report(response())
    assert hub.responses() == []
    sender.ack(ONE, 10)
    assert hub.raw() == b"x" * 15
    assert hub.responses() == [response()]
    sender.close()


async def test_released_output_goes_when_it_is_acknowledged(make: Make, hub: Hub, tmp_path: Path) -> None:
    sender = make()
    sender.write(ONE, Stream.STDOUT, b"x" * 1000)
    sender.finish(ONE)
    sender.release(ONE)
    assert list((tmp_path / "output").iterdir())
    sender.ack(ONE, 1000)
    assert not list((tmp_path / "output").iterdir())
    sender.write(TWO, Stream.STDOUT, b"y")
    sender.finish(TWO)
    sender.release(TWO)
    sender.disconnected()
    assert not list((tmp_path / "output").iterdir())
    sender.close()
