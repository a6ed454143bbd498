"""What every engine for gateways must do, as one test class; `CellBench` is what an engine supplies to be tested."""

from __future__ import annotations

import abc
import hashlib
import io
import tarfile
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from hub.drivers.base import LogRequest, RestartPolicy
from hub.drivers.cells import Bounds, CellGone, CellHandle, CellId, CellPlan, CellPort, Cells, CellSeen, CellVolume
from hub.errors import BadRequest, Conflict, HubError, NotFound, TooLarge
from tests.drivers.contract import no_progress, wait_until

TARGET = "/state"
GRACE_SECONDS = 3.0
MIB = 2**20


class CellBench(abc.ABC):
    """One engine with the cells of one hub under test."""

    image: str
    """Of containers that run until they are told to end, print `hello`, and end at once on TERM."""

    def __init__(self) -> None:
        self.cell = CellId(f"t{uuid.uuid4().hex[:12]}", uuid.uuid4().hex)
        self.name = f"openclaw-cell-{self.cell.instance}"

    def plan(self, **changes: object) -> CellPlan:
        plan = CellPlan(
            cell=self.cell, name=self.name, image=self.image, command=self.runs(),
            volumes=(CellVolume(self.name, TARGET),), environment={"PLAIN": "yes"}, secrets={"KEY": "s3cret-value"},
            restart=RestartPolicy.NO, cpus=0.5, memory_bytes=64 * MIB,
        )  # fmt: skip
        return msgspec.structs.replace(plan, **changes)

    @abc.abstractmethod
    def runs(self) -> tuple[str, ...]: ...

    @property
    @abc.abstractmethod
    def cells(self) -> Cells: ...

    @abc.abstractmethod
    def other_hub(self) -> Cells:
        """The cells of another hub on the same engine."""

    @abc.abstractmethod
    def ending(self, exit_code: int) -> CellPlan:
        """A plan whose container ends at once with this exit code."""

    @abc.abstractmethod
    def greedy(self) -> CellPlan:
        """A plan whose container takes more memory than it may."""

    @abc.abstractmethod
    async def make_foreign(self, kind: str, name: str) -> None:
        """Make a container, network or volume that no hub made."""

    @abc.abstractmethod
    def free_port(self) -> int: ...

    @abc.abstractmethod
    async def close(self) -> None:
        """Remove everything that the tests left."""

    async def started(self, plan: CellPlan | None = None) -> CellHandle:
        made = await self.cells.create(plan or self.plan(), no_progress)
        await self.cells.start(made.handle)
        return made.handle


