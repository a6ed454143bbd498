"""Snapshots with real hubs and real agents: what was saved comes back, forks are new, a killed hub leaves one truth."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.harness import HubProcess, eventually

DRIVERS = ["process", pytest.param("docker", marks=[pytest.mark.docker])]
WRITER = "while :; do i=$((i+1)); echo line $i >> log.txt; sync log.txt; sleep 0.05; done"


@pytest.fixture
def hub(hub: HubProcess, request: pytest.FixtureRequest) -> Iterator[HubProcess]:
    """A hub with the test's driver; snapshots and agents are gone at its end."""
    hub._drivers = request.getfixturevalue("driver")
    yield hub
    asyncio.run(clean(hub))


async def clean(hub: HubProcess) -> None:
    """Leave nothing on the platform, whatever the test did."""
    if hub._process is None or hub._process.poll() is not None:
        await hub.start()
    for agent in (await hub.call("GET", "/agents"))["agents"]:
        await hub.ended_job((await hub.call("DELETE", f"/agents/{agent['id']}"))["id"])
    while left := (await hub.call("GET", "/snapshots"))["snapshots"]:
        for one in left:
            async with hub.client() as client:
                answer = await client.delete(f"/snapshots/{one['id']}")
            if answer.status_code == 202:
                await hub.ended_job(answer.json()["id"])


async def make(hub: HubProcess, name: str, driver: str) -> dict[str, Any]:
    job = await hub.call("POST", "/agents", {"name": name, "driver": driver})
    ended = await hub.ended_job(job["id"])
    assert ended["state"] == "succeeded", ended.get("error") or ended
    return await hub.call("GET", f"/agents/{name}")


async def done(hub: HubProcess, method: str, path: str, body: Any = None) -> dict[str, Any]:
    """Start a job and wait until it has succeeded."""
    ended = await hub.ended_job((await hub.call(method, path, body))["id"])
    assert ended["state"] == "succeeded", ended.get("error") or ended
    return ended


async def shell(hub: HubProcess, agent: str, command: str) -> str:
    task = await hub.run(agent, type="exec", command=command)
    assert task["status"] == "succeeded", task
    return task["stdout"]


async def name_of(hub: HubProcess, prefix: str, driver: str) -> str:
    """A name that no other test on the same engine has."""
    return f"{prefix}-{os.getpid()}-{driver}"


@pytest.mark.timeout(300)
@pytest.mark.parametrize("driver", DRIVERS)
async def test_saved_with_a_writer_destroyed_restored_and_forked(hub: HubProcess, driver: str) -> None:
    await hub.start()
    name = await name_of(hub, "web", driver)
    agent = await make(hub, name, driver)
    await shell(hub, name, "echo inside > kept.txt")
    if driver == "docker":
        await shell(hub, name, "echo outside > /tmp/outside.txt")
    writer = await hub.submit(name, type="exec", command=WRITER)

    async def writing() -> bool:
        return int(await shell(hub, name, "wc -l < log.txt 2>/dev/null || echo 0")) >= 5

    await eventually(writing, what="the writer writes")
    saved = await done(hub, "POST", f"/agents/{name}/snapshots", {"name": "one"})
    lines = int(await shell(hub, name, "wc -l < log.txt"))

    async def goes_on() -> bool:
        return int(await shell(hub, name, "wc -l < log.txt")) > lines

    await eventually(goes_on, what="the writer goes on")
    assert (await hub.call("GET", f"/tasks/{writer}"))["status"] == "running"
    await shell(hub, name, "echo changed > kept.txt; echo new > new.txt")
    await done(hub, "POST", f"/agents/{name}/snapshots", {"name": "two"})
    await check_difference(hub, name, driver)
    await done(hub, "DELETE", f"/agents/{name}")

    await done(hub, "POST", f"/snapshots/{saved['result']['snapshotId']}/restore")
    again = await hub.call("GET", f"/agents/{name}")
    assert (again["status"], again["uid"] != agent["uid"]) == ("online", True)
    await check_restored(hub, name, driver)
    before = len((await hub.call("GET", "/tasks?limit=1000"))["tasks"])
    await check_forks(hub, name, driver, {agent["uid"], again["uid"]})
    # Nobody repeated or sent again what the parent had done.
    after = await hub.call("GET", "/tasks?limit=1000")
    assert len(after["tasks"]) == before + 3
    assert (await hub.call("GET", f"/tasks/{writer}"))["attempt"] == 1


