"""Restoring in place, back again, and of an agent that is gone: always one whole agent, never two, never none."""

from __future__ import annotations

import asyncio
import threading

import pytest

from hub.contract import AgentAct, PageQuery
from hub.core.effects import Save
from hub.core.model import Observed, SnapshotLine
from hub.drivers.fake import FakePlatform, Script, Step
from hub.errors import Conflict, NotFound
from hub.kernel import Kernel
from tests.hub.running import MovedClock, short_folder
from tests.hub.snapshots.playing import Saved, saving_hub
from tests.hub.test_jobs import Gate

DAY_SECONDS = 86_400


async def changed_after_a_snapshot(saved: Saved) -> str:
    """An agent with a snapshot, and a file that came later; returns the uid."""
    await saved.made("a", kept="as it was")
    await saved.saved()
    saved.files("a", kept="changed", later="after")
    return (await saved.hub.control.agent("a")).uid


async def test_a_restore_in_place_keeps_the_identity_and_the_credential() -> None:
    async with saving_hub() as saved:
        uid = await changed_after_a_snapshot(saved)
        token = saved.hub.platform.agent("a").token
        await saved.done(await saved.hub.control.restore("a:s"))
        agent = await saved.hub.control.agent("a")
        assert (agent.uid, agent.status) == (uid, "online")
        assert saved.workspace("a") == {"kept": "as it was"}
        assert saved.hub.platform.agent("a").token == token
        place = await saved.hub.control.snapshot_place("a")
        assert place.parent == (await saved.hub.control.snapshot("a:s")).id
        assert place.undo_until is not None
        assert await saved.hub.audited("agent.restore") == [("a", "ok")]


async def test_a_restore_is_undone_within_a_day() -> None:
    async with saving_hub() as saved:
        await changed_after_a_snapshot(saved)
        await saved.done(await saved.hub.control.restore("a:s"))
        await saved.done(await saved.hub.control.undo_restore("a"))
        assert saved.workspace("a") == {"kept": "changed", "later": "after"}
        assert saved.hub.platform.agent("a").aside == {}
        with pytest.raises(Conflict) as refused:
            await saved.hub.control.undo_restore("a")
        assert refused.value.code == "nothing_to_undo"
        await saved.hub.status("a", "online")


async def test_after_a_day_what_was_replaced_goes() -> None:
    async with saving_hub() as saved:
        await changed_after_a_snapshot(saved)
        await saved.done(await saved.hub.control.restore("a:s"))
        assert list(saved.hub.platform.agent("a").aside) == [0]
        saved.hub.move(DAY_SECONDS - 60)
        await saved.hub.hub.snapshots.keeping.tick()
        assert list(saved.hub.platform.agent("a").aside) == [0]
        saved.hub.move(120)
        await saved.hub.hub.snapshots.keeping.tick()
        assert saved.hub.platform.agent("a").aside == {}
        with pytest.raises(Conflict):
            await saved.hub.control.undo_restore("a")


async def test_a_second_restore_drops_what_the_first_replaced() -> None:
    async with saving_hub() as saved:
        await changed_after_a_snapshot(saved)
        for _ in range(3):
            await saved.done(await saved.hub.control.restore("a:s"))
        assert list(saved.hub.platform.agent("a").aside) == [2]
        await saved.done(await saved.hub.control.undo_restore("a"))
        assert (saved.workspace("a"), saved.hub.platform.agent("a").generation) == ({"kept": "as it was"}, 2)


async def test_one_that_does_not_come_online_is_replaced_by_the_old_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub.acts.ONLINE_SECONDS", 0.5)
    async with saving_hub() as saved:
        await changed_after_a_snapshot(saved)
        saved.silent.add("a")
        job = await saved.hub.job((await saved.hub.control.restore("a:s")).id)
        assert (job.state, job.error and job.error.code) == ("failed", "restore_undone")
        assert saved.workspace("a") == {"kept": "changed", "later": "after"}
        assert saved.hub.platform.agent("a").aside == {}
        saved.silent.clear()
        await saved.hub.status("a", "online")
        place = await saved.hub.control.snapshot_place("a")
        assert place.undo_until is None


