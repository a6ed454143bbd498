"""A hub of another version, played over real HTTP: a real HTTP layer behind a server that alters its answers."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import msgspec
from aiohttp import web

Alter = Callable[[str, Any], Any]
"""Gets a path and the JSON of its answer, returns another answer; None: this hub has no such path."""


class PlayedHub:
    """`url` is where it is; `asked` are the requests that came, as `METHOD /path`."""

    def __init__(self, upstream: str, alter: Alter, *, known_fields: frozenset[str] | None = None) -> None:
        """`known_fields`: of a request's body; others are refused, as every hub refuses what it does not know."""
        self._upstream, self._alter, self._known_fields = upstream, alter, known_fields
        self.asked: list[str] = []
        self.url = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(f"{request.method} {request.path}")
        async with aiohttp.ClientSession(self._upstream, headers=_passed_on(request)) as session:
            if request.headers.get("Upgrade", "").lower() == "websocket":
                return await self._feed(request, session)
            body = await request.read()
            if self._known_fields is not None and body and set(msgspec.json.decode(body)) - self._known_fields:
                return _error(400, "bad_request", "a field is not known")
            async with session.request(request.method, request.path_qs, data=body) as answer:
                content = await answer.read()
                if answer.status >= 400 or answer.content_type != "application/json":
                    return web.Response(body=content, status=answer.status, content_type=answer.content_type)
                altered = self._alter(request.path, msgspec.json.decode(content))
                if altered is None:
                    return _error(404, "not_found", "no such path")
                return web.Response(
                    body=msgspec.json.encode(altered), status=answer.status, content_type="application/json"
                )

    async def _feed(self, request: web.Request, session: aiohttp.ClientSession) -> web.StreamResponse:
        """Changes as they come; each is altered too."""
        down = web.WebSocketResponse()
        await down.prepare(request)
        async with session.ws_connect(request.path_qs) as up:

            async def passes_on() -> None:
                async for message in up:
                    altered = self._alter("/events", msgspec.json.decode(message.data))
                    await down.send_str(msgspec.json.encode(altered).decode())

            async with asyncio.TaskGroup() as group:
                passing = group.create_task(passes_on())
                async for _ in down:
                    pass
                passing.cancel()
        return down


def _passed_on(request: web.Request) -> dict[str, str]:
    return {name: request.headers[name] for name in ("Authorization", "Content-Type") if name in request.headers}


def _error(status: int, code: str, message: str) -> web.Response:
    return web.json_response({"error": {"code": code, "message": message}}, status=status)


@contextlib.asynccontextmanager
async def playing(
    upstream: str | None, alter: Alter, *, known_fields: frozenset[str] | None = None
) -> AsyncIterator[PlayedHub]:
    """A hub in front of the one at `upstream`."""
    assert upstream is not None
    played = PlayedHub(upstream, alter, known_fields=known_fields)
    application = web.Application()
    application.router.add_route("*", "/{rest:.*}", played.handle)
    runner = web.AppRunner(application, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0]
        played.url = f"http://{host}:{port}"
        yield played
    finally:
        await runner.cleanup()


# --- what other versions answer


def newer(path: str, answer: Any) -> Any:
    """The next version with the same API: fields, states and kinds of changes that this one does not have."""
    match path:
        case "/health":
            return answer | {"version": "9.9.9", "quantum": {"entangled": True}, "status": "pensive"}
        case "/events":
            return answer | {"kind": answer["kind"], "cause": "because"}
        case "/agents" if "agents" in answer:
            return answer | {"agents": [_newer_agent(agent) for agent in answer["agents"]], "total": 1}
        case "/tasks":
            return answer | {"tasks": [task | {"status": "pondered", "mood": "good"} for task in answer["tasks"]]}
        case "/attention":
            return answer | {"attention": [one | {"severity": "cosmic"} for one in answer["attention"]]}
        case _:
            return _newer_agent(answer) if "lifecycle" in answer else answer | {"more": 1}


def _newer_agent(agent: dict[str, Any]) -> dict[str, Any]:
    lifecycle = agent["lifecycle"] | {"observed": "hibernating", "depth": 3}
    return agent | {"status": "hibernating", "lifecycle": lifecycle, "connection": "dreaming", "colour": "teal"}


ADDED_LATER = ("/attention", "/journal", "/connections")
"""Paths that an older hub may not have."""


def older(path: str, answer: Any) -> Any:
    """The first version: no word about the API, only the fields that must be there, fewer paths."""
    if path.startswith(ADDED_LATER):
        return None
    match path:
        case "/health":
            needed = ("status", "hubId", "uptimeSeconds", "loopLagSeconds", "registryWritable")
            return {name: answer[name] for name in needed} | {"version": "0.0.9"}
        case "/agents" if "agents" in answer:
            return {"agents": [_older_agent(agent) for agent in answer["agents"]]}
        case _:
            return _older_agent(answer) if "lifecycle" in answer else answer


def _older_agent(agent: dict[str, Any]) -> dict[str, Any]:
    return {name: agent[name] for name in ("id", "uid", "status", "lifecycle", "connection")}


def other_api(number: int, version: str) -> Alter:
    """A hub of another API: nothing but `GET /health` can be relied on, and of that only two fields."""
    return lambda path, _: {"version": version, "api": number} if path == "/health" else {"nothing": "as before"}


def garbled(path: str, answer: Any) -> Any:
    """The same API number, but answers that do not fit it: a defect, or something else in between."""
    return answer | {"version": "0.3.7"} if path == "/health" else {"agents": [{"id": 7}]}
