"""Installing a Docker engine on Debian and Ubuntu: a plan to show and ask about, then its execution.

The plan is pure: what is needed on a machine of which `EngineFacts` tell. It consists of exact
commands with their reasons, and is empty where only instructions can be given.
"""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import os
import platform
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from hub.errors import DriverFailed

DAEMON_LOG: Final = "/var/log/clawtui-dockerd.log"
ANSWER_SECONDS: Final = 60.0
"""A first start makes keys, bridges and storage; slow disks need tens of seconds."""
RETRY_SECONDS: Final = 0.5
MAX_LINE_BYTES: Final = 1 << 20
ADMIN_PATH: Final = "/usr/local/sbin:/usr/sbin:/sbin"
START_DAEMON: Final = f"PATH=$PATH:{ADMIN_PATH} setsid dockerd >>{DAEMON_LOG} 2>&1 </dev/null &"
"""In a session of its own, so that it outlives whoever started it."""


class EngineFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What decides the plan. `distribution`: `ID` of os-release; `family`: `ID_LIKE`."""

    system: str
    distribution: str = ""
    family: tuple[str, ...] = ()
    version: str = ""
    root: bool = False
    sudo: bool = False
    systemd: bool = False
    has_client: bool = False
    has_daemon: bool = False
    has_iptables: bool = False
    answers: bool = False
    user: str = ""


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One command. `retry_seconds`: repeat it until it succeeds, for so long."""

    command: tuple[str, ...]
    why: str
    retry_seconds: float = 0.0


class InstallPlan(msgspec.Struct, frozen=True, kw_only=True):
    """`steps` in order. Without steps `instructions` say what to do by hand, or that all is there."""

    steps: tuple[Step, ...] = ()
    instructions: str = ""

    @property
    def possible(self) -> bool:
        return bool(self.steps)


def docker_install_plan(facts: EngineFacts) -> InstallPlan:
    """Return what gives this machine an engine that answers."""
    if facts.answers:
        return InstallPlan(instructions="A Docker engine answers already.")
    if facts.system != "linux" or not {"debian", "ubuntu"} & {facts.distribution, *facts.family}:
        return InstallPlan(instructions=_by_hand(facts))
    if not facts.root and not facts.sudo:
        return InstallPlan(instructions="Installing needs root: run `clawtui doctor --install-docker` as root.")
    steps = [*_packages(facts), _start(facts), _wait(facts)]
    if not facts.root:
        steps.append(_membership(facts))
    return InstallPlan(steps=tuple(steps))


