"""The output store: appends on the event loop, reads and clean-up in threads of its own.

An append is at most 32 KiB into the page cache and costs about as much as handing it to a thread
would; everything that may touch the disk for longer runs elsewhere.
"""

from __future__ import annotations

import asyncio
import os
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeVar

from hub.core.model import TaskId, parse_attempt_id
from hub.errors import Unavailable
from hub.output import backwards, reading, retention
from hub.output.files import (
    FRAME_BYTES,
    MAX_OFFSET,
    Head,
    State,
    open_file,
    path_of,
    recover,
    translate,
    write_record,
)
from hub.output.reading import START, OutputPiece, Place
from hub.output.retention import OutputPurged
from hub.output.waiting import Waiters
from runtime.wire import MAX_LOG_CHUNK_BYTES, MAX_TASK_OUTPUT_BYTES, AttemptId, Stream

T = TypeVar("T")

OPEN_ATTEMPTS: Final = 128
"""Attempts with an open file: well below macOS's default of 256 files per process."""
REMEMBERED_ATTEMPTS: Final = 20_000
"""Attempts whose end is known without looking at the disk."""
REMEMBERED_PLACES: Final = 1_000
"""Attempts of which is known where in the file the last read ended."""
MAX_WAITERS: Final = 10_000
UNKNOWN: Final = -1
"""`State.end` of an attempt whose file has not been looked at."""
READ_THREADS: Final = 2
_BLOCK_BYTES: Final = 4_096
"""What a new file occupies, for the running total."""


