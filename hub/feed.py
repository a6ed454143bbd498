"""Who wants to know hears what changed: bounded publish and subscribe inside the hub.

Events name what changed and carry no content; an observer reads again what it shows. A slow observer
loses events and is told so by a `gap`; it never slows the hub and never makes it grow.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from hub.contract import Event
from hub.core.view import rfc3339
from hub.errors import Unavailable

GAP: Final = "gap"
"""The kind of an event that says: events were dropped for this observer, read everything again."""
DEFAULT_SUBSCRIBER_EVENTS: Final = 1_024
"""Events kept for one observer that is behind; at the next one all of them become a gap."""
DEFAULT_WAITERS: Final = 4_096
"""Long polls that may wait at the same time."""


class _Change(NamedTuple):
    """An event before anybody asked for it; made into an `Event` only when it is delivered."""

    seq: int
    kind: str
    id: str
    gone: bool
    at_ms: int
    agent: str
    data: Any


class Feed:
    """Numbers changes and hands them to observers. Belongs to one event loop; nothing here blocks.

    `seq` counts up from `first_seq` + 1 within one `run` of the hub. A hub that passes a `first_seq`
    that grows from run to run makes a `since` of an earlier run a gap instead of a wrong replay.
    """

    def __init__(
        self,
        hub_id: str,
        run: str,
        capacity: int,
        *,
        first_seq: int = 0,
        subscriber_events: int = DEFAULT_SUBSCRIBER_EVENTS,
        max_waiters: int = DEFAULT_WAITERS,
        clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        on_gap: Callable[[], None] = lambda: None,
    ) -> None:
        self.hub_id = hub_id
        self.run = run
        self.seq = first_seq
        self._ring: deque[_Change] = deque(maxlen=capacity)
        self._subscriber_events = subscriber_events
        self._subscribers: set[Subscription] = set()
        self._waiters: dict[tuple[str, str], set[asyncio.Future[None]]] = {}
        self._waiting = 0
        self._max_waiters = max_waiters
        self._clock_ms = clock_ms
        self._on_gap = on_gap
        self._closed = False

    @property
    def subscribers(self) -> int:
        return len(self._subscribers)

    @property
    def waiting(self) -> int:
        """Long polls that wait for a change."""
        return self._waiting

    @property
    def deepest(self) -> int:
        """Events that wait for the observer who is furthest behind."""
        return max((subscriber.pending for subscriber in self._subscribers), default=0)

    def publish(self, kind: str, id: str, gone: bool = False, *, agent: str = "", data: Any = None) -> None:
        """Tell everybody that `id` changed; `agent`: whose task it is. Never waits, never fails."""
        self.seq += 1
        change = _Change(self.seq, kind, id, gone, self._clock_ms(), agent, data)
        self._ring.append(change)
        for subscriber in self._subscribers:
            subscriber._offer(change)
        if self._waiters:
            self._wake((kind, id))

    def announce_gap(self) -> None:
        """Everything may have changed, for instance because state was rebuilt: all observers read again."""
        self.seq += 1
        self._ring.clear()
        for subscriber in self._subscribers:
            subscriber._lose()
        for key in list(self._waiters):
            self._wake(key)

    def subscribe(self, since: int | None = None) -> Subscription:
        """Changes from now on, or all after `since`; a gap comes first when those are no longer known.

        Use it as `async with feed.subscribe(since) as changes: async for event in changes`.
        """
        return Subscription(self, since, self._subscriber_events)

    async def wait_for(self, kind: str, id: str) -> None:
        """Wait for the next change of `id`; the caller sets the timeout.

        Read the state first, with no `await` in between, then nothing is missed.
        Raises Unavailable when too many wait already, and when the hub stops.
        """
        self._refuse_when_closed()
        if self._waiting >= self._max_waiters:
            raise Unavailable(
                f"{self._max_waiters} requests wait for changes already",
                code="too_many_waiters",
                hint="ask again without waiting, or observe /events",
                retry_after_seconds=1.0,
            )
        key = (kind, id)
        future = asyncio.get_running_loop().create_future()
        self._waiters.setdefault(key, set()).add(future)
        self._waiting += 1
        try:
            await future
        finally:
            self._waiting -= 1
            if (left := self._waiters.get(key)) is not None:
                left.discard(future)
                if not left:
                    del self._waiters[key]
        self._refuse_when_closed()

    def close(self) -> None:
        """End every subscription after what it still holds, and wake whoever waits."""
        self._closed = True
        for subscriber in self._subscribers:
            subscriber._close()
        for key in list(self._waiters):
            self._wake(key)

    # --- for Subscription -----------------------------------------------------------------------

    def _replay(self, since: int) -> list[_Change] | None:
        """The changes after `since`, or None when some of them are not known any more."""
        if since == self.seq:
            return []
        # Everything in the ring is consecutive, so its first number says how far back it goes.
        if since > self.seq or not self._ring or self._ring[0].seq > since + 1:
            return None
        return [change for change in self._ring if change.seq > since]

    def _event(self, change: _Change) -> Event:
        return Event(
            seq=change.seq,
            run=self.run,
            kind=change.kind,
            id=change.id,
            gone=change.gone,
            at=rfc3339(change.at_ms) or "",
            agent=change.agent,
            data=change.data,
        )

    def _gap(self, seq: int) -> Event:
        return Event(seq=seq, run=self.run, kind=GAP, at=rfc3339(self._clock_ms()) or "")

    # --- inside ---------------------------------------------------------------------------------

    def _wake(self, key: tuple[str, str]) -> None:
        for future in self._waiters.pop(key, ()):
            if not future.done():
                future.set_result(None)

    def _refuse_when_closed(self) -> None:
        if self._closed:
            raise Unavailable("the hub is stopping", code="stopping", retry_after_seconds=1.0)


class Subscription:
    """One observer's share of the feed. Holds a bounded number of changes."""

    def __init__(self, feed: Feed, since: int | None, limit: int) -> None:
        self._feed = feed
        self._since = since
        self._limit = limit
        self._pending: deque[_Change] = deque()
        self._gap_seq: int | None = None
        self._ready = asyncio.Event()
        self._closed = False

    @property
    def pending(self) -> int:
        """Changes that wait to be taken."""
        return len(self._pending)

    async def __aenter__(self) -> Self:
        feed = self._feed
        self._closed = feed._closed
        if self._since is not None:
            replay = feed._replay(self._since)
            if replay is None or len(replay) > self._limit:
                self._lose()
            else:
                self._pending.extend(replay)
        feed._subscribers.add(self)
        if self._pending or self._closed:
            self._ready.set()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._feed._subscribers.discard(self)
        self._pending.clear()
        self._close()

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        await self._ready.wait()
        if self._gap_seq is not None:
            event = self._feed._gap(self._gap_seq)
            self._gap_seq = None
        elif self._pending:
            event = self._feed._event(self._pending.popleft())
        else:
            raise StopAsyncIteration
        if not self._pending and not self._closed:
            self._ready.clear()
        return event

    # --- for Feed -------------------------------------------------------------------------------

    def _offer(self, change: _Change) -> None:
        if len(self._pending) >= self._limit:
            self._lose()
        else:
            self._pending.append(change)
            self._ready.set()

    def _lose(self) -> None:
        """Drop what waits and put one gap in its place; what follows comes after the gap."""
        if self._gap_seq is None:
            self._feed._on_gap()
        self._pending.clear()
        self._gap_seq = self._feed.seq
        self._ready.set()

    def _close(self) -> None:
        self._closed = True
        self._ready.set()
