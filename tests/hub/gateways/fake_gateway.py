"""An OpenClaw gateway for tests: real HTTP on loopback, and the answers that the real one was seen to give."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import enum
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import msgspec
from aiohttp import web

PAGE = b"<!doctype html><html><title>Control</title></html>"


class Condition(enum.Enum):
    """What the whole gateway does."""

    READY = "ready"
    STARTING = "starting"
    DRAINING = "draining"
    SIDECARS = "sidecars"
    """Alive, and not ready for another reason."""
    PAGES = "pages"
    """Something else: every path answers 200 with a page."""
    PROXY = "proxy"
    """It does not trust the proxy through which everything comes."""
    COVERED = "covered"
    """A proxy answers for a gateway that does not."""
    HANGING = "hanging"
    REDIRECTING = "redirecting"
    ENDLESS = "endless"
    """Answers that never end."""
    TRICKLING = "trickling"
    """The same, slowly."""


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """How one call of an agent goes. `status` other than 200: `body` is the whole answer. Else a stream: `pieces` of
    text, then the `end` event (None: none, and no `[DONE]`), then `[DONE]` unless `done` is false.

    `hold`: an event that is waited for after the first piece; `before`: one before anything is answered.
    """

    status: int = 200
    body: Any = None
    content_type: str = "application/json"
    pieces: tuple[str, ...] = ("Hello", " there")
    end: str | None = "completed"
    error: dict[str, str] | None = None
    reason: str = ""
    done: bool = True
    whole: bool = False
    raw: bytes | None = None
    abort: bool = False
    hold: asyncio.Event | None = None
    before: asyncio.Event | None = None
    worked: bool = False
    """It uses a tool before it says or fails."""


def failed(status: int, code: str, message: str) -> Turn:
    """A run that failed before its stream: the second error shape."""
    body = {"id": "resp_x", "object": "response", "status": "failed", "error": {"code": code, "message": message}}
    return Turn(status=status, body=body)


def refused(status: int, kind: str, message: str) -> Turn:
    """A call that was refused before the run: the first error shape."""
    return Turn(status=status, body={"error": {"message": message, "type": kind}})


INTERNAL = failed(500, "api_error", "internal error")


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One call of an agent, as it came."""

    model: str
    key: str
    text: str
    stream: bool


