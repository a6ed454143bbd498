"""Looks at a gateway over real HTTP: what each condition of it is seen as."""

from __future__ import annotations

import socket
import time

import pytest

from hub.contract import GatewayState
from hub.gateways.client import GatewayClient
from hub.gateways.looks import OLDER, Seen
from hub.gateways.secret import Secret
from tests.hub.gateways.fake_gateway import Condition, FakeGateway

TOKEN = Secret("gateway-token")


async def look(gateway: FakeGateway, token: Secret = TOKEN, step_seconds: float = 5.0) -> Seen:
    client = GatewayClient(step_seconds=step_seconds, look_seconds=max(step_seconds, 2.0))
    try:
        return await client.probe(gateway.url, token)
    finally:
        await client.close()


async def test_a_ready_gateway_tells_its_version_and_its_agents() -> None:
    async with FakeGateway().serving() as gateway:
        seen = await look(gateway)

    assert seen.state is GatewayState.READY
    assert seen.ready
    assert (seen.version, seen.shape_version) == ("2026.9.6", "2026.9.6")
    assert seen.roster == ("engineer", "qa")
    assert seen.reason == ""
    assert seen.response_ms is not None
    assert 0 < seen.response_ms < 5_000


async def test_a_version_that_has_no_startupz_tells_itself_through_its_web_interface() -> None:
    async with FakeGateway(version="2026.7.35").serving() as gateway:
        seen = await look(gateway)
        refused = await look(gateway, Secret("another"))

    assert seen.ready
    assert (seen.version, seen.shape_version) == ("2026.7.35", "2026.7.35")
    assert refused.state is GatewayState.REFUSED
    assert (refused.version, refused.shape_version) == ("", OLDER)


async def test_a_version_that_tells_itself_nowhere_is_known_to_be_older_than_the_first_with_startupz() -> None:
    async with FakeGateway(version="2026.7.35").serving() as gateway:
        gateway.interface_enabled = False
        seen = await look(gateway)

    assert seen.ready
    assert seen.before_2026_8
    assert (seen.version, seen.shape_version) == ("", OLDER)
    assert seen.roster == ("engineer", "qa")


@pytest.mark.parametrize(
    ("condition", "state", "says"),
    [
        (Condition.STARTING, GatewayState.STARTING, "starting"),
        (Condition.DRAINING, GatewayState.NOT_READY, "stopping"),
        (Condition.SIDECARS, GatewayState.NOT_READY, "channels"),
        (Condition.PAGES, GatewayState.DOWN, "web interface of something"),
        (Condition.PROXY, GatewayState.REFUSED, "gateway.trustedProxies"),
        (Condition.COVERED, GatewayState.STARTING, "says that it is starting"),
        (Condition.REDIRECTING, GatewayState.DOWN, "sends us elsewhere"),
        (Condition.ENDLESS, GatewayState.DOWN, "longer than"),
    ],
)
async def test_what_is_not_a_ready_gateway_is_said_in_words(
    condition: Condition, state: GatewayState, says: str
) -> None:
    async with FakeGateway().serving() as gateway:
        gateway.condition = condition
        seen = await look(gateway)

    assert seen.state is state
    assert says in seen.reason
    assert not seen.ready
    assert seen.roster is None


async def test_a_gateway_that_hangs_is_given_up() -> None:
    async with FakeGateway().serving() as gateway:
        gateway.condition = Condition.HANGING
        began = time.monotonic()
        seen = await look(gateway, step_seconds=0.2)

    assert seen.state is GatewayState.WEDGED
    assert seen.reason == "it takes connections and does not answer within 0.2 s"
    assert not seen.answers
    assert time.monotonic() - began < 5


async def test_what_sends_its_answer_byte_by_byte_is_given_up_as_a_whole() -> None:
    async with FakeGateway().serving() as gateway:
        gateway.condition = Condition.TRICKLING
        client = GatewayClient(step_seconds=5, look_seconds=0.3)
        seen = await client.probe(gateway.url, TOKEN)
        await client.close()

    assert seen.state is GatewayState.WEDGED


async def test_a_user_means_that_every_path_is_asked_with_basic() -> None:
    async with FakeGateway(user="admin").serving() as gateway:
        client = GatewayClient()
        seen = await client.probe(gateway.url, TOKEN, "admin")
        refused = await client.probe(gateway.url, TOKEN)
        await client.close()

    assert seen.ready
    assert (seen.roster, seen.version) == (("engineer", "qa"), "2026.9.6")
    assert refused.state is GatewayState.REFUSED


@pytest.mark.parametrize(
    ("condition", "state", "draining"),
    [(Condition.STARTING, GatewayState.STARTING, False), (Condition.DRAINING, GatewayState.NOT_READY, True)],
)
async def test_what_is_failing_is_asked_with_the_token_where_it_is_told_only_then(
    condition: Condition, state: GatewayState, draining: bool
) -> None:
    async with FakeGateway().serving() as gateway:
        gateway.discreet, gateway.condition = True, condition
        seen = await look(gateway)
        stranger = await look(gateway, Secret(""))

    assert (seen.state, seen.draining) == (state, draining)
    assert (stranger.state, stranger.draining) == (GatewayState.NOT_READY, False)


async def test_nobody_there() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        client = GatewayClient()
        seen = await client.probe(f"http://127.0.0.1:{taken.getsockname()[1]}", TOKEN)
        await client.close()

    assert seen.state is GatewayState.DOWN
    assert seen.reason == "nobody answers there: Connection refused"


async def test_a_wrong_token_is_a_refusal_with_its_likely_cause() -> None:
    async with FakeGateway().serving() as gateway:
        seen = await look(gateway, Secret("another"))

    assert seen.state is GatewayState.REFUSED
    assert "gateway.auth.token" in seen.reason
    assert "another" not in seen.reason


async def test_agents_that_are_not_told_are_no_trouble_but_are_said() -> None:
    async with FakeGateway().serving() as gateway:
        gateway.responses_enabled = False
        seen = await look(gateway)

    assert seen.ready
    assert seen.roster is None
    assert "gateway.http.endpoints.responses.enabled" in seen.reason


async def test_the_token_is_shown_to_no_path_that_wants_none() -> None:
    async with FakeGateway(token="").serving() as gateway:
        assert (await look(gateway, Secret(""))).ready
        assert gateway.paths == ["/readyz", "/startupz", "/v1/models"]
