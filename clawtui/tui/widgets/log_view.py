"""A pane for logs of any rate: bounded, follows or stays, folds, filters with context, searches, copies."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message

from clawtui.tui.widgets.log_pane import LogPane, cells_at_most
from clawtui.tui.widgets.log_store import MAX_LINES, Filter, LogLineView

__all__ = ["LogLineView", "LogView"]


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
        """The operator changed what is followed, searched or chosen: the pane's title may say so."""

        view: LogView

        @property
        def control(self) -> LogView:
            return self.view

    @dataclass
    class OlderWanted(Message):
        """The operator is at the oldest kept line, `key`: `prepend` what came before it."""

        view: LogView
        key: int

        @property
        def control(self) -> LogView:
            return self.view

    @dataclass
    class NewestWanted(Message):
        """The newest lines were given up for older ones: `clear`, and `append` the newest again."""

        view: LogView

        @property
        def control(self) -> LogView:
            return self.view

    @dataclass
    class Copied(Message):
        """`lines` lines went to the clipboard."""

        view: LogView
        lines: int

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
        self._asked_older: int | None = None

    # -- what is shown, and how ----------------------------------------------------------------------------------------

    @property
    def follow(self) -> bool:
        return self._follow

    @follow.setter
    def follow(self, follow: bool) -> None:
        if follow and self._store.detached:
            self.post_message(self.NewestWanted(self))
        if follow:
            self._cursor = None
            self._range_from = None
        if follow != self._follow:
            self._follow = follow
            self.post_message(self.Changed(self))
        if follow:
            self._to_end()
        self.refresh()

    def append(self, lines: Sequence[LogLineView]) -> None:
        """Add the newest lines; what is read keeps its place unless the pane follows."""
        if not lines:
            return
        gone = self._store.append(lines)
        self._longest = max(self._longest, max(cells_at_most(line) for line in lines[-self._store.max_lines :]))
        gone_lines = self._folding.drop(gone) if self._wrap else gone
        self._lay_out_more()
        if self._follow:
            self._to_end()
        elif gone_lines:
            self._scroll_to_line(self.scroll_offset.y - gone_lines)
        self.refresh()

    def prepend(self, lines: Sequence[LogLineView]) -> None:
        """Add what came before the oldest kept line; the newest make room and are asked for again when wanted."""
        old_top = self._top_number()
        self._store.prepend(lines)
        self._asked_older = None
        self._longest = max(self._longest, max(map(cells_at_most, lines), default=0))
        self._lay_out_again(keep=old_top)

    def clear(self) -> None:
        self._store.clear()
        self._cursor = self._range_from = self._asked_older = None
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
        """Put the cursor on the next hit; from the newest on to the oldest. False without hits."""
        return self._go_to_hit(self._store.next_hit(self._at() if self._cursor is not None else self._before_top()))

    def previous_hit(self) -> bool:
        return self._go_to_hit(self._store.previous_hit(self._at()))

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
        if self._follow:
            self._follow = False
            self.post_message(self.Changed(self))

    def _go(self, row: int) -> None:
        if not len(self._store):
            return
        at = self._at()
        self._stay()
        row = max(0, min(row, len(self._store) - 1))
        self._cursor = self._store.number(row)
        self._scroll_into_view(row)
        if self._cursor != at or row == 0:
            self.refresh()
        if row == 0:
            self._ask_older()

    def _ask_older(self) -> None:
        key = self._store.line(self._store.number(0)).key
        if self._asked_older != key:
            self._asked_older = key
            self.post_message(self.OlderWanted(self, key))

    def _go_to_hit(self, number: int | None) -> bool:
        if number is None:
            return False
        self._go(self._store.row(number))
        return True

    def _copy(self, first: int, last: int) -> str:
        if not len(self._store):
            return ""
        rows = range(self._store.row(first), self._store.row(last) + 1)
        text = "\n".join(self._text(self._store.line(self._store.number(row))) for row in rows)
        self.app.copy_to_clipboard(text)
        self.post_message(self.Copied(self, len(rows)))
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
        if self.scroll_offset.y == 0 and len(self._store):
            self._ask_older()
