"""Which file is created, written, kept or deleted: from what is wanted, what we wrote last and what is on disk. Pure.

A file that a human changed is never overwritten and never deleted without a decision.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Mapping, Sequence
from typing import Final

import msgspec

from profiles.sync.files import Workspace
from profiles.sync.manifest import Manifest
from profiles.sync.scan import Seen


class Action(enum.StrEnum):
    """`DRIFT`: only the disk changed since the last sync. `CONFLICT`: disk and source changed, or a file that we never
    wrote stands where a different one is wanted. Both wait for a decision."""

    CREATE = "create"
    WRITE = "write"
    KEEP = "keep"
    DELETE = "delete"
    CONFLICT = "conflict"
    DRIFT = "drift"


CHANGES: Final = frozenset({Action.CREATE, Action.WRITE, Action.DELETE})
"""Actions that change the disk."""
WAITING: Final = frozenset({Action.CONFLICT, Action.DRIFT})
"""Actions that wait for a person."""


class Decision(enum.StrEnum):
    """What a person wants of a file that was changed. `KEEP`: the file stays, quietly, until disk or source change
    again. `APPLY`: the source's text is written; the other one is archived beside it. `ADOPT`: the caller has put the
    text into the source; what is on disk counts as written."""

    KEEP = "keep"
    APPLY = "apply"
    ADOPT = "adopt"


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One file. `wanted` and `seen`: SHA-256 of what shall be and of what is, None = no file.

    `rescue`: what is on disk is a human's and is archived before it goes. `release`: it is no longer ours to know.
    """

    slug: str
    path: str
    action: Action
    reason: str = ""
    wanted: str | None = None
    seen: str | None = None
    rescue: bool = False
    release: bool = False


class Plan(msgspec.Struct, frozen=True):
    """`archive`: slugs that the source no longer has."""

    steps: tuple[Step, ...]
    archive: tuple[str, ...] = ()


Decisions = Mapping[tuple[str, str], Decision]


def make_plan(
    wanted: Sequence[Workspace],
    manifest: Manifest,
    seen: Seen,
    decisions: Decisions,
    held: Collection[str] = (),
) -> Plan:
    """Return what is to be done. `held`: slugs that are not wanted at the moment and not gone either."""
    raise NotImplementedError
