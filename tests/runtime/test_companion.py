"""The image's own program beside an agent: started, kept running, told of, ended with the agent."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import random
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from runtime import wire
from runtime.companion import BURST_LINES, MAX_LINE_BYTES, Companion, Lines, Restarts
from runtime.executors.tree import Marks
from runtime.logs import AgentLog
from runtime.reaper import Reaper
from runtime.wire import Stream
from tests.runtime.fakehub import FakeHub
from tests.runtime.harness import agent_process, alive, read_pids, wait_for

SERVER = "echo $$ > $NAME.pid; pwd; echo trouble >&2; exec sleep 600"


class Lowest(random.Random):
    """Always the beginning of the window."""

    def uniform(self, a: float, b: float) -> float:
        return a


# --- when it is started again ---


def test_failures_double_the_delay_up_to_a_minute() -> None:
    restarts = Restarts(Lowest())
    assert [restarts.next_delay(0.1) for _ in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]


def test_one_that_ran_for_a_minute_begins_a_new_row() -> None:
    restarts = Restarts(Lowest())
    assert [restarts.next_delay(lived) for lived in (1, 59.9, 60, 1)] == [1, 2, 1, 2]


def test_agents_that_fail_together_are_not_started_together() -> None:
    delays = {Restarts(random.Random(seed)).next_delay(0) for seed in range(50)}
    assert len(delays) == 50
    assert 1 <= min(delays) < max(delays) <= 1.25


# --- what it prints ---


@dataclass
class Told:
    """Takes lines on a clock that stands still until it is moved."""

    at: float = 0.0
    lines: list[str] = field(default_factory=list[str])
    dropped: list[int] = field(default_factory=list[int])

    def __post_init__(self) -> None:
        self.cutter = Lines(lambda _stream, line: self.lines.append(line), self.dropped.append, lambda: self.at)


def test_output_is_cut_into_lines_of_each_stream() -> None:
    told = Told()
    told.cutter.add(Stream.STDOUT, b"one\r\ntw")
    told.cutter.add(Stream.STDERR, b"err\n\n  \n")
    told.cutter.add(Stream.STDOUT, b"o\nrest \xff")
    told.cutter.finish()
    assert told.lines == ["one", "err", "two", "rest \ufffd"]


def test_a_line_without_an_end_is_cut() -> None:
    told = Told()
    told.cutter.add(Stream.STDOUT, b"x" * (2 * MAX_LINE_BYTES + 5))
    assert [len(line) for line in told.lines] == [MAX_LINE_BYTES] * 2
    told.cutter.finish()
    assert len(told.lines[2]) == 5


def test_a_flood_is_counted_and_told_when_there_is_room_again() -> None:
    told = Told()
    assert not told.cutter.add(Stream.STDOUT, b"x\n" * BURST_LINES)
    assert told.cutter.add(Stream.STDOUT, b"y\n" * 30)
    told.at = 0.1
    told.cutter.add(Stream.STDOUT, b"z\n" * 10)
    assert (len(told.lines), told.lines.count("z"), told.dropped) == (BURST_LINES + 5, 5, [])
    told.at = 60
    assert not told.cutter.add(Stream.STDOUT, b"calm\n")
    assert (told.lines[-1], told.dropped) == ("calm", [35])


def test_what_a_flood_lost_is_told_at_the_end_at_the_latest() -> None:
    told = Told()
    told.cutter.add(Stream.STDOUT, b"x\n" * (BURST_LINES + 7))
    told.cutter.finish()
    assert told.dropped == [7]


# --- running ---


@dataclass
class Beside:
    """A companion in this process, and what it logged."""

    companion: Companion
    lines: io.StringIO
    task: asyncio.Task[None] | None = None

    def events(self, name: str) -> list[dict[str, object]]:
        return [event for line in self.lines.getvalue().splitlines() if (event := json.loads(line))["event"] == name]

    async def wait_for(self, name: str, count: int = 1) -> list[dict[str, object]]:
        await wait_for(lambda: len(self.events(name)) >= count)
        return self.events(name)


@contextlib.asynccontextmanager
async def beside(folder: Path, *argv: str) -> AsyncIterator[Beside]:
    reaper, lines = Reaper(adopts_orphans=False), io.StringIO()
    reaper.install()
    companion = Companion(
        argv,
        folder,
        {"PATH": os.environ["PATH"], "NAME": "server"},
        Marks(str(folder)),
        reaper,
        AgentLog(lines),
        Restarts(Lowest(), base_seconds=0.05),
    )
    made = Beside(companion, lines)
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        made.task = group.create_task(companion.run())
        try:
            yield made
        finally:
            await companion.end()
            companion.close()
            reaper.uninstall()
            made.task.cancel()


async def test_it_runs_in_the_workspace_and_its_output_is_logged(tmp_path: Path) -> None:
    async with beside(tmp_path, "sh", "-c", SERVER) as made:
        (pid,) = await read_pids(tmp_path, 1)
        said = await made.wait_for("companion", 2)
        assert {(one["stream"], one["line"]) for one in said} == {("stdout", str(tmp_path)), ("stderr", "trouble")}
        (started,) = made.events("companion_started")
        assert (started["pid"], alive(pid)) == (pid, True)
    assert not alive(pid)
    (ended,) = made.events("companion_ended")
    assert (ended["code"], made.events("companion_failed")) == (128 + signal.SIGTERM, [])


async def test_one_that_fails_is_started_again_later_and_later(tmp_path: Path) -> None:
    async with beside(tmp_path, "sh", "-c", "echo x >> runs; exit 3") as made:
        failed = await made.wait_for("companion_failed", 3)
        assert [one["code"] for one in failed[:3]] == [3, 3, 3]
        assert [one["restart_seconds"] for one in failed[:3]] == [0.1, 0.1, 0.2], "rounded: 0.05, 0.1, 0.2"
    runs = len((tmp_path / "runs").read_text().splitlines())
    assert runs == len(made.events("companion_started")) >= 3


async def test_what_a_failed_one_left_is_ended_before_the_next(tmp_path: Path) -> None:
    script = "[ -e server.pid ] && exec sleep 600; sleep 600 & echo $! > server.pid; exit 1"
    async with beside(tmp_path, "sh", "-c", script) as made:
        (left,) = await read_pids(tmp_path, 1)
        await made.wait_for("companion_started", 2)
        assert not alive(left)


async def test_one_that_has_done_its_work_is_not_started_again(tmp_path: Path) -> None:
    async with beside(tmp_path, "sh", "-c", "sleep 600 & echo $! > server.pid; exit 0") as made:
        assert made.task is not None
        await made.task
        (background,) = await read_pids(tmp_path, 1)
        assert (len(made.events("companion_started")), len(made.events("companion_done"))) == (1, 1)
        assert alive(background), "a server that goes into the background does so"
    assert not alive(background), "it ends with the agent"


async def test_one_that_does_not_listen_to_term_is_killed(tmp_path: Path) -> None:
    script = "trap '' TERM; echo $$ > server.pid; while :; do sleep 1; done"
    async with beside(tmp_path, "sh", "-c", script) as made:
        (pid,) = await read_pids(tmp_path, 1)
    assert not alive(pid)
    assert made.events("companion_ended")[0]["code"] == 128 + signal.SIGKILL


async def test_one_that_cannot_be_started_is_tried_again_and_named(tmp_path: Path) -> None:
    async with beside(tmp_path, "no-such-server", "--port", "80") as made:
        await made.wait_for("companion_failed", 2)
        problem = made.events("companion_not_started")[0]
        assert (problem["program"], "No such file" in str(problem["reason"])) == ("no-such-server", True)
        (tmp_path / "late").symlink_to(sys.executable)
    assert made.events("companion_started") == []


async def test_an_end_while_it_waits_starts_nothing_more(tmp_path: Path) -> None:
    async with beside(tmp_path, "sh", "-c", "exit 1") as made:
        await made.wait_for("companion_failed")
        await made.companion.end()
        before = len(made.events("companion_started"))
        assert made.task is not None
        await made.task
    assert len(made.events("companion_started")) == before


async def test_a_flood_does_not_take_the_loop(tmp_path: Path) -> None:
    async with beside(tmp_path, "sh", "-c", "yes; true") as made:
        await made.wait_for("companion", BURST_LINES)
        loop = asyncio.get_running_loop()
        before = loop.time()
        for _ in range(20):
            await asyncio.sleep(0)
        assert loop.time() - before < 2
    assert made.events("companion_output_dropped")


# --- with the whole agent ---


async def test_the_programs_arguments_are_the_companion_of_an_agent(tmp_path: Path) -> None:
    hub = FakeHub()
    argv = ("sh", "-c", SERVER)
    async with hub.running(tmp_path / "hub.sock") as url:
        with agent_process(tmp_path, url, NAME="server", companion=argv) as agent:
            peer = await hub.wait_connected()
            (pid,) = await read_pids(tmp_path / "work", 1)
            done = await hub.run("t:1", wire.Exec(command=f"tr '\\0' '\\n' < /proc/{pid}/environ; kill -0 {pid}"))
            assert done.exit_code == 0, "tasks see it"
            assert done.stdout is not None
            assert "AGENT_TOKEN" not in done.stdout
            assert "CLAWTUI_ATTEMPT=companion" in done.stdout
            await wait_for(
                lambda: any("companion" in line.data and "trouble" in line.data for line in peer.of(wire.Log))
            )
            agent.terminate()
            await asyncio.to_thread(agent.wait, 30)
            assert (agent.returncode, alive(pid)) == (0, False)
            await wait_for(lambda: any("companion_ended" in line.data for line in peer.of(wire.Log)))


async def test_an_agent_without_a_program_says_nothing_of_one(tmp_path: Path) -> None:
    hub = FakeHub()
    async with hub.running(tmp_path / "hub.sock") as url:
        with agent_process(tmp_path, url) as agent:
            await hub.wait_connected()
            agent.terminate()
            await asyncio.to_thread(agent.wait, 30)
    assert "companion" not in (tmp_path / "agent.log").read_text()
