"""Text that is painted only when it changed: top bar, banner, jobs in a line each, what needs a person in several."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text
from textual.widget import Widget

from clawtui.tui.theme import Piece, styled


class Line(Widget):
    """Pieces of text; take no room while there are none, unless they are to `stay`."""

    DEFAULT_CSS = "Line { height: 1; width: 1fr; text-wrap: nowrap; text-overflow: ellipsis; }"
    ALLOW_SELECT = False

    def __init__(self, *, stay: bool = False, id: str | None = None) -> None:
        super().__init__(id=id)
        self._pieces: tuple[Piece, ...] = ()
        self._stay = stay
        self.display = stay

    @property
    def text(self) -> str:
        return "".join(text for text, _ in self._pieces)

    def set_pieces(self, pieces: Sequence[Piece]) -> None:
        new = tuple(pieces)
        if new != self._pieces:
            lines = self.text.count("\n")
            self._pieces = new
            self.display = self._stay or bool(new)
            self.refresh(layout=self.text.count("\n") != lines)

    def render(self) -> Text:
        return styled(self._pieces)
