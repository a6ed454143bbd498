"""Fault 11: a partition shorter than the lease: the task goes on, its output has no gap.

Fault 12: a partition longer than `lost_after`, the task ends meanwhile: `lost -> succeeded` with a note;
with a newer attempt the old result changes nothing.

Fault 13: attempt 2 after a loss while attempt 1 still runs: one effective result, the loser is told to end.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.end_to_end.harness import eventually
from tests.faults.checker import check_side_effects
from tests.faults.far import MARK, far_agent, output_of, run
from tests.faults.proxy import FaultProxy, Side
from tests.hub.running import RunningHub
from tests.runtime.harness import alive, read_pids, wait_for

HOUR = 3_600.0


def exists(folder: Path, name: str) -> bool:
    return (folder / "work" / name).exists()


COUNTING = 'for n in $(seq 1 400); do echo "line $n of a text that is long enough"; done; touch half; '
WHOLE = "".join(f"line {n} of a text that is long enough\n" for n in range(1, 401)).encode()


@pytest.mark.parametrize("broken", [False, True], ids=["frozen", "reset"])
async def test_a_short_partition_costs_nothing(tmp_path: Path, broken: bool) -> None:
    """The network swallows everything for a while, or resets the connection as well."""
    async with far_agent(tmp_path) as (hub, proxy):
        task_id = await run(hub, f"{MARK}; {COUNTING} {COUNTING} while ! test -e go; do sleep 0.02; done; {COUNTING}")
        await hub.until(lambda: hub.kernel.output.offset(hub.decided(task_id).attempt_id))
        proxy.hold()
        if broken:
            proxy.cut()
        (tmp_path / "work" / "go").touch()
        proxy.heal()
        task = await hub.ended(task_id)
        assert (task.status, task.attempt, task.note) == ("succeeded", 1, "")
        assert await output_of(hub, task_id) == 3 * WHOLE
        check_side_effects([tmp_path / "work" / "ran.txt"])


@pytest.mark.soak
@pytest.mark.timeout(300)
async def test_output_survives_many_short_partitions(tmp_path: Path) -> None:
    async with far_agent(tmp_path) as (hub, proxy):
        task_id = await run(hub, f"{MARK}; for round in $(seq 1 30); do {COUNTING} sleep 0.8; done")
        for number in range(3):
            before = proxy.accepted
            proxy.hold(*([Side.UP], [Side.DOWN], list(Side))[number % 3])
            proxy.cut()
            proxy.heal()
            await hub.until(lambda before=before: proxy.accepted > before, "the agent dials again", seconds=60)
            await hub.status("a", "online")
        task = await hub.ended(task_id, seconds=120)
        assert task.status == "succeeded"
        assert await output_of(hub, task_id) == 30 * WHOLE
        check_side_effects([tmp_path / "work" / "ran.txt"])


async def partitioned(hub: RunningHub, proxy: FaultProxy, task_id: str) -> None:
    """Cut the agent off until its task counts as lost."""
    await hub.until(lambda: hub.decided(task_id).state == "running")
    proxy.hold()
    proxy.cut()
    await hub.status("a", "unreachable")
    hub.move(2 * HOUR)


async def test_a_lost_task_gets_its_real_result_late(tmp_path: Path) -> None:
    async with far_agent(tmp_path) as (hub, proxy):
        task_id = await run(hub, f"{MARK}; while ! test -e go; do sleep 0.02; done; echo late; touch ended")
        await partitioned(hub, proxy, task_id)
        task = await hub.ended(task_id)
        assert task.error is not None
        assert (task.status, task.error.code) == ("lost", "lost")
        (tmp_path / "work" / "go").touch()
        await wait_for(lambda: exists(tmp_path, "ended"))
        proxy.heal()

        async def late() -> bool:
            return (await hub.task(task_id)).status == "succeeded"

        await eventually(late, what="the late result is taken")
        task = await hub.task(task_id)
        assert (task.stdout, task.attempt, task.error) == ("late\n", 1, None)
        assert "late" in task.note
        assert await output_of(hub, task_id) == b"late\n"
        check_side_effects([tmp_path / "work" / "ran.txt"])


@pytest.mark.parametrize("early", [True, False], ids=["while it is away", "when it is back"])
async def test_a_lost_task_that_goes_on_is_cancelled_at_the_agent(tmp_path: Path, early: bool) -> None:
    async with far_agent(tmp_path) as (hub, proxy):
        task_id = await run(hub, f"{MARK}; echo $$ > new; mv new s.pid; exec sleep 1000")
        (pid,) = await read_pids(tmp_path / "work", 1)
        await partitioned(hub, proxy, task_id)
        assert (await hub.ended(task_id)).status == "lost"
        if early:
            assert (await hub.control.cancel_task(task_id)).cancelling
        assert alive(pid)
        proxy.heal()
        if not early:
            await hub.status("a", "online")
            await hub.control.cancel_task(task_id)

        async def cancelled() -> bool:
            return (await hub.task(task_id)).status == "cancelled"

        await eventually(cancelled, what="the agent says that it is cancelled")
        assert not alive(pid)
        task = await hub.task(task_id)
        assert (task.attempt, task.cancelling) == (1, False)
        assert "late" in task.note
        check_side_effects([tmp_path / "work" / "ran.txt"])


async def test_a_late_result_changes_nothing_once_there_is_a_newer_attempt(tmp_path: Path) -> None:
    async with far_agent(tmp_path) as (hub, proxy):
        command = f"{MARK}; echo of $CLAWTUI_ATTEMPT; while ! test -e go; do sleep 0.02; done; touch ended"
        task_id = await run(hub, command, maxAttempts=2, retryOn=["lost"])
        await partitioned(hub, proxy, task_id)
        await hub.until(lambda: hub.decided(task_id).attempt == 2)
        (tmp_path / "work" / "go").touch()
        await wait_for(lambda: exists(tmp_path, "ended"))
        proxy.heal()
        task = await hub.ended(task_id)
        assert (task.status, task.attempt, task.stdout) == ("succeeded", 2, f"of {task_id}:2\n")
        assert set(check_side_effects([tmp_path / "work" / "ran.txt"])) == {f"{task_id}:1", f"{task_id}:2"}


@pytest.mark.parametrize("concurrency", [1, 4])
async def test_attempt_2_while_attempt_1_still_runs(tmp_path: Path, concurrency: int) -> None:
    """The agent ends the first attempt as it is told, then runs the second; nobody sees the first one's end."""
    async with far_agent(tmp_path, AGENT_CONCURRENCY=str(concurrency)) as (hub, proxy):
        command = f"{MARK}; echo of $CLAWTUI_ATTEMPT; test $(wc -l < ran.txt) -eq 2 || {{ sleep 1000; touch wrong; }}"
        task_id = await run(hub, command, maxAttempts=3, retryOn=["lost"])
        await partitioned(hub, proxy, task_id)
        await hub.until(lambda: hub.decided(task_id).attempt == 2)
        assert not exists(tmp_path, "wrong")
        proxy.heal()
        task = await hub.ended(task_id)
        assert (task.status, task.attempt, task.stdout) == ("succeeded", 2, f"of {task_id}:2\n")
        assert (tmp_path / "work" / "ran.txt").read_text().split() == [f"{task_id}:1", f"{task_id}:2"]
        assert await output_of(hub, task_id) == f"of {task_id}:2\n".encode()
        await hub.until(lambda: hub.kernel.fleet.view(hub.kernel.fleet.agent("a").id).running == [])
