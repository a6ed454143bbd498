"""What we wrote last: the only way to tell a human's change from the source's, and our files from others'.

It stands in the workspace root and is written twice by a run that changes something: before, with everything that the
run is about to write, and after. A run that is killed in between leaves files that one of the two explains, so the next
run takes none of them for a human's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from profiles.persona import SLUG_PATTERN
from profiles.sync.errors import SyncError

NAME: Final = ".clawtui-sync.json"
FORMAT: Final = 1


class Mark(msgspec.Struct, frozen=True, omit_defaults=True):
    """Of one file, SHA-256 in hex digits: what the `source` said and what was on `disk` when both were settled last.

    They differ where a human's file was kept. `intent`: what a run was about to write when it ended early, if it did.
    """

    source: str
    disk: str
    intent: str = ""

    @property
    def ours(self) -> bool:
        """Tell whether what stood on disk was ours."""
        return self.source == self.disk


class Manifest(msgspec.Struct, frozen=True, omit_defaults=True):
    """`workspaces`: slug, path, mark. `roster`: the SHA-256 of every entry in the configuration that is ours, by slug;
    empty while it is being written. `skills`: what we
    have switched on there. `stamp`: the permissions and owner that everything was written with."""

    format: int = FORMAT
    workspaces: dict[str, dict[str, Mark]] = {}
    roster: dict[str, str] = {}
    skills: tuple[str, ...] = ()
    stamp: str = ""


EMPTY: Final = Manifest()


def decode(content: bytes, path: Path) -> Manifest:
    """Return the manifest in a file's content. Raises SyncError: without it nobody knows which files are ours."""
    try:
        manifest = msgspec.json.decode(content, type=Manifest)
    except msgspec.MsgspecError as exc:
        raise SyncError(
            f"{path} cannot be read: {exc}",
            "Move it away. Then files that are as the source says are known again, and all others need a decision.",
        ) from exc
    if manifest.format != FORMAT:
        raise SyncError(f"{path} is of another version of clawtui (format {manifest.format})", "Use that version.")
    if (wrong := next(_astray(manifest), None)) is not None:
        hint = "Somebody has changed it. Move it away, and look at what changed in the workspaces."
        raise SyncError(f"{path} names {wrong!r}, which is in no workspace", hint)
    return manifest


def _astray(manifest: Manifest) -> Iterator[str]:
    """What would lead out of the workspaces: agents work beside this file."""
    for slug, marks in manifest.workspaces.items():
        if not re.fullmatch(SLUG_PATTERN, slug):
            yield slug
        yield from (path for path in marks if {"", ".", ".."} & set(path.split("/")) or "\0" in path)


def encode(manifest: Manifest) -> bytes:
    return msgspec.json.encode(manifest, order="sorted") + b"\n"
