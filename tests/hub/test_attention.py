"""What needs a person, asked of a whole hub: what comes, is told, is snoozed, and goes."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from hub.attention import MOST_EVENTS, disk_of
from hub.contract import AgentAct, AttentionQuery, AttentionView, Event
from hub.drivers.fake import Script, Step
from hub.errors import BadRequest, NotFound
from tests.hub.running import PlayedAgent, RunningHub, running_hub

EVERYTHING = AttentionQuery(snoozed=True)


async def ids(hub: RunningHub, *, snoozed: bool = False) -> list[str]:
    """The ids that need a person, apart from the machine's own disk."""
    if hub.kernel.writable:
        await hub.kernel.settle()
    listed = (await hub.control.attention(AttentionQuery(snoozed=snoozed))).attention
    return [view.id for view in listed if view.kind != "hub_disk"]


async def only(hub: RunningHub, name: str) -> AttentionView:
    listed = (await hub.control.attention(EVERYTHING)).attention
    return next(view for view in listed if view.id == name)


async def fail(hub: RunningHub, agent: PlayedAgent, status: str = "failed") -> str:
    task_id = await hub.ping()
    attempt = await agent.receive_task()
    await agent.accept(attempt)
    await agent.respond(attempt, status, exit_code=3)
    await hub.ended(task_id)
    return task_id


async def test_a_failed_task_needs_a_person_until_it_is_submitted_again() -> None:
    async with running_hub() as hub, hub.playing() as agent:
        task_id = await fail(hub, agent)
        assert await ids(hub) == ["tasks_failed:a"]
        view = await only(hub, "tasks_failed:a")
        assert (view.count, view.tasks, view.acts[1].command) == (1, [task_id], f"clawtui tasks retry {task_id}")
        await hub.control.retry_task(task_id)
        assert await ids(hub) == []


async def test_a_failed_task_is_forgotten_after_a_day() -> None:
    async with running_hub() as hub, hub.playing() as agent:
        await fail(hub, agent)
        hub.move(23 * 3600)
        assert "tasks_failed:a" in await ids(hub)
        hub.move(3600)
        assert "tasks_failed:a" not in await ids(hub)


async def test_a_silent_agent_needs_a_person_until_it_is_back() -> None:
    async with running_hub() as hub, hub.playing() as agent:
        hub.move(50)
        await hub.status("a", "stale")
        view = await only(hub, "agent_silent:a")
        assert view.since == (await hub.control.agent("a")).last_seen_at
        await agent.report_health()
        await hub.status("a", "online")
        assert await ids(hub) == []


async def test_an_agent_that_crashed_by_its_drivers_word() -> None:
    async with running_hub() as hub:
        job = await hub.create("a", restart="no")
        await hub.until(lambda: hub.platform.agents, "the driver has made it")
        agent = hub.created()
        await agent.connect()
        await hub.job(job.id)
        hub.platform.end("a", 7)
        await hub.status("a", "crashed")
        assert "exit code 7" in (await only(hub, "agent_crashed:a")).text
        await agent.close()


async def test_a_snooze_hides_survives_a_restart_and_ends(tmp_path: Path) -> None:
    async with running_hub(tmp_path / "s") as hub, hub.playing() as agent:
        await fail(hub, agent)
        view = await hub.control.snooze("tasks_failed:a", 3600)
        assert view.snoozed_until is not None
        assert (await ids(hub), await ids(hub, snoozed=True)) == ([], ["tasks_failed:a"])
        assert await hub.audited("attention.snooze") == [("tasks_failed:a", "ok")]
    async with running_hub(tmp_path / "s") as hub:
        assert await ids(hub) == []
        assert (await hub.control.attention(AttentionQuery())).snoozed >= 1
        hub.move(3601)
        assert "tasks_failed:a" in await ids(hub)


async def test_a_snooze_of_failures_ends_with_the_next_one_or_by_hand() -> None:
    async with running_hub() as hub, hub.playing() as agent:
        await fail(hub, agent)
        await hub.control.snooze("tasks_failed:a", 3600)
        assert (await hub.control.snooze("tasks_failed:a", 0)).snoozed_until is None
        assert await ids(hub) == ["tasks_failed:a"]
        await hub.control.snooze("tasks_failed:a", 3600)
        hub.move(1)
        await fail(hub, agent, "timed_out")
        assert await ids(hub) == ["tasks_failed:a"]


