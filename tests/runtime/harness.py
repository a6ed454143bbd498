"""Starts agents for tests: in this process, or as a process of its own that can be killed."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import random
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

import runtime
from runtime.agent import Agent
from runtime.logs import AgentLog
from runtime.reaper import Reaper
from runtime.settings import Settings

SOURCE = Path(runtime.__file__).parent.parent
PATIENCE_SECONDS = 30.0
"""How long a test waits for a condition before it fails; a busy machine is no fault of the agent."""


def environment(folder: Path, hub_url: str, **changes: str) -> dict[str, str]:
    """Return the environment of an agent whose files are all under `folder`."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "AGENT_ID": "a1",
        "HUB_URL": hub_url,
        "AGENT_TOKEN": "ctu_test",
        "AGENT_STATE_DIR": str(folder / "state"),
        "AGENT_WORKSPACE": str(folder / "work"),
        "AGENT_DRAIN_SECONDS": "0.2",
        **changes,
    }


@dataclass
class Running:
    """An agent in this process; setting `stop` drains it."""

    agent: Agent
    settings: Settings
    stop: asyncio.Event
    lines: io.StringIO


@contextlib.asynccontextmanager
async def running_agent(folder: Path, hub_url: str, **changes: str) -> AsyncIterator[Running]:
    """Run an agent in this event loop; it is drained at the end."""
    settings = Settings.from_environment(environment(folder, hub_url, **changes))
    settings.state_dir.mkdir(exist_ok=True)
    settings.workspace.mkdir(exist_ok=True)
    lines = io.StringIO()
    agent = Agent(settings, AgentLog(lines), Reaper(adopts_orphans=False), random.Random(1))
    stop = asyncio.Event()
    async with asyncio.timeout(50), asyncio.TaskGroup() as group:
        group.create_task(agent.run(stop))
        try:
            yield Running(agent, settings, stop, lines)
        finally:
            stop.set()


@contextlib.contextmanager
def agent_process(
    folder: Path, hub_url: str, companion: Sequence[str] = (), **changes: str
) -> Iterator[subprocess.Popen[bytes]]:
    """Run an agent as `python -P -m runtime`; it is killed at the end if it still runs."""
    env = environment(folder, hub_url, PYTHONPATH=str(SOURCE), **changes)
    folder.joinpath("work").mkdir(exist_ok=True)
    with (folder / "agent.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "runtime", *companion], env=env, stdout=log, stderr=log, cwd=folder / "work"
        )
    try:
        yield process
    finally:
        kill(process)


def kill(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL the agent, as a crash does, and bury it."""
    if process.poll() is None:
        process.send_signal(signal.SIGKILL)
    process.wait(timeout=30)


async def wait_for(condition: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> None:
    """Poll until the condition is true; for what no event tells of."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


def alive(pid: int) -> bool:
    """Return whether a process runs; a zombie does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def read_pids(folder: Path, count: int) -> list[int]:
    """Wait for `count` files named `*.pid` with a pid each, and return the pids."""

    def found() -> list[int]:
        return [int(text) for path in folder.glob("*.pid") if (text := path.read_text().strip())]

    await wait_for(lambda: len(found()) >= count)
    return found()
