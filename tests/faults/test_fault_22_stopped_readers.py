"""Fault 22: an observer and an agent that stop reading: bounded memory, a gap marker, the slow one is closed."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import msgspec
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from hub.config import Limits
from hub.core.effects import Kind
from runtime.wire import AttemptId, Log, Response, ResponseStatus
from tests.hub.running import PlayedAgent, RunningHub, running_hub

FLOOD = 300_000
"""Events: far more than the subscription and all socket buffers hold."""


def metric(hub: RunningHub, name: str) -> float:
    for line in hub.kernel.metrics.exposition().decode().splitlines():
        if line.startswith(f"{name} "):
            return float(line.split()[1])
    raise AssertionError(f"no metric {name}")


async def test_an_observer_that_stops_reading_gets_a_gap_and_costs_little() -> None:
    async with running_hub() as hub:
        token = (hub.folder / "token").read_text().strip()
        api = (await hub.control.health()).addresses["api"].replace("http", "ws", 1)
        headers = {"Authorization": f"Bearer {token}"}
        async with connect(f"{api}/events", additional_headers=headers, proxy=None) as slow:
            await hub.until(lambda: hub.kernel.feed.subscribers == 1)
            for number in range(FLOOD):
                hub.kernel.feed.publish(Kind.TASK, f"t{number}")
                if number % 1_000 == 0:
                    await asyncio.sleep(0)
            assert metric(hub, "clawtui_feed_gaps_total") >= 1
            received = 0
            while (event := msgspec.json.decode(await slow.recv()))["kind"] != "gap":
                received += 1
            assert received < FLOOD / 2
            gap = event["seq"]
            hub.kernel.feed.publish(Kind.TASK, "after")
            while (event := msgspec.json.decode(await slow.recv()))["id"] != "after":
                continue
            assert event["seq"] > gap
        await hub.until(lambda: hub.kernel.feed.subscribers == 0)


async def test_one_stopped_observer_does_not_hold_up_another() -> None:
    async with running_hub() as hub, hub.playing() as agent:
        stopped = hub.kernel.feed.subscribe()
        async with stopped:
            for _ in range(50):
                task_id = await hub.ping()
                await agent.respond(await agent.receive_task())
                assert (await hub.ended(task_id)).status == "succeeded"


async def shrunk(hub: RunningHub) -> PlayedAgent:
    """An agent whose socket takes little, and that will not read."""
    agent = PlayedAgent(hub.url, "a", await hub.register())
    await agent.connect(concurrency=1_000)
    assert agent.socket is not None
    agent.socket.transport.pause_reading()  # pyright: ignore[reportAttributeAccessIssue]
    raw = agent.socket.transport.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    return agent


async def test_an_agent_that_stops_reading_is_cut_off_and_gets_everything_when_it_returns() -> None:
    limits = Limits(outbox_frames=50, outbox_bytes=512 * 1024)
    async with running_hub(limits=limits) as hub:
        agent = await shrunk(hub)
        tasks: list[str] = []

        async def cut_off() -> None:
            while len(hub.kernel.links):
                task = {"type": "exec", "command": "x" * 100_000}
                tasks.append((await hub.control.submit("a", task)).task_id)
                assert len(tasks) < 200, "nothing bounds what waits for an agent"
                if len(tasks) > 60:
                    hub.move(1.0)

        async with asyncio.timeout(30):
            await cut_off()
        assert metric(hub, "clawtui_outbox_drops_total") >= 1
        await hub.status("a", "unreachable")
        agent.abort()
        await agent.connect(concurrency=20)
        given = {await agent.receive_task() for _ in range(min(20, len(tasks)))}
        assert given == {f"{task_id}:1" for task_id in tasks[:20]}
        await agent.close()


async def test_an_agent_that_only_sends_is_cut_off_too() -> None:
    """It asks for acknowledgements that it never takes; those are bounded like everything else."""
    async with running_hub() as hub:
        agent = await shrunk(hub)
        number = 0
        async with asyncio.timeout(50):
            while len(hub.kernel.links):
                number += 1
                attempt = AttemptId(f"t_{'y' * 80}{number}:1")
                with contextlib.suppress(ConnectionClosed):
                    await agent.send(Response(status=ResponseStatus.SUCCEEDED, attempt_id=attempt))
                    await agent.send(Log(data="x", attempt_id=attempt))
                assert number < 200_000, "nothing bounds the acknowledgements"
        agent.abort()


async def test_an_agent_that_does_not_take_the_goodbye_is_gone_all_the_same() -> None:
    """A stopped reader keeps nobody waiting: not the hub's stop, and not whoever takes its place."""
    async with asyncio.timeout(30):
        async with running_hub() as hub:
            agent = await shrunk(hub)
            for _ in range(40):
                await hub.control.submit("a", {"type": "exec", "command": "x" * 100_000})
            second = PlayedAgent(hub.url, "a", agent.token)
            await second.connect(instance="two")
            await hub.status("a", "online")
            await hub.until(lambda: len(hub.kernel.links) == 1, "the superseded connection has ended")
            await second.close()
        agent.abort()


async def test_an_agent_that_is_owed_more_than_its_outbox_holds_gets_it_all() -> None:
    """A burst is no sign of a stopped reader: the agent reads, and takes everything in one connection."""
    async with running_hub(limits=Limits(outbox_frames=10, outbox_bytes=256 * 1024)) as hub:
        token = await hub.register()
        tasks = [(await hub.control.submit("a", {"type": "exec", "command": "x" * 100_000})).task_id for _ in range(30)]
        agent = PlayedAgent(hub.url, "a", token)
        await agent.connect(concurrency=30)
        assert [await agent.receive_task() for _ in tasks] == [f"{task_id}:1" for task_id in tasks]
        assert (await hub.control.agent("a")).epoch == 1
        await agent.close()