async def test_only_what_is_there_can_be_snoozed_and_not_for_ever() -> None:
    async with running_hub() as hub, hub.playing() as agent:
        with pytest.raises(NotFound):
            await hub.control.snooze("tasks_failed:a", 60)
        await fail(hub, agent)
        for seconds in (-1, 31 * 86_400):
            with pytest.raises(BadRequest):
                await hub.control.snooze("tasks_failed:a", seconds)


async def test_observers_hear_what_comes_changes_and_goes() -> None:
    async with running_hub() as hub, hub.playing() as agent:
        async with hub.kernel.feed.subscribe() as changes:

            async def heard(gone: bool) -> Event:
                async with asyncio.timeout(20):
                    async for event in changes:
                        if (event.kind, event.id, event.gone) == ("attention", "tasks_failed:a", gone):
                            return event
                raise AssertionError("the feed ended")

            task_id = await fail(hub, agent)
            assert await heard(gone=False)
            await hub.control.snooze("tasks_failed:a", 60)
            assert await heard(gone=False)
            await hub.control.retry_task(task_id)
            assert await heard(gone=True)


async def test_many_changes_at_once_are_one_event() -> None:
    async with running_hub() as hub:
        names = [f"a{number}" for number in range(MOST_EVENTS + 1)]
        for name in names:
            await hub.create(name)
        # None of them ever connects.
        await hub.until(lambda: len(hub.platform.agents) == len(names), "the driver has made them")
        hub.move(60)
        async with hub.kernel.feed.subscribe() as changes, asyncio.timeout(20):
            async for event in changes:
                if event.kind == "attention":
                    assert event.id == ""
                    break
        assert (await hub.control.attention(AttentionQuery(limit=5))).total >= len(names)


async def test_the_metrics_count_what_is_not_snoozed() -> None:
    async with running_hub() as hub, hub.playing() as agent:
        await fail(hub, agent)
        before = await counted(hub, "warning")
        await hub.control.snooze("tasks_failed:a", 60)
        assert await counted(hub, "warning") == before - 1


async def counted(hub: RunningHub, severity: str) -> float:
    await hub.control.attention(AttentionQuery())
    line = f'clawtui_attention{{severity="{severity}"}} '
    texts = hub.kernel.metrics.exposition().decode().splitlines()
    return next(float(text.removeprefix(line)) for text in texts if text.startswith(line))


def test_a_disk_is_measured_as_seen_by_everybody(tmp_path: Path) -> None:
    found = disk_of(tmp_path)
    assert found is not None
    assert 0 < found.used <= found.total
    assert disk_of(tmp_path / "not there") is None


async def test_a_job_that_failed_needs_a_person_until_it_works() -> None:
    async with running_hub(script=Script(failures={Step.PAUSE: 1})) as hub:
        created = await hub.create("a")
        await hub.until(lambda: hub.platform.agents, "the driver has made it")
        agent = hub.created()
        await agent.connect()
        await hub.job(created.id)
        failed = await hub.job((await hub.control.act("a", AgentAct.PAUSE)).id)
        assert failed.state == "failed"
        view = await only(hub, "job_failed:a")
        assert (view.title, view.jobs, view.acts[0].command) == (
            "Act failed", [failed.id], f"clawtui jobs show {failed.id}",
        )  # fmt: skip
        await hub.control.snooze(view.id, 60)
        assert "job_failed:a" not in await ids(hub)
        hub.move(61)
        assert "job_failed:a" in await ids(hub)
        assert (await hub.job((await hub.control.act("a", AgentAct.PAUSE)).id)).state == "succeeded"
        assert "job_failed:a" not in await ids(hub, snoozed=True)
        await agent.close()


async def test_a_defect_in_what_is_known_is_said_and_ends_no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running_hub() as hub, hub.playing() as agent:
        with monkeypatch.context() as broken:
            broken.setattr("hub.attention.resolve", lambda *_: {}["a defect"])
            await hub.until(
                lambda: any("what needs a person" in text for text in hub.kernel.notices.current(hub.kernel.now()))
            )
        await fail(hub, agent)
        assert "tasks_failed:a" in await ids(hub)
        assert any("what needs a person" in text for text in (await hub.control.health()).problems)
