"""Dialling: proofs, refusals, going away, moving hubs, hubs that say nothing."""

from __future__ import annotations

import asyncio
import json
import ssl
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from websockets.asyncio.server import ServerConnection, serve

from runtime import connection, wire
from runtime.connection import Phase
from runtime.credentials import sha256_hex
from tests.runtime.fakehub import Door, FakeHub
from tests.runtime.harness import agent_process, kill, running_agent, wait_for


@pytest.fixture
async def hub() -> FakeHub:
    return FakeHub()


@pytest.fixture
async def url(hub: FakeHub, tmp_path: Path) -> AsyncIterator[str]:
    async with hub.running(tmp_path / "hub.sock") as url:
        yield url


async def test_hello_says_who_is_there(hub: FakeHub, url: str, tmp_path: Path) -> None:
    async with running_agent(tmp_path, url, AGENT_CAPABILITIES="gpu,node", AGENT_CONCURRENCY="3"):
        peer = await hub.wait_connected()
    (hello,) = peer.of(wire.Hello)
    assert hello.protocol == wire.ProtocolRange(1, 1)
    assert (hello.capabilities, hello.concurrency, hello.attempts) == (["gpu", "node"], 3, [])
    assert hello.instance
    assert peer.socket.subprotocol == wire.SUBPROTOCOL
    assert peer.headers["Authorization"] == "Bearer ctu_test"
    assert (peer.agent_id, "Sec-WebSocket-Extensions" in peer.headers) == ("a1", False)


async def test_a_join_token_becomes_a_credential(tmp_path: Path) -> None:
    door = Door(join_tokens={"ctj_one": None})
    hub = FakeHub(door=door)
    async with hub.running() as url:
        async with running_agent(tmp_path, url, AGENT_TOKEN="ctj_one"):
            await hub.wait_connected()
            hub.drop()
            peer = await hub.wait_connected(2)
    assert wire.CREDENTIAL_HEADER in hub.handshakes[0]
    assert peer.headers["Authorization"].startswith("Bearer cta_")
    credential = peer.headers["Authorization"].removeprefix("Bearer ")
    assert door.join_tokens == {"ctj_one": sha256_hex(credential)}
    assert (tmp_path / "state/credential").stat().st_mode & 0o777 == 0o600


async def test_a_hub_that_dies_after_binding_locks_nobody_out(tmp_path: Path) -> None:
    hub = FakeHub(door=Door(join_tokens={"ctj_one": None}, fail_after_bind=True))
    async with hub.running() as url, running_agent(tmp_path, url, AGENT_TOKEN="ctj_one"):
        await hub.wait_connected()
    assert len({h[wire.CREDENTIAL_HEADER] for h in hub.handshakes}) == 1
    assert hub.door.refusals == 0


async def test_an_agent_killed_in_the_exchange_comes_back_with_the_same_credential(tmp_path: Path) -> None:
    hub = FakeHub(door=Door(join_tokens={"ctj_one": None}, fail_after_bind=True))
    async with hub.running() as url:
        with agent_process(tmp_path, url, AGENT_TOKEN="ctj_one") as process:
            await wait_for(lambda: len(hub.handshakes) == 1)
            kill(process)
        with agent_process(tmp_path, url, AGENT_TOKEN="ctj_one"):
            await hub.wait_connected()
    assert len({h[wire.CREDENTIAL_HEADER] for h in hub.handshakes}) == 1
    assert hub.door.refusals == 0


async def test_a_revoked_agent_joins_with_the_next_token_in_its_file(tmp_path: Path) -> None:
    token_file = tmp_path / "token"
    token_file.write_text("ctj_one")
    hub = FakeHub(door=Door(join_tokens={"ctj_one": None}))
    async with hub.running() as url, running_agent(tmp_path, url, AGENT_TOKEN="", AGENT_TOKEN_FILE=str(token_file)):
        await hub.wait_connected()
        hub.door.join_tokens = {"ctj_two": None}
        hub.drop()
        await hub.wait_until(lambda: True)
        await wait_for(lambda: hub.door.refusals > 0)
        token_file.write_text("ctj_two")
        peer = await hub.wait_connected(2)
    assert peer.headers["Authorization"] == "Bearer ctj_two"


async def test_a_new_token_is_used_without_delay_when_the_credential_is_refused(
    tmp_path: Path,
) -> None:
    token_file = tmp_path / "token"
    token_file.write_text("ctj_one")
    # Whoever waits at all waits for an hour.
    door = Door(join_tokens={"ctj_one": None}, refusal_headers={"Retry-After": "3600"})
    hub = FakeHub(door=door)
    async with hub.running() as url, running_agent(tmp_path, url, AGENT_TOKEN_FILE=str(token_file)):
        await hub.wait_connected()
        door.join_tokens = {"ctj_two": None}
        token_file.write_text("ctj_two")
        hub.drop()
        await hub.wait_connected(2)
    assert hub.door.refusals == 1


