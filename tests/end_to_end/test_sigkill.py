"""The hub is killed again and again while agents work: nothing acknowledged is lost, nothing runs twice."""

from __future__ import annotations

import asyncio
import collections
import os
import random
from typing import Any

import httpx
import pytest

from tests.end_to_end.harness import HubProcess, eventually

SOAK = bool(os.environ.get("CLAWTUI_SOAK"))


class Submitter:
    """Submits tasks through kills and remembers what was acknowledged: task id by its own number."""

    def __init__(self, hub: HubProcess, agents: list[str], tasks: int) -> None:
        self._hub = hub
        self._agents = agents
        self._tasks = tasks
        self.acknowledged: dict[int, str] = {}

    async def run(self) -> None:
        for number in range(self._tasks):
            agent = self._agents[number % len(self._agents)]
            command = f"echo {number} >> ran.txt; echo result {number}"
            self.acknowledged[number] = await self._submit(agent, number, command)

    async def _submit(self, agent: str, number: int, command: str) -> str:
        """Ask until there is an answer; the key makes a repetition harmless."""

        async def answered() -> Any:
            try:
                async with self._hub.client() as client:
                    answer = await client.post(
                        f"/agents/{agent}/task",
                        json={"type": "exec", "command": command},
                        headers={"Idempotency-Key": f"task-{number}"},
                    )
            except (httpx.HTTPError, OSError):
                return None
            if answer.status_code in (503, 507):
                return None
            assert answer.status_code == 202, answer.text
            return answer.json()["taskId"]

        return await eventually(answered, what=f"task {number} is acknowledged")


async def check_each_ran_once(hub: HubProcess, agents: list[str], acknowledged: dict[int, str]) -> None:
    """I1: one terminal state each; I2: one side effect each; I5: no result lost."""
    for number, task_id in acknowledged.items():
        task = await hub.ended_task(task_id, seconds=120)
        assert (task["status"], task["stdout"]) == ("succeeded", f"result {number}\n"), task
        assert task["attempt"] == 1
    ran: collections.Counter[int] = collections.Counter()
    for agent in agents:
        shown = await hub.run(agent, type="exec", command="cat ran.txt")
        ran.update(int(line) for line in shown["stdout"].split())
    assert ran == collections.Counter({number: 1 for number in acknowledged})


async def kill_while_working(hub: HubProcess, *, agents: int, tasks: int, kills: int, seed: int) -> None:
    chance = random.Random(seed)
    await hub.start()
    names = [f"agent-{number}" for number in range(agents)]
    for name in names:
        await hub.create(name)
    submitter = Submitter(hub, names, tasks)
    async with asyncio.TaskGroup() as group:
        work = group.create_task(submitter.run())
        for kill in range(kills):
            due = (kill + chance.random()) * tasks / kills

            async def far_enough(due: float = due) -> bool:
                return len(submitter.acknowledged) >= due or work.done()

            await eventually(far_enough, seconds=120, what=f"{due:.0f} tasks are acknowledged")
            hub.kill()
            await hub.start()
    await check_each_ran_once(hub, names, submitter.acknowledged)
    await hub.destroy(*names)


@pytest.mark.timeout(240)
async def test_tasks_survive_kills_of_the_hub(hub: HubProcess) -> None:
    """Each acknowledged task ends in one terminal state, ran once, and its result is there."""
    await kill_while_working(hub, agents=3, tasks=150, kills=4, seed=1)


@pytest.mark.soak
@pytest.mark.timeout(1800)
async def test_two_thousand_tasks_on_twenty_agents_survive_ten_kills(hub: HubProcess) -> None:
    """The long version of the same promise."""
    await kill_while_working(hub, agents=20, tasks=2000, kills=10, seed=2)
