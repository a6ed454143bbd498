"""Long blocking work on files in threads of its own: counted while it runs, and ended by a cancellation."""

from __future__ import annotations

import asyncio
import errno
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Concatenate, Final, ParamSpec, TypeVar

from hub.errors import DriverFailed, HubError, StorageFull, Unavailable
from hub.threads import wait_done

P = ParamSpec("P")
T = TypeVar("T")

THREADS: Final = 4
LOOK_SECONDS: Final = 0.25
"""How often a caller that watches is told how far the work is."""
FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


class Abandoned(Exception):
    """Raised inside the work when nobody wants its result any more."""


class Meter:
    """Shared by the work and whoever waits for it."""

    def __init__(self) -> None:
        self.done_bytes = 0
        self._cancelled = threading.Event()
        self.on_cancel: Callable[[], None] | None = None
        """Ends what the work waits for; called from another thread."""

    def advance(self, size: int) -> None:
        """Count `size` bytes as done. Raises Abandoned."""
        self.done_bytes += size
        if self._cancelled.is_set():
            raise Abandoned

    def cancel(self) -> None:
        self._cancelled.set()
        if self.on_cancel is not None:
            self.on_cancel()


class Workers:
    """A few threads. What was begun is always waited for, so that whoever cleans up does not meet it."""

    def __init__(self, name: str, threads: int = THREADS) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._closed = False

    async def run(
        self,
        step: Callable[Concatenate[Meter, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Return what `step` returns; raises as `watched`."""
        return await self._run(lambda meter: step(meter, *args, **kwargs), None)

    async def watched(
        self,
        watch: Callable[[int], None],
        step: Callable[Concatenate[Meter, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Return what `step` returns; `watch` is told now and then how many bytes are done.

        Raises:
            StorageFull: the disk is full.
            DriverFailed: another error of the operating system.
            Unavailable: the hub stops.
        """
        return await self._run(lambda meter: step(meter, *args, **kwargs), watch)

    def close(self) -> None:
        """Let the threads end after their present work."""
        self._closed = True
        self._executor.shutdown(wait=False)

    async def _run(self, step: Callable[[Meter], T], watch: Callable[[int], None] | None) -> T:
        if self._closed:
            raise Unavailable("the hub stops")
        meter = Meter()
        future = asyncio.get_running_loop().run_in_executor(self._executor, step, meter)
        try:
            while watch is not None and not (await asyncio.wait([future], timeout=LOOK_SECONDS))[0]:
                watch(meter.done_bytes)
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            meter.cancel()
            await wait_done(future)
            raise
        except OSError as exc:
            raise translated(exc) from exc


def translated(error: OSError) -> HubError:
    """Return the hub's error for one of the operating system."""
    where = f" ({error.filename})" if error.filename else ""
    if error.errno in FULL:
        return StorageFull(
            f"the disk is full{where}",
            hint="Free space on the hub's machine: `clawtui snapshots list` shows what snapshots take.",
        )
    return DriverFailed(
        f"{error.strerror or error}{where}", hint="Check permissions and the disk of the hub's state folder."
    )
