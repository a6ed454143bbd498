"""The file of one attempt: records one after the other, each written by one call.

A record is a head (raw offset, bytes kept before, length, stream, checksum), its bytes, and a tail
(length, checksum). The checksum covers head and bytes. By the last tail the end is found without
reading the file; where that tail does not hold, a write was interrupted and the records are walked
from the beginning. One file and not two, because making files is what appending costs most.

Nothing is synced: output survives a killed hub; after a power loss its end may be missing, which the
agent fills again or reports as cut.
"""

from __future__ import annotations

import errno
import os
import re
import struct
import zlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from hub.core.model import TaskId, parse_attempt_id
from hub.errors import BadRequest, HubError, StorageFull, Unavailable
from runtime.wire import MAX_LOG_CHUNK_BYTES, AttemptId, Stream

_FIELDS: Final = struct.Struct("<QQIB")
_CHECKSUM: Final = struct.Struct("<I")
TAIL: Final = struct.Struct("<II")
"""Length and checksum, behind the bytes."""
HEAD_BYTES: Final = _FIELDS.size + _CHECKSUM.size
FRAME_BYTES: Final = HEAD_BYTES + TAIL.size
"""What a record needs beside its bytes."""

MAX_OFFSET: Final = 2**53
"""Offsets beyond are not believed; JSON numbers are exact up to here."""

SHARDS: Final = 256
"""Folders over which attempts are spread, so that none of them grows slow to list."""

_TASK_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_CAPITAL: Final = re.compile("[A-Z]")
_NAME: Final = re.compile(r"([a-z0-9_+-]+)\.([0-9]+)\.out")
_STREAM_CODES: Final = {Stream.STDOUT: 1, Stream.STDERR: 2, Stream.AGENT: 3}
_STREAMS: Final = {code: stream for stream, code in _STREAM_CODES.items()}


class Head(NamedTuple):
    """`length` bytes at raw offset `offset`; `kept` bytes of output are in the file before them.

    Raw bytes between the end of the record before and `offset` were cut. `length` 0: nothing but
    such a cut.
    """

    offset: int
    kept: int
    length: int
    stream: Stream

    @property
    def end(self) -> int:
        return self.offset + self.length


@dataclass(slots=True)
class State:
    """How far an attempt's output has come.

    `end`: next raw offset; `kept`: bytes of output in the file; `size`: bytes of the file that
    count. `mark`: place of the last record when that is the hub's own cut, which can still grow.
    """

    path: str
    end: int = 0
    kept: int = 0
    size: int = 0
    mark: int | None = None
    finished: bool = False


def pack(head: Head, data: bytes) -> tuple[bytes, bytes]:
    """Return what goes before and behind the bytes."""
    fields = _FIELDS.pack(head.offset, head.kept, head.length, _STREAM_CODES[head.stream])
    checksum = zlib.crc32(data, zlib.crc32(fields))
    return fields + _CHECKSUM.pack(checksum), TAIL.pack(head.length, checksum)


def unpack_head(raw: bytes) -> tuple[Head, int] | None:
    """Return head and checksum, or None when the bytes cannot be a head."""
    if len(raw) < HEAD_BYTES:
        return None
    offset, kept, length, code = _FIELDS.unpack_from(raw)
    if code not in _STREAMS or length > MAX_LOG_CHUNK_BYTES or max(offset, kept) > MAX_OFFSET:
        return None
    return Head(offset, kept, length, _STREAMS[code]), _CHECKSUM.unpack_from(raw, _FIELDS.size)[0]


def unpack(raw: bytes) -> tuple[Head, bytes] | None:
    """Return a whole record at the beginning of `raw`, or None when there is none that holds."""
    found = unpack_head(raw)
    if found is None:
        return None
    head, checksum = found
    data = raw[HEAD_BYTES : HEAD_BYTES + head.length]
    if len(raw) < FRAME_BYTES + head.length or zlib.crc32(data, zlib.crc32(raw[: _FIELDS.size])) != checksum:
        return None
    if TAIL.unpack_from(raw, HEAD_BYTES + head.length) != (head.length, checksum):
        return None
    return head, data


