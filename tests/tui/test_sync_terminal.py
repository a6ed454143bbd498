"""Personas in a real terminal on a real hub: what somebody changed, line by line, applied; a migration with findings.

The gateway is not there: files are kept in step all the same, and that nothing proves it is said.
"""

from __future__ import annotations

import json
import shutil
import socket
from pathlib import Path

import pytest

from tests.tui.conftest import Open

pytestmark = [
    pytest.mark.terminal,
    pytest.mark.timeout(240),
    pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed: no real terminal to look at"),
]
SIZES = [(80, 24), (120, 40), (200, 60)]
SOUL = "# Engineer\n\nYou answer shortly.\n"


def a_closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.mark.parametrize("size", SIZES)
def test_a_drifted_persona_its_difference_and_apply(open_screen: Open, home: Path, size: tuple[int, int]) -> None:
    personas, root = home / "personas", home / "team"
    personas.mkdir()
    root.mkdir()
    profile = {"name": "engineer", "persona": {"name": "Engineer", "role": "Builds", "soul": SOUL}}
    (personas / "engineer.json").write_text(json.dumps(profile))
    environment = {
        "OPENCLAW_WORKSPACE_ROOT": str(root), "OPENCLAW_CONFIG_PATH": str(home / "openclaw.json"),
        "OPENCLAW_PROFILES_FOLDER": str(personas), "OPENCLAW_GATEWAY_URL": f"http://127.0.0.1:{a_closed_port()}",
    }  # fmt: skip
    terminal = open_screen(size=size, **environment)
    terminal.sees("live")
    terminal.press("F10")
    terminal.sees("openclaw", "engineer", "◔ pending", "not verified")
    soul = root / "engineer" / "SOUL.md"
    assert soul.read_text() == SOUL
    soul.write_text("# Engineer\n\nYou answer in rhymes.\n")
    terminal.sees("▲ drifted", "NEEDS YOU")
    terminal.press("Enter")
    terminal.sees("Difference of openclaw/engineer", "-You answer in rhymes.", "+You answer shortly.")
    terminal.press("a")
    terminal.sees("Overwrite 1 file with the source's text?", "SOUL.md", ".clawtui-archive/")
    terminal.tab(1)
    terminal.press("Enter")
    terminal.sees("SOUL.md of openclaw/engineer applied", "√ Every file is as the source says")
    assert soul.read_text() == SOUL
    (kept,) = (soul.parent / ".clawtui-archive").glob("SOUL.md*")
    assert kept.read_text() == "# Engineer\n\nYou answer in rhymes.\n"
    terminal.press("F11")
    terminal.sees("Gateways 1 · 0 ready", "openclaw", "× down")


@pytest.mark.parametrize("size", SIZES)
def test_a_migration_with_its_findings(open_screen: Open, home: Path, size: tuple[int, int]) -> None:
    folder, out = home / "vm", home / "out"
    folder.mkdir()
    store = {"name": "store", "packages": ["mongodb"], "services": ["mongod"]}
    (folder / "store.json").write_text(json.dumps(store))
    terminal = open_screen(size=size)
    terminal.sees("live")
    terminal.press("F8")
    terminal.sees("Profiles", "builder")
    terminal.press("M")
    terminal.sees("Migrate VM profiles", "machine that this screen runs on")
    terminal.type(str(folder))
    terminal.tab(1)
    terminal.type(str(out))
    terminal.press("C-s")
    terminal.sees("Migration 1", "▲ needs you", "Needs you:", "to do:")
    assert not out.exists()
    terminal.press("w")
    terminal.sees("Write ", "New: store.json")
    terminal.tab(1)
    terminal.press("Enter")
    terminal.sees("√ written to", "unchanged")
    assert json.loads((out / "store.json").read_text())["name"] == "store"
    assert (out / "store.report.md").exists()
