"""Who gets in: tokens as they come over the wire, pages of others, and what is open on this machine."""

from __future__ import annotations

import pytest
from aiohttp.test_utils import make_mocked_request

from hub.api.access import allows, from_this_machine
from hub.core.model import Role
from tests.hub.api.conftest import Served
from tests.hub.api.scripted import ADMIN


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Basic Y3R1X2FkbWlu", ADMIN, "Bearer ctu_ädmin", f"Bearer {ADMIN} x", "Bearer \xff\xfe"],
)
async def test_what_is_no_token_is_refused_and_audited(header: str, served: Served) -> None:
    async with served.client(None) as client:
        answer = await client.get("/agents", headers={b"Authorization": header.encode("latin-1")})
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "unauthorized")
    assert served.door.refusals == [("127.0.0.1", "GET /agents", "", "unauthorized")]


@pytest.mark.parametrize("header", [f"Bearer {ADMIN}", f"bearer {ADMIN}", f"BEARER   {ADMIN}"])
async def test_a_token_is_a_token_however_it_is_spaced(header: str, served: Served) -> None:
    async with served.client(None) as client:
        assert (await client.get("/agents", headers={"Authorization": header})).status_code == 200


async def test_a_wrong_token_on_an_open_path_is_refused(served: Served) -> None:
    """Somebody who says who they are wants to know that it is wrong."""
    async with served.client("ctu_wrong") as client:
        assert (await client.get("/health")).status_code == 401


@pytest.mark.parametrize("origin", ["https://example.org", "null", "http://127.0.0.1:1", "http://localhost", "x", ""])
@pytest.mark.parametrize("path", ["/agents", "/health", "/no/such/path"])
async def test_pages_of_others_are_refused_everywhere(origin: str, path: str, served: Served) -> None:
    async with served.client() as client:
        answer = await client.get(path, headers={"Origin": origin})
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "foreign_origin")
    assert served.control.calls == []


async def test_our_own_pages_pass(served: Served) -> None:
    assert served.listeners.api_url is not None
    async with served.client() as client:
        assert (await client.get("/agents", headers={"Origin": served.listeners.api_url})).status_code == 200


@pytest.mark.parametrize(
    ("host", "open_here"),
    [
        ("127.0.0.1:9091", True),
        ("localhost", True),
        ("[::1]:9091", True),
        ("rebound.example:9091", False),
        ("10.0.0.1", False),
        ("", False),
        ("[", False),
    ],
)
async def test_open_paths_are_open_to_who_calls_this_machine_by_its_name(
    host: str, open_here: bool, served: Served
) -> None:
    async with served.client(None) as client:
        answer = await client.get("/metrics", headers={"Host": host})
    assert answer.status_code == (200 if open_here else 401)


@pytest.mark.parametrize("remote", ["10.0.0.9", "fe80::1", "nonsense"])
def test_other_machines_need_a_token_for_open_paths_too(remote: str) -> None:
    request = make_mocked_request("GET", "/health", headers={"Host": "localhost"}).clone(remote=remote)
    assert not from_this_machine(request)


def test_roles_contain_the_lower_ones() -> None:
    order = [Role.VIEWER, Role.OPERATOR, Role.ADMIN]
    for held, wanted in [(held, wanted) for held in order for wanted in order]:
        assert allows(held, wanted) is (order.index(held) >= order.index(wanted))
