"""The Now tab: what an agent is, who says so, and how old that is. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from clawtui.cli.output import age_text, printable, size_text
from clawtui.tui.presenters import age_cell, bar, cpu_share, level, memory_share
from clawtui.tui.stats.graphs import columns
from clawtui.tui.stats.series import METRICS, PLACES, History, scale
from clawtui.tui.theme import Piece
from clawtui.tui.widgets.spark import sparkline
from clawtui.tui.widgets.text import paragraph
from clawtui.tui.words import agent_sign, doubted, state_text
from hub.contract import AgentView
from hub.core.model import AgentStatus

LABEL_CELLS = 12
BAR_CELLS = 10
TASKS_NAMED = 5
SPARK_FROM = 44
"""Cells before a sparkline: the label, the bar and the longest usual numbers."""
SPARK_CELLS_MIN, SPARK_CELLS_MAX = 8, 30


class Recent(NamedTuple):
    """The last minutes of the agent, for sparklines."""

    history: History

    def line(self, key: str, used: int, room: int, now: datetime) -> list[Piece]:
        """The sparkline behind `used` of `room` cells, or nothing where it does not fit or shows nothing."""
        cells = min(room - SPARK_FROM - 1, SPARK_CELLS_MAX)
        if cells < SPARK_CELLS_MIN or used > SPARK_FROM - 2:
            return []
        step = -(-self.history.window.ms // cells)
        end = -(-max(round(now.timestamp() * 1000), self.history.end_ms) // step) * step
        bars = columns(self.history.stretches(key), end - step * cells, step, cells)
        summary = self.history.summary(key, end - step * cells)
        if summary is None:
            return []
        means = [None if one is None else one.mean for one in bars]
        drawn = sparkline(means, cells, scale(METRICS[PLACES[key]], summary))
        return [(" " * (SPARK_FROM - used), ""), (drawn, "dim")]


def _field(label: str, *pieces: Piece) -> list[Piece]:
    return [(f" {label:<{LABEL_CELLS}}", "dim"), *pieces, ("\n", "")]


def _folded(label: str, text: str, style: str, cells: int) -> list[Piece]:
    """A sentence behind its label, broken between words."""
    first, *rest = paragraph(text, max(cells - LABEL_CELLS - 2, LABEL_CELLS)) or [""]
    lines = _field(label, (first, style))
    for line in rest:
        lines += _field("", (line, style))
    return lines


def now_lines(
    agent: AgentView,
    now: datetime,
    old_seconds: float | None = None,
    recent: Recent | None = None,
    cells: int = 80,
) -> list[Piece]:
    """`old_seconds`: so long the hub has been away, so all of it is old and grey; None while it is there."""
    old = old_seconds is not None
    sign = agent_sign(agent.status)
    seen = age_cell(agent.last_seen_at, now)
    says = f"  {'said' if old else 'says'} {agent.source}{', a basic agent' if agent.basic else ''}"
    lines = _field("State", (state_text(agent.status, old), sign.style), (says, "dim"))
    if agent.reason:
        lines += _folded("Why", printable(agent.reason), "warn", cells)
    if agent.exit_code is not None:
        lines += _field("Exit code", (str(agent.exit_code), "bad" if agent.exit_code else ""))
    wanted = f"{agent.lifecycle.desired.value}, observed {doubted(agent.lifecycle.observed.value, old)}"
    lines += _field("Wanted", (wanted, ""))
    connection = doubted(agent.connection.value, old)
    lines += _field("Connection", (f"{connection}{f', seen {seen} ago' if seen else ', never seen'}", ""))
    lines += _health(agent, now, recent, cells) + _work(agent, old) + _about(agent)
    if old_seconds is None:
        return lines
    return [
        *_field("", (f"old: the hub is away since {age_text(old_seconds)}", "warn")),
        *((text, "dim") for text, _ in lines),
    ]


def no_health(agent: AgentView) -> str:
    """Why nothing is known of what the agent uses, and what to do or to wait for."""
    if agent.basic:
        return "A basic agent does not report what it uses; an agent with our runtime does"
    match agent.status:
        case AgentStatus.ONLINE | AgentStatus.STALE:
            return "Not reported yet: an agent reports once connected, then twice a minute"
        case AgentStatus.CREATING:
            return "Not reported yet: it is being made, and reports once it is connected"
        case AgentStatus.STOPPED | AgentStatus.PAUSED | AgentStatus.CRASHED:
            verb = "resume" if agent.status is AgentStatus.PAUSED else "start"
            return f"Nothing is reported while it is {agent.status.value}: type :{verb} to have it run"
        case AgentStatus.QUARANTINED:
            return "Nothing is reported while it is quarantined: type :release to let it join again"
        case AgentStatus.DESTROYING:
            return "Nothing is reported any more: it is being destroyed"
        case AgentStatus.OFFLINE | AgentStatus.UNREACHABLE:
            return "Nothing was reported: it reports once it is connected to this hub"
        case _:  # a newer hub's word
            return "Nothing was reported"


def _health(agent: AgentView, now: datetime, recent: Recent | None, cells: int) -> list[Piece]:
    health = agent.health
    if health is None:
        return [("\n", ""), *_folded("Health", no_health(agent), "dim", cells)]
    said = f"said by the agent {age_cell(agent.health_at, now)} ago"
    lines: list[Piece] = []
    drawn: list[Piece] = []
    if health.cpu is not None:
        share = cpu_share(agent) or 0.0
        limit = f" of {health.cpu.limit * 100:.0f}%" if health.cpu.limit else ""
        text = f"{bar(share, BAR_CELLS)} {health.cpu.cores * 100:.0f}%{limit}"
        style = level(share if health.cpu.limit else None) or "ok"
        drawn += (spark := _spark(recent, "cpu", text, cells, now))
        lines += _field("CPU", (text, style), *spark)
    if health.memory is not None:
        memory = memory_share(agent)
        limit = f" of {size_text(health.memory.limit)}" if health.memory.limit else ""
        shown = f"{bar(memory, BAR_CELLS)} " if memory is not None else ""
        text = f"{shown}{size_text(health.memory.used)}{limit}"
        drawn += (spark := _spark(recent, "memory", text, cells, now))
        lines += _field("Memory", (text, level(memory) or "ok"), *spark)
    if drawn and recent is not None:
        said += f", lines: {recent.history.window.words}"
    return [("\n", ""), *_field("Health", (said, "dim")), *lines, *_rest(agent)]


def _spark(recent: Recent | None, key: str, text: str, cells: int, now: datetime) -> list[Piece]:
    return [] if recent is None else recent.line(key, LABEL_CELLS + 1 + len(text), cells, now)


def _rest(agent: AgentView) -> list[Piece]:
    """What else the agent reports."""
    health = agent.health
    lines: list[Piece] = []
    if health is None:
        return lines
    if health.disk is not None and health.disk.total:
        disk = health.disk.used / health.disk.total
        text = f"{bar(disk, BAR_CELLS)} {size_text(health.disk.used)} of {size_text(health.disk.total)}"
        lines += _field("Disk", (text, level(disk) or "ok"))
    if health.network is not None:
        text = f"in {size_text(health.network.rx)}  out {size_text(health.network.tx)} since its start"
        lines += _field("Network", (text, ""))
    for gpu in health.gpu or ():
        text = f"{bar(gpu.utilisation, BAR_CELLS)} {gpu.utilisation * 100:.0f}% {printable(gpu.name)}"
        lines += _field("GPU", (text, ""))
    return lines


def _work(agent: AgentView, old: bool) -> list[Piece]:
    running = ", ".join(agent.running[:TASKS_NAMED]) or "nothing"
    lines = [
        ("\n", ""),
        *_field("Running", (doubted(running, old and bool(agent.running)), "accent" if agent.running else "dim")),
    ]
    lines += _field("Queued", (str(agent.queued), ""))
    return lines + _field("At once", (str(agent.concurrency), ""))


def _about(agent: AgentView) -> list[Piece]:
    labels = " ".join(f"{key}={value}" for key, value in agent.labels.items())
    facts = {
        "Name": agent.display_name, "Type": agent.type, "Driver": agent.driver, "Profile": agent.profile,
        "Labels": labels, "Can": " ".join(agent.capabilities), "Version": agent.version, "Platform": agent.platform,
        "Created": agent.created_at[:19].replace("T", " "), "Uid": agent.uid,
    }  # fmt: skip
    lines: list[Piece] = [("\n", "")]
    for label, value in facts.items():
        if value:
            lines += _field(label, (printable(value), ""))
    return lines
