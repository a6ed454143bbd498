"""Says something to an agent of a gateway and hears its answer piece by piece.

A conversation is `agent:SLUG:SESSION`, the one form of a session key that no version of OpenClaw sends to another
agent. What fails before the stream began is raised; after that it is the last chunk.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Final

import httpx
import msgspec

from hub.contract import MessageChunk, SendMessage
from hub.core.gateways import parse_persona, session_key
from hub.errors import BadRequest, Conflict, DriverFailed, HubError
from hub.gateways import failures
from hub.gateways.book import Gateway, GatewayBook
from hub.gateways.client import GatewayClient, TooMuch, authorized, broken, trouble, whole
from hub.gateways.failures import Whom
from hub.gateways.reading import Reading
from hub.gateways.secret import Secret
from hub.gateways.sse import EventTooLong, SseReader
from hub.gateways.turns import Turns
from hub.gateways.watch import GatewayWatch
from hub.kernel import Kernel
from hub.metrics import MessageEnd
from hub.undo import FAILED

RACE_SECONDS: Final = 10.0
"""The gateway's internal error at the first message of a session that another client begins too comes at once."""
LEFT: Final = "whoever asked left"
"""How a message ended whose answer nobody waited for."""
DONE_SECONDS: Final = 5.0
"""How long the end of a stream is waited for after the end of its answer."""


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One message on its way. `deadline`: when its time is over, by the event loop's clock."""

    gateway: Gateway
    whom: Whom
    key: str
    text: str
    token: Secret
    seconds: float
    deadline: float


class Messenger:
    def __init__(self, kernel: Kernel, book: GatewayBook, watch: GatewayWatch, client: GatewayClient) -> None:
        self._kernel = kernel
        self._book = book
        self._watch = watch
        self._client = client
        self._turns = Turns()

    @property
    def open(self) -> int:
        """Messages that are answered or wait for their turn."""
        return self._turns.open

    async def send(self, request: SendMessage, by: str, deadline: float) -> AsyncGenerator[MessageChunk]:
        """Yield the answer. `deadline`: when the time of the message is over, by the event loop's clock.

        Raises HubError before the first chunk only; to close it early cancels the run.
        """
        message = await self._prepare(request, deadline)
        kernel, target = self._kernel, request.to
        await kernel.commit([kernel.audited(by, "message.send", target, detail=message.key)])
        outcome = LEFT
        try:
            async with self._turn(message):
                async with contextlib.aclosing(self._answer(message)) as chunks:
                    async for chunk in chunks:
                        if chunk.end:
                            outcome = chunk.error.code if chunk.error is not None else ""
                        yield chunk
        except HubError as exc:
            outcome = exc.code
            raise
        finally:
            self._kernel.metrics.message_ended(_ended(outcome))
            if outcome:
                kernel.push([kernel.audited(by, "message.send", target, FAILED, outcome)])

    async def _prepare(self, request: SendMessage, deadline: float) -> Message:
        whom = Whom(*parse_persona(request.to))
        key = session_key(whom.slug, request.session)
        if not request.text.strip():
            raise BadRequest("a message needs a text", field="text")
        gateway = self._book.get(whom.gateway)
        if not gateway.url:
            raise Conflict(
                f"gateway {gateway.name} has no address",
                code="no_address",
                hint="set OPENCLAW_GATEWAY_URL for the hub, then start it again",
            )
        try:
            async with asyncio.timeout_at(deadline):
                await self._check_roster(gateway, whom)
        except TimeoutError as exc:
            raise failures.not_sent(request.timeout_seconds, gateway.name, "did not tell its personas") from exc
        try:
            token = await gateway.read_token()
        except BadRequest as exc:
            raise DriverFailed(exc.message, code=exc.code, hint=exc.hint, retryable=False) from exc
        return Message(
            gateway=gateway,
            whom=whom,
            key=key,
            text=request.text,
            token=token,
            seconds=request.timeout_seconds,
            deadline=deadline,
        )

    async def _check_roster(self, gateway: Gateway, whom: Whom) -> None:
        """Raises NotFound where the gateway tells its agents and this is none of them, also on a second look."""
        roster = self._watch.sight(gateway.name).seen.roster
        if roster is None or whom.slug in roster:
            return
        roster = (await self._watch.look(gateway)).seen.roster
        if roster is not None and whom.slug not in roster:
            raise failures.unknown_persona(whom, roster)

    @contextlib.asynccontextmanager
    async def _turn(self, message: Message) -> AsyncIterator[None]:
        """Hold the conversation. Raises QueueFull, DriverFailed (`message_timeout`)."""
        async with contextlib.AsyncExitStack() as stack:
            try:
                async with asyncio.timeout_at(message.deadline):
                    await stack.enter_async_context(self._turns.turn(message.gateway.name, message.key))
            except TimeoutError as exc:
                raise failures.too_late(message.seconds, message.whom, waited=True) from exc
            yield

    async def _answer(self, message: Message) -> AsyncGenerator[MessageChunk]:
        """Ask, and once more where the gateway lost its race for a new session and nothing has been done."""
        started = retried = False
        while True:
            reading, began = Reading(message.whom), asyncio.get_running_loop().time()
            try:
                async with contextlib.aclosing(self._ask(message, reading)) as texts:
                    async for text in texts:
                        if text or not started:
                            yield MessageChunk(text=text, session_key=message.key, response_id=reading.response_id)
                        started = True
                error = reading.error
            except HubError as exc:
                error = exc
            quick = asyncio.get_running_loop().time() - began < RACE_SECONDS
            if error is not None and error.code == "gateway_internal" and quick and not (reading.produced or retried):
                retried = True
                continue
            if error is not None and not started:
                raise error
            yield _last(message, reading, error)
            return

    async def _ask(self, message: Message, reading: Reading) -> AsyncGenerator[str]:
        """Yield the texts of one run, the first (empty) when it has begun. Raises HubError."""
        async with contextlib.AsyncExitStack() as stack:
            try:
                async with asyncio.timeout_at(message.deadline):
                    response = await stack.enter_async_context(self._post(message))
                    stream = response.status_code == 200 and _is_stream(response)
                    reply = None if stream else await whole(response)
            except TimeoutError as exc:
                raise failures.too_late(message.seconds, message.whom, waited=False) from exc
            except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as exc:
                raise failures.unreachable(trouble(exc), message.whom) from exc
            except (httpx.HTTPError, TooMuch) as exc:
                raise failures.cut_off(broken(exc), message.whom) from exc
            if reply is not None:
                fields = reply.fields() if reply.status == 200 else None
                if fields is None or fields.get("object") != "response":
                    raise failures.failed_answer(reply, message.whom)
                yield reading.take_whole(fields)
                return
            yield ""
            async with contextlib.aclosing(_texts(response, message, reading)) as texts:
                async for text in texts:
                    yield text

    def _post(self, message: Message) -> contextlib.AbstractAsyncContextManager[httpx.Response]:
        headers = {
            **authorized(message.token, message.gateway.user),
            "Accept": "text/event-stream",
            "x-openclaw-session-key": message.key,
        }
        body = {"model": f"openclaw:{message.whom.slug}", "input": message.text, "stream": True}
        return self._client.post(f"{message.gateway.url}/v1/responses", headers, body)


