"""Fault 19: the parent exits, a grandchild holds stdout: the result does not wait for it, late bytes are handled."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from tests.faults.far import far_agent, output_of, run
from tests.runtime.harness import alive, wait_for


async def test_the_result_does_not_wait_for_a_grandchild(tmp_path: Path) -> None:
    async with far_agent(tmp_path) as (hub, _):
        script = "echo $$ > holder.new; mv holder.new holder.pid; exec sleep 1000"
        task_id = await run(
            hub, f"sh -c '{script}' & while ! test -e holder.pid; do sleep 0.02; done; echo now; exit 3"
        )
        task = await hub.ended(task_id)
        holder = int((tmp_path / "work" / "holder.pid").read_text())
        assert alive(holder)
        assert (task.status, task.exit_code, task.stdout) == ("failed", 3, "now\n")
        assert await output_of(hub, task_id) == b"now\n"
        os.kill(holder, signal.SIGKILL)


async def test_late_bytes_of_a_grandchild_hurt_nobody(tmp_path: Path) -> None:
    """They are not the task's any more: its result stays, the next task's output is its own."""
    async with far_agent(tmp_path) as (hub, _):
        writer = "(while ! test -e go; do sleep 0.02; done; echo late; echo late >&2; touch wrote) &"
        task = await hub.ended(await run(hub, f"{writer} echo now"))
        assert (task.status, task.stdout) == ("succeeded", "now\n")
        (tmp_path / "work" / "go").touch()
        await wait_for(lambda: (tmp_path / "work" / "wrote").exists())
        other = await hub.ended(await run(hub, "echo other"))
        assert other.stdout == "other\n"
        assert await output_of(hub, task.id) == b"now\n"
        assert await hub.task(task.id) == task
