"""From a row of the route table to an aiohttp handler: admit, parse, call, answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from aiohttp import http_exceptions, web

from hub.api.access import admit
from hub.api.answers import HEADERS, json_answer
from hub.api.parse import parse_body, parse_idempotency_key, parse_query
from hub.api.queries import NoQuery
from hub.api.route import Call, Later, Plain, Route, Site, Streaming
from hub.api.streams import Departure, need_websocket, serve_events, stream_lines
from hub.api.terminal import serve_shell
from hub.control import Control, Door
from hub.core.model import Role
from hub.errors import BadRequest, NotAvailable, TooLarge

BODY_SECONDS: Final = 30.0
"""How long a body of at most 1 MiB may take to arrive."""
CALLER: Final = web.RequestKey("caller", str)
"""Key of the request under which the access log finds who called."""

AioHandler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def endpoint(route: Route, door: Door, site: Site, departure: Departure) -> AioHandler:
    """Return the handler of `route`."""

    async def handle(request: web.Request) -> web.StreamResponse:
        principal = await admit(door, route, request)
        request[CALLER] = principal.name
        call = await _read(route, site, request)
        return await _answer(route, door.control(principal), call, request, departure)

    return handle


def later_endpoint(later: Later, door: Door) -> AioHandler:
    """Return a handler that says that this version does not have it, to whoever may view."""

    async def handle(request: web.Request) -> web.StreamResponse:
        route = Route(
            method=request.method, path=later.path, role=Role.VIEWER, summary=later.what, handler=_not_available
        )
        principal = await admit(door, route, request)
        request[CALLER] = principal.name
        raise NotAvailable(f"not available in this version: {later.what}", hint="GET /docs lists what there is")

    return handle


async def _not_available(control: Control, call: Call) -> None:
    raise NotAvailable("not available in this version")


async def _read(route: Route, site: Site, request: web.Request) -> Call:
    body = None
    if route.request is not None:
        body = parse_body(await _read_body(route, request), route.request, optional=route.body_optional)
    return Call(
        site=site,
        path=request.match_info,
        query=parse_query(request.query.items(), route.query or NoQuery),
        body=body,
        idempotency_key=parse_idempotency_key(request.headers) if route.idempotent else None,
    )


async def _read_body(route: Route, request: web.Request) -> bytes:
    if (request.content_length or 0) > route.max_body_bytes:
        raise _too_large(route)
    try:
        async with asyncio.timeout(BODY_SECONDS):
            raw = await request.read()
    except TimeoutError as error:
        raise BadRequest(f"the body did not arrive within {BODY_SECONDS:.0f} s", code="body_timeout") from error
    except (web.RequestPayloadError, http_exceptions.HttpProcessingError) as error:
        raise BadRequest("the body cannot be read as its headers say", code="malformed_body") from error
    if len(raw) > route.max_body_bytes:
        raise _too_large(route)
    return raw


def _too_large(route: Route) -> TooLarge:
    return TooLarge(f"the body is larger than {route.max_body_bytes // 1024} KiB")


async def _answer(
    route: Route, control: Control, call: Call, request: web.Request, departure: Departure
) -> web.StreamResponse:
    if route.streaming in (Streaming.EVENTS, Streaming.SHELL):
        need_websocket(request)
    answer = await route.handler(control, call)
    if route.streaming is Streaming.NONE:
        return _plain(answer) if isinstance(answer, Plain) else json_answer(answer, route.status)
    with departure.stream():
        return await _stream(route.streaming, answer, call, request, departure.leaving)


async def _stream(
    streaming: Streaming, answer: Any, call: Call, request: web.Request, leaving: asyncio.Event
) -> web.StreamResponse:
    match streaming:
        case Streaming.EVENTS:
            return await serve_events(request, answer, leaving)
        case Streaming.SHELL:
            return await serve_shell(request, answer, leaving)
        case Streaming.NDJSON:
            return await stream_lines(request, answer, leaving, follow=getattr(call.query, "follow", False))
        case Streaming.NONE:
            raise AssertionError("no stream")


def _plain(answer: Plain) -> web.Response:
    headers = {**HEADERS, **answer.headers, "Content-Type": answer.content_type}
    return web.Response(body=answer.body, headers=headers)
