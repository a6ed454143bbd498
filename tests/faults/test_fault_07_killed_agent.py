"""Fault 7: SIGKILL of an agent in mid-task with grandchildren: it is started again, the grandchildren are
gone, the attempt is `interrupted` and not run again."""

from __future__ import annotations

import signal
import sys
from typing import Any

import psutil
import pytest

from tests.end_to_end.harness import HubProcess, eventually
from tests.faults.checker import check_nobody_left, processes_of

TREE = """
echo $CLAWTUI_ATTEMPT >> ran.txt
setsid sh -c 'echo $$ > session.pid; sleep 1000' &
(sh -c 'echo $$ > orphan.pid; sleep 1000' &)
[ $(uname) = Linux ] && (setsid env -i sh -c 'echo $$ > clean.pid; sleep 1000' &)
sh -c 'echo $$ > child.pid; sleep 1000'
"""
PIDS = ("session.pid", "orphan.pid", "child.pid", *(["clean.pid"] if sys.platform == "linux" else []))


async def test_a_killed_agent_comes_back_without_what_it_ran(hub: HubProcess) -> None:
    await hub.start()
    await hub.create("a")
    task_id = await hub.submit("a", type="exec", command=TREE)
    grandchildren = await eventually(lambda: started(hub), what="the tree has started")
    epoch = (await hub.call("GET", "/agents/a"))["epoch"]
    runtime_of(hub).send_signal(signal.SIGKILL)

    async def back() -> bool:
        agent = await hub.call("GET", "/agents/a")
        return agent["status"] == "online" and agent["epoch"] > epoch

    await eventually(back, what="the agent is back")
    task = await hub.ended_task(task_id)
    assert (task["status"], task["error"]["code"], task["attempt"]) == ("failed", "interrupted", 1)
    await eventually(lambda: all_gone(grandchildren), what="the grandchildren are gone")
    assert (await hub.run("a", type="exec", command="wc -l < ran.txt"))["stdout"].strip() == "1"
    await hub.destroy("a")
    await check_nobody_left(hub.home / "agents")


async def test_an_interrupted_attempt_is_run_again_only_when_the_task_says_so(hub: HubProcess) -> None:
    await hub.start()
    await hub.create("a")
    command = "echo $CLAWTUI_ATTEMPT >> ran.txt; test $(wc -l < ran.txt) -gt 1 || { echo $$ > child.pid; sleep 1000; }"
    task_id = await hub.submit("a", type="exec", command=command, maxAttempts=2, retryOn=["interrupted"])
    await eventually(lambda: started(hub, ("child.pid",)), what="the first attempt runs")
    runtime_of(hub).send_signal(signal.SIGKILL)
    task = await hub.ended_task(task_id)
    assert (task["status"], task["attempt"]) == ("succeeded", 2)
    (ran,) = (hub.home / "agents").rglob("ran.txt")
    assert ran.read_text().split() == [f"{task_id}:1", f"{task_id}:2"]
    await hub.destroy("a")


@pytest.mark.soak
@pytest.mark.timeout(600)
async def test_an_agent_killed_again_and_again_is_given_up_and_can_be_started(hub: HubProcess) -> None:
    """Restarts are paced and bounded; an operator's start begins anew."""
    await hub.start()
    await hub.create("a")

    async def given_up() -> bool:
        agent = await hub.call("GET", "/agents/a")
        if agent["lifecycle"]["observed"] == "running":
            for process in runtimes_of(hub):
                process.send_signal(signal.SIGKILL)
        return "restarts were given up" in (agent["reason"] or "")

    await eventually(given_up, seconds=300, what="restarts are given up")
    assert (await hub.call("GET", "/agents/a"))["status"] == "crashed"
    job = await hub.call("POST", "/agents/a/start")
    assert (await hub.ended_job(job["id"]))["state"] == "succeeded"
    await hub.destroy("a")


def runtimes_of(hub: HubProcess) -> list[psutil.Process]:
    return [process for process in processes_of(hub.home) if "runtime" in process.cmdline()]


def runtime_of(hub: HubProcess) -> psutil.Process:
    (process,) = runtimes_of(hub)
    return process


async def started(hub: HubProcess, names: tuple[str, ...] = PIDS) -> Any:
    """The processes that wrote their pids, once all have."""
    texts = [path.read_text().strip() for name in names for path in (hub.home / "agents").rglob(name)]
    return [psutil.Process(int(text)) for text in texts] if len(texts) == len(names) and all(texts) else None


async def all_gone(processes: list[psutil.Process]) -> bool:
    return not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in processes)
