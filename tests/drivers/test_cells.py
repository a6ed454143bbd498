"""The contract of engines for gateways, on the one in memory and on a real one."""

from __future__ import annotations

import contextlib
import itertools
import socket
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from hub.drivers.base import RestartPolicy
from hub.drivers.cells import CellHandle, CellPlan, Cells
from hub.drivers.docker import DockerDriver
from hub.drivers.docker.engine import Call, EngineNotFound
from hub.drivers.fake import Behaviour, FakeCells, FakeEngine
from hub.drivers.fake.cells_engine import FakeCell, FakeObject
from tests.drivers.cells_contract import MIB, CellBench, CellContract
from tests.drivers.docker_bench import BASE_IMAGE, Outside, Reach, build_options

RUNS = "trap 'exit 0' TERM; echo hello; while :; do sleep 0.1; done"


class FakeCellBench(CellBench):
    image = "runs:1"

    def __init__(self) -> None:
        super().__init__()
        self.engine = FakeEngine()
        self.engine.offer(self.image, Behaviour(log=("hello",)), local=True)
        self._cells = FakeCells("hub-a", self.engine)
        self._ports = itertools.count(20_000)

    def runs(self) -> tuple[str, ...]:
        return ("run",)

    @property
    def cells(self) -> Cells:
        return self._cells

    def other_hub(self) -> Cells:
        return FakeCells("hub-b", self.engine)

    def ending(self, exit_code: int) -> CellPlan:
        self.engine.offer("ends:1", Behaviour(exit_code=exit_code), local=True)
        return self.plan(image="ends:1")

    def greedy(self) -> CellPlan:
        self.engine.offer("greedy:1", Behaviour(oom_killed=True), local=True)
        return self.plan(image="greedy:1")

    async def make_foreign(self, kind: str, name: str) -> None:
        if kind == "container":
            handle = CellHandle("", "", uuid.uuid4().hex)
            plan, image = self.plan(name=name), self.engine.images[self.image]
            self.engine.containers[handle.container] = FakeCell("", handle, name, plan, image, image.behaviour, 0)
        elif kind == "network":
            self.engine.networks[name] = FakeObject(None)
        else:
            self.engine.volumes[name] = FakeObject(None)

    def free_port(self) -> int:
        return next(self._ports)

    async def close(self) -> None:
        await self._cells.close()


class DockerCellBench(CellBench):
    """Containers of plain Debian; `outside` is the engine without the driver."""

    image = BASE_IMAGE

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self.hub_id = f"cells-{uuid.uuid4().hex[:12]}"
        self.outside = Outside()
        self._drivers: list[DockerDriver] = []
        self._foreign: list[tuple[str, str]] = []
        self.driver = self.make_driver(self.hub_id)

    def make_driver(self, hub_id: str, base_url: str | None = None) -> DockerDriver:
        driver = DockerDriver(Reach(hub_id, self.folder), build=build_options(), base_url=base_url)
        self._drivers.append(driver)
        return driver

    def runs(self) -> tuple[str, ...]:
        return ("sh", "-c", RUNS)

    @property
    def cells(self) -> Cells:
        return self.driver.cells

    def other_hub(self) -> Cells:
        return self.make_driver(f"{self.hub_id}-other").cells

    def ending(self, exit_code: int) -> CellPlan:
        return self.plan(command=("sh", "-c", f"exit {exit_code}"))

    def greedy(self) -> CellPlan:
        return self.plan(command=("sh", "-c", "exec tail /dev/zero"), memory_bytes=16 * MIB)

    async def make_foreign(self, kind: str, name: str) -> None:
        marks = {"made-by": "somebody"}
        match kind:
            case "container":
                self.outside.make_container(name, Labels=marks)
            case "network":
                self.outside.post("/networks/create", {"Name": name, "Labels": marks})
            case _:
                self.outside.post("/volumes/create", {"Name": name, "Labels": marks})
        self._foreign.append((kind, name))

    def free_port(self) -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return probe.getsockname()[1]

    async def close(self) -> None:
        for kind, name in self._foreign:
            self.outside.engine.call(Call("DELETE", f"/{kind}s/{name}", {"force": "1"} if kind == "container" else {}))
        mine = msgspec.json.encode({"label": [f"clawtui.hub-id={self.hub_id}"]}).decode()
        for entry in self.outside.get("/containers/json", all="1", filters=mine):
            self.outside.remove_container(entry["Id"])
        for entry in self.outside.get("/volumes", filters=mine)["Volumes"] or []:
            self.outside.remove_volume(entry["Name"])
        for entry in self.outside.get("/networks", filters=mine):
            with contextlib.suppress(EngineNotFound):
                self.outside.engine.call(Call("DELETE", f"/networks/{entry['Id']}"))
        for driver in self._drivers:
            await driver.stop_driver()
        self.outside.close()


class TestFakeCells(CellContract):
    @pytest.fixture
    async def bench(self) -> AsyncIterator[CellBench]:
        made = FakeCellBench()
        yield made
        await made.close()

    async def test_a_container_that_ends_is_started_again_and_again(self) -> None:
        bench = FakeCellBench()
        plan = msgspec.structs.replace(bench.ending(78), restart=RestartPolicy.UNLESS_STOPPED)
        handle = await bench.started(plan)
        seen = [await bench.cells.inspect(handle) for _ in range(3)]
        assert [one.state for one in seen] == ["restarting"] * 3
        assert [one.restarts for one in seen] == [1, 2, 3]
        assert seen[-1].invalid_config


@pytest.mark.docker
class TestDockerCells(CellContract):
    @pytest.fixture
    async def bench(self, tmp_path: Path) -> AsyncIterator[CellBench]:
        made = DockerCellBench(tmp_path)
        yield made
        await made.close()