def _packages(facts: EngineFacts) -> list[Step]:
    packages: list[str] = []
    if not facts.has_daemon or not facts.has_client:
        packages.append("docker.io")
    if not facts.has_client and _separate_client(facts):
        packages.append("docker-cli")
    if not facts.has_iptables:
        packages.append("iptables")
    if not packages:
        return []
    install = ("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "--no-install-recommends")
    return [
        Step(command=_as_root(facts, "apt-get", "update"), why="Fetch the lists of packages; a bare machine has none."),
        Step(
            command=_as_root(facts, *install, *packages),
            why="Install the engine, its command and what it filters networks with, from the distribution.",
        ),
    ]


def _separate_client(facts: EngineFacts) -> bool:
    """Debian 13 moved the command into a package of its own; Debian 12 and Ubuntu have it in docker.io."""
    major = facts.version.partition(".")[0]
    return facts.distribution == "debian" and (not major.isdecimal() or int(major) >= 13)


def _start(facts: EngineFacts) -> Step:
    if facts.systemd:
        return Step(
            command=_as_root(facts, "systemctl", "enable", "--now", "docker"),
            why="Start the engine, now and at every boot.",
        )
    return Step(
        command=_as_root(facts, "sh", "-c", START_DAEMON),
        why=f"Start the engine; this machine has no systemd, so do it again after a reboot. Its log: {DAEMON_LOG}",
    )


def _wait(facts: EngineFacts) -> Step:
    return Step(
        command=_as_root(facts, "docker", "version", "--format", "{{.Server.Version}}"),
        why="Wait until the engine answers.",
        retry_seconds=ANSWER_SECONDS,
    )


def _membership(facts: EngineFacts) -> Step:
    return Step(
        command=_as_root(facts, "usermod", "-aG", "docker", facts.user),
        why=f"Let {facts.user} use the engine, after the next login. This is as powerful as root on this machine.",
    )


def _as_root(facts: EngineFacts, *command: str) -> tuple[str, ...]:
    return command if facts.root else ("sudo", *command)


def _by_hand(facts: EngineFacts) -> str:
    known = {
        "fedora": "dnf install moby-engine, then systemctl enable --now docker.",
        "arch": "pacman -S docker, then systemctl enable --now docker.",
        "alpine": "apk add docker, then rc-update add docker and service docker start.",
        "opensuse": "zypper install docker, then systemctl enable --now docker.",
        "darwin": "Install Docker Desktop, or: brew install colima docker, then colima start.",
    }
    for name in (facts.system, facts.distribution, *facts.family):
        if name in known:
            return f"By hand: {known[name]}"
    return "By hand: follow https://docs.docker.com/engine/install/ for this system."


def probe_engine(answers: bool) -> EngineFacts:
    """Look at this machine. `answers`: the Docker driver's fingerprint says that it is usable."""
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        release = {}
    return EngineFacts(
        system=sys.platform,
        distribution=release.get("ID", ""),
        family=tuple(release.get("ID_LIKE", "").split()),
        version=release.get("VERSION_ID", ""),
        root=os.geteuid() == 0,
        sudo=shutil.which("sudo") is not None,
        systemd=Path("/run/systemd/system").is_dir(),
        has_client=shutil.which("docker") is not None,
        has_daemon=_which_admin("dockerd"),
        has_iptables=_which_admin("iptables"),
        answers=answers,
        user=getpass.getuser(),
    )


def _which_admin(name: str) -> bool:
    """Whether a program is there, also in the folders that only root has in its PATH."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:{ADMIN_PATH}") is not None


async def run_plan(plan: InstallPlan, tell: Callable[[str], None]) -> None:
    """Execute the steps one after the other; `tell` gets each command and each line of its output.

    Raises:
        DriverFailed: a step failed; the rest was not begun.
    """
    for number, step in enumerate(plan.steps, 1):
        tell(f"[{number}/{len(plan.steps)}] {' '.join(step.command)}")
        code = await _run_step(step, tell)
        if code != 0:
            raise DriverFailed(
                f"step {number} of {len(plan.steps)} failed with exit code {code}: {' '.join(step.command)}",
                hint=f"The reason is in the output above; the engine's log is {DAEMON_LOG}.",
                driver="docker",
            )


async def _run_step(step: Step, tell: Callable[[str], None]) -> int:
    """Return the exit code of the last try. Tries that will be repeated say nothing."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + step.retry_seconds
    while True:
        lines: list[str] = []
        repeats = step.retry_seconds > 0
        code = await _run_command(step.command, lines.append if repeats else tell)
        if code != 0 and loop.time() < deadline:
            await asyncio.sleep(RETRY_SECONDS)
            continue
        for line in lines:
            tell(line)
        return code


async def _run_command(command: tuple[str, ...], tell: Callable[[str], None]) -> int:
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            limit=MAX_LINE_BYTES,
        )
    except OSError as exc:
        tell(f"{command[0]}: {exc.strerror}")
        return 127
    assert process.stdout is not None
    try:
        async for line in process.stdout:
            tell(line.decode(errors="replace").rstrip())
        return await process.wait()
    finally:
        if process.returncode is None:
            # What sudo started is not ours to signal; the terminal's own interrupt has reached it.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                process.terminate()
            await process.wait()
