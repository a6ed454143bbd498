"""The spool: offsets, head and tail, what survives a restart, refusing disks."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.output import KEPT_SEGMENTS, Spool, folder_of, recover
from runtime.wire import AttemptId, Stream

SEGMENT = 16
CAP = 2 * KEPT_SEGMENTS * SEGMENT


def read_all(spool: Spool, offset: int = 0, limit: int = 10_000) -> tuple[bytes, list[tuple[int, int]]]:
    """Return what can be read and the gaps as (offset, bytes)."""
    data, gaps = b"", []
    while (run := spool.read(offset, limit)) is not None:
        if run.offset > offset:
            gaps.append((offset, run.offset - offset))
        assert run.data
        data += run.data
        offset = run.offset + len(run.data)
    return data, gaps


def numbered(size: int) -> bytes:
    return bytes(n % 251 for n in range(size))


def test_nothing_written_makes_no_file(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "a")
    spool.finish()
    assert spool.read(0, 100) is None
    assert not spool.cut
    assert not (tmp_path / "a").exists()


def test_streams_are_interleaved_by_offset(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "a")
    spool.write(Stream.STDOUT, b"one")
    spool.write(Stream.STDERR, b"two")
    spool.write(Stream.STDERR, b"three")
    assert spool.read(0, 100) is None
    spool.flush()
    runs = [spool.read(0, 100), spool.read(3, 100)]
    assert [(r.offset, r.stream, r.data, r.more) for r in runs if r] == [
        (0, Stream.STDOUT, b"one", True),
        (3, Stream.STDERR, b"twothree", False),
    ]
    assert spool.end == 11


def test_exactly_the_cap_is_kept_whole(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "a", SEGMENT)
    data = numbered(CAP)
    for start in range(0, CAP, 7):
        spool.write(Stream.STDOUT, data[start : start + 7])
    spool.finish()
    assert not spool.cut
    assert read_all(spool) == (data, [])


@given(extra=st.integers(1, 500), piece=st.integers(1, 60))
def test_beyond_the_cap_head_and_tail_are_kept_and_the_cut_is_marked(
    tmp_path_factory: pytest.TempPathFactory, extra: int, piece: int
) -> None:
    spool = Spool(tmp_path_factory.mktemp("spool") / "a", SEGMENT)
    data = numbered(CAP + extra)
    for start in range(0, len(data), piece):
        spool.write(Stream.STDOUT, data[start : start + piece])
        spool.flush()
    spool.finish()
    kept, gaps = read_all(spool)
    ((offset, size),) = gaps
    assert spool.cut
    assert offset == CAP // 2 or piece < 10  # tiny records end a segment early
    assert kept == data[:offset] + data[offset + size :]
    assert len(kept) <= CAP
    assert len(data) - offset - size >= CAP // 2 - SEGMENT or piece < 10
    spool.remove()


def test_while_the_process_lives_only_the_head_is_readable(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "a", SEGMENT)
    spool.write(Stream.STDOUT, numbered(CAP))
    spool.flush()
    assert spool.beyond_head
    assert read_all(spool) == (numbered(CAP)[: CAP // 2], [])
    spool.finish()
    assert read_all(spool) == (numbered(CAP), [])


def test_one_byte_records_do_not_multiply_the_disk(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "a", 64)
    for number in range(4_000):
        spool.write((Stream.STDOUT, Stream.STDERR)[number % 2], b"x")
        spool.flush()
    spool.finish()
    on_disk = sum(path.stat().st_size for path in (tmp_path / "a").iterdir())
    assert on_disk <= 2 * KEPT_SEGMENTS * (2 * 64 + 6)
    assert spool.cut


@given(pieces=st.lists(st.tuples(st.sampled_from(list(Stream)), st.binary(min_size=1, max_size=50)), max_size=30))
def test_reading_from_any_offset_gives_the_same_bytes(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[tuple[Stream, bytes]]
) -> None:
    spool = Spool(tmp_path_factory.mktemp("spool") / "a", 200)
    for stream, data in pieces:
        spool.write(stream, data)
    spool.finish()
    whole = b"".join(data for _, data in pieces)
    for offset in range(len(whole), -1, -13):
        assert read_all(spool, offset, limit=17) == (whole[offset:], [])
    spool.remove()


def test_a_restart_finds_the_same_output(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "a", SEGMENT)
    data = numbered(CAP + 100)
    for start in range(0, len(data), 10):
        spool.write(Stream.STDOUT, data[start : start + 10])
    spool.finish()
    before = read_all(spool)
    spool.close()
    found = recover(tmp_path / "a", SEGMENT)
    assert (found.finished, found.end, found.cut) == (True, len(data), True)
    assert read_all(found) == before
    found.remove()
    assert not (tmp_path / "a").exists()


def test_a_torn_record_is_left_out(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "a")
    spool.write(Stream.STDOUT, b"whole")
    spool.flush()
    spool.write(Stream.STDERR, b"torn")
    spool.finish()
    (segment,) = (tmp_path / "a").iterdir()
    os.truncate(segment, segment.stat().st_size - 2)
    assert read_all(recover(tmp_path / "a")) == (b"whole", [])


def test_a_refusing_disk_cuts_and_says_so(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_bytes(b"")
    spool = Spool(blocked / "a")
    spool.write(Stream.STDOUT, b"lost")
    spool.finish()
    assert (spool.end, spool.lost_bytes, spool.cut) == (4, 4, True)
    assert isinstance(spool.last_error, OSError)
    assert spool.read(0, 10) is None


def test_output_goes_on_after_a_refusal_with_the_gap_marked(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "a", SEGMENT)
    spool.write(Stream.STDOUT, b"before")
    spool.flush()
    spool.close()
    (tmp_path / "a").rename(tmp_path / "moved")
    (tmp_path / "a").write_bytes(b"")
    spool.write(Stream.STDOUT, b"lost")
    spool.flush()
    (tmp_path / "a").unlink()
    (tmp_path / "moved").rename(tmp_path / "a")
    spool.write(Stream.STDOUT, b"after")
    spool.finish()
    assert read_all(spool) == (b"beforeafter", [(6, 4)])


def test_folders_of_odd_ids_stay_inside_and_apart(tmp_path: Path) -> None:
    ids = [AttemptId(text) for text in ("../../x:1", "a/b:1", "a_b:1", "ü" * 300, "")]
    folders = [folder_of(tmp_path, attempt_id) for attempt_id in ids]
    assert len(set(folders)) == len(ids)
    assert all(folder.parent == tmp_path and len(folder.name) < 100 for folder in folders)
