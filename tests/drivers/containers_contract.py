"""What every driver with containers must do, as one test class; `ContainerBench` is what a platform supplies."""

from __future__ import annotations

import abc
import asyncio

import pytest

from hub.drivers.containers import MOST_OUTPUT_BYTES, Containers, MountKind
from hub.errors import Conflict, DriverFailed, NotFound

LONG_SECONDS = 60.0
READ_ONLY_AT, FOLDER_AT, VOLUME_AT = "/fixed", "/folder", "/volume"


class ContainerBench(abc.ABC):
    """One platform with a container `name` that runs and has, beside what the platform needs, a folder at FOLDER_AT, a
    volume at VOLUME_AT, something read-only at READ_ONLY_AT, the variables SEEN=yes and TOKEN=secret, and the programs
    `tell` (says `$WORD` to stdout and `oops` to stderr, ends with 3), `forever` and `flood` (says more than is kept).
    """

    name: str
    folder: str
    """What is mounted at FOLDER_AT."""

    @property
    @abc.abstractmethod
    def containers(self) -> Containers: ...

    @property
    @abc.abstractmethod
    def away(self) -> Containers:
        """The same where the platform does not answer."""

    @abc.abstractmethod
    async def stop(self) -> None:
        """The container ends, and is still there."""

    @abc.abstractmethod
    async def starts(self) -> object:
        """Something that is another after every start."""

    @abc.abstractmethod
    async def left_running(self) -> list[str]:
        """The programs in the container that `execute` has begun and that run."""

    @abc.abstractmethod
    async def drain(self, seconds: float) -> None:
        """From now on the container takes so long to end."""

    @abc.abstractmethod
    async def close(self) -> None: ...


class ContainersContract:
    """The tests; a subclass has a fixture `containers_bench`."""

    @pytest.fixture
    def containers_bench(self) -> ContainerBench:
        raise NotImplementedError("a subclass supplies the bench")

    async def test_what_it_mounts_is_seen(self, containers_bench: ContainerBench) -> None:
        seen = await containers_bench.containers.look(containers_bench.name, ["SEEN", "NONE"])
        assert (seen.name, seen.running, seen.state) == (containers_bench.name, True, "running")
        mounts = {mount.destination: mount for mount in seen.mounts}
        folder, volume = mounts[FOLDER_AT], mounts[VOLUME_AT]
        assert (folder.kind, folder.source, folder.volume, folder.writable) == (
            MountKind.BIND, containers_bench.folder, "", True,
        )  # fmt: skip
        assert (volume.kind, bool(volume.volume), volume.source.startswith("/")) == (MountKind.VOLUME, True, True)
        assert mounts[READ_ONLY_AT].writable is False
        assert seen.variables == {"SEEN": "yes"}, "what was not asked for may be a secret"

    async def test_a_program_runs_in_it(self, containers_bench: ContainerBench) -> None:
        environment = {"WORD": "a b; $HOME"}
        ended = await containers_bench.containers.execute(containers_bench.name, ["tell"], environment, LONG_SECONDS)
        assert (ended.code, ended.output, ended.errors) == (3, b"a b; $HOME\n", b"oops\n")

    async def test_a_program_that_is_not_there(self, containers_bench: ContainerBench) -> None:
        ended = await containers_bench.containers.execute(containers_bench.name, ["no-such"], {}, LONG_SECONDS)
        assert ended.code in (126, 127)

    async def test_one_that_does_not_end_is_ended(self, containers_bench: ContainerBench) -> None:
        async with asyncio.timeout(LONG_SECONDS):
            ended = await containers_bench.containers.execute(containers_bench.name, ["forever"], {}, 1.0)
        assert ended.code is None
        async with asyncio.timeout(LONG_SECONDS):
            while await containers_bench.left_running():
                await asyncio.sleep(0.05)

    async def test_one_that_says_too_much_is_ended(self, containers_bench: ContainerBench) -> None:
        async with asyncio.timeout(LONG_SECONDS):
            ended = await containers_bench.containers.execute(containers_bench.name, ["flood"], {}, LONG_SECONDS)
        assert (ended.code, len(ended.output)) == (None, MOST_OUTPUT_BYTES)
        async with asyncio.timeout(LONG_SECONDS):
            while await containers_bench.left_running():
                await asyncio.sleep(0.05)

    async def test_it_is_restarted_also_when_it_had_ended(self, containers_bench: ContainerBench) -> None:
        before = await containers_bench.starts()
        assert await containers_bench.containers.restart(containers_bench.name, 5.0, LONG_SECONDS) is True
        between = await containers_bench.starts()
        assert between != before
        await containers_bench.stop()
        assert await containers_bench.containers.restart(containers_bench.name, 5.0, LONG_SECONDS) is True
        assert await containers_bench.starts() != between
        assert (await containers_bench.containers.look(containers_bench.name)).running

    async def test_one_that_takes_its_time_to_end_is_not_waited_for(self, containers_bench: ContainerBench) -> None:
        await containers_bench.drain(5.0)
        before = await containers_bench.starts()
        assert await containers_bench.containers.restart(containers_bench.name, 30.0, 0.5) is False
        async with asyncio.timeout(LONG_SECONDS):
            while await containers_bench.starts() == before:
                await asyncio.sleep(0.05)

    async def test_what_does_not_run_runs_no_program(self, containers_bench: ContainerBench) -> None:
        await containers_bench.stop()
        seen = await containers_bench.containers.look(containers_bench.name)
        assert (seen.running, bool(seen.mounts)) == (False, True)
        with pytest.raises(Conflict) as caught:
            await containers_bench.containers.execute(containers_bench.name, ["tell"], {}, LONG_SECONDS)
        assert (caught.value.code, seen.state in caught.value.message) == ("container_not_running", True)

    async def test_what_is_not_there_is_named(self, containers_bench: ContainerBench) -> None:
        containers, name = containers_bench.containers, f"{containers_bench.name}-none"
        for call in (
            containers.look(name),
            containers.execute(name, ["tell"], {}, LONG_SECONDS),
            containers.restart(name, 1.0, LONG_SECONDS),
        ):
            with pytest.raises(NotFound) as caught:
                await call
            assert (caught.value.code, name in caught.value.message, bool(caught.value.hint)) == (
                "container_gone", True, True,
            )  # fmt: skip

    async def test_a_platform_that_does_not_answer_says_so(self, containers_bench: ContainerBench) -> None:
        away, name = containers_bench.away, containers_bench.name
        for call in (
            away.look(name),
            away.execute(name, ["tell"], {}, LONG_SECONDS),
            away.restart(name, 1.0, LONG_SECONDS),
        ):
            with pytest.raises(DriverFailed) as caught:
                await call
            assert caught.value.hint
