"""Upgrades over an engine in memory: what becomes of the data, of a bad image, and of a hub that is killed."""

from __future__ import annotations

import pytest

from hub.contract import GatewayAct, InstancePhase, RolloutRequest, UpgradeGateway, UpgradeGateways
from hub.drivers.cells import CellState
from hub.drivers.fake.cells_engine import CellStep
from hub.errors import BadRequest, Conflict, DriverFailed, NotFound
from tests.hub.gateways.upgrades.instance import (
    BROKEN,
    CONTAINER,
    NAME,
    NEW,
    OLD,
    TALK,
    breaks_at,
    provision,
    unchanged,
    world,
)


async def test_the_new_version_has_the_data_and_the_old_one_waits_untouched() -> None:
    async with world() as made, made.hub() as run:
        await provision(run, made.port.number)
        before = run.instance
        job = await run.upgrade()
        assert job.state == "succeeded", job
        now = run.instance
        assert (now.image, now.previous_image, now.phase) == (NEW, OLD, InstancePhase.RUNNING)
        assert {name: run.state()[name] for name in TALK} == TALK
        assert now.volumes != before.volumes
        assert now.previous_volumes == before.volumes
        old = run.engine.containers[before.container]
        assert old.state is CellState.EXITED
        assert old.name.startswith(f"{CONTAINER}.")
        assert run.running() == [CONTAINER]
        assert NEW in (run.folder / "docker-compose.yml").read_text()


async def test_a_rollback_has_the_data_as_it_was_before_the_upgrade() -> None:
    async with world() as made, made.hub() as run:
        await provision(run, made.port.number)
        assert (await run.upgrade()).state == "succeeded"
        run.state()["state/one"] = b"migrated"
        (run.shared / "agents/main/MEMORY.md").write_text("by the newer\n")
        job = await run.rollback()
        assert job.state == "succeeded", job
        unchanged(run)
        with pytest.raises(Conflict) as told:
            await run.hub.control.roll_back_gateway(NAME)
        assert told.value.code == "no_previous"


@pytest.mark.parametrize("how", BROKEN)
async def test_a_bad_image_is_undone_by_itself(how: str) -> None:
    async with world() as made, made.hub() as run:
        await provision(run, made.port.number)
        made.engine.registry[NEW].behaviour = BROKEN[how]
        job = await run.upgrade()
        assert job.state == "failed"
        assert job.error is not None
        assert job.error.code == "upgrade_undone", job.error
        unchanged(run)
        assert NEW in run.instance.undone


async def test_what_the_bad_one_printed_is_kept() -> None:
    async with world() as made, made.hub() as run:
        await provision(run, made.port.number)
        made.engine.registry[NEW].behaviour = BROKEN["exit 78"]
        job = await run.upgrade()
        assert job.error is not None
        assert "exit code 78" in job.error.message
        (log,) = (run.folder / "upgrade-logs").iterdir()
        assert "existing config is invalid" in log.read_text()
        assert str(log) in job.error.message


@pytest.mark.parametrize(
    "step", [CellStep.STOP, CellStep.RENAME, CellStep.ARCHIVE, CellStep.UNARCHIVE, CellStep.CREATE]
)
async def test_what_fails_on_the_way_is_undone(step: CellStep) -> None:
    async with world() as made, made.hub() as run:
        await provision(run, made.port.number)
        made.engine.failures[step] = [DriverFailed("the engine is gone")]
        job = await run.upgrade()
        assert job.error is not None, job
        assert job.error.code == "upgrade_undone"
        unchanged(run)


@pytest.mark.parametrize(
    ("step", "nth"),
    [
        (CellStep.STOP, 1), (CellStep.RENAME, 1), (CellStep.ARCHIVE, 1), (CellStep.ENSURE_VOLUME, 1),
        (CellStep.UNARCHIVE, 1), (CellStep.CREATE, 1),
    ],
)  # fmt: skip
async def test_a_hub_that_was_killed_before_the_new_one_ran_undoes_it(step: CellStep, nth: int) -> None:
    async with world() as made:
        async with made.hub() as run:
            await provision(run, made.port.number)
            reached = breaks_at(made, step, nth)
            await run.hub.control.upgrade_gateway(NAME, UpgradeGateway(image=NEW))
            await reached.wait()
            await run.hub.kernel.settle()
            later = made.freeze()
            made.engine.before = None
        later.take_over()
        async with later.hub() as again:
            await again.idle()
            unchanged(again)


@pytest.mark.parametrize("step", [CellStep.PULL, CellStep.START])
async def test_a_hub_that_was_killed_while_one_of_both_ran_goes_on(step: CellStep) -> None:
    async with world() as made:
        async with made.hub() as run:
            await provision(run, made.port.number)
            reached = breaks_at(made, step, 1)
            await run.hub.control.upgrade_gateway(NAME, UpgradeGateway(image=NEW))
            await reached.wait()
            later = made.freeze()
            made.engine.before = None
        later.take_over()
        async with later.hub() as again:
            assert (await again.idle()).image == NEW
            assert {name: again.state()[name] for name in TALK} == TALK
            assert (await again.rollback()).state == "succeeded"
            unchanged(again)


