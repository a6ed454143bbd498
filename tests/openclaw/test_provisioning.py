"""Real OpenClaw in containers: one of each tier answers, Compose takes its files, nothing is left of it, and a hub that
was killed goes on."""

from __future__ import annotations

import asyncio
import secrets
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.end_to_end.harness import eventually
from tests.hub.running import short_folder
from tests.openclaw.provisioned import STUB_KEY, Run, docker, running, say

pytestmark = [pytest.mark.docker, pytest.mark.openclaw, pytest.mark.timeout(900)]


@pytest.fixture
def home() -> Iterator[Path]:
    with short_folder() as folder:
        yield folder / "hub"


def unique(word: str) -> str:
    """A name that no other test has, also not one that runs beside this one."""
    return f"{word}-{secrets.token_hex(3)}"


def objects(name: str) -> list[str]:
    """Everything of an instance that Docker knows."""
    named = f"name=openclaw-cell-{name}"
    found = [docker("ps", "-aq", "-f", named), docker("volume", "ls", "-q", "-f", named)]
    return "".join([*found, docker("network", "ls", "-q", "-f", named)]).split()


LONG = pytest.mark.soak
"""A real gateway takes a minute to be ready; one tier stands for all in every run."""


@pytest.mark.parametrize("tier", [pytest.param("free", marks=LONG), "pro", pytest.param("enterprise", marks=LONG)])
async def test_a_gateway_of_each_tier_answers_and_leaves_nothing(
    home: Path, tier: str, record_testsuite_property: Callable[[str, object], None]
) -> None:
    name = unique(tier)
    async with running(home) as run:
        credentials, job_id = await run.provision(name, tier)
        job = await run.ended(job_id)
        assert job["state"] == "succeeded", job
        view = await run.hub.call("GET", f"/gateways/{name}")
        assert (view["state"], view["origin"]) == ("ready", "provisioned")
        assert view["instance"]["phase"] == "running"
        assert view["instance"]["deploySeconds"] < 180
        record_testsuite_property(f"deploy_seconds_{tier}", view["instance"]["deploySeconds"])
        assert await say(credentials, f"{{{{say ready for {tier}}}}}") == (200, f"ready for {tier}")
        assert (await say({**credentials, "token": "another-token-0123"}, "x"))[0] == 401
        compose_takes_the_files(home / "gateways" / name)
        no_secret_is_shown(run, name, credentials["token"])
        await run.destroy(name)
        assert objects(name) == []
        assert not (home / "gateways" / name).exists()


def compose_takes_the_files(folder: Path) -> None:
    done = subprocess.run(
        ["docker-compose", "config"], cwd=folder, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert STUB_KEY in done.stdout, "its .env is read"


def no_secret_is_shown(run: Run, name: str, token: str) -> None:
    """Neither in the hub's own log nor in the arguments of any process."""
    shown = run.hub.log + docker("inspect", "--format", "{{json .Config.Cmd}} {{json .Config.Labels}}", cell(name))
    for secret in (token, STUB_KEY):
        assert secret not in shown


def cell(name: str) -> str:
    return f"openclaw-cell-{name}"


@LONG
async def test_an_invalid_configuration_is_told_in_words_and_left_for_inspection(home: Path) -> None:
    name = unique("bad")
    async with running(home) as run:
        _, job_id = await run.provision(name, "pro", config={"nobodyKnowsThis": True})
        job = await run.ended(job_id)
        assert job["state"] == "failed"
        assert "configuration is invalid (exit code 78)" in job["error"]["message"]
        assert "nobodyKnowsThis" in job["error"]["message"]
        assert docker("inspect", "--format", "{{.State.Status}}", cell(name)).strip() == "exited"
        await run.destroy(name)
        assert objects(name) == []


@LONG
async def test_a_hub_that_is_killed_while_it_provisions_goes_on(home: Path) -> None:
    name = unique("kill")
    async with running(home) as run:
        credentials, job_id = await run.provision(name, "pro")

        async def made() -> bool:
            return bool(await asyncio.to_thread(docker, "ps", "-aq", "-f", f"name={cell(name)}"))

        await eventually(made, seconds=200, what="the container is there")
        run.hub.kill()
        await run.hub.start()
        job = await run.ended(job_id)
        assert job["state"] == "succeeded", job
        assert await say(credentials, "{{say still here}}") == (200, "still here")
        assert len(docker("ps", "-aq", "-f", f"name={cell(name)}").split()) == 1
