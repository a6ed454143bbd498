"""A Compose file of real agents: accepted, started, online, at work; taken down, nothing of ours is left."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.composing import compose_command
from tests.drivers.docker_bench import Outside
from tests.end_to_end.harness import HubProcess, eventually

BUILD_SETTINGS = ("CLAWTUI_EXTRA_CA", "CLAWTUI_PIP_CONFIG")
pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]


class Fleet:
    """A hub, the folder of a Compose file, and what Compose does with it."""

    def __init__(self, hub: HubProcess, folder: Path, engine: Outside) -> None:
        self.hub = hub
        self.folder = folder
        self.engine = engine
        self.prefix = f"cmp-{os.getpid()}"
        self.names = [f"{self.prefix}-1", f"{self.prefix}-2"]

    def export(self, *words: str) -> str:
        """Call the command line; returns what it says."""
        call = [sys.executable, "-m", "clawtui", "--home", str(self.hub.home), "compose", *words, "--out", self.folder]
        done = subprocess.run(call, capture_output=True, text=True, timeout=200, check=False)
        assert done.returncode == 0, done.stderr
        return done.stderr

    def compose(self, *words: str) -> str:
        call = [*compose_command(), *words]
        done = subprocess.run(call, cwd=self.folder, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    async def shown(self, wanted: str) -> None:
        """Wait until both agents are shown so."""

        async def all_so() -> bool:
            agents = (await self.hub.call("GET", "/agents"))["agents"]
            return {agent["id"]: agent["status"] for agent in agents} == dict.fromkeys(self.names, wanted)

        await eventually(all_so, seconds=60, what=f"both agents are {wanted}")

    async def say(self, agent: str, command: str) -> str:
        task = await self.hub.run(agent, type="exec", command=command)
        assert task["status"] == "succeeded", task
        return task["stdout"].strip()

    def left(self) -> list[str]:
        hub_id: str = self.hub.address["hubId"]
        return self.engine.marked(f"clawtui.hub-id={hub_id}")

    async def clean(self) -> None:
        if self.hub._process is None or self.hub._process.poll() is not None:
            await self.hub.start()
        for agent in (await self.hub.call("GET", "/agents"))["agents"]:
            await self.hub.ended_job((await self.hub.call("DELETE", f"/agents/{agent['id']}"))["id"])


@pytest.fixture
async def fleet(hub: HubProcess, tmp_path: Path) -> AsyncIterator[Fleet]:
    compose_command()
    hub._drivers = "docker"
    hub._settings |= {name: os.environ[name] for name in BUILD_SETTINGS if name in os.environ}
    engine = Outside()
    made = Fleet(hub, tmp_path / "fleet", engine)
    await hub.start()
    yield made
    await made.clean()
    engine.close()


async def test_planned_agents_are_started_by_compose_and_work(fleet: Fleet) -> None:
    fleet.export("--count", "2", "--prefix", fleet.prefix)
    fleet.compose("config", "-q")
    await fleet.shown("creating")
    assert fleet.left() == []
    queued = await fleet.hub.submit(fleet.names[0], type="exec", command="echo early")

    fleet.compose("up", "-d")
    await fleet.shown("online")
    assert (await fleet.hub.ended_task(queued))["stdout"].strip() == "early"
    assert await fleet.say(fleet.names[1], "id -un; echo kept > kept.txt") == "agent"
    both = [f"openclaw-agent-{name}" for name in fleet.names]
    assert sorted(fleet.left()) == sorted(
        [f"container /{name}" for name in both] + [f"volume {name}{end}" for name in both for end in ("", ".state")]
    )

    # Like any other agent: stopped and started by the hub, known to a hub that starts again.
    for act in ("stop", "start"):
        job = await fleet.hub.call("POST", f"/agents/{fleet.names[0]}/{act}")
        assert (await fleet.hub.ended_job(job["id"]))["state"] == "succeeded"
    fleet.hub.kill()
    await fleet.hub.start()
    await fleet.shown("online")

    fleet.compose("down")
    await fleet.shown("creating")
    fleet.compose("up", "-d")
    await fleet.shown("online")
    assert await fleet.say(fleet.names[1], "cat kept.txt") == "kept"

    fleet.compose("down", "-v")
    await fleet.shown("creating")
    assert fleet.left() == []


async def test_destroy_removes_what_compose_has_made(fleet: Fleet) -> None:
    fleet.export("--count", "2", "--prefix", fleet.prefix)
    fleet.compose("up", "-d")
    await fleet.shown("online")
    await fleet.clean()
    assert fleet.left() == []


async def test_a_released_agent_joins_with_the_token_of_a_new_export(fleet: Fleet) -> None:
    fleet.export("--count", "2", "--prefix", fleet.prefix)
    fleet.compose("up", "-d")
    await fleet.shown("online")
    name = fleet.names[0]
    async with fleet.hub.client() as client:
        answer = await client.post(f"/agents/{name}/release")
    assert answer.status_code == 409
    assert f"clawtui compose {name}" in answer.json()["error"]["hint"]
    fleet.export(*fleet.names)
    await fleet.shown("online")
    assert await fleet.say(name, "echo back") == "back"


async def test_agents_of_the_driver_are_handed_over_with_all_that_they_have(fleet: Fleet) -> None:
    for name in fleet.names:
        body: dict[str, Any] = {"name": name, "readOnly": True, "machine": {"limits": {"pids": 99}, "stop_grace": 2}}
        job = await fleet.hub.call("POST", "/agents", body)
        ended = await fleet.hub.ended_job(job["id"])
        assert ended["state"] == "succeeded", ended
        await fleet.say(name, "echo kept > kept.txt")
    uids = {agent["id"]: agent["uid"] for agent in (await fleet.hub.call("GET", "/agents"))["agents"]}
    fleet.export(fleet.names[0], "--select", f"id={fleet.names[1]}")
    for name in fleet.names:
        fleet.engine.remove_container(f"openclaw-agent-{name}")
    fleet.compose("up", "-d")
    await fleet.shown("online")
    assert {agent["id"]: agent["uid"] for agent in (await fleet.hub.call("GET", "/agents"))["agents"]} == uids
    assert await fleet.say(fleet.names[0], "cat kept.txt; touch /x 2>/dev/null || echo sealed") == "kept\nsealed"
    host = fleet.engine.container(f"openclaw-agent-{fleet.names[0]}")["HostConfig"]
    assert (host["PidsLimit"], host["ReadonlyRootfs"], host["CapDrop"]) == (99, True, ["ALL"])
    fleet.compose("down", "-v")
    assert sorted(fleet.left()) == sorted(
        f"volume openclaw-agent-{name}{end}" for name in fleet.names for end in ("", ".state")
    )


async def test_agents_without_a_network_come_online_too(fleet: Fleet, tmp_path: Path) -> None:
    listed = tmp_path / "agents.json"
    listed.write_text("[" + ",".join(f'{{"name": "{name}", "network": "none"}}' for name in fleet.names) + "]")
    fleet.export("--planned", str(listed))
    fleet.hub.kill()
    await fleet.hub.start()
    fleet.compose("up", "-d")
    await fleet.shown("online")
    assert await fleet.say(fleet.names[0], "tail -n +3 /proc/net/dev | wc -l") == "1"
