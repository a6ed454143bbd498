"""What a sync works on, and what it says it did."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from profiles.sync.files import Stamp
from profiles.sync.mounts import Mount
from profiles.sync.openclaw_roster import Shape
from profiles.sync.plan import Step
from profiles.sync.render import Shared

Validate = Callable[[Path], tuple[str, ...]]
"""From the path of a new configuration to its problems, none = it is valid. Called before it takes its place."""


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """The files of one gateway, on this machine.

    `models`: from what sources call a model to what the gateway calls it. `system_slug`: the persona that acts where
    none is named. Modes and owner are those of what is written; None = whoever writes.
    """

    root: Path
    config: Path
    mounts: tuple[Mount, ...] = ()
    shape: Shape = Shape.AUTO
    models: Mapping[str, str] = {}
    shared: Shared = Shared()
    file_mode: int = 0o644
    folder_mode: int = 0o755
    uid: int | None = None
    gid: int | None = None
    system_slug: str = ""

    @property
    def stamp(self) -> Stamp:
        return Stamp(file_mode=self.file_mode, folder_mode=self.folder_mode, uid=self.uid, gid=self.gid)


class PersonaState(enum.StrEnum):
    """`PENDING`: something was written now (or would be); whether the gateway took it is for others to find out."""

    IN_STEP = "in-step"
    PENDING = "pending"
    DRIFTED = "drifted"
    CONFLICT = "conflict"
    FAILED = "failed"


class PersonaReport(msgspec.Struct, frozen=True, kw_only=True):
    """Of one persona. `hash`: SHA-256 of everything it shall be, files and roster entry, empty where nobody knows.

    `reason` of any state but in-step, `hint`: what to do. `steps`: of every file. `notes`: what is no mistake and may
    surprise. `model` and `workspace` are as the gateway sees them.
    """

    slug: str
    state: PersonaState
    name: str = ""
    reason: str = ""
    hint: str = ""
    hash: str = ""
    steps: tuple[Step, ...] = ()
    notes: tuple[str, ...] = ()
    model: str = ""
    workspace: str = ""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Of one run; of a dry one, what it would do.

    `roster`: slugs of ours that the configuration now has. `config_problem`: why it was left as it was. `archived`:
    slugs whose workspaces were moved away. `written`: how many files of workspaces were written or deleted.
    """

    personas: tuple[PersonaReport, ...]
    roster: tuple[str, ...] = ()
    config_changed: bool = False
    config_problem: str = ""
    config_hint: str = ""
    archived: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    written: int = 0
    seconds: float = 0.0


class FileDifference(msgspec.Struct, frozen=True, kw_only=True):
    """`before` is what is on disk, `after` what the source says; None = no file, or (`binary`) no text."""

    path: str
    action: str
    reason: str = ""
    before: str | None = None
    after: str | None = None
    binary: bool = False
