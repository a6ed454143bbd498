"""A table for rows that change all the time: paints only visible lines that changed; cursor and marks follow keys."""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Sequence
from typing import ClassVar

from rich.segment import Segment
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.timer import Timer

from clawtui.tui.widgets.marks import Marks
from clawtui.tui.widgets.table_layout import Cell, Column, Row, column_at, column_widths, runs, total_width
from clawtui.tui.widgets.table_messages import Chosen, ContextMenu, CursorMoved, HeaderClicked, MarksChanged
from clawtui.tui.widgets.table_paint import Look, Painter
from clawtui.tui.widgets.text import fit

__all__ = ["Cell", "Column", "FleetTable", "Row"]

QUIET_SECONDS = 0.6
"""Rows keep their places until no key was pressed in the table for so long."""
HEADER_LINES = 1
RIGHT_BUTTON = 3


class FleetTable(ScrollView, can_focus=True):
    """Rows by key. `set_rows` takes everything there is to show, `update_rows` what changed."""

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "fleet-table--header", "fleet-table--row", "fleet-table--cursor", "fleet-table--cursor-blurred",
        "fleet-table--marked", "fleet-table--stale", "fleet-table--ok", "fleet-table--warn", "fleet-table--bad",
        "fleet-table--dim", "fleet-table--accent",
    }  # fmt: skip
    DEFAULT_CSS = """
    FleetTable {
        background: $surface; color: $foreground; height: 1fr;
        overflow-x: auto; overflow-y: auto; scrollbar-size: 0 1;
        .fleet-table--header { color: $text-muted; text-style: bold; background: $panel; }
        .fleet-table--cursor { background: $primary 45%; color: $foreground; text-style: bold; }
        .fleet-table--cursor-blurred { background: $primary 20%; color: $foreground; }
        .fleet-table--marked { color: $text-accent; text-style: bold; }
        .fleet-table--stale { color: $text-disabled; text-style: dim; }
        .fleet-table--ok { color: $text-success; }
        .fleet-table--warn { color: $text-warning; }
        .fleet-table--bad { color: $text-error; text-style: bold; }
        .fleet-table--dim { color: $text-muted; }
        .fleet-table--accent { color: $text-accent; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False, id="table.up"),
        Binding("down,j", "move(1)", "Down", show=False, id="table.down"),
        Binding("pageup,ctrl+b", "page(-1)", "Page up", show=False, id="table.page_up"),
        Binding("pagedown,ctrl+f", "page(1)", "Page down", show=False, id="table.page_down"),
        Binding("home,g", "first", "First", show=False, id="table.first"),
        Binding("end,G", "last", "Last", show=False, id="table.last"),
        Binding("left,h", "sideways(-8)", "Left", show=False, id="table.left"),
        Binding("right,l", "sideways(8)", "Right", show=False, id="table.right"),
        Binding("enter", "choose", "Open", show=False, id="table.choose"),
        Binding("space", "toggle_mark", "Mark", show=False, id="table.mark"),
        Binding("v", "mark_range", "Mark to here", show=False, id="table.mark_range"),
        Binding("ctrl+a", "mark_all", "Mark all shown", show=False, id="table.mark_all"),
        Binding("escape", "clear_marks", "Clear marks", show=False, id="table.clear_marks"),
    ]

    CursorMoved = CursorMoved
    Chosen = Chosen
    MarksChanged = MarksChanged
    HeaderClicked = HeaderClicked
    ContextMenu = ContextMenu

    def __init__(
        self,
        columns: Sequence[Column] = (),
        *,
        empty: str = "",
        name: str | None = None,
        id: str | None = None,
        classes: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(name=name, id=id, classes=classes)
        self._columns = tuple(columns)
        self._rows: list[Row] = []
        self._index: dict[str, int] = {}
        self._cursor: str | None = None
        self._marks = Marks()
        self._painter = Painter(self)
        self._sort: tuple[str | None, bool] = (None, False)
        self._empty = empty
        self._clock = clock
        self._quiet_at = 0.0
        self._waiting: Sequence[Row] | None = None
        self._waiting_changes: dict[str, Row] = {}
        self._settle_timer: Timer | None = None

    # -- what the table shows ------------------------------------------------------------------------------------------

    @property
    def columns(self) -> tuple[Column, ...]:
        return self._columns

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
    def marked(self) -> frozenset[str]:
        return self._marks.keys

    @property
    def hidden_marks(self) -> int:
        """Marked rows that are not among the shown ones."""
        return self._marks.hidden(self._index)

    @property
    def holding(self) -> bool:
        """Whether a new order or new rows wait because keys are being pressed."""
        return self._waiting is not None

    def set_columns(self, columns: Sequence[Column]) -> None:
        self._columns = tuple(columns)
        self._lay_out()

    def set_sort(self, key: str | None, descending: bool = False) -> None:
        """Show the arrow at column `key`; sorting the rows is the caller's work."""
        self._sort = (key, descending)
        self._release()
        self._repaint([0])

    def set_empty(self, sentence: str) -> None:
        """What to say where rows would be."""
        self._empty = sentence
        if not self._rows:
            self.refresh()

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

    def update_rows(self, rows: Sequence[Row]) -> None:
        """Replace rows by key; keys that are not shown (a filter hides them) are passed over."""
        dirty: list[int] = []
        for row in rows:
            index = self._index.get(row.key)
            if self._waiting is not None:
                self._waiting_changes[row.key] = row
            if index is not None and self._rows[index] != row:
                self._rows[index] = row
                dirty.append(index)
        self._repaint_rows(dirty)

    def keep_marks(self, known: Container[str]) -> None:
        """Forget marks of keys that do not exist any more, shown or not."""
        before = self._marks.keys
        self._marks.keep(known)
        if self._marks.keys != before:
            self._marks_changed()

    # -- rows ----------------------------------------------------------------------------------------------------------

    def _same_keys(self, rows: Sequence[Row]) -> bool:
        shown = self._rows
        return len(rows) == len(shown) and all(new.key == old.key for new, old in zip(rows, shown, strict=True))

    def _hold(self, rows: Sequence[Row]) -> None:
        self._waiting = rows
        self._waiting_changes.clear()
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
        changes = dict(self._waiting_changes)
        rows = [changes.get(row.key, row) for row in self._waiting]
        self._release()
        self._show(rows)

    def _release(self) -> None:
        self._waiting = None
        self._waiting_changes.clear()
        self._quiet_at = 0.0
        if self._settle_timer is not None:
            self._settle_timer.stop()
            self._settle_timer = None

    def _show(self, rows: Sequence[Row]) -> None:
        if self._same_keys(rows):
            self._replace(rows)
            return
        index = {row.key: position for position, row in enumerate(rows)}
        if len(index) != len(rows):
            raise ValueError("two rows of a table have the same key")
        old_position = self._index.get(self._cursor) if self._cursor is not None else None
        old_rows, old_scroll = self._rows, self.scroll_offset.y
        self._rows, self._index = list(rows), index
        self._resize_content()
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

    def _follow_cursor(self, old_position: int | None, old_scroll: int) -> None:
        """Keep the cursor's key on its screen line; when it is gone, the row in its place is next.

        A table that shows its top goes on showing it, so that what comes first is never hidden by arriving.
        """
        if not self._rows:
            self._set_cursor(None)
            return
        position = self._index.get(self._cursor) if self._cursor is not None else None
        if position is None:
            position = min(old_position or 0, len(self._rows) - 1)
            self._set_cursor(self._rows[position].key)
        elif old_position is not None and old_scroll > 0:
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
        cells = self.size.width
        self.refresh(*(Region(0, first, cells, count) for first, count in runs(lines)))

    # -- cursor and marks ----------------------------------------------------------------------------------------------

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

    def _marks_changed(self) -> None:
        self._repaint_rows(self._visible())
        self.post_message(MarksChanged(self, self._marks.keys))

    def action_move(self, rows: int) -> None:
        self._pressed()
        self._go(self._at() + rows)

    def action_page(self, pages: int) -> None:
        self._pressed()
        self._go(self._at() + pages * max(1, self.size.height - HEADER_LINES - 1))

    def action_first(self) -> None:
        self._pressed()
        self._go(0)

    def action_last(self) -> None:
        self._pressed()
        self._go(len(self._rows) - 1)

    def action_sideways(self, cells: int) -> None:
        self.scroll_to(x=self.scroll_offset.x + cells, animate=False)

    def action_choose(self) -> None:
        if self._cursor is not None:
            self.post_message(Chosen(self, self._cursor))

    def action_toggle_mark(self) -> None:
        """Mark or unmark the cursor's row and go on to the next one."""
        if self._cursor is not None:
            self._pressed()
            self._marks.toggle(self._cursor)
            self._marks_changed()
            self._go(self._at() + 1)

    def action_mark_range(self) -> None:
        if self._cursor is not None:
            self._pressed()
            self._marks.mark_range([row.key for row in self._rows], self._cursor)
            self._marks_changed()

    def action_mark_all(self) -> None:
        self._pressed()
        self._marks.mark(self._index)
        self._marks_changed()

    def action_clear_marks(self) -> None:
        self._marks.clear()
        self._marks_changed()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Escape is this table's only while something is marked; then it is its screen's."""
        return bool(self._marks) if action == "clear_marks" else True

    # -- painting ------------------------------------------------------------------------------------------------------

    def render_line(self, y: int) -> Strip:
        scroll_x, scroll_y = self.scroll_offset
        cells = self.size.width
        if y < HEADER_LINES:
            style = self.get_component_rich_style("fleet-table--header")
            return self._painter.header(*self._sort).crop_extend(scroll_x, scroll_x + cells, style)
        base = self._painter.base(Look())
        position = scroll_y + y - HEADER_LINES
        if position >= len(self._rows):
            words = self._empty if not self._rows and y == HEADER_LINES + 1 else ""
            return Strip([Segment(fit(f"  {words}", cells), base)], cells)
        row = self._rows[position]
        cursor = row.key == self._cursor
        look = Look(cursor, row.key in self._marks, cursor and self.has_focus, row.stale)
        return self._painter.row(row, look).crop_extend(scroll_x, scroll_x + cells, self._painter.base(look))

    def _lay_out(self) -> None:
        self._painter.lay_out(self._columns, column_widths(self._columns, self.size.width))
        self._resize_content()
        self.refresh()

    def _resize_content(self) -> None:
        self.virtual_size = Size(total_width(self._painter.widths), len(self._rows) + HEADER_LINES)

    def on_resize(self, event: events.Resize) -> None:
        self._lay_out()
        if self._rows:
            self._scroll_into_view(self._at())

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._painter.forget_styles()

    def on_focus(self) -> None:
        self._repaint_rows([self._at()])

    def on_blur(self) -> None:
        self._repaint_rows([self._at()])

    # -- mouse ---------------------------------------------------------------------------------------------------------

    def on_click(self, event: events.Click) -> None:
        event.stop()
        if event.y < HEADER_LINES:
            self._click_header(event.x + self.scroll_offset.x)
            return
        position = self.scroll_offset.y + event.y - HEADER_LINES
        if position >= len(self._rows):
            return
        self._pressed()
        self._go(position)
        key = self._rows[position].key
        if event.button == RIGHT_BUTTON:
            self.post_message(ContextMenu(self, key, event.screen_x, event.screen_y))
        elif event.chain == 2:
            self.post_message(Chosen(self, key))

    def _click_header(self, x: int) -> None:
        column = column_at(self._columns, self._painter.widths, x)
        if column is not None:
            self.post_message(HeaderClicked(self, column))
