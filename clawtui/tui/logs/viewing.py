"""What is shown of a log view, in the operator's words: filter, search, and a line that says what is hidden."""

from __future__ import annotations

import re
from typing import Final

from clawtui.errors import UsageError
from clawtui.tui.logs.agents import AgentLogs
from clawtui.tui.logs.feed import Feed
from clawtui.tui.logs.lines import notice
from clawtui.tui.widgets.log_view import LogView
from hub.control import Control

CONTEXTS: Final = (0, 2, 5)


class LogFilter:
    """Regular expressions over one log view: what it shows (`!` in front: what not), and what is found in that."""

    def __init__(self, view: LogView) -> None:
        self._view = view
        self.text = ""
        self.context = 0

    def set(self, text: str) -> None:
        """Show only what matches. Raises UsageError."""
        inverse = text.startswith("!")
        pattern = _pattern(text[1:] if inverse else text, "filter")
        self.text = text
        self._view.set_filter(pattern, self.context, inverse)

    def set_context(self, lines: int | None) -> None:
        """`None`: the next of the usual numbers."""
        later = [one for one in CONTEXTS if one > self.context]
        self.context = lines if lines is not None else (later[0] if later else CONTEXTS[0])
        self.set(self.text)

    def says(self) -> str:
        """The log's state in one line, what matters most first: nothing that hides lines is silent."""
        view = self._view
        parts = ["follow" if view.follow else f"paused, {view.below} new below" if view.below else "paused"]
        parts.append(f"{view.hits} hits")
        parts.append(f"{view.dropped} dropped")
        parts.append(f"{view.kept} lines{', more above' if view.more_above else ''}")
        if view.seeking:
            parts.append("searching")
        if view.sought:
            parts.append(f"find {view.sought}")
        if self.text:
            parts.append(f"/{self.text}/{f' ±{self.context}' if self.context else ''}")
        if view.wrap:
            parts.append("wrap")
        return " · ".join(parts)


def search(view: LogView, text: str) -> None:
    """Mark what matches among what is shown; empty ends that. Raises UsageError."""
    view.search(_pattern(text, "search"))


def _pattern(text: str, field: str) -> re.Pattern[str] | None:
    try:
        return re.compile(text, re.IGNORECASE) if text else None
    except re.error as exc:
        raise UsageError(f"{text!r} is no regular expression: {exc}", field=field) from exc


async def follow_logs(control: Control, agents: tuple[str, ...], view: LogView) -> None:
    """Show the last lines of each agent and what comes, merged by time, and what is scrolled to, until cancelled."""
    await Feed(view, AgentLogs(control, agents), lambda error: view.append([notice(error.message)])).run()
