"""Who waits for which attempt's output: a bounded number of futures, woken by name."""

from __future__ import annotations

import asyncio

from hub.errors import Unavailable
from runtime.wire import AttemptId


class Waiters:
    """At most `limit` wait at once; one more is refused."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._count = 0
        self._futures: dict[AttemptId, set[asyncio.Future[None]]] = {}

    @property
    def count(self) -> int:
        return self._count

    async def wait_woken(self, attempt_id: AttemptId) -> None:
        """Wait for the next `wake` of this attempt. Raises Unavailable when too many wait."""
        if self._count >= self._limit:
            raise Unavailable("Too many observers follow task output.", code="too_many_observers")
        future = asyncio.get_running_loop().create_future()
        self._futures.setdefault(attempt_id, set()).add(future)
        self._count += 1
        try:
            await future
        finally:
            self._count -= 1
            waiting = self._futures.get(attempt_id, set())
            waiting.discard(future)
            if not waiting:
                self._futures.pop(attempt_id, None)

    def wake(self, attempt_id: AttemptId) -> None:
        for future in self._futures.pop(attempt_id, ()):
            if not future.done():
                future.set_result(None)

    def wake_all(self) -> None:
        for attempt in list(self._futures):
            self.wake(attempt)