class FakeGateway:
    def __init__(
        self,
        *,
        token: str = "gateway-token",
        version: str = "2026.9.6",
        roster: tuple[str, ...] = ("engineer", "qa"),
        user: str = "",
        port: int = 0,
    ) -> None:
        """`user`: nginx in front of it wants HTTP Basic on every path. `port` 0: any."""
        self.user = user
        self.token = token
        self.version = version
        self.roster = list(roster)
        self.condition = Condition.READY
        self.discreet = False
        """It tells what is failing only to those who show the token, as to callers from another machine."""
        self.responses_enabled = True
        self.interface_enabled = True
        """Its web interface's settings are served."""
        self.turns: list[Turn] = []
        """The next ones; after them every turn says hello."""
        self.calls: list[Call] = []
        self.paths: list[str] = []
        self.left = 0
        """Calls whose caller went away in the middle."""
        self.most_at_once: Counter[str] = Counter()
        """By session key."""
        self._now: Counter[str] = Counter()
        self._runner: web.AppRunner | None = None
        self._port = port
        self._stopping = asyncio.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def at_once(self) -> int:
        return self._now.total()

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[FakeGateway]:
        await self.start()
        try:
            yield self
        finally:
            await self.stop()

    async def start(self) -> None:
        """Serve; after a stop on the same port again."""
        self._stopping.clear()
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._serve)
        # Only so does a handler learn at once that its caller has left.
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port, reuse_address=True)
        await site.start()
        self._port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        runner, self._runner = self._runner, None
        self._stopping.set()
        if runner is not None:
            await runner.cleanup()

    # --- paths

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        self.paths.append(request.path)
        if (whole := await self._as_a_whole(request)) is not None:
            return whole
        match request.path:
            case "/health" | "/healthz":
                return _json({"ok": True, "status": "live"})
            case "/ready" | "/readyz":
                return self._readyz(request)
            case "/startup" | "/startupz":
                return self._startupz(request)
            case "/control-ui-config.json" if self.interface_enabled:
                return _json({"serverVersion": self.version}) if self._admits(request) else _unauthorized()
            case "/v1/models":
                return self._models(request)
            case "/v1/responses" if request.method == "POST":
                return await self._responses(request)
        return _page()

    async def _as_a_whole(self, request: web.Request) -> web.StreamResponse | None:
        if self.user and not self._admits(request):
            return web.Response(status=401, headers={"WWW-Authenticate": "Basic"})
        match self.condition:
            case Condition.PAGES:
                return _page()
            case Condition.PROXY:
                return _json({"error": {"type": "proxy_attribution_required", "message": "untrusted proxy"}}, 403)
            case Condition.COVERED:
                covered = request.path == "/healthz"
                return _json({"ok": True, "gateway": "starting"}) if covered else web.Response(status=502)
            case Condition.REDIRECTING:
                return web.Response(status=302, headers={"Location": "https://elsewhere.example/"})
            case Condition.HANGING:
                await self._stopping.wait()
                return web.Response(status=503)
            case Condition.ENDLESS:
                return await self._endless(request, 65536, 0.0)
            case Condition.TRICKLING:
                return await self._endless(request, 1, 0.05)
            case _:
                return None

    async def _endless(self, request: web.Request, size: int, pause_seconds: float) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        with contextlib.suppress(ConnectionError):
            while not self._stopping.is_set():
                await response.write(b" " * size)
                await asyncio.sleep(pause_seconds)
        return response

    def _readyz(self, request: web.Request) -> web.Response:
        failing = {
            Condition.STARTING: "startup-sidecars",
            Condition.DRAINING: "gateway-draining",
            Condition.SIDECARS: "channels",
        }.get(self.condition)
        if failing is not None and self.discreet and not self._admits(request):
            return _json({"ready": False}, 503)
        if failing is not None:
            return _json({"ready": False, "failing": [failing]}, 503)
        return _json({"ready": True, "failing": [], "uptimeMs": 1, "eventLoop": {}})

    def _startupz(self, request: web.Request) -> web.Response:
        if self.version < "2026.8":
            return _page()
        if self.condition is Condition.STARTING:
            return _json({"ok": False, "status": "starting"}, 503)
        told = {"ok": True, "status": "started"}
        # As the real one does for callers from elsewhere, such as through a container's published port.
        return _json(told | {"version": self.version} if self._admits(request) else told)

    def _models(self, request: web.Request) -> web.Response:
        if not self._admits(request):
            return _unauthorized()
        if not self.responses_enabled:
            return _page()
        ids = ["openclaw", "openclaw/default", *(f"openclaw/{slug}" for slug in self.roster)]
        return _json({"object": "list", "data": [{"id": one, "object": "model"} for one in ids]})

    def _admits(self, request: web.Request) -> bool:
        if self.user:
            told = base64.b64encode(f"{self.user}:{self.token}".encode()).decode()
            return request.headers.get("Authorization") == f"Basic {told}"
        return not self.token or request.headers.get("Authorization") == f"Bearer {self.token}"

    # --- agents

    async def _responses(self, request: web.Request) -> web.StreamResponse:
        if not self.responses_enabled:
            return web.Response(status=404, text="Not Found")
        if not self._admits(request):
            return _unauthorized()
        body = msgspec.json.decode(await request.read())
        key = request.headers.get("x-openclaw-session-key", "")
        self.calls.append(Call(model=body["model"], key=key, text=body["input"], stream=body.get("stream", False)))
        slug = key.split(":")[1] if key.startswith("agent:") else body["model"].removeprefix("openclaw:")
        if slug not in self.roster:
            return await _whole(request, refused(400, "invalid_request_error", f"Unknown agent '{slug}'."))
        if self.condition is Condition.DRAINING:
            return await _whole(request, refused(503, "service_unavailable", "gateway is draining"))
        turn = self.turns.pop(0) if self.turns else Turn()
        self._now[key] += 1
        self.most_at_once[key] = max(self.most_at_once[key], self._now[key])
        try:
            return await self._run(request, turn)
        except (asyncio.CancelledError, ConnectionError):
            self.left += 1
            raise
        finally:
            self._now[key] -= 1

    async def _run(self, request: web.Request, turn: Turn) -> web.StreamResponse:
        if turn.before is not None:
            await turn.before.wait()
        if turn.status != 200 or turn.whole:
            return await _whole(request, turn)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
        await response.prepare(request)
        if turn.raw is not None:
            await response.write(turn.raw)
        else:
            for event in _events(turn):
                await response.write(event)
                if turn.hold is not None and b"output_text.delta" in event:
                    await turn.hold.wait()
        if turn.abort:
            assert request.transport is not None
            request.transport.abort()
        return response


def _events(turn: Turn) -> list[bytes]:
    response = {"id": "resp_1", "object": "response", "status": "in_progress"}
    names: list[tuple[str, dict[str, Any]]] = [
        ("response.created", {"response": response}),
        ("response.in_progress", {"response": response}),
    ]
    if turn.pieces or turn.worked:
        names += [("response.output_item.added", {"output_index": 0})]
    if turn.pieces:
        names += [("response.content_part.added", {"content_index": 0})]
        names += [("response.output_text.delta", {"delta": piece}) for piece in turn.pieces]
    if turn.end == "completed":
        names += [("response.output_text.done", {"text": "".join(turn.pieces)}), ("response.content_part.done", {})]
        names += [("response.output_item.done", {})]
    if turn.end is not None:
        names += [(f"response.{turn.end}", {"response": _ended(turn)})]
    events = [f"event: {name}\ndata: {_encoded({'type': name, **fields})}\n\n".encode() for name, fields in names]
    return [*events, b"data: [DONE]\n\n"] if turn.done and turn.end is not None else events


def _ended(turn: Turn) -> dict[str, Any]:
    text = "".join(turn.pieces)
    message = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}
    ended: dict[str, Any] = {
        "id": "resp_1", "object": "response", "status": turn.end, "output": [message],
        "usage": {"input_tokens": 11, "output_tokens": 7, "total_tokens": 18, "input_tokens_details": {}},
    }  # fmt: skip
    if turn.error is not None:
        ended["error"] = turn.error
    if turn.reason:
        ended["incomplete_details"] = {"reason": turn.reason}
    return ended


def _encoded(value: Any) -> str:
    return msgspec.json.encode(value).decode()


async def _whole(request: web.Request, turn: Turn) -> web.Response:
    body = _ended(turn) if turn.whole else turn.body
    raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return web.Response(body=raw, status=turn.status, content_type=turn.content_type)


def _json(value: Any, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), status=status, content_type="application/json")


def _page() -> web.Response:
    return web.Response(body=PAGE, content_type="text/html")


def _unauthorized() -> web.Response:
    return _json({"error": {"message": "Unauthorized", "type": "unauthorized"}}, 401)