class CellContract:
    """Subclasses are named Test… and have a fixture `bench`."""

    async def test_a_cell_lives_and_every_call_may_be_repeated(self, bench: CellBench) -> None:
        cells, plan = bench.cells, bench.plan()
        made = await cells.create(plan, no_progress)
        assert (await cells.create(plan, no_progress)).handle == made.handle
        seen = await cells.inspect(made.handle)
        assert (seen.state, seen.exit_code, seen.started_at, seen.runs) == ("created", None, None, False)
        for _ in range(2):
            await cells.start(made.handle)
        seen = await cells.inspect(made.handle)
        assert (seen.state, seen.runs, seen.exit_code, seen.handle) == ("running", True, None, made.handle)
        assert seen.started_at is not None
        assert seen.image == bench.image
        assert seen.image_id.startswith("sha256:")
        for _ in range(2):
            await cells.stop(made.handle, GRACE_SECONDS)
        seen = await cells.inspect(made.handle)
        assert (seen.state, seen.runs, seen.oom_killed, seen.invalid_config) == ("exited", False, False, False)
        assert seen.exit_code is not None
        assert seen.finished_at is not None
        await cells.start(made.handle)
        for _ in range(2):
            await cells.remove(made.handle)
        with pytest.raises(CellGone):
            await cells.inspect(made.handle)
        with pytest.raises(CellGone):
            await cells.start(made.handle)
        assert await cells.volumes(bench.cell) == [bench.name], "data stays until somebody removes it"

    async def test_what_is_seen_is_what_was_asked_for_without_values(self, bench: CellBench) -> None:
        port = bench.free_port()
        plan = bench.plan(ports=(CellPort(port, 18789),), labels={"tier": "pro"})
        handle = await bench.started(plan)
        seen = await bench.cells.inspect(handle)
        assert (seen.ports, seen.volumes) == ((CellPort(port, 18789, "127.0.0.1"),), plan.volumes)
        assert (seen.cpus, seen.memory_bytes, seen.command) == (0.5, 64 * MIB, plan.command)
        assert {"PLAIN", "KEY"} <= set(seen.environment)
        assert any(name.endswith("tier") and value == "pro" for name, value in seen.labels.items())
        for words in (repr(seen), str(seen), repr(plan), str(plan)):
            assert "s3cret-value" not in words
        values = await bench.cells.environment(bench.name)
        assert (values["KEY"], values["PLAIN"]) == ("s3cret-value", "yes")
        assert [one.container for one in await bench.cells.cells(bench.cell)] == [handle.container]
        looked = await bench.cells.look(bench.name)
        assert looked is not None
        assert looked.handle == handle
        assert await bench.cells.look(f"{bench.name}-none") is None
        with pytest.raises(CellGone):
            await bench.cells.environment(f"{bench.name}-none")

    async def test_another_plan_for_a_name_that_is_there_is_refused(self, bench: CellBench) -> None:
        made = await bench.cells.create(bench.plan(), no_progress)
        with pytest.raises(Conflict) as refused:
            await bench.cells.create(bench.plan(secrets={"KEY": "another"}), no_progress)
        assert refused.value.code == "cell_exists"
        assert "another" not in refused.value.message.replace("another plan", "")
        assert (await bench.cells.inspect(made.handle)).state == "created"

    @pytest.mark.parametrize("kind", ["container", "volume", "network"])
    async def test_somebody_elses_things_of_the_name_are_not_touched(self, bench: CellBench, kind: str) -> None:
        await bench.make_foreign(kind, bench.name)
        cells = bench.cells
        calls: dict[str, list[Callable[[], Awaitable[object]]]] = {
            "container": [lambda: cells.create(bench.plan(), no_progress)],
            "volume": [
                lambda: cells.create(bench.plan(), no_progress),
                lambda: cells.ensure_volume(bench.cell, bench.name),
                lambda: cells.remove_volume(bench.cell, bench.name),
            ],
            "network": [
                lambda: cells.ensure_network(bench.cell, bench.name),
                lambda: cells.remove_network(bench.cell, bench.name),
                lambda: cells.create(bench.plan(network=bench.name), no_progress),
            ],
        }
        for call in calls[kind]:
            with pytest.raises(Conflict) as refused:
                await call()
            assert refused.value.code == "foreign_object"
            assert "not made by clawtui" in refused.value.message
        if kind == "container":
            seen = await cells.look(bench.name)
            assert seen is not None
            assert (seen.handle, seen.ours) == (None, False)

    async def test_another_hub_sees_a_cell_and_changes_nothing(self, bench: CellBench) -> None:
        handle, other = await bench.started(), bench.other_hub()
        for call in (other.stop(handle, 1), other.kill(handle), other.pause(handle), other.inspect(handle)):
            with pytest.raises(CellGone):
                await call
        await other.remove(handle)
        with pytest.raises(Conflict):
            await other.create(bench.plan(), no_progress)
        with pytest.raises(Conflict):
            await other.remove_volume(bench.cell, bench.name)
        assert await other.cells() == []
        assert (await bench.cells.inspect(handle)).state == "running"

    async def test_an_earlier_incarnation_of_the_name_is_somebody_else(self, bench: CellBench) -> None:
        await bench.started()
        later = bench.plan(cell=CellId(bench.cell.instance, "later"))
        with pytest.raises(Conflict) as refused:
            await bench.cells.create(later, no_progress)
        assert refused.value.code == "foreign_object"
        assert await bench.cells.cells(later.cell) == []

    @pytest.mark.parametrize("code", [78, 1])
    async def test_how_it_ended_is_told(self, bench: CellBench, code: int) -> None:
        handle = await bench.started(bench.ending(code))
        seen = await _ended(bench, handle)
        assert (seen.exit_code, seen.oom_killed, seen.invalid_config) == (code, False, code == 78)

    async def test_out_of_memory_is_told(self, bench: CellBench) -> None:
        seen = await _ended(bench, await bench.started(bench.greedy()))
        assert (seen.exit_code, seen.oom_killed) == (137, True)

    async def test_pause_unpause_and_kill(self, bench: CellBench) -> None:
        handle = await bench.started()
        for _ in range(2):
            await bench.cells.pause(handle)
        assert (await bench.cells.inspect(handle)).state == "paused"
        await bench.cells.start(handle)
        assert (await bench.cells.inspect(handle)).state == "running"
        await bench.cells.pause(handle)
        await bench.cells.unpause(handle)
        await bench.cells.unpause(handle)
        for _ in range(2):
            await bench.cells.kill(handle)
        seen = await _ended(bench, handle)
        assert seen.exit_code == 137
        for call in (bench.cells.pause(handle), bench.cells.unpause(handle)):
            with pytest.raises(Conflict):
                await call

    async def test_a_renamed_cell_keeps_its_handle_and_frees_its_name(self, bench: CellBench) -> None:
        handle = await bench.started()
        previous = f"{bench.name}.previous"
        for _ in range(2):
            await bench.cells.rename(handle, previous)
        seen = await bench.cells.inspect(handle)
        assert (seen.name, seen.state) == (previous, "running")
        second = await bench.cells.create(bench.plan(), no_progress)
        assert {one.name for one in await bench.cells.cells(bench.cell)} == {bench.name, previous}
        with pytest.raises(Conflict):
            await bench.cells.rename(handle, bench.name)
        with pytest.raises(BadRequest):
            await bench.cells.rename(second.handle, "somebody")

    async def test_more_than_the_machine_has_is_limited_and_told(self, bench: CellBench) -> None:
        has = await bench.cells.capacity()
        assert has.cpus > 0
        assert has.memory_bytes > 0
        assert has.version
        assert has.name
        assert has.platform.startswith("linux/")
        plan = bench.plan(cpus=has.cpus + 1.5, memory_bytes=has.memory_bytes * 4)
        made = await bench.cells.create(plan, no_progress)
        assert len([note for note in made.notes if "limited to" in note]) == 2
        seen = await bench.cells.inspect(made.handle)
        assert (seen.cpus, seen.memory_bytes) == (float(has.cpus), has.memory_bytes)
        assert (await bench.cells.create(plan, no_progress)).handle == made.handle

    async def test_what_is_missing_is_named(self, bench: CellBench) -> None:
        for changes, code in (
            ({"image": "openclaw-cell-test/none:1"}, "image_missing"),
            ({"network": f"{bench.name}.none"}, "network_missing"),
            ({"volumes": (CellVolume("adopted-none", TARGET, adopted=True),)}, "volume_missing"),
        ):
            with pytest.raises(NotFound) as missing:
                await bench.cells.create(bench.plan(**changes), no_progress)
            assert missing.value.code == code
        assert await bench.cells.cells(bench.cell) == []
        assert await bench.cells.image("openclaw-cell-test/none:1") is None

    async def test_a_taken_port_is_named(self, bench: CellBench) -> None:
        port = bench.free_port()
        await bench.started(bench.plan(ports=(CellPort(port, 80),)))
        second = bench.plan(name=f"{bench.name}.second", ports=(CellPort(port, 80),))
        made = await bench.cells.create(second, no_progress)
        with pytest.raises(Conflict) as refused:
            await bench.cells.start(made.handle)
        assert (refused.value.code, refused.value.field) == ("port_taken", "port")
        assert str(port) in refused.value.message
        assert not (await bench.cells.inspect(made.handle)).runs

    async def test_a_network_of_its_own(self, bench: CellBench) -> None:
        network = await bench.cells.ensure_network(bench.cell, bench.name)
        assert await bench.cells.ensure_network(bench.cell, bench.name) == network
        assert network.subnet.rpartition(".")[0] == network.gateway.rpartition(".")[0]
        handle = await bench.started(bench.plan(network=bench.name))
        assert (await bench.cells.inspect(handle)).networks == (bench.name,)
        with pytest.raises(Conflict):
            await bench.cells.remove_network(bench.cell, bench.name)
        await bench.cells.remove(handle)
        for _ in range(2):
            await bench.cells.remove_network(bench.cell, bench.name)

    async def test_volumes_are_made_listed_and_removed_when_nobody_has_them(self, bench: CellBench) -> None:
        second = f"{bench.name}.second"
        for _ in range(2):
            await bench.cells.ensure_volume(bench.cell, second)
        handle = await bench.started()
        assert await bench.cells.volumes(bench.cell) == [bench.name, second]
        with pytest.raises(Conflict) as refused:
            await bench.cells.remove_volume(bench.cell, bench.name)
        assert refused.value.code == "volume_in_use"
        await bench.cells.remove(handle)
        for _ in range(2):
            await bench.cells.remove_volume(bench.cell, bench.name)
        assert await bench.cells.volumes(bench.cell) == [second]

    async def test_files_are_written_and_read_before_the_first_start_and_after(self, bench: CellBench) -> None:
        made = await bench.cells.create(bench.plan(), no_progress)
        path = f"{TARGET}/deep/er/openclaw.json"
        await bench.cells.put_file(made.handle, path, b'{"a": 1}', uid=1000)
        assert await bench.cells.get_file(made.handle, path) == b'{"a": 1}'
        await bench.cells.start(made.handle)
        await bench.cells.put_file(made.handle, path, b'{"a": 2}', uid=1000)
        assert await bench.cells.get_file(made.handle, path) == b'{"a": 2}'
        with pytest.raises(NotFound) as missing:
            await bench.cells.get_file(made.handle, f"{TARGET}/none")
        assert missing.value.code == "file_missing"
        for call in (
            bench.cells.get_file(made.handle, path, most_bytes=3),
            bench.cells.get_file(made.handle, f"{TARGET}/deep"),
            bench.cells.put_file(made.handle, f"{TARGET}/../x", b"", uid=0),
        ):
            with pytest.raises(BadRequest):
                await call

    async def test_logs_are_read_also_after_the_end(self, bench: CellBench) -> None:
        handle = await bench.started()

        async def printed() -> bool:
            return [line.text async for line in bench.cells.logs(handle, LogRequest())][-1:] == ["hello"]

        await wait_until(printed, "the container prints")
        await bench.cells.stop(handle, GRACE_SECONDS)
        assert [line.text async for line in bench.cells.logs(handle, LogRequest(lines=1))] == ["hello"]

    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"name": "somebody"}, "name"),
            ({"cell": CellId("Bad Name", "u")}, "cell"),
            ({"environment": {"A B": "x"}}, "environment"),
            ({"secrets": {"KEY": "two\nlines"}}, "environment"),
            ({"environment": {"KEY": "twice"}}, "secrets"),
            ({"cpus": 0.0}, "cpus"),
            ({"memory_bytes": 1000}, "memory_bytes"),
            ({"pids": 0}, "pids"),
            ({"ports": (CellPort(70_000, 1),)}, "ports"),
            ({"ports": (CellPort(7_000, 1, "everywhere"),)}, "ports"),
            ({"volumes": (CellVolume("mine", TARGET),)}, "volumes"),
            ({"volumes": (CellVolume("openclaw-cell-x", "relative"),)}, "volumes"),
            ({"network": "host"}, "network"),
            ({"capabilities": ("ALL",)}, "capabilities"),
            ({"extra_hosts": ("nonsense",)}, "extra_hosts"),
        ],
    )
    async def test_a_plan_that_cannot_be_meant(self, bench: CellBench, changes: dict[str, object], field: str) -> None:
        with pytest.raises(BadRequest) as refused:
            await bench.cells.create(bench.plan(**changes), no_progress)
        assert refused.value.field == field
        assert "two\nlines" not in refused.value.message
        assert await bench.cells.cells(bench.cell) == []

    async def test_a_volume_goes_into_an_archive_and_comes_back(self, bench: CellBench, tmp_path: Path) -> None:
        cells, target, copy = bench.cells, tmp_path / "state.tar", f"{bench.name}.restored"
        handle = await bench.started()
        await cells.put_file(handle, f"{TARGET}/conversation", b"hello" * 1000, uid=1000, mode=0o640)
        await cells.put_file(handle, f"{TARGET}/agents/a/état.sqlite", b"\0" * 70_000, uid=1000)
        await cells.stop(handle, GRACE_SECONDS)
        lines: list[tuple[float, str]] = []
        made = await cells.archive(
            bench.cell, bench.name, target, Bounds(), lambda done, text: lines.append((done, text))
        )
        assert made.content_bytes == 75_000
        assert (made.size_bytes, made.path) == (target.stat().st_size, target)
        assert made.entries >= 2
        assert lines
        assert all(0 <= done <= 1 for done, _ in lines)
        await cells.ensure_volume(bench.cell, copy)
        assert await cells.unarchive(bench.cell, copy, target, made.sha256, Bounds(), no_progress) == ()
        second = await cells.create(
            bench.plan(name=f"{bench.name}.copy", volumes=(CellVolume(copy, TARGET),)), no_progress
        )
        assert await cells.get_file(second.handle, f"{TARGET}/conversation") == b"hello" * 1000
        assert await cells.get_file(second.handle, f"{TARGET}/agents/a/état.sqlite") == b"\0" * 70_000
        with pytest.raises(Conflict) as refused:
            await cells.unarchive(bench.cell, copy, target, made.sha256, Bounds(), no_progress)
        assert refused.value.code == "volume_in_use"

    async def test_an_archive_keeps_to_its_bounds(self, bench: CellBench, tmp_path: Path) -> None:
        cells, target = bench.cells, tmp_path / "state.tar"
        handle = await bench.started()
        await cells.put_file(handle, f"{TARGET}/large", b"x" * 300_000, uid=1000)
        await cells.put_file(handle, f"{TARGET}/small", b"x", uid=1000)
        for bounds in (Bounds(most_bytes=1_000), Bounds(most_entries=1)):
            with pytest.raises(TooLarge):
                await cells.archive(bench.cell, bench.name, target, bounds, no_progress)
            assert not target.exists()
        made = await cells.archive(bench.cell, bench.name, target, Bounds(), no_progress)
        copy = f"{bench.name}.restored"
        await cells.ensure_volume(bench.cell, copy)
        for bounds in (Bounds(most_bytes=1_000), Bounds(most_entries=1)):
            with pytest.raises(TooLarge):
                await cells.unarchive(bench.cell, copy, target, made.sha256, bounds, no_progress)
        with pytest.raises(BadRequest) as changed:
            await cells.unarchive(bench.cell, copy, target, "0" * 64, Bounds(), no_progress)
        assert changed.value.code == "archive_damaged"
        assert await cells.unarchive(bench.cell, copy, target, made.sha256, Bounds(), no_progress) == ()

    async def test_archives_of_volumes_that_are_not_the_instances(self, bench: CellBench, tmp_path: Path) -> None:
        await bench.make_foreign("volume", f"{bench.name}.foreign")
        target = tmp_path / "a.tar"
        for name, kind in ((f"{bench.name}.foreign", Conflict), (f"{bench.name}.none", NotFound)):
            with pytest.raises(kind):
                await bench.cells.archive(bench.cell, name, target, Bounds(), no_progress)
            with pytest.raises(kind):
                await bench.cells.unarchive(bench.cell, name, target, "0" * 64, Bounds(), no_progress)
        assert not target.exists()
        await bench.cells.ensure_volume(bench.cell, bench.name)
        with pytest.raises(HubError) as missing:
            await bench.cells.unarchive(bench.cell, bench.name, target, "0" * 64, Bounds(), no_progress)
        assert missing.value.code == "archive_missing"

    async def test_a_hostile_archive_changes_nothing(self, bench: CellBench, tmp_path: Path) -> None:
        hostile = tmp_path / "hostile.tar"
        hostile.write_bytes(tar_of(("good", b"x"), ("../out", b"x")))
        digest = hashlib.sha256(hostile.read_bytes()).hexdigest()
        await bench.cells.ensure_volume(bench.cell, bench.name)
        with pytest.raises(BadRequest) as refused:
            await bench.cells.unarchive(bench.cell, bench.name, hostile, digest, Bounds(), no_progress)
        assert refused.value.code == "archive_damaged"
        made = await bench.cells.create(bench.plan(), no_progress)
        with pytest.raises(NotFound):
            await bench.cells.get_file(made.handle, f"{TARGET}/good")


async def _ended(bench: CellBench, handle: CellHandle) -> CellSeen:
    async def over() -> bool:
        return (await bench.cells.inspect(handle)).state == "exited"

    await wait_until(over, "the container ends")
    return await bench.cells.inspect(handle)


def tar_of(*entries: tuple[str, bytes] | tarfile.TarInfo) -> bytes:
    """Return an archive of files and of entries as they are."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for entry in entries:
            if isinstance(entry, tarfile.TarInfo):
                tar.addfile(entry)
                continue
            info = tarfile.TarInfo(entry[0])
            info.size = len(entry[1])
            tar.addfile(info, io.BytesIO(entry[1]))
    return buffer.getvalue()
