"""Labels with values: what does not fit goes on below the value, never below the label."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final, NamedTuple

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll

from clawtui.tui.theme import Piece
from clawtui.tui.widgets.paper import Paper
from clawtui.tui.widgets.text import clean, fold, width

LEAST_CELLS: Final = 20
"""A value in fewer cells is unreadable: the line is made longer instead, and the screen cuts it."""


class Field(NamedTuple):
    """`text` may have several lines. `more` stands behind the value, greyed. Without a label and with the style
    `title` it is a heading."""

    label: str
    text: str = ""
    style: str = ""
    more: str = ""


def heading(text: str) -> Field:
    return Field("", text, "title")


def broken(text: str, cells: int) -> list[str]:
    """`text` in lines of at most `cells`, broken between words where that is possible; nothing is lost but blanks."""
    lines: list[str] = []
    for part in text.split("\n"):
        line = ""
        for word in clean(part).split(" "):
            if line and width(line) + 1 + width(word) <= cells:
                line = f"{line} {word}"
                continue
            if line:
                lines.append(line)
            *whole, line = fold(word, max(cells, 2))
            lines += whole
        lines.append(line)
    return lines


def field_lines(fields: Sequence[Field], cells: int) -> list[Piece]:
    """The fields as pieces in lines of at most `cells`."""
    label_cells = max((width(field.label) for field in fields), default=0)
    pieces: list[Piece] = []
    for field in fields:
        if not field.label and field.style == "title":
            pieces += [("\n" if pieces else "", ""), (f" {field.text}\n", "bold")]
            continue
        head = f" {field.label}{' ' * (label_cells - width(field.label))}  "
        lines = broken(field.text, max(cells - width(head), LEAST_CELLS))
        pieces += [(head, "dim"), (lines[0], field.style)]
        for line in lines[1:]:
            pieces += [(f"\n{' ' * width(head)}", ""), (line, field.style)]
        if field.more:
            room = width(head) + width(lines[-1]) + 2 + width(field.more) <= cells
            pieces.append((f"  {field.more}" if room else f"\n{' ' * width(head)}{field.more}", "dim"))
        pieces.append(("\n", ""))
    return pieces


class Fields(VerticalScroll, can_focus=True):
    """Shows fields in the room there is; is painted only when they or the room changed."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "scroll_down", "Down", show=False),
        Binding("k", "scroll_up", "Up", show=False),
    ]
    DEFAULT_CSS = "Fields { scrollbar-size: 0 1; }"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._fields: tuple[Field, ...] = ()
        self._cells = 0

    def compose(self) -> ComposeResult:
        yield Paper()

    @property
    def plain(self) -> str:
        """All of it as text, for the clipboard."""
        return self.query_one(Paper).plain

    def set_fields(self, fields: Sequence[Field]) -> None:
        # Coming to the front it does not always hear of the room that it has got, so that is looked at too.
        if tuple(fields) != self._fields or self.scrollable_content_region.width != self._cells:
            self._fields = tuple(fields)
            self._lay_out()

    def on_resize(self, _: events.Resize) -> None:
        self._lay_out()

    def _lay_out(self) -> None:
        cells = self.scrollable_content_region.width
        if not cells or not self.is_mounted:
            return
        self._cells = cells
        self.query_one(Paper).set_pieces(field_lines(self._fields, cells))
