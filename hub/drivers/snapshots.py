"""The part of a driver that saves agents and makes them again: see `Snapshotter`.

A saved agent is an image (where the platform has images) and one archive per volume. The state volume, with the
credential and the attempt log, is never part of it. The hub keeps the records; a driver only does what it is told,
and every call can be repeated after a hub that was killed in its middle.

An agent has generations of its workspace: 0 is what it was created with, and every restore makes a new one beside
the present one. One of them is active; the others are set aside, stopped, until they are dropped.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from hub.core.model import Consistency

if TYPE_CHECKING:
    from hub.drivers.base import AgentHandle, AgentPlan, Progress

WORKSPACE_ARCHIVE: Final = "workspace.tar"
MIB: Final = 2**20


class Estimate(msgspec.Struct, frozen=True):
    """What a snapshot would take, roughly: `volume_bytes` on the hub's disk, `image_bytes` on the platform's."""

    volume_bytes: int
    image_bytes: int = 0


class CaptureOrder(msgspec.Struct, frozen=True):
    """`folder`: where archives are written; it exists and is empty. `expected_bytes`: of the estimate, for progress."""

    snapshot_id: str
    folder: Path
    consistency: Consistency
    grace_seconds: float
    expected_bytes: int = 0


class VolumeArchive(msgspec.Struct, frozen=True):
    """One archive in the order's folder. `volume`: what it is of; `target`: where the agent sees it. `read_back`:
    `sha256` is of what was read from the disk, so that reading it once more would prove nothing."""

    volume: str
    target: str
    file: str
    sha256: str
    size_bytes: int
    read_back: bool = False


class SystemChange(msgspec.Struct, frozen=True, array_like=True):
    """A path outside the volumes that differs from the image the agent was made from. `kind`: file, folder, link,
    other or gone; `digest` and `base` as in an archive's list."""

    path: str
    kind: str
    size: int = 0
    mode: int = 0
    digest: str = ""
    base: bool = False


class Captured(msgspec.Struct, frozen=True, kw_only=True):
    """What `capture` made. `consistency`: clean also when the agent did not run. `made_from`: the snapshot whose image
    the agent runs, "" for a plain one; `base_image`: that plain one. `notes`: what is not in it."""

    volumes: tuple[VolumeArchive, ...]
    consistency: Consistency
    image: str = ""
    image_id: str = ""
    image_bytes: int = 0
    base_image: str = ""
    made_from: str = ""
    system: tuple[SystemChange, ...] = ()
    notes: tuple[str, ...] = ()


class Seed(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent is made from instead of a plain image and an empty workspace. `devices`: entries of the archive
    that are not unpacked."""

    snapshot_id: str
    archive: Path
    sha256: str
    size_bytes: int
    image: str = ""
    devices: tuple[str, ...] = ()


def archive_progress(progress: Progress, expected_bytes: int) -> Callable[[int], None]:
    """Return what turns bytes that are done into a fraction and a line."""
    expected = max(expected_bytes, 1)

    def tell(done_bytes: int) -> None:
        progress(min(done_bytes / expected, 0.99), f"{done_bytes // MIB} MiB of the workspace")

    return tell


class Snapshotter(Protocol):
    """Raises as `hub.drivers.base` says; `StorageFull` when the hub's disk is full."""

    async def estimate(self, handle: AgentHandle) -> Estimate: ...

    async def capture(self, handle: AgentHandle, order: CaptureOrder, progress: Progress) -> Captured:
        """Save the agent as it is at one moment. It is frozen or stopped meanwhile, and afterwards as it was before,
        whatever happens. What a failed or cancelled capture made, `discard` removes."""
        ...

    async def discard(self, snapshot_id: str) -> None:
        """Remove the snapshot's image and what a capture of it left on the platform; fine when there is nothing.

        Raises:
            Conflict: something is built on the image; it says what.
        """
        ...

    async def prepare(self, handle: AgentHandle, plan: AgentPlan, seed: Seed, generation: int, progress: Progress
                      ) -> None:  # fmt: skip
        """Make a new generation beside the active one, which runs on."""
        ...

    async def active(self, handle: AgentHandle) -> int:
        """Return the generation that is active now, or was to become so when the hub was killed. Raises AgentGone."""
        ...

    async def activate(self, handle: AgentHandle, plan: AgentPlan, generation: int, grace_seconds: float, *, run: bool
                       ) -> None:  # fmt: skip
        """Stop the active generation, set it aside, and let this one take its place; `run`: start it. Repeatable."""
        ...

    async def drop(self, handle: AgentHandle, generation: int) -> None:
        """Remove a generation that is set aside; fine when it is not there. Raises Conflict for the active one."""
        ...

    async def sweep(self) -> None:
        """Remove helpers that a killed hub left; those of this very driver stay."""
        ...
