"""The real program in real terminals, each test on a state folder of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.terminal.tmux import Terminal

Open = Callable[..., Terminal]
"""`open_screen(home, *words, size=(80, 24))`: a terminal in which `clawtui WORDS` runs."""


@pytest.fixture
def home() -> Iterator[Path]:
    """A state folder with a short path: a socket's has at most 107 bytes. Agents that were left there end with it."""
    folder = Path(tempfile.mkdtemp(prefix="ctui-", dir="/tmp"))
    yield folder
    for process in psutil.process_iter(["environ"]):
        if (process.info["environ"] or {}).get("AGENT_STATE_DIR", "").startswith(f"{folder}/"):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGKILL)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def open_screen(home: Path) -> Iterator[Open]:
    with contextlib.ExitStack() as stack:
        count = 0

        def opened(*words: str, size: tuple[int, int] = (80, 24), **environment: str) -> Terminal:
            nonlocal count
            count += 1
            config = home / "config.toml"
            config.touch()
            # Of the tests' own environment only what a program needs to start.
            kept = {name: os.environ[name] for name in ("PATH", "HOME", "TERM", "LANG") if name in os.environ}
            own = {"CLAWTUI_CONFIG": str(config), "CLAWTUI_HOME": str(home), "SHELL": "/bin/sh", "LANG": "C.UTF-8"}
            own |= {"CLAWTUI_PORT_AGENTS": "0", "CLAWTUI_PORT_API": "0", "CLAWTUI_DRIVERS": "process"}
            terminal = Terminal(home, {**kept, **own, **environment}, *size, name=f"tmux{count}")
            stack.enter_context(terminal)
            terminal.enter(f"{sys.executable} -m clawtui {' '.join(words)}; echo ended with $?")
            return terminal

        yield opened
