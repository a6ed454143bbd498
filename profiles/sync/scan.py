"""What is on disk. Never follows a link."""

from __future__ import annotations

import msgspec


class SeenFile(msgspec.Struct, frozen=True):
    """A regular file that has one name. `stray`: it has not the permissions or the owner that it shall have."""

    sha256: str
    stray: bool = False


class SeenWorkspace(msgspec.Struct, frozen=True, kw_only=True):
    """`exists` false: there is no folder. `folders` and `files` by relative path, as far as they were asked for.

    `leftovers`: temporary files of a run that was killed. `problem`: why it cannot be synced, and what to do.
    """

    exists: bool = False
    files: dict[str, SeenFile] = {}
    folders: frozenset[str] = frozenset()
    leftovers: tuple[str, ...] = ()
    problem: str = ""


Seen = dict[str, SeenWorkspace]
"""By slug."""
