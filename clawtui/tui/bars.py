"""What the bar on top says: pure."""

from __future__ import annotations

from datetime import datetime
from typing import Final, NamedTuple

from rich.cells import cell_len, set_cell_size

from clawtui.cli.output import age_text, printable
from clawtui.tui.presenters import age_cell, reason
from clawtui.tui.store import FleetStore, SourceState
from clawtui.tui.theme import Piece
from clawtui.tui.words import UNKNOWN, agent_sign
from hub.contract import Severity
from hub.core.model import AgentStatus

LAG_WARN_SECONDS = 0.05
SHORT_WORDS: Final = {
    AgentStatus.CREATING: "new", AgentStatus.ONLINE: "on", AgentStatus.STALE: "stale",
    AgentStatus.UNREACHABLE: "unreach", AgentStatus.OFFLINE: "off", AgentStatus.STOPPED: "stop",
    AgentStatus.PAUSED: "pause", AgentStatus.CRASHED: "crash", AgentStatus.QUARANTINED: "quarant",
    AgentStatus.DESTROYING: "destroy",
}  # fmt: skip
"""For bars that are too narrow for the whole words: no state is a glyph alone."""


RANK: Final = (
    AgentStatus.CRASHED, AgentStatus.ONLINE, AgentStatus.QUARANTINED, AgentStatus.UNREACHABLE, AgentStatus.STALE,
    AgentStatus.OFFLINE, AgentStatus.CREATING, AgentStatus.PAUSED, AgentStatus.STOPPED, AgentStatus.DESTROYING,
)  # fmt: skip
"""Which states a bar shows when it has no room for all: what is wrong, and what works."""


class Bar(NamedTuple):
    """What there is room for. `states`: so many of `RANK`; the rest is one number."""

    address: bool = True
    whole_words: bool = True
    clock: bool = True
    lag: bool = True
    states: int = len(AgentStatus)
    tasks: bool = True


LESS: Final = (
    Bar(), Bar(address=False), Bar(whole_words=False), Bar(address=False, whole_words=False),
    *(Bar(False, False, False, lag, states) for states in range(len(AgentStatus), 1, -1) for lag in (True, False)),
    *(Bar(False, False, False, False, states, False) for states in range(3, -1, -1)),
)  # fmt: skip
"""From everything to the least; the first that fits is shown."""


def top_bar(store: FleetStore, address: str, modes: tuple[str, ...], now: datetime, width: int) -> list[Piece]:
    """How the hub is, the mode, agents by state, tasks, the loop's lag, the time: whole pieces, as many as fit."""
    pieces: list[Piece] = []
    for bar in LESS:
        pieces = _top_bar(store, address, modes, now, bar)
        if _cells(pieces) <= width:
            break
    return pieces


def _cells(pieces: list[Piece]) -> int:
    return sum(cell_len(text) for text, _ in pieces)


def _top_bar(store: FleetStore, address: str, modes: tuple[str, ...], now: datetime, bar: Bar) -> list[Piece]:
    pieces: list[Piece] = [(" clawtui ", "bold"), *_source(store, address if bar.address else "")]
    for mode in (*modes, *_degraded(store)):
        pieces += [(" ", ""), (f" {mode} ", "title")]
    pieces += _agents(store, bar)
    if store.health is not None and bar.tasks:
        tasks = store.health.tasks
        pieces.append((f"  run {tasks.get('running', 0)} queue {tasks.get('queued', 0) + tasks.get('offered', 0)}", ""))
    if store.health is not None:
        lag = store.health.loop_lag_seconds
        slow = lag > LAG_WARN_SECONDS
        if bar.lag or slow:
            pieces.append((f"  lag {lag * 1000:.0f}ms{' slow' if slow else ''}", "warn" if slow else "dim"))
    return [*pieces, (f"  {now.astimezone():%H:%M:%S}", "dim")] if bar.clock else pieces


def _source(store: FleetStore, where: str) -> list[Piece]:
    since = age_text(store.mono() - store.source.since)
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


def _agents(store: FleetStore, bar: Bar) -> list[Piece]:
    counts = store.counts()
    word = "agent" if len(store.agents) == 1 else "agents"
    pieces: list[Piece] = [(f"  {len(store.agents)} {word}", "bold")]
    shown = sorted(counts, key=RANK.index)[: bar.states]
    for status in AgentStatus:
        if status in shown:
            sign = agent_sign(status)
            name = status.value if bar.whole_words else SHORT_WORDS[status]
            pieces.append((f" {sign.glyph}{counts[status]} {name}", sign.style))
    others = len(store.agents) - sum(counts[status] for status in shown)
    return [*pieces, (f" +{others} more", "dim")] if others and shown else pieces


LEAST_CELLS = 24
"""So much of a sentence is wanted before its age and the number of others."""
SEVERITIES: Final = {
    Severity.CRITICAL: ("×", "bad"), Severity.WARNING: ("▲", "warn"), Severity.NOTICE: ("·", "accent"),
}  # fmt: skip


def needs_you(store: FleetStore, rows: int, key: str, now: datetime, width: int) -> list[Piece]:
    """The most urgent things that need a person, in at most `rows` lines of `width` cells; empty when none do."""
    pieces: list[Piece] = []
    title = f" NEEDS YOU {len(store.attention)} "
    shown, left = store.attention[:rows], len(store.attention) - rows
    for place, need in enumerate(shown):
        glyph, style = SEVERITIES.get(need.severity, UNKNOWN)
        head = [(title if not place else " " * len(title), "warn" if not place else ""),
                (f"{glyph} {need.severity} ", style), (f"{printable(need.target)} ", "bold")]  # fmt: skip
        more = left if key and need is shown[-1] else 0
        text, tail = _fitted(reason(need.text), _tails(age_cell(need.since, now), key, more), width - _cells(head))
        pieces += [*head, (text, ""), (tail, "dim"), ("\n", "")]
    return pieces[:-1]


def _tails(age: str, key: str, more: int) -> list[str]:
    """What stands behind a need, from everything to the least."""
    if more <= 0:
        return [f"  {age}", ""]
    return [f"  {age}  {key} shows {more} more", f"  {age}  {key}: {more} more", f"  {key}: {more} more"]


def _fitted(text: str, tails: list[str], cells: int) -> tuple[str, str]:
    """The text as whole as it can be, and the longest tail that leaves it so much."""
    wanted = min(cell_len(text), LEAST_CELLS)
    tail = next((one for one in tails if cells - cell_len(one) >= wanted), tails[-1])
    return _cut(text, max(cells - cell_len(tail), 1)), tail


def _cut(text: str, cells: int) -> str:
    """Whole words where that leaves at least half of the room."""
    if cell_len(text) <= cells:
        return text
    cut = set_cell_size(text, cells - 1)
    words, space, _ = cut.rpartition(" ")
    whole = words if space and cell_len(words) * 2 >= cells else cut
    return f"{whole.rstrip(' ,;:')}…"


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
            return f"Not possible with this hub: {printable(source.error)}. {printable(source.hint)}"
        case _:
            if store.health is not None and store.health.problems:
                return "Degraded: " + "; ".join(printable(problem) for problem in store.health.problems)
            return ""