@pytest.mark.parametrize(
    ("step", "nth"), [(CellStep.REMOVE, 1), (CellStep.REMOVE_VOLUME, 2), (CellStep.RENAME, 2), (CellStep.START, 2)]
)
async def test_a_hub_that_was_killed_while_it_undid_goes_on_with_that(step: CellStep, nth: int) -> None:
    async with world() as made:
        async with made.hub() as run:
            await provision(run, made.port.number)
            made.engine.registry[NEW].behaviour = BROKEN["exit 78"]
            reached = breaks_at(made, step, nth)
            await run.hub.control.upgrade_gateway(NAME, UpgradeGateway(image=NEW))
            await reached.wait()
            later = made.freeze()
            made.engine.before = None
        later.take_over()
        async with later.hub() as again:
            await again.idle()
            unchanged(again)


async def test_a_second_upgrade_gives_up_what_was_kept_for_the_first() -> None:
    async with world() as made, made.hub() as run:
        await provision(run, made.port.number)
        third = NEW.replace("9.6", "10.1")
        made.engine.offer(third)
        assert (await run.upgrade()).state == "succeeded"
        assert (await run.upgrade(third)).state == "succeeded"
        assert run.instance.previous_image == NEW
        assert len(run.engine.containers) == 2
        assert set(run.engine.volumes) == {*run.instance.volumes, *run.instance.previous_volumes}


async def test_a_stopped_gateway_is_tried_and_stopped_again() -> None:
    async with world() as made, made.hub() as run:
        await provision(run, made.port.number)
        stopped = await run.hub.job((await run.hub.control.act_on_gateway(NAME, GatewayAct.STOP)).id)
        assert stopped.state == "succeeded", stopped
        assert (await run.upgrade()).state == "succeeded"
        assert run.instance.phase is InstancePhase.STOPPED
        assert run.running() == []


async def test_a_tag_that_moved_is_told() -> None:
    async with world() as made, made.hub() as run:
        await provision(run, made.port.number)
        before = run.instance.image_id
        made.engine.offer(OLD)
        job = await run.upgrade(OLD)
        assert job.state == "succeeded", job
        assert run.instance.moved_from == before
        assert run.instance.image_id != before


async def test_an_undo_that_fails_loses_nothing_and_is_tried_again_by_hand() -> None:
    async with world() as made, made.hub() as run:
        await provision(run, made.port.number)
        made.engine.registry[NEW].behaviour = BROKEN["exit 78"]
        made.engine.failures[CellStep.REMOVE] = [DriverFailed("the engine is gone")]
        job = await run.upgrade()
        assert job.error is not None
        assert job.error.code == "not_undone"
        assert run.instance.phase is InstancePhase.FAILED
        assert (await run.rollback()).state == "succeeded"
        unchanged(run)


async def test_what_cannot_be_meant_is_refused_by_field() -> None:
    async with world() as made, made.hub() as run:
        await provision(run, made.port.number)
        for request, field in [
            (UpgradeGateway(), "image"),
            (UpgradeGateway(image=NEW, version="2026.9.6"), "image"),
            (UpgradeGateway(image="Not An Image"), "image"),
            (UpgradeGateway(version="../../x"), "version"),
        ]:
            with pytest.raises(BadRequest) as told:
                await run.hub.control.upgrade_gateway(NAME, request)
            assert told.value.field == field
        unchanged(run)


async def test_two_at_once_are_refused() -> None:
    async with world() as made, made.hub() as run:
        await provision(run, made.port.number)
        reached = breaks_at(made, CellStep.PULL, 1)
        job = await run.hub.control.upgrade_gateway(NAME, UpgradeGateway(image=NEW))
        await reached.wait()
        with pytest.raises(Conflict) as told:
            run.hub.hub.running.instances.room.idle(NAME)
        assert told.value.code == "instance_busy"
        made.engine.before = None
        await run.hub.control.cancel_job(job.id)
        assert (await run.hub.job(job.id)).state == "cancelled"
        unchanged(run)


async def test_a_rollout_stops_at_a_canary_that_fails() -> None:
    async with world() as made, made.hub() as run:
        await provision(run, made.port.number)
        # Both are at the test's only port, so that one of them runs at a time.
        await run.hub.job((await run.hub.control.act_on_gateway(NAME, GatewayAct.STOP)).id)
        await provision(run, made.port.number, "beta", customer="beta")
        await run.hub.job((await run.hub.control.act_on_gateway("beta", GatewayAct.STOP)).id)
        made.engine.registry[NEW].behaviour = BROKEN["exit 78"]
        request = UpgradeGateways(to=UpgradeGateway(image=NEW), rollout=RolloutRequest(canary=1))
        job = await run.hub.job((await run.hub.control.upgrade_gateways(request)).id)
        assert job.error is not None
        assert job.error.code == "rollout_stopped"
        assert "not begun: beta" in job.error.message
        assert run.hub.hub.running.instances.room.book.get("beta").image == OLD


async def test_a_rollout_upgrades_all_of_a_tier() -> None:
    async with world() as made, made.hub() as run:
        await provision(run, made.port.number)
        request = UpgradeGateways(tier="pro", to=UpgradeGateway(image=NEW))
        job = await run.hub.job((await run.hub.control.upgrade_gateways(request)).id)
        assert job.state == "succeeded", job
        assert job.result == {"upgraded": [NAME], "failed": {}}
        with pytest.raises(NotFound):
            await run.hub.control.upgrade_gateways(UpgradeGateways(tier="free", to=UpgradeGateway(image=NEW)))
