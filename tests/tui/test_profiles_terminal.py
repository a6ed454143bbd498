"""A profile in the person's own editor, in a real terminal: a mistake comes back beside its line, nothing is lost."""

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
EDITOR = """#!/bin/sh
printf 'cpus of %s, now %s? ' "$(basename "$1")" "$(sed -n 's/.*"cpus": "\\([^"]*\\)".*/\\1/p' "$1")"
read cpus
sed -i "s/\\"cpus\\": \\"[^\\"]*\\"/\\"cpus\\": \\"$cpus\\"/" "$1"
"""


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
def test_what_the_editor_wrote_is_checked_and_offered_again(
    open_screen: Open, home: Path, size: tuple[int, int]
) -> None:
    editor = home / "editor"
    editor.write_text(EDITOR)
    editor.chmod(0o755)
    terminal = open_screen(size=size, EDITOR=str(editor), VISUAL="")
    terminal.sees("live", "No agents yet")
    terminal.press("F8")
    terminal.sees("▸ builder", "built-in")
    terminal.press("E")
    terminal.sees("Copy builder", "my-builder")
    terminal.press("Enter")
    terminal.sees("cpus of my-builder.json, now 4?")
    terminal.enter("lots")
    terminal.sees("Profile my-builder", "1 thing is wrong", "resources.cpus")
    saved = home / "profiles" / "my-builder.json"
    assert json.loads(saved.read_text())["resources"]["cpus"] == "4"
    terminal.press("C-o")
    terminal.sees("cpus of my-builder.json, now lots?")
    terminal.enter("3")
    terminal.sees("√ my-builder is saved", "▸ my-builder")
    assert json.loads(saved.read_text())["resources"]["cpus"] == "3"
    assert json.loads(saved.read_text())["name"] == "my-builder"