class OutputStore:
    """Output of all attempts below one folder. One event loop calls it; it never blocks for long."""

    def __init__(
        self,
        folder: Path,
        *,
        max_attempt_bytes: int = MAX_TASK_OUTPUT_BYTES,
        open_attempts: int = OPEN_ATTEMPTS,
        remembered_attempts: int = REMEMBERED_ATTEMPTS,
        max_waiters: int = MAX_WAITERS,
    ) -> None:
        """`max_attempt_bytes`: agents cut their output themselves; this bounds those that do not."""
        self._folder = folder
        self._max_attempt_bytes = max_attempt_bytes
        self._open_attempts = open_attempts
        self._remembered_attempts = remembered_attempts
        self._waiters = Waiters(max_waiters)
        self._states: OrderedDict[AttemptId, State] = OrderedDict()
        self._handles: OrderedDict[AttemptId, int] = OrderedDict()
        self._places: OrderedDict[AttemptId, Place] = OrderedDict()
        self._total_bytes = 0
        self._closed = False
        self._threads = ThreadPoolExecutor(READ_THREADS, thread_name_prefix="output")
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    @property
    def open_files(self) -> int:
        return len(self._handles)

    @property
    def readers(self) -> int:
        """Observers who wait for more output."""
        return self._waiters.count

    def close(self) -> None:
        """Close all files and wake everybody who waits; running reads finish."""
        self._closed = True
        while self._handles:
            self._close_oldest()
        self._waiters.wake_all()
        self._threads.shutdown(wait=True)

    # --- writing

    def append(
        self, attempt_id: AttemptId, offset: int, data: bytes, stream: Stream = Stream.STDOUT, skipped: int = 0
    ) -> int:
        """Add a chunk and return the raw offset that is wanted next: what may be acknowledged.

        What is here already is ignored. A chunk that leaves a gap is not taken, unless `skipped`
        says that the bytes of the gap are gone. Raises BadRequest for a bad id, StorageFull and
        Unavailable; the same call may be made again later.
        """
        state = self._state(attempt_id)
        if offset < 0 or skipped < 0 or offset + len(data) > MAX_OFFSET:
            return state.end
        if offset + len(data) <= state.end or offset - skipped > state.end:
            return state.end
        if offset < state.end:
            data, offset = data[state.end - offset :], state.end
        try:
            for chunk in _chunks(data):
                self._append(attempt_id, state, offset, chunk, stream)
                offset += len(chunk)
        except OSError as exc:
            raise translate(exc) from exc
        finally:
            self._waiters.wake(attempt_id)
        return state.end

    def offset(self, attempt_id: AttemptId) -> int:
        """Return the raw offset that is wanted next. Raises BadRequest for a bad id."""
        return self._state(attempt_id).end

    def finish(self, attempt_id: AttemptId) -> None:
        """No more output will come: wake those who wait for it. Never raises.

        Output that comes all the same (a late result's) is taken and ends this.
        """
        self._close(attempt_id)
        state = self._states.get(attempt_id)
        if state is not None:
            state.finished = True
        elif parse_attempt_id(attempt_id) is not None:
            self._remember(attempt_id, State("", end=UNKNOWN, finished=True))
        self._waiters.wake(attempt_id)

    # --- reading

    async def read(self, attempt_id: AttemptId, offset: int, limit: int) -> list[OutputPiece]:
        """Return what follows raw offset `offset`, about `limit` bytes at most; empty at the end.

        Continue at `pieces[-1].end`. Raises BadRequest for a bad id.
        """
        path = path_of(self._folder, attempt_id)
        known = self._states.get(attempt_id)
        # The loop changes a state while the thread reads; the thread gets its own moment.
        moment = None if known is None or known.end == UNKNOWN else replace(known)
        place = self._places.get(attempt_id, START)
        pieces, place = await self._in_thread(
            lambda: reading.read(recover(path) if moment is None else moment, offset, limit, place)
        )
        self._places[attempt_id] = place
        self._places.move_to_end(attempt_id)
        if len(self._places) > REMEMBERED_PLACES:
            self._places.popitem(last=False)
        return pieces

    async def read_back(self, attempt_id: AttemptId, before: int | None, limit: int) -> list[OutputPiece]:
        """Return the last `limit` bytes (1 MiB at most) before raw offset `before` (None: the end); empty: none.

        The page before ends at `pieces[0].offset - pieces[0].skipped`. Raises BadRequest for a bad id.
        """
        path = path_of(self._folder, attempt_id)
        known = self._states.get(attempt_id)
        moment = None if known is None or known.end == UNKNOWN else replace(known)
        return await self._in_thread(
            lambda: backwards.read_back(recover(path) if moment is None else moment, before, limit)
        )

    async def wait_more(self, attempt_id: AttemptId, offset: int) -> bool:
        """Wait until there is output beyond `offset` (True) or no more will come (False).

        After a restart of the hub nothing is known to be finished: look at the task's own state
        first, and wait with a timeout. Raises Unavailable when too many wait, BadRequest.
        """
        while True:
            if self.offset(attempt_id) > offset:
                return True
            if self._states[attempt_id].finished or self._closed:
                return False
            await self._waiters.wait_woken(attempt_id)

    # --- care

    async def purge(self, older_than_ms: int, max_bytes: int, keep: Collection[TaskId] = frozenset()) -> OutputPurged:
        """Remove output last written before `older_than_ms` (since the epoch), then the oldest until
        `max_bytes` remain. Never that of `keep`, nor of an attempt that this hub has seen unfinished.
        """

        def kept(attempt: AttemptId) -> bool:
            state = self._states.get(attempt)
            parsed = parse_attempt_id(attempt)
            return (state is not None and not state.finished) or (parsed is not None and parsed[0] in keep)

        done = await self._in_thread(lambda: retention.purge(self._folder, older_than_ms, max_bytes, kept))
        self._forget(done.attempts)
        self._total_bytes = done.total_bytes
        return done

    async def remove(self, task_ids: Iterable[TaskId]) -> None:
        """Remove all output of these tasks, which have ended."""
        tasks = set(task_ids)
        self._forget([a for a in self._states if (parsed := parse_attempt_id(a)) and parsed[0] in tasks])
        freed = await self._in_thread(lambda: retention.remove(self._folder, tasks))
        self._total_bytes = max(0, self._total_bytes - freed)

    async def measure(self) -> int:
        """Count what is on the disk anew; call it once at the start."""
        self._total_bytes = await self._in_thread(lambda: retention.measure(self._folder))
        return self._total_bytes

    def total_bytes(self) -> int:
        """Return about how much all output occupies, as of the last `measure` or `purge` and since."""
        return self._total_bytes

    # --- parts

    def _append(self, attempt_id: AttemptId, state: State, offset: int, data: bytes, stream: Stream) -> None:
        """Write one chunk behind the last one. Raises OSError; then the state is as before."""
        if state.kept + len(data) > self._max_attempt_bytes:
            self._cut(attempt_id, state, offset + len(data), stream)
            return
        head = Head(offset, state.kept, len(data), stream)
        write_record(self._file(attempt_id, state), state.size, head, data)
        state.end = head.end
        state.kept += len(data)
        state.size += FRAME_BYTES + len(data)
        state.mark = None
        state.finished = False
        self._total_bytes += FRAME_BYTES + len(data)

    def _cut(self, attempt_id: AttemptId, state: State, end: int, stream: Stream) -> None:
        """Count the bytes without keeping them: one mark at the end grows with them."""
        mark = state.size if state.mark is None else state.mark
        write_record(self._file(attempt_id, state), mark, Head(end, state.kept, 0, stream), b"")
        state.end, state.size, state.mark, state.finished = end, mark + FRAME_BYTES, mark, False

    def _state(self, attempt_id: AttemptId) -> State:
        state = self._states.get(attempt_id)
        if state is not None and state.end != UNKNOWN:
            self._states.move_to_end(attempt_id)
            return state
        finished = state is not None and state.finished
        try:
            state = recover(path_of(self._folder, attempt_id))
        except OSError as exc:
            raise translate(exc) from exc
        state.finished = finished
        self._remember(attempt_id, state)
        return state

    def _remember(self, attempt_id: AttemptId, state: State) -> None:
        self._states[attempt_id] = state
        if len(self._states) > self._remembered_attempts:
            oldest, _ = self._states.popitem(last=False)
            self._close(oldest)

    def _file(self, attempt_id: AttemptId, state: State) -> int:
        found = self._handles.get(attempt_id)
        if found is not None:
            self._handles.move_to_end(attempt_id)
            return found
        if len(self._handles) >= self._open_attempts:
            self._close_oldest()
        opened = self._handles[attempt_id] = open_file(state)
        if state.size == 0:
            self._total_bytes += _BLOCK_BYTES
        return opened

    def _close(self, attempt_id: AttemptId) -> None:
        descriptor = self._handles.pop(attempt_id, None)
        if descriptor is not None:
            os.close(descriptor)

    def _close_oldest(self) -> None:
        self._close(next(iter(self._handles)))

    def _forget(self, attempts: Iterable[AttemptId]) -> None:
        for attempt in attempts:
            self._close(attempt)
            self._states.pop(attempt, None)
            self._places.pop(attempt, None)
            self._waiters.wake(attempt)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        if self._closed:
            raise Unavailable("The output store is closed.", retryable=False)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except OSError as exc:
            raise translate(exc) from exc


def _chunks(data: bytes) -> Iterable[bytes]:
    """Cut into pieces that are cheap to check and to read; nothing is one empty piece."""
    if len(data) <= MAX_LOG_CHUNK_BYTES:
        return (data,)
    return (data[at : at + MAX_LOG_CHUNK_BYTES] for at in range(0, len(data), MAX_LOG_CHUNK_BYTES))
