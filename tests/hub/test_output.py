"""Output in files: what was acknowledged is there by offset, once, with every cut marked."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.model import TaskId
from hub.errors import BadRequest, StorageFull, Unavailable
from hub.output import OutputPiece, OutputStore
from hub.output.files import FRAME_BYTES, attempt_of, path_of, translate
from runtime.wire import AttemptId, Stream

ONE = AttemptId("t_one:1")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[OutputStore]:
    opened = OutputStore(tmp_path / "output")
    yield opened
    opened.close()


def file_of(folder: Path, attempt: AttemptId = ONE) -> Path:
    return Path(path_of(folder / "output", attempt))


async def everything(store: OutputStore, attempt: AttemptId = ONE, step: int = 100_000) -> list[OutputPiece]:
    pieces: list[OutputPiece] = []
    offset = 0
    while more := await store.read(attempt, offset, step):
        assert sum(len(piece.data) for piece in more) <= step
        pieces += more
        assert more[-1].end > offset
        offset = more[-1].end
    return pieces


def text(pieces: list[OutputPiece]) -> bytes:
    """The whole output, with a dot for every byte that was cut; checks that offsets fit together."""
    whole = b""
    for piece in pieces:
        whole += b"." * piece.skipped
        assert piece.offset == len(whole)
        whole += piece.data
    return whole


# --- acknowledging


def test_a_chunk_is_acknowledged_up_to_its_end(store: OutputStore) -> None:
    assert store.offset(ONE) == 0
    assert store.append(ONE, 0, b"hello ") == 6
    assert store.append(ONE, 6, b"world", Stream.STDERR) == 11
    assert store.offset(ONE) == 11


async def test_overlaps_are_trimmed_and_repeats_ignored(store: OutputStore) -> None:
    store.append(ONE, 0, b"abcdef")
    assert store.append(ONE, 0, b"abc") == 6
    assert store.append(ONE, 4, b"efgh") == 8
    assert store.append(ONE, 4, b"efgh") == 8
    assert text(await everything(store)) == b"abcdefgh"


async def test_a_gap_is_taken_only_when_it_is_marked(store: OutputStore) -> None:
    store.append(ONE, 0, b"abc")
    assert store.append(ONE, 5, b"xyz") == 3
    assert store.append(ONE, 10, b"xyz", skipped=6) == 3
    assert store.append(ONE, 10, b"xyz", skipped=9) == 13
    assert store.append(ONE, 20, b"", skipped=7) == 20
    pieces = await everything(store)
    assert text(pieces) == b"abc.......xyz......."
    assert [(piece.offset, piece.skipped) for piece in pieces] == [(0, 0), (10, 7), (20, 7)]


@pytest.mark.parametrize(("offset", "skipped"), [(-1, 0), (0, -5), (2**53, 2**60), (2**70, 2**70)])
def test_offsets_that_cannot_be_change_nothing(store: OutputStore, offset: int, skipped: int) -> None:
    store.append(ONE, 0, b"abc")
    assert store.append(ONE, offset, b"xyz", skipped=skipped) == 3


@pytest.mark.parametrize(
    "name",
    ["", "t_one", ":1", "../../etc/passwd:1", "a/b:1", "a.b:1", "t_é:1", "t:-1", "t:1:x", "x" * 65 + ":1", "t\n:1"],
)
async def test_only_attempt_ids_become_file_names(store: OutputStore, name: str) -> None:
    attempt = AttemptId(name)
    for call in (lambda: store.append(attempt, 0, b"x"), lambda: store.offset(attempt)):
        with pytest.raises(BadRequest):
            call()
    with pytest.raises(BadRequest):
        await store.read(attempt, 0, 1)
    store.finish(attempt)


@given(st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True), st.integers(1, 10**6))
def test_file_names_are_read_back(task: str, number: int) -> None:
    path = Path(path_of(Path("/f"), f"{task}:{number}"))
    assert attempt_of(path.name) == f"{task}:{number}"
    assert path.name == path.name.lower()


# --- a model of everything at once

chunks = st.lists(
    st.tuples(
        st.integers(-20, 40), st.binary(max_size=60), st.sampled_from(list(Stream)), st.integers(0, 30), st.booleans()
    ),
    max_size=25,
)


@given(chunks, st.integers(1, 200), st.integers(0, 300))
async def test_any_sequence_of_chunks_reads_back(
    tmp_path_factory: pytest.TempPathFactory,
    sequence: list[tuple[int, bytes, Stream, int, bool]],
    step: int,
    start: int,
) -> None:
    folder = tmp_path_factory.mktemp("o")
    store = OutputStore(folder, open_attempts=1, remembered_attempts=1)
    expected = b""
    for shift, data, stream, skipped, restart in sequence:
        offset = len(expected) + shift
        if offset >= 0 and offset - skipped <= len(expected) < offset + len(data):
            expected = expected + b"." * (offset - len(expected)) + data[max(0, len(expected) - offset) :]
        elif offset >= 0 and not data and offset - skipped <= len(expected) < offset:
            expected += b"." * (offset - len(expected))
        if restart:
            store.close()
            store = OutputStore(folder)
        assert store.append(ONE, offset, data, stream, skipped) == len(expected)
        store.append(AttemptId("t_other:1"), 0, b"pushes the first out")
    assert text(await everything(store, step=step)) == expected
    tail = await store.read(ONE, start, 10**6)
    assert b"".join(b"." * piece.skipped + piece.data for piece in tail) == expected[start:]
    store.close()


# --- restarts


@pytest.mark.parametrize("cut", [1, FRAME_BYTES - 1, FRAME_BYTES + 2])
async def test_a_torn_tail_is_cut_to_the_last_whole_record(tmp_path: Path, cut: int) -> None:
    first = OutputStore(tmp_path / "output")
    first.append(ONE, 0, b"kept")
    first.append(ONE, 4, b"torn")
    first.close()
    path = file_of(tmp_path)
    path.write_bytes(path.read_bytes()[:-cut])
    second = OutputStore(tmp_path / "output")
    assert second.offset(ONE) == 4
    assert second.append(ONE, 4, b"again") == 9
    assert text(await everything(second)) == b"keptagain"
    second.close()
    assert path.stat().st_size == 2 * FRAME_BYTES + 9


async def test_every_cut_of_the_file_gives_a_beginning_of_the_output(tmp_path: Path) -> None:
    store = OutputStore(tmp_path / "output")
    whole = b""
    for number in range(6):
        data = bytes([65 + number]) * (number * 3 + 1)
        store.append(ONE, len(whole), data, list(Stream)[number % 3])
        whole += data
    store.close()
    path = file_of(tmp_path)
    content = path.read_bytes()
    for size in range(len(content) + 1):
        path.write_bytes(content[:size])
        again = OutputStore(tmp_path / "output")
        found = text(await everything(again))
        assert whole.startswith(found)
        assert again.offset(ONE) == len(found)
        again.close()


@given(st.data())
async def test_damage_never_shows_wrong_bytes(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("o")
    store = OutputStore(folder)
    whole = b""
    for number in range(5):
        part = bytes([65 + number]) * 10
        store.append(ONE, len(whole), part)
        whole += part
    path = Path(path_of(folder, ONE))
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    found = text(await everything(store))
    assert len(found) == len(whole)
    assert all(shown in (true, ord(".")) for shown, true in zip(found, whole, strict=True))
    store.close()


# --- bounds


async def test_an_agent_that_does_not_cut_is_cut_and_marked(tmp_path: Path) -> None:
    store = OutputStore(tmp_path / "output", max_attempt_bytes=100)
    store.append(ONE, 0, b"a" * 90)
    for number in range(50):
        assert store.append(ONE, 90 + number * 20, b"b" * 20) == 110 + number * 20
    pieces = await everything(store)
    assert text(pieces) == b"a" * 90 + b"." * 1000
    assert file_of(tmp_path).stat().st_size == 90 + 2 * FRAME_BYTES
    store.close()
    again = OutputStore(tmp_path / "output", max_attempt_bytes=100)
    assert again.append(ONE, 1090, b"c" * 20) == 1110
    assert text(await everything(again)) == b"a" * 90 + b"." * 1020
    again.close()


async def test_few_files_are_open_for_many_attempts(tmp_path: Path) -> None:
    store = OutputStore(tmp_path / "output", open_attempts=4)
    before = len(os.listdir("/dev/fd"))
    for round_ in range(3):
        for number in range(40):
            store.append(AttemptId(f"t_{number}:1"), round_ * 2, b"ab")
    assert len(os.listdir("/dev/fd")) <= before + 4
    assert text(await everything(store, AttemptId("t_7:1"))) == b"ababab"
    store.close()
    assert len(os.listdir("/dev/fd")) <= before


async def test_a_read_never_takes_the_whole_file(store: OutputStore) -> None:
    block = b"x" * 32_768
    for number in range(80):
        store.append(ONE, number * len(block), block)
    pieces = await store.read(ONE, 5, 10**9)
    assert sum(len(piece.data) for piece in pieces) == 1024 * 1024
    assert len(pieces) == 1
    one = await store.read(ONE, 70 * 32_768 + 3, 7)
    assert [(piece.offset, piece.data) for piece in one] == [(70 * 32_768 + 3, b"x" * 7)]
    assert text(await everything(store)) == block * 80


async def test_one_byte_at_a_time_reads_back(store: OutputStore) -> None:
    for number in range(9_000):
        store.append(ONE, number, b"%d" % (number % 10))
    assert text(await everything(store)) == b"0123456789" * 900


async def test_nothing_is_nothing(store: OutputStore, tmp_path: Path) -> None:
    assert await store.read(ONE, 0, 10) == []
    assert store.append(ONE, 0, b"") == 0
    store.finish(ONE)
    assert list((tmp_path / "output").iterdir()) == []


# --- following


async def test_a_follower_wakes_for_more_and_for_the_end(store: OutputStore) -> None:
    seen = b""

    async def follow() -> None:
        nonlocal seen
        while await store.wait_more(ONE, len(seen)):
            seen += b"".join(piece.data for piece in await store.read(ONE, len(seen), 100))

    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        group.create_task(follow())
        for number in range(5):
            await asyncio.sleep(0)
            store.append(ONE, number * 3, b"abc")
        store.finish(ONE)
    assert seen == b"abc" * 5


async def test_the_end_of_an_attempt_without_output(store: OutputStore) -> None:
    store.finish(ONE)
    assert await store.wait_more(ONE, 0) is False
    store.append(ONE, 0, b"late")
    assert await store.wait_more(ONE, 0) is True


async def test_waiting_is_bounded_and_leaves_nothing(tmp_path: Path) -> None:
    store = OutputStore(tmp_path / "output", max_waiters=2)
    async with asyncio.TaskGroup() as group:
        waiting = [group.create_task(store.wait_more(ONE, 0)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(Unavailable):
            await store.wait_more(ONE, 0)
        waiting[0].cancel()
        await asyncio.wait([waiting[0]])
        third = group.create_task(store.wait_more(ONE, 0))
        await asyncio.sleep(0)
        store.close()
    assert (waiting[1].result(), third.result()) == (False, False)


# --- full disk


async def test_a_full_disk_is_said_and_gets_well(store: OutputStore, tmp_path: Path) -> None:
    store.append(ONE, 0, b"a" * 1000)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1500, hard))
    try:
        with pytest.raises(StorageFull) as caught:
            store.append(ONE, 1000, b"b" * 1000)
        assert caught.value.retryable
        assert store.offset(ONE) == 1000
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert store.append(ONE, 1000, b"b" * 1000) == 2000
    assert text(await everything(store)) == b"a" * 1000 + b"b" * 1000


@pytest.mark.parametrize(
    ("number", "kind"), [(errno.ENOSPC, StorageFull), (errno.EROFS, StorageFull), (errno.EMFILE, Unavailable)]
)
def test_errors_have_a_remedy(number: int, kind: type[Exception]) -> None:
    error = translate(OSError(number, os.strerror(number)))
    assert type(error) is kind
    assert error.hint


# --- retention


def age(folder: Path, attempt: AttemptId, seconds: float) -> None:
    os.utime(file_of(folder, attempt), (seconds, seconds))


def attempts(count: int) -> list[AttemptId]:
    return [AttemptId(f"t_{number}:1") for number in range(count)]


async def test_old_output_goes_except_what_is_open(store: OutputStore, tmp_path: Path) -> None:
    names = attempts(4)
    for name in names:
        store.append(name, 0, b"x" * 100)
        age(tmp_path, name, 1_000)
    for name in names[:2]:
        store.finish(name)
    store.finish(names[3])
    age(tmp_path, names[1], 3_000)
    done = await store.purge(2_000_000, 10**9, keep={TaskId("t_3")})
    assert done.attempts == [names[0]]
    assert store.offset(names[0]) == 0
    assert [store.offset(name) for name in names[1:]] == [100] * 3
    assert done.total_bytes == store.total_bytes() == await store.measure() > 0


async def test_the_oldest_goes_when_it_is_too_much(store: OutputStore, tmp_path: Path) -> None:
    names = attempts(10)
    for number, name in enumerate(names):
        store.append(name, 0, b"x" * 10_000)
        store.finish(name)
        age(tmp_path, name, 1_000_000 + number * 100)
    whole = await store.measure()
    done = await store.purge(0, whole // 2)
    assert sorted(done.attempts) == names[:5]
    assert done.total_bytes <= whole // 2
    assert done.freed_bytes + done.total_bytes == whole
    assert (await store.purge(0, whole // 2)).attempts == []


async def test_a_tasks_output_goes_with_all_its_attempts(store: OutputStore) -> None:
    for name in ("t_1:1", "t_1:2", "t_1:11", "t_11:1"):
        store.append(AttemptId(name), 0, b"x")
    await store.remove([TaskId("t_1"), TaskId("t_none")])
    assert [store.offset(AttemptId(name)) for name in ("t_1:1", "t_1:2", "t_1:11", "t_11:1")] == [0, 0, 0, 1]


async def test_foreign_files_are_never_touched(store: OutputStore, tmp_path: Path) -> None:
    store.append(ONE, 0, b"x")
    store.finish(ONE)
    foreign = file_of(tmp_path).with_name("notes.txt")
    foreign.write_text("mine")
    await store.purge(10**15, 0)
    assert foreign.read_text() == "mine"
    assert not file_of(tmp_path).exists()


async def test_a_closed_store_says_so(store: OutputStore) -> None:
    store.close()
    with pytest.raises(Unavailable):
        await store.read(ONE, 0, 1)


def test_files_are_for_the_owner_only(store: OutputStore, tmp_path: Path) -> None:
    store.append(ONE, 0, b"x")
    path = file_of(tmp_path)
    assert [p.stat().st_mode & 0o777 for p in (path, path.parent, tmp_path / "output")] == [0o600, 0o700, 0o700]
