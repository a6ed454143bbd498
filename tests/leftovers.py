"""After a whole run nothing of ours is left: what the suite left on the engine, and which processes still run.

The images that agents start from and the networks that they share are made once and used by every test, so the run
takes these away at its end, unless they were there before it. Everything else that is left is a defect: it is named,
and where Docker tests are required it fails the run. Elsewhere it may belong to somebody who uses the engine meanwhile.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from typing import Final

import docker
import docker.errors
import psutil
import pytest

from hub.drivers.docker.labels import ISOLATED_NETWORK, OWNER, OWNER_NAME, SHARED_NETWORK

COMMANDS: Final = ("runtime", "clawtui")
"""Modules and scripts whose processes are ours."""

Leftovers = set[tuple[str, str]]
"""Kind and name, as a person would look for it."""


class LeftoverCheck:
    """Compares the engine and the process table after the run with those before it."""

    def __init__(self, engine_answers: Callable[[], bool], *, required: bool) -> None:
        self._engine_answers = engine_answers
        self._required = required
        self._started = time.time()
        self._before: Leftovers = set()
        self._left: Leftovers = set()

    def pytest_sessionstart(self) -> None:
        if self._engine_answers():
            with engine() as client:
                self._before = on_engine(client)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self._engine_answers():
            with engine() as client:
                take_shared_away(client, self._before)
                self._left = on_engine(client) - self._before
        self._left |= processes_since(self._started)
        if self._left and self._required:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for kind, name in sorted(self._left):
            terminalreporter.write_line(f"left behind: {kind} {name}", red=True)


def engine() -> contextlib.closing[docker.DockerClient]:
    """The engine that the Docker driver talks to."""
    return contextlib.closing(docker.DockerClient.from_env(use_context=False))  # pyright: ignore[reportCallIssue]


def on_engine(client: docker.DockerClient) -> Leftovers:
    """What carries our label; images by their tags, because the nameless ones are the engine's build cache."""
    ours = {"label": f"{OWNER}={OWNER_NAME}"}
    # Lists only: to look at each one fails where somebody removes it meanwhile.
    images = client.api.images(filters=ours)
    return {
        *(("container", one["Names"][0].lstrip("/")) for one in client.api.containers(all=True, filters=ours)),
        *(("network", one["Name"]) for one in client.api.networks(filters=ours)),
        *(("volume", one["Name"]) for one in client.api.volumes(filters=ours)["Volumes"] or []),
        *(("image", tag) for one in images for tag in one["RepoTags"] or [] if tag != "<none>:<none>"),
    }


def take_shared_away(client: docker.DockerClient, before: Leftovers) -> None:
    """Remove images and networks that are shared and that this run brought; what is in use stays and is named."""
    for kind, name in on_engine(client) - before:
        with contextlib.suppress(docker.errors.APIError):
            if kind == "network" and name in {SHARED_NETWORK, ISOLATED_NETWORK}:
                client.networks.get(name).remove()
            elif kind == "image" and name.startswith(("openclaw-agent-base:", "openclaw-gateway:")):
                client.images.remove(name)


def processes_since(started: float) -> Leftovers:
    """Agents and hubs that began after `started` (seconds since the epoch) and still run."""
    left: Leftovers = set()
    for process in psutil.process_iter(["pid", "cmdline", "create_time", "status"]):
        words = process.info["cmdline"] or []
        if process.info["pid"] == os.getpid() or process.info["create_time"] < started:
            continue
        modules = {words[at + 1] for at, word in enumerate(words[:-1]) if word == "-m"}
        scripts = {os.path.basename(word) for word in words[:2]}
        if (modules | scripts) & {*COMMANDS}:
            left.add(("process", f"{process.info['pid']}: {' '.join(words)}"))
    return left
