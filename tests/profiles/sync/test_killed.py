"""A sync that is killed before any one of its changes: nothing is half written, and the next run ends as one that was
never disturbed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from profiles.sync.beneath import is_temporary
from tests.profiles.sync.killed import SCENARIOS, prepare, run
from tests.profiles.sync.place import contents

pytestmark = pytest.mark.timeout(300)
"""Hundreds of syncs, each of which waits for the disk many times: 4 s, and more where others use it too."""

ROOT = Path(__file__).parents[3]
MANIFEST = "agents/.clawtui-sync.json"


@pytest.fixture(scope="module", params=SCENARIOS)
def scenario(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path, Path, int]:
    """Its name, the folder that every run began with, that with all runs, and how many there are."""
    name: str = request.param
    folder = tmp_path_factory.mktemp(name)
    start, runs = folder / "start", folder / "runs"
    prepare(name, start)
    runs.mkdir()
    script = [sys.executable, "-m", "tests.profiles.sync.killed", name, str(start), str(runs)]
    done = subprocess.run(script, cwd=ROOT, capture_output=True, text=True, check=True, timeout=250)
    return name, start, runs, int(done.stdout)


def test_a_killed_sync_leaves_nothing_half_and_the_next_one_ends_the_same(
    scenario: tuple[str, Path, Path, int],
) -> None:
    name, start, runs, count = scenario
    before, undisturbed = contents(start), contents(runs / str(count))
    assert count > 50, "every change is a place to be killed at"
    assert not [path for path in undisturbed if is_temporary(Path(path).name)]
    for number in range(1, count):
        folder = runs / str(number)
        killed = contents(folder)
        _nothing_half(killed, before, undisturbed, number)
        _no_roster_without_workspaces(killed, number)
        report = run(name, folder)
        assert contents(folder) == undisturbed, f"killed before change {number}"
        assert not report.config_problem
        again = run(name, folder)
        assert (again.written, again.config_changed, again.archived) == (0, False, ()), number
        assert {each.state.value for each in again.personas} == {"in-step"}, number


def _nothing_half(
    killed: dict[str, bytes | None], before: dict[str, bytes | None], after: dict[str, bytes | None], number: int
) -> None:
    """Every file is what it was, what it shall be, or has a name that says that it is being written."""
    for path, content in killed.items():
        name = Path(path).name
        if is_temporary(name) or ".clawtui-new" in name or path == MANIFEST:
            continue
        known = [before.get(path, b"?"), after.get(path, b"?")]
        if path.startswith("agents/.archive/bob"):
            known.append(before.get(path.replace(".archive/bob-20260304T050607Z", "bob"), b"?"))
        assert content in known, f"{path} is half written by a run killed before change {number}"
    if content := killed.get(MANIFEST):
        assert json.loads(content)["workspaces"], number


def _no_roster_without_workspaces(killed: dict[str, bytes | None], number: int) -> None:
    text = killed.get("openclaw.json")
    entries: dict[str, Any] = json.loads(text)["agents"]["entries"] if text else {}
    for slug in entries:
        for file in ("SOUL.md", "AGENTS.md", "IDENTITY.md"):
            assert killed.get(f"agents/{slug}/{file}"), f"{slug} is named and has no {file}, change {number}"
