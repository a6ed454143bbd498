"""The Stats tab as lines for any width and height: who says it, a graph per metric, an axis of time. Pure."""

from __future__ import annotations

from typing import Final, NamedTuple

from clawtui.tui.presenters import level
from clawtui.tui.stats.graphs import axis, columns, plot
from clawtui.tui.stats.series import METRICS, History, Metric, Summary, Window, scale
from clawtui.tui.theme import Piece
from clawtui.tui.widgets.text import clean, fit, paragraph, truncate, width

ROWS_MAX: Final = 12
"""A graph does not get higher than this."""
LABEL_CELLS: Final = 7
"""Of the scale at the left of a graph."""
TITLE_CELLS, VALUE_CELLS = 8, 9
"""Of a metric that has one line only."""
SMALL_GRAPH_CELLS: Final = 20
"""A line gives up lowest, mean and highest value before its graph is narrower than this."""
CELLS_MIN: Final = 24
"""A narrower pane has no graphs."""
LATE_MS: Final = 45_000
"""A newest value that is older than this is not of now; the hub calls an agent stale after as much."""

Lines = list[list[Piece]]


class View(NamedTuple):
    """What is drawn. `end_ms`: where the window ends, at most `now_ms`; `old`: the hub is away, all is grey."""

    history: History
    width: int
    height: int
    end_ms: int
    now_ms: int
    old: bool = False


class _Graph(NamedTuple):
    metric: Metric
    summary: Summary
    rows: int
    late: bool


