"""Logs of several agents as one source of lines, merged by time.

Every agent's log is read in pages around what is held of it. A page of all is as long as is known of everybody: where
one agent's page ends and its log does not, the others' lines beyond wait for the next page.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from typing import Final

from clawtui.follow import closed
from clawtui.tui.logs.feed import Put
from clawtui.tui.logs.lines import Page, entry_line, notice, time_text
from clawtui.tui.logs.merge import Border, Seen, border_of, newer_page, older_page
from clawtui.tui.widgets.log_store import LogLineView
from hub.contract import LogEntry, LogQuery
from hub.control import Control
from hub.errors import BadRequest, HubError, Unavailable

PAGE_LINES: Final = 500
"""Of each agent."""
AGAIN_LINES: Final = 5_000
"""So many lines at most may have come between reading a page and following."""
AT_ONCE: Final = 6
"""Logs that are read at once for a page."""
PAGE_SECONDS: Final = 20.0
"""An agent whose page takes longer is left out of it, with a word about it."""
LOOK_SECONDS: Final = 2.0
"""A log that cannot be followed is looked at so often."""


Entries = Callable[[str, LogQuery], AsyncIterator[LogEntry]]


class AgentLogs:
    """The logs of `agents`, as far back as `since` (an age such as `5m`; None: all that is kept)."""

    def __init__(
        self, control: Control, agents: tuple[str, ...], since: str | None = None, entries: Entries | None = None
    ) -> None:
        """`entries`: what reads the log of one by its name; without it the hub's logs of agents."""
        self._entries = entries or control.agent_logs
        self.agents, self._since = agents, since
        self._begun_again: dict[str, asyncio.Event] = {agent: asyncio.Event() for agent in agents}

    def again(self, agent: str) -> None:
        """It was started again, or the hub is back: follow its log if that ended."""
        self._begun_again[agent].set()

    def _source(self, agent: str) -> str:
        return agent if len(self.agents) > 1 else ""

    # --- pages

    async def newest(self) -> Page:
        return older_page(await self._pages(lambda agent: self._last(agent, None, PAGE_LINES)))

    async def older(self, held: Sequence[LogLineView]) -> Page:
        borders = {agent: border_of(held, self._source(agent)) for agent in self.agents}
        first = border_of(held)

        def read(agent: str) -> Awaitable[Page]:
            return self._before(agent, borders[agent] or (Border(first.at, 0) if first else None))

        return older_page(await self._pages(read))

    async def newer(self, held: Sequence[LogLineView]) -> Page:
        borders = {agent: self._last_border(held, agent) for agent in self.agents}
        return newer_page(await self._pages(lambda agent: self._first(agent, borders[agent], PAGE_LINES)))

    def _last_border(self, held: Sequence[LogLineView], agent: str) -> Border | None:
        """Of an agent without lines, what the newest of all says: there was nothing of it up to then."""
        own = border_of(held[::-1], self._source(agent))
        if own is not None:
            return own
        newest = border_of(held[::-1])
        return None if newest is None else Border(newest.at + 1, 0)

    async def _pages(self, read: Callable[[str], Awaitable[Page]]) -> list[Page]:
        turns = asyncio.Semaphore(AT_ONCE)

        async def one(agent: str) -> Page:
            try:
                async with turns, asyncio.timeout(PAGE_SECONDS):
                    return await read(agent)
            except TimeoutError:
                why = Unavailable(f"no answer within {PAGE_SECONDS:.0f} seconds")
            except HubError as error:
                why = error
            return Page([self._none(agent, why)], end=True)

        async with asyncio.TaskGroup() as group:
            reading = [group.create_task(one(agent)) for agent in self.agents]
        return [task.result() for task in reading]

    def _none(self, agent: str, error: HubError) -> LogLineView:
        hint = f" ({error.hint})" if error.hint else ""
        return notice(f"no log of {agent}: {error.message}{hint}", self._source(agent))

    async def _last(self, agent: str, until: str | None, count: int) -> Page:
        query = LogQuery(since=self._since, until=until, lines=count)
        async with closed(self._entries(agent, query)) as entries:
            lines = [entry_line(entry, self._source(agent)) async for entry in entries]
        return Page(lines, end=len(lines) < count)

    async def _before(self, agent: str, border: Border | None) -> Page:
        """The page before those that are held, which the hub gives once more because it goes by time."""
        if border is None or not border.at:
            return Page([], end=True)
        page = await self._last(agent, time_text(border.at), PAGE_LINES + border.lines)
        return Page(page.lines[: max(0, len(page.lines) - border.lines)], page.end)

    async def _first(self, agent: str, border: Border | None, count: int) -> Page:
        """The page after the border; without one from the beginning."""
        if border is not None and not border.at:
            return Page([], end=True)
        query = LogQuery(since=self._since if border is None else time_text(border.at), lines=None)
        seen, lines = Seen(border), list[LogLineView]()
        async with closed(self._entries(agent, query)) as entries:
            async for entry in entries:
                line = entry_line(entry, self._source(agent))
                if not seen.before(line):
                    lines.append(line)
                    if len(lines) == count:
                        return Page(lines, end=False)
        return Page(lines, end=True)

    # --- what comes

    async def follow(self, held: Sequence[LogLineView], put: Put) -> str:
        borders = {agent: self._last_border(held, agent) for agent in self.agents}
        async with asyncio.TaskGroup() as group:
            for agent in self.agents:
                group.create_task(self._follow_one(agent, borders[agent], put))
        return ""

    async def _follow_one(self, agent: str, border: Border | None, put: Put) -> None:
        """The end of one log, or why there is none, stands in the view; the others go on."""
        stream = _Stream(border, put)
        while True:
            self._begun_again[agent].clear()
            try:
                await self._follow_once(agent, stream)
                said = notice(f"the log of {agent} ended", self._source(agent))
            except HubError as error:
                if isinstance(error, BadRequest) and error.field == "follow":
                    await self._look(agent, stream)
                said = self._none(agent, error)
            await stream.say(said)
            await self._begun_again[agent].wait()

    async def _follow_once(self, agent: str, stream: _Stream) -> None:
        border = stream.border
        if border is not None and not border.at:
            query = LogQuery(lines=0, follow=True)
        else:
            since, lines = (self._since, 0) if border is None else (time_text(border.at), border.lines)
            query = LogQuery(since=since, lines=AGAIN_LINES + lines, follow=True)
        seen = Seen(border)
        async with closed(self._entries(agent, query)) as entries:
            async for entry in entries:
                line = entry_line(entry, self._source(agent))
                if seen.before(line):
                    continue
                if seen.missed:
                    seen.missed = False
                    await stream.say(notice(f"lines of {agent} may be missing here", self._source(agent)))
                await stream.give(entry.at or "", line)

    async def _look(self, agent: str, stream: _Stream) -> None:
        """What the agent itself sends is only kept: look for it now and then."""
        while True:
            page = await self._first(agent, stream.border, AGAIN_LINES)
            for line in page.lines:
                await stream.give(time_text(line.key) if line.key else "", line)
            await asyncio.sleep(LOOK_SECONDS)

    # --- all of it

    async def everything(self) -> AsyncIterator[LogLineView]:
        streams = [self._whole(agent) for agent in self.agents]
        heap: list[tuple[int, int, LogLineView]] = []
        try:
            for number, stream in enumerate(streams):
                await _push(heap, number, stream, 0)
            while heap:
                at, number, line = heapq.heappop(heap)
                yield line
                await _push(heap, number, streams[number], at)
        finally:
            for stream in streams:
                await stream.aclose()

    async def _whole(self, agent: str) -> AsyncGenerator[LogLineView, None]:
        try:
            query = LogQuery(since=self._since, lines=None)
            async with closed(self._entries(agent, query)) as entries:
                async for entry in entries:
                    yield entry_line(entry, self._source(agent))
        except HubError as error:
            yield self._none(agent, error)


async def _push(
    heap: list[tuple[int, int, LogLineView]], number: int, stream: AsyncGenerator[LogLineView, None], at: int
) -> None:
    """The stream's next line; one without a time, or before it, stays behind the one before it."""
    line = await anext(stream, None)
    if line is not None:
        heapq.heappush(heap, (max(at, line.key), number, line))


class _Stream:
    """Lines of one agent that come; knows the border for when it is asked again."""

    def __init__(self, border: Border | None, put: Put) -> None:
        self.border, self._put = border, put
        self.at = ""
        """Time of the last line, for those without one."""

    async def say(self, line: LogLineView) -> None:
        await self._put(self.at, line)

    async def give(self, at: str, line: LogLineView) -> None:
        self.at = at or self.at
        if line.key or self.border is not None:
            time = line.key or (self.border.at if self.border else 0)
            same = self.border.lines if self.border is not None and self.border.at == time else 0
            self.border = Border(time, same + 1)
        await self._put(self.at, line)
