"""The document is valid OpenAPI 3.1, says everything the table says, and what it says is what is answered."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import msgspec
import pytest
import schemathesis

from hub.api.openapi import errors_of, openapi_document
from hub.api.route import Route, Streaming
from hub.api.routes import ROUTES
from tests.hub.api.conftest import Served
from tests.hub.api.test_routes import call, named

DOCUMENT = openapi_document("1.2.3")
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT)


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for child in node.values():
            yield from references(child)
    elif isinstance(node, list):
        for child in node:
            yield from references(child)


def operation(route: Route) -> dict[str, Any]:
    return DOCUMENT["paths"][route.path][route.method.lower()]


def test_a_reader_of_openapi_accepts_the_document() -> None:
    assert SCHEMA.specification.version == "3.1.0"
    assert SCHEMA.statistic.operations.total == len(ROUTES)
    for route in ROUTES:
        assert SCHEMA[route.path][route.method].path == route.path


def test_it_has_every_route_and_no_other() -> None:
    shown = [(method.upper(), path) for path, methods in DOCUMENT["paths"].items() for method in methods]
    assert sorted(shown) == sorted((route.method, route.path) for route in ROUTES)


def test_operation_ids_are_unique() -> None:
    ids = [operation(route)["operationId"] for route in ROUTES]
    assert len(set(ids)) == len(ids)


def test_every_reference_leads_somewhere() -> None:
    known = {f"#/components/schemas/{name}" for name in DOCUMENT["components"]["schemas"]}
    assert set(references(DOCUMENT)) <= known


@pytest.mark.parametrize("route", ROUTES, ids=named)
def test_an_operation_says_all_of_its_row(route: Route) -> None:
    shown = operation(route)
    parameters = {(given["in"], given["name"]) for given in shown["parameters"]}
    assert {("path", name) for name in route.parameters} <= parameters
    if route.query is not None:
        assert {("query", field.encode_name) for field in msgspec.structs.fields(route.query)} <= parameters
    assert (("header", "Idempotency-Key") in parameters) is route.idempotent
    assert ("requestBody" in shown) is (route.request is not None)
    success = 101 if route.streaming in (Streaming.EVENTS, Streaming.SHELL) else route.status
    expected = {str(success), *(str(kind.status) for kind in errors_of(route))}
    assert set(shown["responses"]) == expected
    assert {"400", "401", "403", "500", "503"} <= expected
    assert shown["summary"] == route.summary
    assert route.role.value in shown["description"]


def test_what_is_open_needs_no_token_in_the_document() -> None:
    for route in ROUTES:
        assert ({} in operation(route).get("security", [])) is route.open_on_loopback


def test_a_query_parameter_is_never_null() -> None:
    for route in ROUTES:
        for given in operation(route)["parameters"]:
            assert "null" not in str(given["schema"]), (named(route), given)


def test_a_submission_is_a_task_with_its_options() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    assert set(references(schemas["TaskSubmission"])) >= {f"#/components/schemas/{name}" for name in ("Exec", "Ping")}
    assert "timeoutMs" in schemas["TaskOptions"]["properties"]
    assert schemas["DispatchRequest"]["properties"]["task"] == {"$ref": "#/components/schemas/TaskSubmission"}


VALIDATED = [route for route in ROUTES if route.streaming is Streaming.NONE]


@pytest.mark.parametrize("route", VALIDATED, ids=named)
async def test_an_answer_is_what_the_document_says(route: Route, served: Served, client: httpx.AsyncClient) -> None:
    answer = await call(client, route)
    SCHEMA[route.path][route.method].validate_response(schemathesis.Response.from_any(answer))


@pytest.mark.parametrize("route", VALIDATED, ids=named)
async def test_a_refusal_is_what_the_document_says(route: Route, served: Served) -> None:
    async with served.client("ctu_wrong") as client:
        answer = await call(client, route)
    assert answer.status_code == 401
    SCHEMA[route.path][route.method].validate_response(schemathesis.Response.from_any(answer))
