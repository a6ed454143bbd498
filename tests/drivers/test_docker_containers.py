"""Containers of other people on a real engine: the contract, and that a hub's stop waits for no restart."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hub.drivers.containers import Containers
from hub.drivers.docker import DockerDriver
from hub.drivers.docker.containers import Said
from tests.drivers.containers_contract import (
    FOLDER_AT,
    READ_ONLY_AT,
    VOLUME_AT,
    ContainerBench,
    ContainersContract,
)
from tests.drivers.docker_bench import Outside, Reach

pytestmark = pytest.mark.docker

PROGRAMS = {
    "tell": 'echo "$WORD"; echo oops >&2; exit 3',
    "forever": "sleep 600 & wait",
    "flood": "yes | head -c 50000000; sleep 600",
    # Its own session would outlive its shell: TERM is answered after as long as the file says.
    "gateway": "trap 'sleep \"$(cat /folder/drain 2>/dev/null || echo 0)\"; exit 0' TERM; while :; do sleep 0.1; done",
}


class DockerContainerBench(ContainerBench):
    def __init__(self, folder: Path) -> None:
        self.name = f"clawtui-test-gateway-{uuid.uuid4().hex[:12]}"
        self.folder = str(folder / "shared")
        self.volume = f"{self.name}-volume"
        self.outside = Outside()
        programs = folder / "programs"
        for place in (programs, Path(self.folder)):
            place.mkdir()
        for name, text in PROGRAMS.items():
            (programs / name).write_text(f"#!/bin/sh\n{text}\n")
            (programs / name).chmod(0o755)
        self.outside.make_container(
            self.name,
            Cmd=["gateway"],
            Env=["SEEN=yes", "TOKEN=secret", f"PATH={READ_ONLY_AT}:/usr/bin:/bin"],
            HostConfig={
                "NetworkMode": "none",
                "Binds": [
                    f"{self.folder}:{FOLDER_AT}", f"{self.volume}:{VOLUME_AT}", f"{programs}:{READ_ONLY_AT}:ro",
                ],
            },
        )  # fmt: skip
        self.outside.post(f"/containers/{self.name}/start")
        self._reach = Reach("test", folder)
        self._driver = DockerDriver(self._reach)
        self._away = DockerDriver(self._reach, base_url=f"unix://{folder}/none.sock")

    @property
    def containers(self) -> Containers:
        return self._driver.containers

    @property
    def away(self) -> Containers:
        return self._away.containers

    async def stop(self) -> None:
        self.outside.post(f"/containers/{self.name}/stop", t="5")

    async def starts(self) -> object:
        state = self.outside.container(self.name)["State"]
        return state["StartedAt"]

    async def left_running(self) -> list[str]:
        rows = self.outside.get(f"/containers/{self.name}/top")["Processes"]
        mine = ("sleep 600", "forever", "flood", "yes")
        return [row[-1] for row in rows if any(word in row[-1] for word in mine) and "defunct" not in row[-1]]

    async def drain(self, seconds: float) -> None:
        Path(self.folder, "drain").write_text(str(seconds))

    async def close(self) -> None:
        for driver in (self._driver, self._away):
            await driver.stop_driver()
        self.outside.remove_container(self.name)
        self.outside.remove_volume(self.volume)
        self.outside.close()


class TestDockerContainers(ContainersContract):
    @pytest.fixture
    async def containers_bench(self, tmp_path: Path) -> AsyncIterator[ContainerBench]:
        bench = DockerContainerBench(tmp_path)
        yield bench
        await bench.close()


def test_frames_cut_anywhere_are_put_together() -> None:
    frames = b"\x02\0\0\0\0\0\0\x03" + b"17\n" + b"\x01\0\0\0\0\0\0\x04" + b"out\n" + b"\x02\0\0\0\0\0\0\x01" + b"e"
    for size in (1, 3, 5, len(frames)):
        said = Said()
        for start in range(0, len(frames), size):
            said.feed(frames[start : start + size])
        assert (said.pid, said.texts()) == (17, (b"out\n", b"e"))
    nothing = Said()
    nothing.feed(b"\x02\0\0\0\0\0\0\x0a" + b"no program")
    assert (nothing.pid, nothing.texts()) == (None, (b"", b"no program"))
