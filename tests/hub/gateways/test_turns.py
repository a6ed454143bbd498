"""One message at a time in a conversation, and bounds of those that wait."""

from __future__ import annotations

import asyncio

import pytest

from hub.errors import QueueFull
from hub.gateways.turns import MOST_AT_GATEWAY, MOST_IN_SESSION, Turns


async def test_first_come_first_served_and_others_beside() -> None:
    turns, order, go_on = Turns(), list[str](), asyncio.Event()

    async def speak(session: str, name: str) -> None:
        async with turns.turn("g", session):
            order.append(name)
            if name == "a1":
                await go_on.wait()

    async with asyncio.TaskGroup() as group:
        first = group.create_task(speak("a", "a1"))
        waiting = [group.create_task(speak("a", f"a{number}")) for number in (2, 3, 4)]
        await group.create_task(speak("b", "b1"))
        assert order == ["a1", "b1"]
        assert not first.done()
        assert not any(task.done() for task in waiting)
        go_on.set()

    assert order == ["a1", "b1", "a2", "a3", "a4"]
    assert turns.open == 0


async def test_too_many_of_one_conversation_are_refused_and_room_comes_back() -> None:
    turns, go_on = Turns(), asyncio.Event()

    async def speak() -> None:
        async with turns.turn("g", "a"):
            await go_on.wait()

    async with asyncio.TaskGroup() as group:
        speaking = [group.create_task(speak()) for _ in range(MOST_IN_SESSION)]
        await asyncio.sleep(0)
        with pytest.raises(QueueFull) as caught:
            await speak()
        assert caught.value.code == "session_busy"
        # One that waits leaves: another may come.
        speaking[-1].cancel()
        await asyncio.wait([speaking[-1]])
        another = group.create_task(speak())
        await asyncio.sleep(0)
        assert not another.done()
        go_on.set()
    assert turns.open == 0


async def test_a_gateway_that_hangs_does_not_take_everything() -> None:
    turns, go_on = Turns(), asyncio.Event()

    async def speak(gateway: str, session: str) -> None:
        async with turns.turn(gateway, session):
            await go_on.wait()

    async with asyncio.TaskGroup() as group:
        for number in range(MOST_AT_GATEWAY):
            group.create_task(speak("g", str(number)))
        await asyncio.sleep(0)
        with pytest.raises(QueueFull) as caught:
            await speak("g", "another")
        assert caught.value.code == "gateway_busy"
        go_on.set()
        await speak("other", "another")
