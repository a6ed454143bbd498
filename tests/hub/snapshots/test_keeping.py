"""Schedules, catching up, retention; deleting and what is linked again; differences of two snapshots."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from hub.config import Timing
from hub.contract import AgentAct, DiffQuery, PageQuery, SnapshotQuery, SnapshotSchedule
from hub.core.model import Agent, AgentId, AgentUid, Schedule, Snapshot
from hub.drivers.fake import FakePlatform, Script, Step
from hub.errors import BadRequest, Conflict, NotFound
from hub.snapshots.keeping import DAY_MS, outlived
from tests.hub.running import MovedClock, RunningHub, running_hub, short_folder
from tests.hub.snapshots.playing import Saved, saving_hub
from tests.hub.test_jobs import Gate

HOUR = 3_600


async def tick(saved: Saved) -> None:
    """One look at what is due, and the end of what it started."""
    await saved.hub.hub.snapshots.keeping.tick()
    for job in (await saved.hub.control.jobs(PageQuery())).jobs:
        await saved.hub.job(job.id)


async def scheduled(saved: Saved, **fields: Any) -> None:
    await saved.made()
    wanted = SnapshotSchedule(interval_seconds=HOUR, **fields)
    place = await saved.hub.control.schedule_snapshots("a", wanted)
    assert (place.schedule, place.next_at is not None) == (wanted, True)


async def test_a_schedule_takes_a_snapshot_per_interval() -> None:
    async with saving_hub() as saved:
        await scheduled(saved)
        await tick(saved)
        assert await saved.names() == []
        for number in (1, 2):
            saved.hub.move(HOUR + 1)
            await tick(saved)
            await tick(saved)
            assert len(await saved.names()) == number
        found = (await saved.hub.control.snapshots(SnapshotQuery(agent="a"))).snapshots
        assert [(one.scheduled, one.by) for one in found] == [(True, "hub")] * 2
        await saved.hub.control.schedule_snapshots("a", SnapshotSchedule())
        saved.hub.move(5 * HOUR)
        await tick(saved)
        assert len(await saved.names()) == 2


async def test_a_defect_is_said_and_ends_neither_the_hub_nor_the_looking(monkeypatch: pytest.MonkeyPatch) -> None:
    def defect(*_: object) -> None:
        raise KeyError("a defect")

    def said(hub: RunningHub) -> list[str]:
        return [text for text in hub.kernel.notices.current(hub.kernel.now()) if "snapshots" in text]

    timing = Timing(drain_seconds=1.0, snapshots_seconds=0.02)
    async with running_hub(timing=timing) as hub:
        for _ in range(2):
            with monkeypatch.context() as broken:
                broken.setattr(hub.hub.snapshots.keeping, "_remove_broken", defect)
                await hub.until(lambda: said(hub))
            hub.move(3_600)
            assert said(hub) == []
        assert (await hub.control.health()).status == "ok"


async def test_after_a_time_without_the_hub_one_snapshot_is_made_up_for() -> None:
    platform, clock = FakePlatform(), MovedClock()
    with short_folder() as folder:
        async with saving_hub(folder / "s", platform=platform, clock=clock) as saved:
            await scheduled(saved)
        clock.ahead_seconds += 100 * HOUR
        async with saving_hub(folder / "s", platform=platform, clock=clock) as saved:
            await saved.hub.until(saved.shelved, "the missed one is taken")
            for _ in range(3):
                await tick(saved)
            assert len(await saved.names()) == 1
            saved.hub.move(HOUR - 60)
            await tick(saved)
            assert len(await saved.names()) == 1
            saved.hub.move(120)
            await tick(saved)
            assert len(await saved.names()) == 2


async def test_a_clock_that_was_set_back_does_not_stop_a_schedule() -> None:
    async with saving_hub() as saved:
        await scheduled(saved)
        saved.hub.clock.wall_ahead_ms -= 1_000 * HOUR * 1_000
        await tick(saved)
        saved.hub.move(HOUR + 1)
        await tick(saved)
        assert len(await saved.names()) == 1


async def test_a_stopped_agent_gets_its_snapshot_when_it_runs_again() -> None:
    async with saving_hub() as saved:
        await scheduled(saved)
        await saved.done(await saved.hub.control.act("a", AgentAct.STOP))
        saved.hub.move(3 * HOUR)
        await tick(saved)
        assert await saved.names() == []
        await saved.done(await saved.hub.control.act("a", AgentAct.START))
        await tick(saved)
        assert len(await saved.names()) == 1


async def test_retention_deletes_scheduled_ones_only() -> None:
    async with saving_hub() as saved:
        await scheduled(saved, keep_last=2)
        await saved.saved(name="mine")
        for _ in range(4):
            saved.hub.move(HOUR + 1)
            await tick(saved)
            await tick(saved)
        found = (await saved.hub.control.snapshots(SnapshotQuery(agent="a"))).snapshots
        assert [one.scheduled for one in found] == [True, True, False]
        assert len(saved.shelved()) == len(saved.hub.platform.images) == 3
        assert [one.parent for one in found] == [found[1].id, found[2].id, None]


@pytest.mark.parametrize("interval", [1, 59])
async def test_an_interval_that_is_too_short_is_refused(interval: int) -> None:
    async with saving_hub() as saved:
        await saved.made()
        with pytest.raises(BadRequest):
            await saved.hub.control.schedule_snapshots("a", SnapshotSchedule(interval_seconds=interval))


def aged(*days: float) -> list[Snapshot]:
    template = Agent(id=AgentId("a"), uid=AgentUid("u"), created_at=0)
    return [
        Snapshot(
            id=str(age), agent_id=AgentId("a"), agent_uid=AgentUid("u"), name=str(age), driver="fake",
            created_at=int(100 * DAY_MS - age * DAY_MS), template=template,
        )
        for age in days
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("keep_last", "keep_days", "gone"),
    [
        (0, 0, []),
        (2, 0, ["3", "10", "50"]),
        (0, 5, ["10", "50"]),
        (4, 5, ["10", "50"]),
        (1, 0, ["2", "3", "10", "50"]),
        (0, 0.5, ["2", "3", "10", "50"]),
    ],
)
def test_what_outlives_its_time(keep_last: int, keep_days: float, gone: list[str]) -> None:
    schedule = Schedule(interval_seconds=60, keep_last=keep_last, keep_days=keep_days)
    assert [one.id for one in outlived(aged(1, 2, 3, 10, 50), schedule, 100 * DAY_MS)] == gone


# --- deleting


async def test_a_deleted_snapshot_is_gone_and_its_children_hang_on_its_parent() -> None:
    async with saving_hub() as saved:
        await saved.made()
        one, two, three = [await saved.saved(name=name) for name in ("one", "two", "three")]
        await saved.done(await saved.hub.control.delete_snapshot("a:two"))
        assert (await saved.hub.control.snapshot("a:three")).parent == one.id
        assert saved.shelved() == sorted([one.id, three.id])
        assert two.id not in saved.hub.platform.images
        await saved.done(await saved.hub.control.delete_snapshot("a:three"))
        assert (await saved.hub.control.snapshot_place("a")).parent == one.id
        with pytest.raises(NotFound):
            await saved.hub.control.delete_snapshot("a:two")
        assert await saved.hub.audited("snapshot.delete") == [("a:three", "ok"), ("a:two", "ok")]


async def test_a_parent_image_is_not_deleted() -> None:
    async with saving_hub() as saved:
        await saved.made()
        one = await saved.saved(name="one")
        two = await saved.hub.kernel.registry.snapshot((await saved.saved(name="two")).id)
        assert two is not None
        await saved.hub.hub.snapshots.room.keep(msgspec.structs.replace(two, image_parent=one.id))
        with pytest.raises(Conflict) as refused:
            await saved.hub.control.delete_snapshot("a:one")
        assert refused.value.code == "snapshot_in_use"
        assert "a:two" in refused.value.message
        await saved.done(await saved.hub.control.delete_snapshot("a:two"))
        await saved.done(await saved.hub.control.delete_snapshot("a:one"))
        assert (saved.shelved(), saved.hub.platform.images) == ([], set())


async def test_a_platform_that_refuses_changes_nothing() -> None:
    async with saving_hub(script=Script(failures={Step.DISCARD: 1})) as saved:
        await saved.made()
        view = await saved.saved()
        job = await saved.hub.job((await saved.hub.control.delete_snapshot("a:s")).id)
        assert job.state == "failed"
        assert (await saved.hub.control.snapshot("a:s")) == view
        await saved.done(await saved.hub.control.delete_snapshot("a:s"))


async def test_a_delete_that_a_stopped_hub_left_is_finished() -> None:
    platform, gate, clock = FakePlatform(), Gate(Step.DISCARD), MovedClock()
    with short_folder() as folder:
        async with saving_hub(folder / "s", platform=platform, script=Script(before=gate), clock=clock) as saved:
            await saved.made()
            await saved.saved()
            job = await saved.hub.control.delete_snapshot("a:s")
            await gate.reached.wait()
        async with saving_hub(folder / "s", platform=platform, clock=clock) as saved:
            assert (await saved.hub.job(job.id)).state == "succeeded"
            assert (await saved.names(), saved.shelved(), platform.images) == ([], [], set())


# --- differences


async def test_the_difference_names_the_files() -> None:
    async with saving_hub() as saved:
        await saved.made("a", kept="same", changed="before", removed="gone")
        await saved.saved(name="one")
        del saved.hub.platform.agent("a").files["removed"]
        saved.files("a", changed="after it", added="new")
        await saved.saved(name="two")
        found = await saved.hub.control.diff_snapshots("a:one", DiffQuery(other="a:two"))
        assert [(e.path, e.change, e.before_bytes, e.after_bytes) for e in found.entries] == [
            ("/workspace/added", "added", None, 3),
            ("/workspace/changed", "changed", 6, 8),
            ("/workspace/removed", "removed", 4, None),
        ]
        assert (found.bytes_added, found.bytes_removed, found.truncated) == (5, 4, False)
        few = await saved.hub.control.diff_snapshots("a:one", DiffQuery(other="a:two", limit=1))
        assert (len(few.entries), few.truncated, few.counts) == (1, True, found.counts)
        same = await saved.hub.control.diff_snapshots("a:one", DiffQuery(other="a:one"))
        assert same.entries == []
        with pytest.raises(BadRequest):
            await saved.hub.control.diff_snapshots("a:one", DiffQuery())
