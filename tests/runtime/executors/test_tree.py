"""Ending everything that an attempt has started, however it tries to get away."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.executors.inherited import marking_children
from runtime.executors.tree import Marks, TreeEnder, describe, is_marked, process_table, signal_directly
from tests.runtime.harness import alive, read_pids

MARKS = Marks(str(uuid.uuid4()))
ATTEMPT = "tree-test:1"
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows the limits of other processes")


class Nursery:
    """Starts a first process as the executor does, and kills everything at the end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.started: list[subprocess.Popen[bytes]] = []

    def start(self, script: str) -> subprocess.Popen[bytes]:
        with marking_children(MARKS.of(ATTEMPT)):
            process = subprocess.Popen(
                [sys.executable, "-c", script],
                cwd=self.folder,
                env={**os.environ, **MARKS.of(ATTEMPT)},
                start_new_session=True,
            )
        self.started.append(process)
        return process

    def close(self) -> None:
        for path in self.folder.glob("*.pid"):
            text = path.read_text().strip()
            if text and alive(int(text)):
                os.kill(int(text), signal.SIGKILL)
        for process in self.started:
            process.kill()
            process.wait(timeout=30)


@pytest.fixture
def nursery(tmp_path: Path) -> Iterator[Nursery]:
    nursery = Nursery(tmp_path)
    yield nursery
    nursery.close()


PREAMBLE = """
import os, signal, sys, time
def note(name):
    with open(name + ".new", "w") as f:
        f.write(str(os.getpid()))
    os.rename(name + ".new", name + ".pid")
def deaf():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
"""
ESCAPES = {
    "plain": "note('a'); time.sleep(60)",
    "ignores TERM": "deaf(); note('a'); time.sleep(60)",
    "stopped": "note('a'); os.kill(os.getpid(), signal.SIGSTOP); time.sleep(60)",
    "setsid": "\nif os.fork() == 0:\n    os.setsid(); deaf(); note('a')\ntime.sleep(60)",
    "double fork": "\nif os.fork() == 0:\n    if os.fork(): os._exit(0)\n    deaf(); note('a')\ntime.sleep(60)",
    "daemon": "\nif os.fork() == 0:\n    os.setsid()\n    if os.fork(): os._exit(0)\n"
    "    deaf(); note('a')\ntime.sleep(60)",
    "daemon whose parents are gone": "\nif os.fork(): os._exit(0)\nos.setsid()\nif os.fork(): os._exit(0)\n"
    "deaf(); note('a'); time.sleep(60)",
    "daemon with a clean environment whose parents are gone": "\nif os.fork(): os._exit(0)\nos.setsid()\n"
    "if os.fork(): os._exit(0)\ndeaf(); note('a')\nos.execve('/bin/sleep', ['sleep', '60'], {})",
    "clean environment in the session": "\nif os.fork() == 0:\n    deaf(); note('a')\n"
    "    os.execve('/bin/sleep', ['sleep', '60'], {})\ntime.sleep(60)",
}


@pytest.mark.parametrize(
    "escape", [pytest.param(name, marks=[linux_only] if "clean environment whose" in name else []) for name in ESCAPES]
)
async def test_whatever_it_tries_it_is_ended(nursery: Nursery, tmp_path: Path, escape: str) -> None:
    root = nursery.start(PREAMBLE + ESCAPES[escape])
    (pid,) = await read_pids(tmp_path, 1)
    family = MARKS.family(ATTEMPT, root.pid)
    # It gives up after the grace and AFTER_KILL_SECONDS: no survivors means dead by then.
    survivors = await TreeEnder(family, signal_directly, 0.1).wait_ended()
    assert survivors == ()
    assert not alive(pid)
    assert root.poll() is not None or not alive(root.pid)


async def test_who_obeys_gets_the_whole_grace(nursery: Nursery, tmp_path: Path) -> None:
    script = "signal.signal(signal.SIGTERM, lambda *_: (note('b'), sys.exit(0)))\nnote('a')\ntime.sleep(60)"
    root = nursery.start(PREAMBLE + script)
    await read_pids(tmp_path, 1)
    assert await TreeEnder(MARKS.family(ATTEMPT, root.pid), signal_directly, 30).wait_ended() == ()
    assert (tmp_path / "b.pid").exists()


async def test_the_grace_can_be_cut_short(nursery: Nursery, tmp_path: Path) -> None:
    root = nursery.start(PREAMBLE + ESCAPES["ignores TERM"])
    (pid,) = await read_pids(tmp_path, 1)
    ender = TreeEnder(MARKS.family(ATTEMPT, root.pid), signal_directly, 60)

    def hurry(pids: object, number: signal.Signals) -> None:
        signal_directly(pids, number)  # pyright: ignore[reportArgumentType]
        ender.hurry(0)

    ender.send = hurry
    assert await ender.wait_ended() == ()
    assert not alive(pid)


async def test_what_cannot_be_ended_is_named(nursery: Nursery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.executors.tree.AFTER_KILL_SECONDS", 0.05)
    root = nursery.start(PREAMBLE + ESCAPES["plain"])
    await read_pids(tmp_path, 1)
    survivors = await TreeEnder(MARKS.family(ATTEMPT, root.pid), lambda _pids, _number: None, 0.05).wait_ended()
    assert len(survivors) == 1
    assert survivors[0].startswith(f"{root.pid} (")


async def test_strangers_are_left_alone(nursery: Nursery, tmp_path: Path) -> None:
    stranger = subprocess.Popen(["/bin/sleep", "60"], start_new_session=True)
    try:
        root = nursery.start(PREAMBLE + ESCAPES["plain"])
        await read_pids(tmp_path, 1)
        assert await TreeEnder(MARKS.family(ATTEMPT, root.pid), signal_directly, 0.1).wait_ended() == ()
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait(timeout=30)


@linux_only
async def test_remnants_with_a_clean_environment_are_found_by_their_limit_alone(
    nursery: Nursery, tmp_path: Path
) -> None:
    root = nursery.start(PREAMBLE + ESCAPES["daemon with a clean environment whose parents are gone"])
    (pid,) = await read_pids(tmp_path, 1)
    root.wait(timeout=20)
    assert not is_marked(pid, MARKS.of(ATTEMPT))
    assert Marks("another agent").family(ATTEMPT, None).living() == []
    assert MARKS.family(ATTEMPT + "0", None).living() == []
    assert await TreeEnder(MARKS.family(ATTEMPT, None), signal_directly, 0.1).wait_ended() == ()
    assert not alive(pid)


async def test_remnants_are_found_by_their_marker_alone(nursery: Nursery, tmp_path: Path) -> None:
    nursery.start(PREAMBLE + ESCAPES["daemon whose parents are gone"])
    (pid,) = await read_pids(tmp_path, 1)
    assert is_marked(pid, MARKS.of(ATTEMPT))
    assert not is_marked(pid, MARKS.of(ATTEMPT + "0"))
    assert not is_marked(pid, Marks("another agent").of(ATTEMPT))
    assert await TreeEnder(MARKS.family(ATTEMPT, None), signal_directly, 0.1).wait_ended() == ()
    assert not alive(pid)


def test_the_table_holds_ourselves() -> None:
    (entry,) = [e for e in process_table() if e.pid == os.getpid()]
    assert (entry.parent, entry.session, entry.zombie) == (os.getppid(), os.getsid(0), False)
    assert describe(os.getpid()).startswith(f"{os.getpid()} (")
    assert describe(2**22 + 1) == str(2**22 + 1)
