"""A real OpenClaw in a container of a real engine, laid out as in the official image, checks what a sync writes."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hub.drivers.docker import DockerDriver
from hub.sync import container
from tests.drivers.docker_bench import Outside, Reach
from tests.hub.sync.syncing import syncing
from tests.openclaw.installation import CURRENT, OLDER, cache_folder, node, program

pytestmark = [pytest.mark.openclaw, pytest.mark.docker]

INSIDE = "/home/node/.openclaw"


@pytest.fixture(params=[CURRENT, OLDER])
async def box(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[str, str, DockerDriver]]:
    """A version, and a container with the folder `tmp_path / "oc"` where OpenClaw has it."""
    name, runner = f"clawtui-test-oc-{uuid.uuid4().hex[:12]}", node()
    assert runner is not None
    (tmp_path / "oc").mkdir()
    outside, driver = Outside(), DockerDriver(Reach("test", tmp_path))
    outside.make_container(
        name,
        Cmd=["sleep", "600"],
        Env=[f"PATH={runner.parent}:/usr/bin:/bin", f"OPENCLAW_STATE_DIR={INSIDE}", "HOME=/home/node"],
        WorkingDir=str(program(request.param).parent),
        HostConfig={
            "NetworkMode": "none",
            "Init": True,
            "Binds": [f"{cache_folder()}:{cache_folder()}:ro", f"{tmp_path}/oc:{INSIDE}"],
        },
    )
    outside.post(f"/containers/{name}/start")
    yield request.param, name, driver
    await driver.stop_driver()
    outside.remove_container(name)
    outside.close()


@pytest.mark.timeout(300)
async def test_it_checks_what_is_written_and_refuses_what_it_does_not_know(
    tmp_path: Path, box: tuple[str, str, DockerDriver]
) -> None:
    version, name, driver = box
    async with syncing(
        tmp_path / "oc", "ann", container=name, containers=driver.containers, restart_command=[],
        prepare=lambda one: setattr(one.gateway, "version", version),
    ) as one:  # fmt: skip
        await one.until_states(ann="in-step")
        state = one.loop.state
        assert (state.problem, state.notes) == ("", ())
        text = one.config.read_text()
        assert f"{INSIDE}/agents/ann" in text
        # What a person adds that we know nothing of and the gateway refuses, when it is written by us.
        argv = ("/bin/sh", "-c", container.VALIDATE)
        wrong = {**json.loads(text), "nonsense": 1}
        (tmp_path / "oc" / "wrong.json").write_text(json.dumps(wrong))
        ended = await driver.containers.execute(name, argv, {"OPENCLAW_CONFIG_PATH": f"{INSIDE}/wrong.json"}, 60.0)
        assert ended.code == 1
        assert container.read_answer(ended.output)
