"""Generated requests against a running hub: no 5xx that the document does not explain, no undocumented answer.

The hub is a real one; its only driver is the fake one, so that nothing that was generated is ever executed.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from hub.config import HubConfig
from hub.drivers.fake.driver import FakeDriver
from hub.drivers.fake.platform import FakePlatform
from hub.service import Hub

EXAMPLES = 100 if os.environ.get("CLAWTUI_SOAK") else 3
"""Random requests per operation, beside the boundary values that the generator derives from the document."""
RUN_SECONDS = 1_500 if os.environ.get("CLAWTUI_SOAK") else 150

UNCHECKED = {
    # That a request fits its schema does not make it possible: agents may be absent, names taken.
    "positive_data_acceptance": "semantics are not in a schema",
    # `register` is a path of its own and could also be an agent's name, so both answers are right.
    "allow_header_conformance": "/agents/register is /agents/{agent_id} too",
}
LEFT_OUT = {
    # The generator reads token ids from answers, and revokes the token that it uses itself.
    "delete_tokens_token_id",
}
LEFT_OUT_WITH_KNOWN_IDS = LEFT_OUT | {
    # The agent that the other requests are about.
    "delete_agents_agent_id",
}


class Served(msgspec.Struct, frozen=True):
    url: str
    token: str


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[Served]:
    config = HubConfig(state_folder=folder, agents_port=0, api_port=0, version="test")
    async with Hub.open(config, drivers=lambda reach: [FakeDriver(reach.hub_id, FakePlatform())]) as hub:
        health = await hub.read()
        yield Served(url=health.addresses["api"], token=(folder / "token").read_text().strip())


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    folder = Path(tempfile.mkdtemp(prefix="hub-"))
    async with serving(folder) as hub:
        yield hub
    shutil.rmtree(folder)


def configuration(served: Served, parameters: Mapping[str, Any]) -> str:
    """501 is no failure of a server here: it says that this hub has no such thing, and the document has it."""
    lines = [
        f'headers = {{ Authorization = "Bearer {served.token}" }}',
        "request-timeout = 20",
        "[checks.not_a_server_error]",
        'expected-statuses = ["2xx", "3xx", "4xx", "501"]',
        "[parameters]",
        # Long polls and streams that go on would only make the run long.
        "wait = 0.05",
        "follow = false",
        *(f'{name} = "{value}"' for name, value in parameters.items()),
    ]
    return "\n".join(lines)


async def generate(served: Served, folder: Path, left_out: set[str], parameters: Mapping[str, Any]) -> str:
    """Run the generator in a process of its own; return what it printed after it found nothing."""
    (folder / "config.toml").write_text(configuration(served, parameters))
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", "config.toml"),
        *("run", f"{served.url}/openapi.json", "--phases", "coverage,fuzzing", "--continue-on-failure"),
        *("--max-examples", str(EXAMPLES), "--exclude-checks", ",".join(UNCHECKED), "--warnings", "off"),
    ]
    for operation in left_out:
        command += ["--exclude-operation-id", operation]
    environment = {"PATH": os.environ.get("PATH", ""), "HOME": str(folder), "PYTHONIOENCODING": "utf-8"}
    process = await asyncio.create_subprocess_exec(
        *command, cwd=folder, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        async with asyncio.timeout(RUN_SECONDS):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, output.decode()[-6000:]
    return output.decode()


async def still_well(served: Served) -> None:
    async with httpx.AsyncClient(base_url=served.url) as client:
        health = (await client.get("/health")).json()
        metrics = (await client.get("/metrics")).text
    assert (health["status"], health["problems"]) == ("ok", [])
    assert re.findall(r'^clawtui_http_requests_total\{.*status="500".*$', metrics, re.MULTILINE) == []


@pytest.mark.timeout(RUN_SECONDS + 30)
async def test_generated_requests_find_nothing(served: Served, tmp_path: Path) -> None:
    output = await generate(served, tmp_path, LEFT_OUT, {})
    assert re.search(r"[1-9]\d{2,} generated", output), "the generator must have asked for something"
    await still_well(served)


@pytest.mark.timeout(RUN_SECONDS + 30)
async def test_generated_requests_about_things_that_exist_find_nothing(served: Served, tmp_path: Path) -> None:
    headers = {"Authorization": f"Bearer {served.token}"}
    async with httpx.AsyncClient(base_url=served.url, headers=headers) as client:
        (await client.post("/agents/register", json={"agentId": "known"})).raise_for_status()
        task = (await client.post("/agents/known/task", json={"type": "ping"})).raise_for_status().json()
        sent = await client.post("/tasks", json={"task": {"type": "ping"}, "agents": ["known"]})
        job = (await client.post("/agents", json={"name": "made"})).raise_for_status().json()
    known = {
        "agent_id": "known",
        "sender": "known",
        "receiver": "made",
        "task_id": task["taskId"],
        "dispatch_id": sent.raise_for_status().json()["dispatchId"],
        "job_id": job["id"],
    }
    output = await generate(served, tmp_path, LEFT_OUT_WITH_KNOWN_IDS, known)
    assert re.search(r"[1-9]\d{2,} generated", output), "the generator must have asked for something"
    await still_well(served)