async def test_retry_after_is_honoured(hub: FakeHub, url: str, tmp_path: Path) -> None:
    hub.refuse_with = (503, {"Retry-After": "7"})
    async with running_agent(tmp_path, url) as running:
        link = running.agent.connection
        await wait_for(lambda: link.state.phase is Phase.WAITING and link.state.until > link.state.since)
        assert 7 <= link.state.until - link.state.since <= 8
        assert "503" in link.state.reason
        assert "connect_failed" in running.lines.getvalue()


@pytest.mark.parametrize(
    ("goaway", "least"),
    [
        (wire.Goaway(4_000, wire.GoawayReason.DRAINING), 4.0),
        (wire.Goaway(0, wire.GoawayReason.SUPERSEDED), 5.0),
    ],
)
async def test_goaway_is_honoured(hub: FakeHub, url: str, tmp_path: Path, goaway: wire.Goaway, least: float) -> None:
    async with running_agent(tmp_path, url) as running:
        await hub.wait_connected()
        await hub.send(goaway)
        await hub.peer.socket.close()
        link = running.agent.connection
        await wait_for(lambda: link.state.phase is Phase.WAITING)
        assert link.state.until - link.state.since >= least


async def test_hub_json_is_read_again_at_every_attempt(tmp_path: Path) -> None:
    hub_file = tmp_path / "hub.json"
    hub = FakeHub()
    async with running_agent(tmp_path, "", HUB_FILE=str(hub_file)) as running:
        link = running.agent.connection
        await wait_for(lambda: "hub.json" in link.state.reason)
        async with hub.running(tmp_path / "one.sock"):
            hub_file.write_text(json.dumps({"socket": str(tmp_path / "one.sock")}))
            await hub.wait_connected()
        async with hub.running(tmp_path / "two.sock"):
            hub_file.write_text(json.dumps({"socket": str(tmp_path / "two.sock")}))
            await hub.wait_connected(2)


async def test_a_hub_that_never_welcomes_is_left(
    hub: FakeHub, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "WELCOME_SECONDS", 0.05)
    hub.welcome = lambda _: None
    async with running_agent(tmp_path, url):
        await hub.wait_connected()
        await hub.wait_until(lambda: hub.peers[0].closed)
        hub.welcome = lambda _: wire.Welcome()
        await hub.wait_connected(2)


async def test_a_silent_peer_is_noticed_by_its_missing_pong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "PING_SECONDS", 0.05)
    monkeypatch.setattr(connection, "CLOSE_SECONDS", 0.05)
    connections: list[object] = []

    class Deaf(ServerConnection):
        def data_received(self, data: bytes) -> None:
            if self.protocol.state.name == "CONNECTING":
                super().data_received(data)

    async def hold(socket: ServerConnection) -> None:
        connections.append(socket)
        await socket.wait_closed()

    options = {"subprotocols": [wire.SUBPROTOCOL], "create_connection": Deaf, "ping_interval": None}
    async with serve(hold, "127.0.0.1", 0, close_timeout=0.1, **options) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        async with running_agent(tmp_path, f"ws://127.0.0.1:{port}"):
            await wait_for(lambda: len(connections) >= 2)


async def test_a_server_that_is_no_hub_is_left(tmp_path: Path) -> None:
    async def hold(socket: ServerConnection) -> None:
        await socket.wait_closed()

    async with serve(hold, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        async with running_agent(tmp_path, f"ws://127.0.0.1:{port}") as running:
            link = running.agent.connection
            await wait_for(lambda: "does not speak" in link.state.reason)


async def test_tls_with_a_private_authority(hub: FakeHub, tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    await asyncio.to_thread(subprocess.run, [*make, *names], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    async with hub.running(ssl_context=context) as url:
        assert url.startswith("wss://")
        async with running_agent(tmp_path, url) as running:
            link = running.agent.connection
            await wait_for(lambda: "certificate" in link.state.reason.lower())
        assert hub.peers == []
        async with running_agent(tmp_path, url, HUB_CA_FILE=str(certificate)):
            await hub.wait_connected()


async def test_the_proxy_of_the_environment_is_not_for_the_hub(
    hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    async with hub.running() as url, running_agent(tmp_path, url):
        await hub.wait_connected()
