"""Sizes of process agents' folders, their clean-up, and the ownership of files in a workspace."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hub.archives.work import Meter
from hub.drivers.process.upkeep import give_back, take_over, used_bytes, walk

NEEDS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


def test_a_file_with_two_names_counts_once_and_links_are_not_followed(tmp_path: Path) -> None:
    big = tmp_path / "out" / "side"
    big.parent.mkdir()
    big.write_bytes(os.urandom(400_000))
    folder = tmp_path / "folder"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "file").write_bytes(os.urandom(100_000))
    once = used_bytes(Meter(), folder)
    assert 100_000 <= once < 200_000
    os.link(folder / "deep" / "file", folder / "again")
    (folder / "link").symlink_to(big.parent)
    assert used_bytes(Meter(), folder) < 200_000
    assert used_bytes(Meter(), tmp_path / "gone") == 0


def test_a_very_deep_folder_is_walked(tmp_path: Path) -> None:
    deep = tmp_path
    for _ in range(300):
        deep = deep / "d"
        deep.mkdir()
    assert len(list(walk(tmp_path))) == 301


@NEEDS_ROOT
def test_everybodys_files_are_given_to_the_hubs_user_and_links_themselves(tmp_path: Path) -> None:
    workspace, outside = tmp_path / "workspace", tmp_path / "outside"
    workspace.mkdir()
    for path in (workspace / "theirs", workspace / "mine", outside):
        path.write_text("x")
    for path in (workspace / "theirs", outside):
        os.chown(path, 33, 33)
    (workspace / "link").symlink_to(outside)
    os.lchown(workspace / "link", 33, 33)
    assert give_back(Meter(), workspace, everything=False).changed == 0
    done = give_back(Meter(), workspace, everything=True)
    assert (done.seen, done.changed, done.left) == (4, 2, 0)
    assert {path.lstat().st_uid for path in workspace.iterdir()} == {os.geteuid()}
    assert outside.stat().st_uid == 33


@NEEDS_ROOT
def test_a_folder_that_became_a_link_meanwhile_leads_nowhere(tmp_path: Path) -> None:
    workspace, outside = tmp_path / "workspace", tmp_path / "outside"
    for folder in (workspace, outside):
        folder.mkdir()
    (outside / "file").write_text("x")
    os.chown(outside / "file", 33, 33)
    (workspace / "deep").symlink_to(outside)
    root = os.open(workspace, os.O_RDONLY)
    try:
        with pytest.raises(NotADirectoryError):
            take_over(root, ("deep", "file"))
    finally:
        os.close(root)
    assert (outside / "file").stat().st_uid == 33
