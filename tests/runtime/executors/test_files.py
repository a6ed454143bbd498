from __future__ import annotations

import base64
import os
import stat
from pathlib import Path

import msgspec
import pytest

from runtime.executors.errors import TaskFailure
from runtime.executors.files import read_file, write_file
from runtime.executors.paths import Paths
from runtime.wire import MAX_FILE_READ_BYTES, MAX_INLINE_FILE_BYTES, Encoding, FileRead, FileWrite


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


@pytest.fixture
def paths(work: Path) -> Paths:
    return Paths(work)


def result_of(raw: msgspec.Raw) -> dict[str, object]:
    return msgspec.json.decode(raw, type=dict[str, object])


def failure(code: str) -> pytest.RaisesExc[TaskFailure]:
    return pytest.raises(TaskFailure, check=lambda exc: exc.code == code)


def test_a_written_file_is_read_back(paths: Paths, work: Path) -> None:
    facts = result_of(write_file(paths, FileWrite(file_path="a/b/c.txt", content="grüße")))
    assert facts == {"path": str(work / "a/b/c.txt"), "size": 7, "mode": "0644"}
    found = read_file(paths, FileRead(file_path="a/b/c.txt"))
    assert found.streamed == b""
    assert result_of(found.result) == {
        "path": str(work / "a/b/c.txt"),
        "size": 7,
        "mode": "0644",
        "content": "grüße",
        "encoding": "utf-8",
    }
    assert [p.name for p in (work / "a/b").iterdir()] == ["c.txt"]


def test_binary_content_is_base64(paths: Paths, work: Path) -> None:
    data = bytes(range(256))
    write_file(paths, FileWrite(file_path="b", content=base64.b64encode(data).decode(), encoding=Encoding.BASE64))
    assert (work / "b").read_bytes() == data
    with failure("not_utf8"):
        read_file(paths, FileRead(file_path="b"))
    facts = result_of(read_file(paths, FileRead(file_path="b", encoding=Encoding.BASE64)).result)
    assert base64.b64decode(str(facts["content"])) == data


def test_modes_are_set_kept_and_checked(paths: Paths, work: Path) -> None:
    write_file(paths, FileWrite(file_path="x", content="1", mode="0750"))
    assert stat.S_IMODE((work / "x").stat().st_mode) == 0o750
    write_file(paths, FileWrite(file_path="x", content="2"))
    assert stat.S_IMODE((work / "x").stat().st_mode) == 0o750
    for mode in ("rwx", "-1", "10000", "9"):
        with failure("bad_mode"):
            write_file(paths, FileWrite(file_path="x", content="3", mode=mode))
    assert (work / "x").read_text() == "2"


def test_large_files_go_through_the_output(paths: Paths, work: Path) -> None:
    (work / "edge").write_bytes(b"x" * MAX_INLINE_FILE_BYTES)
    assert read_file(paths, FileRead(file_path="edge")).streamed == b""
    (work / "big").write_bytes(b"x" * (MAX_INLINE_FILE_BYTES + 1))
    found = read_file(paths, FileRead(file_path="big"))
    assert found.streamed == b"x" * (MAX_INLINE_FILE_BYTES + 1)
    assert result_of(found.result)["inOutput"] is True
    with (work / "huge").open("wb") as file:
        file.truncate(MAX_FILE_READ_BYTES + 1)
    with failure("file_too_large"):
        read_file(paths, FileRead(file_path="huge"))


def test_paths_stay_inside(paths: Paths, work: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s")
    (work / "link").symlink_to(tmp_path / "secret")
    (work / "out").symlink_to(tmp_path)
    for path in ("../secret", str(tmp_path / "secret"), "link", "out/secret", "a/../../secret"):
        with failure("path_outside_workspace"):
            read_file(paths, FileRead(file_path=path))
        with failure("path_outside_workspace"):
            write_file(paths, FileWrite(file_path=path, content="x"))
    assert (tmp_path / "secret").read_text() == "s"


def test_links_inside_are_followed_and_kept(paths: Paths, work: Path) -> None:
    (work / "real").write_text("1")
    (work / "link").symlink_to("real")
    write_file(paths, FileWrite(file_path="link", content="2"))
    assert (work / "link").is_symlink()
    assert (work / "real").read_text() == "2"


def test_opened_roots_are_inside(work: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    paths = Paths(work, [tmp_path / "data"])
    write_file(paths, FileWrite(file_path=str(tmp_path / "data/x"), content="1"))
    assert (tmp_path / "data/x").read_text() == "1"
    with failure("path_outside_workspace"):
        write_file(paths, FileWrite(file_path=str(tmp_path / "data2"), content="1"))


@pytest.mark.parametrize("path", ["", "a\0b"])
def test_impossible_paths(paths: Paths, path: str) -> None:
    with failure("bad_path"):
        read_file(paths, FileRead(file_path=path))


def test_what_is_not_a_file(paths: Paths, work: Path) -> None:
    (work / "folder").mkdir()
    os.mkfifo(work / "pipe")
    with failure("not_found"):
        read_file(paths, FileRead(file_path="none"))
    for name in ("folder", "pipe"):
        with failure("not_a_file"):
            read_file(paths, FileRead(file_path=name))
    with failure("not_a_file"):
        write_file(paths, FileWrite(file_path="folder", content=""))
    (work / "plain").write_text("")
    with failure("exists"):
        write_file(paths, FileWrite(file_path="plain/x", content=""))


def test_bad_content_changes_nothing(paths: Paths, work: Path) -> None:
    (work / "x").write_text("old")
    with failure("bad_content"):
        write_file(paths, FileWrite(file_path="x", content="no base64!", encoding=Encoding.BASE64))
    assert (work / "x").read_text() == "old"
