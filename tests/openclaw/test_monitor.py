"""Real OpenClaw in a container: killed, then frozen, it is back within four minutes each time; the figures show it."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.harness import eventually
from tests.hub.running import short_folder
from tests.openclaw.provisioned import Run, docker, running, say

pytestmark = [pytest.mark.soak, pytest.mark.docker, pytest.mark.openclaw, pytest.mark.timeout(1_200)]

BACK_SECONDS = 240.0


@pytest.fixture
def home() -> Iterator[Path]:
    with short_folder() as folder:
        yield folder / "hub"


def signal_all(name: str, signal: str) -> None:
    """To every process of the container but its init."""
    # The one that sends it is spared by the kernel.
    docker("exec", f"openclaw-cell-{name}", "sh", "-c", f"kill -s {signal} -- -1")


async def health(run: Run, name: str) -> dict[str, Any]:
    (one,) = (await run.hub.call("GET", f"/health/gateways?names={name}&checks=50"))["gateways"]
    return one


async def comes_back(run: Run, name: str, restarts: int) -> float:
    """Wait until one more restart is counted and it is ready; returns the seconds."""
    began = time.monotonic()

    async def back() -> bool:
        one = await health(run, name)
        return one["figures"]["restarts"] == restarts and one["state"] == "ready"

    await eventually(back, seconds=BACK_SECONDS, what=f"{name} is back")
    return time.monotonic() - began


async def test_a_killed_and_a_frozen_gateway_come_back(
    home: Path, record_property: Callable[[str, object], None]
) -> None:
    name = f"monitored-{secrets.token_hex(3)}"
    async with running(home) as run:
        credentials, job_id = await run.provision(name, "free")
        job = await run.ended(job_id)
        assert job["state"] == "succeeded", job

        await asyncio.to_thread(signal_all, name, "KILL")
        record_property("killed_seconds", await comes_back(run, name, 1))
        await asyncio.to_thread(signal_all, name, "STOP")
        record_property("frozen_seconds", await comes_back(run, name, 2))

        assert await say(credentials, "{{say again}}") == (200, "again")
        told = await health(run, name)
        assert {True, False} == {check["healthy"] for check in told["checks"]}, told["checks"]
        assert told["figures"]["restartSuccessRate"] == 1.0
        assert 0 < told["figures"]["passRate"] < 1
        assert told["figures"]["deploySeconds"] > 0
        view = await run.hub.call("GET", f"/gateways/{name}")
        assert (view["instance"]["restarts"], view["instance"]["givenUp"]) == (1, False)
