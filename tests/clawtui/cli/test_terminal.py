"""shell: a real terminal in front of a scripted shell."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pty
import signal
import struct
import termios
from collections.abc import AsyncIterator, Iterator
from fcntl import ioctl

import pytest

from clawtui.cli.output import Mode, Output
from clawtui.cli.terminal import raw_terminal, shell
from clawtui.cli.world import Context, World
from clawtui.errors import ConnectionLost
from clawtui.settings import Settings
from hub.control import Control
from tests.clawtui.conftest import CommandLine
from tests.hub.api.scripted import ScriptedControl, ScriptedShell


class Desk:
    """A person at a terminal: `keys` is their side of it."""

    def __init__(self) -> None:
        self.keys, self._screen = pty.openpty()
        ioctl(self._screen, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 90, 0, 0))
        self.text = open(self._screen, closefd=False)  # noqa: SIM115
        self.out = open(self._screen, "w", closefd=False)  # noqa: SIM115
        self.scripted = ScriptedShell()
        self.control = ScriptedControl()
        self.control.answers["open_shell"] = self.scripted

    def context(self) -> Context:
        @contextlib.asynccontextmanager
        async def connect(_settings: Settings) -> AsyncIterator[Control]:
            yield self.control

        world = World(environ={}, stdin=self.text, stdout=self.out, stderr=self.out, connect=connect)
        return Context(world, Settings(), Output(Mode.TABLE, self.out, self.out, colour=False))

    def resize(self, cols: int, rows: int) -> None:
        ioctl(self._screen, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))
        os.kill(os.getpid(), signal.SIGWINCH)

    def attributes(self) -> list[object]:
        return termios.tcgetattr(self._screen)

    def close(self) -> None:
        for stream in (self.text, self.out):
            stream.close()
        os.close(self.keys)
        os.close(self._screen)


@pytest.fixture
def desk() -> Iterator[Desk]:
    desk = Desk()
    yield desk
    desk.close()


async def test_keys_sizes_and_output_pass_and_the_shells_code_is_ours(desk: Desk) -> None:
    before = desk.attributes()
    async with asyncio.TaskGroup() as group:
        running = group.create_task(shell("a-1", context=desk.context()))
        # Ctrl-C is a key like any other here.
        desk.scripted.shown.give(b"$ ")
        assert await asyncio.to_thread(os.read, desk.keys, 2) == b"$ "
        assert desk.attributes() != before
        os.write(desk.keys, b"ls\x03")
        assert await desk.scripted.typed.get() == b"ls\x03"
        desk.resize(132, 50)
        assert await desk.scripted.sizes.get() == (132, 50)
        desk.scripted.exit_code = 7
        desk.scripted.shown.end()
    assert running.result() == 7
    assert desk.control.last == ("open_shell", ("a-1", 90, 30))
    assert desk.scripted.closed.is_set()
    assert desk.attributes() == before


async def test_the_terminal_is_given_back_when_the_hub_goes_away(desk: Desk) -> None:
    before = desk.attributes()
    desk.scripted.shown.fail(ConnectionLost("gone"))
    with pytest.raises(ConnectionLost):
        await shell("a-1", context=desk.context())
    assert desk.attributes() == before
    assert desk.scripted.closed.is_set()


def test_the_terminal_is_given_back_after_any_error(desk: Desk) -> None:
    before = desk.attributes()
    with pytest.raises(ZeroDivisionError), raw_terminal(desk.text):
        raise ZeroDivisionError
    assert desk.attributes() == before


def test_without_a_terminal_there_is_no_shell(cli: CommandLine) -> None:
    called = cli("shell", "a-1")
    assert called.code == 2
    assert "clawtui exec a-1" in called.stderr
    assert cli.control.calls == []
