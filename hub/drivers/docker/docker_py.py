"""The real engine, through docker-py: connections, TLS and versions are its part, plans are ours.

One client per thread, because docker-py's are not thread-safe. Errors are translated here, once.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
from collections.abc import Generator, Iterator, Mapping
from typing import Any, Final

import docker
import docker.errors
import docker.tls
import docker.transport
import msgspec
import requests
import urllib3
import urllib3.exceptions
from docker.transport import unixconn
from docker.utils import kwargs_from_env

from hub.drivers.docker.engine import Call, EngineUnreachable, refused, unreachable
from hub.errors import NotAvailable

OLDEST_API: Final = (1, 41)
"""Engine 20.10: the oldest whose answers this driver was tried with."""
NEWEST_API: Final = (1, 45)
"""What docker-py 7.2 speaks; newer engines still understand it."""
DEFAULT_URL: Final = "unix:///var/run/docker.sock"
READ_BYTES: Final = 64 * 1024


class _UnixConnection(unixconn.UnixHTTPConnection):
    """docker-py leaves a refused socket to the garbage collector; this one closes it."""

    def connect(self) -> None:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(self.timeout)
            connection.connect(self.unix_socket)
        except BaseException:
            connection.close()
            raise
        self.sock = connection


class _UnixPool(unixconn.UnixHTTPConnectionPool):
    def _new_conn(self) -> Any:
        timeout: Any = self.timeout
        return _UnixConnection(self.base_url, self.socket_path, timeout)


class _UnixAdapter(unixconn.UnixHTTPAdapter):
    def get_connection(self, url: Any, proxies: Any = None) -> _UnixPool:
        with self.pools.lock:
            pool = self.pools.get(url)
            if pool is None:
                pool = _UnixPool(url, self.socket_path, self.timeout, maxsize=self.max_pool_size)
                self.pools[url] = pool
        return pool


class _Version(msgspec.Struct, rename="pascal"):
    api_version: str


class Connector:
    """Makes engines for threads, all for the same address and API version.

    Args:
        base_url: `unix://`, `tcp://` or `ssh://`; None looks at DOCKER_HOST, DOCKER_TLS_VERIFY
            and DOCKER_CERT_PATH in `environment`. The CLI's contexts are not followed: a service
            must not move to another engine because somebody typed `docker context use`.
    """

    def __init__(self, base_url: str | None, environment: Mapping[str, str]) -> None:
        self._environment = {"DOCKER_HOST": "", **environment}
        if base_url is not None:
            self._environment["DOCKER_HOST"] = base_url
        self.url = self._environment["DOCKER_HOST"] or DEFAULT_URL
        self.local = self.url.startswith(("unix://", "http+unix://", "/"))
        self._lock = threading.Lock()
        self._api: str | None = None

    def __call__(self) -> DockerPyEngine:
        """Connect; raises EngineUnreachable or NotAvailable (an engine too old)."""
        with self._lock:
            api = self._api or self._negotiate()
            self._api = api
        return DockerPyEngine(self._client(api), self)

    def forget(self) -> None:
        """Ask for the version again: the engine that comes back may be another one."""
        with self._lock:
            self._api = None

    def _negotiate(self) -> str:
        client = self._client(text_of(OLDEST_API))
        try:
            with translated(self.url):
                answer = client.get(f"{client.base_url}/version", timeout=10)
            if answer.status_code >= 400:
                raise refused(Call("GET", "/version"), answer.status_code, answer.content)
            theirs = numbers_of(msgspec.json.decode(answer.content, type=_Version).api_version)
        except (msgspec.MsgspecError, ValueError) as exc:
            raise EngineUnreachable(f"what answers at {self.url} is not a Docker engine", driver="docker") from exc
        finally:
            client.close()
        if theirs < OLDEST_API:
            raise NotAvailable(
                f"the engine at {self.url} speaks API {text_of(theirs)}; {text_of(OLDEST_API)} is needed",
                hint="Upgrade Docker to 20.10 or newer.",
                driver="docker",
            )
        return text_of(min(theirs, NEWEST_API))

    def _client(self, api: str) -> docker.APIClient:
        # With an explicit version the constructor sends nothing, so it cannot leave a broken socket behind.
        with translated(self.url):
            client = docker.APIClient(version=api, timeout=60, **kwargs_from_env(self._environment))
        if client.base_url == "http+docker://localhost":
            address = self.url.removeprefix("http+").removeprefix("unix://")
            client.mount("http+docker://", _UnixAdapter(f"http+unix://{address}", 60))
        return client


class DockerPyEngine:
    """See `hub.drivers.docker.engine.Engine`."""

    def __init__(self, client: docker.APIClient, connector: Connector) -> None:
        self._client = client
        self._connector = connector

    def call(self, call: Call) -> bytes:
        with translated(self._connector.url):
            answer = self._send(call, stream=False)
        if answer.status_code >= 400:
            raise refused(call, answer.status_code, answer.content)
        return answer.content

    def open(self, call: Call) -> DockerPyStream:
        with translated(self._connector.url):
            answer = self._send(call, stream=True)
            if answer.status_code >= 400:
                with contextlib.closing(answer):
                    raise refused(call, answer.status_code, answer.content)
        return DockerPyStream(answer, self._connector.url, live=call.live)

    def close(self) -> None:
        self._client.close()

    def _send(self, call: Call, *, stream: bool) -> requests.Response:
        content, kind = call.data, "application/x-tar"
        if call.body is not None:
            content, kind = msgspec.json.encode(call.body), "application/json"
        return self._client.request(
            call.method,
            f"{self._client.base_url}/v{self._client.api_version}{call.path}",
            params=dict(call.params),
            data=content,
            headers={**call.headers, **({"Content-Type": kind} if content is not None else {})},
            timeout=call.timeout_seconds,
            stream=stream,
        )


class DockerPyStream:
    """See `hub.drivers.docker.engine.EngineStream`."""

    def __init__(self, answer: requests.Response, where: str, *, live: bool = False) -> None:
        self._answer = answer
        self._where = where
        self._cancelled = False
        self._socket = _socket_of(answer)
        raw: Any = answer.raw
        self._connection: Any = raw.connection
        if self._socket is not None:
            # The call's timeout was for the beginning; from now on silence is normal.
            self._socket.settimeout(None)
        raw: Any = answer.raw
        self._parts: Iterator[bytes] = (
            iter(lambda: raw.read1(READ_BYTES), b"") if live else raw.stream(READ_BYTES, decode_content=True)
        )

    def read(self) -> bytes:
        try:
            with translated(self._where):
                return next(self._parts, b"")
        except EngineUnreachable:
            if self._cancelled:
                return b""
            raise

    def write(self, data: bytes) -> None:
        with translated(self._where):
            if self._socket is None:
                raise OSError("this answer takes no input")
            self._socket.sendall(data)

    def cancel(self) -> None:
        self._cancelled = True
        if self._socket is not None:
            # Closed already, or the other side was faster: either way the reader has its end.
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._answer.close()
        if self._connection is not None:
            # An answer that was read to its end has given it back: nobody may take it again without its socket.
            self._connection.close()
        if self._socket is not None:
            self._socket.close()


def _socket_of(answer: requests.Response) -> socket.socket | None:
    """Return the connection below an answer. One without a length took it over from the library's own object."""
    raw: Any = answer.raw
    found = getattr(raw.connection, "sock", None)
    if found is None:
        buffered = getattr(getattr(raw, "_fp", None), "fp", None)
        found = getattr(getattr(buffered, "raw", None), "_sock", None)
    return found


@contextlib.contextmanager
def translated(where: str) -> Generator[None]:
    """Turn what the libraries raise when the engine cannot be spoken to into EngineUnreachable."""
    try:
        yield
    except (
        requests.RequestException,
        urllib3.exceptions.HTTPError,
        http.client.HTTPException,
        docker.errors.DockerException,
        OSError,
    ) as exc:
        raise unreachable(where, cause_of(exc)) from exc


def cause_of(error: BaseException) -> OSError | None:
    """Return the operating system's error below a library's, or None."""
    if isinstance(error, requests.Timeout | urllib3.exceptions.TimeoutError):
        return TimeoutError("timed out")
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno is not None:
            return seen
        if isinstance(seen, TimeoutError):
            return seen
        seen = seen.__cause__ or seen.__context__
    return None


def numbers_of(version: str) -> tuple[int, int]:
    """Return ("1.41") as numbers; raises ValueError."""
    major, minor = version.split(".")
    return int(major), int(minor)


def text_of(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"
