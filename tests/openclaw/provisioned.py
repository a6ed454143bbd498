"""A hub as a process of its own that runs real gateways in containers, with the stub model on the bridge."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import httpx

from tests.end_to_end.harness import HubProcess, eventually
from tests.openclaw.gateway import base_config
from tests.openclaw.installation import CURRENT
from tests.openclaw.stub_model import StubModel

JOB_SECONDS: Final = 280.0
"""The first one builds the image."""
STUB_KEY: Final = "stub-key-0123456789"


def docker(*words: str) -> str:
    """Run the Docker client; what it printed."""
    done = subprocess.run(["docker", *words], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def bridge_address() -> str:
    """This machine's address on the default bridge, where containers reach it as host.docker.internal."""
    (network,) = json.loads(docker("network", "inspect", "bridge"))
    place = network["IPAM"]["Config"][0]
    # An engine that nobody told otherwise has the first address itself, and does not say so.
    return place.get("Gateway") or str(next(ipaddress.ip_network(place["Subnet"]).hosts()))


class Run:
    """What a test has: the hub, the stub, and how to provision with it."""

    def __init__(self, hub: HubProcess, stub: StubModel) -> None:
        self.hub = hub
        self.stub = stub

    def config(self) -> dict[str, Any]:
        """The stub as the only provider, and one agent; the rest is the hub's."""
        whole = base_config(CURRENT, self.stub.url, Path("/tmp/openclaw.log"), None)
        model = whole["agents"]["defaults"]["model"]
        return {"models": whole["models"], "agents": {"defaults": {"model": model}}}

    async def provision(self, name: str, tier: str, **fields: Any) -> tuple[dict[str, Any], str]:
        """Begin; returns the credentials and the job's id."""
        request = {
            "name": name, "tier": tier, "imageKind": "npm", "version": CURRENT, "config": self.config(),
            "keys": {"STUB_API_KEY": STUB_KEY}, **fields,
        }  # fmt: skip
        made = await self.hub.call("POST", "/instances", request)
        return made["credentials"], made["job"]["id"]

    async def ended(self, job_id: str) -> dict[str, Any]:
        async def over() -> dict[str, Any] | None:
            job = await self.hub.call("GET", f"/jobs/{job_id}?wait=10")
            return job if job["state"] != "running" else None

        return await eventually(over, seconds=JOB_SECONDS, what=f"job {job_id} ends")

    async def destroy(self, name: str) -> None:
        job = await self.hub.call("POST", f"/gateways/{name}/destroy", {"data": True})
        ended = await self.ended(job["id"])
        assert ended["state"] == "succeeded", ended


async def say(credentials: dict[str, Any], text: str) -> tuple[int, str]:
    """One message to the gateway itself, with what the hub told as the way in; status and text."""
    headers = {"Authorization": f"Bearer {credentials['token']}", "x-openclaw-session-key": "agent:main:test"}
    async with httpx.AsyncClient(base_url=credentials["url"], timeout=120.0, trust_env=False) as client:
        answer = await client.post("/v1/responses", headers=headers, json={"model": "openclaw:main", "input": text})
    if answer.status_code != 200:
        return answer.status_code, answer.text
    pieces = [part["text"] for item in answer.json()["output"] for part in item.get("content", ()) if "text" in part]
    return 200, "".join(pieces)


@contextlib.asynccontextmanager
async def running(home: Path, **settings: str) -> AsyncIterator[Run]:
    """A hub with these settings and a stub; instances that a failed test leaves are removed."""
    hub = HubProcess(home, drivers="docker", **settings)
    address = await asyncio.to_thread(bridge_address)
    async with StubModel().running(address) as stub:
        await hub.start()
        run = Run(hub, stub)
        try:
            yield run
        finally:
            for one in (await hub.call("GET", "/gateways"))["gateways"]:
                await run.destroy(one["name"])
            await asyncio.to_thread(hub.stop)
