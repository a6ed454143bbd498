"""A model provider that tests play: it speaks OpenAI's chat completions on loopback, keeps every request it was sent,
and does what the last message of the user tells it between double braces:

    {{say TEXT}}      answer with TEXT
    {{pieces N}}      answer in N pieces: "piece0 piece1 …"
    {{hold NAME}}     after the first piece wait until the test calls `release(NAME)`
    {{fail STATUS}}   refuse with this HTTP status

Without one the answer is "heard by MODEL: TEXT".
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections import defaultdict
from collections.abc import AsyncIterator
from typing import Any, Final

import msgspec
from aiohttp import web

MODELS: Final = ("stub-1", "stub-2")
DIRECTIVE: Final = re.compile(r"\{\{(say|pieces|hold|fail) (.*?)\}\}", re.DOTALL)
USAGE: Final = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
CONTEXT_MARK: Final = "OPENCLAW_INTERNAL_CONTEXT"
"""In messages that a gateway adds in the user's name, after the user's own."""
HOLD_SECONDS: Final = 60.0
"""A test that forgets to release fails by its own deadline long before."""


class Asked(msgspec.Struct, frozen=True):
    """One request of a gateway: `system` is the whole system prompt, `user` what the user said last."""

    model: str
    system: str
    user: str
    messages: list[dict[str, Any]]


class StubModel:
    """Use as an async context manager; `url` is what a gateway's provider settings name."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.url = ""
        self._releases: dict[str, asyncio.Event] = defaultdict(asyncio.Event)

    @contextlib.asynccontextmanager
    async def running(self, host: str = "127.0.0.1") -> AsyncIterator[StubModel]:
        """Serve at an address of this machine; containers reach that of their bridge."""
        app = web.Application(client_max_size=16 * 1024**2)
        app.router.add_get("/v1/models", self._models)
        app.router.add_post("/v1/chat/completions", self._complete)
        # What a hung request holds is the test's, which ends now.
        runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
        await runner.setup()
        try:
            site = web.TCPSite(runner, host, 0)
            await site.start()
            self.url = f"http://{host}:{runner.addresses[0][1]}/v1"
            yield self
        finally:
            await runner.cleanup()

    def release(self, name: str) -> None:
        """Let everything go on that waits, or will wait, at `{{hold NAME}}`."""
        self._releases[name].set()

    def last(self, containing: str = "") -> Asked:
        """The newest request whose user message contains a text. Raises LookupError."""
        for asked in reversed(self.asked):
            if containing in asked.user:
                return asked
        raise LookupError(f"nobody asked {containing!r}; heard: {[asked.user[-200:] for asked in self.asked]}")

    async def _models(self, _request: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": one, "object": "model"} for one in MODELS]})

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        asked = read(body)
        self.asked.append(asked)
        told = dict(DIRECTIVE.findall(asked.user))
        if "fail" in told:
            error = {"message": "the stub was told to fail", "type": "server_error"}
            return web.json_response({"error": error}, status=int(told["fail"]))
        pieces = answer(asked, told)
        if not body.get("stream"):
            await self._held(told)
            message = {"role": "assistant", "content": "".join(pieces)}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            return web.json_response(envelope(asked, "chat.completion", choice) | {"usage": USAGE})
        return await self._stream(request, asked, pieces, told)

    async def _stream(
        self, request: web.Request, asked: Asked, pieces: list[str], told: dict[str, str]
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)

        async def send(delta: dict[str, str], finish: str | None = None, **more: Any) -> None:
            choice = {"index": 0, "delta": delta, "finish_reason": finish}
            data = msgspec.json.encode(envelope(asked, "chat.completion.chunk", choice) | more)
            await response.write(b"data: " + data + b"\n\n")

        await send({"role": "assistant", "content": ""})
        for at, piece in enumerate(pieces):
            await send({"content": piece})
            if at == 0:
                await self._held(told)
        await send({}, "stop", usage=USAGE)
        await response.write(b"data: [DONE]\n\n")
        return response

    async def _held(self, told: dict[str, str]) -> None:
        if "hold" in told:
            async with asyncio.timeout(HOLD_SECONDS):
                await self._releases[told["hold"]].wait()


def read(body: dict[str, Any]) -> Asked:
    """A request's parts; content may be a text or a list of parts."""
    messages = body["messages"]
    system = "\n".join(text_of(one) for one in messages if one["role"] in ("system", "developer"))
    users = [text for one in messages if one["role"] == "user" and CONTEXT_MARK not in (text := text_of(one))]
    return Asked(body["model"], system, users[-1] if users else "", messages)


def text_of(message: dict[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, list):
        return "".join(part.get("text", "") for part in content)
    return content or ""


def answer(asked: Asked, told: dict[str, str]) -> list[str]:
    if "say" in told:
        return [told["say"]]
    if "pieces" in told:
        return [f"piece{at} " for at in range(int(told["pieces"]))]
    return [f"heard by {asked.model}: ", asked.user[:120]]


def envelope(asked: Asked, kind: str, choice: dict[str, Any]) -> dict[str, Any]:
    return {"id": "chatcmpl-stub", "object": kind, "created": 0, "model": asked.model, "choices": [choice]}
