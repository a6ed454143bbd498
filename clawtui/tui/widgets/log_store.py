"""Pure: a bounded window of log lines with a filter, a search and counters. Lines are named by their number."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from clawtui.tui.widgets.text import clean, shorten

MAX_LINES = 20_000
MAX_CHARACTERS = 16_000_000
"""Of all kept lines: 64 MB at worst, when every line has a character beyond the BMP."""
LINE_CHARACTERS = 4_096
"""A longer line is cut for display, with what is missing said in its place."""


class LogLineView(NamedTuple):
    """`at` is a time as text, `level` a word (error, warn, info, debug).

    `key` is what the source reads more by: the offset after the line, or its time in ms; -1 for our own words between.
    """

    text: str
    at: str = ""
    source: str = ""
    level: str = ""
    key: int = 0


class Filter(NamedTuple):
    """Lines that match (or, inverted, do not) and `context` lines before and after each."""

    pattern: re.Pattern[str]
    context: int = 0
    invert: bool = False

    def passes(self, line: LogLineView) -> bool:
        return (self.pattern.search(clean(line.text)) is None) == self.invert


class LogStore:
    """A window of lines that follow each other. A line's number never changes while it is kept; they grow by one.

    The window is at the newest end until it is `detached`: then what comes is counted and not kept.
    """

    def __init__(self, max_lines: int = MAX_LINES, max_characters: int = MAX_CHARACTERS) -> None:
        self.max_lines = max_lines
        self._max_characters = max_characters
        self._lines: list[LogLineView] = []
        self._first = 0
        self._characters = 0
        self._filter: Filter | None = None
        self._search: re.Pattern[str] | None = None
        self._shown: list[int] = []
        self._passed: list[int] = []
        self._context_until = -1
        self._found: list[int] = []
        self._sought = 0
        self.dropped = 0
        """Lines that were here and went at the front."""
        self.below = 0
        """Lines after the window that were here or came while it was detached."""
        self.detached = False
        """Lines after the kept ones were given up or not taken: `extend` brings them, then `attach`."""

    def __len__(self) -> int:
        """Shown lines."""
        return len(self._lines) if self._filter is None else len(self._shown)

    @property
    def kept(self) -> int:
        return len(self._lines)

    @property
    def lines(self) -> Sequence[LogLineView]:
        """All kept lines, oldest first, shown or not."""
        return self._lines

    @property
    def filter(self) -> Filter | None:
        return self._filter

    @property
    def pattern(self) -> re.Pattern[str] | None:
        return self._search

    @property
    def hits(self) -> int:
        """Shown lines that match the search; without one, lines that the filter lets pass."""
        return len(self._hits)

    @property
    def _hits(self) -> list[int]:
        return self._found if self._search else self._passed

    def number(self, row: int) -> int:
        """Number of the line in shown `row`."""
        return self._first + row if self._filter is None else self._shown[row]

    def row(self, number: int) -> int:
        """The row of line `number`, or of the next shown one."""
        found = number - self._first if self._filter is None else bisect_left(self._shown, number)
        return max(0, min(found, len(self) - 1))

    def line(self, number: int) -> LogLineView:
        return self._lines[number - self._first]

    def has(self, number: int) -> bool:
        return self._first <= number < self._first + len(self._lines)

    def passed(self, number: int) -> bool:
        """Whether line `number` itself passes the filter, and is no context."""
        if self._filter is None:
            return True
        at = bisect_left(self._passed, number)
        return at < len(self._passed) and self._passed[at] == number

    def after_gap(self, row: int) -> bool:
        """Whether lines between this row and the one above are filtered away."""
        return self._filter is not None and row > 0 and self._shown[row] != self._shown[row - 1] + 1

    def hit_lines(self) -> Iterator[LogLineView]:
        return (self.line(number) for number in self._hits)

    # -- what comes in -------------------------------------------------------------------------------------------------

    def append(self, lines: Sequence[LogLineView], *, hold: bool = False) -> int:
        """Add the newest lines; returns how many shown rows fell off the front to make room.

        `hold`: nothing falls off; the window detaches instead when it is full. What would not fit at all is counted as
        dropped without being looked at.
        """
        if self.detached:
            self.below += len(lines)
            return 0
        if hold:
            room = self._room(lines)
            self.below += len(lines) - room
            self.detached = room < len(lines)
            return self._add(lines[:room])
        surplus = len(lines) - self.max_lines
        if surplus > 0:
            self.dropped += surplus
            lines = lines[surplus:]
        return self._add(lines)

    def extend(self, lines: Sequence[LogLineView]) -> int:
        """Add lines from after the last kept one to a detached window; returns rows that fell off the front."""
        lines = lines[: self.max_lines]
        self.below = max(0, self.below - len(lines))
        return self._add(lines)

    def attach(self) -> None:
        """Nothing lies after the window: what comes now follows it."""
        self.detached = False
        self.below = 0

    def prepend(self, lines: Sequence[LogLineView]) -> int:
        """Add lines from before the first kept one, giving up the newest beyond the bound; returns rows added."""
        lines = [_bounded(line) for line in lines][-self.max_lines :]
        old_first = self._first
        self._first -= len(lines)
        self._lines = lines + self._lines
        self._characters += sum(len(line.text) for line in lines)
        self.dropped = max(0, self.dropped - len(lines))
        while len(self._lines) > self.max_lines or (self._characters > self._max_characters and len(self._lines) > 1):
            self._characters -= len(self._lines.pop().text)
            self.detached = True
            self.below += 1
        self._count_front(old_first)
        return bisect_left(range(len(self)), old_first, key=self.number)

    def clear(self) -> None:
        """Forget all lines and what was dropped; the filter and the search stay."""
        self._first += len(self._lines)
        self._lines.clear()
        self._characters = 0
        self.dropped = 0
        self.attach()
        self._recount()

    def _room(self, lines: Sequence[LogLineView]) -> int:
        """How many of `lines` fit without giving up any."""
        room = min(len(lines), self.max_lines - len(self._lines))
        characters = self._characters
        for taken, line in enumerate(lines[:room]):
            characters += min(len(line.text), LINE_CHARACTERS)
            if characters > self._max_characters:
                return taken
        return room

    def _add(self, lines: Sequence[LogLineView]) -> int:
        new = [_bounded(line) for line in lines]
        start = self._first + len(self._lines)
        self._lines += new
        self._characters += sum(len(line.text) for line in new)
        if self._filter is not None:
            self._pass(start)
        gone = self._drop()
        if self._search is not None:
            self._seek(max(start, self._first))
        return gone

    def _drop(self) -> int:
        count = max(0, len(self._lines) - self.max_lines)
        freed = sum(len(line.text) for line in self._lines[:count])
        while self._characters - freed > self._max_characters and count < len(self._lines) - 1:
            freed += len(self._lines[count].text)
            count += 1
        if not count:
            return 0
        del self._lines[:count]
        self._first += count
        self._characters -= freed
        self.dropped += count
        gone = _cut(self._shown, self._first)
        _cut(self._passed, self._first)
        _cut(self._found, self._first)
        return count if self._filter is None else gone

    # -- filter and search ---------------------------------------------------------------------------------------------

    def set_filter(self, chosen: Filter | None) -> None:
        self._filter = chosen
        self._recount()

    def set_search(self, pattern: re.Pattern[str] | None) -> None:
        self._search = pattern
        self._found.clear()
        self._sought = self._first
        if pattern is not None:
            self._seek(self._first)

    def next_hit(self, number: int) -> int | None:
        """The first hit after line `number`, of the search or else of the filter."""
        hits = self._hits
        at = bisect_left(hits, number + 1)
        return hits[at] if at < len(hits) else None

    def previous_hit(self, number: int) -> int | None:
        """The last hit before line `number`."""
        hits = self._hits
        at = bisect_left(hits, number)
        return hits[at - 1] if at else None

    def first_hit(self) -> int | None:
        return self._hits[0] if self._hits else None

    def last_hit(self) -> int | None:
        return self._hits[-1] if self._hits else None

    def _recount(self) -> None:
        self._shown.clear()
        self._passed.clear()
        self._found.clear()
        self._context_until = self._first - 1
        self._sought = self._first
        if self._filter is not None:
            self._pass(self._first)
        if self._search is not None:
            self._seek(self._first)

    def _count_front(self, old_first: int) -> None:
        """Count what came in front of line `old_first`, and forget what made room at the end."""
        end = self._first + len(self._lines)
        for numbers in (self._shown, self._passed, self._found):
            del numbers[bisect_left(numbers, end) :]
        self._sought = min(self._sought, end)
        if self._filter is not None:
            self._pass_front(self._filter, old_first, end)
        if self._search is not None:
            found = self._found[:]
            self._found.clear()
            if self._filter is None:
                new: Sequence[int] = range(self._first, min(old_first, end))
            else:
                # Lines that were kept may be shown only now, as context of hits before them.
                known = self._shown[: bisect_left(self._shown, old_first + self._filter.context)]
                new, found = known, found[bisect_left(found, old_first + self._filter.context) :]
            self._found = [*self._matches(new), *found]

    def _pass_front(self, chosen: Filter, old_first: int, end: int) -> None:
        # Hits in new lines reach so far into the old ones, and hits in these old ones back into the new.
        border = min(old_first + chosen.context, end)
        shown, passed = self._shown, self._passed
        kept_shown, later_shown = shown[: bisect_left(shown, border)], shown[bisect_left(shown, border) :]
        later_passed = passed[bisect_left(passed, border) :]
        self._shown, self._passed, self._context_until = [], [], self._first - 1
        self._pass(self._first, border)
        self._shown = sorted({*self._shown, *kept_shown}) + later_shown
        self._passed += later_passed
        self._context_until = self._passed[-1] + chosen.context if self._passed else self._first - 1

    def _pass(self, start: int, end: int | None = None) -> None:
        """Apply the filter to the lines from number `start` to `end`, which are the newest that are counted."""
        chosen = self._filter
        assert chosen is not None
        for number in range(start, self._first + len(self._lines) if end is None else end):
            if chosen.passes(self.line(number)):
                self._passed.append(number)
                last = self._shown[-1] if self._shown else self._first - 1
                self._shown.extend(range(max(last + 1, number - chosen.context, self._first), number + 1))
                self._context_until = number + chosen.context
            elif number <= self._context_until:
                self._shown.append(number)

    def _seek(self, start: int) -> None:
        if self._filter is None:
            numbers: Sequence[int] = range(start, self._first + len(self._lines))
        else:
            # Context before a new line was there earlier and is shown only now.
            numbers = self._shown[bisect_left(self._shown, self._sought) :]
            self._sought = self._shown[-1] + 1 if self._shown else self._first
        self._found += self._matches(numbers)

    def _matches(self, numbers: Sequence[int]) -> list[int]:
        pattern = self._search
        assert pattern is not None
        return [number for number in numbers if pattern.search(clean(self.line(number).text))]


def _bounded(line: LogLineView) -> LogLineView:
    if len(line.text) <= LINE_CHARACTERS:
        return line
    return line._replace(text=shorten(line.text, LINE_CHARACTERS))


def _cut(numbers: list[int], first: int) -> int:
    """Remove ascending `numbers` below `first`; returns how many there were."""
    count = bisect_left(numbers, first)
    del numbers[:count]
    return count
