"""The aiohttp applications of the hub: the API, the agents' WebSocket, or both on one socket."""

from __future__ import annotations

import functools
import time
from collections.abc import Awaitable, Callable

import msgspec
import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from hub.api.access import refuse_foreign_origin
from hub.api.answers import error_answer, http_error
from hub.api.endpoint import CALLER, endpoint, later_endpoint
from hub.api.openapi import openapi_document
from hub.api.page import documentation_page
from hub.api.route import MAX_BODY_BYTES, Site
from hub.api.routes import LATER, ROUTES
from hub.api.streams import Departure, bug
from hub.control import Door
from hub.errors import Forbidden, HubError
from hub.metrics import Metrics

AgentHandler = Callable[[web.Request, str | None], Awaitable[web.StreamResponse]]
"""Serves an agent's WebSocket and does its own authentication. The second argument is the only agent
that may come through this listener, or None when any may."""
UNMATCHED = "unmatched"
"""Stands for the route of every request that no route matches, so that paths never become labels."""

DEPARTURE = web.AppKey("departure", Departure)
"""Where an application with streams keeps how to end them; whoever stops it does that first."""

_log = structlog.get_logger(__name__)


class Parts(msgspec.Struct, frozen=True):
    """What the applications are made of; every listener gets an application of its own from it."""

    door: Door
    metrics: Metrics
    agent_handler: AgentHandler
    version: str = ""

    def api(self) -> web.Application:
        """The HTTP API alone."""
        application = self._empty()
        self._add_api(application)
        return application

    def agents(self, only_agent: str | None = None) -> web.Application:
        """The agents' WebSocket alone; for a socket that one agent has to itself, only that agent's."""
        application = self._empty()
        self._add_agents(application, only_agent)
        return application

    def local(self) -> web.Application:
        """API and agents together, for the Unix socket."""
        application = self._empty()
        self._add_api(application)
        self._add_agents(application, None)
        return application

    def _empty(self) -> web.Application:
        return web.Application(middlewares=[self._guard()], client_max_size=MAX_BODY_BYTES)

    def _add_api(self, application: web.Application) -> None:
        document, page = _documents(self.version)
        site = Site(metrics=self.metrics, document=document, page=page)
        departure = application[DEPARTURE] = Departure()
        for route in ROUTES:
            handler = endpoint(route, self.door, site, departure)
            application.router.add_route(route.method, route.path, handler)
        for later in LATER:
            handler = later_endpoint(later, self.door)
            application.router.add_route("*", later.path, handler)
            application.router.add_route("*", later.path + "/{rest:.*}", handler)

    def _add_agents(self, application: web.Application, only_agent: str | None) -> None:
        async def serve(request: web.Request) -> web.StreamResponse:
            named = request.match_info["id"]
            if only_agent is not None and named != only_agent:
                await self.door.refused(only_agent, "GET /agent/{id}", named, "foreign socket")
                raise Forbidden("this socket serves another agent", code="foreign_socket")
            return await self.agent_handler(request, only_agent)

        application.router.add_route("GET", "/agent/{id}", serve)
        application.router.add_route("GET", "/agent/{id}/{token}", serve)

    def _guard(self) -> Middleware:
        """Every request passes here: foreign origins out, errors into our form, one line of access log."""

        @web.middleware
        async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
            started = time.perf_counter()
            try:
                refuse_foreign_origin(request)
                answer = await handler(request)
            except HubError as error:
                answer = error_answer(error)
            except web.HTTPException as error:
                answer = http_error(error, request.method)
            except ConnectionError:
                self._account(request, None, started)
                raise
            except Exception as error:  # noqa: BLE001
                answer = error_answer(bug(error))
            self._account(request, answer, started)
            return answer

        return guard

    def _account(self, request: web.Request, answer: web.StreamResponse | None, started: float) -> None:
        """Count and log by the route's template: a path may hold a token, a template cannot."""
        resource = request.match_info.route.resource
        route = resource.canonical if resource is not None else UNMATCHED
        status = answer.status if answer is not None else 499
        seconds = time.perf_counter() - started
        # Streams and long polls last as long as the caller likes, which says nothing about the hub.
        timed = isinstance(answer, web.Response) and "wait" not in request.query
        self.metrics.http_request(_method(request), route, status, seconds if timed else None)
        say = _log.debug if status < 400 else _log.info
        say(
            "http_request",
            method=_method(request),
            route=route,
            status=status,
            seconds=round(seconds, 4),
            caller=request.get(CALLER),
        )


@functools.cache
def _documents(version: str) -> tuple[bytes, bytes]:
    """The OpenAPI document and the page; the same for every application of a hub."""
    document = openapi_document(version)
    return msgspec.json.encode(document), documentation_page(document)


def _method(request: web.Request) -> str:
    """Methods become labels, so invented ones share one name."""
    return request.method if request.method in _METHODS else "other"


_METHODS = frozenset({"GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"})
