"""The Now tab: what an agent is, who says so, and how old that is. Pure."""

from __future__ import annotations

from datetime import datetime

from clawtui.cli.output import printable, size_text
from clawtui.tui.presenters import age_cell, bar, cpu_share, level, memory_share
from clawtui.tui.theme import Piece
from clawtui.tui.words import agent_sign
from hub.contract import AgentView

LABEL_CELLS = 12
BAR_CELLS = 16
TASKS_NAMED = 5


def _field(label: str, *pieces: Piece) -> list[Piece]:
    return [(f" {label:<{LABEL_CELLS}}", "dim"), *pieces, ("\n", "")]


def now_lines(agent: AgentView, now: datetime, live: bool) -> list[Piece]:
    """`live` False: the hub is away, all of it is old."""
    sign = agent_sign(agent.status)
    seen = age_cell(agent.last_seen_at, now)
    lines = _field("State", (f"{sign.glyph} {agent.status.value}", sign.style), (f"  says {agent.source}", "dim"))
    if not live:
        lines = _field("", ("old: the hub is away", "warn")) + lines
    if agent.reason:
        lines += _field("Why", (printable(agent.reason), "warn"))
    if agent.exit_code is not None:
        lines += _field("Exit code", (str(agent.exit_code), "bad" if agent.exit_code else ""))
    wanted = f"{agent.lifecycle.desired.value}, observed {agent.lifecycle.observed.value}"
    lines += _field("Wanted", (wanted, ""))
    lines += _field("Connection", (f"{agent.connection.value}{f', seen {seen} ago' if seen else ', never seen'}", ""))
    lines += _health(agent, now) + _work(agent) + _about(agent)
    return lines


def _health(agent: AgentView, now: datetime) -> list[Piece]:
    health = agent.health
    if health is None:
        return _field("Health", ("not reported yet", "dim"))
    age = age_cell(agent.health_at, now)
    lines = [("\n", ""), *_field("Health", (f"said by the agent {age} ago", "dim"))]
    if health.cpu is not None:
        share = cpu_share(agent) or 0.0
        limit = f" of {health.cpu.limit * 100:.0f}%" if health.cpu.limit else ""
        text = f"{bar(share, BAR_CELLS)} {health.cpu.cores * 100:.0f}%{limit}"
        lines += _field("CPU", (text, level(share if health.cpu.limit else None) or "ok"))
    if health.memory is not None:
        memory = memory_share(agent)
        limit = f" of {size_text(health.memory.limit)}" if health.memory.limit else ""
        shown = f"{bar(memory, BAR_CELLS)} " if memory is not None else ""
        lines += _field("Memory", (f"{shown}{size_text(health.memory.used)}{limit}", level(memory) or "ok"))
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


def _work(agent: AgentView) -> list[Piece]:
    running = ", ".join(agent.running[:TASKS_NAMED]) or "nothing"
    lines = [("\n", ""), *_field("Running", (running, "accent" if agent.running else "dim"))]
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
