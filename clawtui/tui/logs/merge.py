"""Pure: pages of several logs as one, merged by time, and what of a log is held already."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from operator import itemgetter
from typing import NamedTuple

from clawtui.tui.logs.lines import NOTICE_KEY, Page
from clawtui.tui.widgets.log_store import LogLineView


class Border(NamedTuple):
    """The first or last lines that are held of one agent.

    `at`: their time in ms, 0 when no line has one, and then nothing can be asked for by time; `lines`: how many of
    them, with those around that have no time of their own.
    """

    at: int
    lines: int


class Seen:
    """Which lines that the hub gives by time are held already: those before the border, and so many at it."""

    def __init__(self, border: Border | None) -> None:
        self._border, self._left = border, border.lines if border else 0
        self.missed = False
        """Not all lines of the border were there: the log went on too far for what was asked."""

    def before(self, line: LogLineView) -> bool:
        border = self._border
        if border is None or not border.at:
            return False
        if line.key and line.key < border.at:
            return True
        if self._left and line.key in (0, border.at):
            self._left -= 1
            return True
        self.missed = self._left > 0
        self._border = None
        return False


def border_of(held: Sequence[LogLineView], source: str | None = None) -> Border | None:
    """The border of the lines of `source` (None: of all), seen from where `held` begins; None: without any time."""
    at, lines = 0, 0
    for line in held:
        if line.key == NOTICE_KEY or (source is not None and line.source != source):
            continue
        if at and line.key not in (0, at):
            break
        at = at or line.key
        lines += 1
    return Border(at, lines) if lines else None


def _timed(page: Page) -> list[tuple[int, LogLineView]]:
    """Lines with the time by which they are merged: one without stays behind the one before it."""
    return list(zip(accumulate((line.key for line in page.lines), max), page.lines, strict=True))


def older_page(pages: list[Page]) -> Page:
    """Merged as far back as is known of everybody."""
    timed = [_timed(page) for page in pages]
    since = max((lines[0][0] for page, lines in zip(pages, timed, strict=True) if lines and not page.end), default=None)
    return _merged([pair for lines in timed for pair in lines if since is None or pair[0] >= since], since is None)


def newer_page(pages: list[Page]) -> Page:
    """Merged as far on as is known of everybody."""
    timed = [_timed(page) for page in pages]
    until = min((own[-1][0] for page, own in zip(pages, timed, strict=True) if own and not page.end), default=None)
    return _merged([pair for lines in timed for pair in lines if until is None or pair[0] <= until], until is None)


def _merged(pairs: list[tuple[int, LogLineView]], end: bool) -> Page:
    return Page([line for _, line in sorted(pairs, key=itemgetter(0))], end)
