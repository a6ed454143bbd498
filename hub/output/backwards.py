"""Reading an attempt's output from its end: the last bytes before an offset, found by the records' tails. Runs in a
thread."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final, NamedTuple

import msgspec

from hub.output.files import FRAME_BYTES, TAIL, Head, State, unpack
from hub.output.reading import MAX_READ_BYTES, MAX_READ_RECORDS, OutputPiece, merged
from runtime.wire import MAX_LOG_CHUNK_BYTES

_BLOCK_BYTES: Final = 2 * (MAX_LOG_CHUNK_BYTES + FRAME_BYTES)


def read_back(state: State, before: int | None, limit: int) -> list[OutputPiece]:
    """Return the last `limit` bytes that are kept before raw offset `before` (None: the end), oldest first.

    The page before this one ends at `pieces[0].offset - pieces[0].skipped`; empty: there is none. Where a record turns
    out damaged, everything before it counts as cut.
    """
    end = state.end if before is None else min(before, state.end)
    try:
        descriptor = os.open(state.path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return []
    try:
        records = _records(_BlocksBack(descriptor), state.size)
        return merged(reversed(_taken(records, end, max(1, min(limit, MAX_READ_BYTES)))), MAX_READ_BYTES)
    finally:
        os.close(descriptor)


class _Record(NamedTuple):
    head: Head
    data: bytes


class _BlocksBack:
    """Reads a file towards its beginning in blocks, so that many small records cost few calls."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._start = 0
        self._block = b""

    def get(self, place: int, size: int) -> bytes:
        at = place - self._start
        if at < 0 or at + size > len(self._block):
            end = place + size
            self._start = max(0, end - max(size, _BLOCK_BYTES))
            self._block = os.pread(self._descriptor, end - self._start, self._start)
            at = place - self._start
        return self._block[at : at + size]


def _records(blocks: _BlocksBack, end: int) -> Iterator[_Record]:
    """Yield the records that end at `end` of the file, newest first, as far as they hold."""
    while end >= FRAME_BYTES:
        tail = blocks.get(end - TAIL.size, TAIL.size)
        length = TAIL.unpack(tail)[0] if len(tail) == TAIL.size else MAX_LOG_CHUNK_BYTES + 1
        start = end - FRAME_BYTES - length
        if length > MAX_LOG_CHUNK_BYTES or start < 0:
            return
        found = unpack(blocks.get(start, end - start))
        if found is None:
            return
        yield _Record(*found)
        end = start


def _taken(records: Iterator[_Record], end: int, limit: int) -> list[OutputPiece]:
    """Pieces of at most `limit` bytes before raw offset `end`, newest first, each with the cut before it."""
    pieces: list[OutputPiece] = []
    size = 0
    for record in records:
        head = record.head
        if pieces:
            _say_cut(pieces, head.end)
        if size >= limit or len(pieces) >= MAX_READ_RECORDS:
            return _something(pieces)
        if head.offset >= end and (head.length or head.offset > end):
            continue
        data = record.data[: end - head.offset]
        part = data[max(0, len(data) - (limit - size)) :]
        pieces.append(OutputPiece(head.offset + len(data) - len(part), part, head.stream))
        size += len(part)
        if len(part) < len(data):
            return _something(pieces)
    if pieces:
        _say_cut(pieces, 0)
    return _something(pieces)


def _say_cut(pieces: list[OutputPiece], before: int) -> None:
    """The oldest piece comes directly after raw offset `before`: what lies between was cut."""
    pieces[-1] = msgspec.structs.replace(pieces[-1], skipped=max(0, pieces[-1].offset - before))


def _something(pieces: list[OutputPiece]) -> list[OutputPiece]:
    return [piece for piece in pieces if piece.data or piece.skipped]
