"""Answers of the HTTP layer, and how errors become answers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from aiohttp import web

from hub.contract import ErrorAnswer, ErrorBody, ProblemView
from hub.errors import HubError, NotFound, TooLarge

JSON: Final = "application/json"
NDJSON: Final = "application/x-ndjson"
HEADERS: Final[Mapping[str, str]] = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Server": "clawtui",
}
"""On every answer: what the hub says is of this moment, and is what its content type says."""
RETRY_STATUSES: Final = frozenset({429, 503, 507})
DEFAULT_RETRY_SECONDS: Final = 1


def json_answer(value: Any, status: int = 200) -> web.Response:
    """Encode `value`; None is an answer without a body."""
    if value is None:
        return web.Response(status=status, headers=HEADERS)
    return web.Response(body=msgspec.json.encode(value), status=status, content_type=JSON, headers=HEADERS)


def error_body(error: HubError) -> ErrorAnswer:
    problems = [ProblemView(field=field, message=message, hint=hint) for field, message, hint in error.problems]
    return ErrorAnswer(
        error=ErrorBody(
            code=error.code, message=error.message, hint=error.hint, retryable=error.retryable, field=error.field,
            problems=problems,
        )
    )  # fmt: skip


def error_answer(error: HubError) -> web.Response:
    answer = json_answer(error_body(error), error.status)
    if error.retry_after_seconds is not None or error.status in RETRY_STATUSES:
        seconds = error.retry_after_seconds or DEFAULT_RETRY_SECONDS
        answer.headers["Retry-After"] = str(max(math.ceil(seconds), 1))
    if error.status == 401:
        answer.headers["WWW-Authenticate"] = "Bearer"
    return answer


def internal_error(error_id: str) -> HubError:
    """What a caller learns of a bug: an id that the hub's log has too, and nothing else."""
    return HubError(
        f"internal error {error_id}", hint=f"the hub's log has the details under {error_id}", retryable=False
    )


def http_error(error: web.HTTPException, method: str) -> web.Response:
    """Give the server library's own refusals (no such path, wrong method, body too large) our form."""
    if error.status == 404:
        return error_answer(NotFound("no such path", hint="GET /openapi.json lists all paths"))
    if error.status == 413:
        return error_answer(TooLarge("the body is larger than 1 MiB"))
    if error.status == 405:
        return _error(405, "method_not_allowed", f"{method} is not possible here", {"Allow": error.headers["Allow"]})
    return _error(error.status, "bad_request" if error.status < 500 else "internal", error.reason, {})


def _error(status: int, code: str, message: str, headers: Mapping[str, str]) -> web.Response:
    answer = json_answer(ErrorAnswer(error=ErrorBody(code=code, message=message)), status)
    answer.headers.update(headers)
    return answer