async def check_difference(hub: HubProcess, name: str, driver: str) -> None:
    found = await hub.call("GET", f"/snapshots/{name}:one/diff?other={name}:two")
    changes = {entry["path"]: entry["change"] for entry in found["entries"]}
    assert changes["/workspace/kept.txt"] == "changed"
    assert changes["/workspace/new.txt"] == "added"
    assert changes["/workspace/log.txt"] == "changed"
    assert not found["truncated"]
    if driver == "docker":
        assert "/tmp/outside.txt" not in changes


async def check_restored(hub: HubProcess, name: str, driver: str) -> None:
    assert await shell(hub, name, "cat kept.txt") == "inside\n"
    log = await shell(hub, name, "cat log.txt; ls")
    lines = [line for line in log.splitlines() if line.startswith("line")]
    assert lines == [f"line {number}" for number in range(1, len(lines) + 1)]
    assert len(lines) >= 5
    assert "new.txt" not in log
    if driver == "docker":
        assert await shell(hub, name, "cat /tmp/outside.txt") == "outside\n"


async def check_forks(hub: HubProcess, name: str, driver: str, known: set[str]) -> None:
    ended = await done(hub, "POST", f"/snapshots/{name}:one/fork", {"count": 3})
    forks = ended["result"]["forks"]
    assert [fork["state"] for fork in forks] == ["online"] * 3
    assert len({fork["uid"] for fork in forks} - known) == 3
    tokens = (await hub.call("GET", "/tokens?limit=1000"))["tokens"]
    mine = [token["agentId"] for token in tokens if token["kind"] == "agent" and token.get("revokedAt") is None]
    for fork in forks:
        assert mine.count(fork["agentId"]) == 1
        tasks = await hub.call("GET", f"/tasks?agent={fork['agentId']}")
        assert tasks["tasks"] == []
        assert await shell(hub, fork["agentId"], "cat kept.txt") == "inside\n"


@pytest.mark.timeout(300)
@pytest.mark.parametrize("driver", DRIVERS)
async def test_restored_in_place_and_back(hub: HubProcess, driver: str) -> None:
    await hub.start()
    name = await name_of(hub, "inplace", driver)
    agent = await make(hub, name, driver)
    await shell(hub, name, "echo one > kept.txt")
    await done(hub, "POST", f"/agents/{name}/snapshots", {"name": "one", "consistency": "clean"})
    await shell(hub, name, "echo two > kept.txt")
    await done(hub, "POST", f"/snapshots/{name}:one/restore")
    assert await shell(hub, name, "cat kept.txt") == "one\n"
    restored = await hub.call("GET", f"/agents/{name}")
    assert (restored["uid"], restored["status"]) == (agent["uid"], "online")
    await done(hub, "POST", f"/agents/{name}/restore/undo")
    assert await shell(hub, name, "cat kept.txt") == "two\n"
    await done(hub, "POST", f"/snapshots/{name}:one/restore")
    # What was made after a restore is a child of what was restored.
    await done(hub, "POST", f"/agents/{name}/snapshots", {"name": "two"})
    two, one = (await hub.call("GET", f"/agents/{name}/snapshots"))["snapshots"]
    assert two["parent"] == one["id"]
    if driver == "docker":
        assert two["imageParent"] == one["id"]
        async with hub.client() as client:
            refused = await client.delete(f"/snapshots/{one['id']}")
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "snapshot_in_use")


KILLS = [0.0, 0.02, 0.3, 0.71]
"""How far the job is when the hub is killed: just begun, measured or prepared, copying, reading again or online."""


async def reached(hub: HubProcess, job_id: str, fraction: float) -> None:
    """Wait until the job is so far, or has ended."""

    async def far_enough() -> bool:
        job = await hub.call("GET", f"/jobs/{job_id}")
        return job["progress"] >= fraction or job["state"] != "running"

    await eventually(far_enough, what=f"job {job_id} is at {fraction}")


