"""The Stats tab on a scripted hub: who is watched and until when, what is painted, and what stays of a lost hub."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from clawtui.tui.stats.reader import StatsReader
from clawtui.tui.stats.series import BY_NAME, rfc3339
from clawtui.tui.widgets.stats_pane import StatsPane
from hub.contract import AgentView, StatsPoint, StatsQuery
from hub.core.model import AgentStatus, Connection
from hub.errors import NotFound, Unavailable
from runtime.wire import Cpu, Health, Memory
from tests.hub.api.scripted import Stream
from tests.tui.scripted import ScriptedHub, an_agent, sees, shown, text_of, typed, until


class Told(ScriptedHub):
    """Gives each agent's points, and keeps the streams of those who follow."""

    def __init__(self, *agents: AgentView, **points: Sequence[StatsPoint]) -> None:
        super().__init__(*agents)
        self.points = dict(points)
        self.watches: list[Stream] = []
        self.answers["agent_stats"] = self._stats

    def _stats(self, agent_id: str, query: StatsQuery) -> Stream:
        if not query.follow:
            return Stream(self.points.get(agent_id, ()), ends=True)
        self.watches.append(Stream())
        return self.watches[-1]

    def agent_stats(self, agent_id: str, query: StatsQuery) -> AsyncIterator[StatsPoint]:
        return aiter(self._note("agent_stats", agent_id, query))

    def asked(self, *, follow: bool) -> list[tuple[str, str]]:
        return [(agent, query.since) for agent, query in self.called("agent_stats") if query.follow == follow]

    def lose(self, error: Exception | None = None) -> None:
        super().lose(error)
        for watch in self.watches:
            watch.fail(Unavailable("gone"))


def points(hub: ScriptedHub, *ages: float, cpu: float = 0.5) -> list[StatsPoint]:
    """A point of 30 s at each age, in seconds."""
    return [point(hub, age, cpu, 30.0) for age in ages]


def point(hub: ScriptedHub, age: float, cpu: float = 0.5, seconds: float = 1.0) -> StatsPoint:
    at = hub.now - timedelta(seconds=age)
    return StatsPoint(at=rfc3339(round(at.timestamp() * 1000)), seconds=seconds, cpu=cpu, cpu_limit=2.0)


def told(*names: str) -> Told:
    hub = Told(*(an_agent(name) for name in names))
    for name in names:
        hub.points[name] = points(hub, 90, 60, 30, 0)
        healthy(hub, name)
    return hub


def healthy(hub: ScriptedHub, name: str, cores: float = 0.5) -> None:
    health = Health(cpu=Cpu(cores=cores, limit=2.0), memory=Memory(used=2**20, limit=2**30))
    at = rfc3339(round(hub.now.timestamp() * 1000))
    hub.change(msgspec.structs.replace(hub.agents_by_id[name], health=health, health_at=at))


def pane(app: Any) -> StatsPane:
    return app.main.query_one(StatsPane)


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
async def test_a_window_of_history_is_drawn_and_the_agent_is_not_watched(size: tuple[int, int]) -> None:
    hub = told("a-1")
    async with shown(hub, size) as (app, pilot):
        await pilot.press("4")
        await until(
            pilot, sees(app, "4 Stats", "Last 15 minutes", "said by the agent 0s ago", "CPU", "50%", "-15m", "now")
        )
        assert "··" in pane(app).text
        assert hub.asked(follow=True) == []


async def test_the_live_window_watches_until_the_tab_is_left() -> None:
    hub = told("a-1")
    async with shown(hub) as (app, pilot):
        await pilot.press(*":window 2m", "enter")
        await until(pilot, lambda: len(hub.watches) == 1)
        hub.watches[0].give(point(hub, -1, 1.5))
        await until(pilot, sees(app, "Last 2 minutes · live", "CPU 150% of 200% (75%)", "max 150%"))
        await pilot.press("1")
        await until(pilot, hub.watches[0].closed.is_set)


@pytest.mark.parametrize("keys", [("2",), ("3",), ("W",), ("f4",), ("j",), ("f2",)])
async def test_whatever_takes_the_graphs_away_ends_the_watch(keys: tuple[str, ...]) -> None:
    hub = told("a-1", "a-2")
    async with shown(hub) as (app, pilot):
        await pilot.press(*":window 2m", "enter")
        await until(pilot, lambda: len(hub.watches) == 1)
        app.main.pane.focus_first()
        await pilot.press(*keys)
        await until(pilot, hub.watches[0].closed.is_set)
        if keys == ("j",):
            await until(pilot, lambda: [agent for agent, _ in hub.asked(follow=True)] == ["a-1", "a-2"])


async def test_a_terminal_too_narrow_for_the_graphs_ends_the_watch_and_a_wider_one_begins_again() -> None:
    hub = told("a-1")
    async with shown(hub) as (app, pilot):
        await pilot.press(*":window 2m", "enter")
        await until(pilot, lambda: len(hub.watches) == 1)
        app.main.pane.remove_class("zoomed")
        await pilot.resize_terminal(60, 20)
        await until(pilot, hub.watches[0].closed.is_set)
        await pilot.resize_terminal(120, 40)
        await until(pilot, lambda: len(hub.watches) == 2)


async def test_leaving_the_screen_ends_the_watch() -> None:
    hub = told("a-1")
    async with shown(hub) as (_, pilot):
        await pilot.press(*":window 2m", "enter")
        await until(pilot, lambda: len(hub.watches) == 1)
    assert hub.watches[0].closed.is_set()


