"""What a gateway's roster shall be, and the shape in which its version takes it.

The acceptance matrix of real gateways: a map `agents.entries` with `agents.ownership: "explicit"` from 2026.8 on, a
list `agents.list` with exactly one `default: true` before. The list is the only shape that every version takes.
"""

from __future__ import annotations

import enum
import re

import msgspec

AGENT_ID = re.compile(r"[a-z0-9_][a-z0-9_-]{0,63}\Z")
"""What OpenClaw takes as an agent's id."""
ENTRIES_SINCE = (2026, 8)
_VERSION = re.compile(r"v?(\d+)\.(\d+)(?:[.\-+]|\Z)")

_WEB = re.compile(r"(?:https?://|data:)", re.IGNORECASE)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


class Shape(enum.StrEnum):
    """`AUTO`: as the gateway's version wants it."""

    AUTO = "auto"
    ENTRIES = "entries"
    LIST = "list"


class RosterEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One persona as the gateway knows it.

    `workspace` is the path as the gateway sees it. `model` None: the gateway's own default. `skills` None: all that
    the gateway has; empty: none.
    """

    slug: str
    name: str
    workspace: str
    theme: str = ""
    emoji: str = ""
    avatar: str = ""
    model: str | None = None
    skills: tuple[str, ...] | None = ()


class Roster(msgspec.Struct, frozen=True, kw_only=True):
    """`system_slug` acts where no persona is named; empty: as the file has it, else the first.

    `skills` are switched on in `skills.entries` unless the file says something about them already.
    """

    entries: tuple[RosterEntry, ...]
    system_slug: str = ""
    skills: tuple[str, ...] = ()


class Merged(msgspec.Struct, frozen=True, kw_only=True):
    """The new text; the same bytes as before where `changed` is false.

    `taken`: slugs whose entries were somebody else's until now. `notes`: what a person may want to know.
    """

    text: str
    changed: bool
    taken: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def month_of(version: str | None) -> tuple[int, int] | None:
    """Return year and month of a version, None where it tells none."""
    found = _VERSION.match(version.strip()) if version else None
    return (int(found[1]), int(found[2])) if found else None


def shape_for(version: str | None) -> Shape:
    """Return the shape that a gateway of this version wants; `LIST`, which all take, where it is not known."""
    month = month_of(version)
    return Shape.ENTRIES if month is not None and month >= ENTRIES_SINCE else Shape.LIST


def is_known(version: str | None) -> bool:
    """Tell whether `shape_for` can judge by this version."""
    return month_of(version) is not None


def usable_avatar(avatar: str) -> bool:
    """Tell whether a gateway takes it: a web address, data, or a path that stays in the workspace.

    One that it does not take makes the whole file invalid, for all agents.
    """
    if _WEB.match(avatar):
        return True
    if _SCHEME.match(avatar) or avatar.startswith(("/", "~", "\\")):
        return False
    depth = 0
    for part in re.split(r"[/\\]", avatar):
        depth += -1 if part == ".." else 0 if part in ("", ".") else 1
        if depth < 0:
            return False
    return depth > 0
