"""A table for rows that change all the time: paints only visible lines that changed; cursor and marks follow keys."""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Sequence
from typing import ClassVar

from rich.segment import Segment
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.strip import Strip

from clawtui.tui.widgets.marks import Marks
from clawtui.tui.widgets.table_layout import (
    HEADER_LINES,
    Cell,
    Column,
    Row,
    column_at,
    column_widths,
    total_width,
)
from clawtui.tui.widgets.table_messages import Chosen, ContextMenu, CursorMoved, HeaderClicked, MarksChanged
from clawtui.tui.widgets.table_paint import Look, Painter
from clawtui.tui.widgets.table_rows import KeyedRows
from clawtui.tui.widgets.text import fit, paragraph

__all__ = ["Cell", "Column", "FleetTable", "Row"]

RIGHT_BUTTON = 3


class FleetTable(KeyedRows, can_focus=True):
    """Rows by key. `set_rows` takes everything there is to show; only what changed is painted."""

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "fleet-table--header", "fleet-table--row", "fleet-table--cursor", "fleet-table--cursor-blurred",
        "fleet-table--marked", "fleet-table--stale", "fleet-table--ok", "fleet-table--warn", "fleet-table--bad",
        "fleet-table--dim", "fleet-table--accent",
    }  # fmt: skip
    DEFAULT_CSS = """
    FleetTable {
        background: $surface; color: $foreground; height: 1fr;
        overflow-x: auto; overflow-y: scroll; scrollbar-size: 0 1;
        scrollbar-background: $surface; scrollbar-background-hover: $surface; scrollbar-background-active: $surface;
        .fleet-table--header { color: $text-muted; text-style: bold; background: $panel; }
        .fleet-table--cursor { background: $primary 45%; color: $foreground; text-style: bold; }
        .fleet-table--cursor-blurred { background: $primary 20%; color: $foreground; }
        .fleet-table--marked { background: $accent 18%; color: $foreground; text-style: bold; }
        .fleet-table--stale { color: $foreground 45%; }
        .fleet-table--ok { color: $text-success; }
        .fleet-table--warn { color: $text-warning; }
        .fleet-table--bad { color: $text-error; text-style: bold; }
        .fleet-table--dim { color: $foreground 60%; }
        .fleet-table--accent { color: #6fc9e0; }
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
        super().__init__(name=name, id=id, classes=classes, clock=clock)
        self._columns = tuple(columns)
        self._marks = Marks()
        self._painter = Painter(self)
        self._sort: tuple[str | None, bool] = (None, False)
        self._empty = empty

    # -- what the table shows ------------------------------------------------------------------------------------------

    @property
    def columns(self) -> tuple[Column, ...]:
        return self._columns

    @property
    def marked(self) -> frozenset[str]:
        return self._marks.keys

    @property
    def hidden_marks(self) -> int:
        """Marked rows that are not among the shown ones."""
        return self._marks.hidden(self._index)

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

    def keep_marks(self, known: Container[str]) -> None:
        """Forget marks of keys that do not exist any more, shown or not."""
        before = self._marks.keys
        self._marks.keep(known)
        if self._marks.keys != before:
            self._marks_changed()

    # -- cursor and marks ----------------------------------------------------------------------------------------------

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
        cells = self._cells
        if y < HEADER_LINES:
            if cells != self.scrollable_content_region.width:
                # Shown while something beside it scrolls, it never hears of the room that it has got.
                self.call_later(self._take_room)
            style = self.get_component_rich_style("fleet-table--header")
            return self._painter.header(*self._sort).crop_extend(scroll_x, scroll_x + cells, style)
        base = self._painter.base(Look())
        position = scroll_y + y - HEADER_LINES
        if position >= len(self._rows):
            return Strip([Segment(fit(self._sentence(y - HEADER_LINES - 1), cells), base)], cells)
        row = self._rows[position]
        cursor = row.key == self._cursor
        look = Look(cursor, row.key in self._marks, cursor and self.has_focus, row.stale)
        strip = self._painter.row(row, look)
        if scroll_x == 0 and strip.cell_length == cells:
            return strip
        return strip.crop_extend(scroll_x, scroll_x + cells, self._painter.base(look))

    def _sentence(self, line: int) -> str:
        """Line `line` of what an empty table says."""
        lines = paragraph(self._empty, self._cells - 3) if not self._rows else []
        return f"  {lines[line]}" if 0 <= line < len(lines) else ""

    def _lay_out(self) -> None:
        self._painter.lay_out(self._columns, column_widths(self._columns, self._cells))
        self._resize_content()
        self.refresh()

    def _resize_content(self) -> None:
        self.virtual_size = Size(total_width(self._painter.widths), len(self._rows) + HEADER_LINES)

    def on_resize(self) -> None:
        self._take_room()

    def _take_room(self) -> None:
        # The scroll bar always has its own cell, so that columns do not jump when it comes.
        self._cells = self.scrollable_content_region.width
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