@pytest.mark.parametrize("step", [Step.PREPARE, Step.ACTIVATE])
async def test_a_platform_that_fails_leaves_the_agent_as_it_was(step: Step) -> None:
    async with saving_hub(script=Script(failures={step: 1})) as saved:
        await changed_after_a_snapshot(saved)
        job = await saved.hub.job((await saved.hub.control.restore("a:s")).id)
        assert job.state == "failed"
        assert (saved.workspace("a"), saved.hub.platform.agent("a").aside) == (
            {"kept": "changed", "later": "after"},
            {},
        )
        await saved.hub.status("a", "online")


async def test_a_restore_that_is_cancelled_leaves_the_agent_as_it_was() -> None:
    async with saving_hub() as saved:
        await changed_after_a_snapshot(saved)
        saved.silent.add("a")
        job = await saved.hub.control.restore("a:s")
        await saved.hub.until(lambda: saved.hub.platform.agent("a").generation == 1)
        assert (await saved.hub.control.cancel_job(job.id)).state == "cancelled"
        assert saved.workspace("a") == {"kept": "changed", "later": "after"}
        assert saved.hub.platform.agent("a").aside == {}


async def test_a_restore_that_is_cancelled_before_it_counts_leaves_the_agent_as_it_was() -> None:
    """The new one is online already; that it counts is not yet kept."""
    async with saving_hub() as saved:
        uid = await changed_after_a_snapshot(saved)
        job = await saved.hub.control.restore("a:s")
        async with saved.hub.hub.snapshots.room.names.hold(("line", uid)):
            await saved.hub.until(lambda: (running := saved.hub.hub._jobs.running(job.id)) and running.progress == 0.97)
            assert saved.hub.platform.agent("a").generation == 1
            assert (await saved.hub.control.cancel_job(job.id)).state == "cancelled"
        assert saved.workspace("a") == {"kept": "changed", "later": "after"}
        assert saved.hub.platform.agent("a").aside == {}
        assert (await saved.hub.control.snapshot_place("a")).undo_until is None


async def test_a_restore_whose_end_is_being_kept_is_not_cancelled_any_more() -> None:
    """What was decided is decided: the agent and what is known of it stay the same."""
    async with saving_hub() as saved:
        uid = await changed_after_a_snapshot(saved)
        hub = saved.hub.hub
        job = await saved.hub.control.restore("a:s")
        written = threading.Event()
        async with asyncio.TaskGroup() as group:
            async with hub.snapshots.room.names.hold(("line", uid)):
                await saved.hub.until(lambda: (running := hub._jobs.running(job.id)) and running.progress == 0.97)
                # The registry's thread is slow: from now on a commit takes until the test says so.
                group.create_task(hub.kernel.registry._writer.run(lambda _: written.wait()))
            await saved.hub.until(lambda: _is_kept_now(hub.kernel, uid))
            hub._jobs.cancel(job.id)
            written.set()
        assert (await saved.hub.job(job.id)).state == "succeeded"
        assert saved.workspace("a") == {"kept": "as it was"}
        await saved.done(await saved.hub.control.undo_restore("a"))
        assert saved.workspace("a") == {"kept": "changed", "later": "after"}


def _is_kept_now(kernel: Kernel, uid: str) -> bool:
    """Whether the agent's line is on its way to the registry."""
    entries = (*kernel._pipeline._batch, *kernel._pipeline._pending)
    records = (effect.record for effects, _ in entries for effect in effects if isinstance(effect, Save))
    return any(isinstance(record, SnapshotLine) and record.uid == uid for record in records)


async def test_a_stopped_agent_is_restored_and_stays_stopped() -> None:
    async with saving_hub() as saved:
        await changed_after_a_snapshot(saved)
        await saved.done(await saved.hub.control.act("a", AgentAct.STOP))
        await saved.done(await saved.hub.control.restore("a:s"))
        assert saved.workspace("a") == {"kept": "as it was"}
        assert saved.hub.platform.agent("a").state is Observed.EXITED


