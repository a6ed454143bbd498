"""Fault 1: SIGKILL of the hub between commit and send; restart; the same attempt id is delivered once.

Fault 2: SIGKILL of the hub after the send, before the agent's `accepted` is stored.
"""

from __future__ import annotations

import sys
from pathlib import Path

import httpx
import pytest

from runtime.wire import AttemptState
from tests.end_to_end.harness import HubProcess, eventually
from tests.faults.checker import History, check_side_effects
from tests.hub.running import PlayedAgent, held

CRASHING = Path(__file__).with_name("crashing_hub.py")
RETURN_SECONDS = 150.0
"""An agent whose connections all die young comes back after up to a minute, twice per round."""
MARK = "echo $CLAWTUI_ATTEMPT >> ran.txt"


def crashing(hub: HubProcess, moment: str) -> list[str]:
    return [sys.executable, str(CRASHING), str(hub.home), moment]


async def played(hub: HubProcess, name: str = "a") -> PlayedAgent:
    made = await hub.call("POST", "/agents/register", {"agentId": name})
    return PlayedAgent(hub.address["agents"]["url"], name, made["token"])


async def test_a_submission_committed_before_the_kill_is_delivered_by_the_next_hub(hub: HubProcess) -> None:
    """Committed and not sent: the submitter has no answer, and repeats; there is one task and one attempt."""
    await hub.start()
    agent = await played(hub)
    hub.stop()
    await hub.start(crashing(hub, "before-send"))
    agent.url = hub.address["agents"]["url"]
    await agent.connect()
    with pytest.raises(httpx.HTTPError):
        await hub.call("POST", "/agents/a/task", {"type": "ping"}, **{"Idempotency-Key": "k"})
    await hub.wait_died()
    await agent.wait_closed()

    await hub.start()
    answer = await hub.call("POST", "/agents/a/task", {"type": "ping"}, **{"Idempotency-Key": "k"})
    tasks = (await hub.call("GET", "/tasks"))["tasks"]
    assert [task["id"] for task in tasks] == [answer["taskId"]]
    agent.url = hub.address["agents"]["url"]
    await agent.connect(instance="one")
    attempt = await agent.receive_task()
    assert attempt == f"{answer['taskId']}:1"
    await agent.accept(attempt)
    await agent.respond(attempt)
    assert (await hub.ended_task(answer["taskId"]))["status"] == "succeeded"
    await agent.close()


async def test_an_attempt_sent_before_the_kill_is_not_sent_again_to_an_agent_that_has_it(hub: HubProcess) -> None:
    """The agent has accepted, but the hub that it told is dead."""
    await hub.start()
    agent = await played(hub)
    await agent.connect()
    history = History()
    task_id = history.submitted(await hub.submit("a", type="ping"))
    attempt = await agent.receive_task()
    hub.kill()
    await agent.wait_closed()

    await hub.start()
    history.shown(await hub.call("GET", f"/tasks/{task_id}"))
    agent.url = hub.address["agents"]["url"]
    welcome = await agent.connect([held(attempt, AttemptState.RUNNING)])
    assert (welcome.plan.keep, welcome.plan.kill, welcome.plan.forget) == ([attempt], [], [])
    second = await hub.submit("a", type="ping")
    await agent.respond(attempt, exit_code=0)
    assert await agent.receive_task() == f"{second}:1"
    history.shown(await hub.ended_task(task_id))
    history.check_ended()
    assert history.runs[task_id].seen == ["succeeded"]
    await agent.close()


async def test_an_attempt_sent_before_the_kill_is_sent_again_when_the_agent_never_got_it(hub: HubProcess) -> None:
    await hub.start()
    agent = await played(hub)
    await agent.connect()
    task_id = await hub.submit("a", type="ping")
    hub.kill()
    await agent.wait_closed()
    await hub.start()
    agent.url = hub.address["agents"]["url"]
    await agent.connect([])
    assert await agent.receive_task() == f"{task_id}:1"
    await agent.close()


@pytest.mark.parametrize("rounds", [1, pytest.param(4, marks=[pytest.mark.soak, pytest.mark.timeout(600)])])
async def test_real_agents_run_once_what_the_dead_hub_had_committed(hub: HubProcess, rounds: int) -> None:
    """The same with a real agent, which comes back by itself."""
    await hub.start()
    await hub.create("a")
    hub.stop()
    for number in range(1, rounds + 1):
        await hub.start(crashing(hub, "before-send"))
        await eventually(lambda: online(hub), seconds=RETURN_SECONDS, what="a is online")
        with pytest.raises(httpx.HTTPError):
            await hub.call("POST", "/agents/a/task", {"type": "exec", "command": MARK})
        await hub.wait_died()
        await hub.start()
        await hub.submit("a", type="exec", command=MARK)
        # The agent runs both side by side, so either may end first.
        await eventually(lambda: all_ended(hub), seconds=RETURN_SECONDS, what="both tasks ended")
        tasks = (await hub.call("GET", "/tasks"))["tasks"]
        assert [task["status"] for task in tasks] == ["succeeded"] * (2 * number)
        if number < rounds:
            hub.stop()
    (ran,) = (hub.home / "agents").rglob("ran.txt")
    assert len(check_side_effects([ran])) == 2 * rounds
    await hub.destroy("a")


async def all_ended(hub: HubProcess) -> bool:
    return all(task["terminal"] for task in (await hub.call("GET", "/tasks"))["tasks"])


async def online(hub: HubProcess) -> bool:
    return (await hub.call("GET", "/agents/a"))["status"] == "online"
