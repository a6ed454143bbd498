"""Sends the output of all attempts: chunks, one window for the agent, resend from an offset.

At most 1 MiB of raw output is on its way without the hub's acknowledgement. A response goes out
behind its attempt's output, so that a hub which has the result has the output too; but output may
be cut and results may not, so a response that has waited for its output too long goes first.
"""

from __future__ import annotations

import asyncio
import base64
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from runtime.output import SEGMENT_BYTES, Run, Spool, folder_of, recover
from runtime.wire import (
    MAX_LOG_CHUNK_BYTES,
    OUTPUT_WINDOW_BYTES,
    AttemptId,
    Encoding,
    Log,
    Response,
    Stream,
)

FLUSH_SECONDS: Final = 0.1
"""Output waits this long for company (protocol: chunks are flushed every 100 ms)."""
RESPONSE_PATIENCE_SECONDS: Final = 10.0
"""A response waits this long for its output to be sent."""


@dataclass(slots=True)
class _Sending:
    attempt_id: AttemptId
    spool: Spool
    cursor: int = 0
    acked: int = 0
    in_flight: deque[tuple[int, int]] = field(default_factory=deque[tuple[int, int]])
    response: Response | None = None
    patience: asyncio.TimerHandle | None = None
    released: bool = False

    def unacked_bytes(self) -> int:
        return sum(size for _, size in self.in_flight)


