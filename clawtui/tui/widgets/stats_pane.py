"""Graphs of an agent's use over time; painted when there is a new point, another size or another column of time."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region, Size
from textual.strip import Strip
from textual.widget import Widget

from clawtui.tui.stats.lines import LATE_MS, Lines, View, graphs, head, right_edge, sentence
from clawtui.tui.stats.series import History, Window
from clawtui.tui.theme import Piece

PREFIX = "stats-pane--"


class Shown(NamedTuple):
    """What the pane shows. `empty`: the sentence in place of graphs; `old`: since when the hub is away, or empty.

    `said`: age of the newest report; `live`: a report comes every second; `key` changes the window.
    """

    agent: str
    window: Window
    history: History
    now_ms: int
    said: str = ""
    live: bool = False
    old: str = ""
    problem: str = ""
    empty: str = ""
    key: str = ""


class StatsPane(Widget, can_focus=True):
    """Told what to show as often as one likes; paints only what differs."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"{PREFIX}{meaning}" for meaning in ("ok", "warn", "bad", "dim", "accent", "bold")
    }
    DEFAULT_CSS: ClassVar[str] = """
    StatsPane { height: 1fr; width: 1fr; }
    StatsPane .stats-pane--ok { color: $text-success; }
    StatsPane .stats-pane--warn { color: $text-warning; }
    StatsPane .stats-pane--bad { color: $text-error; text-style: bold; }
    StatsPane .stats-pane--dim { color: $text-muted; }
    StatsPane .stats-pane--accent { color: $text-accent; }
    StatsPane .stats-pane--bold { text-style: bold; }
    """
    ALLOW_SELECT = False

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self._head: list[Piece] = []
        self._lines: Lines = []
        self._drawn: tuple[object, ...] = ()
        self.paints = 0
        """How often the graphs were drawn."""

    def show(self, shown: Shown) -> None:
        size = self.size
        if not size.width or not size.height:
            return
        told = head(shown.window, shown.said, shown.live, shown.problem, shown.old, shown.key, size.width)
        if told != self._head:
            self._head = told
            self.refresh(Region(0, 0, size.width, 1))
        self._draw(shown, size)

    def _draw(self, shown: Shown, size: Size) -> None:
        history = shown.history
        edge_ms = history.end_ms if shown.old else history.edge_ms(shown.now_ms)
        column = right_edge(shown.window, size.width, edge_ms)
        late = shown.now_ms - history.end_ms > LATE_MS
        drawn = (shown.agent, id(history), history.revision, column, late, size, bool(shown.old), shown.empty)
        if drawn == self._drawn:
            return
        self._drawn = drawn
        view = View(history, size.width, size.height - 1, edge_ms, shown.now_ms, bool(shown.old))
        self._lines = graphs(view) or sentence(shown.empty, size.width)
        self.paints += 1
        self.refresh()

    def say(self, text: str) -> None:
        """Only a sentence."""
        lines = sentence(text, self.size.width)
        if self._head or lines != self._lines:
            self._head, self._lines, self._drawn = [], lines, ()
            self.refresh()

    @property
    def text(self) -> str:
        return "\n".join("".join(text for text, _ in line) for line in (self._head, *self._lines))

    def render_line(self, y: int) -> Strip:
        pieces = self._head if y == 0 else self._lines[y - 1] if y <= len(self._lines) else []
        base = self.rich_style
        strip = Strip([Segment(text, self._style(meaning)) for text, meaning in pieces])
        return strip.adjust_cell_length(self.size.width, base)

    def _style(self, meaning: str) -> Style:
        return self.get_component_rich_style(f"{PREFIX}{meaning}") if meaning else self.rich_style