def step_ms(window: Window, cells: int) -> int:
    """Of one column."""
    return max(-(-window.ms // max(cells, 1)), 1)


def right_edge(window: Window, width: int, now_ms: int) -> int:
    """The end of the column that `now_ms` is in: columns stay what they are while time goes on."""
    step = step_ms(window, graph_cells(width, tall=True))
    return -(-now_ms // step) * step


def graph_cells(width: int, *, tall: bool) -> int:
    if tall:
        return max(width - LABEL_CELLS - 2, 0)
    return max(width - TITLE_CELLS - VALUE_CELLS - 3 - _more_cells(width), 0)


def _more_cells(width: int) -> int:
    more = 3 * (VALUE_CELLS + 1)
    return more if width - TITLE_CELLS - VALUE_CELLS - 3 - more >= SMALL_GRAPH_CELLS else 0


def head(window: Window, said: str, live: bool, problem: str, old: str, key: str, cells: int) -> list[Piece]:
    """The line above the graphs. `said`: age of the newest report; `live`: one comes each second.

    `old`: since when the hub is away. What does not fit in `cells` is left out as a whole, from the right.
    """
    parts: list[Piece] = [(f" Last {window.words}", "bold")]
    if old:
        parts.append((f" · old: the hub is away since {old}", "warn"))
    elif problem:
        parts.append((f" · cannot be read: {clean(problem)}", "warn"))
    else:
        parts += [(" · live", "accent")] if live else []
        parts += [(f" · said by the agent {said} ago", "dim")] if said else []
    parts += [(f" · {key} other window", "dim")] if key else []
    while len(parts) > 2 and sum(width(text) for text, _ in parts) > cells:
        parts.pop()
    return parts


def graphs(view: View) -> Lines:
    """The graphs in at most `view.height` lines; empty when nothing is known of the window."""
    begin = view.end_ms - view.history.window.ms
    known: list[_Graph] = []
    for metric in METRICS:
        summary = view.history.summary(metric.key, begin)
        if summary is not None:
            late = view.old or view.now_ms - summary.last_ms > LATE_MS
            known.append(_Graph(metric, summary, 0, late))
    room = view.height - 1  # for the axis
    if not known:
        return []
    if room < 1 or view.width < CELLS_MIN:
        return sentence("No room for graphs", view.width)[: max(view.height, 0)]
    if room < 2 * len(known):
        return _small(view, known, room)
    return _tall(view, _heights(known, room))


def _heights(known: list[_Graph], room: int) -> list[_Graph]:
    """Rows for each, the first ones get what is left over."""
    rows, over = divmod(room - len(known), len(known))
    return [graph._replace(rows=min(rows + (place < over), ROWS_MAX)) for place, graph in enumerate(known)]


def _tall(view: View, known: list[_Graph]) -> Lines:
    cells = graph_cells(view.width, tall=True)
    lines: Lines = []
    for graph in known:
        lines.append(_about(graph, view))
        top = scale(graph.metric, graph.summary)
        labels = [graph.metric.text(top), *[""] * (graph.rows - 2), "0"][: graph.rows]
        for label, drawn in zip(labels, _drawn(view, graph, cells, top), strict=True):
            lines.append(
                [(f"{fit(label, LABEL_CELLS, 'right')}{'┤' if label else '│'}", "dim"), (drawn, _style(view, graph))]
            )
    lines.append([(" " * (LABEL_CELLS + 1) + axis(cells, view.history.window.seconds, _end(view)), "dim")])
    return lines


def _about(graph: _Graph, view: View) -> list[Piece]:
    """The line above a graph; what does not fit goes, the least important first."""
    text, summary = graph.metric.text, graph.summary
    value = f"{'last ' if graph.late else ''}{text(summary.last)}"
    share = summary.share
    limit, part = "", ""
    if share is not None and summary.limit and graph.metric.key != "gpu":  # which is a share already
        limit, part = f" of {text(summary.limit)}", f" ({share * 100:.0f}%)"
    more = f"min {text(summary.low)} avg {text(summary.mean)} max {text(summary.high)}"
    title = f" {graph.metric.title} "
    tries = ((limit + part, more), (part, more), (part, f"max {text(summary.high)}"), ("", ""))
    for said, rest in tries:
        space = view.width - width(title) - width(value) - width(said) - width(rest) - 1
        if space >= 2:
            shown = "dim" if view.old else "bold"
            return [(title, shown), (value, _style(view, graph)), (said, "dim"), (" " * space + rest, "dim")]
    return [(title, "dim"), (truncate(value, view.width - width(title)), _style(view, graph))]


def _small(view: View, known: list[_Graph], room: int) -> Lines:
    """One line per metric: the value, the graph, and its lowest, mean and highest value."""
    cells = graph_cells(view.width, tall=False)
    more = _more_cells(view.width)
    lines: Lines = []
    left = len(known) - room
    for graph in known[:room]:
        text, summary = graph.metric.text, graph.summary
        drawn = _drawn(view, graph, cells, scale(graph.metric, summary))
        line: list[Piece] = [
            (f" {fit(graph.metric.title, TITLE_CELLS)}", "dim"),
            (fit(text(summary.last), VALUE_CELLS, "right") + " ", _style(view, graph)),
            *((part, _style(view, graph)) for part in drawn),
        ]
        if more:
            line += [(" " + fit(text(value), VALUE_CELLS, "right"), "dim") for value in _three(summary)]
        lines.append(line)
    late = "last" if any(graph.late for graph in known) else "now"
    under = f" {fit(f'+{left} more' if left > 0 else '', TITLE_CELLS)}{late.rjust(VALUE_CELLS)} "
    under += axis(cells, view.history.window.seconds, _end(view))
    under += "".join(" " + word.rjust(VALUE_CELLS) for word in ("min", "avg", "max")) if more else ""
    return [*lines, [(under, "dim")]]


def _three(summary: Summary) -> tuple[float, float, float]:
    return summary.low, summary.mean, summary.high


def _drawn(view: View, graph: _Graph, cells: int, top: float) -> list[str]:
    step = step_ms(view.history.window, cells)
    end = -(-view.end_ms // step) * step
    bars = columns(view.history.stretches(graph.metric.key), end - step * cells, step, cells)
    return plot(bars, max(graph.rows, 1), top)


def _end(view: View) -> str:
    return "hub lost" if view.old else "now"


def _style(view: View, graph: _Graph) -> str:
    if view.old:
        return "dim"
    share = graph.summary.share
    return level(share) or "ok"


def sentence(text: str, cells: int) -> Lines:
    """A sentence instead of graphs."""
    return [[(truncate(f" {line}", cells), "dim")] for line in paragraph(text, max(cells - 2, 1))]
