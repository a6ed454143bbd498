"""The process driver: the contract, and what only processes can do wrong."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import psutil
import pytest

from hub.core.model import AgentId, AgentUid, Observed
from hub.drivers.base import AgentHandle, AgentPlan, LogRequest, Mount
from hub.drivers.process import ProcessDriver, logs, processes
from hub.drivers.process.folder import AgentFolder, Record
from hub.drivers.process.keeper import handle_of
from hub.errors import BadRequest, DriverFailed, NotAvailable, Unavailable
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

STAND_IN = (sys.executable, str(Path(__file__).with_name("stand_in.py")))


class Reach:
    """What a hub tells its drivers; nobody listens at these addresses."""

    def __init__(self, state_folder: Path, hub_id: str) -> None:
        self.hub_id = hub_id
        self.state_folder = str(state_folder)
        self.socket_path = str(state_folder / "hub.sock")
        self.hub_file = str(state_folder / "hub.json")
        self.agents_port = 0

    async def listen_agents_on(self, host: str) -> None:
        raise AssertionError(f"process agents need no listener on {host}")

    async def offer_agent_socket(self, agent_id: AgentId, uid: AgentUid) -> str:
        raise AssertionError(f"process agents use the hub's own socket, not one for {agent_id} {uid}")


class ProcessBench(Bench):
    def __init__(self, state_folder: Path) -> None:
        self.state_folder = state_folder
        self.root = state_folder / "agents"
        self.drivers: list[ProcessDriver] = []
        self._driver = self.make_driver()

    def make_driver(
        self, hub_id: str = Bench.hub_id, command: tuple[str, ...] = STAND_IN, **environment: str
    ) -> ProcessDriver:
        driver = ProcessDriver(
            Reach(self.state_folder, hub_id), command=command, environment={"PATH": os.environ["PATH"], **environment}
        )
        self.drivers.append(driver)
        return driver

    @property
    def driver(self) -> ProcessDriver:
        return self._driver

    async def restarted_driver(self) -> ProcessDriver:
        return self.make_driver()

    async def other_hubs_driver(self) -> ProcessDriver:
        return self.make_driver(hub_id="hub-other")

    async def broken_driver(self) -> ProcessDriver:
        return self.make_driver(command=("/nonexistent/python",))

    def folder(self, handle: AgentHandle) -> AgentFolder:
        ref = json.loads(handle.ref)
        return AgentFolder(self.root, AgentId(ref["id"]), AgentUid(ref["uid"]))

    async def order(self, handle: AgentHandle, order: str) -> None:
        folder = self.folder(handle)

        async def listening() -> bool:
            return (folder.state / "ready").exists() and (folder.state / "ready").read_text() == str(self.pid(handle))

        await wait_until(listening, "the stand-in reads orders")
        descriptor = os.open(folder.state / "orders", os.O_WRONLY | os.O_NONBLOCK)
        os.write(descriptor, f"{order}\n".encode())
        os.close(descriptor)

    def record(self, handle: AgentHandle) -> Record:
        record = self.folder(handle).read()
        assert record is not None
        return record

    def pid(self, handle: AgentHandle) -> int:
        process = self.record(handle).process
        assert process is not None
        return process.pid

    async def child(self, handle: AgentHandle, kind: str = "child") -> int:
        """Have the agent start a child that leaves its session and ignores TERM; return its pid."""
        await self.order(handle, kind)
        file = self.folder(handle).state / "children"

        async def written() -> bool:
            return file.exists() and file.read_text().endswith("\n")

        await wait_until(written, "the child runs")
        return int(file.read_text().split()[-1])

    async def end_agent(self, handle: AgentHandle, exit_code: int) -> None:
        await self.order(handle, f"exit {exit_code}")

    async def say(self, handle: AgentHandle, text: str) -> None:
        await self.order(handle, f"say {text}")

    async def token(self, handle: AgentHandle) -> str:
        return self.folder(handle).token.read_text()

    async def make_foreign(self, plan: AgentPlan) -> None:
        foreign = AgentFolder(self.root, plan.agent_id, plan.uid).path
        foreign.mkdir(parents=True)
        (foreign / "precious").write_text("not ours")

    async def foreign_intact(self, plan: AgentPlan) -> bool:
        return (AgentFolder(self.root, plan.agent_id, plan.uid).path / "precious").read_text() == "not ours"

    async def leftovers(self, plan: AgentPlan) -> list[str]:
        marked = processes.belonging(f"CLAWTUI_AGENT_UID={plan.uid}", None)
        zombies = [child.pid for child in psutil.Process().children() if child.status() == psutil.STATUS_ZOMBIE]
        files = [str(path) for path in self.root.glob(f"*{plan.agent_id}.{plan.uid}*")] if self.root.exists() else []
        return [*(f"process {info.pid}" for info in marked), *(f"zombie {pid}" for pid in zombies), *files]

    async def close(self) -> None:
        for driver in self.drivers:
            await driver.stop_driver()
        cleaner = self.make_driver()
        for seen in await cleaner.list_agents():
            await cleaner.destroy(seen.handle)
        await cleaner.stop_driver()


class TestProcessDriver(DriverContract):
    @pytest.fixture
    async def bench(self, tmp_path: Path) -> AsyncIterator[ProcessBench]:
        bench = ProcessBench(tmp_path)
        yield bench
        await bench.close()


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[ProcessBench]:
    bench = ProcessBench(tmp_path)
    yield bench
    await bench.close()


def gone(pid: int) -> bool:
    info = processes.look(pid)
    return info is None or info.zombie
