"""What the Docker driver does beside running agents, on a real engine: measuring, disk, clean-up, repair, health."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from hub.core.model import AgentId, AgentUid, CheckState
from hub.drivers.base import AgentHandle, AgentPlan, RestartPolicy
from hub.drivers.docker import labels
from hub.drivers.docker.disk import DockerDisk
from hub.drivers.docker.docker_py import Connector
from hub.drivers.docker.engine import Call, EngineNotFound
from hub.drivers.docker.pool import Pool
from hub.drivers.upkeep import DiskKind, Holding
from hub.errors import Conflict, DriverFailed
from profiles.parts import Health
from tests.drivers.contract import no_progress, wait_until
from tests.drivers.docker_bench import PYTHON, DockerBench, FaultyConnect

pytestmark = pytest.mark.docker

SURVEY_SECONDS = 60.0
BUSY = (PYTHON, "-c", "while True: pass")
FALLS = (PYTHON, "-c", "raise SystemExit(7)")


class Known:
    """What the bench's hub knows: these agents, and no snapshot."""

    def __init__(self, *plans: AgentPlan) -> None:
        self.agents = {(plan.agent_id, plan.uid) for plan in plans}

    def agent(self, agent_id: AgentId, uid: AgentUid) -> bool:
        return (agent_id, uid) in self.agents

    def snapshot(self, snapshot_id: str) -> bool:
        return False


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[DockerBench]:
    made = DockerBench(tmp_path)
    yield made
    await made.close()


async def mine(bench: DockerBench, known: Known) -> dict[str, Holding]:
    """Containers and volumes of the bench's hub, by kind and name."""
    survey = await bench.driver.disk.survey(known, SURVEY_SECONDS)
    assert survey.unknown == {}
    kinds = (DiskKind.CONTAINERS, DiskKind.VOLUMES)
    return {f"{one.kind.value} {one.name}": one for one in survey.holdings if one.kind in kinds}


# --- measuring -----------------------------------------------------------------------------------


async def test_a_container_is_measured_with_one_core_as_one(bench: DockerBench) -> None:
    plan = msgspec.structs.replace(bench.plan(), memory_bytes=256 << 20, cpus=1.0)
    driver = bench.make_driver(command=BUSY)
    handle = await driver.create(plan, no_progress)
    before = time.time_ns() // 1_000_000
    first = await driver.usage.measure(handle.ref)
    assert first.health.cpu is None
    assert abs(first.at_ms - before) < 60_000
    assert first.health.memory is not None
    assert first.health.memory.limit == 256 << 20
    assert 0 < first.health.memory.used < 256 << 20
    assert (first.health.processes or 0) >= 1

    async def worked() -> bool:
        cpu = (await driver.usage.measure(handle.ref)).health.cpu
        # Others use these cores too; more than it may have it cannot get.
        return cpu is not None and cpu.limit == 1.0 and 0.05 < cpu.cores < 1.3

    await wait_until(worked, "a busy container is seen to be busy")


# --- the engine's health checks and restarts -------------------------------------------------------


async def test_a_health_check_is_observed_with_its_words(bench: DockerBench) -> None:
    plan = bench.plan()
    machine = msgspec.structs.replace(
        plan.machine, health=Health(interval_seconds=0.5, start_period_seconds=0.1, retries=2)
    )
    plan = msgspec.structs.replace(plan, machine=machine)
    handle = await bench.driver.create(plan, no_progress)
    assert (await bench.driver.inspect(handle)).check in (CheckState.STARTING, CheckState.UNHEALTHY)

    async def unhealthy() -> bool:
        # The stand-in has no local socket, so the image's own check fails once its start period is over.
        return (await bench.driver.inspect(handle)).check is CheckState.UNHEALTHY

    await wait_until(unhealthy, "the check fails", 60)
    assert "does not answer" in (await bench.driver.inspect(handle)).check_why


async def test_the_engines_own_restarts_are_counted(bench: DockerBench) -> None:
    plan = msgspec.structs.replace(bench.plan(), restart=RestartPolicy.UNLESS_STOPPED)
    driver = bench.make_driver(command=FALLS)
    handle = await driver.create(plan, no_progress)

    async def counted() -> bool:
        seen = await driver.inspect(handle)
        return seen.restarts >= 3 and seen.exit_code == 7

    await wait_until(counted, "the engine starts it again and again", 60)
    await driver.stop(handle, 0)
    assert (await driver.inspect(handle)).state.value == "exited"


# --- disk ------------------------------------------------------------------------------------------


