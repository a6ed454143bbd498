"""The output of one attempt on disk: head and tail kept, addressed by raw byte offset.

Output is one interleaved sequence of bytes with a stream per run. It is kept in segment files named
by the offset they begin at; the first eight segments are the head, the last eight the tail, and what
falls out between is cut. Inside a segment every record is `<u8 stream><u32 length>` and the bytes.
While the process lives only the head may be read: of the rest nobody knows yet what will be kept.

Nothing here is synced: output survives a killed agent, and may be cut by a power failure; results
never are.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import struct
from bisect import bisect_right
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from runtime.wire import MAX_LOG_CHUNK_BYTES, MAX_TASK_OUTPUT_BYTES, AttemptId, Stream

KEPT_SEGMENTS: Final = 8
"""Segments of the head, and of the tail."""
SEGMENT_BYTES: Final = MAX_TASK_OUTPUT_BYTES // (2 * KEPT_SEGMENTS)
MAX_SEGMENT_FILE_FACTOR: Final = 2
"""A segment file ends early at this many times its raw size, so that one-byte records cannot fill the disk."""

_HEADER: Final = struct.Struct("<BI")
_STREAMS: Final = (Stream.STDOUT, Stream.STDERR, Stream.AGENT)
_NUMBERS: Final = {stream: number for number, stream in enumerate(_STREAMS)}


@dataclass(slots=True)
class _Segment:
    path: Path
    start: int
    end: int
    file_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Run:
    """Bytes of one stream from `offset` on; `more` = the spool can read on directly behind them."""

    offset: int
    stream: Stream
    data: bytes
    more: bool


def folder_of(root: Path, attempt_id: AttemptId) -> Path:
    """Return where an attempt's segments are; safe for any id, and readable for usual ones."""
    readable = re.sub(r"[^A-Za-z0-9_-]", "_", attempt_id)[:60]
    return root / f"{readable}-{hashlib.sha256(attempt_id.encode()).hexdigest()[:16]}"


@dataclass(slots=True)
class Spool:
    """One attempt's output. `end` counts all bytes ever written, kept or not.

    Args:
        segment_bytes: raw bytes per segment; 16 segments are kept.
    """

    folder: Path
    segment_bytes: int = SEGMENT_BYTES
    end: int = 0
    finished: bool = False
    lost_bytes: int = 0
    last_error: OSError | None = None
    _segments: list[_Segment] = field(default_factory=list[_Segment])
    _staged: list[tuple[int, bytearray]] = field(default_factory=list[tuple[int, bytearray]])
    _staged_bytes: int = 0
    _write_fd: int = -1
    _reader: _Reader | None = None

    @property
    def staged_bytes(self) -> int:
        """Bytes written but not yet in a file."""
        return self._staged_bytes

    @property
    def beyond_head(self) -> bool:
        """Whether the head is full."""
        return len(self._segments) > KEPT_SEGMENTS

    @property
    def cut(self) -> bool:
        """Whether bytes are missing between the kept ones, or at the end."""
        ends = [0, *(s.end for s in self._segments)]
        starts = [*(s.start for s in self._segments), self.end - self._staged_bytes]
        return any(end != start for end, start in zip(ends, starts, strict=True))

    def write(self, stream: Stream, data: bytes) -> None:
        """Add output; it is staged in memory until 32 KiB are together or `flush`."""
        number = _NUMBERS[stream]
        if self._staged and self._staged[-1][0] == number:
            self._staged[-1][1].extend(data)
        else:
            self._staged.append((number, bytearray(data)))
        self._staged_bytes += len(data)
        self.end += len(data)
        if self._staged_bytes >= MAX_LOG_CHUNK_BYTES:
            self.flush()

    def flush(self) -> None:
        """Move what is staged into segment files; what the disk refuses is cut and counted."""
        start = self.end - self._staged_bytes
        staged, self._staged, self._staged_bytes = self._staged, [], 0
        for number, data in staged:
            view = memoryview(data)
            while view:
                segment = self._segment_for(start)
                room = segment.start + self.segment_bytes - start
                piece = view[: min(room, MAX_LOG_CHUNK_BYTES)]
                self._append(segment, number, piece)
                view = view[len(piece) :]
                start += len(piece)

    def finish(self) -> None:
        """Say that no more output comes: the tail may be read now."""
        self.flush()
        self.finished = True
        self._close_writer()

    def close(self) -> None:
        """Release the descriptors; the files stay."""
        self._close_writer()
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def remove(self) -> None:
        """Delete everything."""
        self.close()
        if self._segments:
            shutil.rmtree(self.folder, ignore_errors=True)
            self._segments.clear()

    def readable_end(self) -> int:
        """Return the offset up to which `read` may go now."""
        if not self._segments:
            return 0
        last = -1 if self.finished else min(len(self._segments), KEPT_SEGMENTS) - 1
        segment = self._segments[last]
        if segment.end == segment.start and len(self._segments) > 1:
            # The disk has refused its first record; the one before has something.
            segment = self._segments[last - 1]
        return segment.end if segment.end > segment.start else 0

    def read(self, offset: int, limit: int) -> Run | None:
        """Return the first kept bytes at or after `offset`, at most `limit`, of one stream."""
        if offset >= self.readable_end():
            return None
        index = max(bisect_right(self._segments, offset, key=lambda s: s.start) - 1, 0)
        if offset >= self._segments[index].end:
            index += 1
        segment = self._segments[index]
        offset = max(offset, segment.start)
        if self._reader is None or self._reader.segment is not segment:
            if self._reader is not None:
                self._reader.close()
            self._reader = _Reader(segment)
        number, data = self._reader.read(offset, limit)
        behind = offset + len(data)
        follows = behind < segment.end or (
            index + 1 < len(self._segments) and self._segments[index + 1].start == behind
        )
        return Run(offset, _STREAMS[number], data, follows and behind < self.readable_end())

    def _segment_for(self, start: int) -> _Segment:
        last = self._segments[-1] if self._segments else None
        if (
            last is not None
            and last.end == start
            and start - last.start < self.segment_bytes
            and last.file_bytes < MAX_SEGMENT_FILE_FACTOR * self.segment_bytes
        ):
            return last
        self._close_writer()
        if last is not None and last.end == last.start:
            # The disk refused even its first record.
            self._segments.pop()
            last.path.unlink(missing_ok=True)
        segment = _Segment(self.folder / f"{start:016x}", start, start)
        self._segments.append(segment)
        if len(self._segments) > 2 * KEPT_SEGMENTS:
            self._segments.pop(KEPT_SEGMENTS).path.unlink(missing_ok=True)
        return segment

    def _append(self, segment: _Segment, number: int, piece: memoryview) -> None:
        record = _HEADER.pack(number, len(piece)) + piece
        try:
            if self._write_fd < 0:
                self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
                self._write_fd = os.open(segment.path, flags, 0o600)
            written = os.write(self._write_fd, record)
            if written < len(record):
                os.ftruncate(self._write_fd, segment.file_bytes)
                raise OSError(28, "no space left for output")
        except OSError as exc:
            self.lost_bytes += len(piece)
            self.last_error = exc
            return
        segment.end += len(piece)
        segment.file_bytes += len(record)

    def _close_writer(self) -> None:
        if self._write_fd >= 0:
            os.close(self._write_fd)
            self._write_fd = -1


