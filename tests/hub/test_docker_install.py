"""Installing an engine: which commands for which machine, and how a plan is executed."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import msgspec
import pytest

from hub.docker_install import EngineFacts, InstallPlan, Step, docker_install_plan, probe_engine, run_plan
from hub.errors import DriverFailed

BARE = EngineFacts(system="linux", distribution="debian", version="12", root=True, user="root")


def commands(**changes: object) -> list[str]:
    plan = docker_install_plan(msgspec.structs.replace(BARE, **changes))
    assert all(step.why for step in plan.steps)
    return [" ".join(step.command) for step in plan.steps]


def test_a_bare_debian_without_systemd() -> None:
    update, install, start, wait = commands()
    assert update == "apt-get update"
    assert install.endswith("-y --no-install-recommends docker.io iptables")
    assert start.startswith("sh -c ")
    assert "setsid dockerd" in start
    assert wait.startswith("docker version")


def test_an_ubuntu_with_systemd_as_a_user() -> None:
    facts = {"distribution": "ubuntu", "family": ("debian",), "version": "24.04", "root": False, "sudo": True}
    found = commands(**facts, systemd=True, user="ann", has_iptables=True)
    assert all(command.startswith("sudo ") for command in found)
    assert found[1].endswith(" docker.io")
    assert "sudo systemctl enable --now docker" in found
    assert found[-1] == "sudo usermod -aG docker ann"


def test_debian_13_has_the_command_in_its_own_package() -> None:
    assert commands(version="13")[1].endswith("docker.io docker-cli iptables")
    assert commands(version="")[1].endswith("docker.io docker-cli iptables"), "testing and unstable have no number"


def test_an_engine_that_is_only_stopped_is_only_started() -> None:
    found = commands(has_client=True, has_daemon=True, has_iptables=True)
    assert len(found) == 2
    assert "dockerd" in found[0]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"answers": True}, "already"),
        ({"root": False}, "root"),
        ({"distribution": "fedora", "version": "40"}, "dnf"),
        ({"distribution": "manjaro", "family": ("arch",)}, "pacman"),
        ({"system": "darwin", "distribution": ""}, "Docker Desktop"),
        ({"distribution": "gentoo"}, "https://docs.docker.com"),
    ],
)
def test_where_nothing_can_be_installed_it_says_how_or_why(changes: dict[str, object], says: str) -> None:
    plan = docker_install_plan(msgspec.structs.replace(BARE, **changes))
    assert not plan.possible
    assert says in plan.instructions


def test_this_machine_can_be_looked_at() -> None:
    facts = probe_engine(answers=False)
    assert facts.system == sys.platform
    assert facts.user
    plan = docker_install_plan(facts)
    assert plan.possible or plan.instructions


def shell(script: str, retry_seconds: float = 0.0) -> Step:
    return Step(command=("sh", "-c", script), why="a test", retry_seconds=retry_seconds)


async def test_output_is_told_while_the_steps_run() -> None:
    told: list[str] = []
    await run_plan(InstallPlan(steps=(shell("echo one; echo two >&2"), shell("echo three"))), told.append)
    assert told == ["[1/2] sh -c echo one; echo two >&2", "one", "two", "[2/2] sh -c echo three", "three"]


async def test_a_failed_step_ends_the_plan(tmp_path: Path) -> None:
    plan = InstallPlan(steps=(shell("exit 3"), shell(f"touch {tmp_path / 'late'}")))
    with pytest.raises(DriverFailed, match="step 1 of 2 failed with exit code 3"):
        await run_plan(plan, lambda _line: None)
    assert not (tmp_path / "late").exists()


async def test_a_program_that_is_not_there_is_a_failed_step() -> None:
    told: list[str] = []
    with pytest.raises(DriverFailed, match="127"):
        await run_plan(InstallPlan(steps=(Step(command=("/nonexistent",), why="a test"),)), told.append)
    assert "No such file" in told[-1]


async def test_a_step_is_repeated_until_it_succeeds(tmp_path: Path) -> None:
    script = f"echo try; test -e {tmp_path / 'up'} || {{ touch {tmp_path / 'up'}; exit 1; }}"
    told: list[str] = []
    await run_plan(InstallPlan(steps=(shell(script, retry_seconds=30.0),)), told.append)
    assert told[1:] == ["try"], "only the last try is told"


async def test_a_step_that_never_succeeds_is_given_up() -> None:
    told: list[str] = []
    with pytest.raises(DriverFailed):
        await run_plan(InstallPlan(steps=(shell("echo no engine; exit 1", retry_seconds=0.01),)), told.append)
    assert told[-1] == "no engine"


async def test_cancelling_ends_the_command(tmp_path: Path) -> None:
    started = asyncio.Event()

    def tell(line: str) -> None:
        if line == "started":
            started.set()

    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        running = group.create_task(
            run_plan(
                InstallPlan(steps=(shell("echo started; exec sleep 60"), shell(f"touch {tmp_path / 'late'}"))), tell
            )
        )
        await started.wait()
        running.cancel()
    assert not (tmp_path / "late").exists()


async def test_what_a_step_leaves_running_does_not_hold_it_up(tmp_path: Path) -> None:
    """An engine's daemon is started in the background with its output in a file."""
    pid_file = tmp_path / "pid"
    script = f"setsid sh -c 'echo $$ >{pid_file}; exec sleep 60' >>{tmp_path / 'log'} 2>&1 </dev/null &"
    wait = shell(f"kill $(cat {pid_file})", retry_seconds=10.0)
    async with asyncio.timeout(15):
        await run_plan(InstallPlan(steps=(shell(script), wait)), lambda _line: None)
