"""From bytes and text to the types of a route, or a `BadRequest` that names the place."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from hub.errors import BadRequest

MAX_DEPTH: Final = 64
"""Nesting of a body. Every layer behind this one may recurse over what passed here."""
MAX_IDEMPOTENCY_KEY: Final = 200

_AT: Final = re.compile(r" - at `(?:key in )?\$\.?([^`]*)`$")
_NAMED: Final = re.compile(r"field `([^`]+)`")


def parse_body(raw: bytes, kind: Any, *, optional: bool) -> Any:
    """Decode `raw` as JSON of type `kind`. An empty body is `{}` where `optional`. Raises BadRequest."""
    if not raw.strip() and optional:
        raw = b"{}"
    # Counting brackets is quick and never too low; only a body with many of them is walked.
    suspicious = raw.count(b"[") + raw.count(b"{") > MAX_DEPTH
    try:
        value = msgspec.json.decode(raw, type=kind)
        if suspicious and _deeper_than(MAX_DEPTH, msgspec.to_builtins(value)):
            raise _too_deep()
    except msgspec.ValidationError as error:
        raise _invalid(str(error)) from error
    except RecursionError as error:
        raise _too_deep() from error
    # UnicodeDecodeError, which is no MsgspecError, comes from bytes that are not UTF-8.
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequest(f"the body is not JSON: {error}", code="malformed_json") from error
    return value


def parse_query(pairs: Iterable[tuple[str, str]], kind: type[msgspec.Struct]) -> Any:
    """Convert a query string's pairs to `kind`. Raises BadRequest, also for a name that comes twice."""
    values: dict[str, str] = {}
    for name, text in pairs:
        if name in values:
            raise BadRequest(f"the parameter {name!r} is given twice", field=name)
        values[name] = text
    try:
        query = msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as error:
        raise _invalid(str(error)) from error
    for field in msgspec.structs.fields(kind):
        # The lenient conversion takes the text "null" for None; leaving the parameter out is the way to say that.
        if field.encode_name in values and getattr(query, field.name) is None:
            raise BadRequest(
                f"{values[field.encode_name]!r} is no value of {field.encode_name}", field=field.encode_name
            )
    return query


def parse_idempotency_key(headers: Mapping[str, str]) -> str | None:
    """Return the header, or None when it is absent. Raises BadRequest."""
    key = headers.get("Idempotency-Key")
    if key is None:
        return None
    if not 1 <= len(key) <= MAX_IDEMPOTENCY_KEY or not key.isascii() or not key.isprintable():
        raise BadRequest(
            f"an idempotency key is 1 to {MAX_IDEMPOTENCY_KEY} printable ASCII characters", field="Idempotency-Key"
        )
    return key


def _invalid(message: str) -> BadRequest:
    """Field paths are written as the caller sees them: `metadata.labels`, not `$.metadata.labels`."""
    found = _AT.search(message)
    where = found.group(1) if found else ""
    named = _NAMED.search(message)
    if named:
        where = f"{where}.{named.group(1)}" if where else named.group(1)
    text = _AT.sub("", message)
    return BadRequest(f"{text} in {where}" if where and not named else text, field=where or None)


def _too_deep() -> BadRequest:
    return BadRequest(f"the body is nested deeper than {MAX_DEPTH} levels", code="too_deep")


def _deeper_than(limit: int, value: Any) -> bool:
    """Walk without recursion, level by level."""
    level: list[Any] = [value]
    for _ in range(limit + 1):
        level = [
            child
            for node in level
            if isinstance(node, dict | list)
            for child in (node.values() if isinstance(node, dict) else node)
            if isinstance(child, dict | list)
        ]
        if not level:
            return False
    return True
