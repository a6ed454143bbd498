"""Every way in which a message to an agent of a gateway fails, as an error with its own code. Pure.

A gateway answers in two shapes: before the run `{"error": {message, type}}`, after it a whole response with
`"status": "failed"` and `"error": {code, message}`. A 401 of the second shape is the model provider's, not the
gateway's; an event of a stream has the second shape too, under HTTP status 200.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from hub.contract import ErrorBody
from hub.errors import BadRequest, DriverFailed, HubError, NotAvailable, NotFound, QueueFull, TooLarge, Unavailable
from hub.gateways.looks import ENDPOINT_HINT, PROXY_HINT, TOKEN_HINT, Reply

RETRY_SECONDS: Final = 5.0
COOLDOWN_HINT: Final = (
    "the gateway's log has the cause; after a provider refused its key, an agent answers so for about a minute"
)
MODEL_HINT: Final = "the model in the persona's profile is not one of the gateway's; see its models.providers"


class Whom(NamedTuple):
    """To whom the message was."""

    gateway: str
    slug: str


class Said(NamedTuple):
    """What an answer or an event says of a failure. `ran`: the run had begun; `kind`: its `type` or `code`."""

    message: str
    kind: str
    ran: bool


def failed_answer(reply: Reply, whom: Whom) -> HubError:
    """The error that an HTTP answer is which begins no stream."""
    fields = reply.fields()
    said = _said(fields) if fields is not None else Said("", "", ran=False)
    if said.ran:
        return failed_run(said.message, said.kind, whom, status=reply.status)
    if (known := _BEFORE_RUN.get(reply.status)) is not None and (reply.status != 502 or fields is not None):
        return known(reply, said, whom)
    if reply.status in (502, 504):
        return _down(whom, f"what stands before it answers HTTP {reply.status}")
    return _odd(reply, whom)


def failed_run(message: str, kind: str, whom: Whom, status: int | None = None) -> HubError:
    """The error that a run ended with. `status`: of the HTTP answer, None for an event of a stream."""
    text = message.lower()
    if kind == "authentication_error" or status == 401:
        return DriverFailed(
            f"the model provider refuses the key of gateway {whom.gateway}{_words(message)}",
            code="provider_refused",
            hint="mend the provider's key at the gateway; this is not the gateway's own token",
            retryable=False,
        )
    if "unknown model" in text:
        return _unknown_model(message, whom)
    if "unknown agent" in text:
        return _unknown_persona(whom)
    if status == 502 or "upstream" in text:
        return DriverFailed(
            f"the model provider of gateway {whom.gateway} failed{_words(message)}",
            code="provider_failed",
            hint="the gateway has tried again several times; look at the provider, then send it again",
        )
    if status == 503 or "draining" in text:
        return _not_ready(message, whom)
    if status == 500 or (kind == "api_error" and "internal" in text):
        return _internal(message, whom)
    return DriverFailed(
        f"{whom.slug} could not answer{_words(message)}",
        code="message_failed",
        hint=f"the log of gateway {whom.gateway} has more",
        retryable=False,
    )


def unreachable(why: str, whom: Whom) -> HubError:
    """Nobody answered: nothing has run."""
    return _down(whom, why)


def cut_off(why: str, whom: Whom) -> HubError:
    """The answer ended before its end was said."""
    return DriverFailed(
        f"the answer of {whom.slug} was cut off: {why}",
        code="stream_cut",
        hint="the agent may have done what it was told; ask it in the same session before you send it again",
    )


def not_understood(why: str, whom: Whom) -> HubError:
    return DriverFailed(
        f"gateway {whom.gateway} answers with something else than an answer: {why}",
        code="gateway_odd_answer",
        hint=f"does its address lead to an OpenClaw gateway? clawtui gateway show {whom.gateway}",
        retryable=False,
    )


def too_late(seconds: float, whom: Whom, *, waited: bool) -> HubError:
    """The time of the message is over. `waited`: it was never sent, because others of its session were not done."""
    if waited:
        return DriverFailed(
            f"other messages of this session were not done within {seconds:g} s; this one was not sent",
            code="message_timeout",
            hint="use another session, or a longer --timeout",
        )
    return DriverFailed(
        f"{whom.slug} was not done within {seconds:g} s; its run was cancelled",
        code="message_timeout",
        hint="give it more time with --timeout, or less to do",
    )


def not_sent(seconds: float, gateway: str, what: str) -> HubError:
    """The time of the message was over before it could be sent: `what` was waited for, as a clause."""
    return DriverFailed(
        f"gateway {gateway} {what} within {seconds:g} s; the message was not sent",
        code="message_timeout",
        hint=f"clawtui gateway show {gateway} says how it is; or use a longer --timeout",
    )


def incomplete(reason: str, whom: Whom) -> HubError:
    return DriverFailed(
        f"{whom.slug} stopped before the end of its answer{_words(reason)}",
        code="message_incomplete",
        hint="say `go on` in the same session, or raise the model's limit of tokens",
        retryable=False,
    )


def error_body(error: HubError) -> ErrorBody:
    """An error as the last chunk of a stream has it."""
    return ErrorBody(
        code=error.code, message=error.message, hint=error.hint, retryable=error.retryable, field=error.field
    )


# --- before the run ------------------------------------------------------------------------------


def _token_refused(reply: Reply, said: Said, whom: Whom) -> HubError:
    if said.kind == "authentication_error":
        return failed_run(said.message, said.kind, whom)
    return DriverFailed(
        f"gateway {whom.gateway} does not take the token", code="gateway_refused", hint=TOKEN_HINT, retryable=False
    )


def _forbidden(reply: Reply, said: Said, whom: Whom) -> HubError:
    if b"proxy_attribution_required" in reply.body:
        return DriverFailed(
            f"gateway {whom.gateway} refuses what comes through a proxy that it does not trust",
            code="gateway_proxy",
            hint=PROXY_HINT,
            retryable=False,
        )
    return DriverFailed(
        f"gateway {whom.gateway} refuses this{_words(said.message)}",
        code="gateway_refused",
        hint=TOKEN_HINT,
        retryable=False,
    )


def _bad_request(reply: Reply, said: Said, whom: Whom) -> HubError:
    text = said.message.lower()
    if "unknown agent" in text:
        return _unknown_persona(whom)
    if "unknown model" in text:
        return _unknown_model(said.message, whom)
    if not said.message:
        return _odd(reply, whom)
    return BadRequest(
        f"gateway {whom.gateway} does not take this message{_words(said.message)}", code="message_refused"
    )


def _endpoint_off(reply: Reply, said: Said, whom: Whom) -> HubError:
    return NotAvailable(
        f"gateway {whom.gateway} takes no messages over HTTP: its endpoint is switched off",
        code="responses_disabled",
        hint=f"{ENDPOINT_HINT}; a sync of the gateway does it for a new config",
    )


def _too_large(reply: Reply, said: Said, whom: Whom) -> HubError:
    return TooLarge(f"the message is too long for gateway {whom.gateway}", field="text")


def _busy(reply: Reply, said: Said, whom: Whom) -> HubError:
    return QueueFull(
        f"gateway {whom.gateway} has too much to do{_words(said.message)}",
        code="gateway_busy",
        hint="send it again later",
        retry_after_seconds=RETRY_SECONDS,
    )


def _internal_answer(reply: Reply, said: Said, whom: Whom) -> HubError:
    return _internal(said.message, whom)


def _provider_failed(reply: Reply, said: Said, whom: Whom) -> HubError:
    return failed_run(said.message, said.kind, whom, status=502)


def _unready(reply: Reply, said: Said, whom: Whom) -> HubError:
    return _not_ready(said.message, whom)


_BEFORE_RUN: Final = {
    400: _bad_request,
    401: _token_refused,
    403: _forbidden,
    404: _endpoint_off,
    413: _too_large,
    429: _busy,
    500: _internal_answer,
    502: _provider_failed,
    503: _unready,
}


def _down(whom: Whom, why: str) -> HubError:
    return Unavailable(
        f"gateway {whom.gateway} does not answer: {why}",
        code="gateway_down",
        hint=f"start it, then see clawtui gateway show {whom.gateway}",
        retry_after_seconds=RETRY_SECONDS,
    )


def _not_ready(message: str, whom: Whom) -> HubError:
    return Unavailable(
        f"gateway {whom.gateway} takes no messages now{_words(message)}",
        code="gateway_not_ready",
        hint="it starts, or it stops and finishes what runs; send it again in a few seconds",
        retry_after_seconds=RETRY_SECONDS,
    )


def _internal(message: str, whom: Whom) -> HubError:
    return DriverFailed(
        f"gateway {whom.gateway} had an internal error{_words(message)}", code="gateway_internal", hint=COOLDOWN_HINT
    )


def _unknown_persona(whom: Whom) -> HubError:
    return unknown_persona(whom, None)


def unknown_persona(whom: Whom, there: tuple[str, ...] | None) -> HubError:
    """`there`: the personas that the gateway has, None where it does not tell."""
    hint = f"clawtui gateway show {whom.gateway} names its personas"
    if there is not None:
        named = ", ".join(sorted(there)[:20]) + (" …" if len(there) > 20 else "")
        hint = f"there is {named}" if there else "the gateway has no persona yet; see clawtui sync status"
    return NotFound(
        f"gateway {whom.gateway} has no persona {whom.slug!r}", code="unknown_persona", hint=hint, retryable=False
    )


def _unknown_model(message: str, whom: Whom) -> HubError:
    return DriverFailed(
        f"gateway {whom.gateway} does not know the model of {whom.slug}{_words(message)}",
        code="unknown_model",
        hint=MODEL_HINT,
        retryable=False,
    )


def _odd(reply: Reply, whom: Whom) -> HubError:
    if reply.is_html:
        return not_understood(f"a page (HTTP {reply.status}): this is the web interface of something", whom)
    kind = "".join(letter for letter in reply.content_type[:60] if letter.isprintable())
    return not_understood(f"HTTP {reply.status}, {kind or 'no content type'}", whom)


def _said(fields: dict[str, Any]) -> Said:
    ran = fields.get("object") == "response" or fields.get("status") == "failed"
    error = fields.get("error")
    if not isinstance(error, dict):
        return Said(error if isinstance(error, str) else "", "", ran)
    message, kind = error.get("message"), error.get("code") or error.get("type")
    return Said(message if isinstance(message, str) else "", kind if isinstance(kind, str) else "", ran)


def _words(message: str) -> str:
    text = "".join(letter if letter.isprintable() else " " for letter in message).strip()
    return f": {text[:300]}" if text else ""
