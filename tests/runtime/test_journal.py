"""The attempt log: order, batching, corruption, refusing disks, compaction."""

from __future__ import annotations

import errno
import os
import queue
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime import journal as journal_module
from runtime.journal import MAGIC, Callback, Journal, frame, load, parse, replace_durably
from runtime.records import Accepted, Finished, Forgotten, Ledger, Record
from runtime.wire import AttemptId, Response, ResponseStatus

RECORDS: list[Record] = [
    Accepted(AttemptId("a:1"), 5),
    Finished(AttemptId("a:1"), Response(status=ResponseStatus.SUCCEEDED, attempt_id=AttemptId("a:1"), stdout="ü\n")),
    Forgotten(AttemptId("a:1")),
    Accepted(AttemptId("b:1"), 6),
]


class Loop:
    """Stands in for the event loop: callbacks wait here until the test runs them."""

    def __init__(self) -> None:
        self.callbacks: queue.Queue[Callback] = queue.Queue()

    def call(self, callback: Callback) -> None:
        self.callbacks.put(callback)

    def run_one(self) -> None:
        self.callbacks.get(timeout=30)()


@pytest.fixture
def loop() -> Loop:
    return Loop()


@pytest.fixture
def troubles() -> list[OSError | None]:
    return []


@pytest.fixture
def journal(tmp_path: Path, loop: Loop, troubles: list[OSError | None]) -> Iterator[Journal]:
    journal = Journal(tmp_path / "log", [], call_in_loop=loop.call, on_trouble=troubles.append)
    yield journal
    journal.close()


def written(tmp_path: Path) -> list[Record]:
    return load(tmp_path / "log", tmp_path / "quarantine").records


def test_records_are_on_disk_when_their_callback_runs(tmp_path: Path, journal: Journal, loop: Loop) -> None:
    seen: list[list[Record]] = []
    journal.append(RECORDS[:1], lambda: seen.append(written(tmp_path)))
    loop.run_one()
    journal.append(RECORDS[1:], lambda: seen.append(written(tmp_path)))
    loop.run_one()
    assert seen == [RECORDS[:1], RECORDS]


def test_callbacks_run_in_the_order_of_the_appends(journal: Journal, loop: Loop) -> None:
    seen: list[int] = []
    for number in range(50):
        journal.append([Accepted(AttemptId(f"t{number}:1"), 0)], lambda n=number: seen.append(n))
    while len(seen) < 50:
        loop.run_one()
    assert seen == list(range(50))


def test_what_waits_for_everything_is_called_at_once_when_nothing_is_under_way(journal: Journal, loop: Loop) -> None:
    seen: list[str] = []
    journal.after_all(lambda: seen.append("idle"))
    assert seen == ["idle"]
    journal.append(RECORDS[:1], lambda: seen.append("record"))
    journal.after_all(lambda: seen.append("after"))
    while len(seen) < 3:
        loop.run_one()
    assert seen == ["idle", "record", "after"]


def test_lazy_records_go_with_the_next_append_or_the_close(tmp_path: Path, loop: Loop) -> None:
    journal = Journal(tmp_path / "log", [], call_in_loop=loop.call, on_trouble=lambda _: None)
    journal.append_lazily(RECORDS[0])
    assert written(tmp_path) == []
    journal.append([RECORDS[1]], lambda: None)
    loop.run_one()
    assert written(tmp_path) == RECORDS[:2]
    journal.append_lazily(RECORDS[2])
    journal.close()
    assert written(tmp_path) == RECORDS[:3]


