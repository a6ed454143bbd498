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


def plain(value: Any) -> Any:
    """A request without what equals its defaults: an older hub refuses fields that it does not know."""
    if not isinstance(value, msgspec.Struct):
        return value
    given: dict[str, Any] = {}
    for field in msgspec.structs.fields(value):
        one = getattr(value, field.name)
        default = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
        if default is msgspec.NODEFAULT or one != default:
            given[field.encode_name] = plain(one)
    return given


class RemoteCalls:
    """Calls of one hub's HTTP API."""

    def __init__(self, transport: Transport) -> None:
        self._http = transport

    async def _get(self, kind: type[T], path: str, params: Params | None = None, wait_seconds: float = 0.0) -> T:
        return self._read(await self._http.call("GET", path, params=params, wait_seconds=wait_seconds), kind)

    async def _post(self, kind: type[T], path: str, body: Any = None, key: str | None = None) -> T:
        return self._read(await self._http.call("POST", path, body=plain(body), key=key), kind)

    def _read(self, body: bytes, kind: type[T]) -> T:
        return decoded(body, kind, self._http.hub_version)