class OutputSender:
    """Owner of all spools. All methods belong to the event loop's thread.

    Args:
        root: folder of the spools.
        send_log, send_response: queue a message for the hub; called only between `connected` and
            `disconnected`.
    """

    def __init__(
        self,
        root: Path,
        send_log: Callable[[Log], None],
        send_response: Callable[[Response], None],
        *,
        window_bytes: int = OUTPUT_WINDOW_BYTES,
        segment_bytes: int = SEGMENT_BYTES,
    ) -> None:
        self._root = root
        self._send_log = send_log
        self._send_response = send_response
        self._window_bytes = window_bytes
        self._segment_bytes = segment_bytes
        self._sending: OrderedDict[AttemptId, _Sending] = OrderedDict()
        self._unacked_bytes = 0
        self._connected = False
        self._flush_timer: asyncio.TimerHandle | None = None

    # --- from the executors ---

    def write(self, attempt_id: AttemptId, stream: Stream, data: bytes) -> None:
        """Add output of a running attempt."""
        sending = self._sending.get(attempt_id)
        if sending is None:
            spool = Spool(folder_of(self._root, attempt_id), self._segment_bytes)
            sending = self._sending[attempt_id] = _Sending(attempt_id, spool)
        sending.spool.write(stream, data)
        if sending.spool.readable_end() - sending.cursor >= MAX_LOG_CHUNK_BYTES:
            self._pump()
        self._ensure_flush()

    def beyond_head(self, attempt_id: AttemptId) -> bool:
        """Return whether what the attempt writes now is held back, and may be cut."""
        sending = self._sending.get(attempt_id)
        return sending is not None and sending.spool.beyond_head

    def finish(self, attempt_id: AttemptId) -> bool:
        """Say that the attempt writes no more; return whether its output is complete."""
        sending = self._sending.get(attempt_id)
        if sending is None:
            return True
        sending.spool.finish()
        self._pump()
        return not sending.spool.cut

    def recover(self, attempt_id: AttemptId) -> None:
        """Take over what a former agent process kept of an attempt's output."""
        spool = recover(folder_of(self._root, attempt_id), self._segment_bytes)
        self._sending[attempt_id] = _Sending(attempt_id, spool)

    def discard_unknown(self) -> None:
        """Delete spools of attempts that were not recovered; only at start."""
        known = {sending.spool.folder.name for sending in self._sending.values()}
        if self._root.is_dir():
            for folder in self._root.iterdir():
                if folder.name not in known:
                    leftover = recover(folder, self._segment_bytes)
                    leftover.remove()

    # --- from the hub ---

    def end_offset(self, attempt_id: AttemptId) -> int:
        """Return how many bytes of output the attempt has written so far."""
        sending = self._sending.get(attempt_id)
        return 0 if sending is None else sending.spool.end

    def connected(self) -> None:
        self._connected = True

    def disconnected(self) -> None:
        """What was on its way counts as not sent; released output is not needed any more."""
        self._connected = False
        self._unacked_bytes = 0
        for attempt_id, sending in list(self._sending.items()):
            sending.in_flight.clear()
            sending.cursor = sending.acked
            self._forget_response(sending)
            if sending.released:
                self._remove(attempt_id)

    def resume(self, attempt_id: AttemptId, offset: int | None) -> None:
        """Send from `offset`, or from what was last acknowledged."""
        sending = self._sending.get(attempt_id)
        if sending is None:
            return
        self._unacked_bytes -= sending.unacked_bytes()
        sending.in_flight.clear()
        sending.cursor = sending.acked if offset is None else max(offset, 0)
        sending.acked = min(sending.acked, sending.cursor) if offset is None else sending.cursor
        self._pump()

    def ack(self, attempt_id: AttemptId, offset: int) -> None:
        """Take the hub's word that it holds the output up to `offset`."""
        sending = self._sending.get(attempt_id)
        if sending is None:
            return
        sending.acked = max(sending.acked, min(offset, sending.spool.end))
        while sending.in_flight and sending.in_flight[0][0] <= offset:
            self._unacked_bytes -= sending.in_flight.popleft()[1]
        if sending.released and not sending.in_flight and self._all_sent(sending):
            self._remove(attempt_id)
        self._pump()

    def report(self, response: Response) -> None:
        """Send a response as soon as its attempt's output has been sent, at the latest in 10 s."""
        sending = self._sending.get(response.attempt_id) if response.attempt_id is not None else None
        if not self._connected:
            return
        if sending is None or self._all_sent(sending):
            self._send_response(response)
            return
        self._forget_response(sending)
        sending.response = response
        sending.patience = asyncio.get_running_loop().call_later(
            RESPONSE_PATIENCE_SECONDS, self._send_held_response, sending
        )

    def release(self, attempt_id: AttemptId) -> None:
        """The attempt is forgotten; its output goes when what was sent of it is acknowledged."""
        sending = self._sending.get(attempt_id)
        if sending is None:
            return
        self._forget_response(sending)
        sending.released = True
        if not self._connected or (not sending.in_flight and self._all_sent(sending)):
            self._remove(attempt_id)

    def close(self) -> None:
        """Stop sending and release descriptors; the files stay for the next start."""
        if self._flush_timer is not None:
            self._flush_timer.cancel()
        for sending in self._sending.values():
            sending.spool.flush()
            sending.spool.close()
            self._forget_response(sending)

    # --- inside ---

    def _ensure_flush(self) -> None:
        if self._flush_timer is None:
            self._flush_timer = asyncio.get_running_loop().call_later(FLUSH_SECONDS, self._flush)

    def _flush(self) -> None:
        self._flush_timer = None
        for sending in self._sending.values():
            if sending.spool.staged_bytes:
                sending.spool.flush()
        self._pump(partial=True)

    def _pump(self, *, partial: bool = False) -> None:
        """Send chunks round robin while the window is open; short ones only if `partial`."""
        if not self._connected:
            return
        waiting = deque(self._sending.values())
        while waiting and self._unacked_bytes < self._window_bytes:
            sending = waiting.popleft()
            if self._send_chunk(sending, partial or sending.spool.finished):
                waiting.append(sending)
                # Whoever was served goes to the end of the row for the next pump too.
                self._sending.move_to_end(sending.attempt_id)
            elif sending.response is not None and self._all_sent(sending):
                self._send_held_response(sending)
            elif not partial and sending.cursor < sending.spool.readable_end():
                self._ensure_flush()

    def _send_chunk(self, sending: _Sending, partial: bool) -> bool:
        available = sending.spool.readable_end() - sending.cursor
        if available <= 0 or (available < MAX_LOG_CHUNK_BYTES and not partial):
            return False
        limit = min(MAX_LOG_CHUNK_BYTES, self._window_bytes - self._unacked_bytes)
        run = sending.spool.read(sending.cursor, limit)
        data = b"" if run is None else _whole_characters(run, sending.spool.finished)
        if run is None or not data:
            return False
        text, encoding = _encode(data)
        self._send_log(
            Log(
                data=text,
                attempt_id=sending.attempt_id,
                stream=run.stream,
                offset=run.offset,
                encoding=encoding,
                skipped=run.offset - sending.cursor,
            )
        )
        sending.cursor = run.offset + len(data)
        sending.in_flight.append((sending.cursor, len(data)))
        self._unacked_bytes += len(data)
        return True

    def _all_sent(self, sending: _Sending) -> bool:
        return sending.cursor >= sending.spool.readable_end() and sending.spool.finished

    def _send_held_response(self, sending: _Sending) -> None:
        response = sending.response
        self._forget_response(sending)
        if response is not None:
            self._send_response(response)

    def _forget_response(self, sending: _Sending) -> None:
        sending.response = None
        if sending.patience is not None:
            sending.patience.cancel()
            sending.patience = None

    def _remove(self, attempt_id: AttemptId) -> None:
        sending = self._sending.pop(attempt_id)
        self._unacked_bytes -= sending.unacked_bytes()
        sending.spool.remove()


def _whole_characters(run: Run, finished: bool) -> bytes:
    """Return the run's bytes without an unfinished UTF-8 character at the end, if more may come."""
    cut = _unfinished_bytes(run.data)
    if cut == 0 or (not run.more and finished):
        return run.data
    if cut == len(run.data) and run.more:
        # Another stream follows directly, or the window is this small: it will never be whole here.
        return run.data
    return run.data[:-cut]


def _unfinished_bytes(data: bytes) -> int:
    """Return how many bytes at the end are the beginning of a UTF-8 character."""
    for back in range(1, min(3, len(data)) + 1):
        byte = data[-back]
        if byte >= 0xC0:
            needed = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return back if needed > back else 0
        if byte < 0x80:
            return 0
    return 0


def _encode(data: bytes) -> tuple[str, Encoding]:
    try:
        return data.decode(), Encoding.UTF8
    except UnicodeDecodeError:
        return base64.b64encode(data).decode("ascii"), Encoding.BASE64