async def test_a_paused_agent_is_not_restored() -> None:
    async with saving_hub() as saved:
        await changed_after_a_snapshot(saved)
        await saved.done(await saved.hub.control.act("a", AgentAct.PAUSE))
        with pytest.raises(Conflict):
            await saved.hub.control.restore("a:s")


async def test_a_destroyed_agent_is_made_again_with_a_new_identity() -> None:
    async with saving_hub() as saved:
        uid = await changed_after_a_snapshot(saved)
        token = saved.hub.platform.agent("a").token
        await saved.done(await saved.hub.control.destroy("a"))
        assert await saved.names() == ["a:s"]
        await saved.done(await saved.hub.control.restore("a:s"))
        agent = await saved.hub.control.agent("a")
        assert agent.uid != uid
        assert agent.status == "online"
        assert saved.hub.platform.agent("a").token != token
        assert saved.workspace("a") == {"kept": "as it was"}
        assert (await saved.saved(name="next")).parent == (await saved.hub.control.snapshot("a:s")).id
        with pytest.raises(Conflict):
            await saved.hub.control.undo_restore("a")


async def test_damaged_files_are_refused_and_change_nothing() -> None:
    async with saving_hub() as saved:
        await changed_after_a_snapshot(saved)
        view = await saved.hub.control.snapshot("a:s")
        archive = saved.shelf / view.id / "workspace.tar"
        archive.write_bytes(archive.read_bytes().replace(b"as it was", b"as it wAs"))
        job = await saved.hub.job((await saved.hub.control.restore("a:s")).id)
        assert (job.state, job.error and job.error.code) == ("failed", "snapshot_damaged")
        (saved.shelf / view.id / "manifest.json").unlink()
        job = await saved.hub.job((await saved.hub.control.restore("a:s")).id)
        assert (job.state, job.error and job.error.code) == ("failed", "snapshot_damaged")
        assert saved.workspace("a") == {"kept": "changed", "later": "after"}


async def test_undo_needs_an_agent() -> None:
    async with saving_hub() as saved:
        with pytest.raises(NotFound):
            await saved.hub.control.undo_restore("nobody")


# --- a hub that ends in the middle


class Once(Gate):
    """Holds a driver's step the first time only: what takes it back goes on."""

    async def __call__(self, step: Step, agent: str) -> None:
        if not self.reached.is_set():
            await super().__call__(step, agent)


@pytest.mark.parametrize("step", [Step.PREPARE, Step.ACTIVATE, Step.DROP])
async def test_a_restore_that_a_stopped_hub_left_is_finished_or_undone(step: Step) -> None:
    platform, gate, clock = FakePlatform(), Once(step), MovedClock()
    with short_folder() as folder:
        async with saving_hub(folder / "s", platform=platform, script=Script(before=gate), clock=clock) as saved:
            await changed_after_a_snapshot(saved)
            if step is Step.DROP:
                # Only a second restore has something to drop.
                await saved.done(await saved.hub.control.restore("a:s"))
                saved.files("a", kept="changed", later="after")
            job = await saved.hub.control.restore("a:s")
            await gate.reached.wait()
        async with saving_hub(folder / "s", platform=platform, clock=clock) as saved:
            ended = await saved.hub.job(job.id)
            kinds = {one.id: one.state for one in (await saved.hub.control.jobs(PageQuery())).jobs}
            assert kinds[job.id] == ended.state
            agent = platform.agent("a")
            if step is Step.DROP:
                assert (ended.state, saved.workspace("a")) == ("succeeded", {"kept": "as it was"})
                assert list(agent.aside) == [1]
            else:
                assert (ended.state, ended.error and ended.error.code) == ("failed", "interrupted")
                assert (saved.workspace("a"), agent.aside) == ({"kept": "changed", "later": "after"}, {})
            await saved.hub.status("a", "online")
