"""Taking a snapshot: complete or not at all, whatever happens in between."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from hub.contract import AgentAct, PageQuery, TakeSnapshot
from hub.core.model import Consistency, SnapshotState
from hub.drivers.fake import FakePlatform, Script, Step
from hub.errors import BadRequest, Conflict, NotFound
from hub.snapshots.shelf import Manifest
from hub.snapshots.taking import ESTIMATES_AT_ONCE
from tests.hub.running import short_folder
from tests.hub.snapshots.playing import Saved, saving_hub
from tests.hub.test_jobs import Gate


async def test_a_snapshot_is_a_row_and_a_folder_with_a_manifest() -> None:
    async with saving_hub() as saved:
        await saved.made("a", kept="as it was")
        job = await saved.take("a", "first")
        assert (job.state, job.result["name"]) == ("succeeded", "first")
        view = await saved.hub.control.snapshot("a:first")
        assert (view.agent_id, view.parent, view.state, view.current) == ("a", None, SnapshotState.READY, True)
        assert view.size_bytes == view.volume_bytes + view.image_bytes > 1_000
        assert saved.shelved() == [view.id]
        manifest = msgspec.json.decode((saved.shelf / view.id / "manifest.json").read_bytes(), type=Manifest)
        assert (manifest.schema, manifest.agent_id, manifest.image) == (1, "a", f"fake:{view.id}")
        assert [(v.volume, v.files) for v in manifest.volumes] == [("workspace", 1)]
        assert await saved.hub.audited("snapshot.create") == [("a", "ok")]
        assert await saved.hub.audited("job.snapshot") == [("a", "succeeded")]


async def test_neither_token_nor_environment_is_in_a_manifest() -> None:
    async with saving_hub() as saved:
        job = await saved.hub.create("a", environment={"KEY": "value-of-key"})
        assert (await saved.hub.job(job.id)).state == "succeeded"
        view = await saved.saved()
        text = (saved.shelf / view.id / "manifest.json").read_text()
        assert '"KEY"' in text
        assert "value-of-key" not in text
        assert saved.hub.platform.agent("a").token not in text


async def test_each_snapshot_is_the_parent_of_the_next() -> None:
    async with saving_hub() as saved:
        await saved.made()
        first, second = await saved.saved(name="one"), await saved.saved(name="two")
        assert (first.parent, second.parent) == (None, first.id)
        assert await saved.names("a") == ["a:two", "a:one"]
        assert not (await saved.hub.control.snapshot(first.id)).current
        assert first.profile_hash == second.profile_hash != ""


async def test_a_name_is_made_when_none_is_given_and_refused_when_taken() -> None:
    async with saving_hub() as saved:
        await saved.made()
        await saved.take("a")
        await saved.take("a")
        assert len(set(await saved.names())) == 2
        await saved.take("a", "mine")
        with pytest.raises(Conflict) as refused:
            await saved.hub.control.take_snapshot("a", TakeSnapshot(name="mine"))
        assert refused.value.code == "snapshot_exists"


@pytest.mark.parametrize("name", ["../up", "a/b", "with space", "UPPER", "under_score", "-dash", "a:b", "x" * 65])
async def test_an_impossible_name_is_refused(name: str) -> None:
    async with saving_hub() as saved:
        await saved.made()
        with pytest.raises(BadRequest):
            await saved.hub.control.take_snapshot("a", TakeSnapshot(name=name))
        assert saved.shelved() == []


async def test_what_cannot_be_saved_says_so() -> None:
    async with saving_hub() as saved:
        await saved.hub.register("by-hand")
        with pytest.raises(Conflict):
            await saved.hub.control.take_snapshot("by-hand", TakeSnapshot())
        with pytest.raises(NotFound):
            await saved.hub.control.take_snapshot("nobody", TakeSnapshot())
        for reference in ("sn_0", "a:nothing", "nobody:s"):
            with pytest.raises(NotFound):
                await saved.hub.control.snapshot(reference)


async def test_the_agent_is_left_alone_meanwhile_and_its_silence_means_nothing() -> None:
    gate = Gate(Step.CAPTURE)
    async with saving_hub(script=Script(before=gate)) as saved:
        await saved.made()
        job = await saved.hub.control.take_snapshot("a", TakeSnapshot(name="s"))
        await gate.reached.wait()
        presence = saved.hub.kernel.fleet.presence(saved.hub.kernel.fleet.agent("a").id)
        assert presence.paused
        assert (await saved.hub.control.snapshot("a:s")).state is SnapshotState.CREATING
        with pytest.raises(Conflict):
            await saved.hub.control.restore("a:s")
        with pytest.raises(Conflict):
            await saved.hub.control.delete_snapshot("a:s")
        gate.opened.set()
        await saved.done(job)
        assert not presence.paused


async def test_a_clean_snapshot_stops_the_agent_and_starts_it_again() -> None:
    async with saving_hub() as saved:
        await saved.made()
        job = await saved.take("a", "s", consistency=Consistency.CLEAN)
        assert job.state == "succeeded"
        assert (await saved.hub.control.snapshot("a:s")).consistency is Consistency.CLEAN
        assert saved.hub.platform.agent("a").starts == 2


async def test_a_snapshot_of_a_stopped_agent_is_clean() -> None:
    async with saving_hub() as saved:
        await saved.made()
        await saved.done(await saved.hub.control.act("a", AgentAct.STOP))
        assert (await saved.saved()).consistency is Consistency.CLEAN


@pytest.mark.parametrize("fails", [1, -1])
async def test_a_failed_snapshot_leaves_nothing_or_is_removed_later(fails: int) -> None:
    script = Script(failures={Step.CAPTURE: 1, Step.DISCARD: 1 if fails > 0 else 0})
    async with saving_hub(script=script) as saved:
        await saved.made()
        job = await saved.take("a", "s")
        assert job.state == "failed"
        assert saved.shelved() == []
        if fails > 0:
            # The platform could not be asked to remove its part: it is named, shown, and removed as soon as it can be.
            assert job.error is not None
            assert "could not be removed yet" in job.error.message
            assert (await saved.hub.control.snapshot("a:s")).state is SnapshotState.BROKEN
            await saved.hub.hub.snapshots.keeping.tick()
        assert await saved.names() == []
        assert (await saved.saved()).state is SnapshotState.READY


async def test_a_cancelled_snapshot_leaves_nothing() -> None:
    gate = Gate(Step.CAPTURE)
    async with saving_hub(script=Script(before=gate)) as saved:
        await saved.made()
        job = await saved.hub.control.take_snapshot("a", TakeSnapshot(name="s"))
        await gate.reached.wait()
        assert (await saved.hub.control.cancel_job(job.id)).state == "cancelled"
        assert (await saved.names(), saved.shelved(), saved.hub.platform.images) == ([], [], set())
        await saved.hub.status("a", "online")


async def interrupted(saved: Saved, gate: Gate) -> None:
    await saved.made("a", kept="x")
    await saved.hub.control.take_snapshot("a", TakeSnapshot(name="s"))
    await gate.reached.wait()


async def test_a_snapshot_that_a_stopped_hub_left_is_undone_at_the_next_start() -> None:
    platform, gate = FakePlatform(), Gate(Step.CAPTURE)
    with short_folder() as folder:
        async with saving_hub(folder / "s", platform=platform, script=Script(before=gate)) as saved:
            await interrupted(saved, gate)
        async with saving_hub(folder / "s", platform=platform) as saved:
            jobs = {job.kind: job for job in (await saved.hub.control.jobs(PageQuery())).jobs}
            ended = await saved.hub.job(jobs["snapshot"].id)
            assert (ended.state, ended.error and ended.error.code) == ("failed", "interrupted")
            assert (await saved.names(), saved.shelved(), platform.images) == ([], [], set())


async def test_folders_that_nobody_knows_are_removed_and_complete_ones_stay() -> None:
    platform = FakePlatform()
    with short_folder() as folder:
        async with saving_hub(folder / "s", platform=platform) as saved:
            await saved.made()
            view = await saved.saved()
            for name in (".sn_x.new", ".sn_y.gone"):
                (saved.shelf / name).mkdir()
                (saved.shelf / name / "workspace.tar").write_bytes(b"half")
        async with saving_hub(folder / "s", platform=platform) as saved:
            assert saved.shelved() == [view.id]
            assert await saved.names() == ["a:s"]


async def test_the_estimate_says_what_it_would_take() -> None:
    async with saving_hub() as saved:
        await saved.made("a", big="x" * 5_000)
        found = await saved.hub.control.estimate_snapshot("a")
        assert (found.volume_bytes, found.image_bytes) == (5_000, 1_000)
        assert found.free_bytes > 0


async def test_snapshots_are_announced_and_counted() -> None:
    async with saving_hub() as saved:
        await saved.made()
        seen: list[tuple[str, bool]] = []
        async with saved.hub.kernel.feed.subscribe() as changes:
            view = await saved.saved()
            await saved.done(await saved.hub.control.delete_snapshot("a:s"))
            async for event in changes:
                if event.kind == "snapshot":
                    seen.append((event.id, event.gone))
                if event.kind == "snapshot" and event.gone:
                    break
        assert seen[0] == (view.id, False)
        assert seen[-1] == (view.id, True)


async def test_only_some_estimates_are_made_at_a_time() -> None:
    begun = most = 0
    go_on = asyncio.Event()

    async def hold(step: Step, agent: str) -> None:
        nonlocal begun, most
        if step is Step.ESTIMATE:
            begun += 1
            most = max(most, begun)
            await go_on.wait()
            begun -= 1

    async with saving_hub(script=Script(before=hold)) as saved:
        await saved.made()
        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(saved.hub.control.estimate_snapshot("a")) for _ in range(20)]
            await saved.hub.until(lambda: begun == ESTIMATES_AT_ONCE)
            go_on.set()
        assert most == ESTIMATES_AT_ONCE
        assert {one.result().agent_id for one in asked} == {"a"}
