"""Fault 4: the power goes. Whatever was acknowledged is on the disk, whatever was not is wholly absent.

The database is opened again from copies of its files with the log cut where the power may have cut
it: at every frame, inside frames, and in the middle of a checkpoint.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from hub.core.effects import Delete, Save
from hub.core.model import AuditEntry, Task, TaskState
from hub.registry import Registry
from hub.registry.connection import connect
from hub.registry.opening import prepare
from hub.registry.rows import TASKS
from tests.hub.registry.factories import audit, ended, task

ROOT = Path(__file__).resolve().parents[2]
LOG_HEADER_BYTES = 32
FRAME_HEADER_BYTES = 24
PAGE_BYTES = 4096
FRAME_BYTES = FRAME_HEADER_BYTES + PAGE_BYTES
"""https://sqlite.org/fileformat2.html#the_write_ahead_log"""

Stored = dict[str, Task]


def batches(seed: int) -> Iterator[list[Save | Delete]]:
    """Submissions, results, deletions and audit in batches of many sizes."""
    chance = random.Random(seed)
    number = 0
    for _ in range(25):
        batch: list[Save | Delete] = [Save(audit(number))]
        for _ in range(chance.choice([1, 1, 2, 10, 40])):
            number += 1
            old = task(chance.randrange(number))
            made = task(number, stdout="x" * chance.choice([0, 100, 6_000]), labels={"n": str(number % 3)})
            batch += [Save(made), chance.choice([Save(ended(old.seq)), Delete(old)])]
        yield batch


def after(batch: list[Save | Delete], before: Stored) -> Stored:
    stored = dict(before)
    for effect in batch:
        if isinstance(effect.record, AuditEntry):
            continue
        assert isinstance(effect.record, Task)
        if isinstance(effect, Save):
            stored[effect.record.id] = effect.record
        else:
            stored.pop(effect.record.id, None)
    return stored


def opened(folder: Path, database: bytes, log: bytes, *, whole_start: bool = True) -> tuple[Stored, int]:
    """Open these files, with all checks of the hub's start or without; returns tasks and audit entries."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    path = folder / "registry.db"
    path.write_bytes(database)
    path.with_name("registry.db-wal").write_bytes(log)
    if whole_start:
        prepare(path)
    with closing(connect(path)) as connection:
        # The copy is thrown away: syncing it would only take time.
        connection.execute("PRAGMA synchronous = OFF")
        assert connection.execute("PRAGMA quick_check").fetchall() == [("ok",)]
        found = [TASKS.record(body) for (body,) in connection.execute("SELECT body FROM tasks")]
        entries = connection.execute("SELECT count(*) FROM audit").fetchone()[0]
    return {record.id: record for record in found}, entries


class History:
    """What was acknowledged when the log had which length."""

    def __init__(self) -> None:
        self.lengths = [0]
        self.states: list[Stored] = [{}]

    def at(self, length: int) -> tuple[Stored, int]:
        """Return what must be there when only `length` bytes of the log reached the disk."""
        index = max(number for number, reached in enumerate(self.lengths) if reached <= length)
        return self.states[index], index


async def recorded(database: Path, seed: int) -> tuple[History, bytes, bytes]:
    """Commit all batches; returns the history, the database before, and the whole log."""
    registry = await Registry.open(database)
    base = database.read_bytes()
    log = database.with_name("registry.db-wal")
    history = History()
    for batch in batches(seed):
        await registry.commit(batch)
        history.lengths.append(log.stat().st_size)
        history.states.append(after(batch, history.states[-1]))
    whole = log.read_bytes()
    assert database.read_bytes() == base, "a checkpoint came in between; make the history shorter"
    await registry.close()
    return history, base, whole


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.soak), pytest.param(3, marks=pytest.mark.soak)])
async def test_the_log_cut_at_every_frame(tmp_path: Path, seed: int) -> None:
    history, base, log = await recorded(tmp_path / "registry.db", seed)
    frames = (len(log) - LOG_HEADER_BYTES) // FRAME_BYTES
    assert frames > 100
    for frame in range(frames + 1):
        length = LOG_HEADER_BYTES + frame * FRAME_BYTES
        found = opened(tmp_path / "cut", base, log[:length], whole_start=frame % 16 == 0)
        assert found == history.at(length)


async def test_the_log_cut_inside_frames_and_with_blocks_that_never_arrived(tmp_path: Path) -> None:
    history, base, log = await recorded(tmp_path / "registry.db", 4)
    chance = random.Random(4)
    for _ in range(40):
        length = chance.randrange(len(log))
        assert opened(tmp_path / "cut", base, log[:length], whole_start=False) == history.at(length)
        # The file has its length, but a part of its end is still zeros.
        holes = log[:length] + bytes(len(log) - length)
        assert opened(tmp_path / "cut", base, holes, whole_start=False) == history.at(length)


async def test_the_power_goes_in_the_middle_of_a_checkpoint(tmp_path: Path) -> None:
    """Some pages of the database are new, some old, in any mixture; the log still has them all."""
    database = tmp_path / "registry.db"
    registry = await Registry.open(database)
    base = database.read_bytes()
    stored: Stored = {}
    for batch in batches(5):
        await registry.commit(batch)
        stored = after(batch, stored)
    log = database.with_name("registry.db-wal").read_bytes()
    await registry.close()
    new = database.read_bytes()
    assert len(new) > len(base)
    chance = random.Random(5)
    for _ in range(20):
        pages = [
            (base if chance.random() < 0.5 else new)[start : start + PAGE_BYTES].ljust(PAGE_BYTES, b"\0")
            for start in range(0, len(new), PAGE_BYTES)
        ]
        assert opened(tmp_path / "cut", b"".join(pages), log) == (stored, 25)


WRITER = """
import asyncio, sys
from pathlib import Path
from hub.registry import Registry
from tests.hub.registry.factories import ended, saves, task

async def main():
    registry = await Registry.open(Path(sys.argv[1]))
    number = int(sys.argv[2])
    while True:
        await registry.commit(saves(*[task(number + extra) for extra in range(10)], ended(number)))
        number += 10
        print(number, flush=True)

asyncio.run(main())
"""


def killed_writer(database: Path, first: int, acknowledgements: int) -> int:
    """Run a writer in a process of its own, kill it, and return the number it acknowledged last."""
    command = [sys.executable, "-c", WRITER, str(database), str(first)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        last = first
        for _ in range(acknowledgements):
            last = int(process.stdout.readline())
        os.kill(process.pid, signal.SIGKILL)
        for line in process.stdout:
            last = int(line)
    return last


async def check_rounds(tmp_path: Path, rounds: int) -> None:
    database = tmp_path / "registry.db"
    acknowledged = 0
    for round_ in range(rounds):
        acknowledged = killed_writer(database, acknowledged, 3 + 7 * (round_ % 6))
        registry = await Registry.open(database)
        for number in range(acknowledged):
            found = await registry.task(task(number).id)
            assert found is not None
            assert (found.state is TaskState.SUCCEEDED) == (number % 10 == 0)
        # A batch that was not acknowledged may be there, but only whole.
        extra = [await registry.task(task(acknowledged + number).id) for number in range(10)]
        assert all(extra) or not any(extra)
        await registry.close()
        acknowledged += 10 if all(extra) else 0


async def test_a_writer_killed_at_any_moment_loses_nothing_acknowledged(tmp_path: Path) -> None:
    await check_rounds(tmp_path, 4)


@pytest.mark.soak
@pytest.mark.timeout(600)
async def test_a_writer_killed_many_times_loses_nothing_acknowledged(tmp_path: Path) -> None:
    await check_rounds(tmp_path, 40)
