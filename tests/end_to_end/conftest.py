"""Hubs for tests, stopped at the end together with their agents."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.end_to_end.harness import HubProcess


@pytest.fixture
def hub() -> Iterator[HubProcess]:
    """A hub that is not started yet, on a state folder with a short path (sockets need one)."""
    with tempfile.TemporaryDirectory(prefix="ct") as folder:
        hub = HubProcess(Path(folder) / "s")
        try:
            yield hub
        finally:
            if hub._process is not None:
                hub.stop()
            end_processes_below(Path(folder))


def end_processes_below(folder: Path) -> None:
    """Kill the agents that a failed test left behind: those whose state is below `folder`."""
    for process in psutil.process_iter():
        try:
            state = process.environ().get("AGENT_STATE_DIR", "")
        except (psutil.Error, OSError):
            continue
        if state.startswith(f"{folder}{os.sep}"):
            process.send_signal(signal.SIGKILL)
