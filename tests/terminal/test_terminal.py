"""What a person sees at a real terminal: a shell on an agent, and the demonstration."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psutil
import pytest

from tests.end_to_end.harness import HubProcess
from tests.terminal.tmux import Terminal

pytestmark = [pytest.mark.terminal, pytest.mark.timeout(180)]

CLAWTUI = f"{sys.executable} -m clawtui"


@pytest.fixture
def home() -> Iterator[Path]:
    """A state folder with a short path: a socket's has at most 107 bytes."""
    folder = Path(tempfile.mkdtemp(prefix="clawtui-"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def terminal(home: Path) -> Iterator[Terminal]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CLAWTUI_", "TMUX"))}
    own = {"CLAWTUI_HOME": str(home), "CLAWTUI_PORT_AGENTS": "0", "CLAWTUI_PORT_API": "0", "LANG": "C.UTF-8"}
    with Terminal(home, {**kept, **own}) as opened:
        yield opened


@pytest.fixture
async def hub(home: Path) -> AsyncIterator[HubProcess]:
    process = HubProcess(home)
    await process.start()
    yield process
    process.stop()


def clawtui(home: Path, *arguments: str) -> str:
    environment = {**os.environ, "CLAWTUI_HOME": str(home)}
    command = [sys.executable, "-m", "clawtui", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True).stdout


def processes_below(home: Path) -> list[str]:
    """Name the processes that work in the state folder."""
    found: list[str] = []
    for process in psutil.process_iter(["cmdline", "environ"]):
        environment = process.info["environ"] or {}
        if environment.get("AGENT_STATE_DIR", "").startswith(str(home)):
            found.append(" ".join(process.info["cmdline"] or []))
    return found


async def test_a_shell_behaves_like_one(hub: HubProcess, home: Path, terminal: Terminal) -> None:
    clawtui(home, "create", "term", "--driver", "process")
    terminal.enter(f"{CLAWTUI} shell term; echo code=$?")
    terminal.wait_for_prompt()
    terminal.enter("stty size && tty | cut -c1-8 && echo $((6 * 7))")
    assert "\n30 100\n/dev/pts\n42\n" in terminal.wait_for("42")
    terminal.resize(80, 20)
    terminal.enter("while [ \"$(stty size)\" != '20 80' ]; do :; done; echo resized")
    terminal.wait_for("resized")
    terminal.enter("echo begun; sleep 600")
    terminal.wait_for("begun")
    terminal.press("C-c")
    terminal.enter("echo interrupted=$?")
    terminal.wait_for("interrupted=130")
    terminal.enter("exit 7")
    terminal.wait_for("code=7")
    terminal.enter("stty -a | grep -o -w -e echo -e icanon")
    assert "\necho\n" in terminal.wait_for("icanon").replace("icanon\necho\n", "echo\nicanon\n")
    clawtui(home, "destroy", "term", "--force")
    assert processes_below(home) == []


async def test_a_shell_on_an_agent_that_is_not_there_says_so(hub: HubProcess, terminal: Terminal) -> None:
    terminal.enter(f"{CLAWTUI} shell nobody; echo code=$?")
    assert "nobody" in terminal.wait_for("code=1").split("code=$?")[1]


def test_the_demonstration_ends_well_and_leaves_nothing(home: Path, terminal: Terminal) -> None:
    terminal.enter(f"{CLAWTUI} demo; echo code=$?")
    screen = terminal.wait_for("code=0", seconds=90)
    assert "0 not as expected" in screen
    for kind in ("exec", "build", "script", "git:clone"):
        assert kind in screen
    assert processes_below(home) == []
