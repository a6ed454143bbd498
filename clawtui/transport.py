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
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar
from urllib.parse import urlsplit

import msgspec

from clawtui.errors import ConnectionLost, NoHub, UsageError
from clawtui.settings import COMMAND_LINE, Settings
from hub.contract import ErrorAnswer
from hub.errors import BY_STATUS, Forbidden, HubError, Unavailable

if TYPE_CHECKING:
    import ssl

    import httpx

T = TypeVar("T")

START_HINT: Final = "start one: clawtui --serve"
FIRST_DELAY_SECONDS: Final = 0.1
MOST_DELAY_SECONDS: Final = 2.0

Params = Mapping[str, Any]
Pause = Callable[[float], Awaitable[None]]


class Address(NamedTuple):
    """Where a hub is and what opens it. `socket` is None for a hub reached over TCP."""

    url: str
    socket: Path | None
    token: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}


class _ListenerFile(msgspec.Struct):
    url: str = ""


class HubFile(msgspec.Struct, rename="camel"):
    """What a running hub writes into `hub.json` in its state folder."""

    pid: int = 0
    started_at: str = ""
    hub_id: str = ""
    version: str = ""
    socket: str = ""
    agents: _ListenerFile = _ListenerFile()
    api: _ListenerFile = _ListenerFile()


def read_hub_file(state_folder: Path) -> HubFile:
    """Raises NoHub when the folder has none, Forbidden when it belongs to somebody else."""
    path = state_folder / "hub.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=HubFile)
    except (FileNotFoundError, NotADirectoryError) as exc:
        raise NoHub(f"no hub is running on {state_folder}", hint=START_HINT) from exc
    except PermissionError as exc:
        raise Forbidden(f"{path} belongs to another user", hint="use --hub URL with --token-file FILE") from exc
    except msgspec.MsgspecError as exc:
        raise NoHub(f"{path} cannot be understood: {exc}", hint=START_HINT) from exc


def read_token(settings: Settings, state_folder: Path | None) -> str:
    """The token for the hub: the setting, its file, or the local hub's own token file; empty = none."""
    if settings.token and settings.origin("token_file") != COMMAND_LINE:
        return settings.token
    if settings.token_file is not None:
        try:
            return settings.token_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeError) as exc:
            raise UsageError(f"cannot read the token file {settings.token_file}: {exc}", field="token_file") from exc
    try:
        return (state_folder / "token").read_text(encoding="utf-8").strip() if state_folder is not None else ""
    except OSError:
        # Without a token the hub refuses and says why, which is the better message.
        return ""


def find_hub(settings: Settings) -> Address:
    """Where the hub of these settings is now; read anew for every connection, since hubs move.

    Raises:
        NoHub, Forbidden: see `read_hub_file`.
        UsageError: the address is no URL of a hub.
    """
    if not settings.hub:
        folder = settings.state_folder
        file = read_hub_file(folder)
        socket = Path(file.socket) if file.socket else None
        return Address(file.api.url if socket is None else "http://hub", socket, read_token(settings, folder))
    token = read_token(settings, None)
    if settings.hub.startswith("unix:"):
        return Address("http://hub", Path(settings.hub.removeprefix("unix:")), token)
    url = settings.hub.rstrip("/")
    if not url.startswith(("http://", "https://")):
        raise UsageError(f"{settings.hub!r} is no address of a hub", field="hub", hint="e.g. https://host:9091")
    return Address(url, None, token)


def error_from(status: int, body: bytes, retry_after: str | None = None) -> HubError:
    """The error that an HTTP answer reports; an answer that is not ours keeps its status."""
    kind = BY_STATUS.get(status, HubError)
    seconds = float(retry_after) if retry_after is not None and retry_after.isdecimal() else None
    try:
        told = msgspec.json.decode(body, type=ErrorAnswer).error
    except msgspec.MsgspecError:
        return kind(f"the hub's address answered with HTTP status {status}", retry_after_seconds=seconds)
    return kind(
        told.message,
        code=told.code,
        hint=told.hint,
        retryable=told.retryable,
        field=told.field,
        retry_after_seconds=seconds,
    )


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
                    for line in whole:
                        if line:
                            yield line
        if buffer:
            yield buffer

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


def on_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    return host == "localhost" or host == "::1" or host.startswith("127.")


def trusted(settings: Settings) -> ssl.SSLContext:
    """What a TLS hub's certificate is checked against."""
    import ssl

    try:
        return ssl.create_default_context(cafile=settings.ca_file)
    except OSError as exc:
        raise UsageError(f"cannot read the certificates {settings.ca_file}: {exc}", field="ca_file") from exc


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


def _query(params: Params | None) -> dict[str, Any] | None:
    """Query parameters without those that are not set."""
    words = {True: "true", False: "false"}
    return {
        name: words[value] if isinstance(value, bool) else value
        for name, value in (params or {}).items()
        if value is not None
    }