def test_one_sync_serves_everything_that_arrived_meanwhile(
    tmp_path: Path, loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    first_sync, go_on = queue.Queue[None](), queue.Queue[None]()
    syncs: list[int] = []

    def slow_sync(_fd: int) -> None:
        syncs.append(1)
        if len(syncs) == 1:
            first_sync.put(None)
            go_on.get(timeout=30)

    monkeypatch.setattr(journal_module, "sync", slow_sync)
    journal = Journal(tmp_path / "log", [], call_in_loop=loop.call, on_trouble=lambda _: None)
    done: list[int] = []
    journal.append([RECORDS[0]], lambda: done.append(0))
    first_sync.get(timeout=30)
    for number in range(1, 20):
        journal.append([Accepted(AttemptId(f"t{number}:1"), 0)], lambda n=number: done.append(n))
    go_on.put(None)
    while len(done) < 20:
        loop.run_one()
    journal.close()
    assert len(syncs) == 2


def test_a_refusing_disk_delays_and_loses_nothing(
    tmp_path: Path, loop: Loop, troubles: list[OSError | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    refusals = [True, True]
    real_sync = journal_module.sync

    def full_disk(fd: int) -> None:
        if refusals:
            refusals.pop()
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real_sync(fd)

    monkeypatch.setattr(journal_module, "sync", full_disk)
    monkeypatch.setattr(journal_module, "RETRY_SECONDS", 0.001)
    journal = Journal(tmp_path / "log", [], call_in_loop=loop.call, on_trouble=troubles.append)
    done: list[bool] = []
    journal.append(RECORDS, lambda: done.append(True))
    while not done:
        loop.run_one()
    journal.close()
    assert written(tmp_path) == RECORDS
    first, last = troubles
    assert isinstance(first, OSError)
    assert last is None


def test_closing_gives_up_on_a_disk_that_refuses(tmp_path: Path, loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    def full_disk(_fd: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(journal_module, "sync", full_disk)
    journal = Journal(tmp_path / "log", [], call_in_loop=loop.call, on_trouble=lambda _: None)
    journal.append(RECORDS, lambda: pytest.fail("nothing became durable"))
    loop.run_one()
    journal.close()
    assert written(tmp_path) == []


def test_a_long_log_is_compacted_to_its_ledger(tmp_path: Path, loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "COMPACT_BYTES", 4_000)
    monkeypatch.setattr("runtime.records.MAX_TOMBSTONES", 3)
    journal = Journal(tmp_path / "log", RECORDS[3:], call_in_loop=loop.call, on_trouble=lambda _: None)
    for number in range(200):
        attempt_id = AttemptId(f"t{number}:1")
        journal.append([Accepted(attempt_id, 0)], lambda: None)
        journal.append([Forgotten(attempt_id)], lambda: None)
        loop.run_one()
    journal.close()
    ledger = Ledger()
    for record in written(tmp_path):
        ledger.apply(record)
    assert list(ledger.open.values()) == RECORDS[3:]
    assert list(ledger.tombstones) == ["t197:1", "t198:1", "t199:1"]
    assert (tmp_path / "log").stat().st_size < 8_000


def test_a_missing_log_is_an_empty_one(tmp_path: Path) -> None:
    assert load(tmp_path / "log", tmp_path / "quarantine").records == []


def test_a_foreign_file_is_put_aside_whole(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"something else")
    loaded = load(tmp_path / "log", tmp_path / "quarantine")
    assert loaded.records == []
    assert loaded.quarantined is not None
    assert loaded.quarantined.read_bytes() == b"something else"


@given(cut=st.integers(0, 10_000))
def test_any_cut_leaves_the_records_before_it(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    folder = tmp_path_factory.mktemp("cut")
    frames = [frame(record) for record in RECORDS]
    data = MAGIC + b"".join(frames)
    cut = len(MAGIC) + cut % (len(data) - len(MAGIC))
    (folder / "log").write_bytes(data[:cut])
    whole = sum(len(MAGIC) + sum(map(len, frames[: n + 1])) <= cut for n in range(len(frames)))
    loaded = load(folder / "log", folder / "quarantine")
    assert loaded.records == RECORDS[:whole]
    left = data[len(MAGIC) + sum(map(len, frames[:whole])) : cut]
    assert (loaded.quarantined.read_bytes() if loaded.quarantined else b"") == left
    assert load(folder / "log", folder / "quarantine").quarantined is None


@given(position=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_any_flipped_bit_ends_the_log_before_it(position: int, bit: int) -> None:
    frames = [frame(record) for record in RECORDS]
    data = bytearray(MAGIC + b"".join(frames))
    position = len(MAGIC) + position % (len(data) - len(MAGIC))
    data[position] ^= 1 << bit
    found, good_bytes = parse(bytes(data))
    ends = [len(MAGIC) + sum(map(len, frames[:n])) for n in range(len(frames) + 1)]
    intact = max(n for n, end in enumerate(ends) if end <= position)
    assert found == RECORDS[:intact]
    assert good_bytes == ends[intact]


def test_replacing_a_file_leaves_no_other(tmp_path: Path) -> None:
    replace_durably(tmp_path / "x", b"one")
    replace_durably(tmp_path / "x", b"two")
    assert [p.name for p in tmp_path.iterdir()] == ["x"]
    assert (tmp_path / "x").read_bytes() == b"two"
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o600
