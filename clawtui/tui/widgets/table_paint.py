"""Turns rows into strips of styled cells, and remembers those that did not change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from clawtui.tui.widgets.table_layout import Column, Row, total_width
from clawtui.tui.widgets.text import fit, truncate

CACHED_ROWS = 1_024
PREFIX = "fleet-table--"
MEANINGS = frozenset({"ok", "warn", "bad", "dim", "accent"})


class Look(NamedTuple):
    """What a row's line shows besides its cells."""

    cursor: bool = False
    marked: bool = False
    focused: bool = False
    stale: bool = False


class StyleSource(Protocol):
    """The widget whose style sheet names the colours."""

    def get_component_rich_style(
        self, *names: str, partial: bool = False, default: Style | None = None
    ) -> Style: ...  # fmt: skip


class Painter:
    """Strips of rows for one set of columns and widths."""

    def __init__(self, styles: StyleSource) -> None:
        self._source = styles
        self._styles: dict[tuple[Look, str], Style] = {}
        self._strips: dict[str, tuple[Row, Look, Strip]] = {}
        self.columns: tuple[Column, ...] = ()
        self.widths: list[int] = []

    def lay_out(self, columns: Sequence[Column], widths: list[int]) -> None:
        self.columns = tuple(columns)
        self.widths = widths
        self._strips.clear()

    def forget_styles(self) -> None:
        """After a change of theme."""
        self._styles.clear()
        self._strips.clear()

    def row(self, row: Row, look: Look) -> Strip:
        known = self._strips.get(row.key)
        if known is not None and known[1] == look and known[0] == row:
            return known[2]
        if len(self._strips) >= CACHED_ROWS:
            self._strips.clear()
        strip = self._painted(row, look)
        self._strips[row.key] = (row, look, strip)
        return strip

    def base(self, look: Look) -> Style:
        return self._style(look, "")

    def header(self, sort_key: str | None, descending: bool) -> Strip:
        style = self._source.get_component_rich_style(f"{PREFIX}header")
        arrow = "↓" if descending else "↑"
        words = [
            fit(f"{truncate(column.title, cells - 2)} {arrow}", cells, column.align)
            if column.key == sort_key
            else fit(column.title, cells, column.align)
            for column, cells in zip(self.columns, self.widths, strict=True)
        ]
        return Strip([Segment("  " + " ".join(words), style)], total_width(self.widths))

    def _painted(self, row: Row, look: Look) -> Strip:
        base = self._style(look, "")
        # Where keys go is no matter of colour alone.
        cursor = ("▸" if look.focused else "▹") if look.cursor else " "
        gutter = cursor + ("*" if look.marked else " ")
        pieces: list[tuple[str, Style]] = [(gutter, base)]
        last = len(self.widths) - 1
        for index, cells in enumerate(self.widths):
            cell = row.cells[index] if index < len(row.cells) else None
            text = fit(cell.text, cells, self.columns[index].align) if cell else " " * cells
            style = self._style(look, cell.style) if cell and cell.style else base
            if style is pieces[-1][1]:
                pieces[-1] = (pieces[-1][0] + text, style)
            else:
                pieces.append((text, style))
            if index < last:
                before, its_style = pieces[-1]
                pieces[-1] = (before + " ", its_style)
        return Strip([Segment(text, style) for text, style in pieces], total_width(self.widths))

    def _style(self, look: Look, meaning: str) -> Style:
        style = self._styles.get((look, meaning))
        if style is None:
            style = self._styles[look, meaning] = self._mixed(look, meaning)
        return style

    def _mixed(self, look: Look, meaning: str) -> Style:
        """A stale row is grey as a whole: old colours would say something that nobody has seen lately."""
        named = ("cursor" if look.focused else "cursor-blurred") if look.cursor else "marked" if look.marked else "row"
        style = self._source.get_component_rich_style(f"{PREFIX}{named}")
        if look.marked:
            style += Style(bold=True)
        if look.stale:
            return style + foreground(self._source, f"{PREFIX}stale")
        return style + foreground(self._source, f"{PREFIX}{meaning}") if meaning in MEANINGS else style


def foreground(source: StyleSource, name: str) -> Style:
    """Colour and attributes of a component class, without its background; opacity is already mixed in."""
    attributes = source.get_component_rich_style(name, partial=True).without_color
    return attributes + Style(color=source.get_component_rich_style(name).color)
