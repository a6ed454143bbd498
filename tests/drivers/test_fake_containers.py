"""Containers of the fake platform: the contract like everybody else's."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from hub.drivers.containers import MOST_OUTPUT_BYTES, Containers, Executed, Mounted, MountKind
from hub.drivers.fake import FakeContainer, FakeDriver, FakePlatform
from tests.drivers.containers_contract import (
    FOLDER_AT,
    READ_ONLY_AT,
    VOLUME_AT,
    ContainerBench,
    ContainersContract,
)


class FakeContainerBench(ContainerBench):
    def __init__(self) -> None:
        self.name, self.folder = "gateway", "/srv/openclaw"
        self.platform = FakePlatform()
        self.container = FakeContainer(
            Mounted(kind=MountKind.BIND, source=self.folder, destination=FOLDER_AT),
            Mounted(kind=MountKind.VOLUME, source="/volumes/v/_data", destination=VOLUME_AT, volume="v"),
            Mounted(kind=MountKind.BIND, source="/etc", destination=READ_ONLY_AT, writable=False),
            SEEN="yes",
            TOKEN="secret",
        )
        self.container.programs = {
            "tell": lambda _, environ: Executed(code=3, output=f"{environ['WORD']}\n".encode(), errors=b"oops\n"),
            "forever": lambda *_: None,
            "flood": lambda *_: Executed(code=0, output=b"x" * (MOST_OUTPUT_BYTES + 1)),
        }
        self.platform.containers[self.name] = self.container

    @property
    def containers(self) -> Containers:
        return FakeDriver("hub", self.platform).containers

    @property
    def away(self) -> Containers:
        platform = FakePlatform()
        platform.away = "nobody answers"
        return FakeDriver("hub", platform).containers

    async def stop(self) -> None:
        self.container.state = "exited"

    async def starts(self) -> object:
        return self.container.starts

    async def left_running(self) -> list[str]:
        return ["forever"] * self.container.left_running

    async def drain(self, seconds: float) -> None:
        self.container.drains_seconds = seconds

    async def close(self) -> None:
        self.platform.containers.clear()


class TestFakeContainers(ContainersContract):
    @pytest.fixture
    async def containers_bench(self) -> AsyncIterator[ContainerBench]:
        bench = FakeContainerBench()
        yield bench
        await bench.close()