async def test_what_agents_take_is_known_by_agent(bench: DockerBench) -> None:
    plan = bench.plan()
    handle = await bench.driver.create(plan, no_progress)
    name = bench.name_of(handle)
    code, output = bench.outside.run_in(name, "sh", "-c", "head -c 3000000 /dev/zero | tr '\\0' x > /workspace/big")
    assert code == 0, output
    found = await mine(bench, Known(plan))
    volume = found[f"volumes {name}"]
    assert (volume.agent_id, volume.uid, volume.unused) == (plan.agent_id, plan.uid, "")
    assert (volume.size_bytes or 0) >= 3_000_000
    assert set(found) == {f"containers {name}", f"volumes {name}", f"volumes {name}.state"}


async def test_without_time_to_measure_objects_are_there_and_sizes_are_not(bench: DockerBench) -> None:
    plan = bench.plan()
    await bench.driver.create(plan, no_progress)
    listing_only = bench.make_driver()
    # A deadline that the lists of objects keep, and that the engine's measurement of everything may not.
    survey = await listing_only.disk.survey(Known(plan), 0.0)
    assert set(survey.unknown) == {DiskKind.IMAGES, DiskKind.CACHE, DiskKind.CONTAINERS, DiskKind.VOLUMES}


async def test_only_what_nobody_needs_is_removed_and_never_by_force(bench: DockerBench) -> None:
    plan = bench.plan()
    handle = await bench.driver.create(plan, no_progress)
    name = bench.name_of(handle)
    keeper = bench.driver.disk
    known, strangers = Known(plan), Known()
    needed = (await mine(bench, known))[f"volumes {name}"]
    with pytest.raises(Conflict, match=f"agent {plan.agent_id}"):
        await keeper.remove(needed, known)
    # The registry has forgotten the agent; its container runs and keeps everything.
    held = await mine(bench, strangers)
    assert [one.unused for one in held.values()] == ["", "", ""]
    await bench.driver.stop(handle, 0)
    idle = await mine(bench, strangers)
    container = idle[f"containers {name}"]
    assert "clawtui adopt" in container.unused
    with pytest.raises(Conflict, match="container"):
        await keeper.remove(idle[f"volumes {name}"], strangers)
    await bench.driver.start(handle)
    with pytest.raises(Conflict, match="it runs"):
        await keeper.remove(container, strangers)
    await bench.driver.stop(handle, 0)
    await keeper.remove(container, strangers)
    for one in (await mine(bench, strangers)).values():
        assert one.unused
        await keeper.remove(one, strangers)
    assert await bench.leftovers(plan) == []
    await keeper.remove(container, strangers)


async def test_a_foreign_object_of_the_same_name_is_left_alone(bench: DockerBench) -> None:
    """What was planned is gone, and somebody made something else under its name."""
    plan = bench.plan()
    handle = await bench.driver.create(plan, no_progress)
    name = bench.name_of(handle)
    bench.outside.remove_container(name)
    planned = (await mine(bench, Known()))[f"volumes {name}"]
    assert planned.unused
    bench.outside.remove_volume(name)
    bench.outside.post("/volumes/create", {"Name": name, "Labels": {"made-by": "somebody"}})
    try:
        await bench.driver.disk.remove(planned, Known())
        assert bench.outside.get(f"/volumes/{name}")["Labels"] == {"made-by": "somebody"}
        assert f"volumes {name}" not in await mine(bench, Known())
    finally:
        for volume in (name, f"{name}.state"):
            bench.outside.remove_volume(volume)


async def test_another_hubs_objects_are_neither_seen_nor_removed(bench: DockerBench) -> None:
    plan = bench.plan()
    handle = await bench.driver.create(plan, no_progress)
    await bench.driver.stop(handle, 0)
    planned = (await mine(bench, Known()))[f"containers {bench.name_of(handle)}"]
    other = await bench.other_hubs_driver()
    survey = await other.disk.survey(Known(), SURVEY_SECONDS)
    assert all(one.uid != plan.uid for one in survey.holdings)
    await other.disk.remove(planned, Known())
    assert (await bench.driver.inspect(handle)).uid == plan.uid


