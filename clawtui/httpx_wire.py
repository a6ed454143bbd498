"""HTTP to a hub elsewhere: TLS, a private CA, and the proxies that the environment names."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator

import httpx

from clawtui.address import START_HINT, Address, on_loopback, trusted
from clawtui.errors import ConnectionLost, NoHub, UsageError
from clawtui.exchange import Answer, Ask
from clawtui.settings import Settings
from hub.errors import Unavailable


class HttpxWire:
    """To one address; see `clawtui.exchange.Wire`. `transport`: instead of sockets."""

    def __init__(self, address: Address, settings: Settings, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._client = httpx.AsyncClient(
            base_url=address.url,
            headers=address.headers,
            transport=transport,
            verify=trusted(settings) if address.url.startswith("https:") else False,
            # A hub on this machine is never behind a proxy.
            trust_env=not on_loopback(address.url),
        )

    async def close(self) -> None:
        await self._client.aclose()

    @contextlib.asynccontextmanager
    async def exchange(self, ask: Ask) -> AsyncIterator[Answer]:
        timeout = httpx.Timeout(ask.timeout_seconds, read=None if ask.endless else ask.timeout_seconds)
        with _translated():
            async with self._client.stream(
                ask.method, ask.path, headers=dict(ask.headers), content=ask.content or None, timeout=timeout
            ) as answer:
                yield Answer(answer.status_code, answer.headers.get("Retry-After"), answer.aiter_bytes())


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """Turn what httpx raises into what the front end knows."""
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
