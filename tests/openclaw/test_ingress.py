"""Real OpenClaw in a container behind a real Caddy: its name answers with TLS, and is looked at directly, too."""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path

import httpx
import msgspec
import pytest
from websockets.asyncio.client import connect

from hub.config import Ingress
from hub.gateways.ingress.layout import Layout, layout
from hub.gateways.ingress.probing import trusting
from tests.end_to_end.harness import eventually
from tests.hub.gateways.ingress.fronted import caller, end_caddy, free_port
from tests.hub.running import short_folder
from tests.openclaw.provisioned import Run, running

pytestmark = [pytest.mark.docker, pytest.mark.openclaw, pytest.mark.caddy, pytest.mark.timeout(900)]


async def test_a_gateway_answers_under_its_name_piece_by_piece() -> None:
    name, port = f"named-{secrets.token_hex(3)}", free_port()
    domain = f"{name}.example.com"
    with short_folder() as folder:
        home = folder / "hub"
        proxy = layout(Ingress(kind="caddy", listen=("127.0.0.1",), http_port=0, https_port=port), home)
        settings = {
            "CLAWTUI_INGRESS": "caddy",
            "CLAWTUI_INGRESS_DOMAIN": "example.com",
            "CLAWTUI_INGRESS_LISTEN": "127.0.0.1",
            "CLAWTUI_INGRESS_HTTP_PORT": "0",
            "CLAWTUI_INGRESS_HTTPS_PORT": str(port),
        }
        try:
            async with running(home, **settings) as run:
                credentials, job_id = await run.provision(name, "pro", subdomain=domain, port=free_port())
                job = await run.ended(job_id)
                assert job["state"] == "succeeded", job["error"]["message"]
                await reached(run, domain)
                await it_trusts_nobody(home, name, credentials["url"])
                await a_stream_comes_piece_by_piece(run, proxy, domain, credentials["token"])
                await the_web_interface_and_its_socket_are_there(proxy, domain)
        finally:
            await end_caddy(proxy)


async def reached(run: Run, domain: str) -> None:
    """The hub has seen it through the proxy, and says so in its history."""

    async def ready() -> bool:
        view = await run.hub.call("GET", "/ingress")
        return [(one["domain"], one["state"]) for one in view["routes"]] == [(domain, "ready")]

    await eventually(ready, seconds=60, what="reached through the proxy")
    health = await run.hub.call("GET", "/health/gateways?checks=100")
    assert any(one["via"] == "ingress" and one["healthy"] for one in health["gateways"][0]["checks"])


async def it_trusts_nobody(home: Path, name: str, url: str) -> None:
    config = msgspec.json.decode((home / "gateways" / name / "shared" / "openclaw.json").read_bytes())
    assert "trustedProxies" not in config["gateway"]
    async with httpx.AsyncClient(trust_env=False) as client:
        direct = await client.get(f"{url}/readyz")
        assert (direct.status_code, direct.json()["ready"]) == (200, True)


async def a_stream_comes_piece_by_piece(run: Run, proxy: Layout, domain: str, token: str) -> None:
    body = {"model": "openclaw:main", "input": "{{pieces 3}} {{hold rest}}", "stream": True}
    headers = {"x-openclaw-session-key": "agent:main:test"}
    async with caller(proxy, domain, token) as client:
        async with client.stream("POST", "/v1/responses", json=body, headers=headers, timeout=120) as answer:
            assert answer.status_code == 200, await answer.aread()
            text, pieces = "", answer.aiter_text()
            async with asyncio.timeout(90):
                while "piece0" not in text:
                    text += await anext(pieces)
                assert "piece1" not in text
                run.stub.release("rest")
                text += "".join([piece async for piece in pieces])
    assert "response.completed" in text
    assert "piece2" in text
    async with caller(proxy, domain, "another-token-0123") as client:
        assert (await client.post("/v1/responses", json=body)).status_code == 401


async def the_web_interface_and_its_socket_are_there(proxy: Layout, domain: str) -> None:
    async with caller(proxy, domain) as client:
        page = await client.get("/")
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    port = proxy.settings.https_port
    context = await asyncio.to_thread(trusting, proxy)
    async with connect(
        f"wss://{domain}:{port}/", host="127.0.0.1", port=port, ssl=context, server_hostname=domain, proxy=None,
        origin=f"https://{domain}:{port}",  # pyright: ignore[reportArgumentType]
    ) as socket:  # fmt: skip
        hello = msgspec.json.decode(await asyncio.wait_for(socket.recv(), 30))
    assert hello["event"] == "connect.challenge"