class _Reader:
    """Reads one segment forward; going back starts over."""

    def __init__(self, segment: _Segment) -> None:
        self.segment = segment
        self._fd = os.open(segment.path, os.O_RDONLY | os.O_CLOEXEC)
        self._position = 0
        self._offset = segment.start

    def close(self) -> None:
        os.close(self._fd)

    def read(self, offset: int, limit: int) -> tuple[int, bytes]:
        """Return stream number and bytes from `offset` on, over neighbouring records of one stream."""
        if offset < self._offset:
            self._position, self._offset = 0, self.segment.start
        found: bytearray | None = None
        number = -1
        while self._offset < self.segment.end:
            header = os.pread(self._fd, _HEADER.size, self._position)
            record_number, length = _HEADER.unpack(header)
            if self._offset + length <= offset and found is None:
                self._position += _HEADER.size + length
                self._offset += length
                continue
            if found is not None and record_number != number:
                break
            skip = max(offset - self._offset, 0) if found is None else 0
            wanted = min(length - skip, limit - len(found or b""))
            data = os.pread(self._fd, wanted, self._position + _HEADER.size + skip)
            number = record_number
            found = (found or bytearray()) + data
            if skip + wanted < length or len(found) >= limit:
                break
            self._position += _HEADER.size + length
            self._offset += length
        return number, bytes(found or b"")


def recover(folder: Path, segment_bytes: int = SEGMENT_BYTES) -> Spool:
    """Return the finished spool that a former agent process left in `folder`, or an empty one."""
    spool = Spool(folder, segment_bytes)
    names = sorted(p for p in folder.iterdir()) if folder.is_dir() else []
    for path in names:
        start = int(path.name, 16)
        raw_bytes, file_bytes = _measure(path)
        segment = _Segment(path, start, start + raw_bytes, file_bytes)
        spool._segments.append(segment)  # pyright: ignore[reportPrivateUsage]
        spool.end = segment.end
    spool.finished = True
    return spool


def _measure(path: Path) -> tuple[int, int]:
    """Return the raw and the file bytes of a segment's whole records; a torn last one is left out."""
    data = path.read_bytes()
    raw_bytes = position = 0
    while position + _HEADER.size <= len(data):
        length: int = _HEADER.unpack_from(data, position)[1]
        if position + _HEADER.size + length > len(data):
            break
        raw_bytes += length
        position += _HEADER.size + length
    return raw_bytes, position
