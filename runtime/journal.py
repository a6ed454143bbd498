"""The attempt log: an append-only file that survives any crash, written by one thread.

Format: the magic, then per record a little-endian `<u32 length><u32 crc32>` and that many bytes of
JSON. On load the first record that does not check ends the log; what follows is moved to a
quarantine file and the log is cut there.

Batching is natural: the thread writes everything that has arrived, syncs once, reports all of it as
durable, and looks again. Appends are durable in the order they were made. When the disk refuses a
write, the file is cut back to its last good end and the write is tried again: whoever waits for
durability waits, nothing is lost, and the event loop is never blocked.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import queue
import struct
import sys
import threading
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from runtime.records import Ledger, Record

MAGIC: Final = b"CTALOG1\n"
MAX_RECORD_BYTES: Final = 2 * 1024 * 1024
"""A longer length field is corruption: a record holds one response, under 512 KiB."""
RETRY_SECONDS: Final = 1.0  # between attempts to write while the disk refuses
COMPACT_BYTES: Final = 4 * 1024 * 1024
"""A log at least this long, and four times what its ledger needs, is rewritten."""
MAX_LAZY_RECORDS: Final = 256
"""Records that wait for company before they are written without a sync."""

_HEADER: Final = struct.Struct("<II")
_decoder: Final[msgspec.json.Decoder[Record]] = msgspec.json.Decoder(Record)
_encoder: Final = msgspec.json.Encoder()

Callback = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Loaded:
    """An attempt log read back. `quarantined` is where a corrupt tail went, or None."""

    records: list[Record]
    quarantined: Path | None


def frame(record: Record) -> bytes:
    """Return the bytes of one record in the file."""
    body = _encoder.encode(record)
    return _HEADER.pack(len(body), zlib.crc32(body)) + body


def parse(data: bytes) -> tuple[list[Record], int]:
    """Return the valid records at the start of `data`, and how many bytes they and the magic take."""
    if not data.startswith(MAGIC):
        return [], 0
    found: list[Record] = []
    position = len(MAGIC)
    while position + _HEADER.size <= len(data):
        length, checksum = _HEADER.unpack_from(data, position)
        body = data[position + _HEADER.size : position + _HEADER.size + length]
        if length > MAX_RECORD_BYTES or len(body) < length or zlib.crc32(body) != checksum:
            break
        try:
            found.append(_decoder.decode(body))
        except msgspec.MsgspecError:
            break
        position += _HEADER.size + length
    return found, position


def load(path: Path, quarantine: Path) -> Loaded:
    """Read the log at `path`, cutting a corrupt tail off into a new file under `quarantine`.

    Raises:
        OSError: the log cannot be read or cut.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return Loaded([], None)
    found, good_bytes = parse(data)
    if good_bytes == len(data):
        return Loaded(found, None)
    quarantine.mkdir(mode=0o700, parents=True, exist_ok=True)
    kept = quarantine / f"attempts-{good_bytes:x}-{zlib.crc32(data):08x}.bin"
    kept.write_bytes(data[good_bytes:])
    with path.open("r+b") as log:
        log.truncate(good_bytes)
        os.fsync(log.fileno())
    return Loaded(found, kept)


def sync(fd: int) -> None:
    """Wait until the file's bytes are on the disk itself.

    macOS answers `fsync` from the drive's cache; F_FULLFSYNC is its real one.
    """
    if sys.platform == "darwin":
        fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
    else:
        os.fdatasync(fd)


@dataclass(frozen=True, slots=True)
class _Append:
    records: Sequence[Record]
    then: Callback | None


