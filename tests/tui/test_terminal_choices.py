"""Choices and links in a real terminal: what is chosen is there at the next start, beside another screen too."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.tui.conftest import Open

pytestmark = [
    pytest.mark.terminal,
    pytest.mark.timeout(180),
    pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed: no real terminal to look at"),
]
SIZES = [(60, 20), (80, 24), (120, 40)]


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_choices_and_lines_are_there_at_the_next_start(open_screen: Open, home: Path, size: tuple[int, int]) -> None:
    terminal = open_screen(size=size)
    terminal.sees("live", "No agents yet", "Docker would add")
    terminal.press("R")
    terminal.sees("no agent is meant")
    terminal.press(":")
    terminal.enter("theme high-contrast")
    terminal.sees("theme high-contrast")
    terminal.press("C")
    terminal.sees("Columns of the agents", "Apply (^s)")
    terminal.press("j", "Space", "C-s")
    terminal.misses("STATE")
    terminal.press("C-q")
    terminal.sees("ended with 0")
    saved = json.loads((home / "screen.json").read_text())
    assert saved["theme"] == "high-contrast"
    assert "state" not in saved["columns"]
    assert saved["history"] == {":": ["theme high-contrast"]}

    (home / "screen.json").write_text(json.dumps(saved | {"sort": "run"}))
    again = open_screen("--open", "journal", size=size)
    again.sees("live", "Journal")
    again.press(":")
    again.press("Up")
    again.sees(":theme high-contrast")
    again.press("Escape", "F1")
    again.sees("No agents yet", "by run")
    assert "STATE" not in again.screen()
    again.press("C-q")
    again.sees("ended with 0")


def test_two_screens_keep_each_others_choices_and_a_damaged_file(open_screen: Open, home: Path) -> None:
    (home / "screen.json").write_text("{ damaged")
    one = open_screen()
    one.sees("live", "No agents yet")
    assert (home / "screen.json.damaged").read_text() == "{ damaged"
    two = open_screen("--open", "agents/nobody")
    two.sees("SHARED", "there is no agent 'nobody'", "No agents yet")
    one.press(":")
    one.enter("theme light")
    one.sees("theme light")
    two.press(":")
    two.enter("hub")
    two.sees("Drivers")
    two.press("C-q")
    two.sees("ended with 0")
    one.press("C-q")
    one.sees("ended with 0")
    saved = json.loads((home / "screen.json").read_text())
    assert saved["theme"] == "light"
    assert sorted(saved["history"][":"]) == ["hub", "theme light"]


def test_a_link_that_is_none_ends_with_2_before_any_screen(open_screen: Open) -> None:
    terminal = open_screen("--open", "moon")
    terminal.sees("there is no place 'moon'", "agents/NAME", "ended with 2")
