"""Output read from its end: the same bytes as from its beginning, every cut marked once, damage never shown."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.output import OutputPiece, OutputStore
from hub.output.files import path_of
from runtime.wire import AttemptId, Stream

ONE = AttemptId("t_one:1")
CHUNKS = st.lists(
    st.tuples(st.binary(max_size=40), st.sampled_from(list(Stream)), st.sampled_from([0, 0, 0, 7])), max_size=20
)


async def pages(store: OutputStore, limit: int, before: int | None = None) -> list[OutputPiece]:
    """Everything before `before`, page by page from the end."""
    found: list[OutputPiece] = []
    while page := await store.read_back(ONE, before, limit):
        assert sum(len(piece.data) for piece in page) <= limit
        found = [*page, *found]
        start = page[0].offset - page[0].skipped
        assert before is None or start < before
        before = start
    return found


def text(pieces: list[OutputPiece]) -> bytes:
    """The whole output, with a dot for every byte that was cut; checks that offsets fit together."""
    whole = b""
    for piece in pieces:
        whole += b"." * piece.skipped
        assert piece.offset == len(whole)
        whole += piece.data
    return whole


@given(CHUNKS, st.integers(1, 100), st.integers(0, 900))
async def test_pages_from_the_end_are_the_whole_output(
    tmp_path_factory: pytest.TempPathFactory, chunks: list[tuple[bytes, Stream, int]], limit: int, before: int
) -> None:
    store = OutputStore(tmp_path_factory.mktemp("o"))
    expected, streams = b"", b""
    for data, stream, cut in chunks:
        expected += b"." * cut + data
        streams += b"." * cut + stream.value[:1].encode() * len(data) if data or cut else b""
        store.append(ONE, len(expected) - len(data), data, stream, cut)
    found = await pages(store, limit)
    assert text(found) == expected
    assert b"".join(b"." * p.skipped + p.stream.value[:1].encode() * len(p.data) for p in found) == streams
    # A page may begin anywhere; only cuts directly before its end belong to the page after it.
    earlier = text(await pages(store, limit, before))
    assert earlier == expected[: len(earlier)]
    assert expected[len(earlier) : before].strip(b".") == b""
    store.close()


async def test_the_cut_at_the_end_is_told_and_left_at_once(tmp_path: Path) -> None:
    store = OutputStore(tmp_path / "output", max_attempt_bytes=100)
    store.append(ONE, 0, b"a" * 90)
    store.append(ONE, 90, b"b" * 20)
    store.append(ONE, 110, b"", skipped=0)
    store.append(ONE, 110, b"c" * 1_000)
    assert [(p.offset, p.skipped, p.data) for p in await store.read_back(ONE, None, 5)] == [
        (85, 0, b"aaaaa"),
        (1_110, 1_020, b""),
    ]
    assert await store.read_back(AttemptId("t_none:1"), None, 5) == []
    store.close()


@given(st.data())
async def test_damage_never_shows_wrong_bytes(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("o")
    store = OutputStore(folder)
    whole = b""
    for number in range(5):
        part = bytes([65 + number]) * 10
        store.append(ONE, len(whole), part)
        whole += part
    path = Path(path_of(folder, ONE))
    content = bytearray(path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    found = await pages(store, data.draw(st.integers(1, 60)))
    shown = text(found) if found else b""
    assert all(seen in (true, ord(".")) for seen, true in zip(shown, whole, strict=False))
    store.close()
