"""Feeding a log view: batches a few times a second, the operator's filter, and a word on what is shown."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any, Final

import msgspec

from clawtui.errors import UsageError
from clawtui.follow import closed
from clawtui.tui.widgets.log_store import LogLineView
from clawtui.tui.widgets.log_view import LogView
from hub.contract import LogEntry, LogQuery
from hub.control import Control
from hub.errors import HubError

BATCH_SECONDS: Final = 0.25
FIRST_LINES: Final = 500
BATCH_LINES: Final = 5_000
"""More lines wait in one batch than this: the reader waits for the screen."""
CONTEXTS: Final = (0, 2, 5)


class LogFilter:
    """The regular expression over one log view, `!` in front for its opposite, and lines around hits."""

    def __init__(self, view: LogView) -> None:
        self._view = view
        self.text = ""
        self.context = 0

    def set(self, text: str) -> None:
        """Raises UsageError."""
        inverse = text.startswith("!")
        wanted = text[1:] if inverse else text
        try:
            pattern = re.compile(wanted, re.IGNORECASE) if wanted else None
        except re.error as exc:
            raise UsageError(f"{wanted!r} is no regular expression: {exc}", field="filter") from exc
        self.text = text
        self._view.set_filter(pattern, self.context, inverse)

    def set_context(self, lines: int | None) -> None:
        """`None`: the next of the usual numbers."""
        later = [one for one in CONTEXTS if one > self.context]
        self.context = lines if lines is not None else (later[0] if later else CONTEXTS[0])
        self.set(self.text)

    def says(self) -> str:
        """The log's state in one line: nothing that hides lines is silent."""
        view = self._view
        parts = ["follow" if view.follow else "paused"]
        if view.wrap:
            parts.append("wrap")
        if self.text:
            around = f" ±{self.context}" if self.context else ""
            parts.append(f"/{self.text}/{around} {view.hits} hits")
        parts.append(f"{view.dropped} dropped" if view.dropped else f"{view.kept} lines")
        return " · ".join(parts)


def entry_line(entry: LogEntry, source: str = "") -> LogLineView:
    """One line of a log; our own JSON lines are shown as words."""
    at, level, text = (entry.at or "")[11:23], entry.level or "", entry.text
    if text.startswith("{"):
        at, level, text = _structured(text, at, level)
    return LogLineView(text, at, source, level or ("error" if entry.stream == "stderr" and not at else ""))


def _structured(text: str, at: str, level: str) -> tuple[str, str, str]:
    """`{"time": …, "level": …, "event": …, more}` as time, level and `event more=…`; other JSON as it is."""
    try:
        fields = msgspec.json.decode(text.encode("utf-8", "replace"), type=dict[str, Any])
    except (msgspec.DecodeError, ValueError, RecursionError):
        return at, level, text
    event = fields.pop("event", None)
    if event is None:
        return at, level, text
    when, word = str(fields.pop("time", "")), str(fields.pop("level", level))
    more = " ".join(f"{name}={value}" for name, value in fields.items())
    return at or when[11:23], word, f"{event} {more}".rstrip()


class Batch:
    """Lines on their way to a view: sorted by time, handed over a few times a second, held back when too many wait."""

    def __init__(self, view: LogView) -> None:
        self._view = view
        self._lines: list[tuple[str, LogLineView]] = []
        self._room = asyncio.Event()
        self._room.set()

    async def put(self, at: str, line: LogLineView) -> None:
        self._lines.append((at, line))
        if len(self._lines) >= BATCH_LINES:
            self._room.clear()
        await self._room.wait()

    def flush(self) -> None:
        if self._lines:
            lines, self._lines = self._lines, []
            # Stable: lines without a time keep their place behind the one before them.
            self._view.append([line for _, line in sorted(lines, key=lambda pair: pair[0])])
        self._room.set()

    async def run(self) -> None:
        while True:
            await asyncio.sleep(BATCH_SECONDS)
            self.flush()


async def follow_logs(control: Control, agents: tuple[str, ...], view: LogView, lines: int = FIRST_LINES) -> None:
    """Show the last lines of each agent and what comes, merged by time, until cancelled."""
    batch = Batch(view)
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(batch.run())
            for agent in agents:
                source = agent if len(agents) > 1 else ""
                group.create_task(_follow_one(control, agent, batch, source, lines))
    finally:
        if view.is_attached:
            batch.flush()


async def _follow_one(control: Control, agent: str, batch: Batch, source: str, lines: int) -> None:
    """The end of one log, or why there is none, stands in the view; the others go on."""
    last = ""
    try:
        entries: AsyncIterator[LogEntry] = control.agent_logs(agent, LogQuery(lines=lines, follow=True))
        async with closed(entries) as following:
            async for entry in following:
                last = entry.at or last
                await batch.put(last, entry_line(entry, source))
        said = f"the log of {agent} ended"
    except HubError as error:
        said = f"no log of {agent}: {error.message}{f' ({error.hint})' if error.hint else ''}"
    await batch.put(last, LogLineView(f"— {said} —", "", source, "warn"))
