"""A day of an agent's use as one meets it: work by day, rest by night, and an hour in which nobody knows. All data."""

from __future__ import annotations

from datetime import datetime
from math import sin
from typing import Final

from clawtui.tui.stats.series import rfc3339
from hub.contract import AgentView, StatsPoint, StatsQuery
from hub.operations.base import parse_since
from tests.hub.api.scripted import Stream

STEP_MS: Final = 30_000
DAY_MS: Final = 24 * 3_600_000
GAPS_MS: Final = ((240_000, 420_000), (5 * 3_600_000, 6 * 3_600_000))
"""Ages between which nothing was reported."""


def stats(agent: AgentView, query: StatsQuery, now: datetime) -> Stream:
    """The day up to `now`; with `follow` it goes on, but nothing more comes. An agent without health has none."""
    now_ms = round(now.timestamp() * 1000)
    since_ms = max(parse_since(query.since, now_ms) or 0, now_ms - DAY_MS)
    ages = range((now_ms - since_ms) // STEP_MS * STEP_MS, -1, -STEP_MS)
    known = [age for age in ages if not any(first < age <= last for first, last in GAPS_MS)]
    points = [_point(agent, now_ms, age) for age in known] if agent.health is not None else []
    return Stream(points, ends=not query.follow)


def _point(agent: AgentView, now_ms: int, age_ms: int) -> StatsPoint:
    health = agent.health
    assert health is not None
    place = age_ms / STEP_MS
    busy = 0.55 + 0.3 * sin(place / 3.1) + 0.15 * sin(place * 1.7)  # 0.1 to 1, and 0.55 now
    cpu, memory, disk = health.cpu, health.memory, health.disk
    return StatsPoint(
        at=rfc3339(now_ms - age_ms), seconds=30.0,
        cpu=cpu.cores * min(busy / 0.55, 1.0) if cpu else None, cpu_limit=cpu.limit if cpu else None,
        memory_bytes=round(memory.used * (0.89 + 0.2 * busy)) if memory else None,
        memory_limit_bytes=memory.limit if memory else None,
        disk_bytes=disk.used if disk else None, disk_total_bytes=disk.total if disk else None,
        received_per_second=4e6 * busy**3, sent_per_second=3e5 * busy**2,
        gpu=min(busy, 1.0) if health.gpu else None, gpu_memory_bytes=61 * 2**30 if health.gpu else None,
    )  # fmt: skip
