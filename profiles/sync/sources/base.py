"""What a source of personas is."""

from __future__ import annotations

from typing import Protocol

import msgspec

from profiles.persona import Persona


class SourceProblem(msgspec.Struct, frozen=True, kw_only=True):
    """Something in a source is wrong. `where`: a file, or an entry; `field`: the path in it.

    `slug`: the persona that it is about. While it is wrong, that persona stays as it was. Where nobody can say which
    persona it is about, `slug` is empty, and no persona counts as gone until it is right again.
    """

    slug: str = ""
    where: str = ""
    field: str = ""
    message: str
    hint: str = ""

    def __str__(self) -> str:
        return ": ".join(part for part in (self.where, self.field, self.message) if part)


class Loaded(msgspec.Struct, frozen=True):
    """What a source holds at this moment."""

    personas: tuple[Persona, ...] = ()
    problems: tuple[SourceProblem, ...] = ()


class Source(Protocol):
    """Where personas come from. `kind` is folder, registry or convex."""

    kind: str

    async def load(self) -> Loaded:
        """Return everything there is. Raises SyncError when the source as a whole cannot be read."""
        ...

    async def adopt(self, slug: str, path: str, text: str) -> None:
        """Take the text of a persona's workspace file into the source. Raises SyncError where that cannot be."""
        ...

    def why_not(self, slug: str, path: str) -> str:
        """Return why the source cannot take that file's text, empty = it can."""
        ...
