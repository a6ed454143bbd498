"""A pane for logs of any rate: bounded, follows or stays, folds, filters with context, searches, copies."""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message

from clawtui.tui.widgets.log_pane import LogPane, cells_at_most
from clawtui.tui.widgets.log_store import MAX_LINES, Filter, LogLineView

__all__ = ["LogLineView", "LogView", "Want"]

COPY_CHARACTERS = 100_000
"""More than this, many terminals refuse from a program (OSC 52): it is cut, and that is said."""


class Want(enum.Enum):
    """What a view asks its feed for."""

    OLDER = "older"
    """What comes before the first kept line: `prepend` it."""
    NEWER = "newer"
    """What comes after the last kept line of a detached view: `extend` by it."""
    NEWEST = "newest"
    """The end again: `clear`, and `append` the newest."""


class LogView(LogPane, can_focus=True):
    """The newest lines of one or more sources. `append` in batches, a few times a second."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False, id="log.up"),
        Binding("down,j", "move(1)", "Down", show=False, id="log.down"),
        Binding("pageup,ctrl+b", "page(-1)", "Page up", show=False, id="log.page_up"),
        Binding("pagedown,ctrl+f", "page(1)", "Page down", show=False, id="log.page_down"),
        Binding("home,g", "first", "Oldest", show=False, id="log.first"),
        Binding("end,G", "follow", "Newest, follow", show=False, id="log.follow"),
        Binding("left,h", "sideways(-16)", "Left", show=False, id="log.left"),
        Binding("right,l", "sideways(16)", "Right", show=False, id="log.right"),
        Binding("n", "next_hit", "Next hit", show=False, id="log.next_hit"),
        Binding("N", "previous_hit", "Previous hit", show=False, id="log.previous_hit"),
        Binding("v", "choose_range", "Range from here", show=False, id="log.range"),
        Binding("y", "copy", "Copy line or range", show=False, id="log.copy"),
        Binding("escape", "drop_range", "Drop range", show=False, id="log.drop_range"),
    ]

    @dataclass
    class Changed(Message):
        """What is followed or searched changed, or a page came: the pane's title may say so."""

        view: LogView

        @property
        def control(self) -> LogView:
            return self.view

    @dataclass
    class Copied(Message):
        """`lines` lines went to the clipboard; of `all_lines`, when they were too many for a terminal."""

        view: LogView
        lines: int
        all_lines: int

        @property
        def control(self) -> LogView:
            return self.view

    def __init__(
        self,
        *,
        max_lines: int = MAX_LINES,
        empty: str = "",
        name: str | None = None,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(max_lines=max_lines, empty=empty, name=name, id=id, classes=classes)
        self.wanted: Callable[[Want], None] | None = None
        """Whoever feeds this view; without one there is nothing but what is kept."""
        self._asked: set[Want] = set()
        self._at_start = False
        self._seen = -1
        self._seeking = 0

    # -- what is shown, and how ----------------------------------------------------------------------------------------

    @property
    def follow(self) -> bool:
        return self._follow

    @follow.setter
    def follow(self, follow: bool) -> None:
        if follow and self._store.detached:
            self._ask(Want.NEWEST)
        if follow:
            self._cursor = None
            self._range_from = None
            self._seeking = 0
        if follow != self._follow:
            self._follow = follow
            self._seen = self._last_number()
            self.post_message(self.Changed(self))
        if follow:
            self._to_end()
        self.refresh()

    @property
    def more_above(self) -> bool:
        """There may be lines before the first kept one."""
        return self._store.dropped > 0 if self.wanted is None else not self._at_start

    @property
    def below(self) -> int:
        """Lines after the last one that was on the screen; 0 while it follows."""
        if self._follow:
            return 0
        store, size = self._store, max(1, self.size.height)
        if len(store) and not self._hidden:
            last_row, _ = self._locate(min(self.scroll_offset.y + size, self.virtual_size.height) - 1)
            self._seen = max(self._seen, store.number(min(max(last_row, 0), len(store) - 1)))
        kept = len(store) - store.row(self._seen) - 1 if len(store) and self._seen >= 0 else len(store)
        return max(0, kept) + store.below

    @property
    def filter(self) -> Filter | None:
        return self._store.filter

    @property
    def sought(self) -> str:
        """The regular expression that is searched for; empty while none is."""
        return self._store.pattern.pattern if self._store.pattern is not None else ""

    @property
    def detached(self) -> bool:
        """The last kept line is not the newest that is known of."""
        return self._store.detached

    @property
    def seeking(self) -> bool:
        """Pages are read until one has the next hit."""
        return self._seeking != 0

    @property
    def lines(self) -> Sequence[LogLineView]:
        """All kept lines, oldest first, shown or not."""
        return self._store.lines

    def append(self, lines: Sequence[LogLineView]) -> None:
        """Add the newest lines; while the pane stays, what is read keeps its place and nothing falls off the front."""
        if not lines:
            return
        self._grow(lines, self._store.append(lines, hold=not self._follow))

    def extend(self, lines: Sequence[LogLineView], *, end: bool) -> None:
        """Add what comes after the last kept line of a detached pane; `end`: nothing comes after that now."""
        self._asked.discard(Want.NEWER)
        self._grow(lines, self._store.extend(lines))
        if end:
            self._store.attach()
        self._seek_on()
        self.post_message(self.Changed(self))

    def _grow(self, lines: Sequence[LogLineView], gone: int) -> None:
        if not lines:
            return
        if self._store.dropped:
            self._at_start = False
        self._longest = max(self._longest, max(cells_at_most(line) for line in lines[-self._store.max_lines :]))
        gone_lines = self._folding.drop(gone) if self._wrap else gone
        self._lay_out_more()
        if self._follow:
            self._to_end()
        elif gone_lines:
            self._scroll_to_line(self.scroll_offset.y - gone_lines)
        self.refresh()

    def prepend(self, lines: Sequence[LogLineView], *, start: bool = False) -> None:
        """Add what came before the oldest kept line (`start`: and there is no more); the newest make room."""
        old_top = self._top_number()
        self._at_start = start
        self._asked.discard(Want.OLDER)
        self._store.prepend(lines)
        if start:
            self._store.dropped = 0
        self._longest = max(self._longest, max(map(cells_at_most, lines), default=0))
        self._lay_out_again(keep=old_top)
        self._seek_on()
        self.post_message(self.Changed(self))

    def refused(self, want: Want) -> None:
        """What was asked for cannot be had now; it may be asked for again."""
        self._asked.discard(want)
        self._seeking = 0

    def begin(self, lines: Sequence[LogLineView], *, start: bool) -> None:
        """Show the newest lines instead of what there was; what was known of and is not kept now counts as dropped."""
        known = self._store.dropped + self._store.kept + self._store.below
        self.clear()
        self._at_start = start
        self.append(lines)
        self._store.dropped = 0 if start else max(self._store.dropped, known - self._store.kept)
        self.post_message(self.Changed(self))

    def clear(self) -> None:
        self._store.clear()
        self._cursor = self._range_from = None
        self._asked.clear()
        self._at_start = False
        self._seen, self._seeking = -1, 0
        self._longest = 0
        self._lay_out_again()

    def set_filter(self, pattern: re.Pattern[str] | None, context: int = 0, invert: bool = False) -> None:
        """Show only lines that match (or do not), with `context` lines around each; `None` shows all."""
        top = self._top_number()
        self._store.set_filter(None if pattern is None else Filter(pattern, context, invert))
        self._lay_out_again(keep=top)

    def search(self, pattern: re.Pattern[str] | None) -> None:
        """Mark the hits of `pattern`; `n` and `N` go from hit to hit."""
        self._store.set_search(pattern)
        self.refresh()

    def next_hit(self) -> bool:
        """Put the cursor on the next hit, reading on for it; from the last one to the oldest kept. False without."""
        found = self._store.next_hit(self._at() if self._cursor is not None else self._before_top())
        if found is None and self._store.detached and self._has_pattern:
            return self._seek(1)
        return self._go_to_hit(self._store.first_hit() if found is None else found)

    def previous_hit(self) -> bool:
        """Put the cursor on the hit before, reading back for it; from the very first one to the newest. False without.

        While it follows, the newest line itself may be that hit.
        """
        found = self._store.previous_hit(self._at() + (0 if self._cursor is not None else 1))
        if found is None and self.more_above and self.wanted is not None and self._has_pattern:
            return self._seek(-1)
        return self._go_to_hit(self._store.last_hit() if found is None else found)

    @property
    def _has_pattern(self) -> bool:
        return self._store.pattern is not None or self._store.filter is not None

    def _seek(self, way: int) -> bool:
        self._stay()
        if self._cursor is None:
            self._cursor = self._at() if len(self._store) else None
        self._seeking = way
        self._ask(Want.NEWER if way > 0 else Want.OLDER)
        self.post_message(self.Changed(self))
        return True

    def _seek_on(self) -> None:
        """A page came: the hit may be in it."""
        way, self._seeking = self._seeking, 0
        if way:
            self.next_hit() if way > 0 else self.previous_hit()

    def copy_hits(self) -> str:
        """Copy all kept lines that match the search, or else the filter."""
        return self._to_clipboard([self._text(line) for line in self._store.hit_lines()])

    def copy_line(self) -> str:
        """Copy the cursor's line (the newest while following) to the terminal's clipboard; returns it."""
        return self._copy(self._at(), self._at())

    def copy_range(self) -> str:
        """Copy the lines from where the range began to the cursor."""
        at = self._at()
        start = self._range_from if self._range_from is not None else at
        return self._copy(min(start, at), max(start, at))

    def _before_top(self) -> int:
        return (self._top_number() or 0) - 1

    # -- keys and mouse ------------------------------------------------------------------------------------------------

    def _stay(self) -> None:
        self._seeking = 0
        if self._follow:
            self._seen = self._last_number()
            self._follow = False
            self.post_message(self.Changed(self))

    def _last_number(self) -> int:
        return self._store.number(len(self._store) - 1) if len(self._store) else -1

    def _go(self, row: int) -> None:
        if not len(self._store):
            # The filter hides all that is kept; what it lets pass may lie further on.
            self._ask_beyond(up=row <= 0)
            return
        at = self._at()
        self._stay()
        row = max(0, min(row, len(self._store) - 1))
        self._cursor = self._store.number(row)
        self._scroll_into_view(row)
        if self._cursor != at or row == 0:
            self.refresh()
        if row == 0:
            self._ask_beyond(up=True)
        elif row == len(self._store) - 1:
            self._ask_beyond(up=False)

    def _ask_beyond(self, *, up: bool) -> None:
        if up and self.more_above:
            self._ask(Want.OLDER)
        elif not up and self._store.detached:
            self._ask(Want.NEWER)

    def _ask(self, want: Want) -> None:
        """Once, until it is answered."""
        if self.wanted is not None and want not in self._asked:
            self._asked.add(want)
            self.wanted(want)

    def _go_to_hit(self, number: int | None) -> bool:
        if number is None:
            return False
        self._go(self._store.row(number))
        return True

    def _copy(self, first: int, last: int) -> str:
        if not len(self._store):
            return ""
        rows = range(self._store.row(first), self._store.row(last) + 1)
        return self._to_clipboard([self._text(self._store.line(self._store.number(row))) for row in rows])

    def _to_clipboard(self, texts: list[str]) -> str:
        taken, characters = 0, 0
        for text in texts:
            characters += len(text) + 1
            if taken and characters > COPY_CHARACTERS:
                break
            taken += 1
        text = "\n".join(texts[:taken])
        if taken:
            self.app.copy_to_clipboard(text)
            self.post_message(self.Copied(self, taken, len(texts)))
        return text

    def action_move(self, rows: int) -> None:
        self._go(self._store.row(self._at()) + rows)

    def action_page(self, pages: int) -> None:
        self._go(self._store.row(self._at()) + pages * max(1, self.size.height - 1))

    def action_first(self) -> None:
        self._go(0)

    def action_follow(self) -> None:
        self.follow = True

    def action_sideways(self, cells: int) -> None:
        self.scroll_to(x=self.scroll_offset.x + cells, animate=False)

    def action_next_hit(self) -> None:
        self.next_hit()

    def action_previous_hit(self) -> None:
        self.previous_hit()

    def action_choose_range(self) -> None:
        """Begin a range at the cursor, or drop the one there is."""
        if len(self._store):
            self._go(self._store.row(self._at()))
            self._range_from = self._at() if self._range_from is None else None
            self.refresh()

    def action_copy(self) -> None:
        self.copy_range() if self._range_from is not None else self.copy_line()
        self._range_from = None
        self.refresh()

    def action_drop_range(self) -> None:
        self._range_from = None
        self.refresh()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Escape is this pane's only while there is a range; then it is its screen's."""
        return self._range_from is not None if action == "drop_range" else True

    def on_click(self, event: events.Click) -> None:
        row, _ = self._locate(self.scroll_offset.y + event.y)
        if row < len(self._store):
            self._go(row)

    def on_mouse_scroll_up(self) -> None:
        self._stay()
        if self.scroll_offset.y == 0:
            self._ask_beyond(up=True)

    def on_mouse_scroll_down(self) -> None:
        if self.scroll_offset.y + self.size.height >= self.virtual_size.height:
            self._ask_beyond(up=False)
