"""A second engine over ssh: a real gateway is provisioned there, answers through its tunnel, and comes back with it."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from hub.config import Timing
from hub.contract import (
    AddHost,
    DestroyGateway,
    GatewayState,
    ProvisionGateway,
    SendMessage,
)
from hub.drivers.docker import DockerDriver
from hub.errors import Conflict, DriverFailed
from hub.gateways.images import gateway_recipe
from tests.drivers.docker_bench import build_options
from tests.end_to_end.harness import eventually
from tests.hub.hosts.far_host import FarHost, far_host, missing
from tests.hub.running import RunningHub, running_hub
from tests.openclaw.gateway import base_config
from tests.openclaw.installation import CURRENT
from tests.openclaw.provisioned import STUB_KEY

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]

TIMING = Timing(drain_seconds=2.0, gateway_seconds=1.0, reconcile_seconds=3_600.0)
STUB = """
import asyncio, sys
from tests.openclaw.stub_model import StubModel

async def main():
    async with StubModel().running(sys.argv[1]) as stub:
        print(stub.url, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def far() -> Iterator[FarHost]:
    if (why := missing()) is not None:
        pytest.skip(why)
    with far_host() as host:
        yield host


@pytest.fixture(autouse=True)
def operator(far: FarHost, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub's user has an ssh with this host in its configuration."""
    monkeypatch.setenv("PATH", far.path)


@contextlib.asynccontextmanager
async def docker_hub() -> AsyncIterator[RunningHub]:
    def drivers(reach: Any) -> list[Any]:
        return [DockerDriver(reach, build=build_options())]

    async with running_hub(drivers=drivers, timing=TIMING) as hub:
        yield hub


@contextlib.asynccontextmanager
async def stub_there(far: FarHost) -> AsyncIterator[str]:
    """The stub model inside of the host's network; yields its address."""
    (place,) = far.engine.get("/networks/bridge")["IPAM"]["Config"]
    address = place.get("Gateway") or str(next(ipaddress.ip_network(place["Subnet"]).hosts()))
    command = ["nsenter", f"--net={far.engine.network}", sys.executable, "-c", STUB, address]
    process = await asyncio.create_subprocess_exec(
        *command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[3], stdin=subprocess.DEVNULL
    )
    assert process.stdout is not None
    try:
        yield (await process.stdout.readline()).decode().strip()
    finally:
        process.terminate()
        await process.wait()


async def test_a_gateway_there_answers_and_comes_back_with_its_tunnel(far: FarHost) -> None:
    name = f"far-{secrets.token_hex(3)}"
    async with docker_hub() as hub, stub_there(far) as model:
        added = await hub.control.add_host(AddHost(name="second", url=far.url))
        assert (added.usable, added.url, added.gateways) == (True, far.url, 0)
        assert added.cpus
        assert added.memory_bytes
        # The first engine has it, built once for all tests: it is carried over, for nothing there reaches npm.
        await hub.hub.running.hosts.cells("local").build(gateway_recipe(CURRENT), lambda fraction, line: None)
        whole = base_config(CURRENT, model, Path("/tmp/openclaw.log"), None)
        config = {"models": whole["models"], "agents": {"defaults": {"model": whole["agents"]["defaults"]["model"]}}}
        made = await hub.control.provision_gateway(
            ProvisionGateway(
                name=name,
                tier="free",
                image_kind="npm",
                version=CURRENT,
                host="second",
                config=config,
                keys={"STUB_API_KEY": STUB_KEY},
            )
        )
        await ended(hub, made.job.id)
        try:
            await answers_and_comes_back(hub, far, name)
            await a_host_that_is_away(hub, far, name)
        finally:
            job = await hub.control.destroy_gateway(name, DestroyGateway(data=True))
            await ended(hub, job.id)
        assert far.engine.get("/containers/json", all="1") == []
        await hub.control.remove_host("second")
    await eventually(nobody(far), what="no tunnel is left")


def nobody(far: FarHost) -> Any:
    async def gone() -> bool:
        return not far.tunnels()

    return gone


async def ended(hub: RunningHub, job_id: str) -> None:
    async def over() -> Any:
        job = await hub.control.job(job_id, 10)
        return job if job.state != "running" else None

    job = await eventually(over, seconds=280, what=f"job {job_id} ends")
    assert job.state == "succeeded", job


async def answers_and_comes_back(hub: RunningHub, far: FarHost, name: str) -> None:
    view = await hub.control.gateway(name)
    assert (view.state, view.instance.host if view.instance else "") == (GatewayState.READY, "second")
    (there,) = far.engine.get("/containers/json")
    assert there["Names"] == [f"/openclaw-cell-{name}"]
    hosts = {one.name: one for one in (await hub.control.hosts()).hosts}
    assert (hosts["second"].gateways, hosts["local"].gateways) == (1, 0)
    assert 0 < hosts["second"].used_memory_bytes <= (hosts["second"].memory_bytes or 0)
    await says(hub, name, "over ssh")
    with pytest.raises(Conflict, match=name):
        await hub.control.remove_host("second")
    tunnel = hub.hub.running.hosts.tunnel_of(name)
    assert tunnel is not None
    before = set(far.tunnels())
    assert len(before) == 2, "one to the engine, one to the gateway"
    far.break_tunnels()
    await hub.until(lambda: tunnel.opened_times == 2 and tunnel.is_open, "the tunnel is open again", seconds=60)
    assert not before & set(far.tunnels())
    await eventually(lambda: is_seen(hub, name, GatewayState.READY), seconds=60, what="it is ready again")
    await says(hub, name, "again")


async def a_host_that_is_away(hub: RunningHub, far: FarHost, name: str) -> None:
    far.lock_out()
    try:
        far.break_tunnels()

        async def told() -> bool:
            seen = hub.hub.gateways.watch.sight(name).seen
            return seen.state is GatewayState.UNKNOWN and "does not let the hub's user in" in seen.reason

        await eventually(told, seconds=60, what="nobody knows how it is, and why is told")
        (shown,) = [one for one in (await hub.control.hosts()).hosts if one.name == "second"]
        assert (shown.usable, shown.version) == (False, "")
        assert "does not let" in shown.reason
        view = await hub.control.gateway(name)
        assert view.instance is not None
        assert view.instance.restarts == 0
    finally:
        far.let_in()
    await eventually(lambda: is_seen(hub, name, GatewayState.READY), seconds=90, what="it is ready again")


async def is_seen(hub: RunningHub, name: str, state: GatewayState) -> bool:
    return hub.hub.gateways.watch.sight(name).seen.state is state


async def says(hub: RunningHub, name: str, text: str) -> None:
    request = SendMessage(to=f"{name}/main", text=f"{{{{say {text}}}}}")
    assert "".join([chunk.text async for chunk in hub.control.message(request)]) == text


@pytest.mark.parametrize(
    ("spoil", "url", "said"),
    [
        (FarHost.forget_key, None, "host key"),
        (FarHost.lock_out, None, "does not let the hub's user in"),
        (None, "ssh://root@far/run/nothing-here.sock", "no Docker engine answers"),
        (None, "ssh://nobody-knows-this-host.invalid", "leads nowhere"),
    ],
)
async def test_hosts_that_cannot_be_are_refused_with_the_reason(
    far: FarHost, spoil: Any, url: str | None, said: str
) -> None:
    async with docker_hub() as hub:
        if spoil is not None:
            spoil(far)
        try:
            with pytest.raises(DriverFailed, match=said) as caught:
                await hub.control.add_host(AddHost(name="second", url=url or far.url))
        finally:
            far.let_in()
            far.know_key()
        assert caught.value.hint
        assert [one.name for one in (await hub.control.hosts()).hosts] == ["local"]
    await eventually(nobody(far), what="no tunnel is left")
