"""How a client reaches a hub: where it is, one HTTP call, one stream of lines, and what failures mean.

A call that may be repeated (a read, or a submission with its idempotency key) is repeated while a hub
that answered before is away; a hub that never answered is `NoHub` at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from clawtui.address import START_HINT, Address, find_hub, on_loopback, trusted
from clawtui.errors import ConnectionLost, NoHub, UsageError
from clawtui.settings import Settings
from hub.contract import ErrorAnswer, ErrorBody
from hub.errors import BY_STATUS, HubError, Unavailable

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")

FIRST_DELAY_SECONDS: Final = 0.1
MOST_DELAY_SECONDS: Final = 2.0

STREAM_ERRORS: Final = {kind.default_code: kind for kind in BY_STATUS.values()} | {"stopping": ConnectionLost}
"""Errors inside a stream come without a status. A hub that stops is one that may come back."""

Params = Mapping[str, Any]
Pause = Callable[[float], Awaitable[None]]


def told_error(told: ErrorBody, kind: type[HubError] | None = None, **more: Any) -> HubError:
    """The error that an answer's body reports; without a status its code says which it is."""
    if kind is None:
        kind = STREAM_ERRORS.get(told.code, HubError)
    return kind(told.message, code=told.code, hint=told.hint, retryable=told.retryable, field=told.field, **more)


def error_from(status: int, body: bytes, retry_after: str | None = None) -> HubError:
    """The error that an HTTP answer reports; an answer that is not ours keeps its status."""
    kind = BY_STATUS.get(status, HubError)
    seconds = float(retry_after) if retry_after is not None and retry_after.isdecimal() else None
    try:
        told = msgspec.json.decode(body, type=ErrorAnswer).error
    except (msgspec.MsgspecError, UnicodeError):
        return kind(f"the hub's address answered with HTTP status {status}", retry_after_seconds=seconds)
    return told_error(told, kind, retry_after_seconds=seconds)


def decoded(body: bytes | str, kind: type[T]) -> T:
    """Raises HubError when the hub speaks of something that this version does not know."""
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeError) as exc:
        raise HubError(
            f"the hub's answer cannot be understood: {exc}",
            code="bad_answer",
            hint="hub and command line may be of different versions: see clawtui version",
        ) from exc


class Transport:
    """HTTP to one hub. `make_transport`: for tests, in place of sockets; `pause` waits between attempts."""

    def __init__(
        self,
        settings: Settings,
        *,
        make_transport: Callable[[Address], httpx.AsyncBaseTransport] | None = None,
        pause: Pause = asyncio.sleep,
    ) -> None:
        self.settings = settings
        self._make_transport = make_transport
        self._pause = pause
        self._client: httpx.AsyncClient | None = None
        self._met = False

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

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
            HubError: what the hub answered.
        """
        deadline = time.monotonic() + self.settings.hub_return_seconds
        delay = FIRST_DELAY_SECONDS
        while True:
            try:
                return await self._once(method, path, params, body, key, wait_seconds)
            except (NoHub, ConnectionLost) as exc:
                self._met = self._met or isinstance(exc, ConnectionLost)
                if not self._met or (method != "GET" and key is None) or time.monotonic() >= deadline:
                    raise
            await self.close()
            # Half of the delay is chance, so that many clients of one hub do not return together.
            await self._pause(delay * random.uniform(0.5, 1.0))
            delay = min(delay * 2, MOST_DELAY_SECONDS)

    async def lines(self, path: str, params: Params | None = None) -> AsyncGenerator[bytes, None]:
        """The lines of an NDJSON answer as they come, without a limit of time between them."""
        import httpx

        buffer = b""
        with _translated():
            client = self._connected()
            timeout = httpx.Timeout(self.settings.request_timeout_seconds, read=None)
            async with client.stream("GET", path, params=_query(params), timeout=timeout) as answer:
                self._met = True
                if answer.is_error:
                    raise error_from(answer.status_code, await answer.aread(), answer.headers.get("Retry-After"))
                async for piece in answer.aiter_bytes():
                    *whole, buffer = (buffer + piece).split(b"\n")
                    for line in filter(None, whole):
                        yield _line(line)
        if buffer:
            yield _line(buffer)

    async def _once(
        self, method: str, path: str, params: Params | None, body: Any, key: str | None, wait_seconds: float
    ) -> bytes:
        headers = {"Idempotency-Key": key} if key is not None else {}
        content = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            content = msgspec.json.encode(body)
        timeout = self.settings.request_timeout_seconds + wait_seconds
        with _translated():
            answer = await self._connected().request(
                method, path, params=_query(params), content=content, headers=headers, timeout=timeout
            )
        self._met = True
        if answer.is_error:
            raise error_from(answer.status_code, answer.content, answer.headers.get("Retry-After"))
        return answer.content

    def _connected(self) -> httpx.AsyncClient:
        if self._client is None:
            import httpx

            address = find_hub(self.settings)
            transport = None
            if self._make_transport is not None:
                transport = self._make_transport(address)
            elif address.socket is not None:
                # No TLS on a socket: loading the trusted certificates would cost more than the call.
                transport = httpx.AsyncHTTPTransport(uds=os.fspath(address.socket), verify=False)
            self._client = httpx.AsyncClient(
                base_url=address.url,
                headers=address.headers,
                transport=transport,
                verify=trusted(self.settings) if address.url.startswith("https:") else False,
                # A hub on this machine is never behind a proxy.
                trust_env=not on_loopback(address.url),
            )
        return self._client


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """Turn what httpx raises into what the front end knows."""
    import httpx

    try:
        yield
    except (httpx.ConnectError, httpx.ConnectTimeout) as exc:
        raise NoHub(f"no hub answers: {exc or 'the connection took too long'}", hint=START_HINT) from exc
    except (httpx.NetworkError, httpx.RemoteProtocolError) as exc:
        raise ConnectionLost(f"the hub went away in the middle: {exc or type(exc).__name__}") from exc
    except httpx.TimeoutException as exc:
        raise Unavailable("the hub did not answer in time", code="timeout") from exc
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as exc:
        raise UsageError(f"that is no address of a hub: {exc}", field="hub") from exc
    except httpx.HTTPError as exc:
        raise Unavailable(f"the hub cannot be reached: {exc}") from exc


def _line(line: bytes) -> bytes:
    """A line as it is. Raises the error that it reports: an error after the first line is the last line."""
    if line.startswith(b'{"error":'):
        raise told_error(decoded(line, ErrorAnswer).error)
    return line


def _query(params: Params | None) -> dict[str, Any] | None:
    """Query parameters without those that are not set."""
    words = {True: "true", False: "false"}
    return {
        name: words[value] if isinstance(value, bool) else value
        for name, value in (params or {}).items()
        if value is not None
    }
