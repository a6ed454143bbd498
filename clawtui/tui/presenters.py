"""What the screen shows of agents and tasks: pure, without widgets. Times are ages against `now`."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from clawtui.cli.output import age_text, printable, size_text
from clawtui.tui.widgets.table_layout import Cell, Column, Row
from clawtui.tui.words import agent_sign, doubted, job_sign, state_text, task_sign
from hub.contract import AgentView, JobView, TaskView
from hub.core.model import AgentStatus, Connection

BAR_CELLS: Final = 6
BLOCKS: Final = " ▏▎▍▌▋▊▉█"
SORT_ORDER: Final = {status: place for place, status in enumerate((
    AgentStatus.QUARANTINED, AgentStatus.CRASHED, AgentStatus.UNREACHABLE, AgentStatus.STALE, AgentStatus.OFFLINE,
    AgentStatus.DESTROYING, AgentStatus.CREATING, AgentStatus.ONLINE, AgentStatus.PAUSED, AgentStatus.STOPPED,
))}  # fmt: skip
"""By state: what needs a look comes first."""


class AgentColumn(NamedTuple):
    """A column of the fleet table. `rank`: which goes first when the table is narrow (0 stays)."""

    column: Column
    rank: int
    cell: Callable[[AgentView, datetime], Cell]
    order: Callable[[AgentView], tuple[float | str, ...]]


def age_seconds(at: str | None, now: datetime) -> float | None:
    return None if not at else max((now - datetime.fromisoformat(at)).total_seconds(), 0.0)


def age_cell(at: str | None, now: datetime) -> str:
    seconds = age_seconds(at, now)
    return "" if seconds is None else age_text(seconds)


def bar(share: float, cells: int = BAR_CELLS) -> str:
    """A bar of eighths: `share` 0..1 of `cells`."""
    eighths = round(min(max(share, 0.0), 1.0) * cells * 8)
    whole, part = divmod(eighths, 8)
    return ("█" * whole + (BLOCKS[part] if part else "")).ljust(cells, "░")


def level(share: float | None) -> str:
    """The colour of a share of a limit: from 90 % on bad, from 75 % on warn."""
    if share is None:
        return ""
    return "bad" if share >= 0.9 else "warn" if share >= 0.75 else ""


def cpu_share(agent: AgentView) -> float | None:
    """Of its limit, else of one core."""
    cpu = agent.health.cpu if agent.health else None
    return None if cpu is None else cpu.cores / (cpu.limit or 1.0)


def memory_share(agent: AgentView) -> float | None:
    memory = agent.health.memory if agent.health else None
    return None if memory is None or not memory.limit else memory.used / memory.limit


def _state(agent: AgentView, now: datetime) -> Cell:
    return Cell(state_text(agent.status), agent_sign(agent.status).style)


def _cpu(agent: AgentView, now: datetime) -> Cell:
    cpu = agent.health.cpu if agent.health else None
    if cpu is None:
        return Cell("")
    style = level(cpu_share(agent)) if cpu.limit else ""
    return Cell(f"{cpu.cores * 100:.0f}%", style if _reports(agent) else "dim")


def _memory(agent: AgentView, now: datetime) -> Cell:
    memory = agent.health.memory if agent.health else None
    style = level(memory_share(agent)) if _reports(agent) else "dim"
    return Cell("") if memory is None else Cell(size_text(memory.used) or "", style)


def _reports(agent: AgentView) -> bool:
    """Whether its health is of now; what it said before it went is grey."""
    return agent.connection is Connection.ONLINE


def _seen(agent: AgentView, now: datetime) -> Cell:
    late = agent.connection is not Connection.ONLINE and agent.status is not AgentStatus.STOPPED
    return Cell(age_cell(agent.last_seen_at, now), "warn" if late else "dim")


def _reason(agent: AgentView, now: datetime) -> Cell:
    return Cell(printable(agent.reason or ""), "warn" if agent.reason else "")


def _memory_used(agent: AgentView) -> float:
    return float(agent.health.memory.used) if agent.health and agent.health.memory else -1.0


def _word(text: str, style: str = "dim") -> Cell:
    return Cell(printable(text), style)


AGENT_COLUMNS: Final[dict[str, AgentColumn]] = {
    "agent": AgentColumn(
        Column("agent", "AGENT", 18, "left"), 0, lambda a, _: Cell(a.id), lambda a: (a.id,)),
    "state": AgentColumn(
        Column("state", "STATE", 14, "left"), 0, _state, lambda a: (SORT_ORDER[a.status], a.id)),
    "run": AgentColumn(
        Column("run", "RUN", 4, "right"), 1,
        lambda a, _: Cell(str(len(a.running)) if a.running else "", "accent"), lambda a: (-len(a.running), a.id)),
    "queue": AgentColumn(
        Column("queue", "QUEUE", 5, "right"), 2,
        lambda a, _: Cell(str(a.queued) if a.queued else ""), lambda a: (-a.queued, a.id)),
    "cpu": AgentColumn(
        Column("cpu", "CPU", 5, "right"), 3, _cpu, lambda a: (-(cpu_share(a) or -1.0), a.id)),
    "mem": AgentColumn(
        Column("mem", "MEM", 6, "right"), 4, _memory, lambda a: (-_memory_used(a), a.id)),
    "seen": AgentColumn(
        Column("seen", "SEEN", 6, "right"), 5, _seen, lambda a: (a.last_seen_at or "", a.id)),
    "type": AgentColumn(
        Column("type", "TYPE", 10, "left"), 7, lambda a, _: _word(a.type), lambda a: (a.type, a.id)),
    "driver": AgentColumn(
        Column("driver", "DRIVER", 8, "left"), 8, lambda a, _: _word(a.driver), lambda a: (a.driver, a.id)),
    "name": AgentColumn(
        Column("name", "NAME", 16, "left"), 9,
        lambda a, _: _word(a.display_name), lambda a: (a.display_name, a.id)),
    "reason": AgentColumn(
        Column("reason", "REASON", 14, "left", True), 6, _reason, lambda a: (a.reason or "~", a.id)),
}  # fmt: skip
"""By key, in the order on the screen."""
FILTER_KEYS: Final = frozenset({"agent", "state", "type", "driver", "name", "reason", "label", "profile"})


def fit_columns(width: int, chosen: Sequence[str] = ()) -> tuple[str, ...]:
    """Which columns have room in `width` cells, the less important ones left out; `chosen` limits them."""
    wanted = [key for key in AGENT_COLUMNS if not chosen or key in chosen]
    room = width - 3  # mark, and a margin at both sides
    kept: set[str] = set()
    for key in sorted(wanted, key=lambda key: AGENT_COLUMNS[key].rank):
        need = AGENT_COLUMNS[key].column.width + 1
        if need <= room or AGENT_COLUMNS[key].rank == 0:
            kept.add(key)
            room -= need
    return tuple(key for key in wanted if key in kept)


def agent_fields(agent: AgentView) -> dict[str, str]:
    """What the filter looks at."""
    return {
        "agent": agent.id, "state": agent.status.value, "type": agent.type, "driver": agent.driver,
        "name": agent.display_name, "reason": agent.reason or "", "profile": agent.profile,
        "label": ",".join(f"{key}={value}" for key, value in agent.labels.items()),
    }  # fmt: skip


def agent_row(agent: AgentView, columns: Sequence[str], now: datetime, stale: bool = False) -> Row:
    """`stale`: the hub itself is away, so every value is old, and the state says so by its word too."""
    cells = tuple(
        Cell(state_text(agent.status, old=True), "dim")
        if stale and key == "state"
        else AGENT_COLUMNS[key].cell(agent, now)
        for key in columns
    )
    return Row(agent.id, cells, stale or agent.status in (AgentStatus.STALE, AgentStatus.UNREACHABLE))


TASK_COLUMNS: Final = (
    Column("state", "STATE", 12, "left"),
    Column("agent", "AGENT", 14, "left"),
    Column("what", "WHAT", 24, "left", True),
    Column("exit", "EXIT", 4, "right"),
    Column("took", "TOOK", 6, "right"),
    Column("age", "AGE", 6, "right"),
)
OWN_TASK_COLUMNS: Final = tuple(column for column in TASK_COLUMNS if column.key != "agent")
"""Beside an agent its name says nothing."""
TASK_FILTER_KEYS: Final = frozenset({"agent", "state", "type", "what", "id", "by", "label", "rollout"})


def task_what(task: TaskView) -> str:
    """A task in one line: its type and what it does."""
    spec = task.spec
    for field in ("command", "script", "filePath", "repo", "repoPath"):
        if value := spec.get(field):
            text = printable(str(value).strip().replace("\n", " ¶ "))[:400]
            return text if task.type == "exec" else f"{task.type} {text}"
    return task.type


def task_took(task: TaskView, now: datetime) -> str:
    """From start to end, or until now."""
    if not task.started_at:
        return ""
    end = datetime.fromisoformat(task.finished_at) if task.finished_at else now
    seconds = max((end - datetime.fromisoformat(task.started_at)).total_seconds(), 0.0)
    return f"{seconds:.1f}s" if seconds < 10 else age_text(seconds)


def task_status(task: TaskView) -> str:
    if task.cancelling and not task.terminal:
        return "cancelling"
    return "held" if task.held else task.status.value


def task_row(task: TaskView, now: datetime, stale: bool = False) -> Row:
    sign = task_sign(task.status)
    failed = f" — {printable(task.error.message or task.error.code)}" if task.error else ""
    cells = (
        Cell(f"{sign.glyph} {doubted(task_status(task), stale and not task.terminal)}", sign.style),
        Cell(task.agent_id),
        Cell(task_what(task) + failed),
        Cell("" if task.exit_code is None else str(task.exit_code), "" if not task.exit_code else "bad"),
        Cell(task_took(task, now)),
        Cell(age_cell(task.created_at, now), "dim"),
    )
    return Row(task.id, cells, stale)


def own_task_row(task: TaskView, now: datetime, stale: bool = False) -> Row:
    row = task_row(task, now, stale)
    return row._replace(cells=(row.cells[0], *row.cells[2:]))


def task_fields(task: TaskView) -> dict[str, str]:
    return {
        "agent": task.agent_id, "state": task.status.value, "type": task.type, "what": task_what(task),
        "id": task.id, "by": task.by, "rollout": task.dispatch_id or "",
        "label": ",".join(f"{key}={value}" for key, value in task.labels.items()),
    }  # fmt: skip


_SAID_ALREADY: Final = re.compile(r"the image \S+ cannot be built(?:: |, )")


def reason(text: str) -> str:
    """Why a job failed, without what its kind and its target say already: the cause stands in front."""
    return printable(_SAID_ALREADY.sub("", text))


def job_target(job: JobView) -> str:
    """The agent, or what else the job is done to; empty when it is the hub's own."""
    return printable(job.agent_id or job.about)


def job_line(job: JobView, now: datetime) -> tuple[str, str]:
    """A job in one line, and its colour."""
    sign = job_sign(job.state)
    about = f"{job.kind} {job_target(job)}".strip()
    if job.finished_at is None:
        share = f"{bar(job.progress)} {job.progress * 100:.0f}%" if job.progress else ""
        parts = [sign.glyph, about, share, printable(job.message), age_cell(job.started_at, now)]
    else:
        why = reason(job.error.message or job.error.code) if job.error else ""
        parts = [sign.glyph, about, job.state, why]
    return " ".join(part for part in parts if part), sign.style
