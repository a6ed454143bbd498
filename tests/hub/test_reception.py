"""Reception: what agents say becomes output, logs, messages and decisions, and nothing that they may not say."""

from __future__ import annotations

import asyncio
import base64

import pytest

from hub.contract import LogQuery, OutputQuery, TaskView
from runtime import wire
from runtime.wire import Ack, AttemptId, Encoding, Error, Log, Stream, Welcome
from tests.hub.running import PlayedAgent, RunningHub, held, running_hub


async def given(hub: RunningHub, agent: PlayedAgent) -> AttemptId:
    await hub.ping(agent.name)
    attempt = await agent.receive_task()
    await agent.accept(attempt)
    return attempt


async def output(hub: RunningHub, attempt: AttemptId) -> list[tuple[int, str, str, int]]:
    query = OutputQuery()
    chunks = [chunk async for chunk in hub.control.task_output(attempt.split(":")[0], query)]
    return [(chunk.offset, chunk.data, chunk.stream, chunk.skipped) for chunk in chunks if not chunk.end]


async def test_output_is_kept_in_order_and_acknowledged() -> None:
    async with running_hub() as hub, hub.playing() as agent:
        attempt = await given(hub, agent)
        raw = base64.b64encode(b"\xff\n").decode()
        await agent.send(Log(attempt_id=attempt, data="one\n"))
        await agent.send(Log(attempt_id=attempt, data=raw, encoding=Encoding.BASE64, offset=4, stream=Stream.STDERR))
        await agent.send(Log(attempt_id=attempt, data="one\n"))
        await agent.send(Log(attempt_id=attempt, data="ten\n", offset=16, skipped=10))
        await agent.settle()
        acked = 0
        while acked < 20:
            acked = max((await agent.receive(Ack)).output.get(attempt, 0), acked)
        assert await output(hub, attempt) == [
            (0, "one\n", "stdout", 0),
            (4, raw, "stderr", 0),
            (16, "ten\n", "stdout", 10),
        ]


async def test_a_gap_that_nobody_marked_is_not_taken_and_asked_for_again() -> None:
    async with running_hub() as hub, hub.playing() as agent:
        attempt = await given(hub, agent)
        await agent.send(Log(attempt_id=attempt, data="late", offset=100))
        await agent.settle()
        assert (await agent.receive(Ack)).output == {attempt: 0}
        assert await output(hub, attempt) == []


async def test_the_plan_says_from_where_output_is_wanted() -> None:
    async with running_hub() as hub, hub.playing() as agent:
        attempt = await given(hub, agent)
        await agent.send(Log(attempt_id=attempt, data="12345"))
        await agent.settle()
        agent.abort()
        welcome = await agent.connect([held(attempt, offset=50), held(AttemptId("nonsense")), held(AttemptId("t_x:1"))])
        assert [(resend.attempt_id, resend.offset) for resend in welcome.plan.resend] == [(attempt, 5)]
        assert set(welcome.plan.kill) == {"nonsense", "t_x:1"}


async def test_output_of_others_is_acknowledged_and_not_kept() -> None:
    """Else an agent would keep for ever what nobody wants."""
    async with running_hub() as hub, hub.playing("a") as agent, hub.playing("b") as other:
        attempt = await given(hub, agent)
        await other.send(Log(attempt_id=attempt, data="forged"))
        assert (await other.receive(Ack)).output == {attempt: 6}
        await other.respond(attempt, stdout="forged")
        await other.settle()
        assert (await hub.task(attempt.split(":")[0])).status == "running"
        assert await output(hub, attempt) == []


async def followed(hub: RunningHub, task_id: str) -> list[str]:
    query = OutputQuery(follow=True)
    return [chunk.data async for chunk in hub.control.task_output(task_id, query) if not chunk.end]


@pytest.mark.parametrize("end", ["cancelled", "succeeded", "expired", "lost"])
async def test_a_follower_is_let_go_however_the_task_ends(end: str) -> None:
    async with running_hub() as hub, hub.playing() as agent:
        if end in ("cancelled", "expired"):
            await given(hub, agent)
            task_id = await hub.ping(expiresInMs=3_600_000)
        else:
            attempt = await given(hub, agent)
            task_id = attempt.split(":")[0]
        async with asyncio.timeout(15), asyncio.TaskGroup() as group:
            follower = group.create_task(followed(hub, task_id))
            await asyncio.sleep(0.05)
            await bring_to(end, hub, agent, task_id)
        assert follower.result() == []
        assert (await hub.ended(task_id)).status == end


async def bring_to(end: str, hub: RunningHub, agent: PlayedAgent, task_id: str) -> None:
    match end:
        case "cancelled":
            await hub.control.cancel_task(task_id)
        case "succeeded":
            await agent.respond(AttemptId(f"{task_id}:1"))
        case "expired":
            hub.move(3_601)
        case _:
            agent.abort()
            await hub.status("a", "unreachable")
            hub.move(7_300)


async def test_ended_tasks_are_counted_by_state() -> None:
    async with running_hub() as hub, hub.playing() as agent:
        attempt = await given(hub, agent)
        await agent.respond(attempt, "failed", exit_code=1)
        await hub.ended(attempt.split(":")[0])
        text = hub.kernel.metrics.exposition().decode()
        assert 'clawtui_tasks_ended_total{state="failed"} 1.0' in text


# --- the agent's own log


