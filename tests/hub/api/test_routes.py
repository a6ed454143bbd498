"""Every route reaches the hub with what the request said, and nobody without the right role gets there."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from hub import contract
from hub.api.access import allows
from hub.api.route import Route, Streaming
from hub.api.routes import LATER, ROUTES
from hub.contract import AgentAct, TaskQuery
from hub.control import Control
from hub.core.model import Role
from tests.hub.api.conftest import Served
from tests.hub.api.scripted import ADMIN, AGENT, OPERATOR, TASK, TOKENS, VIEWER

BODIES: dict[str, Any] = {
    "/agents/register": {"agentId": "a-1", "metadata": {"type": "builder", "cpu": 2}},
    "/agents": {"name": "a-1", "driver": "process"},
    "/agents/{agent_id}/task": {"type": "exec", "command": "true"},
    "/tasks": {"task": {"type": "ping"}, "agents": ["a-1"]},
    "/attention/{attention_id}/snooze": {"seconds": 60},
    "/backup": {"path": "/backup.db"},
    "/tokens": {"name": "n", "role": "viewer"},
    "/agents/{agent_id}/snapshots": {"name": "n", "consistency": "clean"},
    "/agents/{agent_id}/snapshots/schedule": {"intervalSeconds": 3600, "keepLast": 3},
    "/snapshots/{snapshot_id}/fork": {"count": 2},
    "/profiles/validate": {"text": "{}", "name": "n"},
    "/profiles/{name}": {"text": "{}"},
    "/profiles/{name}/build": {"rebuild": True},
    "/images/build": {"buildArgs": {"MIRROR": "m"}},
    "/networks": {"name": "team"},
    "/networks/{name}/connect": {"agentId": "a-1"},
    "/networks/{name}/disconnect": {"agentId": "a-1"},
    "/compose": {"agents": ["a-1"]},
    "/prune": {"kinds": ["images"], "all": True},
    "/prune/{plan_id}": {"data": True},
    "/agents/{agent_id}/repair": {"everything": True},
    "/gateways": {"name": "g", "url": "http://127.0.0.1:1"},
    "/gateways/{name}/sync": {"workspaceRoot": "/w", "configPath": "/c.json"},
    "/messages": {"to": "main/qa", "text": "hi"},
    "/instances": {"name": "g", "tier": "pro", "keys": {"ANTHROPIC_API_KEY": "x"}},
    "/instances/import": {"name": "g", "container": "c"},
    "/instances/restore": {"backup": "b"},
    "/instances/upgrade": {"tier": "pro", "to": {"version": "2026.9.6"}},
    "/gateways/{name}/upgrade": {"version": "2026.9.6"},
    "/hosts": {"name": "far", "url": "ssh://me@far"},
    "/sync/run": {"gateway": "prod", "dryRun": True},
    "/sync/{gateway}/{slug}/resolve": {"decision": "apply", "path": "SOUL.md"},
    "/images/push": {"image": "builder", "registry": "localhost:5000"},
    "/images/pull": {"image": "builder", "registry": "localhost:5000"},
}


def named(route: Route) -> str:
    return f"{route.method} {route.path}"


def given(name: str) -> str:
    """A value for a variable of a path."""
    return "7" if name == "seq" else f"{name[0]}-1"


def url(route: Route) -> str:
    return route.path.format(**{name: given(name) for name in route.parameters})


async def call(client: httpx.AsyncClient, route: Route) -> httpx.Response:
    body = BODIES.get(route.path) if route.request is not None else None
    return await client.request(route.method, url(route), json=body)


PLAIN_ROUTES = [route for route in ROUTES if route.streaming in (Streaming.NONE, Streaming.NDJSON)]


@pytest.mark.parametrize("route", PLAIN_ROUTES, ids=named)
async def test_a_route_answers_as_its_row_says(route: Route, served: Served, client: httpx.AsyncClient) -> None:
    answer = await call(client, route)
    assert answer.status_code == route.status, answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    if route.streaming is Streaming.NDJSON:
        assert answer.headers["Content-Type"] == "application/x-ndjson"
    elif route.media is not None:
        assert answer.headers["Content-Type"] == route.media
    elif route.response is None:
        assert answer.content == b""
    else:
        assert answer.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("token", [None, "ctu_wrong", *TOKENS])
@pytest.mark.parametrize("route", ROUTES, ids=named)
async def test_a_role_is_enough_or_refused(route: Route, token: str | None, served: Served) -> None:
    """Also for WebSockets, which refuse in the handshake; with a role they get as far as asking for an upgrade."""
    async with served.client(token) as client:
        answer = await call(client, route)
    role = TOKENS.get(token) if token is not None else None
    if token is None and route.open_on_loopback:
        assert answer.status_code == 200
    elif role is None:
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "unauthorized")
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert served.control.calls == []
        assert served.door.refusals[0][:2] == ("127.0.0.1", named(route))
    elif allows(role, route.role):
        assert answer.status_code == (400 if route not in PLAIN_ROUTES else route.status)
        assert served.door.refusals == []
    else:
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "forbidden")
        assert served.control.calls == []
        target = "/".join(given(name) for name in route.parameters)
        assert served.door.refusals == [(f"{role.value}-person", named(route), target, f"needs {route.role.value}")]


def test_only_admins_touch_tokens_and_nobody_reading_changes_anything() -> None:
    for route in ROUTES:
        if route.role is Role.VIEWER:
            assert route.method == "GET", named(route)
        if route.path.startswith(("/tokens", "/audit", "/backup", "/adopt")):
            assert route.role is Role.ADMIN, named(route)


def test_every_method_of_the_control_has_a_route() -> None:
    """What front ends inside the process can do, those outside can do too."""
    reached = {name for route in ROUTES for name in (*route.handler.__code__.co_names, route.handler.__name__)}
    wanted = {name for name in vars(Control) if not name.startswith("_")}
    assert wanted - reached == set()


async def test_a_submission_arrives_with_its_key(served: Served, client: httpx.AsyncClient) -> None:
    task = {"type": "exec", "command": "echo ä", "timeoutMs": 5, "labels": {"a": "b"}}
    answer = await client.post("/agents/a-1/task", json=task, headers={"Idempotency-Key": "once"})
    assert answer.json() == {"taskId": "t-1", "status": "queued"}
    assert served.control.last == ("submit", ("a-1", task, "once"))


async def test_a_dispatch_arrives_typed(served: Served, client: httpx.AsyncClient) -> None:
    body = {"task": {"type": "ping"}, "selector": "type=builder", "rollout": {"canary": 1, "stopOnFailures": 2}}
    assert (await client.post("/tasks", json=body)).status_code == 202
    expected = contract.DispatchRequest(
        task={"type": "ping"},
        selector="type=builder",
        rollout=contract.RolloutRequest(canary=1, stop_on_failures=2),
    )
    assert served.control.last == ("dispatch", (expected, None))


async def test_a_query_arrives_typed(served: Served, client: httpx.AsyncClient) -> None:
    answer = await client.get("/tasks", params={"agent": "a-1", "status": "open", "limit": "7"})
    assert answer.json()["tasks"][0]["id"] == TASK.id
    assert served.control.last == ("tasks", (TaskQuery(agent="a-1", status="open", limit=7),))


@pytest.mark.parametrize(("text", "seconds"), [("", 0.0), ("?wait=0", 0.0), ("?wait=1.5", 1.5), ("?wait=300", 300.0)])
async def test_a_long_poll_passes_its_seconds(
    text: str, seconds: float, served: Served, client: httpx.AsyncClient
) -> None:
    await client.get(f"/tasks/t-1{text}")
    assert served.control.last == ("get_task", ("t-1", seconds))


@pytest.mark.parametrize("what", [act for act in AgentAct if act is not AgentAct.UPGRADE])
async def test_acts_reach_the_agent(what: AgentAct, served: Served, client: httpx.AsyncClient) -> None:
    await client.post(f"/agents/a-1/{what.value}")
    assert served.control.last == ("act", ("a-1", what))


async def test_an_id_with_odd_characters_arrives_as_it_is(served: Served, client: httpx.AsyncClient) -> None:
    await client.get("/agents/a%2Fb%00%C3%A4")
    assert served.control.last == ("agent", ("a/b\x00ä",))


async def test_an_agent_and_its_wrapped_form(client: httpx.AsyncClient) -> None:
    bare, wrapped = await client.get("/agents/a-1"), await client.get("/agents/a-1/status")
    assert bare.json()["id"] == AGENT.id
    assert wrapped.json() == {"agent": bare.json()}


async def test_an_empty_body_is_enough_where_nothing_is_required(served: Served, client: httpx.AsyncClient) -> None:
    assert (await client.post("/backup")).status_code == 200
    assert served.control.last == ("backup", ("",))


@pytest.mark.parametrize("later", LATER, ids=lambda later: later.path)
@pytest.mark.parametrize("below", ["", "/x", "/x/y"])
async def test_a_documented_path_of_later_says_so(later: Any, below: str, client: httpx.AsyncClient) -> None:
    path = later.path.replace("{agent_id}", "a-1") + below
    for method in ("GET", "POST", "DELETE"):
        answer = await client.request(method, path)
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (501, "not_available")
        assert "not available in this version" in error["message"]


async def test_later_paths_want_a_token_too(served: Served) -> None:
    async with served.client(None) as client:
        assert (await client.get("/agents/a-1/upgrade")).status_code == 401
    async with served.client(VIEWER) as client:
        assert (await client.get("/agents/a-1/upgrade")).status_code == 501


async def test_an_unknown_path_is_told_as_an_error(client: httpx.AsyncClient) -> None:
    answer = await client.get("/no/such/path")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")


async def test_a_wrong_method_names_the_right_ones(client: httpx.AsyncClient) -> None:
    answer = await client.patch("/agents")
    assert (answer.status_code, answer.json()["error"]["code"]) == (405, "method_not_allowed")
    assert set(answer.headers["Allow"].split(",")) == {"GET", "POST"}


async def test_the_same_api_is_on_the_unix_socket(served: Served) -> None:
    async with served.local(OPERATOR) as client:
        assert (await client.get("/agents")).json()["agents"][0]["id"] == "a-1"
    async with served.local(None) as client:
        assert (await client.get("/agents")).status_code == 401
        assert (await client.get("/health")).status_code == 200
    assert [principal.name for principal in served.door.principals] == ["operator-person", "anonymous"]


async def test_the_agents_port_has_no_api_and_the_api_port_no_agents(served: Served) -> None:
    assert served.listeners.agents_url is not None
    async with httpx.AsyncClient(base_url=served.listeners.agents_url.replace("ws", "http", 1)) as agents:
        assert (await agents.get("/health")).status_code == 404
    async with served.client(ADMIN) as api:
        assert (await api.get("/agent/a-1")).status_code == 404
