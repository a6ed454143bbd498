"""Answers that go on: lines of JSON, and the feed of events over a WebSocket.

A stream ends when its source ends, when the observer leaves, or when the hub stops. It never holds
more than one item: a slow reader slows the source, whose own bounds and gaps apply.
"""

from __future__ import annotations

import asyncio
import contextlib
import traceback
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, Final

import msgspec
import structlog
from aiohttp import WSCloseCode, web

from hub.api.answers import HEADERS, NDJSON, error_body, internal_error
from hub.contract import ErrorAnswer, Event
from hub.errors import BadRequest, HubError, Unavailable

HEARTBEAT_SECONDS: Final = 20.0
"""Pings on WebSockets of observers, as on those of agents."""
PRESENCE_SECONDS: Final = 1.0
"""How often a quiet stream looks whether its reader is still there."""
OBSERVER_FRAME_BYTES: Final = 4 * 1024
"""Observers have nothing to say on the feed."""

Watcher = Callable[[], Awaitable[object]]

_log = structlog.get_logger(__name__)


class _Over(Exception):
    """A watcher saw a reason to end the stream. Not an error."""


class Departure:
    """Tells streams that the hub stops, and the hub when the last one has said goodbye.

    Streams must end before the server library shuts their connections, because from then on it
    drops what comes in, and a WebSocket's closing needs an answer.
    """

    def __init__(self) -> None:
        self.leaving = asyncio.Event()
        self._streams = 0
        self._quiet = asyncio.Event()
        self._quiet.set()

    @property
    def streams(self) -> int:
        """Streams that are being served."""
        return self._streams

    @contextlib.contextmanager
    def stream(self) -> Iterator[None]:
        """Surrounds the serving of one stream."""
        self._streams += 1
        self._quiet.clear()
        try:
            yield
        finally:
            self._streams -= 1
            if self._streams == 0:
                self._quiet.set()

    async def leave(self, patience_seconds: float) -> None:
        """End all streams, and wait at most that long for them."""
        self.leaving.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience_seconds):
                await self._quiet.wait()


@contextlib.asynccontextmanager
async def attended(*watchers: Watcher) -> AsyncIterator[None]:
    """Run the body until it is done or a watcher returns, whichever is first; a broken connection is an end too."""
    try:
        async with asyncio.TaskGroup() as group:
            running = [group.create_task(_until_over(watcher)) for watcher in watchers]
            yield
            for watcher in running:
                watcher.cancel()
    except* (_Over, ConnectionError):
        pass


async def stream_lines(
    request: web.Request, items: AsyncIterator[msgspec.Struct], leaving: asyncio.Event, *, follow: bool
) -> web.StreamResponse:
    """Answer with one JSON document per line. An error after the first line is the last line, in the form
    of every error. Raises HubError before the first line."""
    async with contextlib.aclosing(_closable(items)) as source:
        # A stream that does not wait for anything has its first item at once, or the error that takes its place.
        first = None if follow else await _first(request, source, leaving)
        response = web.StreamResponse(headers=HEADERS)
        response.content_type = NDJSON
        await response.prepare(request)
        async with attended(lambda: _wait_reader_gone(request), leaving.wait):
            error = await _write_lines(response, first, source)
            if error is not None:
                await response.write(_line(error))
        if leaving.is_set() and not _gone(request):
            await response.write(_line(error_body(Unavailable("the hub is stopping", code="stopping"))))
    with contextlib.suppress(ConnectionError):
        await response.write_eof()
    return response


async def serve_events(
    request: web.Request, events: AsyncIterator[Event], leaving: asyncio.Event
) -> web.WebSocketResponse:
    """Send every event as one JSON text frame until one side has enough."""
    socket = web.WebSocketResponse(heartbeat=HEARTBEAT_SECONDS, compress=False, max_msg_size=OBSERVER_FRAME_BYTES)
    await socket.prepare(request)
    code = WSCloseCode.GOING_AWAY
    async with contextlib.aclosing(_closable(events)) as source, attended(lambda: _wait_closed(socket), leaving.wait):
        try:
            async for event in source:
                await socket.send_str(msgspec.json.encode(event).decode())
        except ConnectionError:
            raise
        except HubError as error:
            _log.info("feed_ended", code=error.code)
        except Exception as error:  # noqa: BLE001
            bug(error)
            code = WSCloseCode.INTERNAL_ERROR
    await socket.close(code=code)
    return socket


def need_websocket(request: web.Request) -> None:
    """Raises BadRequest when `request` does not ask for a WebSocket."""
    if not web.WebSocketResponse().can_prepare(request).ok:
        raise BadRequest("this path is a WebSocket", code="needs_websocket", hint="connect with ws:// or wss://")


def bug(error: BaseException) -> HubError:
    """Log what must not happen under a fresh id, and return what the caller may know of it."""
    error_id = uuid.uuid4().hex[:12]
    # Written out here, because a logger that adds local variables would put tokens into the log.
    _log.error("internal_error", error_id=error_id, traceback="".join(traceback.format_exception(error)))
    return internal_error(error_id)


async def _first(
    request: web.Request, source: AsyncIterator[msgspec.Struct], leaving: asyncio.Event
) -> msgspec.Struct | None:
    """Return the first item, None where there is none. Whoever leaves meanwhile is not waited for: what makes the
    items, such as a run at a gateway, is ended with them. Raises what the source raises."""
    first: msgspec.Struct | None = None
    failure: Exception | None = Unavailable("the hub is stopping", code="stopping")
    async with attended(lambda: _wait_reader_gone(request), leaving.wait):
        try:
            first, failure = await anext(source, None), None
        except Exception as error:  # noqa: BLE001 - raised again outside, where no group is made of it
            failure = error
    if failure is not None:
        raise failure
    return first


async def _write_lines(
    response: web.StreamResponse, first: msgspec.Struct | None, source: AsyncIterator[msgspec.Struct]
) -> ErrorAnswer | None:
    """Write all items; return the error that ended them."""
    try:
        if first is not None:
            await response.write(_line(first))
        async for item in source:
            await response.write(_line(item))
    except ConnectionError:
        raise
    except HubError as error:
        return error_body(error)
    except Exception as error:  # noqa: BLE001
        return error_body(bug(error))
    return None


def _line(item: msgspec.Struct) -> bytes:
    return msgspec.json.encode(item) + b"\n"


def _gone(request: web.Request) -> bool:
    return request.transport is None or request.transport.is_closing()


async def _wait_reader_gone(request: web.Request) -> None:
    """The server library tells of a lost reader only at the next write, which a quiet stream never makes."""
    while not _gone(request):  # noqa: ASYNC110 - nothing sets an event when a reader leaves
        await asyncio.sleep(PRESENCE_SECONDS)


async def _wait_closed(socket: web.WebSocketResponse) -> None:
    """Read on, so that pings are answered, until the other side closes."""
    async for _ in socket:
        pass


async def _until_over(watcher: Watcher) -> None:
    await watcher()
    raise _Over


async def _closable(items: AsyncIterator[Any]) -> AsyncGenerator[Any]:
    """Make any iterator one that can be closed, and close what can be."""
    try:
        async for item in items:
            yield item
    finally:
        close = getattr(items, "aclose", None)
        if close is not None:
            await close()