async def _texts(response: httpx.Response, message: Message, reading: Reading) -> AsyncGenerator[str]:
    """Yield the texts of a stream until it says that it is done. Raises HubError."""
    events, pieces, deadline = SseReader(), response.aiter_bytes(), message.deadline
    while not reading.done and (piece := await _next(pieces, deadline, message, reading)):
        try:
            found = events.feed(piece)
        except EventTooLong as exc:
            raise failures.not_understood("an event of its stream has no end", message.whom) from exc
        for event in found:
            if text := reading.take(event):
                yield text
        if reading.status:
            deadline = min(deadline, asyncio.get_running_loop().time() + DONE_SECONDS)
    if not reading.status:
        raise failures.cut_off("the stream ended without saying how", message.whom)


async def _next(pieces: AsyncIterator[bytes], deadline: float, message: Message, reading: Reading) -> bytes:
    """Return the next piece of a stream, empty at its end; what breaks after the answer is none. Raises HubError."""
    try:
        async with asyncio.timeout_at(deadline):
            return await anext(pieces, b"")
    except (TimeoutError, httpx.HTTPError) as exc:
        if reading.status:
            return b""
        if isinstance(exc, TimeoutError):
            raise failures.too_late(message.seconds, message.whom, waited=False) from exc
        raise failures.cut_off(broken(exc), message.whom) from exc


def _is_stream(response: httpx.Response) -> bool:
    return "event-stream" in response.headers.get("Content-Type", "").lower()


def _ended(outcome: str) -> MessageEnd:
    if not outcome:
        return MessageEnd.COMPLETED
    return MessageEnd.ABANDONED if outcome == LEFT else MessageEnd.FAILED


def _last(message: Message, reading: Reading, error: HubError | None) -> MessageChunk:
    status = reading.status or "failed"
    return MessageChunk(
        end=True,
        status="failed" if error is not None and status == "completed" else status,
        response_id=reading.response_id,
        session_key=message.key,
        error=failures.error_body(error) if error is not None else None,
        usage=reading.usage,
    )
