"""A task's output over restarts of the hub."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawtui.errors import ConnectionLost, NoHub
from clawtui.follow import Piece, follow_output, raw, unseen
from hub.contract import OutputChunk, OutputQuery
from hub.errors import NotFound
from tests.hub.api.scripted import ScriptedControl


class Restarting(ScriptedControl):
    """A hub whose output streams break: each of `runs` is one stream's items, exceptions included."""

    def __init__(self, *runs: list[Any]) -> None:
        super().__init__()
        self.runs = list(runs)
        self.offsets: list[int] = []
        self.said: list[str] = []

    async def task_output(self, task_id: str, query: OutputQuery) -> AsyncIterator[OutputChunk]:
        assert query.follow
        self.offsets.append(query.offset)
        for item in self.runs.pop(0):
            if isinstance(item, Exception):
                raise item
            yield item

    async def pause(self, seconds: float) -> None:
        assert 0 < seconds <= 2

    async def collect(self, patience_seconds: float = 60.0, offset: int = 0) -> list[Piece]:
        stream = follow_output(
            self,
            "t-1",
            offset=offset,
            patience_seconds=patience_seconds,
            say=self.said.append,
            pause=self.pause,
        )
        return [piece async for piece in stream]


END = OutputChunk(offset=4, end=True)
AWAY = NoHub("away")


async def test_output_is_followed_to_its_end() -> None:
    hub = Restarting([OutputChunk(offset=0, data="ab"), OutputChunk(offset=2, data="cd", stream="stderr"), END])
    assert await hub.collect() == [Piece("stdout", b"ab"), Piece("stderr", b"cd")]
    assert hub.said == []


async def test_after_a_restart_the_rest_is_asked_for_and_overlaps_are_shown_once() -> None:
    hub = Restarting(
        [OutputChunk(offset=0, data="abc"), ConnectionLost("gone")],
        [AWAY],
        [AWAY],
        [OutputChunk(offset=2, data="cd"), END],
    )
    assert await hub.collect() == [Piece("stdout", b"abc"), Piece("stdout", b"d")]
    assert hub.offsets == [0, 3, 3, 3]
    assert hub.said == ["the hub is away; waiting for it, the task goes on", "the hub is back"]


async def test_a_stream_that_ends_too_early_is_taken_up_again() -> None:
    hub = Restarting([OutputChunk(offset=0, data="ab")], [OutputChunk(offset=2, data="cd", end=True)])
    assert b"".join(piece.data for piece in await hub.collect()) == b"abcd"


async def test_patience_ends_with_the_reason() -> None:
    hub = Restarting([ConnectionLost("gone")], [AWAY])
    with pytest.raises(NoHub):
        await hub.collect(patience_seconds=0.0)


async def test_other_errors_are_not_waited_out() -> None:
    with pytest.raises(NotFound):
        await Restarting([NotFound("no task")]).collect()


async def test_cut_output_is_told_once() -> None:
    cut = OutputChunk(offset=100, data="tail", skipped=90)
    hub = Restarting([OutputChunk(offset=0, data="headhead10"), cut, OutputChunk(offset=104, end=True)])
    assert await hub.collect() == [Piece("stdout", b"headhead10"), Piece("stdout", b"tail", 90)]


def test_bytes_that_are_no_text_come_as_they_are() -> None:
    data = bytes(range(256))
    assert raw(OutputChunk(offset=0, data=base64.b64encode(data).decode(), encoding="base64")) == data


@given(text=st.text(max_size=20), cuts=st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=8))
def test_whatever_overlaps_every_byte_comes_once_and_in_order(text: str, cuts: list[tuple[int, int]]) -> None:
    whole = text.encode()
    chunks = sorted((min(a, b), max(a, b)) for a, b in cuts)
    offset, got = 0, b""
    for start, stop in [*chunks, (0, len(whole))]:
        # Only chunks without a hole before them, as a hub sends them.
        start = min(start, offset)
        part = base64.b64encode(whole[start:stop]).decode()
        piece, offset = unseen(OutputChunk(offset=start, data=part, encoding="base64"), offset)
        got += piece.data
    assert got == whole
