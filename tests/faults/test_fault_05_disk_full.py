"""Fault 5: the disk is full. Nothing half is kept, everything older stays readable, and when space
returns the same open registry and output store go on."""

from __future__ import annotations

import asyncio
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from hub.core.model import TaskId
from hub.errors import StorageFull
from hub.output import OutputStore
from hub.registry import Registry
from hub.registry.connection import connect
from hub.registry.opening import prepare
from runtime.wire import AttemptId
from tests.hub.registry.factories import audit, saves, task

DISK_BYTES = 3 * 1024 * 1024


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of three megabytes."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("a small file system can only be mounted by root on Linux")
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(place)]
    made = subprocess.run(mount, capture_output=True, text=True, check=False)
    if made.returncode != 0:
        pytest.skip(f"this machine does not let root mount a tmpfs: {made.stderr.strip()}")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def fill(disk: Path) -> Path:
    """Take every byte that is left."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (65_536, 4_096):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue
    return ballast


async def commit_until_full(registry: Registry) -> int:
    """Commit numbered tasks until the disk refuses; returns the first number that was refused."""
    for number in range(10_000):
        refused = await refusal(registry, number)
        if refused is not None:
            assert refused.retryable
            assert refused.hint
            return number
    pytest.fail("the disk never became full")


async def refusal(registry: Registry, number: int) -> StorageFull | None:
    try:
        await registry.commit(saves(task(number, stdout="x" * 3_000), audit(number)))
    except StorageFull as full:
        return full
    return None


async def test_the_registry_refuses_whole_batches_and_goes_on_when_space_returns(small_disk: Path) -> None:
    registry = await Registry.open(small_disk / "registry.db")
    await registry.commit(saves(task(0, stdout="x" * 3_000), audit(0)))
    ballast = fill(small_disk)
    refused = await commit_until_full(registry)
    # Reads go on, and nothing of the refused batch is there.
    loaded = await registry.load()
    assert [found.seq for found in loaded.open_tasks] == list(range(max(refused, 1)))
    assert await registry.task(task(refused).id) is None or refused == 0
    for _ in range(5):
        with pytest.raises(StorageFull):
            await registry.commit(saves(*[task(number, stdout="x" * 3_000) for number in range(refused, refused + 50)]))
    with pytest.raises(StorageFull):
        await asyncio.wait_for(many_probes(registry), timeout=30)
    ballast.unlink()
    await registry.probe()
    await registry.commit(saves(task(refused), audit(refused)))
    assert await registry.task(task(refused).id) == task(refused)
    await registry.close()
    prepare(small_disk / "registry.db")
    with closing(connect(small_disk / "registry.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


async def many_probes(registry: Registry) -> None:
    """A single probe may still fit into the log; many do not."""
    while True:
        await registry.probe()


async def test_a_backup_onto_a_full_disk_leaves_nothing(small_disk: Path, tmp_path: Path) -> None:
    registry = await Registry.open(tmp_path / "registry.db")
    await registry.commit(saves(*[task(number, stdout="x" * 5_000) for number in range(1_000)]))
    with pytest.raises(StorageFull):
        await registry.backup(small_disk / "copy.db")
    assert list(small_disk.iterdir()) == []
    await registry.close()


def append_until_full(store: OutputStore, attempt: AttemptId, block: bytes) -> int:
    reached = 0
    while reached < 2 * DISK_BYTES:
        try:
            reached = store.append(attempt, reached, block)
        except StorageFull:
            return reached
    pytest.fail("the disk never became full")


async def test_output_is_not_acknowledged_on_a_full_disk_and_goes_on_when_space_returns(small_disk: Path) -> None:
    store = OutputStore(small_disk / "output")
    attempt = AttemptId("t_1:1")
    block = bytes(range(256)) * 128
    reached = append_until_full(store, attempt, block)
    assert 0 < reached < DISK_BYTES
    assert store.offset(attempt) == reached
    with pytest.raises(StorageFull):
        store.append(AttemptId("t_2:1"), 0, block)
    await store.remove([TaskId("t_1")])
    assert store.append(AttemptId("t_2:1"), 0, block) == len(block)
    pieces = await store.read(AttemptId("t_2:1"), 0, 10**6)
    assert b"".join(piece.data for piece in pieces) == block
    store.close()


async def test_a_quota_on_file_sizes_is_the_same_to_the_registry(tmp_path: Path) -> None:
    """Runs everywhere: the system refuses to let files grow, as a quota does."""
    registry = await Registry.open(tmp_path / "registry.db")
    await registry.commit(saves(task(0)))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
    try:
        refused = await commit_until_full(registry)
        assert refused > 0
        assert await registry.task(task(refused).id) is None
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    await registry.commit(saves(task(refused)))
    assert [found.seq for found in (await registry.load()).open_tasks] == list(range(refused + 1))
    await registry.close()
