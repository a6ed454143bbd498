"""Text of several lines in colours, for what changes every second."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text
from textual.widgets import Static

from clawtui.tui.theme import STYLES, Piece
from clawtui.tui.widgets.text import width


class Paper(Static):
    """Shows pieces; the screen is laid out again only when their height can have changed.

    A new layout of the whole screen takes longer than painting the text.
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._pieces: tuple[Piece, ...] = ()
        self._shape: tuple[str, ...] = ()

    @property
    def plain(self) -> str:
        """All of it as text, for the clipboard."""
        return "".join(text for text, _ in self._pieces)

    def set_pieces(self, pieces: Sequence[Piece]) -> None:
        if tuple(pieces) != self._pieces:
            self._pieces = tuple(pieces)
            before, self._shape = self._shape, self._heights()
            text = Text.assemble(*((text, STYLES.get(style, "")) for text, style in self._pieces))
            self.update(text, layout=self._shape != before)

    def _heights(self) -> tuple[str, ...]:
        """One entry per line: a line that fits is one line high whatever it says, a longer one may wrap anywhere."""
        cells = self.size.width
        return tuple("" if width(line) <= cells else line for line in self.plain.split("\n"))
