"""One sync of one gateway: personas become workspaces and the gateway's configuration."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

import msgspec

from profiles.persona import Persona
from profiles.sync.files import Stamp
from profiles.sync.openclaw_roster import Shape
from profiles.sync.plan import Decision, Decisions, Step
from profiles.sync.render import Shared
from profiles.sync.sources.base import SourceProblem

Validate = Callable[[Path], tuple[str, ...]]
"""From the path of a new configuration to its problems, none = it is valid."""


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """The files of one gateway, on this machine. `system_slug`: the persona that acts where none is named."""

    root: Path
    config: Path
    mounts: tuple[object, ...] = ()
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
    """Of one persona. `hash`: SHA-256 of everything it shall be. `reason` of any state but in-step. `notes`: what is
    no mistake and may surprise."""

    slug: str
    state: PersonaState
    reason: str = ""
    hint: str = ""
    hash: str = ""
    steps: tuple[Step, ...] = ()
    notes: tuple[str, ...] = ()
    name: str = ""
    model: str = ""
    workspace: str = ""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Of one run. `config_problem`: why the configuration was left as it was. `written`: files that were written or
    deleted. `archived`: slugs whose workspaces were moved away."""

    personas: tuple[PersonaReport, ...]
    config_changed: bool = False
    config_problem: str = ""
    config_hint: str = ""
    archived: tuple[str, ...] = ()
    roster: tuple[str, ...] = ()
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


def sync_once(
    target: Target,
    personas: Sequence[Persona],
    *,
    version: str | None,
    dry_run: bool = False,
    decisions: Decisions | None = None,
    validate: Validate | None = None,
    now: datetime,
    problems: Sequence[SourceProblem] = (),
) -> Report:
    """Bring the personas into the gateway's files. Blocking.

    `version`: the gateway's, None = not known. `problems`: of the source; what they are about stays as it was.
    """
    raise NotImplementedError


def restore_last_good(target: Target) -> bool:
    """Put the configuration back as it was before the last change; false when there is no other one."""
    raise NotImplementedError


def difference(target: Target, personas: Sequence[Persona], slug: str) -> tuple[FileDifference, ...]:
    """Return every file of a persona that is not as the source says, with both texts. Raises SyncError."""
    raise NotImplementedError


__all__ = ["Decision", "Decisions", "Report", "Shape", "Target", "difference", "restore_last_good", "sync_once"]
