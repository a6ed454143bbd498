"""Operations on agents: listing, registering, logs, the limits of what may be asked."""

from __future__ import annotations

import pytest

from hub.contract import AgentQuery, CreateAgent, LogQuery, PageQuery, RegisterAgent, RegisterMetadata
from hub.core.view import rfc3339
from hub.drivers.base import LogLine
from hub.errors import BadRequest, Conflict, NotFound
from runtime.wire import Log, Stream
from tests.hub.running import RunningHub, running_hub
from tests.hub.test_jobs import made


async def listed(hub: RunningHub, **query: object) -> list[str]:
    return [agent.id for agent in (await hub.control.agents(AgentQuery(**query))).agents]  # pyright: ignore[reportArgumentType]


async def test_agents_are_listed_by_name_in_pages_and_filtered() -> None:
    async with running_hub() as hub:
        for name, kind in (("b", "builder"), ("a", "builder"), ("c", "tester")):
            metadata = RegisterMetadata(type=kind, labels={"team": name})
            await hub.control.register(RegisterAgent(agent_id=name, metadata=metadata))
        page = await hub.control.agents(AgentQuery(limit=2))
        assert ([agent.id for agent in page.agents], page.next) == (["a", "b"], "b")
        assert await listed(hub, limit=2, cursor="b") == ["c"]
        assert await listed(hub, type="builder") == ["a", "b"]
        assert await listed(hub, label="team=c") == ["c"]
        assert await listed(hub, label="team") == ["a", "b", "c"]
        assert await listed(hub, label="nosuch") == []
        assert await listed(hub, status="online") == []
        for limit in (0, 1_001):
            with pytest.raises(BadRequest):
                await hub.control.agents(AgentQuery(limit=limit))


async def test_registering_gives_a_token_and_a_url_and_again_another() -> None:
    async with running_hub() as hub:
        first = await hub.control.register(RegisterAgent(agent_id="a"))
        second = await hub.control.register(RegisterAgent(agent_id="a"))
        assert first.token != second.token
        assert second.ws_url == f"{hub.url}/agent/a/{second.token}"
        assert first.agent.uid == second.agent.uid
        for name in ("hub", "A", ""):
            with pytest.raises(BadRequest) as refused:
                await hub.control.register(RegisterAgent(agent_id=name))
            assert refused.value.field == "agentId"
        await made(hub, "d")
        with pytest.raises(Conflict) as taken:
            await hub.control.register(RegisterAgent(agent_id="d"))
        assert taken.value.code == "driver_agent"


async def test_nothing_is_decided_for_agents_that_are_not_there() -> None:
    async with running_hub() as hub:
        for call in (
            hub.control.agent("x"),
            hub.control.destroy("x"),
            hub.control.release("x"),
        ):
            with pytest.raises(NotFound):
                await call


async def logged(hub: RunningHub, **query: object) -> list[str]:
    entries = hub.control.agent_logs("a", LogQuery(**query))  # pyright: ignore[reportArgumentType]
    return [entry.text async for entry in entries]


async def test_logs_of_driver_and_runtime_apart() -> None:
    async with running_hub() as hub:
        job = await hub.create()
        await hub.until(lambda: hub.platform.agents)
        agent = hub.created()
        await agent.connect()
        await hub.job(job.id)
        hub.platform.say("a", "of the driver")
        await agent.send(Log(data="of the runtime", stream=Stream.AGENT))
        await agent.settle()
        assert await logged(hub) == ["of the driver"]
        assert await logged(hub, source="runtime") == ["of the runtime"]
        assert await logged(hub, source="runtime", since="1h") == ["of the runtime"]
        hub.move(7_200)
        assert await logged(hub, source="runtime", since="1h") == []
        assert await logged(hub, source="runtime", lines=0) == []
        await agent.close()


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"source": "nosuch"}, "source"),
        ({"since": "yesterday"}, "since"),
        ({"since": "2026-01-31T12:00:00"}, "since"),
        ({"lines": -1}, "lines"),
        ({"source": "runtime", "follow": True}, "follow"),
    ],
)
async def test_a_wrong_question_to_the_logs_is_named(query: dict[str, object], field: str) -> None:
    async with running_hub() as hub:
        await hub.register()
        with pytest.raises(BadRequest) as refused:
            await logged(hub, **query)
        assert refused.value.field == field


async def test_jobs_are_listed_with_their_present_state() -> None:
    async with running_hub() as hub:
        await made(hub, "a")
        await made(hub, "b")
        jobs = (await hub.control.jobs(PageQuery(limit=1))).jobs
        assert [(job.kind, job.agent_id, job.state) for job in jobs] == [("create", "b", "succeeded")]


async def test_a_create_request_is_checked_before_anything_is_kept() -> None:
    async with running_hub() as hub:
        with pytest.raises(BadRequest):
            await hub.control.create_agent(CreateAgent(name="Not A Name", driver="fake"))
        assert await listed(hub) == []
        assert (await hub.control.jobs(PageQuery())).jobs == []


async def test_the_last_lines_before_a_time() -> None:
    async with running_hub() as hub:
        job = await hub.create()
        await hub.until(lambda: hub.platform.agents)
        agent = hub.created()
        await agent.connect()
        await hub.job(job.id)
        log, times = hub.platform.agent("a").log, list[str]()
        for number in range(5):
            now_ms = hub.clock.now().wall_ms
            log.append(LogLine(text=f"line {number}", at=now_ms))
            times.append(rfc3339(now_ms) or "")
            await agent.send(Log(data=f"own {number}", stream=Stream.AGENT))
            await agent.settle()
            hub.move(3 * 3_600)
        assert await logged(hub, until=times[3], lines=2) == ["line 2", "line 3"]
        assert await logged(hub, until=times[3], lines=None) == ["line 0", "line 1", "line 2", "line 3"]
        assert await logged(hub, until=times[3], since=times[2], lines=9) == ["line 2", "line 3"]
        assert await logged(hub, until="14h", lines=9) == ["line 0"]
        assert await logged(hub, until=times[3], lines=0) == []
        assert await logged(hub, source="runtime", until="5h", lines=2) == ["own 2", "own 3"]
        for wrong in ({"until": "soon"}, {"until": times[3], "follow": True}):
            with pytest.raises(BadRequest) as refused:
                await logged(hub, **wrong)
            assert refused.value.field == "until"
        await agent.close()
