"""The real program in a real terminal: keys in, the screen's text out."""

from __future__ import annotations

import shutil

import pytest

from tests.tui.conftest import Open

pytestmark = [
    pytest.mark.terminal,
    pytest.mark.timeout(180),
    pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed: no real terminal to look at"),
]


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)], ids=lambda size: f"{size[0]}x{size[1]}")
def test_an_agent_from_its_creation_to_its_end_with_keys_only(open_screen: Open, size: tuple[int, int]) -> None:
    terminal = open_screen(size=size)
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
