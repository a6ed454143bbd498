"""The state folder: one hub at a time, private, and words for whoever comes second."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hub.errors import StartFailed
from hub.state import HubFile, StateFolder

HUB = HubFile(pid=4711, started_at="now", hub_id="h", version="1", socket="/s")


def test_a_folder_is_made_private_and_held_by_one(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path / "deep" / "state")
    folder.acquire()
    assert folder.path.stat().st_mode & 0o777 == 0o700
    folder.write_hub_file(HUB)
    with pytest.raises(StartFailed, match="process 4711") as refused:
        StateFolder(folder.path).acquire()
    assert refused.value.code == "second_hub"
    assert f"clawtui --home {folder.path} list" in refused.value.hint
    folder.release()
    StateFolder(folder.path).acquire()


@pytest.mark.parametrize("content", [None, b"", b"{torn", b"[]", b'"text"', b"\xff"])
def test_a_second_hub_is_refused_also_when_hub_json_says_nothing(tmp_path: Path, content: bytes | None) -> None:
    folder = StateFolder(tmp_path)
    folder.acquire()
    if content is not None:
        folder.hub_file.write_bytes(content)
    with pytest.raises(StartFailed, match="already runs"):
        StateFolder(tmp_path).acquire()
    folder.release()


def test_a_folder_that_cannot_be_made_is_named_with_a_way_out(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StartFailed) as refused:
        StateFolder(tmp_path / "file" / "state").acquire()
    assert refused.value.code == "state_folder"
    assert "--home" in refused.value.hint


def test_files_are_private_and_replaced_whole(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path)
    assert folder.read_token() is None
    os.umask(0)
    try:
        folder.write_token("ctu_one")
        folder.write_token("ctu_two")
        folder.write_hub_file(HUB)
    finally:
        os.umask(0o022)
    assert folder.read_token() == "ctu_two"
    assert {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {
        "token": 0o600,
        "hub.json": 0o600,
    }
    folder.remove_hub_file()
    folder.remove_hub_file()
    assert not folder.hub_file.exists()
