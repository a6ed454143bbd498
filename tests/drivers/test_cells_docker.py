"""Gateways' containers on a real engine beyond the contract: how they are locked in, images, helpers, archives."""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hub.drivers.base import RestartPolicy
from hub.drivers.cells import Bounds, CellCheck, CellPort, CellRecipe, CellVolume
from hub.drivers.docker.engine import Call
from hub.errors import BadRequest, Conflict, DriverFailed, NotAvailable, NotFound
from tests.drivers.cells_contract import MIB, TARGET, tar_of
from tests.drivers.contract import no_progress, wait_until
from tests.drivers.docker_bench import BASE_IMAGE
from tests.drivers.test_cells import DockerCellBench
from tests.hub.images.registry_server import answers, registry, registry_missing

pytestmark = pytest.mark.docker


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[DockerCellBench]:
    made = DockerCellBench(tmp_path)
    yield made
    await made.close()


async def test_a_cell_is_locked_in(bench: DockerCellBench) -> None:
    await bench.cells.ensure_network(bench.cell, bench.name)
    plan = bench.plan(
        network=bench.name, ports=(CellPort(bench.free_port(), 18789),), restart=RestartPolicy.UNLESS_STOPPED,
        user="1000:1000", extra_hosts=("models:192.0.2.7",), check=CellCheck(off=True), stop_grace_seconds=330,
    )  # fmt: skip
    await bench.cells.create(plan, no_progress)
    found = bench.outside.container(bench.name)
    host, config = found["HostConfig"], found["Config"]
    assert (host["CapDrop"], host["CapAdd"] or [], host["Privileged"]) == (["ALL"], [], False)
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert (host["PidsLimit"], host["Init"], host["NanoCpus"]) == (512, True, 500_000_000)
    assert (host["Memory"], host["MemorySwap"]) == (64 * MIB, 64 * MIB)
    assert host["RestartPolicy"]["Name"] == "unless-stopped"
    assert host["LogConfig"] == {"Type": "local", "Config": {"max-size": "10m", "max-file": "3"}}
    assert [one["HostIp"] for one in host["PortBindings"]["18789/tcp"]] == ["127.0.0.1"]
    assert (config["User"], config["StopTimeout"], config["Healthcheck"]) == ("1000:1000", 330, {"Test": ["NONE"]})
    assert config["Labels"]["clawtui.instance"] == bench.cell.instance
    assert not [name for name in config["Labels"] if "agent" in name]
    assert await bench.driver.list_agents() == [], "a gateway is no agent"
    assert host["ExtraHosts"] == ["models:192.0.2.7"]


async def test_networks_of_two_instances_are_two(bench: DockerCellBench) -> None:
    first = await bench.cells.ensure_network(bench.cell, bench.name)
    second = await bench.cells.ensure_network(bench.cell, f"{bench.name}.second")
    assert first.subnet != second.subnet
    assert first.gateway != second.gateway


