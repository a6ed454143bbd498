"""Observers hear every change or are told that they did not."""

from __future__ import annotations

import asyncio

import pytest

from hub.contract import Event
from hub.errors import Unavailable
from hub.feed import GAP, Feed, Subscription


def feed(capacity: int = 8, **options: int) -> Feed:
    return Feed("hub-1", "run-1", capacity, clock_ms=lambda: 1_700_000_000_123, **options)  # pyright: ignore[reportArgumentType]


async def take(changes: Subscription, count: int) -> list[Event]:
    async with asyncio.timeout(30):
        return [await anext(changes) for _ in range(count)]


async def test_an_event_names_what_changed_and_when() -> None:
    changes = feed()
    async with changes.subscribe() as subscription:
        changes.publish("agent", "a-1")
        changes.publish("task", "t-1", gone=True)
        first, second = await take(subscription, 2)
    assert first == Event(seq=1, run="run-1", kind="agent", id="a-1", at="2023-11-14T22:13:20.123Z")
    assert (second.seq, second.kind, second.id, second.gone) == (2, "task", "t-1", True)


async def test_a_subscription_starts_with_the_present() -> None:
    changes = feed()
    changes.publish("agent", "before")
    async with changes.subscribe() as subscription:
        changes.publish("agent", "after")
        (event,) = await take(subscription, 1)
    assert event.id == "after"


async def test_since_replays_what_is_still_known() -> None:
    changes = feed()
    for name in "abcd":
        changes.publish("agent", name)
    async with changes.subscribe(since=2) as subscription:
        changes.publish("agent", "e")
        assert [event.id for event in await take(subscription, 3)] == ["c", "d", "e"]


async def test_since_the_last_event_replays_nothing() -> None:
    changes = feed()
    changes.publish("agent", "a")
    async with changes.subscribe(since=1) as subscription:
        changes.publish("agent", "b")
        (event,) = await take(subscription, 1)
    assert (event.kind, event.id) == ("agent", "b")


@pytest.mark.parametrize(
    ("since", "why"),
    [(0, "the ring begins later"), (1, "one event is missing"), (99, "a number of the future: another run")],
)
async def test_an_unknown_since_begins_with_a_gap(since: int, why: str) -> None:
    changes = feed(capacity=3)
    for name in "abcde":
        changes.publish("agent", name)
    async with changes.subscribe(since=since) as subscription:
        changes.publish("agent", "f")
        gap, event = await take(subscription, 2)
    assert (gap.kind, gap.seq, event.id) == (GAP, 5, "f"), why


async def test_the_oldest_known_since_is_no_gap() -> None:
    changes = feed(capacity=3)
    for name in "abcde":
        changes.publish("agent", name)
    async with changes.subscribe(since=2) as subscription:
        assert [event.id for event in await take(subscription, 3)] == ["c", "d", "e"]


async def test_a_since_of_an_earlier_run_is_a_gap_when_numbers_grow_from_run_to_run() -> None:
    earlier = feed(first_seq=1_000)
    earlier.publish("agent", "a")
    changes = feed(first_seq=2_000)
    changes.publish("agent", "b")
    async with changes.subscribe(since=earlier.seq) as subscription:
        (event,) = await take(subscription, 1)
    assert event.kind == GAP


async def test_a_slow_observer_gets_one_gap_and_then_what_came_after() -> None:
    gaps: list[int] = []
    changes = Feed("hub-1", "run-1", 100, subscriber_events=4, on_gap=lambda: gaps.append(1))
    async with changes.subscribe() as slow, changes.subscribe() as quick:
        for number in range(5):
            changes.publish("task", str(number))
            await take(quick, 1)
        changes.publish("task", "later")
        gap, event = await take(slow, 2)
        assert (gap.kind, gap.seq) == (GAP, 5)
        assert (event.id, event.seq) == ("later", 6)
        assert [event.id for event in await take(quick, 1)] == ["later"]
    assert gaps == [1]


async def test_a_replay_longer_than_an_observer_may_hold_is_a_gap() -> None:
    changes = feed(capacity=100, subscriber_events=4)
    for number in range(10):
        changes.publish("task", str(number))
    async with changes.subscribe(since=1) as subscription:
        (event,) = await take(subscription, 1)
    assert event.kind == GAP


async def test_a_rebuilt_state_is_announced_to_everybody() -> None:
    changes = feed()
    changes.publish("agent", "a")
    async with changes.subscribe() as subscription:
        changes.announce_gap()
        (event,) = await take(subscription, 1)
    assert event.kind == GAP
    async with changes.subscribe(since=1) as returned:
        (event,) = await take(returned, 1)
    assert event.kind == GAP


async def test_closing_ends_subscriptions_after_what_they_hold() -> None:
    changes = feed()
    async with changes.subscribe() as subscription:
        changes.publish("agent", "last")
        changes.close()
        async with asyncio.timeout(30):
            assert [event.id async for event in subscription] == ["last"]
    async with changes.subscribe() as late:
        async with asyncio.timeout(30):
            assert [event async for event in late] == []


async def test_leaving_frees_the_place() -> None:
    changes = feed()
    async with changes.subscribe():
        assert changes.subscribers == 1
    assert changes.subscribers == 0


async def test_wait_for_wakes_at_the_next_change_of_that_id_only() -> None:
    changes = feed()
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        waiter = group.create_task(changes.wait_for("task", "t-1"))
        await asyncio.sleep(0)
        changes.publish("task", "t-2")
        changes.publish("agent", "t-1")
        await asyncio.sleep(0)
        assert not waiter.done()
        changes.publish("task", "t-1")
    assert changes._waiting == 0


async def test_wait_for_leaves_nothing_behind_when_its_time_is_over() -> None:
    changes = feed()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await changes.wait_for("task", "t-1")
    assert (changes._waiting, changes._waiters) == (0, {})


async def test_waiters_are_bounded() -> None:
    changes = feed(max_waiters=1)
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        group.create_task(changes.wait_for("task", "t-1"))
        await asyncio.sleep(0)
        with pytest.raises(Unavailable) as refused:
            await changes.wait_for("task", "t-2")
        assert refused.value.retryable
        changes.publish("task", "t-1")


async def test_a_stopping_hub_wakes_waiters_with_a_reason() -> None:
    changes = feed()

    async def wait() -> str:
        with pytest.raises(Unavailable, match="stopping") as refused:
            await changes.wait_for("task", "t-1")
        return refused.value.code

    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        waiter = group.create_task(wait())
        await asyncio.sleep(0)
        changes.close()
    assert waiter.result() == "stopping"
