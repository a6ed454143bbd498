"""Gateways behind a real Caddy, on loopback, as tests need them."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx

from hub.config import Ingress, Timing
from hub.contract import InstancePhase
from hub.core.instances import StoredInstance
from hub.gateways.ingress.layout import Layout
from hub.gateways.ingress.probing import trusting
from hub.gateways.ingress.program import Caddy
from tests.hub.running import RunningHub, running_hub

STATE = Path("/srv/state")
QUICK = Timing(drain_seconds=1.0, gateway_seconds=0.1)


def instance(name: str, subdomain: str, *, phase: InstancePhase = InstancePhase.RUNNING) -> StoredInstance:
    return StoredInstance(
        name=name, uid=f"u-{name}", tier="pro", image_kind="npm", image="x:1", port=19100, phase=phase,
        subdomain=subdomain,
    )  # fmt: skip


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def loopback(**settings: Any) -> Ingress:
    """Caddy on loopback, on one free port, with its internal CA."""
    return Ingress(**{"kind": "caddy", "listen": ("127.0.0.1",), "http_port": 0, "https_port": free_port(), **settings})


@contextlib.asynccontextmanager
async def fronted(settings: Ingress, folder: Path | None = None) -> AsyncIterator[RunningHub]:
    """A hub with its own Caddy, which ends with the test."""
    async with running_hub(folder, timing=QUICK, ingress=settings) as hub:
        try:
            yield hub
        finally:
            await end_caddy(hub.hub.running.ingress.layout)


async def end_caddy(layout: Layout) -> None:
    caddy = Caddy(layout)
    if await caddy.answers():
        await caddy.stop()


async def named(hub: RunningHub, name: str, subdomain: str, url: str, token_file: Path | None = None) -> None:
    """An instance that the hub is made to believe it has, at the address of some gateway."""
    await hub.hub.gateways.book.add_instance(
        name, url, str(token_file) if token_file is not None else "", sync=None, user="", by="test"
    )
    await hub.hub.running.instances.room.book.save(instance(name, subdomain))


def caller(layout: Layout, domain: str, token: str = "") -> httpx.AsyncClient:
    """A client from outside: TLS that trusts the proxy's CA, the name, and no name server."""
    port = layout.settings.https_port

    async def name(request: httpx.Request) -> None:
        request.extensions = {**request.extensions, "sni_hostname": domain}

    headers = {"Host": f"{domain}:{port}"} | ({"Authorization": f"Bearer {token}"} if token else {})
    context: ssl.SSLContext = trusting(layout)
    return httpx.AsyncClient(
        base_url=f"https://127.0.0.1:{port}", headers=headers, verify=context, trust_env=False, timeout=60,
        event_hooks={"request": [name]},
    )  # fmt: skip
