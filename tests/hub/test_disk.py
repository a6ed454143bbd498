"""What takes room, the plan of a clean-up and its execution, over a whole hub with the fake platform."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from hub.contract import DiskQuery, PruneExecute, PruneRequest, RepairRequest
from hub.core.model import AgentId, AgentUid, SnapshotState
from hub.drivers.fake import FakePlatform, Script, Step
from hub.drivers.upkeep import DiskKind, Holding
from hub.errors import BadRequest, Conflict, NotFound
from tests.hub.running import RunningHub, running_hub
from tests.hub.snapshots.playing import saving_hub
from tests.hub.test_jobs import Gate, made

OLD = AgentId("old")


def holding(kind: DiskKind, name: str, **fields: Any) -> Holding:
    known: dict[str, Any] = {"size_bytes": 1000, "frees_bytes": 400, "unused": "nobody needs it"}
    return Holding(kind=kind, id=f"id-{name}", name=name, **(known | fields))


def filled(*more: Holding) -> FakePlatform:
    platform = FakePlatform()
    platform.holdings = [
        holding(DiskKind.IMAGES, "image:2"),
        holding(DiskKind.IMAGES, "image:latest", newest=True),
        holding(DiskKind.IMAGES, "image:used", unused="", used_by="container x"),
        holding(DiskKind.VOLUMES, "volume-old", agent_id=OLD, uid=AgentUid("u-old")),
        *more,
    ]
    return platform


def names(platform: FakePlatform) -> list[str]:
    return [one.name for one in platform.holdings]


def agent_log(hub: RunningHub, name: str, size: int = 5_000) -> Path:
    path = hub.hub._folder.path / "logs" / "agents" / f"{name}.jsonl"
    path.write_bytes(b"x" * size)
    return path


async def test_every_kind_has_a_row_with_what_is_unused() -> None:
    async with running_hub(platform=filled()) as hub:
        await made(hub)
        agent_log(hub, "a")
        agent_log(hub, "old")
        view = await hub.control.disk(DiskQuery(objects=True))
        rows = {(row.place, row.kind): row for row in view.rows}
        images = rows["fake", "images"]
        assert (images.count, images.size_bytes, images.unused_count, images.unused_bytes) == (3, 3000, 2, 800)
        assert rows["hub", "logs"].unused_count == 1
        assert {"registry", "history", "output"} <= {kind for place, kind in rows if place == "hub"}
        assert (rows["hub", "registry"].size_bytes or 0) > 0
        assert [agent.agent_id for agent in view.agents] == ["a"]
        assert view.agents[0].parts["logs"] >= 5_000
        assert {one.name for one in view.objects} >= set(names(hub.platform))
        assert (view.disk_total_bytes or 0) > 0


async def test_without_being_asked_for_objects_are_not_told() -> None:
    async with running_hub(platform=filled()) as hub:
        assert (await hub.control.disk(DiskQuery())).objects == []


async def test_a_place_that_fails_is_said_and_the_others_are_there() -> None:
    async with running_hub(platform=filled(), script=Script(failures={Step.SURVEY: -1})) as hub:
        view = await hub.control.disk(DiskQuery())
        images = next(row for row in view.rows if (row.place, row.kind) == ("fake", "images"))
        assert (images.size_bytes, images.count) == (None, 0)
        assert "fails as scripted" in images.note
        assert any(row.kind == "registry" and row.size_bytes for row in view.rows)


async def test_a_size_that_is_not_known_makes_no_sum() -> None:
    more = holding(DiskKind.IMAGES, "image:unmeasured", size_bytes=None, frees_bytes=None)
    async with running_hub(platform=filled(more)) as hub:
        view = await hub.control.disk(DiskQuery())
        images = next(row for row in view.rows if (row.place, row.kind) == ("fake", "images"))
        assert (images.count, images.size_bytes, images.unused_bytes) == (4, None, None)


async def test_a_plan_names_what_is_unused_and_removes_nothing() -> None:
    async with running_hub(platform=filled()) as hub:
        before = names(hub.platform)
        plan = await hub.control.plan_prune(PruneRequest())
        assert [one.name for one in plan.objects] == ["image:2", "volume-old"]
        assert (plan.frees_bytes, plan.data) == (800, True)
        assert all(one.unused == "nobody needs it" for one in plan.objects)
        assert names(hub.platform) == before
        everything = await hub.control.plan_prune(PruneRequest(all=True))
        assert "image:latest" in [one.name for one in everything.objects]
        images = await hub.control.plan_prune(PruneRequest(kinds=["images"]))
        assert ([one.name for one in images.objects], images.data) == (["image:2"], False)


@pytest.mark.parametrize("kind", ["backups", "registry", "output", "nonsense", ""])
async def test_some_kinds_are_never_cleaned_up(kind: str) -> None:
    async with running_hub() as hub:
        with pytest.raises(BadRequest, match="cannot be cleaned up"):
            await hub.control.plan_prune(PruneRequest(kinds=[kind]))


async def test_exactly_the_plan_is_carried_out_and_audited() -> None:
    async with running_hub(platform=filled()) as hub:
        log = agent_log(hub, "old")
        plan = await hub.control.plan_prune(PruneRequest())
        hub.platform.holdings.append(holding(DiskKind.IMAGES, "image:came-later"))
        with pytest.raises(Conflict) as refused:
            await hub.control.prune(plan.id, PruneExecute())
        assert refused.value.code == "data_not_confirmed"
        job = await hub.job((await hub.control.prune(plan.id, PruneExecute(data=True))).id)
        assert job.state == "succeeded"
        assert job.result["removed"] == ["images image:2", "volumes volume-old", "logs old.jsonl"]
        assert job.result["skipped"] == {}
        assert names(hub.platform) == ["image:latest", "image:used", "image:came-later"]
        assert not log.exists()
        assert {target for target, _ in await hub.audited("prune.remove")} == set(job.result["removed"])
        assert await hub.audited("prune") == [(plan.id, "ok")]
        with pytest.raises(NotFound):
            await hub.control.prune(plan.id, PruneExecute(data=True))


async def test_a_plan_is_void_after_a_while() -> None:
    async with running_hub(platform=filled()) as hub:
        plan = await hub.control.plan_prune(PruneRequest(kinds=["images"]))
        hub.move(16 * 60)
        with pytest.raises(NotFound, match="any more"):
            await hub.control.prune(plan.id, PruneExecute())
        assert "image:2" in names(hub.platform)


async def test_what_came_into_use_since_the_plan_stays() -> None:
    async with running_hub(platform=filled()) as hub:
        plan = await hub.control.plan_prune(PruneRequest(kinds=["images", "volumes", "logs"]))
        log = agent_log(hub, "a")
        both = await hub.control.plan_prune(PruneRequest(kinds=["logs"]))
        await made(hub)
        hub.platform.holdings[0] = holding(DiskKind.IMAGES, "image:2", unused="", used_by="container new")
        job = await hub.job((await hub.control.prune(plan.id, PruneExecute(data=True))).id)
        assert (job.state, job.result["removed"]) == ("succeeded", ["volumes volume-old"])
        assert "container new" in job.result["skipped"]["images image:2"]
        assert ("images image:2", "failed") in await hub.audited("prune.remove")
        job = await hub.job((await hub.control.prune(both.id, PruneExecute())).id)
        assert job.result["removed"] == []
        assert log.exists()


async def test_a_cancelled_clean_up_has_removed_whole_objects_only() -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def hold(step: Step, agent: str) -> None:
        if step is Step.REMOVE and agent == OLD:
            begun.set()
            await go_on.wait()

    async with running_hub(platform=filled(), script=Script(before=hold)) as hub:
        plan = await hub.control.plan_prune(PruneRequest())
        job = await hub.control.prune(plan.id, PruneExecute(data=True))
        await begun.wait()
        await hub.control.cancel_job(job.id)
        assert (await hub.job(job.id)).state == "cancelled"
        assert names(hub.platform) == ["image:latest", "image:used", "volume-old"]


async def test_a_clean_up_that_a_stopped_hub_left_does_not_go_on(tmp_path: Path) -> None:
    begun = asyncio.Event()

    async def hold(step: Step, agent: str) -> None:
        if step is Step.REMOVE and agent == OLD:
            begun.set()
            await asyncio.Event().wait()

    platform = filled()
    async with running_hub(tmp_path / "s", platform=platform, script=Script(before=hold)) as hub:
        plan = await hub.control.plan_prune(PruneRequest())
        job = await hub.control.prune(plan.id, PruneExecute(data=True))
        await begun.wait()
    async with running_hub(tmp_path / "s", platform=platform) as hub:
        ended = await hub.job(job.id)
        assert (ended.state, ended.error and ended.error.code) == ("failed", "interrupted")
        assert "volume-old" in names(platform)


async def test_files_of_a_snapshot_that_nobody_knows_are_found_and_removed() -> None:
    async with running_hub() as hub:
        folder = hub.hub._folder.path / "snapshots" / "sn_lost"
        folder.mkdir(parents=True)
        (folder / "workspace.tar").write_bytes(os.urandom(20_000))
        plan = await hub.control.plan_prune(PruneRequest(kinds=["snapshots"]))
        assert ([one.name for one in plan.objects], plan.data) == (["sn_lost"], True)
        assert plan.frees_bytes >= 20_000
        assert (await hub.job((await hub.control.prune(plan.id, PruneExecute(data=True))).id)).state == "succeeded"
        assert not folder.exists()


async def test_a_snapshot_whose_delete_was_cancelled_is_not_said_to_be_removed() -> None:
    gate = Gate(Step.DISCARD)
    async with saving_hub(script=Script(before=gate)) as saved:
        hub = saved.hub
        await saved.made()
        view = await saved.saved()
        snapshot = await hub.kernel.registry.snapshot(view.id)
        assert snapshot is not None
        await hub.hub.snapshots.room.keep(replace(snapshot, state=SnapshotState.BROKEN))
        plan = await hub.control.plan_prune(PruneRequest(kinds=["snapshots"]))
        prune = await hub.control.prune(plan.id, PruneExecute(data=True))
        await gate.reached.wait()
        delete = hub.hub._jobs.running_of(AgentId("a"), "snapshot-delete")
        assert delete is not None
        hub.hub._jobs.cancel(delete)
        ended = await hub.job(prune.id)
        assert (ended.result["removed"], ended.result["freedBytes"]) == ([], 0)
        assert "cancelled" in ended.result["skipped"]["snapshots a:s"]


async def test_a_repair_is_a_job_with_counts() -> None:
    async with running_hub() as hub:
        await made(hub)
        hub.platform.agent("a").wrong_owners = 3
        job = await hub.job((await hub.control.repair("a", RepairRequest())).id)
        assert (job.state, job.result) == ("succeeded", {"agentId": "a", "files": 3, "changed": 3})
        assert await hub.audited("agent.repair") == [("a", "ok")]


async def test_only_agents_of_a_driver_are_repaired() -> None:
    async with running_hub() as hub:
        await hub.register("by-hand")
        with pytest.raises(Conflict):
            await hub.control.repair("by-hand", RepairRequest())
        with pytest.raises(NotFound):
            await hub.control.repair("nobody", RepairRequest())


async def test_a_repair_that_a_stopped_hub_left_is_done_again(tmp_path: Path) -> None:
    begun = asyncio.Event()

    async def hold(step: Step, agent: str) -> None:
        if step is Step.REPAIR:
            begun.set()
            await asyncio.Event().wait()

    platform = FakePlatform()
    async with running_hub(tmp_path / "s", platform=platform, script=Script(before=hold)) as hub:
        await made(hub)
        platform.agent("a").wrong_owners = 2
        job = await hub.control.repair("a", RepairRequest())
        await begun.wait()
    async with running_hub(tmp_path / "s", platform=platform) as hub:
        assert (await hub.job(job.id)).state == "succeeded"
        assert platform.agent("a").wrong_owners == 0
