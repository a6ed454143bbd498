"""One line of keys and what they do; hints that do not fit are left out whole, the last one (help) never."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.segment import Segment
from textual import events
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from clawtui.tui.widgets.text import ELLIPSIS, clean, width

Hint = tuple[str, str]


def fitting(hints: Sequence[Hint], cells: int) -> list[Hint]:
    """The hints that fit in `cells`, in order; the last one is kept before any other."""
    if not hints:
        return []
    room = cells - hint_width(hints[-1])
    kept: list[Hint] = []
    for hint in hints[:-1]:
        if hint_width(hint) > room:
            break
        kept.append(hint)
        room -= hint_width(hint)
    return [*kept, hints[-1]]


def hint_width(hint: Hint) -> int:
    """Cells of ` key text `."""
    return width(hint[0]) + width(hint[1]) + 3


class HintBar(Widget):
    """Shows `set_hints`; a click on a hint is a press of its key."""

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {"hint-bar--key", "hint-bar--text", "hint-bar--badge"}
    DEFAULT_CSS = """
    HintBar {
        height: 1; width: 1fr; background: $panel; color: $foreground;
        .hint-bar--key { color: $text-accent; text-style: bold; }
        .hint-bar--text { color: $foreground 70%; }
        .hint-bar--badge { text-style: bold reverse; }
    }
    """

    @dataclass
    class Pressed(Message):
        """The hint of `key` was clicked."""

        bar: HintBar
        key: str

        @property
        def control(self) -> HintBar:
            return self.bar

    def __init__(self, *, name: str | None = None, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(name=name, id=id, classes=classes)
        self._hints: tuple[Hint, ...] = ()
        self._badge = ""

    @property
    def hints(self) -> tuple[Hint, ...]:
        return self._hints

    def set_hints(self, hints: Sequence[Hint], badge: str = "") -> None:
        """(key, text) pairs, most important first and help last; `badge` stands at the right end (READ-ONLY)."""
        new = tuple((clean(key), clean(text)) for key, text in hints)
        if (new, badge) != (self._hints, self._badge):
            self._hints, self._badge = new, badge
            self.refresh()

    def _shown(self) -> list[Hint]:
        badge = width(self._badge) + 2 if self._badge else 0
        return fitting(self._hints, self.size.width - badge - 1)

    def render_line(self, y: int) -> Strip:
        base = self.rich_style
        key_style = base + self.get_component_rich_style("hint-bar--key")
        text_style = base + self.get_component_rich_style("hint-bar--text")
        segments: list[Segment] = []
        shown = self._shown()
        for key, text in shown:
            segments += [Segment(f" {key}", key_style), Segment(f" {text} ", text_style)]
        if len(shown) < len(self._hints):
            segments.append(Segment(ELLIPSIS, text_style))
        cells = self.size.width
        if not self._badge:
            return Strip(segments).adjust_cell_length(cells, base)
        badge = Segment(f" {self._badge} ", base + self.get_component_rich_style("hint-bar--badge"))
        left = Strip(segments).adjust_cell_length(max(0, cells - width(badge.text)), base)
        return Strip([*left, badge]).adjust_cell_length(cells, base)

    def on_click(self, event: events.Click) -> None:
        start = 0
        for hint in self._shown():
            if start <= event.x < start + hint_width(hint):
                self.post_message(self.Pressed(self, hint[0]))
                return
            start += hint_width(hint)
