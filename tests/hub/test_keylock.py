"""Locks by key: one after the other per key, side by side between keys, nothing kept when nobody wants it."""

from __future__ import annotations

import asyncio

from hub.keylock import KeyLocks


async def test_one_key_is_held_by_one_at_a_time_and_keys_do_not_wait_for_each_other() -> None:
    locks = KeyLocks()
    inside: list[str] = []
    most = 0
    free = asyncio.Event()

    async def work(key: str) -> None:
        nonlocal most
        async with locks.hold(key):
            inside.append(key)
            most = max(most, inside.count("a"))
            await free.wait()
            inside.remove(key)

    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        for key in ("a", "a", "a", "b"):
            group.create_task(work(key))
        while set(inside) != {"a", "b"}:
            await asyncio.sleep(0)
        free.set()
    assert most == 1


async def test_a_lock_is_forgotten_after_its_last_user_also_after_errors_and_cancels() -> None:
    locks = KeyLocks()
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        async with locks.hold("a"):
            waiting = group.create_task(hold(locks, "a"))
            await asyncio.sleep(0)
            assert locks.is_held("a")
            waiting.cancel()
    try:
        async with locks.hold("a"):
            raise LookupError
    except LookupError:
        pass
    assert not locks.is_held("a")
    assert locks._locks == {}


async def hold(locks: KeyLocks, key: str) -> None:
    async with locks.hold(key):
        raise AssertionError("the first holder has not let go")
