"""An agent's log, followed over restarts of the hub.

The hub gives lines by time, to the millisecond. After an interruption everything since the time of the
last line is asked for again, and the lines of that millisecond that were shown are recognised and left
out. Where that is not possible it is said.
"""

from __future__ import annotations

import asyncio
import enum
from collections import deque
from collections.abc import AsyncIterator
from typing import Final

import msgspec

from clawtui.errors import ConnectionLost, NoHub
from clawtui.follow import closed
from clawtui.outage import Outage, Pause, Say
from hub.contract import LogEntry, LogQuery
from hub.control import Control

REMEMBERED_LINES: Final = 4_096
"""Of the last millisecond; of more, the newest are enough to find the place again."""
TORN: Final = "[the log does not have the last line any more: lines may be missing here, or come twice]"
TIMELESS: Final = "[this log has no times: what was written while the hub was away is not shown]"


class Line(enum.Enum):
    """What a line is to somebody who has seen the log up to some place."""

    SEEN = enum.auto()
    NEW = enum.auto()
    TORN = enum.auto()
    """New, and the place was not found before it."""


class Place:
    """Where in a log somebody is who saw its lines in order."""

    def __init__(self) -> None:
        self._at: str | None = None
        self._any = False
        self._last: deque[tuple[str, str]] = deque(maxlen=REMEMBERED_LINES)
        self._missing: deque[tuple[str, str]] = deque()
        self._found_first = False

    @property
    def timeless(self) -> bool:
        """Lines were seen, and none had a time: nobody can say where the rest begins."""
        return self._any and self._at is None

    def resume(self, query: LogQuery) -> LogQuery:
        """Return what to ask for after an interruption; `query` is what was asked for in the beginning."""
        self._missing, self._found_first = self._last.copy(), False
        if self._at is not None:
            return msgspec.structs.replace(query, since=self._at, lines=None)
        if self._any:
            self._missing.clear()
            return msgspec.structs.replace(query, since=None, lines=0)
        return query

    def take(self, entry: LogEntry) -> Line:
        """Judge the next line, and move on when it is new."""
        verdict = self._judge(entry)
        if verdict is not Line.SEEN:
            self._missing.clear()
            self._note(entry)
        return verdict

    def _judge(self, entry: LogEntry) -> Line:
        if not self._missing:
            return Line.NEW
        if entry.at == self._at and self._missing[0] == (entry.text, entry.stream):
            self._missing.popleft()
            self._found_first = True
            return Line.SEEN
        later = entry.at is not None and self._at is not None and entry.at > self._at
        # Before the first line that is recognised comes what was shown earlier, or was never asked for.
        return Line.TORN if later or self._found_first else Line.SEEN

    def _note(self, entry: LogEntry) -> None:
        self._any = True
        if entry.at is not None and entry.at != self._at:
            self._at = entry.at
            self._last.clear()
        self._last.append((entry.text, entry.stream))


async def follow_logs(
    control: Control,
    agent_id: str,
    query: LogQuery,
    *,
    patience_seconds: float = 60.0,
    say: Say,
    pause: Pause = asyncio.sleep,
) -> AsyncIterator[LogEntry]:
    """Yield an agent's log as `query` asks for it, and what follows, until the log itself ends.

    A hub that goes away is waited for, `patience_seconds` long, and asked for the rest.

    Raises:
        NoHub, ConnectionLost: the hub did not come back in time.
    """
    place, asked = Place(), query
    outage = Outage(patience_seconds, "", say=say, pause=pause)
    while True:
        outage.trying()
        try:
            async with closed(control.agent_logs(agent_id, asked)) as entries:
                async for entry in entries:
                    outage.over()
                    verdict = place.take(entry)
                    if verdict is Line.TORN:
                        say(TORN)
                    if verdict is not Line.SEEN:
                        yield entry
            return
        except (NoHub, ConnectionLost) as exc:
            asked = place.resume(query)
            if place.timeless and not outage.lasts:
                say(TIMELESS)
            await outage.wait(exc)
