"""Which tests run: what they need is probed once, a test that lacks it is skipped with one printed line, and where
``CLAWTUI_REQUIRE_DOCKER=1``, ``CLAWTUI_REQUIRE_OPENCLAW=1``, ``CLAWTUI_REQUIRE_CADDY=1`` or
``CLAWTUI_REQUIRE_TERMINAL=1`` is set, a test left out is a failure."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator
from functools import cache
from pathlib import Path

import hypothesis
import pytest

from tests.leftovers import LeftoverCheck
from tests.openclaw.installation import openclaw_missing

ENGINE_PROBE_TIMEOUT_SECONDS = 10
"""A local engine answers in milliseconds; a remote one may take seconds."""

DOCKER_TEST_TIMEOUT_SECONDS = 300
"""The first Docker test builds the agents' base image, which installs packages."""

OPENCLAW_TEST_TIMEOUT_SECONDS = 300
"""A gateway needs a quarter of a minute of two cores to start, and a test may start it twice."""

# A suite that a script runs in the background ignores interrupts, and every program that it starts would, too.
signal.signal(signal.SIGINT, signal.default_int_handler)

hypothesis.settings.register_profile("dev", deadline=None, max_examples=100)
hypothesis.settings.register_profile("deep", deadline=None, max_examples=2_000)
hypothesis.settings.load_profile("deep" if os.environ.get("CLAWTUI_SOAK") else "dev")


ENGINE_PROBE = "import docker; docker.DockerClient.from_env(use_context=False).ping()"
"""Looks where the Docker driver looks. In a process of its own: a refused docker-py connection leaves a socket open."""


@cache
def docker_missing() -> str | None:
    """Why Docker tests cannot run here, or None when an engine answers."""
    probe = [sys.executable, "-c", ENGINE_PROBE]
    try:
        subprocess.run(probe, capture_output=True, text=True, timeout=ENGINE_PROBE_TIMEOUT_SECONDS, check=True)
    except subprocess.TimeoutExpired:
        return f"the engine did not answer within {ENGINE_PROBE_TIMEOUT_SECONDS} s"
    except subprocess.CalledProcessError as error:
        return f"no engine answers ({error.stderr.strip().splitlines()[-1]}); `make engine` starts one on Debian"
    return None


@cache
def terminal_missing() -> str | None:
    """Why terminal tests cannot run here, or None when tmux is installed."""
    return None if shutil.which("tmux") else "no tmux; `make engine` installs it on Debian"


@cache
def caddy_missing() -> str | None:
    """Why tests of the ingress cannot run here, or None when Caddy is installed."""
    return None if shutil.which("caddy") else "no caddy; `make engine` installs it on Debian"


NEEDS: dict[str, Callable[[], str | None]] = {
    "caddy": caddy_missing,
    "docker": docker_missing,
    "openclaw": openclaw_missing,
    "terminal": terminal_missing,
}
ALONE = {"docker": DOCKER_TEST_TIMEOUT_SECONDS, "openclaw": OPENCLAW_TEST_TIMEOUT_SECONDS}
"""Markers of tests that run one at a time over all workers of a run, and how long each may take: they share an engine
and its networks, or need a gigabyte of memory for every gateway."""


def required(marker: str) -> bool:
    return os.environ.get(f"CLAWTUI_REQUIRE_{marker.upper()}") == "1"


def pytest_itemcollected(item: pytest.Item) -> None:
    """The first Docker test builds an image, and gateways start slowly: these have more time."""
    times = [seconds for marker, seconds in ALONE.items() if item.get_closest_marker(marker) is not None]
    if times and item.get_closest_marker("timeout") is None:
        item.add_marker(pytest.mark.timeout(max(times)))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Let a test run alone among those of its kind, over all workers of a run.

    By a lock and not by a group of xdist, whose groups do nothing under this version of pytest.
    """
    with contextlib.ExitStack() as held:
        # In one order everywhere, so that no two tests wait for each other.
        for marker in sorted(ALONE):
            if item.get_closest_marker(marker) is not None:
                path = Path(tempfile.gettempdir()) / f"clawtui-{marker}-tests.lock"
                fcntl.flock(held.enter_context(path.open("w")), fcntl.LOCK_EX)
        return (yield)


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker, missing in NEEDS.items():
        if item.get_closest_marker(marker) is not None and (reason := missing()) is not None:
            pytest.skip(f"{marker} tests: {reason}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn the skip of a required test into a failure, whoever skipped it."""
    report = yield
    demanded = [marker for marker in NEEDS if required(marker) and item.get_closest_marker(marker) is not None]
    if report.skipped and demanded and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"required here, but skipped: {call.excinfo.value if call.excinfo else 'no reason given'}"
    return report


class Ran:
    """Counts the needful tests that ran, where the results of all workers meet."""

    def __init__(self) -> None:
        self.executed: dict[str, int] = dict.fromkeys(NEEDS, 0)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        for marker in NEEDS:
            if marker in report.keywords and report.when == "call" and not report.skipped:
                self.executed[marker] += 1

    def unmet(self) -> list[str]:
        return [marker for marker in NEEDS if required(marker) and self.executed[marker] == 0]

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.unmet() and not session.config.option.collectonly:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for marker in self.unmet():
            line = f"CLAWTUI_REQUIRE_{marker.upper()}=1, but no {marker} test ran: failed"
            terminalreporter.write_line(line, red=True)


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Ran(), "clawtui-ran")
        check = LeftoverCheck(lambda: docker_missing() is None, required=required("docker"))
        config.pluginmanager.register(check, "clawtui-leftovers")
