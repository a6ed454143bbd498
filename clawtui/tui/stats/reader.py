"""Reads an agent's history for as long as somebody looks, and watches the agent while the window is the live one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Final

from clawtui.follow import closed
from clawtui.tui.stats.series import History, Window, at_ms, rfc3339
from hub.contract import StatsPoint, StatsQuery
from hub.control import Control
from hub.errors import HubError

EVERY_SECONDS: Final = 30.0
"""How often a window that is not live is read again: as often as the hub has another point."""
RETRY_SECONDS: Final = 5.0
"""After a reading that failed while the hub is there."""
POINTS_AT_ONCE: Final = 200
"""So many points are taken before the rest of the program has its turn: the hub may share this loop."""


async def read_points(control: Control, agent_id: str, since: str) -> list[StatsPoint]:
    """The history since an age or a time, the oldest first."""
    points: list[StatsPoint] = []
    async with closed(control.agent_stats(agent_id, StatsQuery(since=since))) as coming:
        async for point in coming:
            points.append(point)
            if len(points) % POINTS_AT_ONCE == 0:
                await asyncio.sleep(0)
    return points


async def filled(history: History, points: list[StatsPoint]) -> History:
    history.expect(points)
    for start in range(0, len(points), POINTS_AT_ONCE):
        for point in points[start : start + POINTS_AT_ONCE]:
            history.add(point)
        await asyncio.sleep(0)
    return history


class StatsReader:
    """One agent in one window. `run` until cancelled; the last good history stays through failures."""

    def __init__(self, control: Control, agent_id: str, window: Window, now: Callable[[], datetime]) -> None:
        self.agent_id, self.window = agent_id, window
        self._control, self._now = control, now
        self.history = History(window)
        self.loaded = False
        """Something was read, if only that there is nothing."""
        self.problem = ""
        """Why the last reading failed, or empty."""

    async def run(self, changed: Callable[[], None]) -> None:
        """Call `changed` after whatever can be seen."""
        while True:
            pause = EVERY_SECONDS
            try:
                if self.window.live:
                    await self._watch(changed)
                    pause = RETRY_SECONDS  # the stream ends with the agent or the hub
                else:
                    await self._read()
                self.problem = ""
            except HubError as error:
                self.problem, pause = error.message, RETRY_SECONDS
            self.loaded = True
            changed()
            await asyncio.sleep(pause)

    def trim(self) -> None:
        self.history.trim(round(self._now().timestamp() * 1000))

    async def _watch(self, changed: Callable[[], None]) -> None:
        """The history first, then a sample per second; closing the stream lets the agent report rarely again."""
        self._take(await filled(History(self.window), await self._points(self.window.name)))
        changed()
        since = rfc3339(self.history.reread_ms() or 0) if self.history.spans else self.window.name
        query = StatsQuery(since=since, follow=True)
        async with closed(self._control.agent_stats(self.agent_id, query)) as coming:
            async for point in coming:
                self.history.add(point)
                self.problem = ""
                self.trim()
                changed()

    async def _read(self) -> None:
        """All of it the first time, then what may have changed."""
        from_ms = self.history.reread_ms() if self.loaded else None
        if from_ms is None:
            self._take(await filled(History(self.window), await self._points(self.window.name)))
        else:
            points = await self._points(rfc3339(from_ms))
            self.history.replace([point for point in points if at_ms(point.at) > from_ms], from_ms)
        self.trim()

    def _take(self, history: History) -> None:
        self.history, self.loaded = history, True

    async def _points(self, since: str) -> list[StatsPoint]:
        return await read_points(self._control, self.agent_id, since)
