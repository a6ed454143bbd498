"""The script and the tests mean the same versions and the same folder; without gateways one printed line says why."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.openclaw.installation import CURRENT, NODE_VERSION, OLDER, cache_folder, openclaw_missing

SCRIPT = Path(__file__).parents[2] / ".ci" / "openclaw"


def test_the_script_installs_what_the_tests_want() -> None:
    text = SCRIPT.read_text()
    assert re.search(r"^OPENCLAW_VERSIONS=\((.*)\)$", text, re.MULTILINE)[1].split() == [CURRENT, OLDER]  # pyright: ignore
    assert f"\nNODE_VERSION={NODE_VERSION}\n" in text
    assert "${CLAWTUI_OPENCLAW:-${XDG_CACHE_HOME:-$HOME/.cache}/clawtui/openclaw}" in text


def test_what_is_missing_is_named_with_the_command_that_brings_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLAWTUI_OPENCLAW", str(tmp_path))
    reason = openclaw_missing()
    assert reason is not None
    assert all(part in reason for part in (CURRENT, OLDER, NODE_VERSION, str(tmp_path), "make openclaw")), reason


def test_the_cache_follows_the_platforms_rule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CLAWTUI_OPENCLAW", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "clawtui" / "openclaw"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "clawtui" / "openclaw"
