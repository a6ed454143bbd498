"""Rows by key on the Line API: what is repainted when they change, and a cursor that stays with its key."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from operator import attrgetter

from textual.geometry import Region
from textual.scroll_view import ScrollView
from textual.timer import Timer

from clawtui.tui.widgets.table_layout import HEADER_LINES, Row, runs
from clawtui.tui.widgets.table_messages import CursorMoved

QUIET_SECONDS = 0.6
"""Rows keep their places until no key was pressed in the table for so long."""

_KEY = attrgetter("key")


class KeyedRows(ScrollView):
    """A header and rows below it, of which only visible ones that changed are painted again."""

    def __init__(
        self,
        *,
        name: str | None = None,
        id: str | None = None,
        classes: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(name=name, id=id, classes=classes)
        self._rows: list[Row] = []
        self._keys: list[str] = []
        self._cells = 0
        self._index: dict[str, int] = {}
        self._cursor: str | None = None
        self._clock = clock
        self._quiet_at = 0.0
        self._waiting: Sequence[Row] | None = None
        self._settle_timer: Timer | None = None

    def _resize_content(self) -> None:
        """Tell the scroll bars how much there is."""
        raise NotImplementedError

    @property
    def rows(self) -> Sequence[Row]:
        return self._rows

    @property
    def cursor_key(self) -> str | None:
        return self._cursor

    @cursor_key.setter
    def cursor_key(self, key: str) -> None:
        """Move to the row of `key`; nothing happens when it is not shown."""
        if key in self._index:
            self._go(self._index[key])

    @property
    def holding(self) -> bool:
        """Whether a new order or new rows wait because keys are being pressed."""
        return self._waiting is not None

    def set_rows(self, rows: Sequence[Row], *, now: bool = False) -> None:
        """Show exactly `rows`, keys unique. Repaints the visible lines that differ.

        While keys are pressed in the table, rows change but keep their places; a new order, new rows and gone rows
        (greyed until then) follow after `QUIET_SECONDS`. `now` is for what the operator asked for: a filter, a sort.
        """
        if not now and self._rows and self._clock() < self._quiet_at and not self._same_keys(rows):
            self._hold(rows)
            return
        self._release()
        self._show(rows)

    def _same_keys(self, rows: Sequence[Row]) -> bool:
        return list(map(_KEY, rows)) == self._keys

    def _hold(self, rows: Sequence[Row]) -> None:
        self._waiting = rows
        new = {row.key: row for row in rows}
        self._replace([new.get(row.key) or row._replace(stale=True) for row in self._rows])
        self._arm()

    def _arm(self) -> None:
        if self._settle_timer is None:
            self._settle_timer = self.set_timer(max(0.01, self._quiet_at - self._clock()), self._settle)

    def _settle(self) -> None:
        """Let waiting rows in, unless a key was pressed meanwhile."""
        self._settle_timer = None
        if self._waiting is None:
            return
        if self._clock() < self._quiet_at:
            self._arm()
            return
        rows = self._waiting
        self._release()
        self._show(rows)

    def _release(self) -> None:
        self._waiting = None
        self._quiet_at = 0.0
        if self._settle_timer is not None:
            self._settle_timer.stop()
            self._settle_timer = None

    def _show(self, rows: Sequence[Row]) -> None:
        if self._same_keys(rows):
            self._replace(rows)
            return
        keys = list(map(_KEY, rows))
        index = dict(zip(keys, range(len(keys)), strict=True))
        if len(index) != len(rows):
            raise ValueError("two rows of a table have the same key")
        old_position = self._index.get(self._cursor) if self._cursor is not None else None
        old_rows, old_scroll = self._rows, self.scroll_offset.y
        self._rows, self._keys, self._index = list(rows), keys, index
        self._resize_content()
        if self._cursor not in index:
            self._set_cursor(self._neighbour(old_rows, old_position))
        self._follow_cursor(old_position, old_scroll)
        if len(old_rows) == len(rows) and self.scroll_offset.y == old_scroll:
            self._repaint_rows([i for i in self._visible() if old_rows[i] != self._rows[i]])
        else:
            self.refresh()

    def _replace(self, rows: Sequence[Row]) -> None:
        """The same keys in the same places: only what is visible needs comparing."""
        old = self._rows
        self._rows = list(rows)
        self._repaint_rows([index for index in self._visible() if old[index] != self._rows[index]])

    def _neighbour(self, old_rows: Sequence[Row], old_position: int | None) -> str | None:
        """The row that takes over the cursor of one that is gone: the next of the old order, or the one before."""
        if old_position is not None:
            for row in (*old_rows[old_position:], *reversed(old_rows[:old_position])):
                if row.key in self._index:
                    return row.key
        return self._rows[0].key if self._rows else None

    def _follow_cursor(self, old_position: int | None, old_scroll: int) -> None:
        """Keep the cursor's row on its screen line.

        A table that shows its top goes on showing it, so that what comes first is never hidden by arriving.
        """
        if self._cursor is not None:
            position = self._index[self._cursor]
            if old_position is not None and old_scroll > 0 and self.size:
                self.scroll_to(y=old_scroll + position - old_position, animate=False)
            self._scroll_into_view(position)

    def _visible(self) -> range:
        first = self.scroll_offset.y
        return range(first, min(len(self._rows), first + max(0, self.size.height - HEADER_LINES)))

    def _repaint_rows(self, positions: Sequence[int]) -> None:
        visible = self._visible()
        lines = sorted({index - visible.start + HEADER_LINES for index in positions if index in visible})
        if lines:
            self._repaint(lines)

    def _repaint(self, lines: Sequence[int]) -> None:
        """Repaint ascending screen `lines` of this widget."""
        cells = self._cells
        self.refresh(*(Region(0, first, cells, count) for first, count in runs(lines)))

    def _set_cursor(self, key: str | None) -> None:
        if key != self._cursor:
            before, self._cursor = self._cursor, key
            self._repaint_rows([self._index[k] for k in (before, key) if k is not None and k in self._index])
            self.post_message(CursorMoved(self, key))

    def _go(self, position: int) -> None:
        if self._rows:
            position = max(0, min(position, len(self._rows) - 1))
            self._set_cursor(self._rows[position].key)
            self._scroll_into_view(position)

    def _scroll_into_view(self, position: int) -> None:
        if not self.size:
            return
        lines = max(1, self.size.height - HEADER_LINES)
        first = self.scroll_offset.y
        if position < first:
            self.scroll_to(y=position, animate=False)
        elif position >= first + lines:
            self.scroll_to(y=position - lines + 1, animate=False)

    def _at(self) -> int:
        return self._index.get(self._cursor, 0) if self._cursor is not None else 0

    def _pressed(self) -> None:
        self._quiet_at = self._clock() + QUIET_SECONDS
