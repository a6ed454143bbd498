"""What the bar on top says: pure."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from rich.cells import cell_len, set_cell_size

from clawtui.cli.output import age_text, printable
from clawtui.tui.presenters import age_cell
from clawtui.tui.store import FleetStore, SourceState
from clawtui.tui.theme import Piece
from clawtui.tui.words import agent_sign
from hub.contract import Severity
from hub.core.model import AgentStatus

NARROW = 100
LAG_WARN_SECONDS = 0.05


def top_bar(store: FleetStore, address: str, modes: tuple[str, ...], now: datetime, width: int) -> list[Piece]:
    """Left to right by importance: states lose their words before anything is cut at the right."""
    pieces = _top_bar(store, address, modes, now, width, words=width >= NARROW)
    if _cells(pieces) > width:
        pieces = _top_bar(store, address, modes, now, width, words=False)
    while _cells(pieces) > width and pieces[-1][1] == "dim":
        pieces.pop()  # the clock, then the lag: half a number says nothing
    return pieces


def _cells(pieces: list[Piece]) -> int:
    return sum(cell_len(text) for text, _ in pieces)


def _top_bar(
    store: FleetStore, address: str, modes: tuple[str, ...], now: datetime, width: int, *, words: bool
) -> list[Piece]:
    pieces: list[Piece] = [(" clawtui ", "bold"), *_source(store, address, width)]
    for mode in (*modes, *_degraded(store)):
        pieces += [(" ", ""), (f" {mode} ", "title")]
    pieces += _agents(store, words)
    if store.health is not None:
        tasks = store.health.tasks
        pieces.append((f"  run {tasks.get('running', 0)} queue {tasks.get('queued', 0) + tasks.get('offered', 0)}", ""))
        lag = store.health.loop_lag_seconds
        pieces.append((f"  lag {lag * 1000:.0f}ms", "warn" if lag > LAG_WARN_SECONDS else "dim"))
    pieces.append((f"  {now.astimezone():%H:%M:%S}", "dim"))
    return pieces


def _source(store: FleetStore, address: str, width: int) -> list[Piece]:
    since = age_text(store.mono() - store.source.since)
    where = address if width >= NARROW else ""
    match store.source.state:
        case SourceState.LIVE:
            return [("● ", "ok"), (f"live {where}".rstrip(), "")]
        case SourceState.CONNECTING:
            return [("◔ ", "accent"), (f"connecting {where}".rstrip(), "")]
        case SourceState.REFUSED:
            return [("! ", "bad"), (f"refused {where}".rstrip(), "bad")]
        case SourceState.LOST:
            return [("× ", "bad"), (f"lost {since}, again in {store.retry_seconds():.0f}s {where}".rstrip(), "bad")]


def _degraded(store: FleetStore) -> tuple[str, ...]:
    if store.source.state in (SourceState.LOST, SourceState.REFUSED):
        return ("OLD VALUES",)
    return ("DEGRADED",) if store.health is not None and store.health.status != "ok" else ()


def _agents(store: FleetStore, words: bool) -> list[Piece]:
    counts = store.counts()
    word = "agent" if len(store.agents) == 1 else "agents"
    pieces: list[Piece] = [(f"  {len(store.agents)} {word}", "bold")]
    for status in AgentStatus:
        if counts.get(status):
            sign = agent_sign(status)
            name = f" {status.value}" if words else ""
            pieces.append((f" {sign.glyph}{counts[status]}{name}", sign.style))
    return pieces


LEAST_CELLS = 12
"""So much of a sentence is shown at least; what does not fit then goes to the next line."""
SEVERITIES: Final = {
    Severity.CRITICAL: ("×", "bad"), Severity.WARNING: ("▲", "warn"), Severity.NOTICE: ("·", "accent"),
}  # fmt: skip


def needs_you(store: FleetStore, rows: int, key: str, now: datetime, width: int) -> list[Piece]:
    """The most urgent things that need a person, in at most `rows` lines of `width` cells; empty when none do."""
    pieces: list[Piece] = []
    title = f" NEEDS YOU {len(store.attention)} "
    shown, left = store.attention[:rows], len(store.attention) - rows
    for place, need in enumerate(shown):
        glyph, style = SEVERITIES[need.severity]
        head = [(title if not place else " " * len(title), "warn" if not place else ""),
                (f"{glyph} {need.severity} ", style), (f"{printable(need.target)} ", "bold")]  # fmt: skip
        tail = [(f"  {age_cell(need.since, now)}", "dim")]
        if left > 0 and key and need is shown[-1]:
            tail.append((f"  {key} shows {left} more", "dim"))
        room = max(width - _cells(head) - _cells(tail), LEAST_CELLS)
        pieces += [*head, (_cut(printable(need.text), room), ""), *tail, ("\n", "")]
    return pieces[:-1]


def _cut(text: str, cells: int) -> str:
    return text if cell_len(text) <= cells else set_cell_size(text, cells - 1) + "…"


def banner(store: FleetStore) -> str:
    """The sentence under the bar while the hub is away; empty while it is there."""
    source = store.source
    match source.state:
        case SourceState.LOST:
            age = age_text(store.mono() - source.since)
            hint = f" ({printable(source.hint)})" if source.hint else ""
            why = f"{printable(source.error)}{hint}"
            return f"The hub is away since {age}: {why}. Values below are old. It is tried again."
        case SourceState.REFUSED:
            return f"The hub refuses this token: {printable(source.error)}. {printable(source.hint)}"
        case _:
            if store.health is not None and store.health.problems:
                return "Degraded: " + "; ".join(printable(problem) for problem in store.health.problems)
            return ""
