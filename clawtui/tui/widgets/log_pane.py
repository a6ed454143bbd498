"""How a log is laid out and painted: folded or not, with its cursor and range, and nothing while it is hidden."""

from __future__ import annotations

from typing import ClassVar

from rich.segment import Segment
from textual import events
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from clawtui.tui.widgets.log_paint import GUTTER_CELLS, SOURCE_CELLS, Dress, LogPainter, Shown, height, prefix
from clawtui.tui.widgets.log_rows import Folding
from clawtui.tui.widgets.log_store import LogLineView, LogStore
from clawtui.tui.widgets.text import clean, fit, paragraph, width


class LogPane(ScrollView):
    """Lines of a `LogStore` on the screen."""

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "log-view--line", "log-view--cursor", "log-view--chosen", "log-view--prefix", "log-view--gutter",
        "log-view--hit", "log-view--context", "log-view--error", "log-view--warn", "log-view--debug",
        "log-view--system",
    }  # fmt: skip
    DEFAULT_CSS = """
    LogPane {
        background: $surface; color: $foreground; height: 1fr;
        overflow-x: auto; overflow-y: scroll; scrollbar-size: 0 1;
        scrollbar-background: $surface; scrollbar-background-hover: $surface; scrollbar-background-active: $surface;
        .log-view--cursor { background: $primary 30%; color: $foreground; }
        .log-view--chosen { background: $accent 25%; color: $foreground; }
        .log-view--prefix { color: $foreground 60%; }
        .log-view--gutter { color: $text-accent; }
        .log-view--hit { text-style: reverse bold; }
        .log-view--context { color: $foreground 60%; }
        .log-view--error { color: $text-error; }
        .log-view--warn { color: $text-warning; }
        .log-view--debug { color: $foreground 60%; }
        .log-view--system { color: $text-accent; text-style: italic; }
    }
    """

    def __init__(
        self, *, max_lines: int, empty: str, name: str | None = None, id: str | None = None, classes: str | None = None
    ) -> None:
        super().__init__(name=name, id=id, classes=classes)
        self._store = LogStore(max_lines)
        self._painter = LogPainter(self)
        self._empty = empty
        self._follow = True
        self._wrap = False
        self._timestamps = False
        self._cursor: int | None = None
        self._range_from: int | None = None
        self._folding = Folding()
        self._longest = 0
        self._hidden = True

    @property
    def hits(self) -> int:
        """Lines that match the search, or else the filter."""
        return self._store.hits

    @property
    def dropped(self) -> int:
        """Lines that came and are not kept any more."""
        return self._store.dropped

    @property
    def kept(self) -> int:
        return self._store.kept

    @property
    def wrap(self) -> bool:
        return self._wrap

    @wrap.setter
    def wrap(self, wrap: bool) -> None:
        top = self._top_number()
        self._wrap = wrap
        self._lay_out_again(keep=top)

    @property
    def timestamps(self) -> bool:
        return self._timestamps

    @timestamps.setter
    def timestamps(self, timestamps: bool) -> None:
        top = self._top_number()
        self._timestamps = timestamps
        self._lay_out_again(keep=top)

    def set_empty(self, sentence: str) -> None:
        """What to say where lines would be."""
        if sentence != self._empty:
            self._empty = sentence
            if not len(self._store):
                self.refresh()

    def _text(self, line: LogLineView) -> str:
        return (prefix(line, self._timestamps) + clean(line.text)).rstrip()

    def _at(self) -> int:
        """Number of the cursor's line, or of the newest."""
        if self._cursor is not None and self._store.has(self._cursor):
            return self._cursor
        return self._store.number(len(self._store) - 1) if len(self._store) else 0

    def _top_number(self) -> int | None:
        if not len(self._store):
            return None
        row, _ = self._locate(self.scroll_offset.y)
        return self._store.number(min(row, len(self._store) - 1))

    def _locate(self, y: int) -> tuple[int, int]:
        return self._folding.locate(y) if self._wrap else (y, 0)

    def _top(self, row: int) -> int:
        return self._folding.top(row) if self._wrap else row

    @property
    def _cells(self) -> int:
        return self.scrollable_content_region.width

    def _text_cells(self) -> int:
        return max(2, self._cells - GUTTER_CELLS)

    def _lay_out_again(self, keep: int | None = None) -> None:
        """After a change of everything: fold all lines again and show line `keep` at the top."""
        self._folding.clear()
        self._lay_out_more()
        if self._follow:
            self._to_end()
        elif keep is not None and len(self._store):
            self._scroll_to_line(self._top(self._store.row(keep)))
        self.refresh()

    def _lay_out_more(self) -> None:
        """Give the lines that came their places. A hidden pane does it when it is shown."""
        if self._hidden:
            return
        if not self._wrap:
            lines, cells = len(self._store), self._longest + GUTTER_CELLS
        else:
            store, cells = self._store, self._text_cells()
            rows = range(len(self._folding), len(store))
            self._folding.extend(height(store.line(store.number(row)), self._timestamps, cells) for row in rows)
            lines, cells = self._folding.lines, self._cells
        if self.virtual_size != (cells, lines):
            self.virtual_size = Size(cells, lines)

    def _scroll_to_line(self, y: int) -> None:
        if not self._hidden:
            self.scroll_to(y=max(0, y), animate=False)

    def _to_end(self) -> None:
        self._scroll_to_line(self.virtual_size.height - self.size.height)

    def _scroll_into_view(self, row: int) -> None:
        if self._hidden:
            return
        first, lines = self.scroll_offset.y, max(1, self.size.height)
        top = self._top(row)
        bottom = self._top(row + 1) if self._wrap and row + 1 < len(self._folding) else top + 1
        if top < first:
            self._scroll_to_line(top)
        elif bottom > first + lines:
            self._scroll_to_line(min(top, bottom - lines))

    def render_line(self, y: int) -> Strip:
        cells = self._cells
        scroll_x, scroll_y = self.scroll_offset
        base = self._painter.style(Dress())
        row, piece = self._locate(scroll_y + y)
        if row >= len(self._store):
            return Strip([Segment(fit(self._sentence(y - min(1, self.size.height - 1)), cells), base)], cells)
        number = self._store.number(row)
        dress = self._dress(number, row)
        shown = Shown(self._store.line(number), self._timestamps, self._store.pattern)
        if self._wrap:
            strip = self._painter.folded(shown, dress, self._text_cells(), piece)
        else:
            strip = self._painter.unfolded(shown, dress, scroll_x, self._text_cells())
        return strip.adjust_cell_length(cells, self._painter.style(dress))

    def _sentence(self, line: int) -> str:
        """Line `line` of what an empty pane says."""
        lines = paragraph(self._empty, self._cells - 3) if not len(self._store) else []
        return f"  {lines[line]}" if 0 <= line < len(lines) else ""

    def _dress(self, number: int, row: int) -> Dress:
        first = self._range_from
        chosen = first is not None and min(first, self._at()) <= number <= max(first, self._at())
        cursor = number == self._cursor
        return Dress(cursor, chosen, not self._store.passed(number), self._store.after_gap(row))

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._painter.forget_styles()

    def on_resize(self, event: events.Resize) -> None:
        self._lay_out_again(keep=self._top_number() if self._wrap else None)

    def on_hide(self) -> None:
        self._hidden = True

    def on_show(self) -> None:
        if self._hidden:
            self._hidden = False
            self._lay_out_again(keep=self._cursor)


def cells_at_most(line: LogLineView) -> int:
    """Cells of a line, or more: wide characters are two, tabs up to four."""
    text = line.text
    cells = len(text) if text.isascii() else 2 * len(text)
    return cells + 3 * text.count("\t") + (width(line.at) + 1) + (SOURCE_CELLS + 1 if line.source else 0)
