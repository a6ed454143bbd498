"""The OpenAPI 3.1 document, made from the route table and the types it names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any, Final

import msgspec

from hub.api.answers import JSON, NDJSON, RETRY_STATUSES
from hub.api.route import Route, Streaming
from hub.api.routes import LATER, ROUTES
from hub.api.terminal import Exit, Problem, Resize
from hub.contract import ErrorAnswer, TaskOptions
from hub.errors import BadRequest, Forbidden, HubError, NotFound, TooLarge, Unauthorized, Unavailable
from runtime.wire import AnyTaskSpec

COMMON_ERRORS: Final[tuple[type[HubError], ...]] = (BadRequest, Unauthorized, Forbidden, HubError, Unavailable)
"""Every route may answer these: a bad parameter, no or a wrong token, a bug, a stopping hub."""
SUBMISSION: Final = "TaskSubmission"
"""Name of the schema of a task with its options; in Python it is a dict until the hub has decoded it."""

_REF: Final = "#/components/schemas/{name}"
_Schema = dict[str, Any]
_INTRODUCTION: Final = """\
Every call needs `Authorization: Bearer <token>`, except where it says that it is open on this machine.
Roles: a viewer reads, an operator changes agents and tasks, an admin changes the hub.
Lists have `limit` and `cursor`; `next` in an answer is the next `cursor`. Times are RFC 3339 in UTC.
"""


def openapi_document(version: str) -> _Schema:
    """Return the document as JSON values. It has every route of the table and no other."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "clawtui hub",
            "version": version or "0",
            "description": _INTRODUCTION + "\nNot available in this version: " + ", ".join(sorted(_later())) + ".\n",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}],
        "paths": _paths(),
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": _schemas(),
        },
    }


def errors_of(route: Route) -> list[type[HubError]]:
    """The errors that `route` may answer with, by status."""
    kinds = {*COMMON_ERRORS, *route.errors}
    if route.parameters:
        kinds.add(NotFound)
    if route.request is not None:
        kinds.add(TooLarge)
    return sorted(kinds, key=lambda kind: kind.status)


def _later() -> set[str]:
    return {later.path for later in LATER}


def _paths() -> _Schema:
    paths: _Schema = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return paths


def _operation(route: Route) -> _Schema:
    operation: _Schema = {
        "operationId": _operation_id(route),
        "tags": [route.tag],
        "summary": route.summary,
        "description": f"Role: {route.role.value}." + (" Open on this machine." if route.open_on_loopback else ""),
        "parameters": list(_parameters(route)),
        "responses": {**_success(route), **_failures(route)},
    }
    if route.open_on_loopback:
        operation["security"] = [{}, {"token": []}]
    if route.request is not None:
        operation["requestBody"] = {
            "required": not route.body_optional,
            "content": {JSON: {"schema": _request_schema(route)}},
        }
    return operation


def _operation_id(route: Route) -> str:
    words = [part.strip("{}") for part in route.path.replace(".", "_").split("/") if part]
    return "_".join([route.method.lower(), *words])


def _parameters(route: Route) -> Iterator[_Schema]:
    for name in route.parameters:
        yield {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
    if route.query is not None:
        described = msgspec.json.schema_components([route.query], ref_template=_REF)[1][route.query.__name__]
        for name, schema in described["properties"].items():
            required = name in described["required"]
            yield {"name": name, "in": "query", "required": required, "schema": _without_null(schema)}
    if route.idempotent:
        yield {
            "name": "Idempotency-Key",
            "in": "header",
            "required": False,
            "description": "The same key with the same body is the same request; with another body it is a 409.",
            "schema": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[!-~]+$"},
        }


def _without_null(schema: _Schema) -> _Schema:
    """In a query string, "not given" is leaving it out: there is no null."""
    kept = {name: value for name, value in schema.items() if not (name == "default" and value is None)}
    choices = [choice for choice in kept.pop("anyOf", []) if choice != {"type": "null"}]
    if len(choices) > 1:
        return {**kept, "anyOf": choices}
    return {**kept, **(choices[0] if choices else {})}


def _request_schema(route: Route) -> _Schema:
    if isinstance(route.request, type) and issubclass(route.request, msgspec.Struct):
        return {"$ref": _REF.format(name=route.request.__name__)}
    return {"$ref": _REF.format(name=SUBMISSION)}


def _success(route: Route) -> _Schema:
    if route.streaming in (Streaming.EVENTS, Streaming.SHELL):
        return {"101": {"description": _socket_description(route)}}
    answer: _Schema = {"description": HTTPStatus(route.status).phrase}
    if route.streaming is Streaming.NDJSON:
        assert route.response is not None
        text = f"One `{route.response.__name__}` per line; an error in mid-stream is a last line with `error`."
        answer = {"description": text, "content": {NDJSON: {"schema": {"type": "string"}}}}
    elif route.media is not None:
        schema = {"type": "object"} if route.media == JSON else {"type": "string"}
        answer["content"] = {route.media: {"schema": schema}}
    elif route.response is not None:
        answer["content"] = {JSON: {"schema": {"$ref": _REF.format(name=route.response.__name__)}}}
    return {str(route.status): answer}


def _socket_description(route: Route) -> str:
    if route.streaming is Streaming.EVENTS:
        return "A WebSocket: every text frame is one `Event`."
    return (
        "A WebSocket: terminal bytes in binary frames; in text frames `Resize` to the hub, `Exit`, `Problem` from it."
    )


def _failures(route: Route) -> _Schema:
    return {str(kind.status): _failure(kind) for kind in errors_of(route)}


def _failure(kind: type[HubError]) -> _Schema:
    answer: _Schema = {
        "description": HTTPStatus(kind.status).phrase,
        "content": {JSON: {"schema": {"$ref": _REF.format(name=ErrorAnswer.__name__)}}},
    }
    if kind.status in RETRY_STATUSES:
        header = {"description": "Seconds to wait before the same call.", "schema": {"type": "integer", "minimum": 1}}
        answer["headers"] = {"Retry-After": header}
    return answer


def _schemas() -> _Schema:
    kinds: dict[str, Any] = {kind.__name__: kind for kind in (ErrorAnswer, TaskOptions, Resize, Exit, Problem)}
    for route in ROUTES:
        for kind in (route.query, route.request, route.response):
            if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
                kinds[kind.__name__] = kind
    components = msgspec.json.schema_components([*kinds.values(), AnyTaskSpec], ref_template=_REF)
    (*_, any_task), schemas = components
    schemas[SUBMISSION] = _submission(any_task)
    schemas["DispatchRequest"]["properties"]["task"] = {"$ref": _REF.format(name=SUBMISSION)}
    return dict(sorted(schemas.items()))


def _submission(any_task: Mapping[str, Any]) -> _Schema:
    return {
        "title": SUBMISSION,
        "description": "A task's own fields, chosen by `type`, and beside them the options of every task.",
        "allOf": [dict(any_task), {"$ref": _REF.format(name=TaskOptions.__name__)}],
    }