def shard_of(task: TaskId) -> str:
    return f"{zlib.crc32(task.encode()) % SHARDS:02x}"


def stem_of(task: TaskId) -> str:
    """Return a file name that stays different where the file system ignores case.

    Raises BadRequest for what is no task id.
    """
    if _TASK_ID.fullmatch(task) is None:
        raise BadRequest("This is not a task id.", field="taskId")
    return _CAPITAL.sub(lambda letter: f"+{letter[0].lower()}", task)


def path_of(folder: Path, attempt_id: str) -> str:
    """Raises BadRequest for what is no attempt id."""
    parsed = parse_attempt_id(attempt_id)
    if parsed is None:
        raise BadRequest("This is not an attempt id.", field="attemptId")
    task, number = parsed
    stem = stem_of(task)
    return f"{folder}/{shard_of(task)}/{stem}.{number}.out"


def attempt_of(file_name: str) -> AttemptId | None:
    """Return the attempt to which a file belongs, None for a file that is not ours."""
    found = _NAME.fullmatch(file_name)
    if found is None:
        return None
    task = re.sub(r"\+([a-z])", lambda letter: letter[1].upper(), found[1])
    return AttemptId(f"{task}:{int(found[2])}")


def recover(path: str) -> State:
    """Return the state at the last record that holds. Changes nothing on the disk. Raises OSError."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return State(path)
    try:
        return _by_tail(path, descriptor) or _by_walk(path, descriptor)
    finally:
        os.close(descriptor)


def _by_tail(path: str, descriptor: int) -> State | None:
    size = os.fstat(descriptor).st_size
    raw = os.pread(descriptor, TAIL.size, max(0, size - TAIL.size))
    if len(raw) < TAIL.size:
        return None
    length = TAIL.unpack(raw)[0]
    start = size - FRAME_BYTES - length
    if length > MAX_LOG_CHUNK_BYTES or start < 0:
        return None
    found = unpack(os.pread(descriptor, FRAME_BYTES + length, start))
    return None if found is None else State(path, found[0].end, found[0].kept + length, size)


def _by_walk(path: str, descriptor: int) -> State:
    state = State(path)
    while True:
        found = unpack(os.pread(descriptor, FRAME_BYTES + MAX_LOG_CHUNK_BYTES, state.size))
        if found is None or found[0].offset < state.end:
            return state
        head = found[0]
        state.end, state.kept, state.size = head.end, head.kept + head.length, state.size + FRAME_BYTES + head.length


def open_file(state: State) -> int:
    """Open for writing and cut off what does not count. Raises OSError."""
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
    try:
        descriptor = os.open(state.path, flags, 0o600)
    except FileNotFoundError:
        with suppress(FileExistsError):
            os.mkdir(os.path.dirname(state.path), 0o700)
        descriptor = os.open(state.path, flags, 0o600)
    if os.fstat(descriptor).st_size > state.size:
        os.ftruncate(descriptor, state.size)
    return descriptor


def write_record(descriptor: int, place: int, head: Head, data: bytes) -> None:
    """Write a record at `place`. Raises OSError; then the file ends at `place` again if it can."""
    before, behind = pack(head, data)
    try:
        done = os.pwritev(descriptor, (before, data, behind), place)
        if done < FRAME_BYTES + len(data):
            # A full disk may take a part; the next call says why.
            rest = (before + data + behind)[done:]
            while rest:
                written = os.pwrite(descriptor, rest, place + done)
                rest, done = rest[written:], done + written
    except OSError:
        with suppress(OSError):
            os.ftruncate(descriptor, place)
        raise


def translate(error: OSError) -> HubError:
    """Return the hub's error for a file that could not be written or read."""
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return Unavailable(
            "The hub has too many open files.",
            hint="Raise the limit of open files (`ulimit -n`) and restart the hub.",
        )
    return StorageFull(
        f"Task output cannot be written: {error.strerror}.",
        hint="Free space on the disk of the state folder; the hub continues without a restart.",
    )
