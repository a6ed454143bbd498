"""Archives of folders: what goes in comes out, holes stay holes, links stay links, nothing gets out of a folder."""

from __future__ import annotations

import io
import os
import stat
import tarfile
from pathlib import Path

import pytest

from hub.archives.diff import Change, compare
from hub.archives.index import read_index, write_index
from hub.archives.pack import pack, used_bytes
from hub.archives.unpack import check, unpack
from hub.archives.work import Meter, Workers
from hub.errors import DriverFailed

MIB = 1024 * 1024


def tree(folder: Path) -> dict[str, tuple[str, int, str]]:
    """Everything below a folder: kind, mode, content or target."""
    found: dict[str, tuple[str, int, str]] = {}
    for path in sorted(folder.rglob("*")):
        mode = stat.S_IMODE(path.lstat().st_mode)
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = ("link", 0, os.readlink(path))
        elif path.is_dir():
            found[name] = ("folder", mode, "")
        else:
            found[name] = ("file", mode, path.read_text(errors="replace")[:100])
    return found


def make_workspace(folder: Path) -> None:
    folder.mkdir()
    (folder / "a.txt").write_text("first")
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "deep" / "er" / "run.sh").write_text("#!/bin/sh\n")
    (folder / "deep" / "er" / "run.sh").chmod(0o755)
    (folder / "deep-er").write_text("sorts between")
    (folder / "out").symlink_to("/etc/passwd")
    (folder / "up").symlink_to("../..")
    os.link(folder / "a.txt", folder / "same.txt")
    (folder / ("long" * 60)).write_text("a long name")
    (folder / "ünïcode ☃").write_text("text")
    (folder / "read-only").mkdir()
    (folder / "read-only" / "file").write_text("x")
    (folder / "read-only").chmod(0o555)


def packed(folder: Path, target: Path) -> tuple[str, tuple[str, ...]]:
    done = pack(Meter(), folder, target)
    assert done.size_bytes == target.stat().st_size
    return done.sha256, done.notes


def test_what_goes_in_comes_out(tmp_path: Path) -> None:
    make_workspace(tmp_path / "w")
    sha256, notes = packed(tmp_path / "w", tmp_path / "w.tar")
    assert notes == ()
    check(Meter(), tmp_path / "w.tar", sha256)
    unpack(Meter(), tmp_path / "w.tar", tmp_path / "again")
    assert tree(tmp_path / "again") == tree(tmp_path / "w")
    assert (tmp_path / "again" / "a.txt").samefile(tmp_path / "again" / "same.txt")
    before, after = ((tmp_path / name / "deep" / "er" / "run.sh").stat().st_mtime for name in ("w", "again"))
    assert abs(before - after) < 0.001


def test_the_system_tar_reads_it(tmp_path: Path) -> None:
    make_workspace(tmp_path / "w")
    packed(tmp_path / "w", tmp_path / "w.tar")
    (tmp_path / "by-tar").mkdir()
    assert os.spawnlp(os.P_WAIT, "tar", "tar", "-xpf", str(tmp_path / "w.tar"), "-C", str(tmp_path / "by-tar")) == 0
    assert tree(tmp_path / "by-tar") == tree(tmp_path / "w")


def test_holes_stay_holes(tmp_path: Path) -> None:
    (tmp_path / "w").mkdir()
    with (tmp_path / "w" / "image").open("wb") as file:
        file.seek(5 * MIB + 123)
        file.write(b"middle")
        file.truncate(64 * MIB)
    with (tmp_path / "w" / "nothing").open("wb") as file:
        file.truncate(32 * MIB)
    packed(tmp_path / "w", tmp_path / "w.tar")
    assert (tmp_path / "w.tar").stat().st_size < MIB
    unpack(Meter(), tmp_path / "w.tar", tmp_path / "again")
    image = tmp_path / "again" / "image"
    assert image.read_bytes() == (tmp_path / "w" / "image").read_bytes()
    assert image.stat().st_blocks * 512 < MIB
    assert (tmp_path / "again" / "nothing").stat().st_size == 32 * MIB
    assert used_bytes(Meter(), tmp_path / "again") < MIB


def test_the_same_file_has_the_same_digest_with_and_without_holes(tmp_path: Path) -> None:
    for name in ("dense", "sparse"):
        (tmp_path / name).mkdir()
    content = bytes(3 * MIB) + b"word" + bytes(MIB)
    (tmp_path / "dense" / "f").write_bytes(content)
    with (tmp_path / "sparse" / "f").open("wb") as file:
        file.seek(3 * MIB)
        file.write(b"word")
        file.truncate(len(content))
    entries = {}
    for name in ("dense", "sparse"):
        packed(tmp_path / name, tmp_path / f"{name}.tar")
        write_index(Meter(), tmp_path / f"{name}.tar", tmp_path / f"{name}.index", "/workspace")
        entries[name] = [e for e in read_index(tmp_path / f"{name}.index") if e.kind == "file"]
    assert (tmp_path / "sparse.tar").stat().st_size < MIB < (tmp_path / "dense.tar").stat().st_size
    assert entries["dense"] == entries["sparse"]


def test_devices_sockets_and_pipes_are_left_out_with_a_word(tmp_path: Path) -> None:
    (tmp_path / "w").mkdir()
    os.mkfifo(tmp_path / "w" / "pipe")
    (tmp_path / "w" / "kept").write_text("x")
    _, notes = packed(tmp_path / "w", tmp_path / "w.tar")
    assert notes == ("./pipe: left out: a device, socket or pipe",)
    unpack(Meter(), tmp_path / "w.tar", tmp_path / "again")
    assert list(tree(tmp_path / "again")) == ["kept"]