async def test_a_volume_keeps_owners_modes_times_and_links(bench: DockerCellBench, tmp_path: Path) -> None:
    script = (
        "cd /state && chown 1000:1000 . && chmod 0700 . && mkdir -p a/b && echo x > a/b/f && chmod 0640 a/b/f"
        " && chown 1000:1001 a/b/f && ln -s b/f a/inside && ln -s /etc/passwd a/outside && ln a/b/f a/hard"
        " && mkfifo a/pipe && chmod 4755 a/b && touch -d @1700000000 a/b/f && exit 0"
    )
    capabilities = ("CHOWN", "FOWNER", "DAC_OVERRIDE", "FSETID")
    handle = await bench.started(bench.plan(command=("sh", "-c", script), capabilities=capabilities))
    seen = await _ended(bench, handle)
    assert seen == 0
    target = tmp_path / "state.tar"
    made = await bench.cells.archive(bench.cell, bench.name, target, Bounds(), no_progress)
    assert {note.partition(":")[0] for note in made.notes} == {"./a/outside", "./a/pipe"}
    assert target.stat().st_mode & 0o777 == 0o600
    assert made.sha256 == hashlib.sha256(target.read_bytes()).hexdigest()
    copy = f"{bench.name}.copy"
    await bench.cells.ensure_volume(bench.cell, copy)
    left_out = await bench.cells.unarchive(bench.cell, copy, target, made.sha256, Bounds(), no_progress)
    assert {note.partition(":")[0] for note in left_out} == {"./a/outside", "./a/pipe"}
    again = tmp_path / "again.tar"
    await bench.cells.archive(bench.cell, copy, again, Bounds(), no_progress)
    with tarfile.open(again) as tar:
        by_name = {member.name: member for member in tar}
    assert {"./a/inside", "./a/b/f", "./a/hard", "./a/b"} <= set(by_name)
    assert not {"./a/outside", "./a/pipe"} & set(by_name)
    file = by_name["./a/b/f"] if by_name["./a/b/f"].isreg() else by_name["./a/hard"]
    assert (file.mode, file.uid, file.gid, file.mtime) == (0o640, 1000, 1001, 1_700_000_000)
    assert (by_name["."].mode, by_name["."].uid, by_name["./a/b"].mode) == (0o700, 1000, 0o755)
    assert bench.outside.marked("clawtui.helper") == []


async def _ended(bench: DockerCellBench, handle: object) -> int:
    async def over() -> bool:
        return bench.outside.container(bench.name)["State"]["Status"] == "exited"

    await wait_until(over, "the container ends")
    return bench.outside.container(bench.name)["State"]["ExitCode"]


async def test_hostile_archives_leave_the_volume_empty(bench: DockerCellBench, tmp_path: Path) -> None:
    link = tarfile.TarInfo("d")
    link.type, link.linkname = tarfile.SYMTYPE, "sub"
    await bench.cells.ensure_volume(bench.cell, bench.name)
    for data in (tar_of(("../out", b"x")), tar_of(("/abs", b"x")), tar_of(link, ("d/x", b"x")), b"nonsense" * 200):
        hostile = tmp_path / "hostile.tar"
        hostile.write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        with pytest.raises(BadRequest):
            await bench.cells.unarchive(bench.cell, bench.name, hostile, digest, Bounds(), no_progress)
    device = tarfile.TarInfo("null")
    device.type, device.devmajor, device.devminor = tarfile.CHRTYPE, 1, 3
    harmless = tmp_path / "device.tar"
    harmless.write_bytes(tar_of(device, ("f", b"x")))
    digest = hashlib.sha256(harmless.read_bytes()).hexdigest()
    notes = await bench.cells.unarchive(bench.cell, bench.name, harmless, digest, Bounds(), no_progress)
    assert [note.partition(":")[0] for note in notes] == ["null"]
    made = await bench.cells.create(bench.plan(), no_progress)
    assert await bench.cells.get_file(made.handle, f"{TARGET}/f") == b"x"
    with pytest.raises(NotFound):
        await bench.cells.get_file(made.handle, f"{TARGET}/null")


async def test_an_adopted_volume_is_used_and_never_removed(bench: DockerCellBench) -> None:
    name = f"adopted-{bench.cell.instance}"
    await bench.make_foreign("volume", name)
    made = await bench.cells.create(bench.plan(volumes=(CellVolume(name, TARGET, adopted=True),)), no_progress)
    assert (await bench.cells.inspect(made.handle)).volumes == (CellVolume(name, TARGET, adopted=True),)
    await bench.cells.remove(made.handle)
    assert await bench.cells.volumes(bench.cell) == []
    with pytest.raises(Conflict):
        await bench.cells.remove_volume(bench.cell, name)


async def test_a_program_that_is_not_there_cannot_be_started(bench: DockerCellBench) -> None:
    made = await bench.cells.create(bench.plan(command=("/nothing/here",), init=False), no_progress)
    with pytest.raises(DriverFailed) as failed:
        await bench.cells.start(made.handle)
    assert (failed.value.code, failed.value.retryable) == ("cell_start_failed", False)
    assert "/nothing/here" in (await bench.cells.inspect(made.handle)).reason


# --- images ------------------------------------------------------------------------------------


