"""What a driver can do beside running agents: measure them, say what they take of its disk, clean up, repair.

Each part is optional; see the properties of `hub.drivers.base.Driver`. All calls raise `hub.errors.HubError`.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Protocol

import msgspec

from hub.core.model import AgentId, AgentUid
from runtime.wire import Health

Progress = Callable[[float, str], None]
"""Called with a fraction 0..1 and a line."""


class Measured(msgspec.Struct, frozen=True):
    """An agent's use of its machine at `at_ms` (since the epoch), measured from outside."""

    health: Health
    at_ms: int


class Usage(Protocol):
    """Measures agents that do not report themselves."""

    async def measure(self, handle_ref: str) -> Measured:
        """Return one reading of the agent of this handle; CPU from the second one on. Raises AgentGone."""
        ...


class DiskKind(enum.StrEnum):
    """What of a platform takes room. `CACHE`: images that no tag leads to any more. `FOLDERS`: of process agents."""

    IMAGES = "images"
    CACHE = "cache"
    CONTAINERS = "containers"
    VOLUMES = "volumes"
    FOLDERS = "folders"


class Holding(msgspec.Struct, frozen=True, kw_only=True):
    """One object on a platform. `id` never means another one, `name` may, later.

    `size_bytes` None: not known. `frees_bytes`: what its removal gives back, less than its size where
    others share it. `agent_id` and `uid`: whose it is. `unused`: why nobody needs it; empty = in use,
    `used_by` says by what. `newest`: unused, and the next agent would want it again.
    """

    kind: DiskKind
    id: str
    name: str
    size_bytes: int | None = None
    frees_bytes: int | None = None
    agent_id: AgentId | None = None
    uid: AgentUid | None = None
    snapshot_id: str = ""
    unused: str = ""
    used_by: str = ""
    newest: bool = False
    created_at: int | None = None


class Survey(msgspec.Struct, frozen=True, kw_only=True):
    """What of ours is there. `unknown`: per kind, why it or its sizes are not known.

    `cache_bytes`: build cache of everybody on this platform, where it cannot be told whose it is.
    """

    holdings: tuple[Holding, ...] = ()
    unknown: dict[DiskKind, str] = {}
    cache_bytes: int | None = None


class Known(Protocol):
    """What the hub knows, for judging whether somebody needs an object."""

    def agent(self, agent_id: AgentId, uid: AgentUid) -> bool: ...

    def snapshot(self, snapshot_id: str) -> bool: ...


class DiskKeeper(Protocol):
    """Says what is there and removes what nobody needs; never what is not ours."""

    async def survey(self, known: Known, deadline_seconds: float) -> Survey:
        """Return what there is after at most `deadline_seconds`; what took longer is not known."""
        ...

    async def remove(self, holding: Holding, known: Known) -> None:
        """Remove one unused object.

        Raises:
            Conflict: it is in use now, or another object has its name; nothing was removed.
        """
        ...


class Repaired(msgspec.Struct, frozen=True, kw_only=True):
    """`changed` files have another owner now; `left` could not be changed, `first` names one of them."""

    seen: int = 0
    changed: int = 0
    left: int = 0
    first: str = ""


class Repairs(Protocol):
    """Puts the ownership of a workspace right."""

    async def repair(self, handle_ref: str, *, everything: bool, progress: Progress) -> Repaired:
        """Give files of root back to the agent's user; with `everything` those of every other user too.

        Links are never followed, other file systems are not entered. Raises AgentGone.
        """
        ...
