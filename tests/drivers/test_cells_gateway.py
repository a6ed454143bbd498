"""Our own image with a real OpenClaw: it becomes ready, says so to everybody, and ends as OpenClaw does."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from hub.drivers.base import LogRequest, RestartPolicy
from hub.drivers.cells import CellCheck, CellHandle, CellPlan, CellPort, CellVolume
from hub.gateways.images import have_image
from hub.gateways.kinds import find_kind
from tests.drivers.contract import no_progress, wait_until
from tests.drivers.test_cells import DockerCellBench

# The first one builds the image: the package alone takes minutes from the network.
pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]

START_SECONDS = 150.0
CONFIG = {
    "gateway": {"mode": "local", "port": 18789, "bind": "lan", "auth": {"mode": "token"}},
    "update": {"checkOnStart": False},
    "telemetry": {"enabled": False},
    "discovery": {"mdns": {"mode": "off"}},
    "models": {"catalogRefresh": {"enabled": False}},
    "agents": {
        "ownership": "explicit", "defaults": {"heartbeat": {"every": "0m"}},
        "entries": {"ann": {"workspace": "/home/node/.openclaw/workspace/ann"}},
    },
}  # fmt: skip


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[DockerCellBench]:
    made = DockerCellBench(tmp_path)
    yield made
    await made.close()


async def made_from(bench: DockerCellBench, config: dict[str, object], port: int) -> CellHandle:
    kind = find_kind("npm")
    image = await have_image(bench.cells, kind, no_progress)
    plan = CellPlan(
        cell=bench.cell, name=bench.name, image=image.reference, command=kind.command, user=kind.user,
        environment={**kind.environment, "OPENCLAW_CONFIG_READONLY": "1"}, secrets={kind.token_variable: "t" * 32},
        cpus=2, memory_bytes=2 * 2**30, ports=(CellPort(port, kind.port),), restart=RestartPolicy.NO,
        volumes=(CellVolume(bench.name, kind.volumes[0].target),), check=CellCheck(interval_seconds=2),
    )  # fmt: skip
    made = await bench.cells.create(plan, no_progress)
    await bench.cells.put_file(made.handle, kind.config_path, json.dumps(config).encode(), uid=kind.uid)
    await bench.cells.start(made.handle)
    return made.handle


async def test_our_image_runs_a_gateway_that_becomes_ready(bench: DockerCellBench) -> None:
    port = bench.free_port()
    handle = await made_from(bench, CONFIG, port)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=5, trust_env=False) as client:

        async def ready() -> bool:
            try:
                answer = await client.get("/readyz")
            except httpx.TransportError:
                assert (await bench.cells.inspect(handle)).runs
                return False
            return answer.status_code == 200 and answer.json()["ready"] is True

        await wait_until(ready, "the gateway is ready", START_SECONDS)

        async def healthy() -> bool:
            return (await bench.cells.inspect(handle)).check == "healthy"

        await wait_until(healthy, "the engine's own check agrees", 30)
        models = await client.get("/v1/models")
        assert models.status_code in (401, 404), "nothing without the token"
    seen = await bench.cells.inspect(handle)
    assert (seen.check_why, seen.user, seen.oom_killed) == ("ready", "1000:1000", False)
    await bench.cells.stop(handle, 60)
    seen = await bench.cells.inspect(handle)
    assert (seen.state, seen.exit_code) == ("exited", 0)
    files = await bench.cells.get_file(handle, find_kind("npm").config_path)
    assert json.loads(files) == CONFIG


async def test_an_invalid_configuration_ends_it_with_78(bench: DockerCellBench) -> None:
    handle = await made_from(bench, {**CONFIG, "nonsense": True}, bench.free_port())

    async def over() -> bool:
        return (await bench.cells.inspect(handle)).state == "exited"

    await wait_until(over, "the gateway ends", START_SECONDS)
    seen = await bench.cells.inspect(handle)
    assert (seen.exit_code, seen.invalid_config) == (78, True)
    text = "\n".join([line.text async for line in bench.cells.logs(handle, LogRequest())])
    assert "nonsense" in text
