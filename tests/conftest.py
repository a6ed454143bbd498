"""Which tests run: what they need is probed once, a test that lacks it is skipped with one printed line, and where
``CLAWTUI_REQUIRE_DOCKER=1`` or ``CLAWTUI_REQUIRE_TERMINAL=1`` is set, a test left out is a failure."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Generator
from functools import cache

import hypothesis
import pytest

ENGINE_PROBE_TIMEOUT_SECONDS = 10.0
"""A local engine answers in milliseconds; a remote one over SSH may take seconds."""

DOCKER_TEST_TIMEOUT_SECONDS = 300
"""The first Docker test builds the agents' base image, which installs packages."""

hypothesis.settings.register_profile("dev", deadline=None, max_examples=100)
hypothesis.settings.register_profile("deep", deadline=None, max_examples=2_000)
hypothesis.settings.load_profile("deep" if os.environ.get("CLAWTUI_SOAK") else "dev")


@cache
def docker_missing() -> str | None:
    """Why Docker tests cannot run here, or None when an engine answers."""
    if shutil.which("docker") is None:
        return "no docker command; `make engine` installs an engine on Debian"
    command = ["docker", "version", "--format", "{{.Server.Version}}"]
    try:
        answer = subprocess.run(
            command, capture_output=True, text=True, timeout=ENGINE_PROBE_TIMEOUT_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return f"the Docker engine did not answer within {ENGINE_PROBE_TIMEOUT_SECONDS:.0f} s"
    if answer.returncode != 0:
        return (
            f"no Docker engine answers ({answer.stderr.strip().splitlines()[-1]}); `make engine` starts one on Debian"
        )
    return None


@cache
def terminal_missing() -> str | None:
    """Why terminal tests cannot run here, or None when tmux is installed."""
    return None if shutil.which("tmux") else "no tmux; `make engine` installs it on Debian"


NEEDS: dict[str, Callable[[], str | None]] = {"docker": docker_missing, "terminal": terminal_missing}


def required(marker: str) -> bool:
    return os.environ.get(f"CLAWTUI_REQUIRE_{marker.upper()}") == "1"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Docker tests share one engine: one worker runs them, one after the other, with a longer timeout."""
    for item in items:
        if item.get_closest_marker("docker") is None:
            continue
        item.add_marker(pytest.mark.xdist_group("docker"))
        if item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(DOCKER_TEST_TIMEOUT_SECONDS))


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker, missing in NEEDS.items():
        if item.get_closest_marker(marker) is not None and (reason := missing()) is not None:
            pytest.skip(f"{marker}: {reason}")


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
    """Counts, where the results of all workers meet, which needful tests ran and why others did not."""

    def __init__(self) -> None:
        self.executed: dict[str, int] = dict.fromkeys(NEEDS, 0)
        self.skipped: dict[str, dict[str, int]] = {marker: {} for marker in NEEDS}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        for marker in NEEDS:
            if marker not in report.keywords:
                continue
            if report.when == "call" and not report.skipped:
                self.executed[marker] += 1
            elif report.skipped:
                reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
                self.skipped[marker][reason] = self.skipped[marker].get(reason, 0) + 1

    def unmet(self) -> list[str]:
        return [marker for marker in NEEDS if required(marker) and self.executed[marker] == 0]

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.unmet() and not session.config.option.collectonly:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for marker, reasons in self.skipped.items():
            for reason, count in reasons.items():
                terminalreporter.write_line(
                    f"{count} {marker} tests skipped: {reason.removeprefix('Skipped: ')}", yellow=True
                )
        for marker in self.unmet():
            terminalreporter.write_line(
                f"CLAWTUI_REQUIRE_{marker.upper()}=1, and no {marker} test ran: failed", red=True
            )


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Ran(), "clawtui-ran")