async def test_graphs_are_painted_for_new_points_only() -> None:
    hub = told("a-1")
    async with shown(hub) as (app, pilot):
        await pilot.press(*":window 2m", "enter")
        await until(pilot, lambda: len(hub.watches) == 1)
        hub.watches[0].give(point(hub, -1, 1.5))
        await until(pilot, sees(app, "max 150%"))
        before = pane(app).paints
        for _ in range(20):
            app.refresh_now()
            await pilot.pause()
        assert pane(app).paints == before
        hub.watches[0].give(point(hub, -2, 1.7))
        await until(pilot, sees(app, "max 170%"))
        assert pane(app).paints == before + 1


async def test_of_a_lost_hub_the_graph_stays_with_its_age_and_goes_on_by_itself() -> None:
    hub = told("a-1", "a-2")
    async with shown(hub) as (app, pilot):
        await pilot.press("4")
        await until(pilot, sees(app, "CPU 50% of 200%", "a-1"))
        hub.lose()
        await until(pilot, sees(app, "old: the hub is away since", "CPU last 50%", "hub lost", "● online?"))
        assert "██" in pane(app).text
        await pilot.press("j")
        await until(pilot, sees(app, "Nothing was read of a-2 before the hub went away"))
        await pilot.press("k", "1")
        await until(pilot, sees(app, "online?, seen", "50% of 200%"))
        await pilot.press("4")
        hub.points["a-1"] = points(hub, 60, 30, 0, cpu=0.9)
        healthy(hub, "a-1", 0.9)
        hub.come_back()
        await until(pilot, sees(app, "CPU 90% of 200%", "said by the agent", "now"))
        assert "online?" not in text_of(app)


async def test_a_watch_goes_on_after_the_hub_came_back() -> None:
    hub = told("a-1")
    async with shown(hub) as (_, pilot):
        await pilot.press(*":window 2m", "enter")
        await until(pilot, lambda: len(hub.watches) == 1)
        hub.lose()
        await until(pilot, hub.watches[0].closed.is_set)
        hub.come_back()
        await until(pilot, lambda: len(hub.watches) == 2)


@pytest.mark.parametrize(
    ("agent", "sentence"),
    [
        (an_agent("a-1", basic=True), "A basic agent does not report what it uses"),
        (an_agent("a-1"), "Not reported yet"),
        (an_agent("a-1", AgentStatus.STOPPED, connection=Connection.OFFLINE), "type :start"),
        (an_agent("a-1", health=Health(cpu=Cpu())), "Nothing was reported in the last 15 minutes"),
    ],
)
async def test_without_a_report_a_sentence_says_what_to_expect(agent: AgentView, sentence: str) -> None:
    async with shown(Told(agent), (80, 24)) as (app, pilot):
        await pilot.press("4")
        await until(pilot, sees(app, sentence))


async def test_a_failing_history_says_so_and_an_unknown_window_names_the_known_ones() -> None:
    hub = told("a-1")
    hub.answers["agent_stats"] = NotFound("there is no history")
    async with shown(hub) as (app, pilot):
        await pilot.press("4")
        await until(pilot, sees(app, "cannot be read: there is no history"))
        await pilot.press("colon")
        await typed(pilot, "window 5y")
        await pilot.press("enter")
        await until(pilot, sees(app, "there is no window '5y'", "2m, 15m, 1h"))


async def test_the_now_tab_reads_the_last_minutes_once_per_agent() -> None:
    hub = told("a-1", "a-2")
    async with shown(hub, (160, 40)) as (app, pilot):
        await until(pilot, sees(app, "lines: 15 minutes"))
        for _ in range(10):
            healthy(hub, "a-1", 0.7)
            app.refresh_now()
            await pilot.pause()
        assert hub.asked(follow=False) == [("a-1", "15m")]
        await pilot.press("j")
        await until(pilot, lambda: ("a-2", "15m") in hub.asked(follow=False))


async def test_the_tabs_keep_their_keys_and_the_next_one_goes_round() -> None:
    hub = told("a-1")
    async with shown(hub) as (app, pilot):
        tabs = []
        for key in ("1", "2", "3", "4", "5", "6", "]", "]"):
            await pilot.press(key)
            tabs.append(app.main.pane.detail.tab)  # pyright: ignore[reportAttributeAccessIssue]
        assert tabs == ["now", "logs", "tasks", "stats", "snapshots", "profile", "now", "logs"]


# --- the reader by itself


async def test_a_later_reading_asks_only_for_what_may_have_changed() -> None:
    hub = Told(an_agent("a-1"))
    hub.points["a-1"] = points(hub, *range(600, -1, -30))
    reader = StatsReader(hub, "a-1", BY_NAME["1h"], lambda: hub.now)
    await reader._read()
    hub.now += timedelta(seconds=30)
    hub.points["a-1"] = points(hub, 120, 90, 60, 30, 0, cpu=1.0)
    await reader._read()
    since = rfc3339(round((hub.now - timedelta(seconds=125)).timestamp() * 1000))  # of whole spans of 10 s
    assert hub.asked(follow=False) == [("a-1", "1h"), ("a-1", since)]
    assert [span.means[0] for span in reader.history.spans][-6:] == [50.0] + [100.0] * 5
    assert len(reader.history.spans) == 22


async def test_a_long_history_lets_the_rest_of_the_program_have_its_turn() -> None:
    hub = Told(an_agent("a-1"))
    hub.points["a-1"] = points(hub, *range(90_000, -1, -30))
    reader = StatsReader(hub, "a-1", BY_NAME["24h"], lambda: hub.now)
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        other = group.create_task(others())
        await reader._read()
        other.cancel()
    assert turns >= 2 * len(hub.points["a-1"]) // 200
