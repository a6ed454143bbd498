"""What an answer of a Convex deployment means. Pure.

A deployment answers a function's error with HTTP 200 or 560 and `status: "error"`; other failures are another HTTP
status with `code` and `message`, or with plain text. So the body is read first, and the HTTP status last.
"""

from __future__ import annotations

from typing import Final, cast

import msgspec

HIDDEN: Final = "Server Error"
"""All that a production deployment says of an error that is no ConvexError."""
_ADDRESS: Final = "Is it the deployment's own address? It looks like https://NAME.convex.cloud."
_LOGS: Final = (
    "A production deployment hides what went wrong; its log has it. "
    "Often the service token or the account id is not the right one."
)
_MAX_SHOWN: Final = 300


class ConvexError(Exception):
    """The deployment did not give what was asked for. `field`: the setting that is probably wrong."""

    def __init__(self, message: str, hint: str = "", *, field: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.field = field


def value_of(status: int, body: bytes) -> object:
    """Return the value that a function gave back. Raises ConvexError."""
    try:
        answer: object = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as exc:
        raise _no_json(status, body, exc) from exc
    if not isinstance(answer, dict):
        raise ConvexError(f"the answer (HTTP {status}) is no object but {_shown(answer)}", _ADDRESS, field="convexUrl")
    given = cast("dict[str, object]", answer)
    if "status" in given:
        return _by_status(given)
    if "code" in given or "message" in given:
        raise _refused(status, given)
    raise ConvexError(f"the answer (HTTP {status}) has neither a status nor a message", _ADDRESS, field="convexUrl")


def _by_status(answer: dict[str, object]) -> object:
    match answer["status"]:
        case "success":
            if "value" not in answer:
                raise ConvexError("the answer says success and has no value", _ADDRESS)
            return answer["value"]
        case "error":
            raise _function_error(answer)
        case other:
            raise ConvexError(f"the answer has the unknown status {_shown(other)}", _ADDRESS)


def _function_error(answer: dict[str, object]) -> ConvexError:
    """Data passes also where messages are hidden: it is what the function wants its callers to know."""
    said, data = answer.get("errorMessage"), answer.get("errorData")
    message = _clipped(said) if isinstance(said, str) and said.strip() else "no message"
    if data is not None:
        inner = cast("dict[str, object]", data).get("message") if isinstance(data, dict) else data
        message += f" ({_clipped(inner) if isinstance(inner, str) else _shown(cast('object', data))})"
    hint = _LOGS if HIDDEN in message and data is None else "The deployment's function refused; see what it says."
    return ConvexError(f"the function failed: {message}", hint)


def _refused(status: int, answer: dict[str, object]) -> ConvexError:
    parts = [str(answer[key]) for key in ("code", "message") if answer.get(key)]
    return ConvexError(
        f"refused with HTTP {status}: {_clipped(': '.join(parts))}", _hint_for(status), field="convexUrl"
    )


def _no_json(status: int, body: bytes, exc: Exception) -> ConvexError:
    text = body.decode(errors="replace").strip()
    if not text:
        return ConvexError(f"the answer (HTTP {status}) is empty", _hint_for(status), field="convexUrl")
    if text[:1] == "<":
        return ConvexError(f"the answer (HTTP {status}) is a web page, no JSON", _ADDRESS, field="convexUrl")
    if text[:1] == "{":
        return ConvexError(f"the answer (HTTP {status}) is no valid JSON: {exc}", "It may have been cut off.")
    return ConvexError(f"HTTP {status}: {_clipped(text)}", _hint_for(status), field="convexUrl")


def _hint_for(status: int) -> str:
    if status in (401, 403):
        return "The deployment, or a proxy before it, wants other credentials."
    if status in (408, 429) or status >= 500:
        return "The deployment is busy or down; the next sync tries again."
    return _ADDRESS


def _shown(value: object) -> str:
    try:
        return _clipped(msgspec.json.encode(value).decode())
    except (TypeError, ValueError, RecursionError):
        return type(value).__name__


def _clipped(text: str) -> str:
    line = " ".join(text.split())
    line = "".join(char if char.isprintable() else "?" for char in line)
    return line if len(line) <= _MAX_SHOWN else f"{line[: _MAX_SHOWN - 3]}..."
