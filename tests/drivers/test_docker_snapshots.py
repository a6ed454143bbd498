"""Snapshots on a real engine beyond the contract: what is foreign stays, faults leave nothing, the lists are true."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from hub.core.model import Observed
from hub.drivers.base import AgentHandle
from hub.drivers.docker import snapshots_archive
from hub.drivers.docker.engine import Call, EngineNotFound, EngineRefused
from hub.errors import BadRequest, Conflict, HubError, NotFound
from tests.drivers.contract import GRACE_SECONDS, no_progress
from tests.drivers.docker_bench import BASE_IMAGE, FaultyConnect
from tests.drivers.snapshots_contract import files_in, order_for, seed_of
from tests.drivers.test_snapshots import DockerSnapshotBench

pytestmark = pytest.mark.docker


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[DockerSnapshotBench]:
    made = DockerSnapshotBench(tmp_path)
    yield made
    await made.close()


def run(bench: DockerSnapshotBench, handle: AgentHandle, script: str) -> str:
    code, output = bench.outside.run_in(bench.name_of(handle), "sh", "-c", script)
    assert code == 0, output
    return output


async def test_what_is_outside_the_workspace_is_in_the_image_and_in_the_lists(
    bench: DockerSnapshotBench, tmp_path: Path
) -> None:
    snapshots = bench.driver.snapshots
    handle = await bench.driver.create(bench.plan(), no_progress)
    run(bench, handle, "echo hello > /tmp/new; mkdir -p /home/agent/d; echo x > /home/agent/d/f; ln -s /etc /tmp/link")
    captured = await snapshots.capture(handle, order_for(tmp_path, "sn-out"), no_progress)
    found = {change.path: change for change in captured.system}
    assert (found["/tmp/new"].kind, found["/tmp/new"].size, len(found["/tmp/new"].digest)) == ("file", 6, 64)
    assert (found["/tmp/link"].kind, found["/tmp/link"].digest) == ("link", "/etc")
    assert found["/home/agent/d/f"].size == 2
    assert not any(path.startswith(("/workspace", "/var/lib/clawtui", "/etc/host")) for path in found)
    assert captured.base_image.startswith("openclaw-agent-base:")
    image = bench.outside.get(f"/images/{captured.image}/json")
    assert image["Config"]["Labels"]["clawtui.agent-uid"] == ""
    assert not any(one.startswith(("AGENT_ID=s", "HUB_URL=w")) for one in image["Config"]["Env"])
    await snapshots.discard("sn-out")


async def test_a_generation_of_a_snapshot_knows_what_it_is_made_from(
    bench: DockerSnapshotBench, tmp_path: Path
) -> None:
    snapshots, plan = bench.driver.snapshots, bench.plan()
    handle = await bench.driver.create(plan, no_progress)
    run(bench, handle, "echo one > /tmp/one")
    first = await snapshots.capture(handle, order_for(tmp_path, "sn-first"), no_progress)
    await snapshots.prepare(handle, plan, seed_of(tmp_path, "sn-first", first), 1, no_progress)
    await snapshots.activate(handle, plan, 1, GRACE_SECONDS, run=True)
    assert run(bench, handle, "cat /tmp/one; echo two > /tmp/two") == "one\n"
    second = await snapshots.capture(handle, order_for(tmp_path, "sn-second"), no_progress)
    assert (second.made_from, second.base_image) == ("sn-first", first.base_image)
    assert [change.path for change in second.system] == ["/tmp/two"]
    with pytest.raises(Conflict) as refused:
        await snapshots.discard("sn-first")
    assert refused.value.code == "snapshot_in_use"
    assert f"openclaw-agent-{plan.agent_id}" in refused.value.message
    await bench.driver.destroy(handle)
    await snapshots.discard("sn-second")
    await snapshots.discard("sn-first")
    assert await bench.saved_leftovers("sn-first") + await bench.saved_leftovers("sn-second") == []


async def test_a_foreign_image_of_the_name_is_neither_used_nor_removed(
    bench: DockerSnapshotBench, tmp_path: Path
) -> None:
    bench.outside.post(f"/images/{BASE_IMAGE}/tag", repo="openclaw-agent-snapshot", tag="sn-foreign")
    try:
        handle = await bench.driver.create(bench.plan(), no_progress)
        with pytest.raises(Conflict):
            await bench.driver.snapshots.capture(handle, order_for(tmp_path, "sn-foreign"), no_progress)
        assert (await bench.driver.inspect(handle)).state is Observed.RUNNING
        await bench.driver.snapshots.discard("sn-foreign")
        assert bench.outside.get("/images/openclaw-agent-snapshot:sn-foreign/json")["Id"]
        assert bench.helpers() == []
    finally:
        bench.outside.engine.call(Call("DELETE", "/images/openclaw-agent-snapshot:sn-foreign"))


@pytest.mark.parametrize("what", ["volume", "container"])
async def test_a_foreign_volume_or_container_of_a_generations_name_is_not_touched(
    bench: DockerSnapshotBench, tmp_path: Path, what: str
) -> None:
    snapshots, plan = bench.driver.snapshots, bench.plan()
    handle = await bench.driver.create(plan, no_progress)
    captured = await snapshots.capture(handle, order_for(tmp_path, "sn-names"), no_progress)
    name = f"openclaw-agent-{plan.agent_id}"
    if what == "volume":
        bench.outside.post("/volumes/create", {"Name": f"{name}.r1", "Labels": {"made-by": "somebody"}})
    else:
        bench.outside.make_container(f"{name}.g1", Labels={"made-by": "somebody"})
    try:
        with pytest.raises(Conflict):
            await snapshots.prepare(handle, plan, seed_of(tmp_path, "sn-names", captured), 1, no_progress)
        with pytest.raises(HubError):
            await snapshots.activate(handle, plan, 1, GRACE_SECONDS, run=True)
        await bench.driver.destroy(handle)
        found = bench.outside.named(f"{name}.r1") + bench.outside.named(f"{name}.g1")
        assert found == [f"{what} {name}.{'r1' if what == 'volume' else 'g1'}"]
    finally:
        if what == "volume":
            bench.outside.remove_volume(f"{name}.r1")
        else:
            bench.outside.remove_container(f"{name}.g1")
        await snapshots.discard("sn-names")


async def test_an_image_that_was_removed_by_hand_is_said(bench: DockerSnapshotBench, tmp_path: Path) -> None:
    plan = bench.plan()
    handle = await bench.driver.create(plan, no_progress)
    captured = await bench.driver.snapshots.capture(handle, order_for(tmp_path, "sn-lost"), no_progress)
    await bench.driver.snapshots.discard("sn-lost")
    seed = seed_of(tmp_path, "sn-lost", captured)
    with pytest.raises(NotFound) as refused:
        await bench.driver.snapshots.prepare(handle, plan, seed, 1, no_progress)
    assert refused.value.code == "snapshot_image_gone"
    other = await bench.other_plan(plan)
    with pytest.raises(NotFound):
        await bench.driver.create(other, no_progress, seed)
    assert await bench.leftovers(other) == []


STEPS = ("/attach", "/start", "/wait", "/commit", "/changes", "/pause", "/unpause", "/containers/create")


@pytest.mark.parametrize("how", ["before", "after"])
@pytest.mark.parametrize("step", STEPS)
async def test_a_fault_of_the_engine_leaves_nothing_and_an_agent_that_runs(
    bench: DockerSnapshotBench, tmp_path: Path, step: str, how: str
) -> None:
    handle = await bench.driver.create(bench.plan(), no_progress)
    armed = [True]

    def once(_number: int, call: Call) -> str | None:
        if armed[0] and call.path.endswith(step):
            armed[0] = False
            return how
        return None

    faulty = bench.make_driver(connect=FaultyConnect(once))
    await faulty.fingerprint()
    with pytest.raises(HubError):
        await faulty.snapshots.capture(handle, order_for(tmp_path, "sn-fault"), no_progress)
    await faulty.snapshots.discard("sn-fault")
    # What a lost answer left frozen, the hub's next look thaws: it wants the agent to run.
    await bench.driver.start(handle)
    assert (await bench.driver.inspect(handle)).state is Observed.RUNNING
    await bench.restarted_driver()
    await bench.driver.snapshots.sweep()
    assert await bench.saved_leftovers("sn-fault") == []


def archive_mounts(call: Call) -> list[str]:
    """The files of this machine that a call wants to give to a container."""
    body = call.body if isinstance(call.body, dict) else {}
    mounts = body.get("HostConfig", {}).get("Mounts", [])
    return [mount["Source"] for mount in mounts if mount["Type"] == "bind"]


async def test_a_helper_on_this_machine_sees_the_archive_and_nothing_else_of_it(
    bench: DockerSnapshotBench, tmp_path: Path
) -> None:
    handle = await bench.driver.create(bench.plan(), no_progress)
    run(bench, handle, "echo kept > /workspace/f")
    seen: list[str] = []

    def look(_number: int, call: Call) -> str | None:
        seen.extend(archive_mounts(call))
        return None

    watched = bench.make_driver(connect=FaultyConnect(look))
    captured = await watched.snapshots.capture(handle, order_for(tmp_path, "sn-direct"), no_progress)
    (archive,) = captured.volumes
    target = tmp_path / "sn-direct" / archive.file
    assert seen == [str(target)]
    assert target.stat().st_mode & 0o7777 == 0o600
    assert archive.read_back
    assert (archive.sha256, archive.size_bytes) == (
        hashlib.sha256(target.read_bytes()).hexdigest(),
        target.stat().st_size,
    )
    assert "/workspace/f" in files_in(tmp_path, seed_of(tmp_path, "sn-direct", captured))
    await bench.driver.snapshots.discard("sn-direct")


REFUSALS = [
    BadRequest("bind source path does not exist", driver="docker"),
    EngineRefused("mounts denied", engine_status=500),
]


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda error: type(error).__name__)
async def test_an_engine_that_does_not_see_the_hubs_files_sends_the_same_archive(
    bench: DockerSnapshotBench, tmp_path: Path, refusal: HubError
) -> None:
    handle = await bench.driver.create(bench.plan(), no_progress)
    run(bench, handle, "mkdir /workspace/d; echo one > /workspace/d/one; ln -s d/one /workspace/link")
    direct = await bench.driver.snapshots.capture(handle, order_for(tmp_path, "sn-near"), no_progress)

    def no_files(_number: int, call: Call) -> str | None:
        return "before" if archive_mounts(call) else None

    blind = bench.make_driver(connect=FaultyConnect(no_files, lambda: refusal))
    sent = await blind.snapshots.capture(handle, order_for(tmp_path, "sn-far"), no_progress)
    assert not sent.volumes[0].read_back
    assert sent.volumes[0].sha256 == direct.volumes[0].sha256
    assert bench.helpers() == []
    for name in ("sn-near", "sn-far"):
        await bench.driver.snapshots.discard(name)


async def test_a_helper_that_is_kept_from_the_file_sends_the_archive(
    bench: DockerSnapshotBench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with SELinux or users of the engine's own: it starts, and tar cannot open the file."""
    handle = await bench.driver.create(bench.plan(), no_progress)
    run(bench, handle, "echo kept > /workspace/f")
    # A path below the file can be opened by nobody.
    monkeypatch.setattr(snapshots_archive, "ARCHIVE", f"{snapshots_archive.ARCHIVE}/no")
    captured = await bench.driver.snapshots.capture(handle, order_for(tmp_path, "sn-kept"), no_progress)
    assert not captured.volumes[0].read_back
    assert "/workspace/f" in files_in(tmp_path, seed_of(tmp_path, "sn-kept", captured))
    await bench.driver.snapshots.discard("sn-kept")


