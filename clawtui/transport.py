"""How a client reaches a hub: where it is, one HTTP call, one stream of lines, and what failures mean.

A call that may be repeated (a read, or a submission with its idempotency key) is repeated while a hub
that answered before is away; a hub that never answered is `NoHub` at once.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import Any, Final, TypeVar
from urllib.parse import urlencode

import msgspec

from clawtui.address import Address, find_hub, on_loopback
from clawtui.answers import read
from clawtui.errors import ConnectionLost, NoHub
from clawtui.exchange import Answer, Ask, Wire
from clawtui.settings import Settings
from clawtui.versions import bad_answer_hint, check_version, told_version
from hub.contract import ErrorAnswer, ErrorBody
from hub.errors import BY_STATUS, HubError

T = TypeVar("T")

FIRST_DELAY_SECONDS: Final = 0.1
MOST_DELAY_SECONDS: Final = 2.0
HEALTH_PATH: Final = "/health"

STREAM_ERRORS: Final = {kind.default_code: kind for kind in BY_STATUS.values()} | {"stopping": ConnectionLost}
"""Errors inside a stream come without a status. A hub that stops is one that may come back."""

Params = Mapping[str, Any]
Pause = Callable[[float], Awaitable[None]]


def told_error(told: ErrorBody, kind: type[HubError] | None = None, **more: Any) -> HubError:
    """The error that an answer's body reports; without a status its code says which it is."""
    if kind is None:
        kind = STREAM_ERRORS.get(told.code, HubError)
    error = kind(told.message, code=told.code, hint=told.hint, retryable=told.retryable, field=told.field, **more)
    error.problems = tuple((one.field, one.message, one.hint) for one in told.problems)
    return error


def error_from(status: int, body: bytes, retry_after: str | None = None) -> HubError:
    """The error that an HTTP answer reports; an answer that is not ours keeps its status."""
    kind = BY_STATUS.get(status, HubError)
    seconds = float(retry_after) if retry_after is not None and retry_after.isdecimal() else None
    try:
        told = msgspec.json.decode(body, type=ErrorAnswer).error
    except (msgspec.MsgspecError, UnicodeError):
        return kind(f"the hub's address answered with HTTP status {status}", retry_after_seconds=seconds)
    return told_error(told, kind, retry_after_seconds=seconds)


def decoded(body: bytes | str, kind: type[T], hub_version: str = "") -> T:
    """Raises HubError when the hub speaks of something that this version cannot look past."""
    try:
        return read(body, kind)
    except (msgspec.MsgspecError, UnicodeError) as exc:
        raise HubError(
            f"the hub's answer cannot be understood: {exc}",
            code="bad_answer",
            hint=bad_answer_hint(hub_version),
        ) from exc


