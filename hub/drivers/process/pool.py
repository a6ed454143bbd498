"""The driver's own bounded threads for what blocks: never the event loop, never its default executor."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, ParamSpec, TypeVar

from hub.errors import DriverFailed, Unavailable
from hub.threads import wait_done

P = ParamSpec("P")
T = TypeVar("T")

THREADS: Final = 8
"""Steps are short: files, the process table, a fork."""


class Pool:
    """Runs blocking steps. A step that was begun is always waited for, also when the caller is
    cancelled: whoever cleans up afterwards must not meet a step that still runs."""

    def __init__(self, name: str) -> None:
        self._executor = ThreadPoolExecutor(THREADS, thread_name_prefix=name)
        self._closed = False

    async def run(self, step: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what `step` returns.

        Raises:
            DriverFailed: the step failed with an error of the operating system.
            Unavailable: the driver was stopped.
        """
        future = self.begin(step, *args, **kwargs)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            await wait_done(future)
            raise
        except OSError as exc:
            where = f" ({exc.filename})" if exc.filename else ""
            raise DriverFailed(
                f"{exc.strerror or exc}{where}",
                hint="Check free space and permissions of the hub's state folder.",
                driver="process",
            ) from exc

    def begin(self, step: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[T]:
        """Begin a step whose end the caller learns by a callback; it must look at the error."""
        if self._closed:
            raise Unavailable("the process driver has been stopped", driver="process")
        loop = asyncio.get_running_loop()
        return loop.run_in_executor(self._executor, lambda: step(*args, **kwargs))

    def close(self) -> None:
        """Let the threads end after their present step."""
        self._closed = True
        self._executor.shutdown(wait=False)
