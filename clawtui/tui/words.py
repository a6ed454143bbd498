"""Glyph, word and colour of every state: never the colour alone. Single-cell glyphs only."""

from __future__ import annotations

from typing import Final, NamedTuple

from hub.core.model import AgentStatus, JobState, TaskState


class Sign(NamedTuple):
    """`style` is a semantic class of the theme: ok, warn, bad, dim, accent or empty."""

    glyph: str
    style: str


UNKNOWN: Final = Sign("·", "")
"""Of a word that we do not know; a newer hub may have more than we."""
AGENT_SIGNS: Final[dict[AgentStatus, Sign]] = {
    AgentStatus.CREATING: Sign("◔", "accent"),
    AgentStatus.ONLINE: Sign("●", "ok"),
    AgentStatus.STALE: Sign("◌", "warn"),
    AgentStatus.UNREACHABLE: Sign("?", "warn"),
    AgentStatus.OFFLINE: Sign("○", "dim"),
    AgentStatus.STOPPED: Sign("■", "dim"),
    AgentStatus.PAUSED: Sign("‖", "accent"),
    AgentStatus.CRASHED: Sign("×", "bad"),
    AgentStatus.QUARANTINED: Sign("!", "bad"),
    AgentStatus.DESTROYING: Sign("~", "warn"),
}
"""In the order in which the top bar counts them."""

TASK_SIGNS: Final[dict[TaskState, Sign]] = {
    TaskState.QUEUED: Sign("·", "dim"),
    TaskState.OFFERED: Sign("›", "dim"),
    TaskState.RUNNING: Sign("▶", "accent"),
    TaskState.SUCCEEDED: Sign("√", "ok"),
    TaskState.FAILED: Sign("×", "bad"),
    TaskState.TIMED_OUT: Sign("×", "bad"),
    TaskState.CANCELLED: Sign("-", "dim"),
    TaskState.REJECTED: Sign("×", "bad"),
    TaskState.LOST: Sign("?", "bad"),
    TaskState.EXPIRED: Sign("-", "warn"),
}

JOB_SIGNS: Final[dict[str, Sign]] = {
    JobState.RUNNING: Sign("▶", "accent"),
    JobState.SUCCEEDED: Sign("√", "ok"),
    JobState.FAILED: Sign("×", "bad"),
    JobState.CANCELLED: Sign("-", "dim"),
}


def state_text(status: AgentStatus, old: bool = False) -> str:
    """Glyph and word; `old`: the source is gone, and a word that nobody vouches for has a question mark."""
    return f"{agent_sign(status).glyph} {doubted(status.value, old)}"


def doubted(word: str, old: bool) -> str:
    return f"{word}?" if old else word


def agent_sign(status: AgentStatus) -> Sign:
    return AGENT_SIGNS.get(status, UNKNOWN)


def task_sign(state: TaskState) -> Sign:
    return TASK_SIGNS.get(state, UNKNOWN)


def job_sign(state: str) -> Sign:
    return JOB_SIGNS.get(state, UNKNOWN)
