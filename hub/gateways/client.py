"""HTTP to gateways: one look, and a request whose answer is read as it comes.

Neither redirects nor proxies of the hub's environment are followed: the token goes where the address says, and a
forwarding header would make the gateway refuse us.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import socket
import ssl
import time
from collections.abc import AsyncIterator
from typing import Any, Final

import httpx
import msgspec

from hub.contract import GatewayState
from hub.gateways import looks
from hub.gateways.looks import Finding, Reply, Seen
from hub.gateways.secret import Secret

STEP_SECONDS: Final = 5.0
"""Connecting, and each answer of a look."""
LOOK_SECONDS: Final = 12.0
"""One whole look, also of a gateway that sends its answers byte by byte."""
MOST_BYTES: Final = 4 * 1024 * 1024
"""Of one answer that is read as a whole; the models of thousands of agents are less."""
MOST_CONNECTIONS: Final = 400
_NO_TOKEN: Final = Secret("")


class TooMuch(Exception):
    """An answer is longer than any that is expected."""


class GatewayClient:
    """Connections are used once: a gateway that was started again must not look gone because of an old one."""

    def __init__(self, step_seconds: float = STEP_SECONDS, look_seconds: float = LOOK_SECONDS) -> None:
        self._step_seconds = step_seconds
        self._look_seconds = look_seconds
        self._http: httpx.AsyncClient | None = None

    async def close(self) -> None:
        http, self._http = self._http, None
        if http is not None:
            await http.aclose()

    async def probe(self, url: str, token: Secret, user: str = "") -> Seen:
        """Look at a gateway; whatever goes wrong is what was seen. `user`: what is in front of it wants HTTP Basic on
        every path, with the token as the password."""
        try:
            async with asyncio.timeout(self._look_seconds):
                return await self._look(url, token, user)
        except (httpx.ConnectTimeout, httpx.PoolTimeout):
            return Seen(state=GatewayState.DOWN, reason=f"no connection to it within {self._step_seconds:g} s")
        except (TimeoutError, httpx.TimeoutException):
            # Somebody took the connection: what hangs lives, which is another thing than a port nobody listens at.
            reason = f"it takes connections and does not answer within {self._step_seconds:g} s"
            return Seen(state=GatewayState.WEDGED, reason=reason)
        except (httpx.HTTPError, httpx.InvalidURL, TooMuch) as exc:
            return Seen(state=GatewayState.DOWN, reason=trouble(exc))

    @contextlib.asynccontextmanager
    async def post(self, url: str, headers: dict[str, str], body: Any) -> AsyncIterator[httpx.Response]:
        """Send JSON and yield the answer before its body. To leave early closes the connection.

        Raises what httpx raises. There is no limit of time but for connecting: the caller has one.
        """
        timeout = httpx.Timeout(None, connect=self._step_seconds, pool=self._step_seconds)
        headers = {**headers, "Content-Type": "application/json"}
        content = msgspec.json.encode(body)
        async with self._client().stream("POST", url, headers=headers, content=content, timeout=timeout) as response:
            yield response

    async def _look(self, url: str, token: Secret, user: str) -> Seen:
        began = time.monotonic()
        open_token = token if user else _NO_TOKEN
        first = await self._get(f"{url}/readyz", open_token, user)
        response_ms = round((time.monotonic() - began) * 1000, 1)
        found = looks.readiness(first)
        if found is not None and found.state is GatewayState.NOT_READY and token and not looks.says_why(first):
            # Whether it starts or drains decides what is done with it. It has shown that it is a gateway.
            told = await self._get(f"{url}/readyz", token, user)
            found = (looks.readiness(told) if looks.says_why(told) else None) or found
        if found is None:
            found = looks.liveness(await self._get(f"{url}/healthz", open_token, user), first)
        if found.state is not GatewayState.READY:
            return Seen(state=found.state, reason=found.reason, draining=found.draining, response_ms=response_ms)
        version, older = looks.startup(await self._get(f"{url}/startupz", token, user))
        if older:
            version = looks.interface_version(await self._get(f"{url}/control-ui-config.json", token, user))
        slugs, told = looks.roster(await self._get(f"{url}/v1/models", token, user))
        told = told or Finding(GatewayState.READY)
        return Seen(
            state=told.state, reason=told.reason, version=version, before_2026_8=older, response_ms=response_ms,
            roster=slugs,
        )  # fmt: skip

    async def _get(self, url: str, token: Secret = _NO_TOKEN, user: str = "") -> Reply:
        timeout = httpx.Timeout(self._step_seconds)
        async with self._client().stream("GET", url, headers=authorized(token, user), timeout=timeout) as response:
            return await whole(response)

    def _client(self) -> httpx.AsyncClient:
        if self._http is None:
            self._http = httpx.AsyncClient(
                trust_env=False,
                follow_redirects=False,
                verify=ssl.create_default_context(),
                headers={"Accept-Encoding": "identity", "User-Agent": "clawtui"},
                limits=httpx.Limits(max_connections=MOST_CONNECTIONS, max_keepalive_connections=0),
            )
        return self._http


def authorized(token: Secret, user: str = "") -> dict[str, str]:
    """Return the header for a bearer token, or for HTTP Basic where there is a user."""
    if token and user:
        told = base64.b64encode(f"{user}:{token!s}".encode()).decode()
        return {"Authorization": f"Basic {told}"}
    return {"Authorization": f"Bearer {token!s}"} if token else {}


async def whole(response: httpx.Response) -> Reply:
    """Read an answer to its end. Raises TooMuch."""
    body = b""
    async for piece in response.aiter_bytes():
        body += piece
        if len(body) > MOST_BYTES:
            raise TooMuch
    return Reply(response.status_code, response.headers.get("Content-Type", ""), body)


def trouble(error: Exception) -> str:
    """Why nothing was heard, as a clause."""
    if isinstance(error, TooMuch):
        return f"its answer is longer than {MOST_BYTES // 1024**2} MiB: this is no gateway"
    if isinstance(error, httpx.ConnectError):
        return f"nobody answers there: {_cause(error)}"
    if isinstance(error, httpx.RemoteProtocolError):
        return f"what answers there speaks no HTTP, or hung up: {_cause(error)}"
    return f"it cannot be reached: {_cause(error)}"


def broken(error: Exception) -> str:
    """Why an answer that had begun did not come to its end, as a clause."""
    if isinstance(error, (httpx.RemoteProtocolError, httpx.ReadError)):
        return "the gateway hung up"
    return trouble(error)


def _cause(error: BaseException) -> str:
    """The words of the operating system where there are any; httpx's own say less."""
    cause: BaseException | None = error
    text = str(error)
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno:
            # The event loop has words of its own for an error with a number that everybody knows.
            text = (cause.strerror if isinstance(cause, socket.gaierror) else os.strerror(cause.errno)) or text
        cause = cause.__cause__ or cause.__context__
    return "".join(letter if letter.isprintable() else " " for letter in text)[:200] or type(error).__name__
