"""What every group of remote calls stands on: a request with a typed answer, and how paths and queries are written."""

from __future__ import annotations

from typing import Any, TypeVar
from urllib.parse import quote

import msgspec

from clawtui.transport import Params, Transport, decoded

T = TypeVar("T")


def path(*parts: str) -> str:
    return "/" + "/".join(quote(part, safe="") for part in parts)


def params(query: msgspec.Struct) -> dict[str, Any]:
    """What differs from the query's defaults."""
    defaults = msgspec.to_builtins(type(query)())
    return {name: value for name, value in msgspec.to_builtins(query).items() if value != defaults[name]}


class RemoteCalls:
    """Calls of one hub's HTTP API."""

    def __init__(self, transport: Transport) -> None:
        self._http = transport

    async def _get(self, kind: type[T], path: str, params: Params | None = None, wait_seconds: float = 0.0) -> T:
        return decoded(await self._http.call("GET", path, params=params, wait_seconds=wait_seconds), kind)

    async def _post(self, kind: type[T], path: str, body: Any = None, key: str | None = None) -> T:
        return decoded(await self._http.call("POST", path, body=body, key=key), kind)
