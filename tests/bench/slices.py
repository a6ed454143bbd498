"""An event loop that knows how long its callbacks keep it: what a user interface costs the hub in the same loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextvars import Context
from typing import Any


class SlicedLoop(asyncio.SelectorEventLoop):
    """Counts the time in callbacks and steps of coroutines, not the waiting between them."""

    busy_seconds = 0.0
    cpu_seconds = 0.0
    """The part of it that this thread computed; the rest is what other programs and threads took meanwhile."""
    longest_seconds = 0.0
    longest_cpu_seconds = 0.0
    """The most that this thread computed in one of them: other programs on the same cores lengthen the wall time."""

    def start_counting(self) -> None:
        self.busy_seconds = 0.0
        self.cpu_seconds = 0.0
        self.longest_seconds = 0.0
        self.longest_cpu_seconds = 0.0

    def call_soon(
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:  # fmt: skip
        return super().call_soon(self._timed, callback, args, context=context)

    def call_soon_threadsafe(
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:  # fmt: skip
        return super().call_soon_threadsafe(self._timed, callback, args, context=context)

    def call_at(
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:  # fmt: skip
        return super().call_at(when, self._timed, callback, args, context=context)

    def _timed(self, callback: Callable[..., object], args: tuple[Any, ...]) -> None:
        started, computed = time.perf_counter(), time.thread_time()
        try:
            callback(*args)
        finally:
            took, cpu = time.perf_counter() - started, time.thread_time() - computed
            self.busy_seconds += took
            self.cpu_seconds += cpu
            self.longest_seconds = max(self.longest_seconds, took)
            self.longest_cpu_seconds = max(self.longest_cpu_seconds, cpu)
