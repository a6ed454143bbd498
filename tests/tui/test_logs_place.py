"""The places that show lines, on a real hub: what is seen, what keys and words do, what is written to files."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from clawtui.errors import NoHub
from clawtui.tui.actions import Where
from clawtui.tui.app import ClawtuiApp
from clawtui.tui.logs import agents as log_agents
from clawtui.tui.logs import output as log_output
from clawtui.tui.screens.log_place import LogPlace
from clawtui.tui.widgets.dialogs import ConfirmDialog
from clawtui.tui.widgets.log_view import LogView
from hub.contract import LogEntry, LogQuery, RegisterAgent
from hub.drivers.base import LogLine
from runtime.wire import Log
from tests.hub.api.scripted import Stream
from tests.hub.running import RunningHub, running_hub
from tests.hub.test_jobs import made
from tests.tui.scripted import ScriptedHub, an_agent, sees, shown, text_of, typed, until

NARROW, WIDE = (80, 24), (120, 40)
LONG = "an-agent-with-a-name-as-long-as-may-be-x"


@contextlib.asynccontextmanager
async def screen(hub: RunningHub, size: tuple[int, int]) -> AsyncIterator[tuple[ClawtuiApp, Pilot[Any]]]:
    app = ClawtuiApp(address="test")
    app.connect(hub.control)
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: app.store is not None and app.store.live)
        yield app, pilot


def say(hub: RunningHub, agent: str, *lines: str, seconds_ago: float = 0.0) -> None:
    at = hub.clock.now().wall_ms - round(seconds_ago * 1000)
    hub.platform.agent(agent).log += [LogLine(text=line, at=at) for line in lines]
    hub.platform.changed()


async def command(pilot: Pilot[Any], text: str) -> None:
    await pilot.press("colon")
    await typed(pilot, text)
    await pilot.press("enter")


def title(app: ClawtuiApp) -> str:
    pane = app.main.pane
    assert isinstance(pane, LogPlace)
    return pane.title.text


def view_of(app: ClawtuiApp) -> LogView:
    view = app.main.pane.log_view()
    assert view is not None
    return view


@pytest.mark.parametrize("size", [NARROW, WIDE])
async def test_counts_stay_visible_and_nothing_moves_under_the_reader(size: tuple[int, int]) -> None:
    async with running_hub() as hub:
        await made(hub, LONG)
        say(hub, LONG, *(f"line {n}" for n in range(50)))
        async with screen(hub, size) as (app, pilot):
            await pilot.press("f3")
            await until(pilot, sees(app, "Logs follow · 0 hits · 0 dropped · 50 lines", "line 49"))
            await pilot.press("f")
            await until(pilot, sees(app, "paused"))
            say(hub, LONG, *(f"more {n}" for n in range(30)))
            await until(pilot, sees(app, "paused, 30 new below · 0 hits · 0 dropped · 80 lines", "line 49"))
            assert "more 0" not in text_of(app)
            await pilot.press("G")
            await until(pilot, sees(app, "Logs follow", "more 29"))


async def test_whose_logs_are_shown_and_who_is_left_out() -> None:
    async with running_hub() as hub:
        for number in range(33):
            await hub.control.register(RegisterAgent(agent_id=f"hand-{number:02}"))
        for name in ("w-1", "w-2"):
            await made(hub, name)
            say(hub, name, f"says {name}")
        async with screen(hub, NARROW) as (app, pilot):
            await app.do_words("logs all")
            await until(pilot, sees(app, " 30 of 35 agents, c chooses; left out: hand-30, hand-31"))
            await command(pilot, "logs w-*")
            await until(pilot, sees(app, "says w-1", "says w-2", "2 lines"))
            assert "left out" not in text_of(app)
            await app.do_words("logs id!=w-1 driver=fake")
            await until(pilot, lambda: sees(app, "says w-2")() and "says w-1" not in text_of(app))
            await app.do_words("logs none-*")
            await until(pilot, sees(app, "No agent fits none-*.  a shows the logs of all"))
            await pilot.press("c")
            await typed(pilot, " x")
            await pilot.press("escape")
            await pilot.press("a")
            await until(pilot, sees(app, "left out"))


async def test_windows_bound_what_is_shown_and_say_so() -> None:
    async with running_hub() as hub:
        await made(hub, "a")
        say(hub, "a", "long ago", seconds_ago=3_000)
        say(hub, "a", "just now", seconds_ago=100)
        async with screen(hub, NARROW) as (app, pilot):
            await pilot.press("f3")
            await until(pilot, sees(app, "long ago", "just now"))
            await pilot.press("s")
            await until(pilot, sees(app, "since 1m", "Nothing in these logs in the last 1m.  s or :since all"))
            await pilot.press("s")
            await until(pilot, lambda: sees(app, "since 5m", "just now")() and "long ago" not in text_of(app))
            await app.do_words("since 1h")
            await until(pilot, sees(app, "since 1h", "long ago"))
            await app.do_words("since 3d")
            await until(pilot, sees(app, "3d is no window"))
            await app.do_words("since all")
            await until(pilot, lambda: sees(app, "long ago")() and "since" not in title(app))


async def test_filter_and_search_are_apart_and_searching_reads_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_agents, "PAGE_LINES", 40)
    async with running_hub() as hub:
        await made(hub, "a")
        say(hub, "a", "needle of long ago", seconds_ago=500)
        for n in range(200):
            say(hub, "a", f"line {n}{' ERROR' if n % 10 == 0 else ''}", seconds_ago=200 - n)
        async with screen(hub, WIDE) as (app, pilot):
            await pilot.press("f3")
            await until(pilot, sees(app, "40 lines, more above", "line 199"))
            await pilot.press("slash")
            await typed(pilot, "error")
            await pilot.press("enter")
            await until(pilot, sees(app, "4 hits", "/error/"))
            await command(pilot, "search line 170")
            await until(pilot, sees(app, "1 hits", "find line 170"))
            await pilot.press("n")
            assert view_of(app).copy_line().endswith("line 170 ERROR")
            await pilot.press("escape")
            await until(pilot, lambda: "/error/" not in title(app))
            await app.do_words("find needle")
            await pilot.press("N")
            await until(pilot, lambda: view_of(app).copy_line().endswith("needle of long ago"))
            await until(pilot, lambda: "searching" not in title(app) and "more above" not in title(app))
            assert view_of(app).kept == 201
            await pilot.press("Y")
            await until(pilot, sees(app, "copied 1 line"))
            assert app.clipboard.endswith("needle of long ago")


async def test_all_that_passes_is_saved_and_a_file_that_is_there_is_asked_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(log_agents, "PAGE_LINES", 10)
    async with running_hub() as hub:
        for name in ("a", "b"):
            await made(hub, name)
        for n in range(60):
            say(hub, "ab"[n % 2], f"line {n}", seconds_ago=100 - n)
        async with screen(hub, NARROW) as (app, pilot):
            await app.do_words("logs all")
            await until(pilot, sees(app, "line 59", "more above"))
            path = tmp_path / "kept.log"
            await app.do_words(f"save {path}")
            await until(pilot, sees(app, "√ 60 lines"))
            assert [line.split()[-1] for line in path.read_text().splitlines()] == [str(n) for n in range(60)]
            app.main.pane.set_filter("line 5")
            await app.do_words(f"save {path}")
            await until(pilot, lambda: isinstance(app.screen, ConfirmDialog))
            await pilot.press("escape")
            assert len(path.read_text().splitlines()) == 60
            await app.do_words(f"save {path}")
            await until(pilot, lambda: isinstance(app.screen, ConfirmDialog))
            await pilot.press("right", "enter")
            await until(pilot, sees(app, "√ 11 lines that pass the filter"))
            assert len(path.read_text().splitlines()) == 11
            await pilot.press("ctrl+s", "enter")
            await until(pilot, lambda: len(list(tmp_path.glob("clawtui-2-logs-*.log"))) == 1)
            await app.do_words(f"save {tmp_path}/none/x")
            await until(pilot, sees(app, "there is no folder"))


async def test_an_output_is_read_back_from_the_disk_and_on_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_output, "PAGE_BYTES", 300)
    monkeypatch.setattr(log_output, "BORDER_BYTES", 100)
    async with running_hub() as hub, hub.playing() as agent:
        task_id = await hub.ping()
        attempt = await agent.receive_task()
        await agent.accept(attempt)
        data = "".join(f"line {n:03}\n" for n in range(400))
        await agent.send(Log(attempt_id=attempt, data=data))
        await agent.settle()
        async with screen(hub, NARROW) as (app, pilot):
            await app.do_words(f"output {task_id}")
            await until(pilot, sees(app, "Output follow", "line 399", "more above", "▶ running"))
            view = view_of(app)
            while view.more_above:
                kept = view.kept
                await pilot.press("g")
                await until(pilot, lambda kept=kept: view.kept > kept or not view.more_above)
            assert [line.text for line in view.lines] == data.splitlines()
            await until(pilot, sees(app, "400 lines"))
            read = [text[:40].rstrip() for text in text_of(app).splitlines() if " line " in text]
            await pilot.press("f1")
            assert app.main.pane.place is Where.FLEET
            await agent.send(Log(attempt_id=attempt, data="and more\n", offset=len(data)))
            await agent.settle()
            await app.do_words(f"output {task_id}")
            await until(pilot, sees(app, "paused, 1 new below", "401 lines", *read))
            await agent.respond(attempt)
            await until(pilot, sees(app, "√ succeeded"))


async def test_what_an_agent_without_a_driver_sends_is_shown_as_it_comes() -> None:
    async with running_hub() as hub, hub.playing("a") as agent:
        await agent.send(Log(data="by hand"))
        await agent.settle()
        async with screen(hub, NARROW) as (app, pilot):
            await pilot.press("f3")
            await until(pilot, sees(app, "by hand"))
            hub.move(1)
            await agent.send(Log(data="once more"))
            await until(pilot, sees(app, "by hand", "once more", "2 lines"))
            assert "cannot be followed" not in text_of(app)


async def test_a_hub_that_was_away_leaves_no_gap_and_says_nothing_twice() -> None:
    hub = ScriptedHub(an_agent("a-1"))
    lines, streams = [entry(n) for n in range(3)], list[Stream]()

    def logs(_: str, query: LogQuery) -> Stream:
        if not query.follow:
            return Stream(lines, ends=True)
        streams.append(Stream([line for line in lines if query.since is None or (line.at or "") >= query.since]))
        return streams[-1]

    hub.answers["agent_logs"] = logs
    async with shown(hub, NARROW) as (app, pilot):
        await app.do_words("logs a-1")
        await until(pilot, lambda: streams and sees(app, "line 2", "3 lines")())
        hub.lose()
        streams[-1].fail(NoHub("the hub is gone"))
        await until(pilot, sees(app, "no log of a-1: the hub is gone"))
        lines.append(entry(3))
        hub.come_back()
        await until(pilot, sees(app, "line 3"))
        shown_lines = [line.text for line in view_of(app).lines if line.text.startswith("line")]
        assert shown_lines == [f"line {n}" for n in range(4)]


def entry(number: int) -> LogEntry:
    return LogEntry(text=f"line {number}", source="process", at=f"2026-01-02T03:04:{number:02}.000Z")