def hostile(path: Path, *members: tuple[str, bytes, str]) -> None:
    with tarfile.open(path, "w") as tar:
        root = tarfile.TarInfo(".")
        root.type = tarfile.DIRTYPE
        tar.addfile(root)
        for name, kind, link in members:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, link
            info.size = 4 if kind == tarfile.REGTYPE else 0
            tar.addfile(info, io.BytesIO(b"evil"))


@pytest.mark.parametrize(
    "members",
    [
        [("../evil", tarfile.REGTYPE, "")],
        [("/tmp/evil", tarfile.REGTYPE, "")],
        [("a/../../evil", tarfile.REGTYPE, "")],
        [("link", tarfile.SYMTYPE, ".."), ("link/evil", tarfile.REGTYPE, "")],
        [("link", tarfile.SYMTYPE, "evil"), ("link", tarfile.REGTYPE, "")],
        [("hard", tarfile.LNKTYPE, "../../secret")],
    ],
)
def test_nothing_gets_out_of_the_folder(tmp_path: Path, members: list[tuple[str, bytes, str]]) -> None:
    (tmp_path / "secret").write_text("secret")
    hostile(tmp_path / "w.tar", *members)
    with pytest.raises((DriverFailed, OSError)):
        unpack(Meter(), tmp_path / "w.tar", tmp_path / "in" if (tmp_path / "in").exists() else tmp_path / "again")
    assert {path.name for path in tmp_path.iterdir()} == {"secret", "w.tar", "again"}


def test_a_changed_archive_is_refused(tmp_path: Path) -> None:
    make_workspace(tmp_path / "w")
    sha256, _ = packed(tmp_path / "w", tmp_path / "w.tar")
    with (tmp_path / "w.tar").open("r+b") as file:
        file.seek(600)
        file.write(b"!")
    with pytest.raises(DriverFailed) as refused:
        check(Meter(), tmp_path / "w.tar", sha256)
    assert refused.value.code == "snapshot_damaged"


@pytest.mark.parametrize("place", ["offset_data", "offset"], ids=["in a file", "between files"])
def test_an_archive_that_ends_too_early_has_no_list(tmp_path: Path, place: str) -> None:
    """Also where it ends after a whole entry, which the library takes for the end."""
    (tmp_path / "w").mkdir()
    for name in "ab":
        (tmp_path / "w" / name).write_text(name * tarfile.BLOCKSIZE)
    packed(tmp_path / "w", tmp_path / "w.tar")
    with tarfile.open(tmp_path / "w.tar") as tar:
        last = tar.getmembers()[-1]
    os.truncate(tmp_path / "w.tar", getattr(last, place))
    with pytest.raises(DriverFailed) as refused:
        write_index(Meter(), tmp_path / "w.tar", tmp_path / "index", "/workspace")
    assert refused.value.code == "snapshot_damaged"


@pytest.mark.parametrize("line", [b"{", b'["/workspace/a"]', b'["\xff"]'])
def test_a_damaged_list_is_said_to_be_damaged(tmp_path: Path, line: bytes) -> None:
    (tmp_path / "index").write_bytes(line + b"\n")
    with pytest.raises(DriverFailed) as refused:
        list(read_index(tmp_path / "index"))
    assert refused.value.code == "snapshot_damaged"


def indexed(folder: Path, target: Path) -> Path:
    pack(Meter(), folder, target)
    index = target.with_suffix(".index")
    write_index(Meter(), target, index, "/workspace")
    return index


def test_the_difference_names_what_changed(tmp_path: Path) -> None:
    make_workspace(tmp_path / "w")
    before = indexed(tmp_path / "w", tmp_path / "1.tar")
    (tmp_path / "w" / "a.txt").unlink()
    (tmp_path / "w" / "same.txt").unlink()
    (tmp_path / "w" / "deep" / "er" / "run.sh").write_text("#!/bin/ksh")
    (tmp_path / "w" / "deep-er").chmod(0o600)
    (tmp_path / "w" / "up").unlink()
    (tmp_path / "w" / "up").symlink_to("elsewhere")
    (tmp_path / "w" / "new").write_text("12345")
    after = indexed(tmp_path / "w", tmp_path / "2.tar")
    found = compare(Meter(), read_index(before), read_index(after), 100)
    assert [(d.path.removeprefix("/workspace/"), d.change, d.what, d.before_bytes, d.after_bytes) for d in found.entries
            ] == [
        ("a.txt", Change.REMOVED, "", 5, None),
        ("deep/er/run.sh", Change.CHANGED, "content", 10, 10),
        ("deep-er", Change.CHANGED, "mode", 13, 13),
        ("new", Change.ADDED, "", None, 5),
        ("same.txt", Change.REMOVED, "", 0, None),
        ("up", Change.CHANGED, "target", None, None),
    ]  # fmt: skip
    assert not found.truncated
    few = compare(Meter(), read_index(before), read_index(after), 2)
    assert (len(few.entries), few.truncated, few.counts) == (2, True, found.counts)


async def test_work_that_is_cancelled_ends_before_the_caller_goes_on(tmp_path: Path) -> None:
    import asyncio

    workers = Workers("test")
    begun, ended = asyncio.Event(), []
    loop = asyncio.get_running_loop()

    def forever(meter: Meter) -> None:
        loop.call_soon_threadsafe(begun.set)
        try:
            while True:
                meter.advance(1)
        finally:
            ended.append(True)

    async with asyncio.TaskGroup() as group:
        running = group.create_task(workers.watched(lambda done: None, forever))
        await begun.wait()
        running.cancel()
    assert ended == [True]
    workers.close()
