"""One command: its output, its end, who else holds its pipes."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from runtime.executors.process import Command, Lingering, Run, Tail
from runtime.reaper import Reaper
from runtime.wire import MAX_TAIL_BYTES, Stream
from tests.runtime.harness import SOURCE, alive, wait_for


class Bench:
    """Starts runs and collects what they say."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.reaper = Reaper(adopts_orphans=False)
        self.lingering = Lingering()
        self.output: list[tuple[Stream, bytes]] = []

    def start(self, text: str, ended: asyncio.Future[int], stdin_fd: int | None = None) -> Run:
        command = Command(
            argv=["/bin/sh", "-c", text], cwd=str(self.folder), environment=dict(os.environ), stdin_fd=stdin_fd
        )
        return Run(command, self.reaper, self.lingering, lambda s, d: self.output.append((s, d)), ended.set_result, {})

    async def run(self, text: str, stdin_fd: int | None = None) -> int:
        ended = asyncio.get_running_loop().create_future()
        self.start(text, ended, stdin_fd)
        async with asyncio.timeout(30):
            return await ended

    def text(self, stream: Stream = Stream.STDOUT) -> bytes:
        return b"".join(data for s, data in self.output if s is stream)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path)
    bench.reaper.install()
    yield bench
    bench.lingering.close()
    bench.reaper.uninstall()


async def test_output_and_exit_code(bench: Bench) -> None:
    assert await bench.run("echo out; echo err >&2; exit 3") == 3
    assert bench.text() == b"out\n"
    assert bench.text(Stream.STDERR) == b"err\n"


async def test_a_signal_is_128_and_its_number(bench: Bench) -> None:
    assert await bench.run("kill -KILL $$") == 128 + signal.SIGKILL


async def test_all_output_of_an_ended_process_is_taken(bench: Bench) -> None:
    assert await bench.run("head -c 3000000 /dev/zero") == 0
    assert len(bench.text()) == 3_000_000


async def test_stdin_is_empty_or_the_given_file(bench: Bench, tmp_path: Path) -> None:
    assert await bench.run("cat") == 0
    assert bench.text() == b""
    (tmp_path / "in").write_text("given")
    assert await bench.run("cat", stdin_fd=os.open(tmp_path / "in", os.O_RDONLY)) == 0
    assert bench.text() == b"given"


async def test_a_grandchild_that_keeps_stdout_does_not_keep_the_task(bench: Bench, tmp_path: Path) -> None:
    script = "(echo $$ > late.pid; sleep 0.05; echo soon; exec sleep 60) & echo $! > g.pid; echo parent"
    assert await bench.run(script) == 0
    assert b"parent\n" in bench.text()
    assert b"soon\n" in bench.text()
    pid = int((tmp_path / "g.pid").read_text())
    assert alive(pid)
    os.kill(pid, signal.SIGKILL)


async def test_a_background_process_may_go_on_writing(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "fifo").unlink(missing_ok=True)
    os.mkfifo(tmp_path / "fifo")
    script = "(read x < fifo; head -c 300000 /dev/zero && echo yes > survived) & echo $! > g.pid"
    assert await bench.run(script) == 0
    await asyncio.to_thread((tmp_path / "fifo").write_text, "go\n")
    await wait_for(lambda: (tmp_path / "survived").exists())
    assert len(bench.text()) < 300_000


async def test_a_paused_run_reads_on_later(bench: Bench) -> None:
    ended = asyncio.get_running_loop().create_future()
    run = bench.start("head -c 500000 /dev/zero", ended)
    run.pause(0.02)
    async with asyncio.timeout(30):
        assert await ended == 0
    assert len(bench.text()) == 500_000


async def test_nothing_is_left_of_a_command_that_cannot_start(bench: Bench, tmp_path: Path) -> None:
    descriptors = len(os.listdir("/dev/fd"))
    cleaned: list[bool] = []
    for argv in (["/no/such/program"], [str(tmp_path)], ["a\0b"]):
        command = Command(argv=argv, cwd=str(tmp_path), environment={}, cleanup=lambda: cleaned.append(True))
        with pytest.raises((OSError, ValueError)):
            Run(command, bench.reaper, bench.lingering, lambda _s, _d: None, lambda _c: None, {})
    assert len(os.listdir("/dev/fd")) == descriptors
    assert cleaned == [True] * 3


async def test_an_adopting_reaper_buries_orphans(tmp_path: Path) -> None:
    # In a process of its own: a reaper that adopts takes every child's exit status.
    program = """
import asyncio, os, subprocess, sys
from runtime.reaper import Reaper, become_subreaper
async def main():
    print(become_subreaper())
    reaper = Reaper(adopts_orphans=True)
    reaper.install()
    ended = asyncio.get_running_loop().create_future()
    child = subprocess.Popen(["/bin/sh", "-c", "(sleep 0.05; echo $$ > done) & exit 7"])
    reaper.watch(child.pid, ended.set_result)
    print(child.pid and await ended)
    child.returncode = 7
    async with asyncio.timeout(30):
        while True:
            try:
                os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                break
            await asyncio.sleep(0.01)
    print(os.path.exists("done"))
asyncio.run(main())
"""

    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, cwd=tmp_path, stdout=-1, env={**os.environ, "PYTHONPATH": str(SOURCE)}
    )
    output, _ = await process.communicate()
    expected = ["True", "7", "True"] if sys.platform == "linux" else ["False", "7"]
    assert output.decode().split()[: len(expected)] == expected


def test_a_tail_keeps_the_end() -> None:
    tail = Tail(10)
    for _ in range(10):
        tail.add(b"0123456789")
    tail.add(b"end")
    assert tail.text() == "3456789end"
    assert tail.fitting() == ("3456789end", True)
    assert tail.total_bytes == 103


@pytest.mark.parametrize("data", [b"x", b"\x01", "€".encode(), b"\xff", b'"\n', bytes(range(256))])
def test_a_tail_fits_when_it_is_encoded(data: bytes) -> None:
    tail = Tail()
    for _ in range(3):
        tail.add(data * (MAX_TAIL_BYTES // len(data)))
    text, cut = tail.fitting()
    size = len(msgspec.json.encode(text)) - 2
    assert MAX_TAIL_BYTES // 2 < size <= MAX_TAIL_BYTES
    assert cut


def test_a_short_tail_is_whole() -> None:
    tail = Tail()
    tail.add("grüße\n".encode())
    assert tail.fitting() == ("grüße\n", False)
