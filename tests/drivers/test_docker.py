"""The Docker driver on a real engine: the contract, the defaults as the engine has them, and faults at every step."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from hub.core.model import AgentUid, Observed
from hub.drivers.base import AgentHandle, AgentPlan, LogRequest, Mount, RestartPolicy
from hub.drivers.docker import DockerDriver
from hub.drivers.docker.engine import EngineNotFound, EngineRefused, unreachable
from hub.errors import BadRequest, Conflict, DriverFailed, HubError
from tests.drivers.contract import (
    GRACE_SECONDS,
    Bench,
    DriverContract,
    collect,
    no_progress,
    texts,
    wait_for_line,
    wait_for_state,
    wait_until,
)
from tests.drivers.docker_bench import PYTHON, DockerBench, FaultyConnect, Reach

pytestmark = pytest.mark.docker


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[DockerBench]:
    made = DockerBench(tmp_path)
    yield made
    await made.close()


@pytest.fixture
def driver(bench: DockerBench) -> DockerDriver:
    return bench.driver


class TestDockerDriver(DriverContract):
    @pytest.fixture
    async def bench(self, tmp_path: Path) -> AsyncIterator[Bench]:
        made = DockerBench(tmp_path)
        yield made
        await made.close()
