"""Independent clients: registered by the documented call, driven by the documented messages."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.end_to_end.harness import HubProcess, eventually

CLIENT = Path(__file__).with_name("plain_client.py")


def start_client(url: str, agent: str, tasks: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, str(CLIENT), url, agent, str(tasks)])


async def test_a_plain_client_registers_gets_a_task_and_answers_it(hub: HubProcess) -> None:
    """Its result is in GET /tasks/{id}."""
    await hub.start()
    made = await hub.call("POST", "/agents/register", {"agentId": "plain", "metadata": {"type": "builder"}})
    client = start_client(made["wsUrl"], "plain", 1)
    task = await hub.run("plain", type="exec", command="echo from the plain client; exit 4")
    assert (task["status"], task["exitCode"], task["stdout"]) == ("failed", 4, "from the plain client\n")
    assert client.wait(timeout=20) == 0


async def test_a_task_for_an_offline_client_arrives_when_it_returns(hub: HubProcess) -> None:
    """Messages for offline agents are queued and delivered at reconnection, also over a hub's death."""
    await hub.start()
    made = await hub.call("POST", "/agents/register", {"agentId": "plain"})
    answer = await hub.call("POST", "/agents/plain/task", {"type": "exec", "command": "echo late"})
    assert answer["status"] == "queued"
    hub.kill()
    await hub.start()
    client = start_client(made["wsUrl"], "plain", 1)
    task = await hub.ended_task(answer["taskId"])
    assert (task["status"], task["stdout"]) == ("succeeded", "late\n")
    assert client.wait(timeout=20) == 0

    async def offline() -> bool:
        return (await hub.call("GET", "/agents/plain"))["status"] == "offline"

    await eventually(offline)


async def test_registering_again_gives_a_new_token_and_voids_the_old_one(hub: HubProcess) -> None:
    await hub.start()
    first = await hub.call("POST", "/agents/register", {"agentId": "plain"})
    second = await hub.call("POST", "/agents/register", {"agentId": "plain"})
    refused = start_client(first["wsUrl"], "plain", 1)
    assert refused.wait(timeout=20) != 0
    client = start_client(second["wsUrl"], "plain", 1)
    assert (await hub.run("plain", type="exec", command="true"))["status"] == "succeeded"
    assert client.wait(timeout=20) == 0
    audit = (await hub.call("GET", "/audit"))["audit"]
    assert any(entry["what"] == "agent.connect" and entry["outcome"] == "revoked" for entry in audit)
