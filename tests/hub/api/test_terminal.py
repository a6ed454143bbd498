"""A terminal passes bytes both ways, ends with the shell's exit code, and closes the shell with it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from hub.errors import Conflict, Unavailable
from tests.hub.api.conftest import Served, bearer
from tests.hub.api.scripted import OPERATOR, ScriptedShell


@pytest.fixture
def shell(served: Served) -> ScriptedShell:
    return served.control.answers["open_shell"]


@pytest.fixture
async def socket(served: Served, shell: ScriptedShell) -> AsyncIterator[ClientConnection]:
    url = served.websocket_url("/agents/a-1/shell?cols=120&rows=40")
    async with connect(url, additional_headers=bearer(OPERATOR), proxy=None) as opened:
        yield opened


async def closing_code(socket: ClientConnection) -> int | None:
    with pytest.raises(ConnectionClosed) as closed:
        async with asyncio.timeout(30):
            await socket.recv()
    return closed.value.rcvd.code if closed.value.rcvd is not None else None


async def test_bytes_pass_both_ways(served: Served, shell: ScriptedShell, socket: ClientConnection) -> None:
    assert served.control.last == ("open_shell", ("a-1", 120, 40))
    async with asyncio.timeout(30):
        await socket.send(b"ls\xff\n")
        assert await shell.typed.get() == b"ls\xff\n"
        shell.shown.give(b"a\x00b\xff")
        assert await socket.recv() == b"a\x00b\xff"


async def test_a_resize_reaches_the_shell(shell: ScriptedShell, socket: ClientConnection) -> None:
    async with asyncio.timeout(30):
        await socket.send('{"type": "resize", "cols": 100, "rows": 30}')
        assert await shell.sizes.get() == (100, 30)


@pytest.mark.parametrize("code", [0, 3, None])
async def test_the_end_of_the_shell_tells_its_exit_code(
    code: int | None, shell: ScriptedShell, socket: ClientConnection
) -> None:
    shell.exit_code = code
    shell.shown.give(b"bye")
    shell.shown.end()
    async with asyncio.timeout(30):
        assert await socket.recv() == b"bye"
        assert json.loads(await socket.recv()) == {"type": "exit", "exitCode": code}
        assert await closing_code(socket) == 1000
        await shell.closed.wait()


async def test_leaving_closes_the_shell(shell: ScriptedShell, socket: ClientConnection) -> None:
    await socket.close()
    async with asyncio.timeout(30):
        await shell.closed.wait()
        await shell.shown.closed.wait()


async def test_a_connection_that_breaks_closes_the_shell(shell: ScriptedShell, socket: ClientConnection) -> None:
    socket.transport.abort()
    async with asyncio.timeout(30):
        await shell.closed.wait()


@pytest.mark.parametrize(
    ("error", "told", "code"),
    [
        (Unavailable("the agent went away", code="agent_gone"), "agent_gone", 1011),
        (KeyError("bug"), "internal", 1011),
    ],
)
async def test_a_shell_that_cannot_go_on_says_why(
    error: Exception, told: str, code: int, shell: ScriptedShell, socket: ClientConnection
) -> None:
    shell.shown.fail(error)
    async with asyncio.timeout(30):
        frame = json.loads(await socket.recv())
        assert (frame["type"], frame["error"]["code"]) == ("error", told)
        assert await closing_code(socket) == code
        await shell.closed.wait()


@pytest.mark.parametrize(
    "frame",
    [
        "",
        "x",
        "{}",
        '{"type": "exit"}',
        '{"type": "resize", "cols": 0, "rows": 1}',
        '{"type": "resize", "cols": "80", "rows": 24}',
        '{"type": "resize", "cols": 9999999, "rows": 24}',
        "[" * 5000,
    ],
)
async def test_a_text_frame_that_makes_no_sense_ends_the_terminal(
    frame: str, shell: ScriptedShell, socket: ClientConnection
) -> None:
    async with asyncio.timeout(30):
        await socket.send(frame)
        assert json.loads(await socket.recv())["error"]["code"] == "malformed_frame"
        assert await closing_code(socket) == 1008
        await shell.closed.wait()


async def test_too_much_at_once_closes_with_1009(shell: ScriptedShell, socket: ClientConnection) -> None:
    await socket.send(b"x" * (64 * 1024 + 1))
    assert await closing_code(socket) == 1009
    async with asyncio.timeout(30):
        await shell.closed.wait()


async def test_a_stopping_hub_closes_the_terminal(
    served: Served, shell: ScriptedShell, socket: ClientConnection
) -> None:
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        group.create_task(served.listeners.stop())
        assert await closing_code(socket) == 1001
        await shell.closed.wait()


async def test_a_shell_that_cannot_open_is_refused_in_the_handshake(served: Served) -> None:
    served.control.answers["open_shell"] = Conflict("the agent is offline", code="agent_offline")
    with pytest.raises(InvalidStatus) as refused:
        async with connect(served.websocket_url("/agents/a-1/shell"), additional_headers=bearer(OPERATOR), proxy=None):
            pass
    assert refused.value.response.status_code == 409
    assert json.loads(refused.value.response.body)["error"]["code"] == "agent_offline"


@pytest.mark.parametrize("query", ["cols=0", "rows=0", "cols=1001", "cols=x", "colour=1"])
async def test_a_terminal_has_a_sensible_size(query: str, served: Served) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with connect(
            served.websocket_url(f"/agents/a-1/shell?{query}"), additional_headers=bearer(OPERATOR), proxy=None
        ):
            pass
    assert refused.value.response.status_code == 400
    assert served.control.calls == []
