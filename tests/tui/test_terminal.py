"""The real program in a real terminal: keys in, the screen's text out."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.terminal.tmux import Terminal
from tests.tui.conftest import Open

pytestmark = [
    pytest.mark.terminal,
    pytest.mark.timeout(180),
    pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed: no real terminal to look at"),
]


def test_an_agent_from_its_creation_to_its_end_with_keys_only(open_screen: Open) -> None:
    terminal = open_screen(size=(120, 40))
    terminal.sees("live", "No agents yet", "First agent")
    terminal.press("a")
    terminal.sees("worker-1 is there", "● online")
    # A task, its output while it runs, and its end.
    terminal.press("b")
    terminal.sees(":exec")
    terminal.enter("echo the answer is $((6*7)); sleep 1; exit 3")
    terminal.sees("× failed")
    terminal.press("F2")
    terminal.sees("Newest tasks 1", "× failed")
    terminal.press("Enter")
    terminal.sees("the answer is 42", "exit 3")
    terminal.press("F1")
    terminal.sees("Agents 1")
    # What loses data wants the name.
    terminal.press("D")
    terminal.sees("Destroy worker-1?", "Cancel")
    terminal.enter("worker-1")
    terminal.sees("No agents yet")
    terminal.press("C-q")
    terminal.sees("ended with 0")


NAMES = tuple(f"worker-{number}" for number in range(1, 6))


@pytest.mark.parametrize("size", [(80, 24), (200, 60)], ids=lambda size: f"{size[0]}x{size[1]}")
def test_a_day_with_a_fleet_with_keys_only(open_screen: Open, home: Path, size: tuple[int, int]) -> None:
    terminal = open_screen(size=size)
    make_five(terminal)
    watch_a_task(terminal)
    roll_out_and_retry(terminal, home)
    look_for_lines(terminal)
    into_a_shell_and_back(terminal)
    clean_up(terminal)


def make_five(terminal: Terminal) -> None:
    terminal.sees("live", "No agents yet")
    terminal.press("a")
    terminal.sees("worker-1 is there", "● online")
    for name in NAMES[1:]:
        terminal.press(":")
        terminal.sees("\n:")
        terminal.enter(f"create {name}")
        terminal.sees("New agent", f"clawtui create {name}")
        terminal.press("C-s")
        terminal.sees(f"{name} is there")
    terminal.sees("5 agents", "●5")


def watch_a_task(terminal: Terminal) -> None:
    terminal.press("Home", "b")
    terminal.sees(":exec")
    terminal.enter("for i in 1 2 3; do echo step $i; sleep 0.7; done")
    terminal.sees("sent: task")
    terminal.press("F2")
    terminal.sees("Newest tasks 1", "worker-1", "▶ running")
    terminal.press("Enter")
    terminal.sees("Output", "step 1", "▶ running")
    terminal.sees("step 3", "√ succeeded exit 0")


def roll_out_and_retry(terminal: Terminal, home: Path) -> None:
    """Two of five fail, and succeed when what was in their way is gone."""
    obstacles = [home / f"fail-{name}" for name in NAMES[1:3]]
    for obstacle in obstacles:
        obstacle.touch()
    terminal.press("F1")
    terminal.sees("Agents 5")
    terminal.press("Home", *(["Space"] * len(NAMES)))
    terminal.sees("5 marked")
    terminal.press("t")
    terminal.sees("New task", " ".join(NAMES), "Send (^s)")
    terminal.type(f"[ ! -e {home}/fail-$AGENT_ID ] || exit 4; sleep 1")
    terminal.sees("|| exit 4; sleep 1")
    terminal.tab(6)
    terminal.type("1")
    terminal.sees("Canary        1")
    terminal.press("C-s")
    terminal.sees("Rollout", "canary", "▶ 1 running", "held")
    terminal.sees("done", "√ 3 succeeded", "× 2 failed")
    for obstacle in obstacles:
        obstacle.unlink()
    terminal.press("F")
    terminal.sees("again as rollout", "2 tasks")
    terminal.sees("done", "√ 2 succeeded", "agents 2")


def look_for_lines(terminal: Terminal) -> None:
    """Logs of two agents, merged; what fits an expression, and the lines around it."""
    terminal.press(":")
    terminal.sees("\n:")
    terminal.enter("logs worker-1 worker-2")
    terminal.sees("Logs", "4 lines", "started agent=worker-1", "started agent=worker-2")
    terminal.press("/")
    terminal.sees("\n/")
    terminal.enter("conn.cted")
    terminal.misses("started agent=")
    terminal.sees("2 hits", "connected")
    terminal.press("+")
    terminal.sees("±2", "started agent=worker-1", "started agent=worker-2")


def into_a_shell_and_back(terminal: Terminal) -> None:
    terminal.press("F1")
    terminal.sees("Agents 5")
    terminal.press("!")
    terminal.misses("Agents 5")
    terminal.wait_for_prompt()
    terminal.enter("echo inside=$((40+2))")
    terminal.wait_for("inside=42")
    terminal.enter("exit 0")
    terminal.sees("the shell ended with 0", "Agents 5", "●5")


def clean_up(terminal: Terminal) -> None:
    """The marks of before are still there."""
    terminal.sees("5 marked")
    terminal.press("D")
    terminal.sees("Destroy 5 agents?", "Type destroy 5 to go on:", *NAMES)
    terminal.enter("destroy 5")
    terminal.sees("No agents yet", "√ destroy worker-1")
    assert "DEGRADED" not in terminal.screen()
    terminal.press("C-q")
    terminal.sees("ended with 0")
