"""Walks through folders that are deeper than Python's stack, and that others remove meanwhile."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.archives.pack import used_bytes
from hub.archives.work import Meter
from hub.disk.files import files


@pytest.fixture
def deep(tmp_path: Path) -> Iterator[Path]:
    """A folder in a folder, 400 times, and a stack that has not room for so many."""
    folder = tmp_path.joinpath("deep", *["d"] * 400)
    folder.mkdir(parents=True)
    (folder / "file").write_bytes(b"x" * 10_000)
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(300)
    yield tmp_path / "deep"
    sys.setrecursionlimit(before)


def test_a_deep_folder_is_estimated(deep: Path) -> None:
    assert used_bytes(Meter(), deep) >= 10_000


def test_a_deep_folder_is_told_whole(deep: Path) -> None:
    assert sum(1 for _ in files(Meter(), deep)) == 401


def test_a_folder_that_vanishes_costs_only_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also in the moment between being looked at and being listed."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").touch()

    def removed_now(path: Path) -> list[str]:
        if path.name == "a":
            shutil.rmtree(path)
        return listed(path)

    listed = os.listdir
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(os, "listdir", removed_now)
        assert sorted(path.name for path in files(Meter(), tmp_path)) == ["a", "b", "file"]
