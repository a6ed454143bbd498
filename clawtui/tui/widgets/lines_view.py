"""Lines of text in colours that are read by scrolling: as wide as the room, nothing is cut off. Paints what is seen."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import ClassVar, Final

from rich.segment import Segment
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from clawtui.tui.widgets.fields import broken
from clawtui.tui.widgets.text import clean, fit, fold

Line = tuple[str, str]
"""A text of one line and its meaning: one of `STYLES` of the theme."""
MEANINGS: Final = frozenset({"ok", "warn", "bad", "dim", "accent", "bold"})
LEAST_CELLS: Final = 8
PREFIX: Final = "lines-view--"


def folded(text: str, cells: int) -> list[str]:
    """Broken at the cell: for texts in which every blank counts."""
    return fold(clean(text), cells)


def worded(text: str, cells: int) -> list[str]:
    """Broken between words; what goes on keeps the line's own indent."""
    shown = clean(text)
    bare = shown.lstrip(" ")
    indent = " " * min(len(shown) - len(bare), cells // 2)
    return [f"{indent}{line}" for line in broken(bare, cells - len(indent))]


class LinesView(ScrollView, can_focus=True):
    """`set_lines` takes everything; lines at the beginning that stayed the same are not laid out again."""

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"{PREFIX}{meaning}" for meaning in (*MEANINGS, "text")}
    DEFAULT_CSS = """
    LinesView {
        background: $background; height: 1fr; overflow-x: hidden; overflow-y: auto; scrollbar-size: 0 1;
        scrollbar-gutter: stable;
        .lines-view--text { color: $foreground; }
        .lines-view--ok { color: $text-success; }
        .lines-view--warn { color: $text-warning; }
        .lines-view--bad { color: $text-error; text-style: bold; }
        .lines-view--dim { color: $text-dim; }
        .lines-view--accent { color: $text-info; }
        .lines-view--bold { text-style: bold; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "by(-1)", "Up", show=False),
        Binding("down,j", "by(1)", "Down", show=False),
        Binding("pageup,ctrl+b", "page(-1)", "Page up", show=False),
        Binding("pagedown,ctrl+f,space", "page(1)", "Page down", show=False),
        Binding("home,g", "first", "First", show=False),
        Binding("end,G", "last", "Last", show=False),
    ]

    def __init__(self, *, words: bool = False, stick: bool = False, empty: str = "", id: str | None = None) -> None:
        """`words`: break between words. `stick`: who looks at the end goes on looking at the end."""
        super().__init__(id=id)
        self._break: Callable[[str, int], list[str]] = worded if words else folded
        self._stick, self._empty = stick, empty
        self._lines: tuple[Line, ...] = ()
        self._parts: list[list[str]] = []
        self._starts: list[int] = [0]
        """Of each line its first row, then the number of all rows."""
        self._cells = 0

    @property
    def lines(self) -> tuple[Line, ...]:
        return self._lines

    @property
    def plain(self) -> str:
        """All of it as text, for the clipboard."""
        return "\n".join(text for text, _ in self._lines)

    def set_empty(self, text: str) -> None:
        if text != self._empty:
            self._empty = text
            self.refresh()

    def set_lines(self, lines: Sequence[Line], *, anew: bool = False) -> None:
        """`anew`: it is another text, read from its beginning."""
        new = tuple(lines)
        if new == self._lines and not anew:
            return
        same = 0
        for before, after in zip(self._lines, new, strict=False):
            if before[0] != after[0]:
                break
            same += 1
        at_end = self._stick and self.scroll_offset.y >= self.max_scroll_y
        self._lines = new
        self._lay_out(same)
        if anew:
            self.scroll_to(y=0, animate=False)
        elif at_end:
            self.call_after_refresh(self.scroll_end, animate=False)

    def _lay_out(self, keep: int) -> None:
        """Lines from number `keep` on; the parts of those before are known."""
        cells = max(self._cells, LEAST_CELLS)
        self._parts = [*self._parts[:keep], *(self._break(text, cells) for text, _ in self._lines[keep:])]
        self._starts = [0, *accumulate(map(len, self._parts))]
        self.virtual_size = Size(cells, self._starts[-1])
        self.refresh()

    def on_resize(self, _: events.Resize) -> None:
        cells = self.scrollable_content_region.width - 1
        if cells > 0 and cells != self._cells:
            at_end = self._stick and self.scroll_offset.y >= self.max_scroll_y
            self._cells = cells
            self._lay_out(0)
            if at_end:
                self.call_after_refresh(self.scroll_end, animate=False)

    def render_line(self, y: int) -> Strip:
        cells = self.scrollable_content_region.width
        row = y + self.scroll_offset.y
        if not self._lines and row < len(lines := self._break(self._empty, max(cells - 3, LEAST_CELLS))):
            return self._strip(f"  {lines[row]}", "dim", cells)
        if row >= self._starts[-1]:
            return self._strip("", "", cells)
        number = bisect_right(self._starts, row) - 1
        text, meaning = self._parts[number][row - self._starts[number]], self._lines[number][1]
        return self._strip(f" {text}", meaning, cells)

    def _strip(self, text: str, meaning: str, cells: int) -> Strip:
        style = self.get_component_rich_style(f"{PREFIX}{meaning if meaning in MEANINGS else 'text'}")
        return Strip([Segment(fit(text, cells), style)], cells)

    # --- scrolling

    def action_by(self, lines: int) -> None:
        self.scroll_relative(y=lines, animate=False)

    def action_page(self, pages: int) -> None:
        self.scroll_relative(y=pages * max(1, self.size.height - 1), animate=False)

    def action_first(self) -> None:
        self.scroll_home(animate=False)

    def action_last(self) -> None:
        self.scroll_end(animate=False)
