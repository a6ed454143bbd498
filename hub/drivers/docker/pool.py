"""The driver's own bounded threads: control calls share eight, every live stream has one.

Never the event loop, never its default executor: docker-py blocks, and a stalled engine must not
stall anything else of the hub.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

import structlog

from hub.drivers.docker.engine import DOCTOR, NAME, Call, Connect, Engine, EngineStream, EngineUnreachable
from hub.errors import HubError, Unavailable

P = ParamSpec("P")
T = TypeVar("T")

THREADS: Final = 8
STEP_DEADLINE_SECONDS: Final = 120.0
"""For one step of several short calls."""
CLOSE_DEADLINE_SECONDS: Final = 10.0
MAX_STREAMS: Final = 128
"""Live logs, builds and the event stream together."""
PARTS_IN_FLIGHT: Final = 8
"""Parts of at most 64 KiB between a stream's thread and its reader; then the thread waits."""

_log = structlog.get_logger(__name__)


class Pool:
    """Runs steps, blocking functions of an engine. A step that was begun is always waited for,
    also when the caller is cancelled: whoever cleans up must not meet a step that still runs."""

    def __init__(self, connect: Connect, *, deadline_seconds: float = STEP_DEADLINE_SECONDS) -> None:
        self._connect = connect
        self._deadline_seconds = deadline_seconds
        self._executor = ThreadPoolExecutor(THREADS, thread_name_prefix="docker-driver")
        self._mine = threading.local()
        self._engines: set[Engine] = set()
        self._lock = threading.Lock()
        self._running: set[asyncio.Future[Any]] = set()
        self._closed = False

    async def run(self, step: Callable[Concatenate[Engine, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what `step` returns; see `run_within`."""
        return await self.run_within(self._deadline_seconds, step, *args, **kwargs)

    async def run_within(
        self,
        deadline_seconds: float,
        step: Callable[Concatenate[Engine, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Return what `step` returns.

        Raises:
            EngineUnreachable: not done within the deadline.
            Unavailable: the driver was stopped.
        """
        if self._closed:
            raise Unavailable("the Docker driver has been stopped", driver=NAME)
        loop = asyncio.get_running_loop()
        future = loop.run_in_executor(self._executor, lambda: self._in_thread(step, *args, **kwargs))
        self._running.add(future)
        future.add_done_callback(self._done)
        try:
            async with asyncio.timeout(deadline_seconds):
                return await asyncio.shield(future)
        except TimeoutError as exc:
            raise EngineUnreachable(
                f"the Docker engine did not finish within {deadline_seconds:.0f} s", hint=DOCTOR, driver=NAME
            ) from exc
        except asyncio.CancelledError:
            await wait_ended(future, deadline_seconds)
            raise

    async def close(self) -> None:
        """Refuse new steps, wait for those that run, and give the connections back."""
        self._closed = True
        for future in list(self._running):
            await wait_ended(future, CLOSE_DEADLINE_SECONDS)
        self._executor.shutdown(wait=False)
        with self._lock:
            engines, self._engines = self._engines, set()
        for engine in engines:
            engine.close()

    def _done(self, future: asyncio.Future[Any]) -> None:
        self._running.discard(future)
        if not future.cancelled():
            # An abandoned step's error was reported as the timeout or the cancellation.
            future.exception()

    def _in_thread(self, step: Callable[Concatenate[Engine, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        engine = self._engine()
        try:
            return step(engine, *args, **kwargs)
        except EngineUnreachable:
            self._drop(engine)
            raise
        finally:
            if self._closed:
                self._drop(engine)

    def _engine(self) -> Engine:
        engine: Engine | None = getattr(self._mine, "engine", None)
        if engine is None:
            engine = self._connect()
            self._mine.engine = engine
            with self._lock:
                self._engines.add(engine)
        return engine

    def _drop(self, engine: Engine) -> None:
        self._mine.engine = None
        with self._lock:
            mine = engine in self._engines
            self._engines.discard(engine)
        if mine:
            engine.close()


class Streams:
    """Opens live streams, at most `most` at once, and closes what is left of them at the end."""

    def __init__(self, connect: Connect, *, most: int = MAX_STREAMS) -> None:
        self._connect = connect
        self._most = most
        self._open: set[LiveStream] = set()
        self._closed = False

    async def open(self, call: Call) -> LiveStream:
        """Return the stream once the answer has begun; the caller closes it.

        Raises:
            Unavailable: too many are open, or the driver was stopped.
        """
        if self._closed or len(self._open) >= self._most:
            reason = "the Docker driver has been stopped" if self._closed else f"{self._most} streams are open already"
            raise Unavailable(reason, driver=NAME)
        stream = LiveStream(self._connect, call)
        self._open.add(stream)
        stream.ended.add_done_callback(lambda _: self._open.discard(stream))
        try:
            await stream.wait_opened(call.timeout_seconds + CLOSE_DEADLINE_SECONDS)
        except BaseException:
            await stream.close()
            raise
        return stream

    async def close(self) -> None:
        self._closed = True
        for stream in list(self._open):
            await stream.close()


class LiveStream:
    """One engine stream read by a thread of its own. All public methods are for the loop."""

    def __init__(self, connect: Connect, call: Call) -> None:
        self._loop = asyncio.get_running_loop()
        self._parts: asyncio.Queue[bytes] = asyncio.Queue()
        self._credits = threading.Semaphore(PARTS_IN_FLIGHT)
        self._lock = threading.Lock()
        self._stream: EngineStream | None = None
        self._cancelled = False
        self._error: HubError | None = None
        self._opened: asyncio.Future[None] = self._loop.create_future()
        self.ended: asyncio.Future[None] = self._loop.create_future()
        self._thread = threading.Thread(target=self._read, args=(connect, call), name="docker-stream", daemon=True)
        self._thread.start()

    async def wait_opened(self, deadline_seconds: float) -> None:
        """Wait until the engine has begun to answer; raises what it refused with."""
        try:
            async with asyncio.timeout(deadline_seconds):
                await asyncio.shield(self._opened)
        except TimeoutError as exc:
            raise EngineUnreachable("the Docker engine did not begin to answer", hint=DOCTOR, driver=NAME) from exc
        if self._error is not None:
            raise self._error

    async def read(self) -> bytes:
        """Return the next bytes, b"" at the end; raises EngineUnreachable when the engine broke off."""
        part = await self._parts.get()
        self._credits.release()
        if not part:
            self._parts.put_nowait(b"")
            if self._error is not None:
                raise self._error
        return part

    def write(self, data: bytes) -> None:
        """Send input to a container that is attached to. Blocks, so it is for threads; `cancel` ends it.

        Raises:
            EngineUnreachable: the other side has closed.
        """
        with self._lock:
            stream = self._stream
        if stream is None:
            raise EngineUnreachable("the stream has ended", driver=NAME)
        stream.write(data)

    def cancel(self) -> None:
        """End a `read` or a `write` that waits; `close` follows."""
        with self._lock:
            self._cancelled = True
            if self._stream is not None:
                self._stream.cancel()

    @property
    def waiting_parts(self) -> int:
        """How many parts were read from the engine and not yet taken."""
        return self._parts.qsize()

    async def close(self) -> None:
        """End the stream and its thread; fine when it has ended."""
        with self._lock:
            self._cancelled = True
            stream = self._stream
            if stream is not None:
                stream.cancel()
        self._credits.release()
        if not await wait_ended(self.ended, CLOSE_DEADLINE_SECONDS):
            # Only while it still connects; it then ends by itself, after its timeout.
            _log.warning("docker_stream_ends_late")

    def _read(self, connect: Connect, call: Call) -> None:
        try:
            with contextlib.closing(connect()) as engine, contextlib.closing(engine.open(call)) as stream:
                with self._lock:
                    self._stream = stream
                    if self._cancelled:
                        return
                self._tell(self._set_opened)
                try:
                    self._pass_on(stream)
                finally:
                    with self._lock:
                        self._stream = None
        except HubError as exc:
            self._error = exc
        finally:
            self._tell(self._set_ended)

    def _pass_on(self, stream: EngineStream) -> None:
        while part := stream.read():
            self._credits.acquire()
            if self._cancelled:
                return
            self._tell(self._parts.put_nowait, part)

    def _tell(self, callback: Callable[..., object], *args: object) -> None:
        # A loop that is closed has nobody left who wants to know.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(callback, *args)

    def _set_opened(self) -> None:
        if not self._opened.done():
            self._opened.set_result(None)

    def _set_ended(self) -> None:
        self._parts.put_nowait(b"")
        self._set_opened()
        if not self.ended.done():
            self.ended.set_result(None)


async def wait_ended(future: asyncio.Future[T], deadline_seconds: float) -> bool:
    """Wait for the end of what cannot be cancelled, through cancellations of the caller.

    Return False when it goes on after the deadline. A cancellation that comes meanwhile is
    raised afterwards, so that it is not lost.
    """
    deadline = asyncio.get_running_loop().time() + deadline_seconds
    cancelled: asyncio.CancelledError | None = None
    while not future.done() and (left := deadline - asyncio.get_running_loop().time()) > 0:
        try:
            await asyncio.wait([future], timeout=left)
        except asyncio.CancelledError as exc:
            cancelled = exc
    if cancelled is not None:
        raise cancelled
    return future.done()
