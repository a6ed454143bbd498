"""Sources of lines on a real hub: pages in both directions give every line once, following goes on where they end."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from clawtui.errors import UsageError
from clawtui.tui.logs import agents as log_agents
from clawtui.tui.logs import output as log_output
from clawtui.tui.logs.agents import AgentLogs
from clawtui.tui.logs.feed import LogSource
from clawtui.tui.logs.lines import NOTICE_KEY
from clawtui.tui.logs.output import TaskOutput
from clawtui.tui.logs.saving import path_of, save
from clawtui.tui.widgets.log_store import LogLineView
from hub.drivers.base import LogLine
from runtime.wire import AttemptId, Log, Stream
from tests.hub.running import PlayedAgent, RunningHub, running_hub
from tests.hub.test_jobs import made

SECONDS = 20.0


async def back(source: LogSource, least: int = 4) -> list[LogLineView]:
    """Everything, from the newest page on; at least so many pages, or the test shows nothing."""
    page = await source.newest()
    held, pages = page.lines, 1
    while not page.end:
        page = await source.older(held)
        held, pages = [*page.lines, *held], pages + 1
    assert pages >= least
    return held


async def on(source: LogSource, held: list[LogLineView]) -> list[LogLineView]:
    """Everything after what is held."""
    found: list[LogLineView] = []
    while True:
        page = await source.newer([*held, *found])
        found += page.lines
        if page.end:
            return found


async def followed(source: LogSource, held: list[LogLineView], count: int) -> list[LogLineView]:
    """The next lines that come."""
    found: list[LogLineView] = []
    enough = asyncio.Event()

    async def put(_: str, line: LogLineView) -> None:
        found.append(line)
        if len(found) == count:
            enough.set()

    async with asyncio.timeout(SECONDS), asyncio.TaskGroup() as group:
        following = group.create_task(source.follow(held, put))
        await enough.wait()
        following.cancel()
    return found


def texts(lines: list[LogLineView]) -> list[str]:
    return [f"{line.source}{line.text}" for line in lines]


# --- a task's output


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_output, "PAGE_BYTES", 400)
    monkeypatch.setattr(log_output, "BORDER_BYTES", 100)
    monkeypatch.setattr(log_agents, "PAGE_LINES", 5)


async def begun(hub: RunningHub, agent: PlayedAgent, chunks: list[tuple[Stream, str]]) -> tuple[str, AttemptId, int]:
    """A running task with output: its id, that of the attempt, and where its output ends."""
    task_id, offset = await hub.ping(), 0
    attempt = await agent.receive_task()
    await agent.accept(attempt)
    for stream, data in chunks:
        await agent.send(Log(attempt_id=attempt, data=data, stream=stream, offset=offset))
        offset += len(data.encode())
    await agent.settle()
    return task_id, attempt, offset


@pytest.mark.usefixtures("small_pages")
async def test_a_tasks_output_in_pages_of_whole_lines() -> None:
    chance = random.Random(4)
    chunks = [
        (stream, f"{stream.value} {n} {'é' * chance.randrange(30)}\n")
        for n in range(120)
        for stream in (chance.choice([Stream.STDOUT, Stream.STDERR]),)
    ]
    async with running_hub() as hub, hub.playing() as agent:
        task_id, attempt, end = await begun(hub, agent, [*chunks, (Stream.STDOUT, "begun and")])
        source = TaskOutput(hub.control, task_id, lambda _: None)
        expected = [text.rstrip("\n") for _, text in chunks]
        held = await back(source)
        assert texts(held) == expected
        assert texts(await on(source, held[:10])) == expected[10:]
        page = await source.older(held[60:])
        assert texts(page.lines) == expected[60 - len(page.lines) : 60]
        await agent.send(Log(attempt_id=attempt, data=" ended\nlast", offset=end))
        await agent.respond(attempt)
        assert texts(await followed(source, held[:100], 22)) == [*expected[100:], "begun and ended", "last"]
        assert texts([line async for line in source.everything()]) == [*expected, "begun and ended", "last"]


@pytest.mark.usefixtures("small_pages")
async def test_a_line_longer_than_pages_is_passed_over_and_the_lines_before_it_come() -> None:
    async with running_hub() as hub, hub.playing() as agent:
        task_id, _, _ = await begun(hub, agent, [(Stream.STDOUT, "first\n" + "x" * 5_000 + "\nlast\n")])
        source = TaskOutput(hub.control, task_id, lambda _: None)
        held = await back(source, 2)
        assert (held[0].text, held[-1].text) == ("first", "last")
        assert held[1].text.startswith("…x")
        assert len(held) == 3
        whole = [line.text async for line in source.everything()]
        assert whole == ["first", "x" * 5_000, "last"]


# --- agents' logs


@pytest.mark.usefixtures("small_pages")
async def test_logs_of_several_agents_in_pages_merged_by_time() -> None:
    async with running_hub() as hub:
        lines: list[tuple[int, str]] = []
        now_ms = hub.clock.now().wall_ms - 500_000
        for name in ("a", "b", "c"):
            await made(hub, name)
        chance = random.Random(7)
        for n in range(100):
            # Several lines of one agent within one millisecond, and one agent that hardly says anything.
            now_ms += chance.choice([0, 0, 1, 1_000])
            name = chance.choice("aaaaabbbbc")
            hub.platform.agent(name).log.append(LogLine(text=f" {n}", at=now_ms))
            lines.append((now_ms, f"{name} {n}"))
        hub.platform.agent("c").log.append(LogLine(text=" no time", at=None))
        source = AgentLogs(hub.control, ("a", "b", "c"))
        held = await back(source)
        # Within one millisecond nobody knows who was first.
        order = {text: at for at, text in lines}
        assert sorted(texts(held)) == sorted([*order, "c no time"])
        times = [line.key for line in held if line.key]
        assert times == sorted(times)
        own = {name: [text for _, text in lines if text[0] == name] for name in "abc"}
        own["c"].append("c no time")
        assert {name: [text for text in texts(held) if text[0] == name] for name in "abc"} == own
        both = [*held[:20], *await on(source, held[:20])]
        assert {name: [text for text in texts(both) if text[0] == name] for name in "abc"} == own
        for name in ("b", "c"):
            hub.platform.agent(name).log.append(LogLine(text=" new", at=now_ms + 5))
        hub.platform.changed()
        assert sorted(texts(await followed(source, held, 2))) == ["b new", "c new"]
        whole = [line async for line in source.everything()]
        assert sorted(texts(whole)) == sorted([*order, "c no time", "b new", "c new"])


async def test_a_log_that_cannot_be_read_says_so_and_the_others_go_on() -> None:
    async with running_hub() as hub:
        await made(hub, "a")
        hub.platform.agent("a").log.append(LogLine(text=" hello", at=hub.clock.now().wall_ms))
        page = await AgentLogs(hub.control, ("a", "gone")).newest()
        assert [line.key == NOTICE_KEY for line in page.lines] == [True, False]
        assert "no log of gone" in page.lines[0].text
        assert texts(page.lines[1:]) == ["a hello"]


async def test_what_an_agent_sends_itself_is_looked_at_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_agents, "LOOK_SECONDS", 0.05)
    async with running_hub() as hub, hub.playing("a") as agent:
        await agent.send(Log(data="one", stream=Stream.AGENT))
        await agent.settle()
        source = AgentLogs(hub.control, ("a",))
        held = (await source.newest()).lines
        assert texts(held) == ["one"]
        hub.move(1)
        await agent.send(Log(data="two", stream=Stream.AGENT))
        await agent.settle()
        assert texts(await followed(source, held, 1)) == ["two"]


async def test_a_window_bounds_every_page() -> None:
    async with running_hub() as hub:
        await made(hub, "a")
        now_ms = hub.clock.now().wall_ms
        for minutes in (90, 30, 1):
            hub.platform.agent("a").log.append(LogLine(text=f"{minutes}", at=now_ms - minutes * 60_000))
        source = AgentLogs(hub.control, ("a",), "1h")
        page = await source.newest()
        assert (texts(page.lines), page.end) == (["30", "1"], True)
        assert (await source.older(page.lines)).lines == []
        assert texts([line async for line in source.everything()]) == ["30", "1"]


# --- saving


async def test_a_file_that_is_there_is_only_replaced_when_that_is_meant(tmp_path: Path) -> None:
    async def some() -> AsyncIterator[LogLineView]:
        for n in range(2_500):
            yield LogLineView(f"\x1b[31mline {n}\x00", "03:04:05.678", key=1_767_323_045_678)

    async def broken() -> AsyncIterator[LogLineView]:
        yield LogLineView("x")
        raise UsageError("the hub went away")

    path, said = tmp_path / "x.log", list[int]()
    saved = await save(some(), path, replace=False, timestamps=True, progress=said.append)
    lines = path.read_text().splitlines()
    assert saved == (2_500, path.stat().st_size)
    assert (len(lines), lines[0]) == (2_500, "2026-01-02T03:04:05.678Z line 0␀")
    with pytest.raises(UsageError, match="File exists"):
        await save(some(), path, replace=False, timestamps=True, progress=said.append)
    with pytest.raises(UsageError, match="went away"):
        await save(broken(), path, replace=True, timestamps=True, progress=said.append)
    assert path.read_text().splitlines() == lines
    assert [one.name for one in tmp_path.iterdir()] == ["x.log"]
    await save(some(), path, replace=True, timestamps=False, progress=said.append)
    assert path.read_text().startswith("line 0")


def test_what_can_be_no_file_is_refused(tmp_path: Path) -> None:
    for wrong in (str(tmp_path), f"{tmp_path}/none/x.log"):
        with pytest.raises(UsageError):
            path_of(wrong)
    assert path_of(f"{tmp_path}/a b.log").name == "a b.log"
