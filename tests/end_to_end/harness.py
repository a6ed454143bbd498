"""A real hub in a process of its own, which tests start, talk to over HTTP, and kill."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import httpx
import msgspec

PATIENCE_SECONDS = 40.0
"""How long a test waits for a condition before it fails."""


async def eventually(
    condition: Callable[[], Awaitable[Any]], *, seconds: float = PATIENCE_SECONDS, what: str = ""
) -> Any:
    """Wait until `condition` returns something true and return that; fail after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        found = await condition()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what or condition.__name__}")
        await asyncio.sleep(0.02)


class HubProcess:
    """`clawtui --serve` on a state folder; survives being killed and started again."""

    def __init__(self, home: Path, *, drivers: str = "process", **settings: str) -> None:
        self.home = home
        self._drivers = drivers
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def address(self) -> dict[str, Any]:
        return msgspec.json.decode((self.home / "hub.json").read_bytes())

    @property
    def token(self) -> str:
        return (self.home / "token").read_text().strip()

    async def start(self, command: Sequence[str] = ()) -> None:
        """Start the hub, or what `command` says instead, and wait until it answers."""
        self.launch(command)
        await eventually(self._answers, what=f"hub on {self.home} answers")

    def launch(self, command: Sequence[str] = ()) -> None:
        """Start it and do not wait."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith("CLAWTUI_")}
        environment |= {"CLAWTUI_HOME": str(self.home), "CLAWTUI_DRIVERS": self._drivers} | self._settings
        self.home.mkdir(parents=True, exist_ok=True)
        with (self.home / "serve.log").open("ab") as log:
            self._process = subprocess.Popen(
                command or [sys.executable, "-m", "clawtui", "--serve", "--port-agents", "0", "--port-api", "0"],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    async def _answers(self) -> bool:
        assert self._process is not None
        if (code := self._process.poll()) is not None:
            raise AssertionError(f"the hub ended with {code}:\n{self.log[-3000:]}")
        try:
            if self.address["pid"] != self.pid:
                return False
            async with self.client() as client:
                return (await client.get("/health")).status_code == 200
        except (OSError, httpx.HTTPError, msgspec.DecodeError):
            return False

    @property
    def log(self) -> str:
        """What all hubs on this folder have written to stdout and stderr."""
        return (self.home / "serve.log").read_text(errors="replace")

    async def wait_died(self) -> None:
        """Wait until the hub was ended by SIGKILL, by whomever."""
        process = self._process
        assert process is not None

        async def died() -> bool:
            return process.poll() is not None

        await eventually(died, what="the hub dies")
        assert process.returncode == -signal.SIGKILL, f"the hub ended with {process.returncode}:\n{self.log[-3000:]}"

    def kill(self) -> None:
        """SIGKILL, as a power cut of the process."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send one signal and wait; returns the exit code."""
        assert self._process is not None
        if self._process.poll() is None:
            self._process.send_signal(number)
        return self._process.wait(timeout=30)

    def client(self, **more: Any) -> httpx.AsyncClient:
        """An HTTP client on the Unix socket with the admin's token."""
        headers = {"Authorization": f"Bearer {self.token}"}
        # Reading all certificates of this machine costs a tenth of a second of CPU, and nothing here needs them.
        transport = httpx.AsyncHTTPTransport(uds=str(self.home / "hub.sock"), verify=False)
        return httpx.AsyncClient(
            transport=transport, base_url="http://hub", headers=headers, timeout=60, trust_env=False, **more
        )

    async def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """One request; its JSON, or an AssertionError with the hub's own words."""
        async with self.client() as client:
            answer = await client.request(method, path, json=body, headers=headers)
        assert answer.status_code < 400, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    async def create(self, name: str, **fields: Any) -> dict[str, Any]:
        """Create a process agent and wait until it is online."""
        job = await self.call("POST", "/agents", {"name": name, "driver": "process", **fields})
        ended = await self.ended_job(job["id"])
        assert ended["state"] == "succeeded", ended
        return await self.call("GET", f"/agents/{name}")

    async def ended_job(self, job_id: str) -> dict[str, Any]:
        async def ended() -> dict[str, Any] | None:
            job = await self.call("GET", f"/jobs/{job_id}?wait=5")
            return None if job["state"] == "running" else job

        return await eventually(ended, seconds=90, what=f"job {job_id} ends")

    async def submit(self, agent: str, **task: Any) -> str:
        return (await self.call("POST", f"/agents/{agent}/task", task))["taskId"]

    async def ended_task(self, task_id: str, *, seconds: float = PATIENCE_SECONDS) -> dict[str, Any]:
        async def ended() -> dict[str, Any] | None:
            task = await self.call("GET", f"/tasks/{task_id}?wait=2")
            return task if task["terminal"] else None

        return await eventually(ended, seconds=seconds, what=f"task {task_id} ends")

    async def run(self, agent: str, **task: Any) -> dict[str, Any]:
        """Submit a task and return it when it has ended."""
        return await self.ended_task(await self.submit(agent, **task))

    async def destroy(self, *names: str) -> None:
        for name in names:
            job = await self.call("DELETE", f"/agents/{name}")
            assert (await self.ended_job(job["id"]))["state"] == "succeeded"
