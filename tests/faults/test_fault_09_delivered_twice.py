"""Fault 9: the same attempt delivered 10 times, and again after a restart of the agent: one execution.

Fault 10: the agent's attempt log truncated or bit-flipped at its tail: the last valid record wins, the
corrupt tail is put aside, and the hub is told.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hub.contract import LogQuery
from runtime.wire import AttemptState, Exec, Hello
from tests.end_to_end.harness import eventually
from tests.faults.proxy import Side, proxied
from tests.hub.running import RunningHub, running_hub
from tests.runtime.fakehub import FakeHub
from tests.runtime.harness import agent_process, wait_for

MARK = "echo $CLAWTUI_ATTEMPT >> ran.txt"


def ran(folder: Path) -> list[str]:
    path = folder / "work" / "ran.txt"
    return path.read_text().split() if path.exists() else []


async def test_one_attempt_delivered_ten_times_runs_once(tmp_path: Path) -> None:
    """Over repeated frames, over a repeated connection, after a kill, and after the hub has let it go."""
    hub = FakeHub(auto_ack=False)
    async with hub.running() as url:
        with agent_process(tmp_path, url) as agent:
            await hub.wait_connected()
            attempt = await hub.submit("t:1", Exec(command=MARK))
            for _ in range(9):
                await hub.submit("t:1", Exec(command=MARK))
            response = await hub.wait_response(attempt)
            hub.drop()
            await hub.wait_connected(2)
            await hub.submit("t:1", Exec(command=MARK))
            await hub.wait_until(lambda: len(hub.responses(attempt)) >= 3)
            agent.kill()
        with agent_process(tmp_path, url):
            await hub.wait_connected(3)
            await hub.submit("t:1", Exec(command=MARK))
            await hub.wait_until(lambda: len(hub.responses(attempt)) >= 5)
            await hub.run("t2:1", Exec(command="true"))
    assert ran(tmp_path) == ["t:1"]
    assert {answer.status for answer in hub.responses(attempt)} == {response.status}


async def test_an_attempt_that_still_runs_is_not_started_by_a_repetition(tmp_path: Path) -> None:
    hub = FakeHub()
    async with hub.running() as url:
        with agent_process(tmp_path, url):
            await hub.wait_connected()
            attempt = await hub.submit("t:1", Exec(command=f"{MARK}; sleep 1000"))
            await wait_for(lambda: ran(tmp_path) == ["t:1"])
            for _ in range(10):
                await hub.submit("t:1", Exec(command=MARK))
            await hub.wait_until(lambda: hub.accepted(attempt) >= 11)
            hub.drop()
            await hub.wait_connected(2)
            (held,) = hub.peer.of(Hello)[0].attempts
            assert (held.attempt_id, held.state) == (attempt, AttemptState.RUNNING)
            await hub.submit("t:1", Exec(command=MARK))
            await hub.run("t2:1", Exec(command="true"))
    assert ran(tmp_path) == ["t:1"]


def append_garbage(log: Path) -> None:
    with log.open("ab") as file:
        file.write(b"\x00\xff{torn")


def flip_the_last_bits(log: Path) -> None:
    content = bytearray(log.read_bytes())
    content[-3] ^= 0x55
    log.write_bytes(bytes(content))


def cut_the_tail(log: Path) -> None:
    content = log.read_bytes()
    log.write_bytes(content[:-5])


async def unreported(hub: RunningHub, folder: Path, token: str) -> str:
    """A task that has ended at the agent, while the hub has not heard of it; the agent is killed."""
    async with proxied(hub.port) as proxy:
        with agent_process(folder, proxy.url, AGENT_TOKEN=token, AGENT_ID="a"):
            await hub.status("a", "online")
            first = await hub.control.submit("a", {"type": "exec", "command": MARK})
            await hub.ended(first.task_id)
            proxy.hold(Side.UP)
            second = await hub.control.submit("a", {"type": "exec", "command": f"{MARK}; echo out"})
            log = folder / "state" / "attempts.log"
            await wait_for(lambda: len(ran(folder)) == 2)
            await wait_for(lambda: log.read_bytes().count(second.task_id.encode()) >= 2)
    return second.task_id


@pytest.mark.parametrize("damage", [append_garbage, flip_the_last_bits, cut_the_tail])
async def test_a_damaged_attempt_log_keeps_its_valid_records(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    """Garbage behind the last record loses nothing. A damaged last record was the result: what is left
    says that the attempt began, so it ends `interrupted`; it never runs again."""
    async with running_hub() as hub:
        token = await hub.register()
        task_id = await unreported(hub, tmp_path, token)
        await hub.status("a", "unreachable")
        damage(tmp_path / "state" / "attempts.log")
        with agent_process(tmp_path, hub.url, AGENT_TOKEN=token, AGENT_ID="a"):
            task = await hub.ended(task_id)
            if damage is append_garbage:
                assert (task.status, task.stdout) == ("succeeded", "out\n")
            else:
                assert task.error is not None
                assert (task.status, task.error.code) == ("failed", "interrupted")
            await eventually(lambda: told(hub), what="the hub is told of the damage")
            again = await hub.control.submit("a", {"type": "exec", "command": "true"})
            assert (await hub.ended(again.task_id)).status == "succeeded"
        assert len(ran(tmp_path)) == 2
        assert any((tmp_path / "state" / "quarantine").iterdir())


async def told(hub: RunningHub) -> bool:
    lines = [entry.text async for entry in hub.control.agent_logs("a", LogQuery())]
    return any("attempt_log_corrupt" in line for line in lines)
