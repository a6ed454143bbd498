"""Archives that somebody may have tampered with: what is refused, what is left out, and what comes through."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.archives.guarded import MOST_HEADER_BYTES, MOST_LEFT_OUT, look_through, rewrite
from hub.archives.work import Meter
from hub.errors import BadRequest, TooLarge
from tests.drivers.cells_contract import tar_of

MOST_BYTES, MOST_ENTRIES = 10_000, 50


def entry(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, target
    return made


def rewritten(path: Path) -> tarfile.TarFile:
    buffer = io.BytesIO()
    rewrite(Meter(), path, MOST_BYTES, MOST_ENTRIES, lambda data: (buffer.write(data), None)[1])
    return tarfile.open(fileobj=io.BytesIO(buffer.getvalue()))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.tar"


SYM, HARD, FOLDER = tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (tar_of(("../out", b"x")), "leads out"),
        (tar_of(("a/../../out", b"x")), "leads out"),
        (tar_of(("/etc/passwd", b"x")), "leads out"),
        (tar_of(entry("d", SYM, "sub"), ("d/below", b"x")), "below a link"),
        (tar_of(entry("d", SYM, "/etc"), entry("d", SYM, "sub"), ("d/a/b", b"x")), "below a link"),
        (tar_of(entry("h", HARD, "/etc/passwd")), "leads out"),
        (tar_of(entry("h", HARD, "../x")), "leads out"),
        (tar_of(entry("h", HARD, "later"), ("later", b"x")), "not before it"),
        (tar_of(entry("s", SYM, "x"), entry("h", HARD, "s")), "not before it"),
        (tar_of((".", b"x")), "root is not a folder"),
        (b"no archive at all" * 100, "cannot be used"),
        (tar_of(("whole", b"x" * 3_000))[:2_000], "cannot be used"),
    ],
)
def test_ways_out_and_damage_are_refused(path: Path, data: bytes, why: str) -> None:
    path.write_bytes(data)
    for call in (lambda: look_through(Meter(), path, MOST_BYTES, MOST_ENTRIES), lambda: rewritten(path)):
        with pytest.raises(BadRequest) as refused:
            call()
        assert refused.value.code == "archive_damaged"
        assert why in refused.value.message


@pytest.mark.parametrize(
    "data",
    [
        tar_of(*((f"f{number}", b"x" * 1_000) for number in range(11))),
        tar_of(*(entry(f"d{number}", FOLDER) for number in range(51))),
    ],
)
def test_more_than_the_bounds_is_refused(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    with pytest.raises(TooLarge):
        look_through(Meter(), path, MOST_BYTES, MOST_ENTRIES)
    with pytest.raises(TooLarge):
        rewritten(path)


def test_a_sparse_bomb_counts_as_large_as_it_unpacks(path: Path) -> None:
    bomb = path.with_name("bomb")
    with bomb.open("wb") as file:
        file.truncate(2**40)
    os.system(f"tar --sparse --format=posix -C {path.parent} -cf {path} bomb")
    assert path.stat().st_size < 20_000
    with pytest.raises(TooLarge):
        look_through(Meter(), path, 2**30, MOST_ENTRIES)


def test_headers_that_would_fill_the_memory_are_refused(path: Path) -> None:
    size = MOST_HEADER_BYTES + 512
    header = tarfile.TarInfo("@PaxHeader")
    header.type, header.size = tarfile.XHDTYPE, size
    path.write_bytes(header.tobuf() + bytes(size) + tar_of(("f", b"x")))
    with pytest.raises(BadRequest) as refused:
        look_through(Meter(), path, MOST_BYTES, MOST_ENTRIES)
    assert "header is too large" in refused.value.message


def test_devices_and_links_that_lead_out_are_left_out_and_named(path: Path) -> None:
    path.write_bytes(
        tar_of(
            entry("null", tarfile.CHRTYPE), entry("disk", tarfile.BLKTYPE), entry("pipe", tarfile.FIFOTYPE),
            entry("root", SYM, "/etc/shadow"), entry("up", SYM, "../.."), entry("d/in", SYM, "../f"), ("f", b"x"),
            entry("hard", HARD, "f"),
        )
    )  # fmt: skip
    contents = look_through(Meter(), path, MOST_BYTES, MOST_ENTRIES)
    assert (contents.entries, contents.content_bytes) == (8, 1)
    assert [line.partition(":")[0] for line in contents.left_out] == ["null", "disk", "pipe", "root", "up"]
    with rewritten(path) as made:
        assert made.getnames() == ["./d/in", "./f", "./hard"]
        assert made.getmember("./hard").linkname == "./f"
    path.write_bytes(tar_of(*(entry(f"n{number}", tarfile.CHRTYPE) for number in range(MOST_LEFT_OUT + 1))))
    with pytest.raises(BadRequest):
        look_through(Meter(), path, MOST_BYTES, 1_000)


def test_what_comes_through_keeps_owner_mode_and_time_and_loses_what_speaks_for_others(path: Path) -> None:
    file, folder = tarfile.TarInfo("run"), entry("d", FOLDER)
    file.size, file.mode, file.uid, file.gid, file.mtime = 0, 0o6755, 1000, 1001, 1_700_000_000
    file.uname, file.pax_headers = "root", {"SCHILY.xattr.security.capability": "x"}
    folder.mode = 0o1777
    path.write_bytes(tar_of(file, folder))
    with rewritten(path) as made:
        run = made.getmember("./run")
        assert (run.mode, run.uid, run.gid, run.mtime, run.uname) == (0o755, 1000, 1001, 1_700_000_000, "")
        assert run.pax_headers == {}
        assert made.getmember("./d").mode == 0o1777


def test_what_hides_behind_the_end_of_an_archive_does_not_come_through(path: Path) -> None:
    """GNU tar goes on after a single block of zeros, so what it is given is written anew."""
    first, hidden = tar_of(("seen", b"x"))[:1024], tar_of(("hidden", b"y" * 20_000))
    path.write_bytes(first + bytes(512) + hidden)
    with rewritten(path) as made:
        assert made.getnames() == ["./seen"]


NAMES = st.text(
    st.characters(blacklist_characters="/\0", blacklist_categories=("Cs",)), min_size=1, max_size=20
).filter(lambda name: name not in (".", ".."))


@given(st.dictionaries(NAMES, st.binary(max_size=300), max_size=8))
def test_files_come_through_as_they_are(tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]) -> None:
    path = tmp_path_factory.mktemp("files") / "a.tar"
    path.write_bytes(tar_of(*files.items()))
    with rewritten(path) as made:
        found = {member.name.removeprefix("./"): made.extractfile(member) for member in made}
        assert {name: content.read() for name, content in found.items() if content} == files


@given(st.binary(max_size=3_000), st.integers(0, 2_000))
def test_no_bytes_do_anything_but_being_refused_or_read(
    tmp_path_factory: pytest.TempPathFactory, noise: bytes, position: int
) -> None:
    path = tmp_path_factory.mktemp("noise") / "a.tar"
    good = bytearray(tar_of(("one", b"x" * 700), entry("two", SYM, "one")))
    good[position : position + len(noise)] = noise
    path.write_bytes(good)
    try:
        contents = look_through(Meter(), path, MOST_BYTES, MOST_ENTRIES)
    except (BadRequest, TooLarge):
        return
    assert contents.content_bytes <= MOST_BYTES
