"""Personas from a Convex deployment: one action that lists the agents of an account, asked over HTTP.

The service token is an argument of the action. It is in no error and no log: what the deployment says is shown only
after the token is taken out of it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Final

import httpx
import msgspec

from profiles.sync.errors import SyncError
from profiles.sync.sources.base import Loaded
from profiles.sync.sources.convex_agents import read_agents
from profiles.sync.sources.convex_answer import ConvexError, value_of

FUNCTION: Final = "service/actions:listAgentsForRuntime"
MAX_BYTES: Final = 32 << 20
"""Of an answer; 500 agents with souls of ordinary length need a tenth of it."""
TIMEOUT_SECONDS: Final = 30.0
"""Of one attempt, from connecting to the answer's last byte."""
ATTEMPTS: Final = 4
FIRST_DELAY_SECONDS: Final = 0.5
MAX_DELAY_SECONDS: Final = 8.0

Token = Callable[[], str]
"""Reads the service token; may block. Raises SyncError."""
Sleep = Callable[[float], Awaitable[object]]


class ConvexSource:
    """The agents of `account` in the deployment at `url`. Nothing is ever written there."""

    kind = "convex"

    def __init__(
        self,
        url: str,
        account: str,
        token: Token,
        *,
        timeout: float = TIMEOUT_SECONDS,
        sleep: Sleep = asyncio.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._url = url.rstrip("/")
        self._account = account
        self._token = token
        self._timeout = timeout
        self._sleep = sleep
        self._chance = chance

    def __repr__(self) -> str:
        return f"ConvexSource({self._url!r}, account={self._account!r})"

    async def load(self) -> Loaded:
        """Return every agent. Raises SyncError when the deployment does not give the list."""
        token = await asyncio.to_thread(self._token)
        try:
            status, body = await self._answer(token)
            # In a thread: the souls of hundreds of agents take a good part of a second.
            return await asyncio.to_thread(_read, status, body)
        except ConvexError as exc:
            message = _without(f"Convex at {self._url}: {exc.message}", token)
            # Not even as a cause: that one has the request, and the request has the token.
            raise SyncError(message, _without(exc.hint, token), field=exc.field) from None

    async def adopt(self, slug: str, path: str, text: str) -> None:
        """Raises SyncError: there is no action for it."""
        raise SyncError(self.why_not(slug, path), "Change it there, then decide `apply`; or decide `keep`.")

    def why_not(self, slug: str, path: str) -> str:
        return f"{path} of {slug} comes from Convex, which is only read"

    async def _answer(self, token: str) -> tuple[int, bytes]:
        """Ask until an answer comes. Only what happens on the way is tried again: the function may have run."""
        # In a thread: it reads all certificates of authorities, in some 50 ms.
        client = await asyncio.to_thread(httpx.AsyncClient, timeout=self._timeout, follow_redirects=False)
        attempt = 0
        async with client:
            while True:
                attempt += 1
                try:
                    async with asyncio.timeout(self._timeout):
                        return await self._ask(client, token)
                except (httpx.TransportError, TimeoutError) as exc:
                    if attempt == ATTEMPTS or isinstance(exc, httpx.UnsupportedProtocol):
                        raise self._unreachable(exc, attempt) from None
                    await self._sleep(delay_seconds(attempt, self._chance()))
                except (httpx.HTTPError, httpx.InvalidURL) as exc:
                    raise self._unreachable(exc, attempt) from None

    async def _ask(self, client: httpx.AsyncClient, token: str) -> tuple[int, bytes]:
        url, headers = f"{self._url}/api/action", {"Content-Type": "application/json", "Accept": "application/json"}
        body = bytearray()
        async with client.stream("POST", url, content=_request(self._account, token), headers=headers) as response:
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > MAX_BYTES:
                    hint = "Is it the deployment's own address? It looks like https://NAME.convex.cloud."
                    raise ConvexError(f"the answer is larger than {MAX_BYTES >> 20} MiB", hint)
            return response.status_code, bytes(body)

    def _unreachable(self, exc: Exception, attempts: int) -> ConvexError:
        what = str(exc) or f"no answer within {self._timeout:g} s"
        if isinstance(exc, httpx.TimeoutException):
            what = f"no answer within {self._timeout:g} s"
        tried = f", tried {attempts} times" if attempts > 1 else ""
        hint = "Is it the deployment's own address, and does this machine reach it? The next sync tries again."
        return ConvexError(f"cannot be reached ({what}{tried})", hint, field="convexUrl")


def delay_seconds(attempt: int, chance: float) -> float:
    """Return how long to wait after the failed `attempt` (from 1): doubling, capped, down to half of it by chance."""
    full = min(FIRST_DELAY_SECONDS * 2 ** (attempt - 1), MAX_DELAY_SECONDS)
    return full * (0.5 + chance / 2)


def _read(status: int, body: bytes) -> Loaded:
    return read_agents(value_of(status, body))


def _request(account: str, token: str) -> bytes:
    """The token may be of a kind of text that does not show itself, which is not taken as text here."""
    arguments = {"accountId": account, "serviceToken": str.__str__(token)}
    return msgspec.json.encode({"path": FUNCTION, "args": arguments, "format": "json"})


def _without(text: str, token: str) -> str:
    return text.replace(token, "***") if token else text