@pytest.mark.skipif(registry_missing() is not None, reason=registry_missing() or "")
async def test_an_image_is_pulled_by_tag_and_digest_with_progress(bench: DockerCellBench, tmp_path: Path) -> None:
    """The image stands in for the official one, which is in a public registry only."""
    with registry(tmp_path) as address:

        async def is_up() -> bool:
            return answers(address)

        await wait_until(is_up, "the registry listens")
        reference = f"{address}/openclaw/openclaw:2026.9.6"
        bench.outside.post(f"/images/{BASE_IMAGE}/tag", repo=f"{address}/openclaw/openclaw", tag="2026.9.6")
        try:
            call = Call("POST", f"/images/{address}/openclaw/openclaw/push", {"tag": "2026.9.6"}, timeout_seconds=120,
                        headers={"X-Registry-Auth": "e30="})  # fmt: skip
            assert b'"error"' not in bench.outside.engine.call(call)
            _remove_image(bench, reference)
            lines: list[tuple[float, str]] = []
            seen = await bench.cells.pull(reference, lambda done, text: lines.append((done, text)))
            assert reference in seen.tags
            assert lines[0][1].startswith("pulling") and lines[-1] == (1.0, f"{reference} is here")  # noqa: PT018
            assert all(0 <= done <= 1 for done, _ in lines)
            digest = seen.digests[0]
            assert (await bench.cells.pull(digest, no_progress, platform=seen.platform)).id == seen.id
            assert [one.id for one in await bench.cells.images(f"{address}/openclaw/openclaw")] == [seen.id]
            with pytest.raises((NotAvailable, DriverFailed)):
                await bench.cells.pull(reference, no_progress, platform="linux/s390x")
            for missing in (f"{address}/openclaw/openclaw:none", f"{address}/nobody/here:1"):
                with pytest.raises(NotFound) as refused:
                    await bench.cells.pull(missing, no_progress)
                assert refused.value.code == "image_missing"
        finally:
            _remove_image(bench, reference)
    with pytest.raises(DriverFailed) as failed:
        await bench.cells.pull(reference, no_progress)
    assert failed.value.code == "image_transfer_failed"
    with pytest.raises(BadRequest):
        await bench.cells.pull(reference, no_progress, platform="windows/amd64")


def _remove_image(bench: DockerCellBench, reference: str) -> None:
    found = bench.outside.get("/images/json", filters='{"reference": ["' + reference + '"]}')
    if found:
        bench.outside.engine.call(Call("DELETE", f"/images/{reference}"))


async def test_a_recipe_is_built_once_and_its_tag_says_what_is_in_it(bench: DockerCellBench) -> None:
    dockerfile = f"FROM {BASE_IMAGE}\nARG WHAT\nRUN echo $WHAT > /what\nEXPOSE 18789\nUSER 1000\n".encode()
    repository = f"cells-test-{bench.cell.instance}"
    recipe = CellRecipe(
        repository=repository, version="1.0", files={"Dockerfile": dockerfile}, arguments={"WHAT": "a"}
    )  # fmt: skip
    try:
        wanted = await bench.cells.wanted(recipe)
        assert wanted.startswith(f"{repository}:1.0-")
        assert await bench.cells.image(wanted) is None
        built = await bench.cells.build(recipe, no_progress)
        assert (built.reference, built.built) == (wanted, True)
        assert (await bench.cells.build(recipe, no_progress)).built is False
        seen = await bench.cells.image(wanted)
        assert seen is not None
        assert (seen.user, seen.ports, seen.labels["clawtui.owner"]) == ("1000", (18789,), "clawtui")
        broken = CellRecipe(repository=repository, version="1.1", files={"Dockerfile": dockerfile + b"RUN exit 3\n"})
        with pytest.raises(DriverFailed) as failed:
            await bench.cells.build(broken, no_progress)
        assert failed.value.code == "build_failed"
        assert "logs/builds" in failed.value.hint
    finally:
        for image in await bench.cells.images(repository):
            for tag in image.tags:
                bench.outside.engine.call(Call("DELETE", f"/images/{tag}"))
