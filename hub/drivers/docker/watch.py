"""The engine's events as a hint that something may have changed, subscribed again whenever it breaks."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import Final

import structlog

from hub.drivers.docker.engine import Call
from hub.drivers.docker.labels import HUB, OWNER, OWNER_NAME, filters
from hub.drivers.docker.pool import LiveStream, Streams
from hub.errors import HubError

EVENTS: Final = [
    "create", "destroy", "die", "health_status", "oom", "pause", "rename", "restart", "start", "unpause", "update",
]  # fmt: skip
"""What changes an agent. Not `exec_*`: every health check makes three of them."""
FIRST_RETRY_SECONDS: Final = 0.5
LAST_RETRY_SECONDS: Final = 30.0
SILENCE_SECONDS: Final = 300.0
"""A connection to a remote engine can die without a word: after so long it is made anew."""

_log = structlog.get_logger(__name__)


class Watch:
    """Yields once after each subscription, because what happened before it was not heard, and then
    whenever something happens. Several events at once are one."""

    def __init__(self, streams: Streams, hub_id: str, *, silence_seconds: float = SILENCE_SECONDS) -> None:
        self._streams = streams
        self._silence_seconds = silence_seconds
        self._call = Call(
            "GET",
            "/events",
            {"filters": filters(type=["container"], event=EVENTS, label=[f"{OWNER}={OWNER_NAME}", f"{HUB}={hub_id}"])},
        )
        self._stopped = asyncio.Event()

    def stop(self) -> None:
        self._stopped.set()

    async def changes(self) -> AsyncGenerator[None]:
        delay = FIRST_RETRY_SECONDS
        while not self._stopped.is_set():
            try:
                stream = await self._streams.open(self._call)
                try:
                    yield
                    delay = FIRST_RETRY_SECONDS
                    while await self._next(stream):
                        yield
                finally:
                    await stream.close()
            except HubError as exc:
                _log.info("docker_events_lost", error=exc.message, retry_seconds=delay)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(delay):
                    await self._stopped.wait()
            delay = min(LAST_RETRY_SECONDS, delay * 2)

    async def _next(self, stream: LiveStream) -> bool:
        """Wait for an event; False when there will be none on this stream."""
        try:
            async with asyncio.timeout(self._silence_seconds):
                return bool(await stream.read())
        except TimeoutError:
            return False
