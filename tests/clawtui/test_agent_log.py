"""An agent's log over restarts of the hub: every line once and in order, and a word where nobody can know."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawtui.agent_log import TIMELESS, TORN, Line, Place, follow_logs
from clawtui.errors import ConnectionLost, NoHub
from hub.contract import LogEntry, LogQuery
from hub.core.view import rfc3339
from hub.errors import NotFound
from tests.hub.api.scripted import ScriptedControl

AWAY, GONE = NoHub("away"), ConnectionLost("gone")


def line(text: str, ms: int | None = 0, stream: str = "stdout") -> LogEntry:
    return LogEntry(text=text, source="process", at=rfc3339(ms), stream=stream)


class Restarting(ScriptedControl):
    """A hub whose log streams break: each of `runs` is one stream's items, exceptions included."""

    def __init__(self, *runs: list[Any]) -> None:
        super().__init__()
        self.runs = list(runs)
        self.asked: list[LogQuery] = []
        self.said: list[str] = []

    async def agent_logs(self, agent_id: str, query: LogQuery) -> AsyncIterator[LogEntry]:
        self.asked.append(query)
        for item in self.runs.pop(0):
            if isinstance(item, Exception):
                raise item
            yield item

    async def pause(self, seconds: float) -> None:
        assert 0 < seconds <= 2

    async def collect(self, patience_seconds: float = 60.0) -> list[str]:
        query = LogQuery(lines=5, since="10m", follow=True)
        stream = follow_logs(
            self, "a", query, patience_seconds=patience_seconds, say=self.said.append, pause=self.pause
        )
        return [entry.text async for entry in stream]


async def test_after_a_restart_the_rest_is_asked_for_by_time_and_nothing_comes_twice() -> None:
    hub = Restarting(
        [line("one", 1), line("two", 2), line("three", 2), GONE],
        [AWAY],
        [AWAY],
        [line("two", 2), line("three", 2), line("four", 2), line("five", 3)],
    )
    assert await hub.collect() == ["one", "two", "three", "four", "five"]
    first = LogQuery(lines=5, since="10m", follow=True)
    rest = LogQuery(lines=None, since="1970-01-01T00:00:00.002Z", follow=True)
    assert hub.asked == [first, rest, rest, rest]
    assert hub.said == ["the hub is away; waiting for it", "the hub is back"]


async def test_what_is_older_or_was_never_asked_for_is_not_shown() -> None:
    """`--lines 1` began in the middle of a millisecond."""
    hub = Restarting(
        [line("b", 2), GONE], [line("head", None), line("old", 1), line("a", 2), line("b", 2), line("c", 2)]
    )
    assert await hub.collect() == ["b", "c"]


async def test_equal_lines_are_counted() -> None:
    hub = Restarting([line("x", 1), line("x", 1), GONE], [line("x", 1), line("x", 1), line("x", 1)])
    assert await hub.collect() == ["x", "x", "x"]


async def test_a_log_that_was_cut_meanwhile_is_torn_and_says_so() -> None:
    hub = Restarting([line("one", 1), GONE], [line("nine", 9), line("ten", 10)])
    assert await hub.collect() == ["one", "nine", "ten"]
    assert hub.said[-1] == TORN


async def test_a_log_without_times_goes_on_with_what_is_new_and_says_so() -> None:
    hub = Restarting([line("one", None), GONE], [AWAY], [line("three", None)])
    assert await hub.collect() == ["one", "three"]
    assert hub.asked[1:] == [LogQuery(lines=0, follow=True)] * 2
    assert hub.said == [TIMELESS, "the hub is away; waiting for it", "the hub is back"]


async def test_before_the_first_line_the_same_is_asked_again() -> None:
    hub = Restarting([GONE], [line("one", 1)])
    assert await hub.collect() == ["one"]
    assert hub.asked[0] == hub.asked[1]


async def test_broken_off_while_it_catches_up_it_starts_again_at_its_place() -> None:
    seen = [line("a", 1), line("b", 1), line("c", 1)]
    hub = Restarting([*seen, GONE], [seen[0], GONE], [*seen, line("d", 1)])
    assert await hub.collect() == ["a", "b", "c", "d"]


async def test_patience_ends_with_the_reason_and_other_errors_at_once() -> None:
    with pytest.raises(NoHub):
        await Restarting([GONE], [AWAY]).collect(patience_seconds=0.0)
    with pytest.raises(NotFound):
        await Restarting([NotFound("no agent")]).collect()


@given(
    log=st.lists(st.tuples(st.integers(0, 3), st.sampled_from("xyz")), max_size=30).map(
        lambda lines: [line(text, ms) for ms, text in sorted(lines, key=lambda item: item[0])]
    ),
    cuts=st.lists(st.integers(0, 30), max_size=5),
    written=st.lists(st.integers(0, 30), max_size=5),
)
def test_every_line_once_and_in_order_wherever_it_breaks(
    log: list[LogEntry], cuts: list[int], written: list[int]
) -> None:
    """At each interruption the log has grown to `written` lines, and the stream gives `cuts` of them."""
    place, query, got = Place(), LogQuery(lines=None, follow=True), list[LogEntry]()
    size = 0
    for grown, cut in [*zip(sorted(written), cuts, strict=False), (len(log), len(log))]:
        size = max(size, min(grown, len(log)))
        since = query.since or ""
        stream = [entry for entry in log[:size] if (entry.at or "") >= since]
        for entry in stream[:cut]:
            verdict = place.take(entry)
            assert verdict is not Line.TORN
            got += [entry] if verdict is Line.NEW else []
        query = place.resume(LogQuery(lines=None, follow=True))
    assert got == log
