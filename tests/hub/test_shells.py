"""Terminals: bytes both ways, bounded, ended by the shell, by the agent's leaving, or by whoever hangs up."""

from __future__ import annotations

import asyncio
import base64

import pytest

from hub.config import Limits
from hub.control import ShellSession
from hub.errors import BadRequest, Conflict, NotFound, QueueFull, Unavailable
from hub.shells import MAX_BUFFER_BYTES, MAX_INPUT_BYTES
from runtime.wire import Error, Shell, ShellOp
from tests.hub.running import PlayedAgent, RunningHub, running_hub


async def opened(hub: RunningHub, agent: PlayedAgent) -> tuple[ShellSession, Shell]:
    session = await hub.control.open_shell(agent.name, 80, 24)
    order = await agent.receive(Shell)
    assert (order.op, order.cols, order.rows) == (ShellOp.OPEN, 80, 24)
    return session, order


async def say(agent: PlayedAgent, shell_id: str, data: bytes) -> None:
    await agent.send(Shell(op=ShellOp.DATA, shell_id=shell_id, data=base64.b64encode(data).decode()))


async def all_of(session: ShellSession) -> bytes:
    return b"".join([chunk async for chunk in session.output()])


async def test_a_shell_from_its_opening_to_its_exit() -> None:
    async with running_hub() as hub, hub.playing() as agent:
        session, order = await opened(hub, agent)
        await session.send(b"exit 3\n")
        assert base64.b64decode((await agent.receive(Shell)).data or "") == b"exit 3\n"
        await session.resize(100, 30)
        resize = await agent.receive(Shell)
        assert (resize.op, resize.cols, resize.rows) == (ShellOp.RESIZE, 100, 30)
        await say(agent, order.shell_id, b"\xffbye\r\n")
        await agent.send(Shell(op=ShellOp.EXIT, shell_id=order.shell_id, exit_code=3))
        async with asyncio.timeout(30):
            assert await all_of(session) == b"\xffbye\r\n"
        assert session.exit_code == 3
        assert await hub.audited("agent.shell") == [("a", "ok")]


async def test_long_input_goes_in_pieces_that_fit_into_frames() -> None:
    async with running_hub() as hub, hub.playing() as agent:
        session, _ = await opened(hub, agent)
        pasted = bytes(range(256)) * 1_000
        await session.send(pasted)
        arrived = b""
        while len(arrived) < len(pasted):
            piece = base64.b64decode((await agent.receive(Shell)).data or "")
            assert len(piece) <= MAX_INPUT_BYTES
            arrived += piece
        assert arrived == pasted


async def test_hanging_up_tells_the_agent_and_ends_the_output() -> None:
    async with running_hub() as hub, hub.playing() as agent:
        session, order = await opened(hub, agent)
        await session.close()
        close = await agent.receive(Shell)
        assert (close.op, close.shell_id) == (ShellOp.CLOSE, order.shell_id)
        async with asyncio.timeout(30):
            assert await all_of(session) == b""
        await say(agent, order.shell_id, b"late")
        await session.close()
        await agent.settle()


async def test_an_agent_that_leaves_ends_its_shells_with_a_word() -> None:
    async with running_hub() as hub, hub.playing() as agent:
        session, order = await opened(hub, agent)
        await say(agent, order.shell_id, b"half a l")
        await agent.settle()
        agent.abort()
        async with asyncio.timeout(30):
            assert await all_of(session) == b"half a l"
        assert session.exit_code is None
        assert "lost" in session.message  # pyright: ignore[reportAttributeAccessIssue]


async def test_output_that_nobody_reads_ends_the_shell_and_not_the_hub() -> None:
    async with running_hub() as hub, hub.playing() as agent:
        session, order = await opened(hub, agent)
        chunk = bytes(32 * 1024)
        for _ in range(MAX_BUFFER_BYTES // len(chunk) + 1):
            await say(agent, order.shell_id, chunk)
        assert (await agent.receive(Shell)).op is ShellOp.CLOSE
        async with asyncio.timeout(30):
            assert len(await all_of(session)) <= MAX_BUFFER_BYTES
        assert "not read" in session.message  # pyright: ignore[reportAttributeAccessIssue]


async def test_an_agent_cannot_speak_in_a_shell_of_another() -> None:
    async with running_hub() as hub, hub.playing("a") as agent, hub.playing("b") as other:
        session, order = await opened(hub, agent)
        await say(other, order.shell_id, b"forged")
        await other.send(Shell(op=ShellOp.EXIT, shell_id=order.shell_id, exit_code=0))
        await other.settle()
        await say(agent, order.shell_id, b"true")
        await agent.send(Shell(op=ShellOp.EXIT, shell_id=order.shell_id, exit_code=1))
        async with asyncio.timeout(30):
            assert await all_of(session) == b"true"
        assert session.exit_code == 1


async def test_data_that_is_no_base64_is_refused() -> None:
    async with running_hub() as hub, hub.playing() as agent:
        _, order = await opened(hub, agent)
        await agent.send(Shell(op=ShellOp.DATA, shell_id=order.shell_id, data="***"))
        assert (await agent.receive(Error)).code == "malformed"


async def test_shells_that_cannot_be() -> None:
    async with running_hub(limits=Limits(shells_per_agent=2)) as hub:
        with pytest.raises(NotFound):
            await hub.control.open_shell("a", 80, 24)
        token = await hub.register()
        with pytest.raises(Unavailable):
            await hub.control.open_shell("a", 80, 24)
        basic = PlayedAgent(hub.url, "a", token)
        await basic.dial(subprotocol=None)
        await hub.status("a", "online")
        with pytest.raises(Conflict):
            await hub.control.open_shell("a", 80, 24)
        await basic.close()
        agent = PlayedAgent(hub.url, "a", token)
        await agent.connect()
        for cols, rows in ((0, 24), (80, 0), (80, 5_000)):
            with pytest.raises(BadRequest):
                await hub.control.open_shell("a", cols, rows)
        sessions = [(await opened(hub, agent))[0] for _ in range(2)]
        with pytest.raises(QueueFull):
            await hub.control.open_shell("a", 80, 24)
        await sessions[0].close()
        await hub.control.open_shell("a", 80, 24)
        await agent.close()
