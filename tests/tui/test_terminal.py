"""The real program in a real terminal: keys in, the screen's text out."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.terminal,
    pytest.mark.timeout(180),
    pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed: no real terminal to look at"),
]
WAIT_SECONDS = 30.0


class Terminal:
    """One tmux server of its own with one window; everything in it ends with `close`."""

    def __init__(self, socket: Path, size: tuple[int, int], command: list[str]) -> None:
        self._socket = socket
        line = " ".join(command) + "; echo ended with $?; exec sleep 600"
        self.tmux("-f", "/dev/null", "new-session", "-d", "-x", str(size[0]), "-y", str(size[1]), line)

    def tmux(self, *words: str) -> str:
        done = subprocess.run(
            ["tmux", "-S", str(self._socket), *words], capture_output=True, text=True, timeout=20, check=True
        )
        return done.stdout

    def keys(self, *keys: str) -> None:
        self.tmux("send-keys", *keys)

    def type(self, text: str) -> None:
        self.tmux("send-keys", "-l", text)

    def text(self) -> str:
        return self.tmux("capture-pane", "-p")

    def sees(self, *words: str) -> str:
        deadline = time.monotonic() + WAIT_SECONDS
        while not all(word in (text := self.text()) for word in words):
            assert time.monotonic() < deadline, f"not seen: {words}; the screen:\n{text}"
            time.sleep(0.05)
        return text

    def misses(self, word: str) -> None:
        deadline = time.monotonic() + WAIT_SECONDS
        while word in (text := self.text()):
            assert time.monotonic() < deadline, f"still there: {word}; the screen:\n{text}"
            time.sleep(0.05)

    def close(self) -> None:
        subprocess.run(["tmux", "-S", str(self._socket), "kill-server"], capture_output=True, timeout=20, check=False)


@pytest.fixture(params=[(80, 24), (120, 40), (200, 60)], ids=lambda size: f"{size[0]}x{size[1]}")
def terminal(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Terminal]:
    # Short: the path of a socket in it has at most 107 bytes.
    home = Path(tempfile.mkdtemp(prefix="ctui-", dir="/tmp"))
    ports = ["--port-agents", "0", "--port-api", "0", "--drivers", "process"]
    config = tmp_path / "config.toml"
    config.write_text("")
    around = f"env -u NO_COLOR -u COLUMNS -u LINES CLAWTUI_CONFIG={config} SHELL=/bin/sh"
    shell = f"{around} {sys.executable} -m clawtui --home {home}"
    opened = Terminal(home / "tmux", request.param, [shell, *ports])
    try:
        yield opened
    finally:
        opened.close()
        shutil.rmtree(home, ignore_errors=True)


def test_an_agent_from_its_creation_to_its_end_with_keys_only(terminal: Terminal) -> None:
    terminal.sees("live", "No agents yet", "First agent")
    terminal.keys("a")
    terminal.sees("worker-1 is there", "● online")
    # A task, its output while it runs, and its end.
    terminal.keys("b")
    terminal.sees(":exec")
    terminal.type("echo the answer is $((6*7)); sleep 1; exit 3")
    terminal.keys("Enter")
    terminal.sees("× failed")
    terminal.keys("F2")
    terminal.sees("Newest tasks 1", "× failed")
    terminal.keys("Enter")
    terminal.sees("the answer is 42", "exit 3")
    terminal.keys("F1")
    # A shell in place of the screen; its Ctrl-C is its own, and the screen comes back.
    terminal.sees("Agents 1")
    terminal.keys("!")
    terminal.misses("Agents 1")
    terminal.sees("#" if os.geteuid() == 0 else "$")
    terminal.type("sleep 500")
    terminal.keys("Enter")
    terminal.sees("sleep 500")
    terminal.keys("C-c")
    terminal.type("echo back in $((20+2))")
    terminal.keys("Enter")
    terminal.sees("back in 22")
    terminal.type("exit 0")
    terminal.keys("Enter")
    terminal.sees("live", "Agents 1", "● online")
    # What loses data wants the name.
    terminal.keys("D")
    terminal.sees("Destroy worker-1?", "Cancel")
    terminal.type("worker-1")
    terminal.keys("Enter")
    terminal.sees("No agents yet")
    terminal.keys("C-q")
    terminal.sees("ended with 0")
