"""Events out of bytes, however they are cut."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.gateways.sse import EventTooLong, SseEvent, SseReader

STREAM = (
    b": a comment\n\nevent: one\ndata: 1\n\n"
    b"data:two\r\ndata: lines\r\n\r\n"
    b"id: 7\rdata: three\r\r"
    b"event: empty\n\n"
    b"data: \xe2\x80\xa8 stays\n\ndata: [DONE]\n\n"
)
EVENTS = [
    SseEvent("one", b"1"),
    SseEvent("", b"two\nlines"),
    SseEvent("", b"three"),
    SseEvent("", "\u2028 stays".encode()),
    SseEvent("", b"[DONE]"),
]


@given(st.lists(st.integers(0, len(STREAM)), max_size=20))
def test_pieces_of_any_size_are_the_same_events(cuts: list[int]) -> None:
    reader = SseReader()
    edges = [0, *sorted(cuts), len(STREAM)]

    found = [event for start, end in itertools.pairwise(edges) for event in reader.feed(STREAM[start:end])]

    assert found == EVENTS


def test_what_has_no_end_is_given_up() -> None:
    with pytest.raises(EventTooLong):
        SseReader(most_bytes=100).feed(b"data: " + b"x" * 200)
    with pytest.raises(EventTooLong):
        SseReader(most_bytes=100).feed(b"data: 1234567890\n" * 50)