async def test_an_agents_own_lines_are_its_log() -> None:
    async with running_hub() as hub, hub.playing() as agent:
        await agent.send(Log(data="one\ntwo", stream=Stream.AGENT, level="info"))
        await agent.settle()
        entries = [entry async for entry in hub.control.agent_logs("a", LogQuery(lines=1))]
        assert [(entry.text, entry.level, entry.source) for entry in entries] == [("two", "info", "runtime")]


# --- messages between agents


async def test_a_message_passes_by_policy_and_is_acknowledged_when_it_is_kept() -> None:
    async with running_hub() as hub, hub.playing("a") as sender, hub.playing("b") as receiver:
        await sender.send({"n": 0}, kind="message", to="b", message_id="m0")
        assert (await sender.receive(Error)).code == "not_allowed"
        await hub.control.allow("a", "b")
        for _ in range(2):  # the second is a repetition
            await sender.send({"n": 1}, kind="message", to="b", message_id="m1")
            assert (await sender.receive(Ack)).messages == ["m1"]
        envelope, _ = await receiver.receive_any()
        assert (envelope.sender, envelope.id, envelope.type) == ("a", "m1", "message")
        await receiver.send(Ack(messages=["m1"]))
        await receiver.settle()
        agent = PlayedAgent(hub.url, "b", receiver.token)
        await agent.connect(instance="again")
        await agent.settle()
        await agent.close()


async def test_a_message_for_an_absent_agent_waits_and_comes_once_it_is_there() -> None:
    async with running_hub() as hub, hub.playing("a") as sender:
        token = await hub.register("b")
        await hub.control.allow("a", "b")
        await sender.send({"n": 1}, kind="message", to="b", message_id="m1")
        await sender.receive(Ack)
        for _ in range(2):  # not acknowledged: it comes again
            receiver = PlayedAgent(hub.url, "b", token)
            await receiver.connect()
            envelope, _ = await receiver.receive_any()
            assert (envelope.id, bytes(envelope.payload)) == ("m1", b'{"n":1}')
            await receiver.close()


@pytest.mark.parametrize(
    ("to", "code"), [("nobody", "unknown_receiver"), ("hub", "unknown_receiver"), ("c", "basic_agent")]
)
async def test_a_message_that_cannot_be_delivered_is_refused(to: str, code: str) -> None:
    async with running_hub() as hub, hub.playing("a") as sender:
        basic = PlayedAgent(hub.url, "c", await hub.register("c"))
        await basic.dial(subprotocol=None)
        await hub.status("c", "online")
        await hub.control.allow("a", "c")
        await sender.send({}, kind="message", to=to)
        assert (await sender.receive(Error)).code == code
        await basic.close()


# --- basic agents


async def test_a_basic_agent_gets_its_task_once_and_answers_by_task_id() -> None:
    async with running_hub() as hub:
        basic = PlayedAgent(hub.url, "a", await hub.register())
        await basic.dial(subprotocol=None)
        await hub.status("a", "online")
        first, second = await hub.ping(), await hub.ping()
        assert await basic.receive_task() == f"{first}:1"
        await basic.send({"taskId": first, "status": "succeeded"}, kind="response")
        assert await basic.receive_task() == f"{second}:1"
        assert (await hub.ended(first)).status == "succeeded"
        view = await hub.control.agent("a")
        assert (view.basic, view.concurrency) == (True, 1)
        await basic.close()


async def test_a_basic_agents_task_is_timed_out_by_the_hub() -> None:
    async with running_hub() as hub:
        basic = PlayedAgent(hub.url, "a", await hub.register())
        await basic.dial(subprotocol=None)
        await hub.status("a", "online")
        task_id = await hub.ping(timeoutMs=60_000)
        await basic.receive_task()
        hub.move(61)
        ended: TaskView = await hub.ended(task_id)
        assert ended.status == "timed_out"
        await basic.close()


async def test_a_hello_after_the_first_changes_nothing() -> None:
    async with running_hub() as hub, hub.playing() as agent:
        attempt = await given(hub, agent)
        await agent.send(wire.Hello(protocol=wire.ProtocolRange(1, 1), instance="two"))
        await agent.settle()
        assert (await hub.task(attempt.split(":")[0])).status == "running"
        assert (await hub.control.agent("a")).epoch == 1
        with pytest.raises(AssertionError, match="nothing came"):
            await agent.receive(Welcome, 0.05)


async def test_nothing_is_taken_from_a_connection_that_was_ended() -> None:
    """Its frames may still be on their way when the agent is destroyed or its credential revoked."""
    async with running_hub() as hub, hub.playing("a") as agent:
        await hub.register("b")
        await hub.control.allow("a", "b")
        fleet = hub.kernel.fleet
        fleet.revoke_credentials(fleet.agent("a").id, hub.clock.now())
        await agent.send(Log(data="one more line\n", stream=Stream.AGENT))
        await agent.send({}, kind="message", to="b")
        await agent.settle()
        assert [entry async for entry in hub.control.agent_logs("a", LogQuery())] == []
        assert (await hub.kernel.registry.load()).messages == []


async def test_the_disk_is_not_asked_about_attempts_that_nobody_wants() -> None:
    async with running_hub() as hub, hub.playing() as agent:
        attempt = await given(hub, agent)
        strangers = [held(AttemptId(f"t_{number}:1")) for number in range(1_000)]
        welcome = await agent.connect([held(attempt), *strangers], instance="two")
        assert (welcome.plan.keep, len(welcome.plan.kill)) == ([attempt], 1_000)
        assert set(hub.kernel.output._states) == {attempt}
