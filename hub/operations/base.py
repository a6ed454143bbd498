"""What every group of operations stands on."""

from __future__ import annotations

from typing import Protocol

import msgspec

from hub.acts import Acts
from hub.agentlog import AgentLogs
from hub.contract import HubHealth
from hub.control import Principal
from hub.driverset import DriverSet
from hub.errors import BadRequest
from hub.jobs import Jobs
from hub.kernel import Kernel
from hub.keylock import KeyLocks
from hub.shells import Shells

MAX_WAIT_SECONDS = 300.0
"""Longest long-poll; a caller that wants more asks again."""
MAX_PAGE = 1_000


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


class Operations:
    """A group of operations, bound to the principal who calls."""

    def __init__(self, inside: Inside, principal: Principal) -> None:
        self._inside = inside
        self._kernel = inside.kernel
        self._principal = principal

    @property
    def _who(self) -> str:
        return f"user:{self._principal.name}"


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
