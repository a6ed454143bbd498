"""What every group of operations stands on."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Final, Protocol

import msgspec

from hub.acts import Acts
from hub.agentlog import AgentLogs
from hub.attention import AttentionDesk
from hub.compose import Composing
from hub.contract import HubHealth
from hub.control import Principal
from hub.disk.care import Care
from hub.driverset import DriverSet
from hub.errors import BadRequest, HubError
from hub.gateways.ingress.service import IngressDesk
from hub.gateways.instances.service import Instances
from hub.gateways.service import Gateways
from hub.gateways.upgrades.service import Upgrades
from hub.hosts.desk import HostDesk
from hub.image_jobs import ImageJobs
from hub.jobs import Jobs
from hub.kernel import Kernel
from hub.keylock import KeyLocks
from hub.profiles import ProfileBook
from hub.shells import Shells
from hub.snapshots.service import Snapshots
from hub.stats import Stats
from hub.sync.desk import SyncDesk
from hub.traffic import Traffic
from hub.undo import FAILED

MAX_WAIT_SECONDS = 300.0
"""Longest long-poll; a caller that wants more asks again."""
MAX_PAGE = 1_000
_AGE: Final = re.compile(r"(\d{1,12})\s*(s|m|h|d)")
_AGE_MS: Final = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


class HealthSource(Protocol):
    """What the running hub says of itself."""

    async def read(self) -> HubHealth: ...

    def agents_url(self) -> str:
        """The base URL that agents outside a driver are told to dial."""
        ...


class Inside(msgspec.Struct, frozen=True):
    """The parts of a running hub that operations use."""

    kernel: Kernel
    drivers: DriverSet
    jobs: Jobs
    acts: Acts
    shells: Shells
    logs: AgentLogs
    keys: KeyLocks
    health: HealthSource
    attention: AttentionDesk
    stats: Stats
    traffic: Traffic
    profiles: ProfileBook
    images: ImageJobs
    snapshots: Snapshots
    composing: Composing
    care: Care
    gateways: Gateways
    sync: SyncDesk
    instances: Instances
    upgrades: Upgrades
    ingress: IngressDesk
    hosts: HostDesk


class Operations:
    """A group of operations, bound to the principal who calls."""

    def __init__(self, inside: Inside, principal: Principal) -> None:
        self._inside = inside
        self._kernel = inside.kernel
        self._principal = principal

    @property
    def _who(self) -> str:
        return f"user:{self._principal.name}"

    @asynccontextmanager
    async def _audited(self, what: str, target: str) -> AsyncIterator[None]:
        """Audit first, then do what is in the block: nothing is done that leaves no trace.

        What fails is written down once more, as failed. Raises StorageFull, Unavailable before anything is done.
        """
        kernel = self._kernel
        await kernel.commit([kernel.audited(self._who, what, target)])
        try:
            yield
        except Exception as exc:
            why = exc.message if isinstance(exc, HubError) else f"internal error: {type(exc).__name__}"
            kernel.push([kernel.audited(self._who, what, target, FAILED, why)])
            raise


def check_wait(seconds: float) -> float:
    """Return the seconds of a long-poll, bounded. Raises BadRequest."""
    if seconds < 0 or seconds != seconds:
        raise BadRequest("wait is a number of seconds", field="wait")
    return min(seconds, MAX_WAIT_SECONDS)


def check_limit(limit: int) -> int:
    """Return a page size. Raises BadRequest."""
    if not 1 <= limit <= MAX_PAGE:
        raise BadRequest(f"limit is between 1 and {MAX_PAGE}", field="limit")
    return limit


def parse_since(text: str | None, now_ms: int, field: str = "since") -> int | None:
    """Return ms since the epoch out of RFC 3339 text or an age such as `10m`. Raises BadRequest about `field`."""
    if text is None:
        return None
    if (age := _AGE.fullmatch(text.strip())) is not None:
        return now_ms - int(age[1]) * _AGE_MS[age[2]]
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError as exc:
        raise BadRequest(f"{text[:40]!r} is no time", field=field, hint="10m, 2h, 1d or 2026-01-31T12:00:00Z") from exc
    if at.tzinfo is None:
        raise BadRequest("a time needs a zone", field=field, hint="2026-01-31T12:00:00Z")
    return int(at.timestamp() * 1000)
