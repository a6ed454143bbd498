"""What a look through the proxy says of what it finds."""

from __future__ import annotations

import socket

import pytest

from hub.config import Ingress
from hub.contract import GatewayState
from hub.gateways.ingress.layout import layout
from hub.gateways.ingress.probing import IngressClient, judge, local_address
from hub.gateways.ingress.sites import Site
from hub.gateways.looks import Reply
from tests.hub.gateways.fake_gateway import FakeGateway
from tests.hub.gateways.ingress.fronted import STATE, free_port

SITE = Site("acme", "a.example.com", "127.0.0.1:19100")
JSON = "application/json"
REFUSED = b'{"error":{"type":"proxy_attribution_required"}}'


@pytest.mark.parametrize(
    ("reply", "state", "reason"),
    [
        (Reply(200, JSON, b'{"ready":true,"failing":[]}'), GatewayState.READY, ""),
        (Reply(503, JSON, b'{"ready":false,"failing":["startup-x"]}'), GatewayState.STARTING, "it is starting"),
        (Reply(502, "", b""), GatewayState.DOWN, "the proxy does not reach it at 127.0.0.1:19100 (HTTP 502)"),
        (Reply(403, JSON, REFUSED), GatewayState.REFUSED, "it refuses what comes through a proxy"),
        (Reply(200, "", b""), GatewayState.DOWN, "the proxy knows no site a.example.com"),
        (Reply(200, "text/html", b"<html>"), GatewayState.DOWN, "what answers through the proxy is no gateway"),
        (Reply(404, "text/plain", b"no"), GatewayState.DOWN, "what answers through the proxy is no gateway (HTTP 404"),
    ],
)
def test_an_answer_is_judged(reply: Reply, state: GatewayState, reason: str) -> None:
    found, why = judge(reply, SITE)
    assert found is state
    assert why.startswith(reason)
    assert bool(why) == (state is not GatewayState.READY)


@pytest.mark.parametrize(
    ("listen", "address"),
    [
        ((), "127.0.0.1"),
        (("0.0.0.0",), "127.0.0.1"),
        (("10.0.0.1", "10.0.0.2"), "10.0.0.1"),
        (("::",), "::1"),
        (("fd00::1",), "fd00::1"),
    ],
)
def test_the_proxy_is_asked_where_it_listens(listen: tuple[str, ...], address: str) -> None:
    assert local_address(listen) == address


async def test_who_does_not_listen_or_speaks_no_tls_or_hangs_is_told_apart() -> None:
    found: list[str] = []
    async with FakeGateway().serving() as plain:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            for port in (free_port(), int(plain.url.rpartition(":")[2]), silent.getsockname()[1]):
                client = IngressClient(layout(Ingress(kind="caddy", https_port=port), STATE), step_seconds=0.3)
                found.append((await client.probe(SITE)).reason.replace(str(port), "PORT"))
    assert found[0] == "the proxy does not listen at 127.0.0.1:PORT"
    assert found[1].startswith("TLS with the proxy for a.example.com fails: wrong version number")
    assert found[2] == "no answer comes through the proxy within 0.3 s"
