"""The feed of changes and terminals over WebSockets, against the real HTTP layer."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from clawtui.errors import ConnectionLost, NoHub
from clawtui.live import INPUT_BYTES, events
from clawtui.remote import RemoteControl, open_remote
from clawtui.settings import Settings
from hub.contract import Event
from hub.errors import DriverFailed, Forbidden, NotFound
from tests.hub.api.conftest import Served, serving
from tests.hub.api.scripted import ADMIN, VIEWER, ScriptedShell, Stream


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="cli-") as name:
        yield Path(name)


@pytest.fixture
async def served(folder: Path) -> AsyncIterator[Served]:
    async with serving(folder) as running:
        yield running


@pytest.fixture
def settings(served: Served) -> Settings:
    return Settings(hub=f"unix:{served.listeners.socket_path}", token=ADMIN)


@pytest.fixture
async def remote(settings: Settings) -> AsyncIterator[RemoteControl]:
    async with open_remote(settings) as control:
        yield control


@pytest.fixture
def shell(served: Served) -> ScriptedShell:
    scripted = ScriptedShell()
    served.control.answers["open_shell"] = scripted
    return scripted


async def test_events_come_in_order_from_where_was_asked(served: Served, remote: RemoteControl) -> None:
    told = [Event(seq=number, run="r", kind="agent", id="a-1") for number in (4, 5)]
    stream = served.control.answers["events"] = Stream(told)
    feed = aiter(remote.events(3))
    assert [await anext(feed), await anext(feed)] == told
    assert served.control.last == ("events", (3,))
    stream.end()
    with pytest.raises(ConnectionLost):
        await anext(feed)


async def test_without_a_hub_there_is_no_feed(folder: Path) -> None:
    with pytest.raises(NoHub):
        await anext(events(Settings(hub=f"unix:{folder}/none.sock"), None))


async def test_a_refused_terminal_says_why(served: Served) -> None:
    weak = Settings(hub=f"unix:{served.listeners.socket_path}", token=VIEWER)
    async with open_remote(weak) as control:
        with pytest.raises(Forbidden, match="operator"):
            await control.open_shell("a-1", 80, 24)


async def test_an_agent_that_does_not_exist_has_no_terminal(served: Served, remote: RemoteControl) -> None:
    served.control.answers["open_shell"] = NotFound("no agent a-1")
    with pytest.raises(NotFound, match="no agent a-1"):
        await remote.open_shell("a-1", 80, 24)


async def test_a_terminal_takes_keys_and_sizes_and_ends_with_the_shells_code(
    served: Served, remote: RemoteControl, shell: ScriptedShell
) -> None:
    session = await remote.open_shell("a-1", 100, 40)
    assert served.control.last == ("open_shell", ("a-1", 100, 40))
    await session.send(b"exit\x04")
    await session.resize(132, 50)
    assert await shell.typed.get() == b"exit\x04"
    assert await shell.sizes.get() == (132, 50)
    shell.shown.give(b"\x1b[31mbye\xff")
    shell.exit_code = 7
    shell.shown.end()
    assert [data async for data in session.output()] == [b"\x1b[31mbye\xff"]
    assert session.exit_code == 7
    await session.close()
    await shell.closed.wait()


async def test_a_long_paste_goes_in_pieces_that_the_hub_takes(remote: RemoteControl, shell: ScriptedShell) -> None:
    session = await remote.open_shell("a-1", 80, 24)
    pasted = bytes(range(256)) * (INPUT_BYTES // 64)
    await session.send(pasted)
    got = b""
    while len(got) < len(pasted):
        got += await shell.typed.get()
    assert got == pasted
    await session.close()


async def test_a_terminal_that_fails_says_why(remote: RemoteControl, shell: ScriptedShell) -> None:
    session = await remote.open_shell("a-1", 80, 24)
    shell.shown.fail(DriverFailed("the agent went away"))
    with pytest.raises(DriverFailed, match="the agent went away"):
        [data async for data in session.output()]
    await session.close()


async def test_a_hub_that_stops_ends_the_terminal(served: Served, remote: RemoteControl, shell: ScriptedShell) -> None:
    session = await remote.open_shell("a-1", 80, 24)
    shell.shown.give(b"$ ")
    output = aiter(session.output())
    await anext(output)
    await served.listeners.stop()
    with pytest.raises(ConnectionLost):
        await anext(output)
    await session.close()