async def whole(hub: HubProcess, name: str) -> None:
    """After a kill: every job has ended, the agent works, and everything on the shelf is complete or gone."""

    async def quiet() -> bool:
        jobs = (await hub.call("GET", "/jobs"))["jobs"]
        return all(job["state"] != "running" for job in jobs)

    await eventually(quiet, seconds=120, what="what was left is finished or undone")

    async def runs() -> bool:
        return (await hub.call("GET", f"/agents/{name}"))["lifecycle"]["observed"] == "running"

    await eventually(runs, what=f"{name} runs")
    # An agent waits longer after each kill before it dials again; a new start forgets that.
    await done(hub, "POST", f"/agents/{name}/restart")
    assert await shell(hub, name, "cat kept.txt") in ("one\n", "two\n")
    ids = {one["id"]: one["state"] for one in (await hub.call("GET", "/snapshots"))["snapshots"]}
    assert set(ids.values()) <= {"ready"}
    assert {path.name for path in (hub.home / "snapshots").iterdir()} == set(ids)


@pytest.mark.timeout(280)
@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("what", ["snapshot", "restore", "fork"])
async def test_a_hub_killed_in_the_middle_finishes_or_undoes(hub: HubProcess, driver: str, what: str) -> None:
    await hub.start()
    name = await name_of(hub, f"k{what}", driver)
    await make(hub, name, driver)
    await shell(hub, name, "echo one > kept.txt; head -c 20000000 /dev/urandom > big")
    await done(hub, "POST", f"/agents/{name}/snapshots", {"name": "one"})
    await shell(hub, name, "echo two > kept.txt")
    path, body = {
        "snapshot": (f"/agents/{name}/snapshots", {}),
        "restore": (f"/snapshots/{name}:one/restore", None),
        "fork": (f"/snapshots/{name}:one/fork", {"count": 1}),
    }[what]
    for fraction in KILLS:
        await reached(hub, (await hub.call("POST", path, body))["id"], fraction)
        hub.kill()
        await hub.start()
        await whole(hub, name)
    if driver == "docker":
        assert helpers(hub) == []


def helpers(hub: HubProcess) -> list[str]:
    hub_id = (hub.home / "hub-id").read_text().strip()
    command = ["docker", "ps", "-aq", "--filter", "label=clawtui.helper", "--filter", f"label=clawtui.hub-id={hub_id}"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


@pytest.fixture
def driver() -> str:
    return "process"


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
@pytest.mark.timeout(120)
@pytest.mark.parametrize("driver", DRIVERS)
async def test_a_full_disk_leaves_nothing(hub: HubProcess, driver: str) -> None:
    await hub.start()
    name = await name_of(hub, "full", driver)
    await make(hub, name, driver)
    shelf = hub.home / "snapshots"
    shelf.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(shelf)], capture_output=True)
    if mounted.returncode:
        pytest.skip("cannot mount a small file system here")
    try:
        await shell(hub, name, "head -c 60000000 /dev/urandom > big")
        await refused(hub, name, shelf)
        # Room for the estimate and not for what comes: somebody else takes it meanwhile.
        await shell(hub, name, "head -c 9000000 /dev/urandom > big; echo kept > kept.txt")
        (shelf / "ballast").write_bytes(bytes(100_000))
        await done(hub, "POST", f"/agents/{name}/snapshots", {"name": "fits"})
        await shell(hub, name, "truncate -s 100M hole; head -c 12000000 /dev/urandom > big")
        await refused(hub, name, shelf)
        assert (await hub.call("GET", f"/agents/{name}"))["status"] == "online"
        await done(hub, "DELETE", f"/snapshots/{name}:fits")
    finally:
        subprocess.run(["umount", "--lazy", str(shelf)], check=True)


async def refused(hub: HubProcess, name: str, shelf: Path) -> None:
    before = sorted(path.name for path in shelf.iterdir())
    ended = await hub.ended_job((await hub.call("POST", f"/agents/{name}/snapshots"))["id"])
    assert (ended["state"], ended["error"]["code"]) == ("failed", "storage_full"), ended
    assert sorted(path.name for path in shelf.iterdir()) == before