async def test_what_a_killed_hub_left_is_swept_and_others_helpers_stay(bench: DockerSnapshotBench) -> None:
    labels = {"clawtui.owner": "clawtui", "clawtui.hub-id": bench.hub_id, "clawtui.helper": "earlier/fill"}
    bench.outside.make_container(f"{bench.hub_id}-old", Labels=labels)
    other = bench.outside.make_container(f"{bench.hub_id}-other", Labels=labels | {"clawtui.hub-id": "another"})
    await bench.driver.snapshots.sweep()
    assert bench.helpers() == []
    assert bench.outside.container(other)["Id"] == other
    bench.outside.remove_container(other)
    with pytest.raises(EngineNotFound):
        bench.outside.container(f"{bench.hub_id}-old")


async def test_a_container_between_two_names_gets_its_place_again(bench: DockerSnapshotBench, tmp_path: Path) -> None:
    """A hub killed between the two renames leaves nobody with the agent's name."""
    snapshots, plan = bench.driver.snapshots, bench.plan()
    handle = await bench.driver.create(plan, no_progress)
    name = f"openclaw-agent-{plan.agent_id}"
    bench.outside.post(f"/containers/{name}/rename", name=f"{name}.g0")
    assert [seen for seen in await bench.driver.list_agents() if seen.uid == plan.uid] == []
    await snapshots.activate(handle, plan, 0, GRACE_SECONDS, run=True)
    assert (await bench.driver.inspect(handle)).state is Observed.RUNNING
    assert await snapshots.active(handle) == 0
    assert msgspec.json.decode(handle.ref)["uid"] == plan.uid
