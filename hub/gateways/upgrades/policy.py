"""Whether a container of another version is good, and what becomes of an upgrade that a killed hub left. Pure.

Rules of OpenClaw: exit code 78 is an invalid configuration, which no further start mends; a status of 200 with a page
is not health; what is ready may fall over a moment later, because migrations of the state go on.
"""

from __future__ import annotations

import enum
from typing import Final

import msgspec

from hub.contract import GatewayState
from hub.core.instances import Change, ChangeKind, ChangeStep, StoredInstance
from hub.drivers.cells import CellSeen, CellState
from hub.gateways.looks import Seen

READY_SECONDS: Final = 300.0
"""A start takes 7 to 15 s; a migration of a large state, on half a core, takes minutes."""
STEADY_SECONDS: Final = 10.0
MOST_RESTARTS: Final = 2
MOST_PAGES: Final = 10
"""Looks in a row that were answered by something that is no gateway."""
ID_CHARS: Final = 8


class Patience(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds: until it must be ready, how long it must stay so, and between two looks."""

    ready_seconds: float = READY_SECONDS
    steady_seconds: float = STEADY_SECONDS
    look_seconds: float = 1.0


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a container that is being judged. Seconds since it was started, and since it has been ready
    without a break (None: it is not ready). `pages`: looks in a row that something else than a gateway answered."""

    seconds: float
    ready_since: float | None = None
    pages: int = 0
    cell: CellSeen | None = None
    seen: Seen = Seen()


class Verdict(enum.StrEnum):
    WAIT = "wait"
    GOOD = "good"
    BAD = "bad"


class Judgement(msgspec.Struct, frozen=True):
    """`reason`: why it is bad, or what is waited for."""

    verdict: Verdict
    reason: str = ""


def judge(trial: Trial, patience: Patience) -> Judgement:
    """Return whether the container may take over."""
    if (why := fallen(trial.cell)) is not None:
        return Judgement(Verdict.BAD, why)
    if trial.seen.state is GatewayState.REFUSED:
        return Judgement(Verdict.BAD, trial.seen.reason)
    if trial.pages >= MOST_PAGES:
        return Judgement(Verdict.BAD, f"what answers is no gateway: {trial.seen.reason}")
    if trial.ready_since is not None and trial.seconds - trial.ready_since >= patience.steady_seconds:
        return Judgement(Verdict.GOOD)
    if trial.seconds >= patience.ready_seconds and trial.ready_since is None:
        why = trial.seen.reason or trial.seen.state.value
        return Judgement(Verdict.BAD, f"it was not ready within {patience.ready_seconds:g} s: {why}")
    if trial.ready_since is not None:
        return Judgement(Verdict.WAIT, "it is ready; does it stay so?")
    return Judgement(Verdict.WAIT, trial.seen.reason or trial.seen.state.value)


def fallen(cell: CellSeen | None) -> str | None:
    """Say why a container will not get ready; None while it may."""
    if cell is None:
        return "its container is gone"
    if cell.invalid_config:
        return "its configuration or its state is invalid for this version (exit code 78)"
    if cell.oom_killed:
        return "it took more memory than it has and was killed"
    if cell.restarts > MOST_RESTARTS:
        code = f"; the last exit code was {cell.exit_code}" if cell.exit_code is not None else ""
        return f"it ends again and again{code}"
    if cell.state in (CellState.EXITED, CellState.DEAD, CellState.REMOVING):
        return f"it ended with exit code {cell.exit_code}" + (f": {cell.reason}" if cell.reason else "")
    return None


def next_trial(before: Trial, seconds: float, cell: CellSeen | None, seen: Seen) -> Trial:
    """Return what is known after one more look, `seconds` after the start."""
    since = before.ready_since if before.ready_since is not None else seconds
    restarted = cell is not None and before.cell is not None and cell.restarts != before.cell.restarts
    return Trial(
        seconds=seconds,
        ready_since=seconds if restarted and seen.ready else since if seen.ready else None,
        pages=before.pages + 1 if is_page(seen) else 0,
        cell=cell,
        seen=seen,
    )


def is_page(seen: Seen) -> bool:
    """Something that is no gateway answered: it spoke HTTP, and said nothing that a gateway says."""
    return seen.state is GatewayState.DOWN and seen.response_ms is not None


def finishes(change: Change) -> bool:
    """Whether the next start goes on with what a killed hub left, or undoes it: only what has started is judged."""
    return change.step is ChangeStep.CHECKING


def kept_name(container_name: str, container: str) -> str:
    """The name of a container that waits for a rollback; no instance's own name has a dot."""
    return f"{container_name}.{container[-ID_CHARS:]}"


def new_volumes(instance: StoredInstance, suffixes: tuple[str, ...], change_id: str) -> tuple[str, ...]:
    """Names of the volumes that an upgrade's container gets: the same ones for the same change."""
    return tuple(f"{instance.container_name}.{change_id[-ID_CHARS:].lower()}{suffix}" for suffix in suffixes)


def committed(instance: StoredInstance, change: Change) -> StoredInstance:
    """Return the record once the other container has taken over, all but its phase."""
    same_name = change.image == instance.image
    moved = instance.image_id if same_name and change.image_id != instance.image_id else ""
    forth = change.kind is ChangeKind.UPGRADE
    return msgspec.structs.replace(
        instance,
        image=change.image,
        image_id=change.image_id,
        version=change.version,
        container=change.container,
        volumes=change.volumes,
        previous_image=instance.image if forth else "",
        previous_image_id=instance.image_id if forth else "",
        previous_container=instance.container if forth else "",
        previous_version=instance.version if forth else "",
        previous_volumes=instance.volumes if forth else (),
        moved_from=moved if forth else "",
        change=None,
        reason="",
        undone="",
        exit_code=None,
        oom_killed=False,
        given_up=False,
    )
