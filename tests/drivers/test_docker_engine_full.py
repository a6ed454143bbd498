"""An engine whose disk is full: a create says so and leaves nothing, what runs goes on, and space brings it back."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from hub.contract import CreateAgent, DiskQuery
from tests.drivers import second_engine
from tests.drivers.test_docker_engine_faults import PATIENCE_SECONDS, base_image, clear, hub_on, make, said, survivors

NO_ENGINE = second_engine.missing()
pytestmark = [pytest.mark.docker, pytest.mark.skipif(NO_ENGINE is not None, reason=NO_ENGINE or "")]

DISK_BYTES = 1 << 30


def fill(folder: Path) -> Path:
    """Take all space that is left, to the last block."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(folder).free)
            while True:
                file.seek(0, os.SEEK_END)
                file.write(b"x" * 4096)
        except OSError:
            return ballast


async def test_a_full_disk_of_the_engine_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    image = await base_image(tmp_path)
    with second_engine.second_engine([image], disk_bytes=DISK_BYTES) as engine:
        async with hub_on(engine) as hub:
            await make(hub, ["one"])
            ballast = fill(engine.data)
            job = await hub.control.create_agent(CreateAgent(name="two", driver="docker", network="none"))
            ended = await hub.control.job(job.id, PATIENCE_SECONDS)
            assert ended.state == "failed"
            assert ended.error is not None
            assert "no space left on device" in ended.error.message.lower()
            assert sorted(hub.kernel.fleet.agents) == ["one"]
            assert not [name for name in survivors(engine) if "two" in name]
            assert (await hub.control.agent("one")).status == "online"
            # The disk view is what helps now: it needs no space itself.
            rows = {(row.place, row.kind): row for row in (await hub.control.disk(DiskQuery())).rows}
            assert rows["docker", "volumes"].count == 2
            ballast.unlink()
            await make(hub, ["two"])
            assert await said(hub, "two", "echo well > file && cat file") == "well\n"
            await clear(hub, ["one", "two"])
        assert survivors(engine) == []