async def test_an_old_image_of_ours_is_removed_and_one_in_use_is_not(bench: DockerBench) -> None:
    name = f"{labels.PREFIX}{bench.hub_id}"
    container = bench.outside.make_container(f"{bench.hub_id}-c", Labels=labels.SHARED)
    user = ""
    connector = Connector(None, os.environ)
    pool = Pool(connector)
    keeper = DockerDisk(pool, connector, bench.hub_id, young_seconds=0)
    try:
        for tag in ("1", "2"):
            # Of their own content each, so that one is not the other under two names.
            params = {"container": container, "repo": name, "tag": tag, "comment": tag}
            bench.outside.post("/commit", {"Labels": labels.SHARED, "Env": [f"TAG={tag}"]}, **params)
        user = bench.outside.make_container(f"{bench.hub_id}-u", Image=f"{name}:2")
        young = await bench.driver.disk.survey(Known(), SURVEY_SECONDS)
        assert all(one.used_by for one in young.holdings if one.name.startswith(name))
        survey = await keeper.survey(Known(), SURVEY_SECONDS)
        found = {one.name: one for one in survey.holdings if one.name.startswith(name)}
        assert {tag: bool(one.unused) for tag, one in found.items()} == {f"{name}:1": True, f"{name}:2": False}
        await keeper.remove(found[f"{name}:1"], Known())
        with pytest.raises(Conflict, match=f"container {bench.hub_id}-u"):
            await keeper.remove(found[f"{name}:2"], Known())
        with pytest.raises(EngineNotFound):
            bench.outside.get(f"/images/{name}:1/json")
    finally:
        for one in filter(None, (user, container)):
            bench.outside.remove_container(one)
        for tag in ("1", "2"):
            with contextlib.suppress(EngineNotFound):
                bench.outside.engine.call(Call("DELETE", f"/images/{name}:{tag}"))
        await keeper.close()
        await pool.close()


async def test_an_engine_that_goes_away_in_a_removal_is_said(bench: DockerBench) -> None:
    plan = bench.plan()
    handle = await bench.driver.create(plan, no_progress)
    await bench.driver.stop(handle, 0)
    planned = (await mine(bench, Known()))[f"containers {bench.name_of(handle)}"]

    def at_delete(_number: int, call: Call) -> str | None:
        return "before" if call.method == "DELETE" else None

    broken = bench.make_driver(connect=FaultyConnect(at_delete))
    with pytest.raises(DriverFailed, match="did not answer"):
        await broken.disk.remove(planned, Known())
    assert (await bench.driver.inspect(handle)).uid == plan.uid


# --- ownership --------------------------------------------------------------------------------------


def as_root(bench: DockerBench, handle: AgentHandle, script: str) -> None:
    """Run a script in the agent's container as root."""
    body = {"Cmd": ["sh", "-c", script], "User": "0", "AttachStdout": True, "AttachStderr": True}
    made = msgspec.json.decode(bench.outside.post(f"/containers/{bench.name_of(handle)}/exec", body))
    output = bench.outside.post(f"/exec/{made['Id']}/start", {"Detach": False})
    assert bench.outside.get(f"/exec/{made['Id']}/json")["ExitCode"] == 0, output


def owners(bench: DockerBench, handle: AgentHandle, *paths: str) -> list[str]:
    code, output = bench.outside.run_in(bench.name_of(handle), "stat", "-c", "%u:%g", *paths)
    assert code == 0, output
    return output.split()


async def test_files_of_root_are_given_back_and_links_are_not_followed(bench: DockerBench) -> None:
    plan = msgspec.structs.replace(bench.plan(), sudo=True)
    handle = await bench.driver.create(plan, no_progress)
    as_root(
        bench,
        handle,
        "cd /workspace && mkdir -p deep/er 'with space' && echo x > deep/er/file && echo y > 'with space/new\nline' "
        "&& chmod 700 deep && ln -s /etc/passwd outside && ln -s deep/er/file inside "
        "&& touch mine && chown 1000:1000 mine && touch other && chown 33:33 other "
        "&& touch group && chown 1000:0 group",
    )
    told: list[str] = []
    repaired = await bench.driver.repairs.repair(
        handle.ref, everything=False, progress=lambda _done, line: told.append(line)
    )
    # deep, deep/er, its file, the folder with a space and its file, two links, and the one of root's group.
    assert (repaired.changed, repaired.left) == (8, 0)
    assert repaired.seen == 11
    assert told
    assert (
        owners(bench, handle, "/workspace/deep", "/workspace/deep/er/file", "/workspace/outside") == ["1000:1000"] * 3
    )
    assert owners(bench, handle, "/workspace/group", "/workspace/other") == ["1000:1000", "33:33"]
    assert owners(bench, handle, "/etc/passwd") == ["0:0"]
    again = await bench.driver.repairs.repair(handle.ref, everything=True, progress=no_progress)
    assert (again.changed, again.left) == (1, 0)
    assert owners(bench, handle, "/workspace/other") == ["1000:1000"]
    assert bench.outside.marked(f"{labels.HELPER}") == []


async def test_a_repair_works_for_an_agent_that_does_not_run(bench: DockerBench) -> None:
    handle = await bench.driver.create(msgspec.structs.replace(bench.plan(), sudo=True), no_progress)
    as_root(bench, handle, "touch /workspace/file")
    await bench.driver.stop(handle, 0)
    assert (await bench.driver.repairs.repair(handle.ref, everything=False, progress=no_progress)).changed == 1
    await bench.driver.start(handle)
    assert owners(bench, handle, "/workspace/file") == ["1000:1000"]
