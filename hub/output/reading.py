"""Reading an attempt's output from the disk, by offset, a bounded piece at a time. Runs in a thread."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

import msgspec

from hub.output.files import FRAME_BYTES, HEAD_BYTES, Head, State, unpack, unpack_head
from runtime.wire import MAX_LOG_CHUNK_BYTES, Stream

MAX_READ_BYTES: Final = 1024 * 1024
"""Bytes in one answer, whatever the caller asks for."""
MAX_READ_RECORDS: Final = 4_096
"""Records looked at for one answer: a task may write one byte at a time."""
_BLOCK_BYTES: Final = 2 * (MAX_LOG_CHUNK_BYTES + FRAME_BYTES)


class OutputPiece(msgspec.Struct, frozen=True):
    """`data` begins at raw offset `offset`; `skipped` bytes directly before it are gone."""

    offset: int
    data: bytes
    stream: Stream = Stream.STDOUT
    skipped: int = 0

    @property
    def end(self) -> int:
        """The offset to read from next."""
        return self.offset + len(self.data)


class Place(NamedTuple):
    """A record begins at `place` of the file; everything before it ends at or before raw `offset`."""

    offset: int = 0
    place: int = 0


START: Final = Place()


class _Blocks:
    """Reads a file forward in blocks, so that many small records cost few calls."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._start = 0
        self._block = b""

    def get(self, place: int, size: int) -> bytes:
        at = place - self._start
        if at < 0 or at + size > len(self._block):
            self._start, at = place, 0
            self._block = os.pread(self._descriptor, max(size, _BLOCK_BYTES), place)
        return self._block[at : at + size]


def read(state: State, offset: int, limit: int, known: Place = START) -> tuple[list[OutputPiece], Place]:
    """Return what follows `offset`, in order (empty: nothing yet), and where to look for what follows that.

    `known` is a place from an earlier answer; one beyond `offset` is not used. Whatever is on the
    disk, an answer that is not empty ends beyond `offset`: bytes that turn out damaged are a cut
    like any other.
    """
    offset = max(0, offset)
    if offset >= state.end:
        return [], known
    try:
        descriptor = os.open(state.path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return [], known
    try:
        blocks = _Blocks(descriptor)
        start = _find(blocks, state, offset, known if known.offset <= offset else START)
        reader = _Reader(blocks, state, offset, start)
        return merged(reader.pieces(), max(1, min(limit, MAX_READ_BYTES))), reader.place
    finally:
        os.close(descriptor)


def _find(blocks: _Blocks, state: State, offset: int, place: Place) -> Place:
    """Return the place of the first record that ends beyond `offset`, or of the first that is no record."""
    while place.place < state.size:
        found = unpack_head(blocks.get(place.place, HEAD_BYTES))
        if found is None or found[0].end > offset:
            break
        place = Place(found[0].end, place.place + FRAME_BYTES + found[0].length)
    return place


class _Reader:
    """Turns records into pieces; `place` is the last record looked at."""

    def __init__(self, blocks: _Blocks, state: State, offset: int, start: Place) -> None:
        self._blocks = blocks
        self._state = state
        self._offset = offset
        self.place = start

    def pieces(self) -> Iterator[OutputPiece]:
        place = self.place
        for _ in range(MAX_READ_RECORDS):
            if place.place >= self._state.size:
                return
            self.place = place
            found = self._record(place.place)
            if found is None or not self._offset < found[0].end <= self._state.end:
                yield OutputPiece(self._state.end, b"", skipped=self._state.end - self._offset)
                return
            head, data = found
            start = max(self._offset, head.offset)
            yield OutputPiece(start, data[start - head.offset :], head.stream, skipped=start - self._offset)
            self._offset = head.end
            place = Place(head.end, place.place + FRAME_BYTES + head.length)

    def _record(self, place: int) -> tuple[Head, bytes] | None:
        found = unpack_head(self._blocks.get(place, HEAD_BYTES))
        return None if found is None else unpack(self._blocks.get(place, FRAME_BYTES + found[0].length))


def merged(pieces: Iterable[OutputPiece], limit: int) -> list[OutputPiece]:
    """Join neighbours of one stream and stop after `limit` bytes of data."""
    done: list[OutputPiece] = []
    parts: list[bytes] = []
    size = 0
    for piece in pieces:
        data = piece.data[: limit - size]
        if done and not piece.skipped and piece.stream is done[-1].stream:
            parts.append(data)
        else:
            _close(done, parts)
            done.append(piece)
            parts = [data]
        size += len(data)
        if size >= limit:
            break
    _close(done, parts)
    return done


def _close(done: list[OutputPiece], parts: list[bytes]) -> None:
    if done:
        done[-1] = msgspec.structs.replace(done[-1], data=b"".join(parts))