class Journal:
    """The writer. All methods belong to the event loop's thread.

    Args:
        call_in_loop: runs a callback in the loop's thread (`loop.call_soon_threadsafe`).
        on_trouble: called in the loop with the error when the disk begins to refuse, and with None
            when it takes records again.
    """

    def __init__(
        self,
        path: Path,
        past: Sequence[Record],
        *,
        call_in_loop: Callable[[Callback], object],
        on_trouble: Callable[[OSError | None], None],
    ) -> None:
        self._path = path
        self._ledger = Ledger()
        for record in past:
            self._ledger.apply(record)
        self._call_in_loop = call_in_loop
        self._on_trouble = on_trouble
        self._inbox: queue.SimpleQueue[_Append | None] = queue.SimpleQueue()
        self._lazy: list[Record] = []
        self._outstanding = 0
        self._closing = threading.Event()
        self._fd, self._size = _open_for_append(path)
        self._compact_bytes = COMPACT_BYTES
        self._thread = threading.Thread(target=self._run, name="attempt-log", daemon=True)
        self._thread.start()

    def append(self, records: Sequence[Record], then: Callback) -> None:
        """Write `records` and call `then` in the loop when they and all before are on disk."""
        self._outstanding += 1
        if self._lazy:
            records = [*self._lazy, *records]
            self._lazy = []
        self._inbox.put(_Append(records, then))

    def append_lazily(self, record: Record) -> None:
        """Write `record` some time later, at the latest at `close`; a crash may lose it."""
        self._lazy.append(record)
        if len(self._lazy) >= MAX_LAZY_RECORDS:
            lazy, self._lazy = self._lazy, []
            self._inbox.put(_Append(lazy, None))

    def after_all(self, then: Callback) -> None:
        """Call `then` when everything appended so far is on disk; at once if it is."""
        if self._outstanding:
            self.append((), then)
        else:
            then()

    def close(self) -> None:
        """Write what waits and end the thread; while the disk refuses, what waits is given up."""
        if self._lazy:
            self._inbox.put(_Append(self._lazy, None))
            self._lazy = []
        self._closing.set()
        self._inbox.put(None)
        self._thread.join()
        os.close(self._fd)

    # --- the writer thread ---

    def _run(self) -> None:
        while True:
            batch, last = _take_all(self._inbox)
            if batch and not self._write(batch):
                return
            callbacks = [item.then for item in batch if item.then is not None]
            if callbacks:
                # A closed loop has nobody left who waits.
                with contextlib.suppress(RuntimeError):
                    self._call_in_loop(lambda done=callbacks: self._complete(done))
            if last:
                return
            if self._size >= self._compact_bytes:
                self._compact()

    def _complete(self, callbacks: list[Callback]) -> None:
        self._outstanding -= len(callbacks)
        for callback in callbacks:
            callback()

    def _write(self, batch: list[_Append]) -> bool:
        """Make the batch durable, however long it takes; False when closed before it was."""
        data = b"".join([frame(record) for item in batch for record in item.records])
        durable = any(item.then is not None and item.records for item in batch)
        troubled = False
        while data:
            try:
                _write_fully(self._fd, data)
                if durable:
                    sync(self._fd)
                break
            except OSError as exc:
                self._undo_partial_write()
                if not troubled:
                    troubled = True
                    self._tell_trouble(exc)
                if self._closing.wait(RETRY_SECONDS):
                    return False
        self._size += len(data)
        for item in batch:
            for record in item.records:
                self._ledger.apply(record)
        if troubled:
            self._tell_trouble(None)
        return True

    def _undo_partial_write(self) -> None:
        # Needs no space; if even this fails, the next load quarantines the torn tail.
        with contextlib.suppress(OSError):
            os.ftruncate(self._fd, self._size)

    def _tell_trouble(self, error: OSError | None) -> None:
        with contextlib.suppress(RuntimeError):
            self._call_in_loop(lambda: self._on_trouble(error))

    def _compact(self) -> None:
        """Replace the log by the shortest one with the same ledger, if that is a quarter of it."""
        data = MAGIC + b"".join([frame(record) for record in self._ledger.records()])
        self._compact_bytes = max(COMPACT_BYTES, 4 * len(data))
        if self._size < self._compact_bytes:
            return
        try:
            replace_durably(self._path, data)
            fd, size = _open_for_append(self._path)
        except OSError as exc:
            self._compact_bytes = 2 * self._size
            self._tell_trouble(exc)
            return
        os.close(self._fd)
        self._fd, self._size = fd, size


def replace_durably(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Replace the file at `path` by `data`, so that a crash leaves the old or the new, on disk."""
    fresh = path.with_name(path.name + ".new")
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    try:
        _write_fully(fd, data)
        os.fsync(fd)
    finally:
        os.close(fd)
    os.replace(fresh, path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _take_all(inbox: queue.SimpleQueue[_Append | None]) -> tuple[list[_Append], bool]:
    """Wait for one item, take all there are; the flag says that the last one was the end."""
    batch: list[_Append] = []
    item = inbox.get()
    while item is not None:
        batch.append(item)
        try:
            item = inbox.get_nowait()
        except queue.Empty:
            return batch, False
    return batch, True


def _write_fully(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _open_for_append(path: Path) -> tuple[int, int]:
    """Open the log, beginning it with its magic; return the descriptor and the size in bytes."""
    if not path.exists() or path.stat().st_size == 0:
        replace_durably(path, MAGIC)
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
    return fd, os.fstat(fd).st_size
