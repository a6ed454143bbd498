"""Who has most to wait for comes first, and what the hub says of its load is what happened."""

from __future__ import annotations

import pytest

from hub.contract import ConnectionList, ConnectionQuery, ConnectionView
from hub.errors import BadRequest
from tests.hub.running import RunningHub, running_hub


async def look(hub: RunningHub, limit: int = 100) -> ConnectionList:
    await hub.kernel.settle()
    return await hub.control.connections(ConnectionQuery(limit=limit))


async def only(hub: RunningHub) -> ConnectionView:
    (found,) = (await look(hub)).connections
    return found


async def test_a_connection_says_from_where_since_when_and_what_is_spoken() -> None:
    async with running_hub() as hub, hub.playing(version="9.8.7") as agent:
        view = await only(hub)
        assert (view.agent_id, view.connected, view.basic, view.version) == ("a", True, False, "9.8.7")
        assert view.remote.startswith("127.0.0.1:")
        assert view.via == f"127.0.0.1:{hub.port}"
        assert view.since is not None
        assert view.protocol is not None
        assert (view.heard_seconds or 0.0) < 60
        assert view.latency_seconds is None
        await agent.close()
        await hub.until(lambda: not len(hub.kernel.links), "the hub has seen it go")
        assert (await look(hub)).connections == []


async def test_a_silent_agent_is_pinged_and_its_answer_timed() -> None:
    async with running_hub() as hub, hub.playing():
        hub.move(hub.kernel.config.timing.ping_seconds + 1)
        await hub.until(lambda: all(link.latency_seconds for link in hub.kernel.links), "its answer came")
        latency = (await only(hub)).latency_seconds
        assert latency is not None
        assert 0.0 <= latency < hub.kernel.config.timing.pong_seconds


async def test_who_waits_most_comes_first_connected_or_not() -> None:
    async with running_hub() as hub, hub.playing("b"):
        await hub.register("a")
        await hub.register("c")
        for _ in range(3):
            await hub.ping("c")
        await hub.ping("a")
        found = await look(hub)
        assert [(view.agent_id, view.connected, view.queued) for view in found.connections] == [
            ("c", False, 3),
            ("a", False, 1),
            ("b", True, 0),
        ]
        assert (found.total, found.load.connections, found.load.queued) == (3, 1, 4)
        assert [view.agent_id for view in (await look(hub, 1)).connections] == ["c"]
        with pytest.raises(BadRequest):
            await look(hub, 0)


async def test_the_load_is_what_happened() -> None:
    async with running_hub() as hub:
        before = (await look(hub)).load
        for number in range(5):
            await hub.register(f"a{number}")
        load = (await look(hub)).load
        assert load.commits >= before.commits + 5
        assert 0.0 < load.commit_seconds <= load.commit_p99_seconds
        assert load.batch_most >= load.batch_records >= 1
        assert load.registry_bytes > 0
        assert load.registry_log_bytes > 0
        assert (load.gaps, load.dropped_frames, load.observers) == (0, 0, 0)


async def test_observers_and_what_they_have_not_taken_are_counted() -> None:
    async with running_hub() as hub, hub.kernel.feed.subscribe() as changes:
        await hub.register("a")
        behind = (await look(hub)).load
        assert behind.observers == 1
        assert behind.feed_behind >= 1
        for _ in range(behind.feed_behind):
            await anext(changes)
        assert (await look(hub)).load.feed_behind < behind.feed_behind
        hub.kernel.feed.announce_gap()
        assert (await look(hub)).load.gaps == 1
