"""The types of the route table: what a route is, and what its handler gets and gives."""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import msgspec

from hub.control import Control
from hub.core.model import Role
from hub.errors import Conflict, DriverFailed, HubError, NotAvailable, StorageFull
from hub.metrics import Metrics

SAVES: Final = (StorageFull,)
DRIVES: Final = (Conflict, NotAvailable, DriverFailed, StorageFull)
"""Errors beside those that every route can answer with: where something is kept, and where a driver acts."""

MAX_BODY_BYTES: Final = 1024 * 1024
"""Largest request body; a larger one is answered with 413."""


class Streaming(enum.Enum):
    """How a route answers."""

    NONE = "none"
    """One JSON document, or what a `Plain` says."""
    NDJSON = "ndjson"
    """One JSON document per line, as long as the handler's iterator gives items."""
    EVENTS = "events"
    """A WebSocket with one JSON text frame per item."""
    SHELL = "shell"
    """A WebSocket with terminal bytes in binary frames."""


class Plain(msgspec.Struct, frozen=True):
    """An answer that is not made from a type: text, or JSON that is encoded already."""

    body: bytes
    content_type: str
    headers: Mapping[str, str] = {}


class Site(msgspec.Struct, frozen=True):
    """What handlers need beside a Control: the metrics and the two documents."""

    metrics: Metrics
    document: bytes
    page: bytes


class Call(msgspec.Struct, frozen=True):
    """A parsed request. `query` and `body` have the types that the route declares, or are None."""

    site: Site
    path: Mapping[str, str]
    query: Any = None
    body: Any = None
    idempotency_key: str | None = None


Handler = Callable[[Control, Call], Awaitable[Any]]
"""Returns an instance of the route's response type; for streams an async iterator of such, for a
shell a `ShellSession`, for a route without response type None. Raises HubError."""


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the table; router, access rules and OpenAPI document come from it.

    `open_on_loopback`: needs no token from this machine. `idempotent`: takes `Idempotency-Key`.
    `errors` are those beyond `hub.api.openapi.COMMON_ERRORS`. `media` is set for `Plain` answers.
    """

    method: str
    path: str
    role: Role
    summary: str
    handler: Handler
    query: type[msgspec.Struct] | None = None
    request: type[Any] | None = None
    body_optional: bool = False
    max_body_bytes: int = MAX_BODY_BYTES
    response: type[msgspec.Struct] | None = None
    status: int = 200
    errors: tuple[type[HubError], ...] = ()
    streaming: Streaming = Streaming.NONE
    media: str | None = None
    open_on_loopback: bool = False
    idempotent: bool = False
    tag: str = ""

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the path's variables, in order."""
        return tuple(part[1:-1] for part in self.path.split("/") if part.startswith("{"))


class Later(msgspec.Struct, frozen=True):
    """A documented path that this version does not have. `path` stands for everything below it too."""

    path: str
    what: str