class Transport:
    """HTTP to one hub. `make_wire`: for tests, in place of sockets; `pause` waits between attempts.

    `asks_version`: a hub of another API version gets no other request.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        make_wire: Callable[[Address, Settings], Wire] | None = None,
        pause: Pause = asyncio.sleep,
        asks_version: bool = False,
    ) -> None:
        self.settings = settings
        self.hub_version = ""
        """Of the hub that was met last; empty until then."""
        self._make_wire = make_wire or wire_to
        self._pause = pause
        self._wire: Wire | None = None
        self._met = False
        self._asks_version = asks_version
        self._version_known = not asks_version

    async def close(self) -> None:
        wire, self._wire = self._wire, None
        # Who answers next may be another hub.
        self._version_known = not self._asks_version
        if wire is not None:
            await wire.close()

    async def call(
        self,
        method: str,
        path: str,
        *,
        params: Params | None = None,
        body: Any = None,
        key: str | None = None,
        wait_seconds: float = 0.0,
    ) -> bytes:
        """One call; its answer's body. `key`: the idempotency key that makes a POST repeatable.

        Raises:
            NoHub, ConnectionLost: nobody answers (any more).
            OtherVersion: the hub speaks another API; it was not asked.
            HubError: what the hub answered.
        """
        headers = {"Idempotency-Key": key} if key is not None else {}
        if body is not None:
            headers["Content-Type"] = "application/json"
        content = b"" if body is None else msgspec.json.encode(body)
        timeout = self.settings.request_timeout_seconds + wait_seconds
        ask = Ask(method, path + query_text(params), headers, content, timeout)
        deadline = time.monotonic() + self.settings.hub_return_seconds
        delay = FIRST_DELAY_SECONDS
        while True:
            try:
                return await self._once(ask)
            except (NoHub, ConnectionLost) as exc:
                self._met = self._met or isinstance(exc, ConnectionLost)
                if not self._met or (method != "GET" and key is None) or time.monotonic() >= deadline:
                    raise
            await self.close()
            # Half of the delay is chance, so that many clients of one hub do not return together.
            await self._pause(delay * random.uniform(0.5, 1.0))
            delay = min(delay * 2, MOST_DELAY_SECONDS)

    async def lines(
        self, path: str, params: Params | None = None, *, body: Any = None, wait_seconds: float = 0.0
    ) -> AsyncGenerator[bytes, None]:
        """The lines of an NDJSON answer as they come, without a limit of time between them.

        `body`: posts it, once; `wait_seconds`: how much later than usual the answer may begin.
        """
        timeout = self.settings.request_timeout_seconds + wait_seconds
        method, headers = ("GET", {}) if body is None else ("POST", {"Content-Type": "application/json"})
        content = b"" if body is None else msgspec.json.encode(body)
        ask = Ask(method, path + query_text(params), headers, content, timeout, endless=True)
        buffer = b""
        await self.meet()
        async with self._connected().exchange(ask) as answer:
            self._met = True
            if answer.status >= 400:
                raise error_from(answer.status, await _whole(answer), answer.retry_after)
            async for piece in answer.pieces:
                *whole, buffer = (buffer + piece).split(b"\n")
                for line in filter(None, whole):
                    yield _line(line)
        if buffer:
            yield _line(buffer)

    async def meet(self) -> None:
        """Learn once per connection whom we talk to.

        Raises:
            OtherVersion: a hub that speaks another API.
        """
        if not self._version_known:
            ask = Ask("GET", HEALTH_PATH, {}, b"", self.settings.request_timeout_seconds)
            async with self._connected().exchange(ask) as answer:
                body = await _whole(answer)
            self._met = True
            # A refusal says more when it is that of the call itself.
            if answer.status < 400:
                self._learn(body)

    def _learn(self, health: bytes) -> None:
        told = told_version(health)
        if told is not None:
            self.hub_version, self._version_known = told.version, False
            check_version(told)
            self._version_known = True

    async def _once(self, ask: Ask) -> bytes:
        if ask.path != HEALTH_PATH:
            await self.meet()
        async with self._connected().exchange(ask) as answer:
            body = await _whole(answer)
        self._met = True
        if answer.status >= 400:
            raise error_from(answer.status, body, answer.retry_after)
        if ask.path == HEALTH_PATH and self._asks_version:
            self._learn(body)
        return body

    def _connected(self) -> Wire:
        if self._wire is None:
            self._wire = self._make_wire(find_hub(self.settings), self.settings)
        return self._wire


def wire_to(address: Address, settings: Settings) -> Wire:
    if address.socket is not None or (address.url.startswith("http:") and on_loopback(address.url)):
        from clawtui.local_wire import LocalWire

        return LocalWire(address)
    from clawtui.httpx_wire import HttpxWire

    return HttpxWire(address, settings)


async def _whole(answer: Answer) -> bytes:
    return b"".join([piece async for piece in answer.pieces])


def _line(line: bytes) -> bytes:
    """A line as it is. Raises the error that it reports: an error after the first line is the last line."""
    if line.startswith(b'{"error":'):
        raise told_error(decoded(line, ErrorAnswer).error)
    return line


def query_text(params: Params | None) -> str:
    """The query string with its question mark, without parameters that are not set."""
    words = {True: "true", False: "false"}
    given = {
        name: words[value] if isinstance(value, bool) else value
        for name, value in (params or {}).items()
        if value is not None
    }
    return f"?{urlencode(given)}" if given else ""
