"""Terminals: several at once, resizing, floods, hang-ups."""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from runtime import shell
from runtime.executors.tree import Marks
from runtime.reaper import Reaper
from runtime.shell import MAX_SHELLS, Shells
from runtime.wire import Shell, ShellOp
from tests.runtime.harness import alive, read_pids, wait_for


class Screen:
    """The hub's side of all terminals."""

    def __init__(self, tasks: asyncio.TaskGroup, folder: Path) -> None:
        self.folder = folder
        self.steps: list[Shell] = []
        self.queued_bytes = 0
        self.reaper = Reaper(adopts_orphans=False)
        marks = Marks(str(folder))
        environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}
        self.shells = Shells(
            tasks, folder, environment, marks, self.reaper, self.steps.append, lambda: self.queued_bytes
        )

    def open(self, shell_id: str = "s", rows: int | None = None, cols: int | None = None) -> None:
        self.shells.handle(Shell(op=ShellOp.OPEN, shell_id=shell_id, rows=rows, cols=cols))

    def type(self, text: str, shell_id: str = "s") -> None:
        data = base64.b64encode(text.encode()).decode()
        self.shells.handle(Shell(op=ShellOp.DATA, shell_id=shell_id, data=data))

    def text(self, shell_id: str = "s") -> str:
        pieces = (base64.b64decode(s.data or "") for s in self.steps if s.shell_id == shell_id)
        return b"".join(pieces).decode(errors="replace")

    def exits(self, shell_id: str = "s") -> list[Shell]:
        return [s for s in self.steps if s.op is ShellOp.EXIT and s.shell_id == shell_id]

    async def wait_exit(self, shell_id: str = "s") -> Shell:
        await wait_for(lambda: bool(self.exits(shell_id)))
        return self.exits(shell_id)[0]


@pytest.fixture
async def screen(tmp_path: Path) -> AsyncIterator[Screen]:
    async with asyncio.timeout(50), asyncio.TaskGroup() as tasks:
        screen = Screen(tasks, tmp_path)
        screen.reaper.install()
        yield screen
        screen.shells.close_all()
    screen.reaper.uninstall()


async def test_a_shell_runs_in_the_workspace_on_a_terminal(screen: Screen, tmp_path: Path) -> None:
    screen.open(rows=20, cols=70)
    screen.type("pwd; tty; stty size; echo $TERM; exit 3\n")
    assert (await screen.wait_exit()).exit_code == 3
    text = screen.text()
    assert str(tmp_path) in text
    assert "/dev/" in text
    assert "20 70" in text
    assert "xterm-256color" in text


async def test_resizing_reaches_the_program(screen: Screen) -> None:
    screen.open()
    screen.type("stty size; read x; stty size; exit\n")
    await wait_for(lambda: "24 80" in screen.text())
    screen.shells.handle(Shell(op=ShellOp.RESIZE, shell_id="s", rows=50, cols=132))
    screen.type("go\n")
    await screen.wait_exit()
    assert "50 132" in screen.text()


async def test_keys_reach_the_foreground_job(screen: Screen) -> None:
    screen.open()
    # It is the job that speaks: before that the shell may not have made it the terminal's foreground.
    screen.type("sh -c \"echo be''gin; exec sleep 60\"; echo co''de $?\n")
    await wait_for(lambda: "begin" in screen.text())
    screen.type("\x03")
    screen.type("exit 4\n")
    assert (await screen.wait_exit()).exit_code == 4


async def test_several_at_once_do_not_mix(screen: Screen) -> None:
    for name in ("a", "b", "c"):
        screen.open(name)
        screen.type(f"echo i''s {name}; exit\n", name)
    for name in ("a", "b", "c"):
        await screen.wait_exit(name)
        assert f"is {name}" in screen.text(name)


async def test_a_hang_up_ends_the_session_even_if_it_resists(screen: Screen, tmp_path: Path) -> None:
    screen.open()
    screen.type("trap '' HUP TERM; (trap '' HUP TERM; echo $BASHPID > s.pid; sleep 60) &\n")
    pids = await read_pids(tmp_path, 1)
    screen.shells.handle(Shell(op=ShellOp.CLOSE, shell_id="s"))
    await wait_for(lambda: not any(alive(pid) for pid in pids))
    assert screen.exits() == []


async def test_a_flood_waits_for_the_socket(screen: Screen) -> None:
    screen.queued_bytes = 10**9
    screen.open()
    screen.type("head -c 100000 /dev/zero | tr '\\0' x; exit\n")
    screen.open("other")
    await asyncio.sleep(0)
    assert screen.text() == ""
    screen.queued_bytes = 0
    await screen.wait_exit()
    assert screen.text().count("x") >= 100_000


async def test_input_that_nobody_reads_ends_the_shell(screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shell, "MAX_INPUT_BYTES", 20_000)
    screen.open()
    screen.type("stty raw -echo; echo re''ady; sleep 60\n")
    await wait_for(lambda: "ready" in screen.text())
    for _ in range(10):
        screen.type("x" * 10_000)
    assert "does not read" in (screen.exits()[0].message or "")


async def test_bad_requests_are_answered(screen: Screen) -> None:
    screen.type("x", "unknown")
    assert "not open" in (screen.exits("unknown")[0].message or "")
    screen.open()
    screen.shells.handle(Shell(op=ShellOp.DATA, shell_id="s", data="*"))
    assert "base64" in (screen.exits()[0].message or "")
    screen.shells.handle(Shell(op=ShellOp.RESIZE, shell_id="unknown", rows=1, cols=1))
    screen.shells.handle(Shell(op=ShellOp.CLOSE, shell_id="unknown"))


async def test_the_number_of_shells_is_bounded(screen: Screen) -> None:
    for number in range(MAX_SHELLS + 1):
        screen.open(f"s{number}")
    assert "open already" in (screen.exits(f"s{MAX_SHELLS}")[0].message or "")
    assert [s for s in screen.steps if s.op is ShellOp.EXIT and s.shell_id != f"s{MAX_SHELLS}"] == []
