"""Which changes of files wake the sync, on a real file system."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from hub.clock import SystemClock
from hub.notices import Notices
from hub.sync.changes import Aim, Changes, stamps, there


class Woken:
    """Counts and can be waited for."""

    def __init__(self) -> None:
        self.times = 0
        self.event = asyncio.Event()

    def __call__(self) -> None:
        self.times += 1
        self.event.set()

    async def wait(self) -> None:
        async with asyncio.timeout(10):
            await self.event.wait()
        self.event.clear()


@contextlib.asynccontextmanager
async def watching() -> AsyncIterator[Changes]:
    changes = Changes(Notices(), SystemClock().now)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(changes.run())
        yield changes
        task.cancel()


async def until_awake(woken: Woken, touch: Callable[[], object]) -> None:
    """Change something until it is seen: the watch begins some time after it is aimed."""
    async with asyncio.timeout(10):
        while not woken.event.is_set():
            touch()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.7):
                    await woken.event.wait()
    woken.event.clear()


async def test_a_new_file_in_a_source_wakes_and_one_that_came_and_went_does_not(tmp_path: Path) -> None:
    woken = Woken()
    async with watching() as changes:
        changes.aim("g", Aim.at({tmp_path}, {}), woken)
        await until_awake(woken, lambda: (tmp_path / f"{time.time_ns()}.json").write_text("{}"))
    changes.tell([tmp_path / "gone.tmp"])
    assert not woken.event.is_set()


async def test_a_humans_edit_wakes_and_our_own_write_does_not(tmp_path: Path) -> None:
    soul, woken = tmp_path / "SOUL.md", Woken()
    soul.write_text("ours")
    async with watching() as changes:
        changes.aim("g", Aim.at((), stamps([soul])), woken)
        changes.tell([soul])
        assert woken.times == 0
        await until_awake(woken, lambda: soul.write_text(f"theirs {time.time_ns()}"))


async def test_what_agents_write_beside_our_files_wakes_nobody(tmp_path: Path) -> None:
    soul, other, woken = tmp_path / "SOUL.md", tmp_path / "notes.md", Woken()
    soul.write_text("ours")
    aim = Aim.at((), stamps([soul]))
    other.write_text("an agent's")
    assert not aim.counts(other)
    changes = Changes(Notices(), SystemClock().now)
    changes.aim("g", aim, woken)
    changes.tell([other, tmp_path])
    assert woken.times == 0


@pytest.mark.parametrize("how", ["edited", "removed", "link", "replaced"])
def test_whatever_happens_to_a_file_of_ours_counts(tmp_path: Path, how: str) -> None:
    soul = tmp_path / "w" / "SOUL.md"
    soul.parent.mkdir()
    soul.write_text("ours")
    aim = Aim.at((), stamps([soul]))
    assert not aim.counts(soul)
    if how == "edited":
        soul.write_text("longer text")
    elif how == "replaced":
        (tmp_path / "new").write_text("ours")
        os.replace(tmp_path / "new", soul)
    else:
        soul.unlink()
        if how == "link":
            soul.symlink_to("/etc/hostname")
    assert aim.counts(soul)


def test_a_folder_that_goes_counts_and_a_source_that_comes(tmp_path: Path) -> None:
    soul, source = tmp_path / "w" / "SOUL.md", tmp_path / "profiles"
    aim = Aim.at({source}, stamps([soul]))
    assert aim.counts(soul.parent)
    assert not aim.counts(tmp_path)
    source.mkdir()
    assert aim.counts(source)


def test_a_folder_that_is_not_there_is_awaited_from_above(tmp_path: Path) -> None:
    assert there(tmp_path / "a" / "b") == tmp_path
    assert there(Path("/nowhere/at/all")) == Path("/")


async def test_a_new_aim_is_watched_and_a_dropped_one_is_not(tmp_path: Path) -> None:
    first, second = Woken(), Woken()
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    async with watching() as changes:
        changes.aim("a", Aim.at({tmp_path / "one"}, {}), first)
        await until_awake(first, lambda: (tmp_path / "one" / f"{time.time_ns()}").touch())
        changes.drop("a")
        changes.aim("b", Aim.at({tmp_path / "two"}, {}), second)
        before = first.times
        (tmp_path / "one" / "x").touch()
        await until_awake(second, lambda: (tmp_path / "two" / f"{time.time_ns()}").touch())
        assert first.times == before


async def test_the_watch_ends_at_once(tmp_path: Path) -> None:
    async with watching() as changes:
        changes.aim("a", Aim.at({tmp_path}, {}), Woken())
        await asyncio.sleep(0)
        began = time.monotonic()
    assert time.monotonic() - began < 3
